// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"
#include "again_step.h"

char LICENSE[] SEC("license") = "GPL";

struct again_step steps[AGAIN_MAX_STEPS];
__u32 nr_steps;
__u32 nr_posted;

__u32 verbs;
__s32 verb_rets[AGAIN_NR_VERBS];
__s32 end_res;

/* no file that has offsets */
__u32 stream;

__u64 nr_runs;
__u32 nr_watched;

static __always_inline int again_step(struct bpf_io_uring_ctx *ctx,
				      struct again_step *step)
{
	__u32 i;

	if (step->user_data)
		ctx->user_data = step->user_data;
	if (step->cflags)
		ctx->cflags = step->cflags;
	bpf_for(i, 0, step->posts) {
		if (!iou_post_cqe(ctx, AGAIN_MARKER + nr_posted, 0, 0))
			nr_posted++;
	}
	step->ret = bpf_io_uring_again(ctx, step->off, step->addr, step->len);
	return step->verdict & 3;
}

/* Each completion of a child takes the next step, as long as there is one. */
SEC("iouring")
int again_steps(struct bpf_io_uring_ctx *ctx)
{
	__u64 n = ctx->state[0];

	iou_log_event(ctx);
	if (!iou_is_child(ctx)) {
		iou_issue_all(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	if (n >= nr_steps || n >= AGAIN_MAX_STEPS)
		return BPF_IO_URING_DEFAULT;
	ctx->state[0] = n + 1;
	return again_step(ctx, &steps[n]);
}

/* Watches, and is to see nothing. */
SEC("iouring")
int again_watch(struct bpf_io_uring_ctx *ctx)
{
	__sync_fetch_and_add(&nr_watched, 1);
	return BPF_IO_URING_POST;
}

static __always_inline int again_try_all(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	bpf_for(i, 0, AGAIN_MAX_STEPS) {
		if (i >= nr_steps)
			break;
		again_step(ctx, &steps[i]);
	}
	return BPF_IO_URING_DEFAULT;
}

/* Tries all steps in its first run, whatever that is for. */
SEC("iouring")
int again_at_first(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	return nr_events == 1 ? again_try_all(ctx) : BPF_IO_URING_DEFAULT;
}

/* Tries all steps at the completion of a child, every time. */
SEC("iouring")
int again_at_child(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_child(ctx))
		return again_try_all(ctx);
	iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* At the first completion of a child, issues sqes[0] before. Later not a thing. */
SEC("iouring")
int again_verbs(struct bpf_io_uring_ctx *ctx)
{
	struct again_step *step = &steps[0];

	iou_log_event(ctx);
	if (!iou_is_child(ctx)) {
		iou_issue(ctx, &sqes[0]);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->state[0]++)
		return BPF_IO_URING_DEFAULT;
	if (verbs & AGAIN_COMPLETE_FIRST)
		verb_rets[0] = bpf_io_uring_complete(ctx, end_res);
	if (verbs & AGAIN_ISSUE_FIRST)
		verb_rets[1] = iou_issue(ctx, &sqes[1]);
	if (verbs & AGAIN_AGAIN)
		verb_rets[2] = bpf_io_uring_again(ctx, step->off, step->addr,
						  step->len);
	if (verbs & AGAIN_TWICE)
		verb_rets[3] = bpf_io_uring_again(ctx, step->off, step->addr,
						  step->len);
	if (verbs & AGAIN_ISSUE)
		verb_rets[4] = iou_issue(ctx, &sqes[1]);
	if (verbs & AGAIN_COMPLETE)
		verb_rets[5] = bpf_io_uring_complete(ctx, end_res);
	return BPF_IO_URING_DEFAULT;
}

/* state[0]: NOPs yet to come, which becomes their result; state[1]: sum of all */
SEC("iouring")
int again_sum(struct bpf_io_uring_ctx *ctx)
{
	__s64 left = ctx->state[0];

	if (iou_is_start(ctx)) {
		iou_issue(ctx, &sqes[0]);
		return BPF_IO_URING_DEFAULT;
	}
	ctx->state[1] += ctx->res;
	if (!left || bpf_io_uring_again(ctx, 0, 0, left))
		bpf_io_uring_complete(ctx, ctx->state[1]);
	ctx->state[0] = left - 1;
	return BPF_IO_URING_DEFAULT;
}

/* A child's user_data says how often it is to be issued. state[0]: all of them */
SEC("iouring")
int again_countdown(struct bpf_io_uring_ctx *ctx)
{
	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	ctx->state[0]++;
	ctx->user_data--;
	if (ctx->user_data)
		bpf_io_uring_again(ctx, 0, 0, 0);
	else if (!ctx->nr_children)
		bpf_io_uring_complete(ctx, ctx->state[0]);
	return BPF_IO_URING_DEFAULT;
}

/*
 * state[0]: where it goes on, state[1]: in how large pieces, state[2]: address,
 * state[3]: where it ends, if that is not the end of the file
 */
SEC("iouring")
int again_read_all(struct bpf_io_uring_ctx *ctx)
{
	int ret;

	iou_log_event(ctx);
	if (iou_is_start(ctx)) {
		iou_issue(ctx, &sqes[0]);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->res <= 0) {
		bpf_io_uring_complete(ctx, ctx->res ?: ctx->state[0]);
		return BPF_IO_URING_DEFAULT;
	}
	ctx->state[0] += ctx->res;
	ret = ctx->state[0];
	if (ctx->state[0] != ctx->state[3])
		ret = bpf_io_uring_again(ctx, stream ? 0 : ctx->state[0],
					 ctx->state[2] + ctx->state[0],
					 ctx->state[1]);
	if (ret)
		bpf_io_uring_complete(ctx, ret);
	return BPF_IO_URING_DEFAULT;
}

/* state[0]: how much there is at state[1] to be sent, state[2]: has been sent */
SEC("iouring")
int again_send_all(struct bpf_io_uring_ctx *ctx)
{
	int ret = ctx->res;

	iou_log_event(ctx);
	if (iou_is_start(ctx)) {
		iou_issue(ctx, &sqes[0]);
		return BPF_IO_URING_DEFAULT;
	}
	if (ret > 0) {
		ctx->state[2] += ret;
		ret = ctx->state[2];
		if (ctx->state[2] < ctx->state[0])
			ret = bpf_io_uring_again(ctx, 0,
						 ctx->state[1] + ctx->state[2],
						 ctx->state[0] - ctx->state[2]);
		if (!ret)
			return BPF_IO_URING_DEFAULT;
	}
	bpf_io_uring_complete(ctx, ret);
	return BPF_IO_URING_DEFAULT;
}

/* Has no end, whatever becomes of sqes[0]. */
SEC("iouring")
int again_spin(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	if (iou_is_start(ctx))
		iou_issue(ctx, &sqes[0]);
	else
		bpf_io_uring_again(ctx, sqes[0].off, sqes[0].addr, sqes[0].len);
	return BPF_IO_URING_DEFAULT;
}
