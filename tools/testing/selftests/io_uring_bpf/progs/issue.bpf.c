// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* SQEs that must be refused, all tried in one run */
__s32 ret_short;
__s32 ret_long;
__s32 ret_zero;
__s32 ret_flags;

/* a window of reads over a file */
__s32 file_fd;
__u64 file_addr;
__u64 file_size;
__u32 block_size;
__u32 window;
__u32 max_children;

/* Issue the SQEs of the test once. */
SEC("iouring")
int issue_table(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	else
		ctx->res = 0;
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int issue_sizes(struct bpf_io_uring_ctx *ctx)
{
	if (!iou_is_start(ctx))
		return BPF_IO_URING_DEFAULT;
	ret_short = bpf_io_uring_issue(ctx, sqes, 32, 0);
	ret_long = bpf_io_uring_issue(ctx, sqes, 128, 0);
	ret_zero = bpf_io_uring_issue(ctx, sqes, 0, 0);
	ret_flags = bpf_io_uring_issue(ctx, sqes, 64, ~BPF_IO_URING_ISSUE_APP);
	return BPF_IO_URING_DEFAULT;
}

/* state[0]: NOPs to go, state[1]: NOPs done; sqes[0] is the template */
SEC("iouring")
int issue_sequence(struct bpf_io_uring_ctx *ctx)
{
	if (!iou_is_start(ctx)) {
		if (ctx->res < 0)
			return BPF_IO_URING_DEFAULT;
		ctx->state[1]++;
	}
	if (!ctx->state[0]) {
		bpf_io_uring_complete(ctx, ctx->state[1]);
		return BPF_IO_URING_DEFAULT;
	}
	ctx->state[0]--;
	iou_issue(ctx, &sqes[0]);
	return BPF_IO_URING_DEFAULT;
}

static __always_inline void issue_read(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;
	__u64 off = ctx->state[0];

	if (off >= file_size)
		return;
	iou_prep_rw(&sqe, IORING_OP_READ, file_fd, file_addr + off, block_size,
		    off, off);
	if (!iou_issue(ctx, &sqe))
		ctx->state[0] = off + block_size;
}

/* state[0]: offset of the next read, state[1]: bytes read */
SEC("iouring")
int issue_window(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	if (iou_is_start(ctx)) {
		bpf_for(i, 0, window)
			issue_read(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->nr_children + 1 > max_children)
		max_children = ctx->nr_children + 1;
	if (ctx->res < 0) {
		bpf_io_uring_complete(ctx, ctx->res);
		return BPF_IO_URING_DEFAULT;
	}
	ctx->state[1] += ctx->res;
	issue_read(ctx);
	if (ctx->state[1] >= file_size)
		bpf_io_uring_complete(ctx, ctx->state[1]);
	return BPF_IO_URING_DEFAULT;
}
