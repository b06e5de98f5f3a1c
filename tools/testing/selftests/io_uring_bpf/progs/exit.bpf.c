// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u64 nr_runs;
/* IORING_NOP_* of the requests that exit_spin issues */
__u32 nop_flags;

static __always_inline int spin(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	nr_runs++;
	iou_prep_nop(&sqe, ctx->flow_user_data);
	sqe.nop_flags = nop_flags;
	iou_issue(ctx, &sqe);
	return BPF_IO_URING_DEFAULT;
}

/* Has no end: each of its requests completes at once, and is followed by one. */
SEC("iouring")
int exit_spin(struct bpf_io_uring_ctx *ctx)
{
	return spin(ctx);
}

/* takes a fraction of a millisecond, or some of them where that's emulated */
#define HEAVY_LOOPS	200000

__u64 sum;

/* The same, with a lot to do each time. */
SEC("iouring")
int exit_heavy(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	if (!iou_is_start(ctx)) {
		bpf_for(i, 0, HEAVY_LOOPS)
			sum += i;
	}
	return spin(ctx);
}

/* Issues what the test filled in, and has no end after that. */
SEC("iouring")
int exit_then_spin(struct bpf_io_uring_ctx *ctx)
{
	if (!iou_is_start(ctx))
		return spin(ctx);
	nr_runs++;
	iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Waits for what the test filled in, which never completes. */
SEC("iouring")
int exit_wait(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}
