// SPDX-License-Identifier: GPL-2.0
/*
 * The loop that issues what BPF programs have staged
 *
 * What completes in place runs its program here and now, and what that stages is
 * issued in turn. This is the case that has to be fast, as here the program is
 * what it is measured by: no list, no flush, and the memory of the request that
 * has completed is that of the next one.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "bpf.h"
#include "bpf_run.h"
#include "bpf_again.h"
#include "bpf_match.h"

/* hops of a flow that others have to wait for, and CQEs */
#define IO_BPF_BURST	64

/* Memory for a request, and a reference to the task. */
static struct io_kiocb *io_bpf_take(struct io_bpf_ring *br)
{
	io_get_task_refs(1);
	return io_bpf_get_spare(br);
}

static void io_bpf_give_back(struct io_bpf_ring *br, struct io_kiocb *req)
{
	io_put_task(req);
	io_bpf_add_spare(br, req);
}

/*
 * The child is done with. Returns true if its memory and its reference to the
 * task are free for the next one.
 */
static noinline bool io_bpf_hop_retire_slow(struct io_bpf_ring *br,
					    struct io_kiocb *req)
{
	if (!io_bpf_is_light(br, req)) {
		io_bpf_clear_extra(req);
		req->flags &= ~REQ_F_BPF;
		req->flags |= REQ_F_CQE_SKIP;
		io_bpf_add_post(br, req);
		return false;
	}
	io_put_file(req);
	io_req_put_rsrc_nodes(req);
	return true;
}

static __always_inline bool io_bpf_hop_retire(struct io_bpf_ring *br,
					      struct io_kiocb *req)
{
	if (unlikely((req->flags & (IO_REQ_CLEAN_SLOW_FLAGS | REQ_F_BUF_NODE)) ||
		     req->file_node))
		return io_bpf_hop_retire_slow(br, req);
	io_put_file(req);
	return true;
}

/*
 * There is something to do before that SQE, so it has to wait for its turn. What
 * the same run has staged after it is on the list.
 */
noinline void io_bpf_stage_direct(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	struct io_kiocb *req = io_bpf_get_spare(br);

	memcpy(&req->cmd, &br->sqe, sizeof(br->sqe));
	req->bpf_id = flow->bpf_flow.id;
	req->flags = 0;
	io_bpf_list_add_head(&req->comp_list, &br->ready);
}

/* The program has done more than to say what comes next. */
static void io_bpf_keep_direct(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	if (!br->run.nr_sqes || br->run.walk)
		return;
	/* forget what is staged, for ->ready see io_bpf_cancel_ending() */
	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		io_bpf_ctx(flow)->nr_children--;
	else
		io_bpf_stage_direct(br, flow);
}

/* The completion is more than a step from one request to the next. */
static noinline void io_bpf_hop_slow(struct io_bpf_ring *br,
				     struct io_kiocb *flow,
				     struct io_kiocb *req, u32 verdict)
{
	/* it may come to a flush, to be posted and freed */
	req->flags &= ~REQ_F_BPF;
	io_bpf_keep_direct(br, flow);
	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		br->run.again = false;
	if (io_bpf_child_posts(br, flow, req, verdict))
		io_bpf_add_post(br, req);
	io_bpf_next(br, flow);
}

/*
 * Runs the program of a child that has completed in place, and issues what is
 * next. Returns that if it has completed in place as well. Nobody has ended the
 * flow since the child was issued, so there is a program, and it may run.
 */
static __always_inline struct io_kiocb *io_bpf_hop(struct io_bpf_ring *br,
						   struct io_kiocb *req)
{
	struct io_kiocb *flow = io_bpf_child_flow(br, req);
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	u32 verdict;

	bctx->nr_children--;
	io_bpf_fill_ctx(bctx, req, BPF_IO_URING_F_CHILD | io_bpf_next_flag(flow));
	verdict = io_bpf_run_prog(br, br->progs[flow->bpf_flow.slot], bctx, req,
				  false);

