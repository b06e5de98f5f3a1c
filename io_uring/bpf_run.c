// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a completion on a ring with BPF programs
 *
 *   completed requests, records of CQEs, flows that start, are cancelled or end
 *                                  |
 *                                  v
 *                     ->compl_reqs, in this order
 *                                  |
 *                  io_bpf_walk() --+--> plain, seen: passes
 *                                  |--> flow waits: goes to the flow's own list
 *                                  '--> event: the program runs, io_bpf_apply()
 *                                         |           does what the run asked for
 *                     CQE wanted: passes -'- silent: memory goes to the next child
 *                                  |
 *                                  v
 *              io_post_compl_reqs(): posts and frees what has passed
 *
 * All of that is io_bpf_flush(), in place of a plain flush: in the task that the
 * requests belong to, under ->uring_lock, and with no handler active further up. A
 * handler that has a CQE to post and goes on leaves a record, see bpf_cqe.c.
 *
 * A program only says what is to be done. It is done right behind the run, so that
 * nothing that a program asked for outlives the run.
 *
 * A child that completes in place, with nothing before it that is to be posted, is not
 * put on the list: its program runs at once. Of a walk where nothing is to be posted
 * nothing remains but that loop.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/blkdev.h>
#include <linux/filter.h>
#include <linux/rcupdate_trace.h>
#include <linux/io_uring.h>

#include "bpf_int.h"
#include "rsrc.h"
#include "rw.h"

static noinline u32 io_bpf_run_sleepable(const struct bpf_prog *prog,
				struct bpf_io_uring_ctx *bctx)
{
	u32 verdict;

	rcu_read_lock_trace();
	migrate_disable();
	might_fault();
	verdict = bpf_prog_run(prog, bctx);
	migrate_enable();
	rcu_read_unlock_trace();
	return verdict;
}

static __always_inline u32 __io_bpf_run_prog(struct io_bpf_ring *br,
					     const struct bpf_prog *prog,
					     struct bpf_io_uring_ctx *bctx,
					     struct io_kiocb *req)
{
	u32 verdict;

	lockdep_assert_held(&br->ctx->uring_lock);

	br->run.req = req;
	br->run.asked = 0;
	if (unlikely(prog->sleepable))
		return io_bpf_run_sleepable(prog, bctx);
	rcu_read_lock_dont_migrate();
	verdict = bpf_prog_run(prog, bctx);
	rcu_read_unlock_migrate();
	return verdict;
}

/* Run a program, for @req or for a flow's own event. */
u32 io_bpf_run_prog(struct io_bpf_ring *br, const struct bpf_prog *prog,
		    struct bpf_io_uring_ctx *bctx, struct io_kiocb *req)
{
	return __io_bpf_run_prog(br, prog, bctx, req);
}

/*
 * A flow is over: its program said so, or has left nothing to be waited for. Unless
 * the program ends the flow, the flow fails if its last completion has.
 */
static void io_bpf_flow_done(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	if (!(flow->bpf_flow.flags & IO_BPF_F_ENDING))
		flow->cqe.res = min(io_bpf_ctx(flow)->res, 0);
	flow->bpf_flow.flags |= IO_BPF_F_ENDING;
	if (io_bpf_ctx(flow)->nr_children)
		io_bpf_end(br, flow);
	else
		io_bpf_settle(flow);
}

/*
 * Do what the run that has ended asked for. @next has completed in place as part of
 * that, or is NULL. Return the one that completes in place and is not on ->compl_reqs.
 */
struct io_kiocb *io_bpf_apply(struct io_bpf_ring *br, struct io_kiocb *flow,
			      struct io_kiocb *next)
{
	struct io_bpf_run *run = &br->run;

