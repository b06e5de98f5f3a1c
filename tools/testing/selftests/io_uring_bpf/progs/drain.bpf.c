// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* flags of bpf_io_uring_issue(), by SQE */
__u64 flags[IOU_MAX_SQES];
/* linked behind the flow on request */
struct io_uring_sqe linked;
__u32 do_link;
__s32 link_ret;
/* verdict of the first event of a flow */
__u32 verdict;

static __always_inline void drain_issue(struct bpf_io_uring_ctx *ctx,
					__u64 from, __u64 nr)
{
	__u32 i;

	bpf_for(i, 0, IOU_MAX_SQES) {
		__u64 n = from + i;

		if (i >= nr || n >= IOU_MAX_SQES)
			break;
		rets[n] = bpf_io_uring_issue(ctx, &sqes[n], sizeof(sqes[n]),
					     flags[n]);
	}
}

/*
 * state[0]: first SQE, state[1]: number of SQEs at first, state[2]: number of
 * SQEs after a completion
 */
SEC("iouring")
int drain_flow(struct bpf_io_uring_ctx *ctx)
{
	__u64 from = ctx->state[0], nr = ctx->state[1], more = ctx->state[2];

	iou_log_event(ctx);
	if (ctx->event == BPF_IO_URING_CANCEL)
		return BPF_IO_URING_DEFAULT;
	if (iou_is_child(ctx)) {
		ctx->state[2] = 0;
		drain_issue(ctx, from + nr, more);
		/* the flow must not fail with its last child */
		ctx->res = 0;
		return BPF_IO_URING_DEFAULT;
	}
	drain_issue(ctx, from, nr);
	if (do_link)
		link_ret = bpf_io_uring_link(ctx, &linked, sizeof(linked), 0);
	return iou_verdict(verdict);
}

/* Issue sqes[0] endlessly. */
SEC("iouring")
int drain_endless(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (ctx->event != BPF_IO_URING_CANCEL)
		rets[0] = iou_issue(ctx, &sqes[0]);
	return BPF_IO_URING_DEFAULT;
}