	if (unlikely(verdict != BPF_IO_URING_DEFAULT ||
		     (req->cqe.flags & IORING_CQE_F_BUFFER) ||
		     (flow->bpf_flow.flags & (IO_BPF_F_ENDING | IO_BPF_F_EDIT)))) {
		io_bpf_hop_slow(br, flow, req, verdict);
		return NULL;
	}
	if (br->run.again) {
		if (unlikely(br->run.nr_sqes))
			io_bpf_stage_direct(br, flow);
		bctx->nr_children++;
		req->cqe.user_data = bctx->user_data;
		return io_bpf_issue_again(br, req, br->again_off,
					  br->again_addr, br->run.again_len);
	}
	if (unlikely(!br->run.nr_sqes)) {
		if (io_bpf_hop_retire(br, req))
			io_bpf_give_back(br, req);
		if (!bctx->nr_children)
			io_bpf_flow_done(br, flow);
		return NULL;
	}
	if (unlikely(!io_bpf_hop_retire(br, req)))
		req = io_bpf_take(br);
	req->bpf_id = flow->bpf_flow.id;
	return io_bpf_submit_child(req, br->ctx, &br->sqe) ? req : NULL;
}

/* Returns the request if it has completed in place. */
static struct io_kiocb *io_bpf_issue_staged(struct io_bpf_ring *br,
					    struct io_kiocb *staged)
{
	struct io_kiocb *req;
	bool done;

	if (staged->flags) {
		struct io_big_cqe args = staged->big_cqe;

		if (unlikely(staged->flags & REQ_F_LINK)) {
			io_bpf_issue_group(br, staged);
			return NULL;
		}
		io_bpf_clear_extra(staged);
		return io_bpf_issue_again(br, staged, args.extra1, args.extra2,
					  staged->cqe.res);
	}
	req = io_bpf_take(br);
	req->bpf_id = staged->bpf_id;
	done = io_bpf_submit_child(req, br->ctx,
				   (struct io_uring_sqe *)&staged->cmd);
	io_bpf_add_spare(br, staged);
	return done ? req : NULL;
}

/* Follows a flow from a child that has completed in place. */
static __always_inline void io_bpf_follow(struct io_bpf_ring *br,
					  struct io_kiocb *req)
{
	unsigned int burst = IO_BPF_BURST;

	do {
		if (unlikely(!br->budget || br->interrupt ||
			     io_bpf_task_wanted() ||
			     (!--burst && br->ready.first))) {
			io_req_complete_defer(req);
			return;
		}
		br->budget--;
		req = io_bpf_hop(br, req);
	} while (req);
}

/*
 * Issues what is staged, and what that stages. Goes back to the flush if it has
 * something to do: when a flow ends that has children, soon if there are CQEs,
 * and when a flow has had its turn and others wait.
 */
void io_bpf_issue_ready(struct io_bpf_ring *br)
{
	unsigned int left = IO_BPF_BURST;
	struct io_wq_work_node *node;
	struct io_kiocb *req;

	while ((node = br->ready.first) && hlist_empty(&br->kills)) {
		if (unlikely(io_bpf_must_park(br))) {
			io_bpf_park(br);
			return;
		}
		br->budget--;
		br->ready.first = node->next;
		req = io_bpf_issue_staged(br, container_of(node, struct io_kiocb,
							   comp_list));
		if (req)
			io_bpf_follow(br, req);
		if (unlikely(br->nr_pending) &&
		    (io_bpf_cqes_short(br) || !--left))
			return;
	}
}

/*
 * What is staged now must not become part of a link that is being assembled, nor
 * of the batch that a plug is meant for.
 */
static inline bool io_bpf_may_issue(struct io_bpf_ring *br,
				    struct io_submit_state *state)
{
	return !br->nested && !state->link.head && !state->need_plug;
}