	if (unlikely(run->edit))
		io_bpf_edit_chain(br, flow);
	if (unlikely(run->nr_links))
		io_bpf_apply_links(br, flow);
	if (run->nr_sqes) {
		if (unlikely(next))
			io_req_complete_defer(next);
		next = io_bpf_issue_sqes(br, flow);
	}
	if (unlikely(!io_bpf_ctx(flow)->nr_children ||
		     (flow->bpf_flow.flags & IO_BPF_F_ENDING)) &&
	    !io_bpf_is_watch(flow))
		io_bpf_flow_done(br, flow);
	return next;
}

/* Give back what a request that nobody wants the CQE of has left, if that is all. */
static noinline bool io_bpf_lighten(struct io_kiocb *req)
{
	if (req->bpf_id & IO_BPF_ID_ASYNC)
		io_rw_drop_async(req);
	if (req->flags & IO_REQ_CLEAN_SLOW_FLAGS)
		return false;
	io_req_put_rsrc_nodes(req);
	return true;
}

/* Return true if the request has left nothing behind but references to file and task. */
static __always_inline bool io_bpf_is_light(struct io_kiocb *req)
{
	return likely(!(req->flags & (IO_REQ_CLEAN_SLOW_FLAGS | REQ_F_BUF_NODE)) &&
		      !req->file_node) || io_bpf_lighten(req);
}

/*
 * Nobody wants the CQE. The memory of a light request is free for the next child, all
 * else goes with the flush.
 */
void io_bpf_retire(struct io_bpf_ring *br, struct io_kiocb *req)
{
	io_bpf_clear_extra(req);
	if (!io_bpf_is_light(req)) {
		req->flags |= REQ_F_CQE_SKIP;
		io_bpf_insert(br, req);
		return;
	}
	io_put_file(req);
	io_put_task(req);
	io_req_add_to_cache(req, req->ctx);
}

/* The CQE goes out, whatever the opcode has said about skipping CQEs. */
void io_bpf_post(struct io_bpf_ring *br, struct io_kiocb *req)
{
	if (req->bpf_id & IO_BPF_ID_ASYNC)
		io_rw_drop_async(req);
	req->flags &= ~REQ_F_CQE_SKIP;
	io_bpf_insert(br, req);
}

/* A completion of the flow has left its place on the list. */
static void io_bpf_count_off(struct io_bpf_ring *br, struct io_kiocb *flow,
			     struct io_kiocb *req)
{
	if (unlikely(req->bpf_id & IO_BPF_ID_AUX))
		flow->bpf_flow.nr_records--;
	else
		io_bpf_ctx(flow)->nr_children--;
}

/*
 * No program is to see the completion of a child: the flow is ending, its program was
 * detached, or the task or the ring goes away.
 */
static void io_bpf_child_unseen(struct io_bpf_ring *br, struct io_kiocb *flow,
				struct io_kiocb *req)
{
	io_bpf_count_off(br, flow, req);
	/* what follows is not for the application */
	if (req->bpf_id & IO_BPF_ID_AUX)
		req->cqe.flags &= ~IORING_CQE_F_MORE;
	if (io_bpf_must_post(req))
		io_bpf_post(br, req);
	else
		io_bpf_retire(br, req);
	if (!(flow->bpf_flow.flags & IO_BPF_F_ENDING)) {
		io_bpf_mark_killed(flow);
		io_bpf_end(br, flow);
	}
	io_bpf_settle(flow);
}

/*
 * The program has said something about the CQE, has posted others, or takes over a
 * provided buffer. Return true if the CQE of @req is dealt with.
 */
static bool io_bpf_child_cqe(struct io_bpf_ring *br, struct io_kiocb *flow,
			     struct io_kiocb *req, u32 verdict)
{
	if (br->run.nr_cqes)
		io_bpf_add_cqes(br);
	if (verdict & IO_BPF_VERDICT_CHAIN)
		verdict = io_bpf_flow_verdict(flow, verdict);
	if (io_bpf_drops(req->cqe.flags, verdict))
		return false;
	io_bpf_change_cqe(req, io_bpf_ctx(flow));
	if (br->run.again)
		/* the request goes on, so the CQE of this step has to be a copy */
		io_bpf_add_cqe(br, &req->cqe, &req->big_cqe);
	else
		io_bpf_post(br, req);
	return true;
}

