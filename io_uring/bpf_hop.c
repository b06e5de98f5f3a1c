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

/* hops of a flow that others have to wait for, and CQEs */
#define IO_BPF_BURST	64

/* A signal, or somebody else who needs the CPU? */
static inline bool io_bpf_task_wanted(void)
{
	return read_thread_flags() & (_TIF_SIGPENDING | _TIF_NEED_RESCHED);
}

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

/* There is something to do before that SQE, so it has to wait for its turn. */
noinline void io_bpf_stage_direct(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	struct io_kiocb *req = io_bpf_get_spare(br);

	memcpy(&req->cmd, &br->sqe, sizeof(br->sqe));
	req->bpf_id = flow->bpf_flow.id;
	req->flags = 0;
	wq_list_add_tail(&req->comp_list, &br->ready);
}

/* The completion is more than a step from one request to the next. */
static noinline void io_bpf_hop_slow(struct io_bpf_ring *br,
				     struct io_kiocb *flow,
				     struct io_kiocb *req, u32 verdict)
{
	bool direct = br->run.nr_sqes && !br->run.walk;

	if (flow->bpf_flow.flags & IO_BPF_F_ENDING) {
		/* forget what is staged, for ->ready see io_bpf_cancel_ending() */
		if (direct)
			io_bpf_ctx(flow)->nr_children--;
		br->run.again = false;
	} else if (direct) {
		io_bpf_stage_direct(br, flow);
	}
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

	req->flags &= ~REQ_F_BPF;
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
 * Is there but one completion, and that of a child whose program may run? What it
 * stages must not become part of a link that is being assembled, nor of the batch
 * that a plug is meant for.
 */
static __always_inline struct io_kiocb *
io_bpf_sole_child(struct io_bpf_ring *br, struct io_submit_state *state)
{
	struct io_wq_work_node *node = state->compl_reqs.first;
	struct io_kiocb *req = container_of(node, struct io_kiocb, comp_list);

	if (!node || node->next ||
	    (req->flags & (REQ_F_BPF | REQ_F_REISSUE)) != REQ_F_BPF ||
	    req->bpf_id >= IO_BPF_ID_NOTIF || br->nested ||
	    state->link.head || state->need_plug ||
	    !io_bpf_flow_prog(br, io_bpf_child_flow(br, req)))
		return NULL;
	return req;
}

/*
 * Stands in for the plain flush on a ring with programs. A flow with one request
 * at a time that comes back from task work is followed without one, if nothing
 * is to be posted.
 */
void io_bpf_flush_completions(struct io_ring_ctx *ctx)
{
	struct io_submit_state *state = &ctx->submit_state;
	struct io_bpf_ring *br = ctx->bpf_ring;
	struct io_kiocb *req;

	lockdep_assert_held(&ctx->uring_lock);

	br->tctx = io_bpf_may_run(ctx, current->io_uring) ?
		   current->io_uring : NULL;
	/* a drain wants to know of each request that is gone */
	br->interrupt = ctx->int_flags & IO_RING_F_DRAIN_ACTIVE;

	req = io_bpf_sole_child(br, state);
	if (req) {
		INIT_WQ_LIST(&state->compl_reqs);
		io_bpf_follow(br, req);
		if (likely((ctx->int_flags & IO_RING_F_LOCKLESS_CQ) &&
			   !state->compl_reqs.first && !state->cq_flush &&
			   !br->interrupt && !br->ready.first))
			return;
	}
	io_bpf_flush(br);
}
