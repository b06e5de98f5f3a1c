// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define MARKER	0x3a24e4

/* verdict, and values for the CQE if change is set */
__u32 verdict;
__u32 change;
__u64 new_user_data;
__s32 new_res;
__u32 new_cflags;

/* number of CQEs to post first, with user_data MARKER + n, n counts all */
__u32 nr_posts;
__u32 nr_posted;
__s32 post_ret;

__s32 ret_issue;
__s32 ret_complete;

/* number of runs of the other programs */
__u32 nr_other;
__u32 nr_flow;
/* runs of the flow's program for events of other requests */
__u32 nr_wrong;

static __always_inline int match_run(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	iou_log_event(ctx);
	bpf_for(i, 0, nr_posts) {
		post_ret = iou_post_cqe(ctx, MARKER + nr_posted, i, i << 16);
		if (!post_ret)
			nr_posted++;
	}
	if (change) {
		ctx->user_data = new_user_data;
		ctx->res = new_res;
		ctx->cflags = new_cflags;
	}
	/* no later run must find these */
	ctx->state[0] = ~0ULL;
	ctx->state[1] = ~0ULL;
	ctx->state[2] = ~0ULL;
	ctx->state[3] = ~0ULL;
	return iou_verdict(verdict);
}

SEC("iouring")
int match_as_told(struct bpf_io_uring_ctx *ctx)
{
	return match_run(ctx);
}

SEC("iouring.s")
int match_as_told_s(struct bpf_io_uring_ctx *ctx)
{
	return match_run(ctx);
}

/* Neither write to the context nor read state[]. */
SEC("iouring")
int match_plain(struct bpf_io_uring_ctx *ctx)
{
	__u32 i, n = nr_events;

	nr_events = n + 1;
	if (n < IOU_MAX_EVENTS) {
		events[n].user_data = ctx->user_data;
		events[n].res = ctx->res;
		events[n].cflags = ctx->cflags;
		events[n].event = ctx->event;
		events[n].opcode = ctx->opcode;
		events[n].flags = ctx->flags;
	}
	bpf_for(i, 0, nr_posts) {
		post_ret = iou_post_cqe(ctx, MARKER + nr_posted, i, i << 16);
		if (!post_ret)
			nr_posted++;
	}
	if (nr_sqes)
		ret_issue = bpf_io_uring_issue(ctx, &sqes[0], sizeof(sqes[0]),
					       BPF_IO_URING_ISSUE_APP);
	return iou_verdict(verdict);
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tail SEC(".maps");

/* Tail-call a program of the test, which may use all of the context. */
SEC("iouring")
int match_tail(struct bpf_io_uring_ctx *ctx)
{
	bpf_tail_call(ctx, &tail, 0);
	return BPF_IO_URING_DEFAULT;
}

/* Leave a mark in the CQE. */
SEC("iouring")
int match_other(struct bpf_io_uring_ctx *ctx)
{
	nr_other++;
	ctx->cflags = 0xbb << 16;
	return BPF_IO_URING_DEFAULT;
}

/* Call all kfuncs that require a flow. */
SEC("iouring")
int match_verbs(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	ret_issue = iou_issue(ctx, &sqes[0]);
	ret_complete = bpf_io_uring_complete(ctx, 42);
	return BPF_IO_URING_DEFAULT;
}

/* A program of a flow: issue the SQEs of the test, and count. */
SEC("iouring")
int match_flow(struct bpf_io_uring_ctx *ctx)
{
	nr_flow++;
	if (ctx->flags & BPF_IO_URING_F_MATCH)
		nr_wrong++;
	if (!iou_is_child(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Drop every other CQE. */
SEC("iouring")
int match_drop_odd(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	return ctx->user_data & 1 ? BPF_IO_URING_DROP : BPF_IO_URING_DEFAULT;
}

/* Pass the contents of the buffer in the CQE. */
SEC("iouring")
int match_buf(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *p = bpf_io_uring_buf_data(ctx, 0, 0, 4);

	iou_log_event(ctx);
	if (p)
		ctx->res = *(const __u32 *)p;
	return BPF_IO_URING_DEFAULT;
}
