/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BENCH_FLOW_BPF_H
#define BENCH_FLOW_BPF_H

#include "iou_bpf.bpf.h"
#include "bench_shared.h"

#define EAGAIN	11

/* not in all kernels that have flows */
extern int bpf_io_uring_again(struct bpf_io_uring_ctx *ctx, __u64 off,
			      __u64 addr, __u32 len) __weak __ksym;
extern const __u8 *bpf_io_uring_buf_data(struct bpf_io_uring_ctx *ctx,
					 __u32 index, __u64 offset,
					 const __u32 rdonly_buf_size) __weak __ksym;

#endif
