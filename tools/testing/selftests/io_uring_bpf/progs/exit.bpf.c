// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u64 nr_runs;
/* IORING_NOP_* flags of the requests of exit_spin */
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

/* Endless: each request completes at once, and is followed by another one. */
SEC("iouring")
int exit_spin(struct bpf_io_uring_ctx *ctx)
{
	return spin(ctx);
}

/* takes a fraction of a millisecond, more in an emulator */
#define HEAVY_LOOPS	200000

__u64 sum;

/* The same with long runs */
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

/* Issue the SQEs of the test, and then requests endlessly. */
SEC("iouring")
int exit_then_spin(struct bpf_io_uring_ctx *ctx)
{
	if (!iou_is_start(ctx))
		return spin(ctx);
	nr_runs++;
	iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Wait for the SQEs of the test, which never complete. */
SEC("iouring")
int exit_wait(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}