/* A CQE of a child that goes on, or the notification of a zero-copy send. */
static struct io_kiocb *io_bpf_aux_event(struct io_bpf_ring *br,
					 const struct bpf_prog *prog,
					 struct io_kiocb *flow, struct io_kiocb *req)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	bool notif = req->bpf_id & IO_BPF_ID_NOTIF;
	u32 verdict;

	io_bpf_count_off(br, flow, req);
	io_bpf_fill_ctx(bctx, req, BPF_IO_URING_F_CHILD | io_bpf_next_flag(flow));
	bctx->event = BPF_IO_URING_AUX;
	verdict = io_bpf_run_prog(br, prog, bctx, req);
	if (!io_bpf_child_cqe(br, flow, req, verdict))
		io_bpf_retire(br, req);
	/* no result that the flow could fail with: bit 31 may be set */
	if (notif)
		bctx->res = 0;
	return io_bpf_apply(br, flow, NULL);
}

/*
 * The program of a child does not run, or not now. What comes while the flow waits goes
 * behind what has come before, even if no program is to see it any more.
 */
static struct io_kiocb *io_bpf_child_slow(struct io_bpf_ring *br,
					  const struct bpf_prog *prog,
					  struct io_kiocb *flow, struct io_kiocb *req)
{
	bool unseen = !br->tctx || !prog || (flow->bpf_flow.flags & IO_BPF_F_ENDING);

	if (!unseen) {
		io_bpf_hold(br, flow, req);
	} else if (flow->bpf_flow.flags & IO_BPF_F_WAITING) {
		io_bpf_mark_killed(flow);
		io_bpf_hold(br, flow, req);
	} else {
		io_bpf_child_unseen(br, flow, req);
	}
	return NULL;
}

/*
 * Return true if the run has asked for one child and nothing else, nobody wants the CQE,
 * and the request has left nothing behind.
 */
static __always_inline bool io_bpf_is_hop(struct io_bpf_ring *br, struct io_kiocb *flow,
					  struct io_kiocb *req, u32 verdict)
{
	return br->run.asked == IO_BPF_ONE_CHILD && verdict == BPF_IO_URING_DEFAULT &&
	       !(req->cqe.flags & IORING_CQE_F_BUFFER) &&
	       !(flow->bpf_flow.flags & IO_BPF_F_ENDING) && io_bpf_is_light(req);
}

/* The next child takes over the memory of this one, and its reference to the task. */
static __always_inline struct io_kiocb *io_bpf_hop(struct io_bpf_ring *br,
						   struct io_kiocb *flow,
						   struct io_kiocb *req)
{
	io_put_file(req);
	req->bpf_id = flow->bpf_flow.id;
	--*br->slice;
	return io_bpf_submit_child(req, br->ctx, br->run.sqes) ? req : NULL;
}

/* The completion of a child, or what it or its notification has left before that. */
static __always_inline struct io_kiocb *io_bpf_child_event(struct io_bpf_ring *br,
							   struct io_kiocb *req)
{
	struct io_kiocb *next = NULL, *flow = io_bpf_child_flow(br, req);
	const struct bpf_prog *prog = io_bpf_slot_prog(br, flow);
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	u32 verdict;

	if (unlikely((flow->bpf_flow.flags & (IO_BPF_F_ENDING | IO_BPF_F_WAITING)) ||
		     *br->slice <= 0 || !prog))
		return io_bpf_child_slow(br, prog, flow, req);
	if (unlikely(req->bpf_id >= IO_BPF_ID_AUX))
		return io_bpf_aux_event(br, prog, flow, req);

