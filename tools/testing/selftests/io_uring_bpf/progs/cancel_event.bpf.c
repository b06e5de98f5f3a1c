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

/* of cancel_completed: the event that ends the flow, and the result of the flow */
__u32 end_at;
__s32 end_res;
/* user_data of the cancellation */
__u64 cancel_ud;

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

/*
 * Issue the SQEs of the test. At event end_at, issue a cancellation of the flow as a
 * request of the application, and end the flow.
 */
SEC("iouring")
int cancel_completed(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	iou_log_event(ctx);
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	if (ctx->event == BPF_IO_URING_CANCEL)
		nr_cancel++;
	if (ctx->event != end_at || (ctx->flags & BPF_IO_URING_F_ENDING))
		return BPF_IO_URING_DEFAULT;

	iou_prep_nop(&sqe, cancel_ud);
	sqe.opcode = IORING_OP_ASYNC_CANCEL;
	sqe.addr = ctx->flow_user_data;
	issue_ret = bpf_io_uring_issue(ctx, &sqe, sizeof(sqe),
				       BPF_IO_URING_ISSUE_APP);
	complete_ret = bpf_io_uring_complete(ctx, end_res);
	return BPF_IO_URING_DEFAULT;
}
