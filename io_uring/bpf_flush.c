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
#include "bpf_mode.h"
#include "bpf_run.h"
#include "bpf_aux.h"
#include "bpf_match.h"

/* A task that has been killed runs no more programs. */
void io_bpf_resched_slow(struct io_bpf_ring *br)
{
	cond_resched();
	if (fatal_signal_pending(current))
		br->tctx = NULL;
}

/* Returns true if some are left for lack of room. */
static bool io_bpf_run_events(struct io_bpf_ring *br)
{
	struct io_wq_work_list all = br->events;
	struct io_wq_work_node *node, *next;

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
			all.first = node;
			io_bpf_splice(&all, &br->events);
			return true;
		}
		if (io_bpf_flow_prog(br, flow)) {
			io_bpf_run_start(br, flow, true);
			io_bpf_next(br, flow);
			io_bpf_resched(br);
			continue;
		}
		flow->bpf_flow.flags &= ~IO_BPF_F_EVENT;
		io_bpf_mark_killed(flow);
		io_bpf_settle(flow);
	}
	return false;
}

/*
 * Runs the program of a child, or of the flow behind @req in its chain. Either may
 * do what it likes with @req, so it's off the list, and goes back behind @prev if
 * there is something to be posted or freed. Returns true then.
 */
static bool io_bpf_complete(struct io_bpf_ring *br,
			    struct io_wq_work_list *list,
			    struct io_wq_work_node *prev, struct io_kiocb *req)
{
	struct io_wq_work_node *node = &req->comp_list;
	bool stays;

	wq_list_cut(list, node, prev);
	/* it may come here once more, to be freed */
	req->flags &= ~REQ_F_BPF;
	if (likely(req->bpf_id < IO_BPF_ID_NOTIF))
		stays = io_bpf_child_complete(br, req);
	else if (req->bpf_id & IO_BPF_ID_NOTIF)
		stays = io_bpf_notif_complete(br, req);
	else
		stays = io_bpf_pred_complete(br, req);
	if (!stays)
		return false;
	if (prev) {
		wq_list_add_after(node, prev, list);
		return true;
	}
	io_bpf_list_add_head(node, list);
	return true;
}

/* Is there a program to run for it, or may there be? */
static inline bool io_bpf_concerned(struct io_bpf_ring *br, struct io_kiocb *req)
{
	if (req->flags & REQ_F_REISSUE)
		return false;
	if (req->flags & REQ_F_BPF)
		return req->bpf_id != IO_BPF_ID_SEEN;
	return br->ctx->int_flags & IO_RING_F_BPF_MATCH;
}

/*
 * Runs programs over ->compl_reqs, which may grow at its end meanwhile. Returns
 * the last request that is to be posted, NULL if there is none. Each run may stage
 * as many CQEs as the other, whatever else is in the batch, so the walk ends where
 * there is no room for one.
 */
static struct io_wq_work_node *io_bpf_walk(struct io_bpf_ring *br,
					   struct io_wq_work_list *list)
{
	struct io_wq_work_node *node, *last = NULL;

	for (node = list->first; node; node = last ? last->next : list->first) {
		struct io_kiocb *req = container_of(node, struct io_kiocb,
						    comp_list);

		if (io_bpf_concerned(br, req)) {
			if (unlikely(io_bpf_cqes_short(br)))
				break;
			io_bpf_resched(br);
			if (!(req->flags & REQ_F_BPF))
				io_bpf_watch(br, req);
			else if (!io_bpf_complete(br, list, last, req))
				continue;
		}
		br->nr_post++;
		last = node;
	}
	return last;
}

/* Moves the list up to @last to ->post. */
static void io_bpf_cut(struct io_bpf_ring *br, struct io_wq_work_list *list,
		       struct io_wq_work_node *last)
{
	if (br->post.first)
		br->post.last->next = list->first;
	else
		br->post.first = list->first;
	br->post.last = last;
	list->first = last->next;
	last->next = NULL;
	br->nr_pending++;
}

/* Posts and frees what is on ->compl_reqs, with the CQEs in between. */
static void io_bpf_post_list(struct io_bpf_ring *br)
{
	io_bpf_post_completions(br->ctx, br->cqes, br->nr_cqes);
	if (unlikely(test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq)))
		br->budget = 0;
	br->nr_post = 0;
	br->nr_cqes = 0;
	br->cq_entries = 0;
	br->nr_pending = 0;
}

/* The same for what the programs have left, and nothing else. */
static void io_bpf_post_batch(struct io_bpf_ring *br)
{
	struct io_submit_state *state = &br->ctx->submit_state;
	struct io_wq_work_list rest = state->compl_reqs;

	state->compl_reqs = br->post;
	io_bpf_post_list(br);
	state->compl_reqs = rest;
	INIT_WQ_LIST(&br->post);
}

static bool io_bpf_flush_batch(struct io_bpf_ring *br)
{
	struct io_submit_state *state = &br->ctx->submit_state;
	struct io_wq_work_node *last;
	bool more = false;

	if (unlikely(br->events.first))
		more = io_bpf_run_events(br);
	if (unlikely(br->ctx->flags & IORING_SETUP_IOPOLL))
		io_bpf_send_home(br);
	last = io_bpf_walk(br, &state->compl_reqs);
	if (last && !last->next && !br->post.first) {
		io_bpf_post_list(br);
		return more;
	}
	if (last)
		io_bpf_cut(br, &state->compl_reqs, last);
	if (br->nr_pending || io_bpf_cqes_posted(br->ctx))
		io_bpf_post_batch(br);
	else
		state->cq_flush = false;
	return more;
}

/* Is there nothing but what the programs have left to be posted or freed? */
static inline bool io_bpf_only_pending(struct io_bpf_ring *br)
{
	struct io_submit_state *state = &br->ctx->submit_state;

	return br->nr_pending && !state->compl_reqs.first && !state->cq_flush &&
	       !br->events.first && !io_bpf_to_apply(br);
}

/*
 * Called from within a handler it runs programs only. What they stage is for the
 * flush that follows, the handler's caller sees to that.
 *
 * What is issued here is no part of a link that is being assembled, nor of the
 * batch that a plug was meant for.
 */
void io_bpf_flush(struct io_bpf_ring *br)
{
	struct io_ring_ctx *ctx = br->ctx;
	struct io_submit_state *state = &ctx->submit_state;
	struct io_kiocb *head = state->link.head;
	bool more = br->events.first, need_plug = state->need_plug;

	lockdep_assert_held(&ctx->uring_lock);

	state->link.head = NULL;
	state->need_plug = false;
	/* an opcode may have posted CQEs in place, those want a commit */
	if (io_bpf_only_pending(br))
		io_bpf_post_batch(br);
	while (more || state->compl_reqs.first || state->cq_flush ||
	       br->nr_pending ||
	       (io_bpf_to_apply(br) && !br->nested)) {
		more = io_bpf_flush_batch(br);
		if (io_bpf_to_apply(br) && !br->nested)
			io_bpf_apply(br);
	}
	state->link.head = head;
	state->need_plug = need_plug;

	/* io_sync_cancel() waits for requests, and those may post no CQE */
	if (!(ctx->int_flags & IO_RING_F_LOCKLESS_CQ))
		io_cqring_wake(ctx);
}
