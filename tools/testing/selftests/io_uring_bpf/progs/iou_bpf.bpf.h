/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_BPF_H
#define IOU_BPF_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <iou/iou.bpf.h>

#include "iou_bpf_event.h"

/* Bound the verdict for the verifier. */
static __always_inline __u32 iou_verdict(__u32 verdict)
{
	const __u32 max = BPF_IO_URING_CUT | BPF_IO_URING_NEXT | BPF_IO_URING_DROP_BUF;

	return verdict > max ? BPF_IO_URING_DEFAULT : verdict;
}

static __always_inline void iou_prep_nop(struct io_uring_sqe *sqe,
					 __u64 user_data)
{
	io_uring_prep_nop(sqe);
	sqe->user_data = user_data;
}

/* Prepare IORING_OP_READ or IORING_OP_WRITE. */
static __always_inline void iou_prep_rw(struct io_uring_sqe *sqe, __u8 opcode,
					__s32 fd, __u64 addr, __u32 len,
					__u64 off, __u64 user_data)
{
	io_uring_prep_rw(opcode, sqe, fd, addr, len, off);
	sqe->user_data = user_data;
}

#endif
