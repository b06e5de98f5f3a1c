// SPDX-License-Identifier: GPL-2.0
/*
 * The flush of completions on a ring with BPF programs
 *
 * First the programs run, over all that has completed. Then CQEs are posted and
 * requests freed, as on any ring. Last comes what the programs have asked for,
 * and from the top if that has completed already.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "slist.h"
#include "wait.h"
#include "bpf.h"

/* Is there no room for what a run may post, and for the step of an again()? */
static bool io_bpf_cqes_short(struct io_bpf_ring *br)
{
	return br->nr_cqes > IO_BPF_FLUSH_CQES - IO_BPF_MAX_CQES - 1;
}

/* Returns true if some are left for lack of room. */
static bool io_bpf_run_events(struct io_bpf_ring *br)
{
	struct io_wq_work_list all = br->events;
	struct io_wq_work_node *node, *next;
	bool more = false;

	INIT_WQ_LIST(&br->events);
	for (node = all.first; node; node = next) {
		struct io_kiocb *flow = container_of(node, struct io_kiocb,
						     comp_list);
		bool ending = flow->bpf_flow.flags & IO_BPF_F_ENDING;

		next = node->next;
		if (!ending && current->io_uring != flow->tctx) {
			wq_list_add_tail(node, &br->events);
			io_bpf_queue_tw(flow);
			continue;
		}
		if (io_bpf_cqes_short(br)) {
			wq_list_add_tail(node, &br->events);
			more = true;
			continue;
		}
		flow->bpf_flow.flags &= ~IO_BPF_F_EVENT;
		if (io_bpf_can_run(flow)) {
			io_bpf_run_start(br, flow);
			continue;
		}
		io_bpf_mark_killed(flow);
		io_bpf_settle(flow);
	}
	return more;
}

/*
 * Runs programs over ->compl_reqs, which may grow at its end meanwhile. Returns
 * true if some are left: each run may stage as many CQEs as the other, whatever
 * else is in the batch, so the list is cut where there is no room for one.
 */
static bool io_bpf_run_batch(struct io_bpf_ring *br,
			     struct io_wq_work_list *list,
			     struct io_wq_work_list *post)
{
	struct io_wq_work_node *node;

	while ((node = list->first)) {
		struct io_kiocb *req = container_of(node, struct io_kiocb,
						    comp_list);

		if (req->flags & REQ_F_BPF && !(req->flags & REQ_F_REISSUE)) {
			if (unlikely(io_bpf_cqes_short(br)))
				return true;
			list->first = node->next;
			if (!io_bpf_complete(br, req))
				continue;
		} else {
			list->first = node->next;
		}
		wq_list_add_tail(node, post);
		br->nr_post++;
	}
	return false;
}

/* Posts and frees what a batch has left, and nothing else. */
static void io_bpf_post_batch(struct io_bpf_ring *br,
			      const struct io_wq_work_list *post)
{
	struct io_submit_state *state = &br->ctx->submit_state;
	struct io_wq_work_list rest = state->compl_reqs;

	state->compl_reqs = *post;
	io_bpf_post_completions(br->ctx, br->cqes, br->nr_cqes);
	state->compl_reqs = rest;
}

static bool io_bpf_flush_batch(struct io_bpf_ring *br)
{
	struct io_ring_ctx *ctx = br->ctx;
	struct io_wq_work_list post;
	bool more = false;

	INIT_WQ_LIST(&post);
	br->nr_cqes = 0;
	br->nr_post = 0;
	if (unlikely(br->events.first))
		more = io_bpf_run_events(br);
	if (io_bpf_run_batch(br, &ctx->submit_state.compl_reqs, &post))
		more = true;
	io_bpf_leave(br);

	if (post.first || br->nr_cqes || ctx->submit_state.cq_flush)
		io_bpf_post_batch(br, &post);
	else if (!(ctx->int_flags & IO_RING_F_LOCKLESS_CQ))
		/* io_sync_cancel() waits for a request, not for its CQE */
		io_cqring_wake(ctx);
	return more;
}

/*
 * Stands in for the plain flush on a ring with programs. Called from within a
 * handler it runs programs only. What they stage is for the flush that follows,
 * the handler's caller sees to that.
 *
 * What is issued here is no part of a link that is being assembled, nor of the
 * batch that a plug was meant for.
 */
void io_bpf_flush_completions(struct io_ring_ctx *ctx)
{
	struct io_submit_state *state = &ctx->submit_state;
	struct io_kiocb *head = state->link.head;
	struct io_bpf_ring *br = ctx->bpf_ring;
	bool more, need_plug = state->need_plug;

	lockdep_assert_held(&ctx->uring_lock);

	state->link.head = NULL;
	state->need_plug = false;
	br->tctx = io_bpf_may_run(ctx, current->io_uring) ?
		   current->io_uring : NULL;
	do {
		more = io_bpf_flush_batch(br);
		if (!br->nested)
			io_bpf_apply(br);
		/* an opcode may have posted CQEs in place, those want a commit */
	} while (more || !wq_list_empty(&state->compl_reqs) || state->cq_flush);
	state->link.head = head;
	state->need_plug = need_plug;
}