	bctx->nr_children--;
	io_bpf_fill_ctx(bctx, req, BPF_IO_URING_F_CHILD | io_bpf_next_flag(flow));
	verdict = __io_bpf_run_prog(br, prog, bctx, req);
	if (likely(io_bpf_is_hop(br, flow, req, verdict)))
		return io_bpf_hop(br, flow, req);
	if (unlikely(flow->bpf_flow.flags & IO_BPF_F_ENDING))
		br->run.again = false;

	if (unlikely(verdict != BPF_IO_URING_DEFAULT || br->run.nr_cqes ||
		     (req->cqe.flags & IORING_CQE_F_BUFFER)) &&
	    io_bpf_child_cqe(br, flow, req, verdict) && !br->run.again)
		return io_bpf_apply(br, flow, NULL);
	if (br->run.again)
		next = io_bpf_issue_again(br, req);
	else
		io_bpf_retire(br, req);
	return io_bpf_apply(br, flow, next);
}

/* The program learns that its flow was cancelled, before the children are. */
static void io_bpf_run_cancel(struct io_bpf_ring *br, const struct bpf_prog *prog,
			      struct io_kiocb *flow)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);

	bctx->user_data = flow->cqe.user_data;
	bctx->res = flow->cqe.res;
	bctx->cflags = 0;
	bctx->event = BPF_IO_URING_CANCEL;
	bctx->opcode = IORING_OP_BPF;
	bctx->flags = io_bpf_next_flag(flow);
	io_bpf_run_prog(br, prog, bctx, NULL);
	/* nothing else can be asked for */
	if (br->run.nr_cqes)
		io_bpf_add_cqes(br);
}

static struct io_kiocb *io_bpf_run_start(struct io_bpf_ring *br,
					 const struct bpf_prog *prog,
					 struct io_kiocb *flow)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	u32 verdict;

	bctx->user_data = flow->cqe.user_data;
	bctx->event = BPF_IO_URING_START;
	bctx->opcode = IORING_OP_BPF;
	bctx->flags = io_bpf_next_flag(flow);
	verdict = io_bpf_run_prog(br, prog, bctx, NULL);
	if (unlikely(br->run.nr_cqes))
		io_bpf_add_cqes(br);
	if (unlikely(verdict & IO_BPF_VERDICT_CHAIN))
		io_bpf_flow_verdict(flow, verdict);
	/* there is no result that the flow could fail with */
	bctx->res = 0;
	return io_bpf_apply(br, flow, NULL);
}

/* The flow starts, or was cancelled. */
static struct io_kiocb *io_bpf_flow_event(struct io_bpf_ring *br,
					  struct io_kiocb *flow)
{
	struct bpf_prog *prog = br->tctx ? io_bpf_slot_prog(br, flow) : NULL;
	u16 *flags = &flow->bpf_flow.flags;

	*flags &= ~IO_BPF_F_EVENT;
	if (flow->bpf_id == IO_BPF_ID_FLOW)
		flow->flags &= ~REQ_F_BPF;
	if (!(*flags & IO_BPF_F_ENDING)) {
		if (prog)
			return io_bpf_run_start(br, prog, flow);
		io_bpf_mark_killed(flow);
	} else if ((*flags & IO_BPF_F_CANCEL) && prog) {
		io_bpf_run_cancel(br, prog, flow);
	}
	*flags &= ~IO_BPF_F_CANCEL;
	io_bpf_end(br, flow);
	return NULL;
}

/* All that does not belong to a child of a flow. */
static struct io_kiocb *io_bpf_other_event(struct io_bpf_ring *br,
					   struct io_kiocb *req)
{
	if (req->opcode == IORING_OP_BPF && (req->bpf_flow.flags & IO_BPF_F_EVENT))
		return io_bpf_flow_event(br, req);

	switch (req->bpf_id) {
	case IO_BPF_ID_APP:
		io_bpf_insert(br, req);
		io_bpf_app_gone(br);
		return NULL;
	case IO_BPF_ID_RECORD:
		br->nr_app_records--;
		io_bpf_insert(br, req);
		return NULL;
	case IO_BPF_ID_WATCHED:
		br->nr_app_records--;
		io_bpf_watch_record(br, req);
		io_bpf_insert(br, req);
		return NULL;
	default:
		return io_bpf_pred_event(br, req);
	}
}