/* Is there but one completion, and that of a child whose program may run? */
static __always_inline struct io_kiocb *
io_bpf_sole_child(struct io_bpf_ring *br, struct io_submit_state *state)
{
	struct io_wq_work_node *node = state->compl_reqs.first;
	struct io_kiocb *req = container_of(node, struct io_kiocb, comp_list);

	if (node->next || (req->flags & (REQ_F_BPF | REQ_F_REISSUE)) != REQ_F_BPF ||
	    req->bpf_id >= IO_BPF_ID_NOTIF || !io_bpf_may_issue(br, state) ||
	    !io_bpf_flow_prog(br, io_bpf_child_flow(br, req)))
		return NULL;
	return req;
}

/* Is there but one event, and it's the start of a flow? */
static struct io_kiocb *io_bpf_sole_start(struct io_bpf_ring *br,
					  struct io_submit_state *state)
{
	struct io_kiocb *flow = container_of(br->events.first, struct io_kiocb,
					     comp_list);

	if (br->events.first->next || !io_bpf_may_issue(br, state) ||
	    (br->ctx->int_flags & IO_RING_F_BPF_MODE) || br->interrupt ||
	    br->nr_pending || br->ready.first || io_bpf_must_park(br) ||
	    io_bpf_cqes_posted(br->ctx) || !io_bpf_flow_prog(br, flow))
		return NULL;
	return flow;
}

/* Starts it, and returns a child if that has completed in place. */
static struct io_kiocb *io_bpf_start_flow(struct io_bpf_ring *br,
					  struct io_kiocb *flow)
{
	struct io_kiocb *req;

	INIT_WQ_LIST(&br->events);
	br->ctx->submit_state.cq_flush = false;
	io_bpf_run_start(br, flow, false);
	if (!br->run.nr_sqes ||
	    (flow->bpf_flow.flags & (IO_BPF_F_ENDING | IO_BPF_F_EDIT))) {
		io_bpf_keep_direct(br, flow);
		io_bpf_next(br, flow);
		return NULL;
	}
	br->budget--;
	req = io_bpf_take(br);
	req->bpf_id = flow->bpf_flow.id;
	return io_bpf_submit_child(req, br->ctx, &br->sqe) ? req : NULL;
}

/* Is all that is left one CQE? That's for the plain flush. */
static inline bool io_bpf_sole_cqe(struct io_bpf_ring *br,
				   struct io_submit_state *state)
{
	struct io_wq_work_node *node = state->compl_reqs.first;
	struct io_kiocb *req = container_of(node, struct io_kiocb, comp_list);

	return node && !node->next && !br->interrupt && !br->nr_pending &&
	       !(req->flags & (REQ_F_BPF | REQ_F_REISSUE | REQ_F_CQE_SKIP)) &&
	       !(br->ctx->int_flags & IO_RING_F_BPF_MATCH) &&
	       !br->events.first && !io_bpf_to_apply(br);
}

/* Runs the programs, and what they issue. Returns true if that's been all. */
static noinline bool io_bpf_flush_flows(struct io_bpf_ring *br)
{
	struct io_ring_ctx *ctx = br->ctx;
	struct io_submit_state *state = &ctx->submit_state;
	struct io_kiocb *req = NULL;

	io_bpf_begin_flush(br);
	if (state->compl_reqs.first) {
		req = io_bpf_sole_child(br, state);
		if (req)
			INIT_WQ_LIST(&state->compl_reqs);
	} else if (br->events.first) {
		req = io_bpf_sole_start(br, state);
		if (req)
			req = io_bpf_start_flow(br, req);
	}
	if (req)
		io_bpf_follow(br, req);
	if (likely((ctx->int_flags & IO_RING_F_LOCKLESS_CQ) &&
		   !state->compl_reqs.first && !state->cq_flush &&
		   !br->interrupt && !br->ready.first))
		return true;
	if (io_bpf_sole_cqe(br, state))
		return false;
	io_bpf_flush(br);
	return true;
}

/*
 * Comes before the plain flush on a ring with programs, or in its place: returns
 * false if what is left is for that. A flow with one request at a time is followed
 * without any, if nothing is to be posted.
 */
bool io_bpf_flush_completions(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br = ctx->bpf_ring;

	lockdep_assert_held(&ctx->uring_lock);

	return br->nr_flows ? io_bpf_flush_flows(br) : io_bpf_flush_watched(br);
}
