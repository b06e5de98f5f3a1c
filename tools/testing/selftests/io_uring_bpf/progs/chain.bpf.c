// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define MARKER	0x3a24e4

__s32 end_res;
__u32 wanted;

/* Change nothing. */
SEC("iouring")
int chain_pass(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* End the flow with the result of the test, whatever the first event is. */
SEC("iouring")
int chain_end(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	bpf_io_uring_complete(ctx, end_res);
	return BPF_IO_URING_DEFAULT;
}

/* Post a CQE before the CQE of the completed request. */
SEC("iouring")
int chain_mark(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	iou_post_cqe(ctx, MARKER, ctx->res, 0);
	ctx->res++;
	return BPF_IO_URING_DEFAULT;
}

/* Issue the SQEs of the test when the request before the flow completes. */
SEC("iouring")
int chain_issue(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (!iou_is_child(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/*
 * The request before the flow reads a number of bytes, and sqes[0] is its copy:
 * read the rest if bytes are missing. state[0]: bytes read
 */
SEC("iouring")
int chain_read_all(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	iou_log_event(ctx);
	if (ctx->res <= 0)
		return BPF_IO_URING_DEFAULT;
	ctx->state[0] += ctx->res;
	if (ctx->state[0] >= wanted) {
		bpf_io_uring_complete(ctx, ctx->state[0]);
		return BPF_IO_URING_DROP;
	}
	iou_prep_rw(&sqe, IORING_OP_READ, sqes[0].fd,
		    sqes[0].addr + ctx->state[0], wanted - ctx->state[0], 0,
		    sqes[0].user_data);
	iou_issue(ctx, &sqe);
	return BPF_IO_URING_DROP;
}

/* Issue the SQEs of the test, each after the completion of the previous one. */
SEC("iouring")
int chain_one_by_one(struct bpf_io_uring_ctx *ctx)
{
	__u32 n = nr_events;

	iou_log_event(ctx);
	if (n < nr_sqes && n < IOU_MAX_SQES)
		iou_issue(ctx, &sqes[n]);
	return BPF_IO_URING_DEFAULT;
}
