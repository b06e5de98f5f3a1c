/* SPDX-License-Identifier: GPL-2.0 */
/* Common parts of the BPF programs in this folder */
#ifndef IOU_BPF_BPF_H
#define IOU_BPF_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

extern int bpf_io_uring_issue(struct bpf_io_uring_ctx *ctx, const void *sqe,
			      __u32 sqe__sz, __u64 flags) __ksym;
extern int bpf_io_uring_again(struct bpf_io_uring_ctx *ctx, __u64 off,
			      __u64 addr, __u32 len) __ksym;
extern int bpf_io_uring_complete(struct bpf_io_uring_ctx *ctx, __s32 res) __ksym;
extern const __u8 *bpf_io_uring_buf_data(struct bpf_io_uring_ctx *ctx,
					 __u32 index, __u64 offset,
					 const __u32 rdonly_buf_size) __ksym;

static __always_inline bool iou_is_start(struct bpf_io_uring_ctx *ctx)
{
	return ctx->event == BPF_IO_URING_START;
}

static __always_inline int iou_issue(struct bpf_io_uring_ctx *ctx,
				     const struct io_uring_sqe *sqe)
{
	return bpf_io_uring_issue(ctx, sqe, sizeof(*sqe), 0);
}

#endif
