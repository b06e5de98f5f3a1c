// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"
#include "mode_post.h"

char LICENSE[] SEC("license") = "GPL";

#define MAX_POSTS	20

struct mode_post posts[MAX_POSTS];
__u32 post_sizes[MAX_POSTS];
__s32 post_rets[MAX_POSTS];
__u32 nr_posts;

/* verdict of the completion of sqes[i] */
__u32 verdicts[IOU_MAX_SQES];
__u32 new_res[IOU_MAX_SQES];
__u32 nr_again;
__s32 again_ret;

/* task of each event */
__u32 tids[IOU_MAX_EVENTS];

__u32 stop;
__u64 nr_runs;
/* number of runs, by parity of the flow's user_data */
__u64 runs_of[2];

static __always_inline void mode_log(struct bpf_io_uring_ctx *ctx)
{
	__u32 n = nr_events;

	if (n < IOU_MAX_EVENTS)
		tids[n] = bpf_get_current_pid_tgid();
	iou_log_event(ctx);
}

/* Post the CQEs of the test at the first event. */
SEC("iouring")
int mode_post(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	mode_log(ctx);
	if (iou_is_child(ctx))
		return BPF_IO_URING_DEFAULT;
	bpf_for(i, 0, MAX_POSTS) {
		struct mode_post post = posts[i];

		if (i >= nr_posts)
			break;
		if (post_sizes[i] == sizeof(post))
			post_rets[i] = bpf_io_uring_post_cqe(ctx, &post,
							     sizeof(post));
		else
			post_rets[i] = bpf_io_uring_post_cqe(ctx, &post, 16);
	}
	return BPF_IO_URING_DEFAULT;
}

static __always_inline int mode_told(struct bpf_io_uring_ctx *ctx, __u32 i)
{
	if (i >= IOU_MAX_SQES)
		return BPF_IO_URING_DEFAULT;
	if (new_res[i])
		ctx->res = new_res[i];
	return verdicts[i] & 3;
}

static __always_inline void mode_step(struct bpf_io_uring_ctx *ctx)
{
	__u32 i = ctx->state[0];

	if (i < nr_sqes && i < IOU_MAX_SQES)
		rets[i] = iou_issue(ctx, &sqes[i]);
	else
		bpf_io_uring_complete(ctx, 0);
}

/* Issue sqes[] one after the other. state[0]: index of the one in flight */
static __always_inline int mode_all_steps(struct bpf_io_uring_ctx *ctx)
{
	int ret = BPF_IO_URING_DEFAULT;

	mode_log(ctx);
	if (!iou_is_start(ctx)) {
		ret = mode_told(ctx, ctx->state[0]);
		if (iou_is_child(ctx) && nr_again) {
			nr_again--;
			again_ret = bpf_io_uring_again(ctx, sqes[0].off,
						       sqes[0].addr,
						       sqes[0].len);
			if (!again_ret)
				return ret;
		}
		ctx->state[0]++;
	}
	mode_step(ctx);
	return ret;
}

SEC("iouring")
int mode_steps(struct bpf_io_uring_ctx *ctx)
{
	return mode_all_steps(ctx);
}

SEC("iouring.s")
int mode_steps_sleepable(struct bpf_io_uring_ctx *ctx)
{
	return mode_all_steps(ctx);
}

/* Issue all SQEs at once. */
SEC("iouring")
int mode_batch(struct bpf_io_uring_ctx *ctx)
{
	mode_log(ctx);
	if (!iou_is_child(ctx)) {
		iou_issue_all(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	return mode_told(ctx, ctx->user_data - sqes[0].user_data);
}

/* Issue sqes[0], and link sqes[1] after its completion. */
SEC("iouring")
int mode_link(struct bpf_io_uring_ctx *ctx)
{
	if (iou_is_start(ctx))
		rets[0] = iou_issue(ctx, &sqes[0]);
	else
		rets[1] = bpf_io_uring_link(ctx, &sqes[1], sizeof(sqes[1]), 0);
	return BPF_IO_URING_DEFAULT;
}

/* Watch, and change nothing. */
SEC("iouring")
int mode_watch(struct bpf_io_uring_ctx *ctx)
{
	mode_log(ctx);
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int mode_drop(struct bpf_io_uring_ctx *ctx)
{
	return BPF_IO_URING_DROP;
}

/* Issue sqes[0] repeatedly until told to stop. */
SEC("iouring")
int mode_endless(struct bpf_io_uring_ctx *ctx)
{
	__sync_fetch_and_add(&nr_runs, 1);
	runs_of[ctx->flow_user_data & 1]++;
	if (stop)
		bpf_io_uring_complete(ctx, 0);
	else
		iou_issue(ctx, &sqes[0]);
	return BPF_IO_URING_DEFAULT;
}

/* state[0]: fd, [1]: buffer, [2]: bytes to go, [3]: bytes read so far */
static __always_inline int mode_read_all(struct bpf_io_uring_ctx *ctx,
					 bool again)
{
	__u64 fd = ctx->state[0];
	struct io_uring_sqe sqe;

	mode_log(ctx);
	if (!iou_is_start(ctx)) {
		if (ctx->res <= 0) {
			bpf_io_uring_complete(ctx, ctx->res);
			return BPF_IO_URING_DEFAULT;
		}
		ctx->state[3] += ctx->res;
	}
	if (ctx->state[3] >= ctx->state[2]) {
		bpf_io_uring_complete(ctx, ctx->state[3]);
		return BPF_IO_URING_DEFAULT;
	}
	if (again && iou_is_child(ctx)) {
		again_ret = bpf_io_uring_again(ctx, ctx->state[3],
					       ctx->state[1] + ctx->state[3],
					       4096);
		return BPF_IO_URING_DEFAULT;
	}
	iou_prep_rw(&sqe, IORING_OP_READ, fd, ctx->state[1] + ctx->state[3],
		    4096, ctx->state[3], ctx->state[3]);
	iou_issue(ctx, &sqe);
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int mode_read(struct bpf_io_uring_ctx *ctx)
{
	return mode_read_all(ctx, false);
}

SEC("iouring")
int mode_read_again(struct bpf_io_uring_ctx *ctx)
{
	return mode_read_all(ctx, true);
}
