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
#include "bpf.h"
#include "bpf_run.h"

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
			cond_resched();
			continue;
		}
		io_bpf_mark_killed(flow);
		io_bpf_settle(flow);
	}
	return more;
}

/*
 * Returns true if the request remains in the batch, to be posted or freed. It
 * may come here once more to be freed, so REQ_F_BPF goes.
 */
static bool io_bpf_complete(struct io_bpf_ring *br, struct io_kiocb *req)
{
	req->flags &= ~REQ_F_BPF;
	if (likely(req->bpf_id < IO_BPF_ID_MATCH))
		return io_bpf_child_complete(br, req);
	if (req->bpf_id & IO_BPF_ID_MATCH)
		return io_bpf_match_complete(br, req);
	return io_bpf_pred_complete(br, req);
}

/*
 * Runs programs over ->compl_reqs, which may grow at its end meanwhile. Returns
 * true if some are left: each run may stage as many CQEs as the other, whatever
 * else is in the batch, so the list is cut where there is no room for one.
 */
static bool io_bpf_run_batch(struct io_bpf_ring *br,
			     struct io_wq_work_list *list)
{
	struct io_wq_work_node *node;

	while ((node = list->first)) {
		struct io_kiocb *req = container_of(node, struct io_kiocb,
						    comp_list);

		if ((req->flags & REQ_F_BPF) && !(req->flags & REQ_F_REISSUE)) {
			if (unlikely(io_bpf_cqes_short(br)))
				return true;
			if (unlikely(need_resched())) {
				io_bpf_leave(br);
				cond_resched();
			}
			list->first = node->next;
			if (!io_bpf_complete(br, req))
				continue;
		} else {
			list->first = node->next;
		}
		io_bpf_add_post(br, req);
	}
	return false;
}

/* Posts and frees what the programs have left, and nothing else. */
static void io_bpf_post_batch(struct io_bpf_ring *br)
{
	struct io_submit_state *state = &br->ctx->submit_state;
	struct io_wq_work_list rest = state->compl_reqs;

	state->compl_reqs = br->post;
	io_bpf_post_completions(br->ctx, br->cqes, br->nr_cqes);
	state->compl_reqs = rest;
	INIT_WQ_LIST(&br->post);
	br->nr_post = 0;
	br->nr_cqes = 0;
	br->nr_pending = 0;
}

static bool io_bpf_flush_batch(struct io_bpf_ring *br)
{
	struct io_submit_state *state = &br->ctx->submit_state;
	bool more = false;

	if (unlikely(br->events.first))
		more = io_bpf_run_events(br);
	if (state->compl_reqs.first && io_bpf_run_batch(br, &state->compl_reqs))
		more = true;
	io_bpf_leave(br);

	if (br->nr_pending || state->cq_flush)
		io_bpf_post_batch(br);
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
	} while (more || !wq_list_empty(&state->compl_reqs) ||
		 state->cq_flush || br->nr_pending);
	state->link.head = head;
	state->need_plug = need_plug;

	/* io_sync_cancel() waits for requests, and those may post no CQE */
	if (!(ctx->int_flags & IO_RING_F_LOCKLESS_CQ))
		io_cqring_wake(ctx);
}