/*
 * Whoever polls finds the completions of all tasks, but programs run in the task that
 * has issued the request. Return true if @req has been sent there. Not when the ring
 * goes away: completions are but counted then.
 */
static bool io_bpf_send_home(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_wq_work_list *list = &br->ctx->submit_state.compl_reqs;

	if (req->tctx == current->io_uring || (current->flags & PF_KTHREAD) ||
	    (req->flags & REQ_F_REISSUE) ||
	    (!(req->flags & REQ_F_BPF) && !(br->ctx->int_flags & IO_RING_F_BPF_MATCH)))
		return false;
	wq_list_cut(list, &req->comp_list, br->last);
	req->io_task_work.func = io_req_task_complete;
	io_req_task_work_add(req);
	return true;
}

/*
 * Pass over what no flow is concerned with. Return the first completion that is an
 * event of one, off the list, or NULL if there is none.
 */
static struct io_kiocb *io_bpf_next_event(struct io_bpf_ring *br)
{
	struct io_wq_work_list *list = &br->ctx->submit_state.compl_reqs;
	struct io_wq_work_node *node, *next;

	for (node = br->last ? br->last->next : list->first; node; node = next) {
		struct io_kiocb *req = container_of(node, struct io_kiocb, comp_list);

		next = node->next;
		if (unlikely(req->tctx != br->tctx) && io_bpf_send_home(br, req))
			continue;
		if (!(req->flags & REQ_F_BPF)) {
			if (br->ctx->int_flags & IO_RING_F_BPF_MATCH) {
				io_bpf_watch(br, req);
				/* the program may have added to the end of the list */
				next = node->next;
			}
		} else if (!(req->flags & REQ_F_REISSUE) &&
			   req->bpf_id != IO_BPF_ID_SEEN) {
			wq_list_cut(list, node, br->last);
			return req;
		}
		br->last = node;
	}
	return NULL;
}

/* Return true if there is a signal, or somebody else needs the CPU. */
static inline bool io_bpf_task_wanted(void)
{
	return read_thread_flags() & (_TIF_SIGPENDING | _TIF_NEED_RESCHED);
}

/* Has the walk passed anything that is to be posted? */
static bool io_bpf_post_waits(struct io_bpf_ring *br)
{
	return br->last || br->ctx->submit_state.cq_flush;
}

/*
 * The slice was used up, and there is another one. If others have had to wait, put @req
 * back on the list, and return true. One that has completed in place goes to the end.
 */
static bool io_bpf_give_way(struct io_bpf_ring *br, struct io_kiocb *req, bool in_place)
{
	struct io_wq_work_node *last = br->last;

	if (in_place) {
		if (!io_bpf_post_waits(br) && !br->ctx->submit_state.compl_reqs.first)
			return false;
		io_req_complete_defer(req);
		return true;
	}
	if (!io_bpf_post_waits(br))
		return false;
	io_bpf_insert(br, req);
	br->last = last;
	return true;
}

/* Charge @req, which is at the cursor. Return true if @req has made way for others. */
static __always_inline bool io_bpf_charge(struct io_bpf_ring *br, struct io_kiocb *req,
					  bool in_place)
{
	bool used_up = --*br->slice <= 0;

	return unlikely(used_up || io_bpf_task_wanted()) && io_bpf_look(br) &&
	       used_up && io_bpf_give_way(br, req, in_place);
}

/* Return true if a child that has completed in place is to be put on the list. */
static inline bool io_bpf_in_line(struct io_bpf_ring *br, struct io_kiocb *req)
{
	/* behind what is to be posted, and behind its own records */
	return br->last || io_bpf_child_flow(br, req)->bpf_flow.nr_records;
}

/*
 * Run the programs for what is on ->compl_reqs, which may grow at its end meanwhile.
 * What is up to ->last can be posted then. That is not all of the list if there was
 * more to do than what a slice is for.
 */
