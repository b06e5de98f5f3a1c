// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"
#include "edit_step.h"

char LICENSE[] SEC("license") = "GPL";

struct edit_step steps[EDIT_MAX_STEPS];
__u32 nr_steps;
struct edit_member members[EDIT_MAX_MEMBERS];
__u32 nr_members;
__u32 nr_wrong;

static __always_inline void edit_look(struct bpf_io_uring_ctx *ctx, __u32 event)
{
	struct bpf_iter_io_uring_chain it;
	union bpf_io_uring_member *m;

	bpf_iter_io_uring_chain_new(&it, ctx);
	while ((m = bpf_iter_io_uring_chain_next(&it))) {
		__u32 n = nr_members;

		nr_members = n + 1;
		if (n >= EDIT_MAX_MEMBERS)
			continue;
		members[n].user_data = m->user_data;
		members[n].event = event;
		members[n].index = m->index;
		members[n].flags = m->flags;
		members[n].opcode = m->opcode;
	}
	bpf_iter_io_uring_chain_destroy(&it);
}

static __always_inline int edit_do(struct bpf_io_uring_ctx *ctx,
				   struct edit_step *s)
{
	__u32 arg = s->arg;

	switch (s->verb) {
	case EDIT_DROP:
		return bpf_io_uring_drop(ctx, arg, s->flags);
	case EDIT_UNLINK:
		return bpf_io_uring_unlink(ctx, arg, s->flags);
	case EDIT_LINK:
		if (arg >= IOU_MAX_SQES)
			return -1;
		return bpf_io_uring_link(ctx, &sqes[arg], sizeof(sqes[arg]),
					 s->flags);
	case EDIT_ISSUE:
		if (arg >= IOU_MAX_SQES)
			return -1;
		return bpf_io_uring_issue(ctx, &sqes[arg], sizeof(sqes[arg]),
					  s->flags);
	case EDIT_COMPLETE:
		return bpf_io_uring_complete(ctx, arg);
	case EDIT_POST:
		return iou_post_cqe(ctx, arg, 0, 0);
	}
	return -1;
}

static __always_inline int edit_run(struct bpf_io_uring_ctx *ctx)
{
	__u32 i, event = nr_events, verdict = BPF_IO_URING_DEFAULT;

	edit_look(ctx, event);
	iou_log_event(ctx);
	bpf_for(i, 0, EDIT_MAX_STEPS) {
		struct edit_step *s = &steps[i];

		if (i >= nr_steps)
			break;
		if (s->event != event)
			continue;
		if (s->verb == EDIT_VERDICT)
			verdict = s->arg;
		else
			s->ret = edit_do(ctx, s);
	}
	return iou_verdict(verdict);
}

SEC("iouring")
int edit(struct bpf_io_uring_ctx *ctx)
{
	return edit_run(ctx);
}

SEC("iouring.s")
int edit_sleepable(struct bpf_io_uring_ctx *ctx)
{
	return edit_run(ctx);
}

/*
 * The same edits for many flows: drop the first member, unlink the second one,
 * and link sqes[0] before the rest.
 */
SEC("iouring")
int edit_each(struct bpf_io_uring_ctx *ctx)
{
	if (bpf_io_uring_drop(ctx, 0, 0) || bpf_io_uring_unlink(ctx, 1, 0) ||
	    bpf_io_uring_link(ctx, &sqes[0], sizeof(sqes[0]), 0))
		nr_wrong++;
	nr_events++;
	return BPF_IO_URING_DEFAULT;
}

/* Drop all members. */
SEC("iouring")
int edit_drop_all(struct bpf_io_uring_ctx *ctx)
{
	if (bpf_io_uring_drop(ctx, 0, BPF_IO_URING_REST))
		nr_wrong++;
	nr_events++;
	return BPF_IO_URING_DEFAULT;
}

/* Link sqes[0] up to the limit, and wait for a child: sqes[1]. */
SEC("iouring")
int edit_link_many(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	if (nr_events++ == 0)
		bpf_io_uring_issue(ctx, &sqes[1], sizeof(sqes[1]), 0);
	bpf_for(i, 0, EDIT_MAX_STEPS) {
		rets[0] = bpf_io_uring_link(ctx, &sqes[0], sizeof(sqes[0]), 0);
		if (rets[0])
			break;
		nr_sqes++;
	}
	/* without this, the flow fails with the error, and cuts the chain */
	if (!i) {
		if (!ctx->nr_children)
			bpf_io_uring_complete(ctx, 0);
		return BPF_IO_URING_DEFAULT;
	}
	bpf_io_uring_issue(ctx, &sqes[2], sizeof(sqes[2]), 0);
	return BPF_IO_URING_DEFAULT;
}

/*
 * The same for several children with sqes[1] that complete together: a run sees
 * no member that another run has linked.
 */
SEC("iouring")
int edit_link_together(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	if (nr_events++ == 0) {
		bpf_for(i, 0, EDIT_MAX_STEPS)
			bpf_io_uring_issue(ctx, &sqes[1], sizeof(sqes[1]), 0);
		return BPF_IO_URING_DEFAULT;
	}
	bpf_for(i, 0, EDIT_MAX_STEPS) {
		rets[0] = bpf_io_uring_link(ctx, &sqes[0], sizeof(sqes[0]), 0);
		if (rets[0])
			break;
		nr_sqes++;
	}
	if (!ctx->nr_children)
		bpf_io_uring_complete(ctx, 0);
	return BPF_IO_URING_DEFAULT;
}

/* Use a wrong size of the SQE. */
SEC("iouring")
int edit_link_size(struct bpf_io_uring_ctx *ctx)
{
	rets[0] = bpf_io_uring_link(ctx, &sqes[0], sizeof(sqes[0]) - 1, 0);
	rets[1] = bpf_io_uring_link(ctx, &sqes[0], 2 * sizeof(sqes[0]), 0);
	return BPF_IO_URING_DEFAULT;
}
