// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* end the flow with 7 at START, after all SQEs of the test were issued */
__u32 stop_at_start;
/* or at the completion with this user_data */
__u64 stop_at;
/* or at the first completion, with the result of the child */
__u32 stop_at_first;
/* verdict of completions of a flow that is ending */
__u32 end_verdict;
/*
 * Issue this SQE on CANCEL, or on such completions: a close gets the result of the
 * completion as its file descriptor.
 */
struct io_uring_sqe late;
__u32 late_on_cancel;
__s32 late_rets[IOU_MAX_EVENTS];
__s32 again_ret;
__u32 nr_late;

/* loops of each run for such a completion, to make it slow */
__u32 spin;
__u64 sum;

static __always_inline void end_issue_late(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;
	__u32 n = nr_late;

	if (!late.user_data || n >= IOU_MAX_EVENTS ||
	    !late_on_cancel != (ctx->event == BPF_IO_URING_COMPLETE))
		return;
	sqe = late;
	if (ctx->event == BPF_IO_URING_COMPLETE && sqe.opcode == IORING_OP_CLOSE)
		sqe.fd = ctx->res;
	late_rets[n] = iou_issue(ctx, &sqe);
	again_ret = bpf_io_uring_again(ctx, 0, 0, 0);
	nr_late = n + 1;
}

SEC("iouring")
int end_as_told(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	iou_log_event(ctx);
	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		if (stop_at_start)
			bpf_io_uring_complete(ctx, 7);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->event == BPF_IO_URING_CANCEL || (ctx->flags & BPF_IO_URING_F_ENDING)) {
		end_issue_late(ctx);
		bpf_for(i, 0, spin)
			sum += i;
		return iou_verdict(end_verdict);
	}
	if (ctx->user_data == stop_at)
		bpf_io_uring_complete(ctx, 7);
	else if (stop_at_first)
		bpf_io_uring_complete(ctx, ctx->res);
	return BPF_IO_URING_DEFAULT;
}

/*
 * End the flow at START. Each of its completions takes all the time of the task, and the
 * first one of the second flow issues a request.
 */
SEC("iouring.s")
int end_slowly(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		bpf_io_uring_complete(ctx, 7);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->state[0] && !nr_late)
		end_issue_late(ctx);
	bpf_for(i, 0, spin)
		sum += i;
	return BPF_IO_URING_DEFAULT;
}
