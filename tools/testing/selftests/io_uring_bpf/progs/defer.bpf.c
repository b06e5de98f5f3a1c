// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"


char LICENSE[] SEC("license") = "GPL";

/*
 * Issue sqes[0] to sqes[nr_sqes - 1] repeatedly, one after the other, state[0]
 * times in total. End with the number of completions. A timeout counts as
 * success.
 */
SEC("iouring")
int defer_hop(struct bpf_io_uring_ctx *ctx)
{
	__u64 next = ctx->state[2];

	iou_log_event(ctx);
	if (!iou_is_start(ctx)) {
		if (ctx->res < 0 && ctx->res != -ETIME)
			return BPF_IO_URING_DEFAULT;
		ctx->state[1]++;
	}
	if (ctx->state[1] == ctx->state[0]) {
		bpf_io_uring_complete(ctx, ctx->state[1]);
		return BPF_IO_URING_DEFAULT;
	}
	if (next >= IOU_MAX_SQES)
		return BPF_IO_URING_DEFAULT;
	iou_issue(ctx, &sqes[next]);
	ctx->state[2] = next + 1 < nr_sqes ? next + 1 : 0;
	return BPF_IO_URING_DEFAULT;
}
