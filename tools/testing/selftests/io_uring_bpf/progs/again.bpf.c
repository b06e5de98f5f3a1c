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

/* the file has no offsets */
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

/* Perform the next step at each completion of a child, while there is one. */
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

/* Watch requests, and expect to see none. */
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

/* Try all steps in the first run, regardless of its event. */
SEC("iouring")
int again_at_first(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	return nr_events == 1 ? again_try_all(ctx) : BPF_IO_URING_DEFAULT;
}

/* Try all steps at each completion of a child. */
SEC("iouring")
int again_at_child(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_child(ctx))
		return again_try_all(ctx);
	iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Issue sqes[0] at the first completion of a child, and nothing later. */
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

/*
 * state[0]: NOPs to go, which becomes the result; state[1]: sum of all results
 */
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

/* The user_data of a child is its number of reissues. state[0]: total */
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
 * state[0]: offset, state[1]: size of a piece, state[2]: address, state[3]:
 * end, if not the end of the file
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

/* Send state[0] bytes at address state[1]. state[2]: bytes sent */
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

/* Reissue sqes[0] endlessly, whatever its result. */
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
