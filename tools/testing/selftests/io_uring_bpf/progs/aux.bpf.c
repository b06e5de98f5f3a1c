// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"
#include "aux_step.h"

char LICENSE[] SEC("license") = "GPL";

/* actions at each event, none if 0 */
struct aux_step steps[IOU_MAX_EVENTS];
/* verdict of AUX and COMPLETE, unless the step has its own */
__u32 verdict;
/* issue sqes[0] again after it has ended without an error */
__u32 renew;

__u32 nr_aux;
__u32 nr_complete;
__u32 nr_cancel;
__u64 sum;
/* ids of provided buffers, in order of arrival */
__u32 buf_ids[IOU_MAX_EVENTS];
__u32 nr_bufs;

__s32 renew_ret;
__s32 issue_ret;
__s32 again_ret;
__s32 complete_ret;
__s32 post_ret;

static __always_inline void aux_count(struct bpf_io_uring_ctx *ctx)
{
	__u32 n = nr_bufs;

	if (ctx->event == BPF_IO_URING_AUX)
		nr_aux++;
	else if (ctx->event == BPF_IO_URING_COMPLETE)
		nr_complete++;
	else if (ctx->event == BPF_IO_URING_CANCEL)
		nr_cancel++;
	if (ctx->res > 0)
		sum += ctx->res;
	if (n < IOU_MAX_EVENTS && (ctx->cflags & IORING_CQE_F_BUFFER)) {
		buf_ids[n] = ctx->cflags >> 16;
		nr_bufs = n + 1;
	}
}

static __always_inline void aux_do(struct bpf_io_uring_ctx *ctx,
				   const struct aux_step *step)
{
	__u32 i, n = step->issue;

	bpf_for(i, 0, step->cqes) {
		post_ret = iou_post_cqe(ctx, AUX_MARKER + i, i, 0);
	}
	if (n && n < IOU_MAX_SQES)
		issue_ret = iou_issue(ctx, &sqes[n]);
	if (step->again)
		again_ret = bpf_io_uring_again(ctx, 0, 0, 0);
	if (step->change)
		ctx->cflags = 0;
	if (step->end)
		complete_ret = bpf_io_uring_complete(ctx, step->end);
}

static __always_inline int aux_run(struct bpf_io_uring_ctx *ctx)
{
	const struct aux_step *step;
	__u32 n = nr_events;

	iou_log_event(ctx);
	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	aux_count(ctx);
	if (renew && ctx->event == BPF_IO_URING_COMPLETE && ctx->res >= 0 &&
	    ctx->user_data == sqes[0].user_data)
		renew_ret = iou_issue(ctx, &sqes[0]);
	if (n >= IOU_MAX_EVENTS)
		return iou_verdict(verdict);
	step = &steps[n];
	aux_do(ctx, step);
	return iou_verdict(step->verdict ? : verdict);
}

SEC("iouring")
int aux_flow(struct bpf_io_uring_ctx *ctx)
{
	return aux_run(ctx);
}

SEC("iouring.s")
int aux_flow_s(struct bpf_io_uring_ctx *ctx)
{
	return aux_run(ctx);
}