static noinline void io_bpf_walk(struct io_bpf_ring *br)
{
	struct io_kiocb *req = NULL;
	bool in_place = false;

	br->last = NULL;
	for (;;) {
		if (!req) {
			in_place = false;
			req = io_bpf_next_event(br);
			if (!req)
				return;
		}
		if (io_bpf_charge(br, req, in_place)) {
			if (io_bpf_post_waits(br))
				return;
			req = NULL;
			continue;
		}
		if (likely(req->bpf_id < IO_BPF_ID_SEEN))
			req = io_bpf_child_event(br, req);
		else
			req = io_bpf_other_event(br, req);
		in_place = true;
		if (req && unlikely(io_bpf_in_line(br, req))) {
			io_req_complete_defer(req);
			req = NULL;
		}
	}
}

/* Post or free what the walk has passed, and leave the rest on the list. */
static void io_bpf_post_passed(struct io_bpf_ring *br)
{
	struct io_ring_ctx *ctx = br->ctx;
	struct io_submit_state *state = &ctx->submit_state;
	struct io_wq_work_list rest = state->compl_reqs;

	br->nr_staged = 0;
	if (br->last) {
		state->compl_reqs.last = br->last;
		rest.first = br->last->next;
		br->last->next = NULL;
	} else {
		INIT_WQ_LIST(&state->compl_reqs);
	}
	io_post_compl_reqs(ctx);
	state->compl_reqs = rest;
}

/* Return true if there is anything to be posted, freed or committed, or a drain waits. */
static bool io_bpf_passed(struct io_bpf_ring *br)
{
	return br->last || br->ctx->submit_state.cq_flush ||
	       (br->ctx->int_flags & IO_RING_F_DRAIN_ACTIVE);
}

/* Find out whose programs may run in this flush. */
static void io_bpf_begin(struct io_bpf_ring *br)
{
	struct io_submit_state *state = &br->ctx->submit_state;
	struct io_uring_task *tctx = current->io_uring;

	/* the submission is over: its link is queued, its plug is not for us */
	state->link.head = NULL;
	state->need_plug = false;
	br->line = io_bpf_line(br);
	if (likely(io_bpf_may_run(br->ctx, tctx))) {
		br->tctx = tctx;
		br->slice = &br->line->slice;
	} else {
		br->tctx = NULL;
		br->no_slice = 0;
		br->slice = &br->no_slice;
	}
}

/* With several completions, which may issue as many requests to one device. */
static noinline void io_bpf_walk_plugged(struct io_bpf_ring *br)
{
	struct blk_plug plug;

	blk_start_plug(&plug);
	io_bpf_walk(br);
	blk_finish_plug(&plug);
}

/* Flush completions on a ring with BPF programs, see the top of the file. */
void io_bpf_flush(struct io_ring_ctx *ctx)
{
	struct io_wq_work_list *list = &ctx->submit_state.compl_reqs;
	struct io_bpf_ring *br = ctx->bpf_ring;

	lockdep_assert_held(&ctx->uring_lock);

	io_bpf_begin(br);
	do {
		/* flows wait until there is room in the CQ */
		if (unlikely(test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &ctx->check_cq)))
			*br->slice = 0;
		if (list->first && list->first->next)
			io_bpf_walk_plugged(br);
		else
			io_bpf_walk(br);
		if (unlikely(!hlist_empty(&br->kills)))
			io_bpf_cancel_ending(br);
		if (io_bpf_passed(br))
			io_bpf_post_passed(br);
		else if (!(ctx->int_flags & IO_RING_F_LOCKLESS_CQ))
			/* io_sync_cancel() waits for requests, and those may post no CQE */
			io_cqring_wake(ctx);
	} while (list->first || !hlist_empty(&br->kills));
	if (br->line && (br->line->waiting.first || br->line->pause))
		io_bpf_resume_next(br);
}
