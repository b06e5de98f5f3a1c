// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Issue the SQEs of the test, and let the flow end on its own. */
SEC("iouring")
int cancel_issue(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Issue sqes[0], and again whenever it was cancelled. */
SEC("iouring")
int cancel_retry(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx) || ctx->res == -ECANCELED)
		rets[0] = iou_issue(ctx, &sqes[0]);
	return BPF_IO_URING_DEFAULT;
}

/* Issue sqes[0], and the others after its completion. */
SEC("iouring")
int cancel_later(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	iou_log_event(ctx);
	if (iou_is_start(ctx)) {
		rets[0] = iou_issue(ctx, &sqes[0]);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->user_data != sqes[0].user_data)
		return BPF_IO_URING_DEFAULT;
	bpf_for(i, 1, IOU_MAX_SQES) {
		if (i >= nr_sqes)
			break;
		rets[i] = iou_issue(ctx, &sqes[i]);
	}
	return BPF_IO_URING_DEFAULT;
}
