// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Issues what the test filled in, and takes whatever comes of it. */
SEC("iouring")
int fault_issue(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (!iou_is_child(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* The same, with each child issued again as long as it goes well. */
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

/* The same request over and over. rets[0]: what it has ended with. */
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

/* One request after the other. rets[0]: why there is none any more. */
SEC("iouring")
int fault_hop(struct bpf_io_uring_ctx *ctx)
{
	nr_events++;
	if (ctx->res >= 0)
		rets[0] = iou_issue(ctx, &sqes[0]);
	return BPF_IO_URING_DEFAULT;
}

/*
 * Two requests that are linked, two more for the application, and one behind the
 * flow.
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
