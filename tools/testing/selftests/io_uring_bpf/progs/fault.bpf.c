// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Issue the SQEs of the test, and accept any result. */
SEC("iouring")
int fault_issue(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (!iou_is_child(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Post two CQEs for each child. rets[0]: the result of the last two */
SEC("iouring")
int fault_post(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	else
		rets[0] = iou_post_cqe(ctx, 0, 0, 0) ?: iou_post_cqe(ctx, 0, 0, 0);
	return BPF_IO_URING_DEFAULT;
}

/* Issue all SQEs, but reissue each child while it succeeds. */
SEC("iouring")
int fault_again(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (!iou_is_child(ctx))
		iou_issue_all(ctx);
	else if (ctx->res > 0)
		bpf_io_uring_again(ctx, 0, sqes[0].addr, sqes[0].len);
	return BPF_IO_URING_DEFAULT;
}

/* Reissue the same request. rets[0]: its last result */
SEC("iouring")
int fault_hop_again(struct bpf_io_uring_ctx *ctx)
{
	nr_events++;
	if (iou_is_start(ctx))
		iou_issue(ctx, &sqes[0]);
	else if (ctx->res < 0)
		rets[0] = ctx->res;
	else
		bpf_io_uring_again(ctx, 0, sqes[0].addr, sqes[0].len);
	return BPF_IO_URING_DEFAULT;
}

/* Issue one request after the other. rets[0]: the final error */
SEC("iouring")
int fault_hop(struct bpf_io_uring_ctx *ctx)
{
	nr_events++;
	if (ctx->res >= 0)
		rets[0] = iou_issue(ctx, &sqes[0]);
	return BPF_IO_URING_DEFAULT;
}

/*
 * Issue two linked children, two requests of the application, and link one
 * behind the flow.
 */
SEC("iouring")
int fault_chain(struct bpf_io_uring_ctx *ctx)
{
	__u32 size = sizeof(sqes[0]);

	iou_log_event(ctx);
	if (iou_is_child(ctx))
		return BPF_IO_URING_DEFAULT;
	rets[0] = bpf_io_uring_issue(ctx, &sqes[0], size, 0);
	rets[1] = bpf_io_uring_issue(ctx, &sqes[1], size, 0);
	rets[2] = bpf_io_uring_issue(ctx, &sqes[2], size, BPF_IO_URING_ISSUE_APP);
	rets[3] = bpf_io_uring_issue(ctx, &sqes[3], size, BPF_IO_URING_ISSUE_APP);
	rets[4] = bpf_io_uring_link(ctx, &sqes[4], size, 0);
	return BPF_IO_URING_DEFAULT;
}
