// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* verdict of the event, and number of CQEs to post */
__u32 verdict;
__u32 nr_cqes;

__s32 issue_ret;
__s32 again_ret;
__s32 complete_ret;
__s32 post_ret;
__u32 nr_cancel;

/* Count in the state, and try all kfuncs on CANCEL. */
SEC("iouring")
int cancel_event(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;
	__u32 i;

	iou_log_event(ctx);
	ctx->state[0]++;
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	if (ctx->event != BPF_IO_URING_CANCEL)
		return BPF_IO_URING_DEFAULT;

	nr_cancel++;
	iou_prep_nop(&sqe, 1);
	issue_ret = iou_issue(ctx, &sqe);
	again_ret = bpf_io_uring_again(ctx, 0, 0, 0);
	complete_ret = bpf_io_uring_complete(ctx, 5);
	bpf_for(i, 0, nr_cqes) {
		post_ret = iou_post_cqe(ctx, ctx->flow_user_data + 1 + i,
					ctx->state[0], 0);
	}
	ctx->user_data = 0;
	ctx->res = 0;
	return verdict & 3;
}
