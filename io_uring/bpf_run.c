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
 *                                  |--> flow waits: moves to the flow's own list
 *                                  '--> event: the program runs, io_bpf_apply()
 *                                         |           does what the run asked for
 *                     CQE wanted: passes -'- no CQE: the next child reuses the request
 *                                  |
 *                                  v
 *              io_post_compl_reqs(): posts and frees what has passed
 *
 * io_bpf_flush() does this instead of a plain flush: in the task that the requests
 * belong to, under ->uring_lock, and with no request handler on the stack. A handler
 * that posts a CQE and continues leaves a record, see bpf_cqe.c.
 *
 * Kfuncs only stage what a program asks for. io_bpf_apply() performs it right after the
 * run, so nothing that was staged outlives the run.
 *
 * A child that completes in place while the list is empty is not put on the list: its
 * program runs at once.
 */
#include <linux/file.h>
#include <linux/blkdev.h>
#include <linux/filter.h>
#include <linux/indirect_call_wrapper.h>
#include <linux/rcupdate_trace.h>

#include "bpf_int.h"
#include "alloc_cache.h"
#include "mpscq.h"
#include "poll.h"
#include "rsrc.h"
#include "rw.h"
#include "tw.h"

/* flushes in one run of local work */
#define IO_BPF_LOCAL_ROUNDS	64

/* Return true if a signal is pending, or the task should yield the CPU. */
static inline bool io_bpf_task_wanted(void)
{
	return read_thread_flags() & (_TIF_SIGPENDING | _TIF_NEED_RESCHED);
}

static noinline u32 io_bpf_run_sleepable(struct io_bpf_ring *br,
					 const struct bpf_prog *prog,
					 struct bpf_io_uring_ctx *bctx)
{
	u32 verdict;

	/* look at the clock after the run, which can take long */
	br->slice = min(br->slice, 0);

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
	if (unlikely(prog->sleepable)) {
		verdict = io_bpf_run_sleepable(br, prog, bctx);
	} else {
		rcu_read_lock_dont_migrate();
		verdict = bpf_prog_run(prog, bctx);
		rcu_read_unlock_migrate();
	}
	if (trace_io_uring_bpf_run_enabled())
		io_bpf_trace_run(br, io_bpf_ctx_to_flow(bctx), verdict);
	return verdict;
}

/* Run @prog for the completion @req. */
u32 io_bpf_run_prog(struct io_bpf_ring *br, const struct bpf_prog *prog,
		    struct bpf_io_uring_ctx *bctx, struct io_kiocb *req)
{
	return __io_bpf_run_prog(br, prog, bctx, req);
}

static __always_inline u32 __io_bpf_run_flow(struct io_bpf_ring *br, struct io_kiocb *flow,
					     struct io_kiocb *req)
{
	u8 slot = flow->bpf_flow.slot;

	br->nr_runs[slot]++;
	return __io_bpf_run_prog(br, br->progs[slot], io_bpf_ctx(flow), req);
}

/* Run the program of @flow for the completion @req, or for CANCEL if @req is NULL. */
u32 io_bpf_run_flow(struct io_bpf_ring *br, struct io_kiocb *flow, struct io_kiocb *req)
{
	return __io_bpf_run_flow(br, flow, req);
}

/* Return true if a child was to cancel another request, and has come too late. */
static bool io_bpf_cancelled_none(const struct bpf_io_uring_ctx *bctx)
{
	if (bctx->res != -ENOENT && bctx->res != -EALREADY)
		return false;
	return (bctx->flags & BPF_IO_URING_F_CHILD) &&
	       (bctx->opcode == IORING_OP_ASYNC_CANCEL ||
		bctx->opcode == IORING_OP_POLL_REMOVE ||
		bctx->opcode == IORING_OP_TIMEOUT_REMOVE);
}

/* Set the result of a flow whose program has not called bpf_io_uring_complete(). */
static void io_bpf_default_res(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	const struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);

	flow->bpf_end = IO_BPF_END_CHILDREN;
	flow->cqe.res = 0;
	if (bctx->res < 0 && !io_bpf_cancelled_none(bctx)) {
		flow->cqe.res = bctx->res;
	} else if (br->run.result) {
		flow->bpf_end = IO_BPF_END_REFUSED;
		flow->cqe.res = br->run.error;
	}
}

/*
 * End a flow: its program has called bpf_io_uring_complete(), or the flow has no more
 * children.
 */
static void io_bpf_flow_done(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	if (!(flow->bpf_flow.flags & IO_BPF_F_ENDING))
		io_bpf_default_res(br, flow);
	flow->bpf_flow.flags |= IO_BPF_F_ENDING;
	if (io_bpf_ctx(flow)->nr_children)
		io_bpf_end(br, flow);
	else
		io_bpf_settle(flow);
}

/* End the flow if its last run has left nothing to wait for. Return @next. */
static inline struct io_kiocb *io_bpf_flow_step(struct io_bpf_ring *br,
						struct io_kiocb *flow,
						struct io_kiocb *next)
{
	if (unlikely(!io_bpf_ctx(flow)->nr_children ||
		     (flow->bpf_flow.flags & IO_BPF_F_ENDING)) &&
	    !io_bpf_is_watch(flow))
		io_bpf_flow_done(br, flow);
	return next;
}

/*
 * Perform what the last run has staged. @next is a request that was issued again and
 * has completed in place, or NULL. Return a request that has completed in place and is
 * not on ->compl_reqs, or NULL.
 */
struct io_kiocb *io_bpf_apply(struct io_bpf_ring *br, struct io_kiocb *flow,
			      struct io_kiocb *next)
{
	struct io_bpf_run *run = &br->run;

	if (unlikely(run->edit))
		io_bpf_edit_chain(br, flow);
	if (unlikely(run->nr_links))
		io_bpf_apply_links(br, flow);
	if (unlikely(run->nr_cancels))
		io_bpf_apply_cancels(br, flow);
	if (run->nr_sqes) {
		if (unlikely(next))
			io_req_complete_defer(next);
		next = io_bpf_issue_sqes(br, flow);
	}
	return io_bpf_flow_step(br, flow, next);
}

/* Recycle the async data of a read or write, as io_rw_recycle() does. */
static __always_inline bool io_bpf_recycle(struct io_kiocb *req)
{
	struct io_async_rw *rw = req->async_data;

	if (!(req->bpf_id & IO_BPF_ID_ASYNC) || rw->vec.nr > IO_VEC_CACHE_SOFT_CAP)
		return false;
	io_alloc_cache_vec_kasan(&rw->vec);
	if (!io_alloc_cache_put(&req->ctx->rw_cache, rw))
		return false;
	io_req_async_data_clear(req, 0);
	return true;
}

static noinline bool io_bpf_release_slow(struct io_kiocb *req, bool hop)
{
	/* a CQE with a buffer is posted by default */
	if (hop && (req->cqe.flags & IORING_CQE_F_BUFFER))
		return false;
	if (req->bpf_id & IO_BPF_ID_ASYNC)
		io_rw_drop_async(req);
	if (req->flags & IO_REQ_CLEAN_SLOW_FLAGS)
		return false;
	io_req_put_rsrc_nodes(req);
	io_put_file(req);
	return true;
}

/*
 * Put what a request without a CQE holds, but the reference to its task. Return false if
 * the request needs the cleanup of the flush, or with @hop, if its CQE is posted.
 */
static __always_inline bool io_bpf_release(struct io_kiocb *req, bool hop)
{
	io_req_flags_t slow = IO_REQ_CLEAN_SLOW_FLAGS | REQ_F_BUF_NODE | REQ_F_FIXED_FILE;

	if (hop)
		slow |= REQ_F_BUFFER_SELECT;
	slow &= req->flags;
	if (unlikely(slow) && (slow != REQ_F_ASYNC_DATA || !io_bpf_recycle(req)))
		return io_bpf_release_slow(req, hop);
	if (req->file)
		fput(req->file);
	return true;
}

/* Free a request after io_bpf_release(). The next child finds it in the cache. */
static __always_inline void io_bpf_free(struct io_kiocb *req)
{
	io_bpf_clear_extra(req);
	io_put_task(req);
	io_req_add_to_cache(req, req->ctx);
}

/*
 * Free a request that posts no CQE: to the cache, where the next child finds it, or by
 * the flush.
 */
void io_bpf_retire(struct io_bpf_ring *br, struct io_kiocb *req)
{
	if (!io_bpf_release(req, false)) {
		io_bpf_clear_extra(req);
		/* a worker can hold @req for longer than its flow exists */
		req->bpf_id = IO_BPF_ID_SEEN;
		req->flags |= REQ_F_CQE_SKIP;
		io_bpf_insert(br, req);
		return;
	}
	io_bpf_free(req);
}

/* Post the CQE, even if the opcode has set REQ_F_CQE_SKIP. */
void io_bpf_post(struct io_bpf_ring *br, struct io_kiocb *req)
{
	if (req->bpf_id & IO_BPF_ID_ASYNC)
		io_rw_drop_async(req);
	/* a worker can hold @req for longer than its flow exists */
	req->bpf_id = IO_BPF_ID_SEEN;
	req->flags &= ~REQ_F_CQE_SKIP;
	io_bpf_insert(br, req);
}

/* Account for a completion of the flow that has left ->compl_reqs. */
static void io_bpf_count_off(struct io_bpf_ring *br, struct io_kiocb *flow,
			     struct io_kiocb *req)
{
	if (unlikely(req->bpf_id & IO_BPF_ID_AUX))
		flow->bpf_flow.nr_records--;
	else
		io_bpf_ctx(flow)->nr_children--;
}

/*
 * Handle the completion of a child that no program sees: the program was detached, or the
 * task or the ring is going away.
 */
static void io_bpf_child_unseen(struct io_bpf_ring *br, struct io_kiocb *flow,
				struct io_kiocb *req)
{
	io_bpf_count_off(br, flow, req);
	/* the application does not get the CQEs that follow */
	if (req->bpf_id & IO_BPF_ID_AUX)
		req->cqe.flags &= ~IORING_CQE_F_MORE;
	else if (!(flow->bpf_flow.flags & IO_BPF_F_DETACHED))
		io_bpf_flow_stats(flow)->nr_unseen++;
	if (io_bpf_must_post(req))
		io_bpf_post(br, req);
	else
		io_bpf_retire(br, req);
	if (!(flow->bpf_flow.flags & IO_BPF_F_ENDING))
		io_bpf_mark_killed(flow);
	io_bpf_settle(flow);
}

/*
 * Apply the verdict to the CQE of @req, and add the CQEs that the run has posted.
 * Return true if the CQE of @req is posted.
 */
static bool io_bpf_child_cqe(struct io_bpf_ring *br, struct io_kiocb *flow,
			     struct io_kiocb *req, u32 verdict)
{
	if (br->run.nr_cqes)
		io_bpf_add_cqes(br);
	if (verdict & IO_BPF_VERDICT_CHAIN)
		io_bpf_flow_verdict(flow, verdict);
	if (io_bpf_drops(req->cqe.flags, verdict))
		return false;
	io_bpf_flow_stats(flow)->nr_posted++;
	io_bpf_change_cqe(req, io_bpf_ctx(flow));
	if (br->run.again)
		/* @req is issued again, so a copy carries the CQE */
		io_bpf_add_cqe(br, &req->cqe, &req->big_cqe);
	else
		io_bpf_post(br, req);
	return true;
}

/*
 * Run the program for a CQE of a multishot child, for a zero-copy notification, or for any
 * completion of a flow that is ending.
 */
static struct io_kiocb *io_bpf_rare_event(struct io_bpf_ring *br,
					  struct io_kiocb *flow, struct io_kiocb *req)
{
	u16 flags = BPF_IO_URING_F_CHILD | io_bpf_next_flag(flow);
	bool ending = flow->bpf_flow.flags & IO_BPF_F_ENDING;
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	bool notif = req->bpf_id & IO_BPF_ID_NOTIF;
	u32 verdict;

	io_bpf_count_off(br, flow, req);
	io_bpf_fill_ctx(bctx, req, ending ? flags | BPF_IO_URING_F_ENDING : flags);
	if (req->bpf_id >= IO_BPF_ID_AUX)
		bctx->event = BPF_IO_URING_AUX;
	io_bpf_flow_stats(flow)->nr_records += !!(req->bpf_id & IO_BPF_ID_AUX);
	verdict = io_bpf_run_flow(br, flow, req);
	/* a program that does not expect this event must not lose a file */
	if (ending && !(verdict & IO_BPF_VERDICT_CQE) && io_bpf_must_post(req)) {
		verdict |= BPF_IO_URING_POST;
		bctx->res = req->cqe.res;
		/* nor does it post the CQEs that follow */
		if (bctx->event == BPF_IO_URING_AUX)
			bctx->cflags &= ~IORING_CQE_F_MORE;
	}
	if (!io_bpf_child_cqe(br, flow, req, verdict))
		io_bpf_retire(br, req);
	/* not a result of the flow: bit 31 of a notification can be set */
	if (notif)
		bctx->res = 0;
	return io_bpf_apply(br, flow, NULL);
}

/*
 * Handle a completion of a child whose program does not run, or not now, or whose flow is
 * ending. A completion of a waiting flow is queued behind the earlier ones, even if no
 * program will see it. An ending flow waits for time, but not for room in the CQ: the
 * number of its events is limited.
 */
static noinline struct io_kiocb *io_bpf_child_slow(struct io_bpf_ring *br,
						   struct io_kiocb *flow,
						   struct io_kiocb *req)
{
	u16 flags = flow->bpf_flow.flags;
	bool unseen = !io_bpf_goes_on(br) || (flags & IO_BPF_F_DETACHED);

	if (flags & IO_BPF_F_WAITING) {
		io_bpf_hold(br, flow, req);
		if (unseen) {
			if (!(flags & IO_BPF_F_ENDING))
				io_bpf_mark_killed(flow);
			io_bpf_resume_all(&br->room);
		}
	} else if (unseen) {
		io_bpf_child_unseen(br, flow, req);
	} else if ((flags & IO_BPF_F_ENDING) &&
		   (br->slice >= 0 || (flags & (IO_BPF_F_EVENT | IO_BPF_F_QUEUED)) ||
		    test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq))) {
		return io_bpf_rare_event(br, flow, req);
	} else {
		io_bpf_hold(br, flow, req);
	}
	return NULL;
}

/* Issue the next child in the memory of @req, with the task reference of @req. */
static __always_inline struct io_kiocb *io_bpf_hop(struct io_bpf_ring *br,
						   struct io_kiocb *flow,
						   struct io_kiocb *req)
{
	req->bpf_id = flow->bpf_flow.id;
	return io_bpf_submit_child(req, br->ctx, br->run.sqes) ? req : NULL;
}

/* Reissue a child that keeps its file, and needs neither credentials nor a check. */
static __always_inline struct io_kiocb *io_bpf_reissue(struct io_bpf_ring *br,
						       struct io_kiocb *flow,
						       struct io_kiocb *req)
{
	const struct io_bpf_again_def *def = &io_bpf_again_defs[req->opcode];
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	struct io_bpf_run *run = &br->run;
	int ret;

	bctx->nr_children++;
	req->cqe.user_data = bctx->user_data;
	io_bpf_again_reset(req);
	ret = def->prep(req, run->again_off, run->again_addr, run->again_len);
	if (unlikely(ret))
		return io_bpf_again_failed(req, ret);
	return io_bpf_issued(req, def->issue(req, IO_BPF_ISSUE_FLAGS)) ? req : NULL;
}

/* Apply whatever the run for a child has staged, and its verdict. */
static noinline struct io_kiocb *io_bpf_child_apply(struct io_bpf_ring *br,
						    struct io_kiocb *flow,
						    struct io_kiocb *req, u32 verdict)
{
	struct io_kiocb *next = NULL;

	/* not the request that is issued again below */
	if (unlikely(br->run.nr_cancels))
		io_bpf_apply_cancels(br, flow);
	if ((verdict != BPF_IO_URING_DEFAULT || br->run.nr_cqes ||
	     (req->cqe.flags & IORING_CQE_F_BUFFER)) &&
	    io_bpf_child_cqe(br, flow, req, verdict) && !br->run.again)
		return io_bpf_apply(br, flow, NULL);
	if (!br->run.again)
		io_bpf_retire(br, req);
	else if (br->run.again == IO_BPF_AGAIN_PLAIN)
		next = io_bpf_reissue(br, flow, req);
	else
		next = io_bpf_reissue_slow(br, flow, req);
	return io_bpf_apply(br, flow, next);
}

/*
 * Run the program of @flow for the completion of a child. Return the child that the
 * program has issued and that has completed in place, or NULL.
 */
static __always_inline struct io_kiocb *io_bpf_child_run(struct io_bpf_ring *br,
							 struct io_kiocb *flow,
							 struct io_kiocb *req)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	u32 verdict;

	bctx->nr_children--;
	io_bpf_fill_ctx(bctx, req, BPF_IO_URING_F_CHILD | io_bpf_next_flag(flow));
	verdict = __io_bpf_run_flow(br, flow, req);
	/* the usual runs: the next child or none, nothing else, and no CQE */
	if (likely(verdict == BPF_IO_URING_DEFAULT)) {
		if (br->run.asked == IO_BPF_ONE_CHILD && io_bpf_release(req, true))
			return io_bpf_hop(br, flow, req);
		if (br->run.asked == IO_BPF_ONE_AGAIN)
			return io_bpf_reissue(br, flow, req);
		if (!br->run.asked && io_bpf_release(req, true)) {
			io_bpf_free(req);
			return io_bpf_flow_step(br, flow, NULL);
		}
	}
	return io_bpf_child_apply(br, flow, req, verdict);
}

/*
 * Handle the completion of a child, a record, or a zero-copy notification, and of the
 * children that follow and complete in place. Return a child if the slice is used up.
 */
static __always_inline struct io_kiocb *io_bpf_child_event(struct io_bpf_ring *br,
							   struct io_kiocb *req)
{
	struct io_wq_work_list *list = &br->ctx->submit_state.compl_reqs;
	struct io_kiocb *flow = io_bpf_child_flow(br, req);
	bool aux = req->bpf_id >= IO_BPF_ID_AUX;

	do {
		if (unlikely(flow->bpf_flow.flags & (IO_BPF_F_ENDING | IO_BPF_F_WAITING)))
			return io_bpf_child_slow(br, flow, req);
		if (unlikely(aux))
			return io_bpf_rare_event(br, flow, req);
		req = io_bpf_child_run(br, flow, req);
		if (!req)
			return NULL;
		/* in order of completion */
		if (unlikely(!wq_list_empty(list))) {
			io_req_complete_defer(req);
			return NULL;
		}
	} while (likely(--br->slice >= 0));
	return req;
}

/* Fill the context for START or CANCEL. */
static inline void io_bpf_fill_flow(struct bpf_io_uring_ctx *bctx,
				    struct io_kiocb *flow, u8 event)
{
	bctx->user_data = flow->cqe.user_data;
	bctx->event = event;
	bctx->opcode = IORING_OP_BPF;
	bctx->flags = io_bpf_next_flag(flow);
}

/* Tell the program that its flow was cancelled, before the children are cancelled. */
static struct io_kiocb *io_bpf_run_cancel(struct io_bpf_ring *br,
					  struct io_kiocb *flow)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);

	io_bpf_fill_flow(bctx, flow, BPF_IO_URING_CANCEL);
	bctx->flags |= BPF_IO_URING_F_ENDING;
	bctx->res = flow->cqe.res;
	bctx->cflags = 0;
	io_bpf_flow_stats(flow)->nr_other_runs++;
	io_bpf_run_flow(br, flow, NULL);
	flow->bpf_flow.flags &= ~IO_BPF_F_CANCEL;
	if (br->run.nr_cqes)
		io_bpf_add_cqes(br);
	return io_bpf_apply(br, flow, NULL);
}

static struct io_kiocb *io_bpf_run_start(struct io_bpf_ring *br,
					 struct io_kiocb *flow)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	u32 verdict;

	io_bpf_fill_flow(bctx, flow, BPF_IO_URING_START);
	io_bpf_flow_stats(flow)->nr_other_runs++;
	verdict = __io_bpf_run_flow(br, flow, NULL);
	/* START has no result that could become that of the flow */
	bctx->res = 0;
	if (likely(verdict == BPF_IO_URING_DEFAULT && br->run.asked == IO_BPF_ONE_CHILD))
		return io_bpf_flow_step(br, flow, io_bpf_issue_first(br, flow));
	if (unlikely(br->run.nr_cqes))
		io_bpf_add_cqes(br);
	if (unlikely(verdict & IO_BPF_VERDICT_CHAIN))
		io_bpf_flow_verdict(flow, verdict);
	return io_bpf_apply(br, flow, NULL);
}

/* Run START or CANCEL of the flow. */
static struct io_kiocb *io_bpf_flow_event(struct io_bpf_ring *br,
					  struct io_kiocb *flow)
{
	bool runs = io_bpf_goes_on(br) && io_bpf_slot_prog(br, flow);
	u16 *flags = &flow->bpf_flow.flags;

	*flags &= ~IO_BPF_F_EVENT;
	if (flow->bpf_id == IO_BPF_ID_FLOW)
		flow->flags &= ~REQ_F_BPF;
	if (!(*flags & IO_BPF_F_ENDING)) {
		if (runs)
			return io_bpf_run_start(br, flow);
		io_bpf_mark_killed(flow);
	} else if ((*flags & IO_BPF_F_CANCEL) && runs) {
		return io_bpf_run_cancel(br, flow);
	}
	*flags &= ~IO_BPF_F_CANCEL;
	io_bpf_end(br, flow);
	return NULL;
}

/* Handle an entry of ->compl_reqs that does not belong to a child. */
static struct io_kiocb *io_bpf_other_event(struct io_bpf_ring *br,
					   struct io_kiocb *req)
{
	if (req->opcode == IORING_OP_BPF && (req->bpf_flow.flags & IO_BPF_F_EVENT))
		return io_bpf_flow_event(br, req);

	switch (req->bpf_id) {
	case IO_BPF_ID_APP:
		io_bpf_insert(br, req);
		br->nr_apps--;
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
 * A task that polls reaps the completions of all tasks, but a program runs in the task
 * that issued the request. Return true if @req was sent to that task. When the ring is
 * going away, no program runs, and @req stays.
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
 * Advance the cursor over requests without REQ_F_BPF, and run watching programs for
 * these. Remove the first entry with an event from the list and return this entry, or
 * NULL at the end of the list.
 */
static struct io_kiocb *io_bpf_next_event(struct io_bpf_ring *br)
{
	struct io_wq_work_list *list = &br->ctx->submit_state.compl_reqs;
	struct io_wq_work_node *node, *next;

	for (node = br->last ? br->last->next : list->first; node; node = next) {
		struct io_kiocb *req = container_of(node, struct io_kiocb, comp_list);

		if (!(req->flags & REQ_F_BPF) &&
		    (br->ctx->int_flags & IO_RING_F_BPF_MATCH)) {
			next = io_bpf_watch_plain(br, node);
			if (unlikely(br->run.acted))
				next = io_bpf_watch_acted(br);
			/* neither a slice nor a budget limits the runs of these */
			cond_resched();
			io_bpf_goes_on(br);
			if (next != node)
				continue;
		}
		next = node->next;
		if (unlikely(req->tctx != br->tctx) && io_bpf_send_home(br, req))
			continue;
		if (!(req->flags & REQ_F_BPF)) {
			if (br->ctx->int_flags & IO_RING_F_BPF_MATCH) {
				next = io_bpf_watch(br, req);
				continue;
			}
		} else if (!(req->flags & REQ_F_REISSUE) &&
			   req->bpf_id != IO_BPF_ID_SEEN) {
			if (req->bpf_id == IO_BPF_ID_AGAIN) {
				next = io_bpf_watch_part(br, req);
				/* a run that does not reissue is not charged */
				cond_resched();
				io_bpf_goes_on(br);
				continue;
			}
			wq_list_cut(list, node, br->last);
			return req;
		}
		br->last = node;
	}
	return NULL;
}

/* Return true if the walk has passed requests that are to be posted or freed. */
static bool io_bpf_post_waits(struct io_bpf_ring *br)
{
	return br->last || br->ctx->submit_state.cq_flush;
}

/*
 * The slice is used up. Return @req if its program runs now, or NULL if its flow waits, or
 * if @req is back on the list for others to be posted first.
 */
static noinline struct io_kiocb *io_bpf_slice_over(struct io_bpf_ring *br,
						   struct io_kiocb *req)
{
	struct io_wq_work_node *last = br->last;

	if (!io_bpf_look(br)) {
		if (req->bpf_id >= IO_BPF_ID_SEEN)
			return req;
		return io_bpf_child_slow(br, io_bpf_child_flow(br, req), req);
	}
	if (!io_bpf_post_waits(br))
		return req;
	io_bpf_insert(br, req);
	br->last = last;
	return NULL;
}

/*
 * Run the programs for the entries of ->compl_reqs. The list can grow at its end
 * meanwhile. On return, all up to ->last can be posted. The list can have more entries
 * if the slice was used up.
 */
static noinline void io_bpf_walk(struct io_bpf_ring *br)
{
	struct io_wq_work_list *list = &br->ctx->submit_state.compl_reqs;
	struct io_kiocb *req = NULL;

	for (;;) {
		if (!req) {
			req = io_bpf_next_event(br);
			if (!req)
				return;
		}
		if (unlikely(--br->slice < 0)) {
			req = io_bpf_slice_over(br, req);
			if (!req && io_bpf_post_waits(br))
				return;
			if (!req)
				continue;
		}
		if (likely(req->bpf_id < IO_BPF_ID_SEEN))
			req = io_bpf_child_event(br, req);
		else
			req = io_bpf_other_event(br, req);
		if (req && unlikely(!wq_list_empty(list))) {
			io_req_complete_defer(req);
			req = NULL;
		}
	}
}

/* Post and free the requests that the walk has passed. */
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
	br->last = NULL;
	io_post_compl_reqs(ctx);
	state->compl_reqs = rest;
}

/* Determine whose programs may run in this flush. */
static __always_inline void io_bpf_begin(struct io_bpf_ring *br)
{
	struct io_uring_task *tctx = current->io_uring;

	br->last = NULL;
	br->tctx = io_bpf_may_run(br->ctx, tctx) ? tctx : NULL;
}

/* Prepare for programs that issue requests. */
static __always_inline void io_bpf_begin_issue(struct io_bpf_ring *br)
{
	struct io_submit_state *state = &br->ctx->submit_state;

	/* the submission's link is queued, and a child must not start its plug */
	state->link.head = NULL;
	state->need_plug = false;
	br->line = io_bpf_line(br);
	br->slice = likely(br->tctx) ? br->line->slice : 0;
}

/* Several completions can issue as many requests to one block device. */
static noinline void io_bpf_walk_plugged(struct io_bpf_ring *br)
{
	struct blk_plug plug;

	blk_start_plug(&plug);
	io_bpf_walk(br);
	blk_finish_plug(&plug);
}

/* Walk and post, until ->compl_reqs is empty. */
static void io_bpf_rounds(struct io_bpf_ring *br)
{
	struct io_ring_ctx *ctx = br->ctx;
	struct io_wq_work_list *list = &ctx->submit_state.compl_reqs;

	do {
		/* flows wait for room in the CQ, and for the task to handle a signal */
		if (unlikely(test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &ctx->check_cq) ||
			     io_bpf_task_wanted()))
			br->slice = 0;
		if (list->first && list->first->next)
			io_bpf_walk_plugged(br);
		else
			io_bpf_walk(br);
		if (unlikely(!hlist_empty(&br->kills)))
			io_bpf_cancel_ending(br);
		if (io_bpf_post_waits(br) || (ctx->int_flags & IO_RING_F_DRAIN_ACTIVE))
			io_bpf_post_passed(br);
		else if (!(ctx->int_flags & (IO_RING_F_TASK_COMPLETE |
					     IO_RING_F_SYSCALL_IOPOLL)))
			/* io_sync_cancel() waits for requests that post no CQE */
			io_cqring_wake(ctx);
	} while (list->first || !hlist_empty(&br->kills));
}

/* Let the next flow of the queue go on, see bpf_wait.c, and keep the rest of the slice. */
static void io_bpf_finish(struct io_bpf_ring *br)
{
	struct io_bpf_budget *b = br->line;

	if (b && (b->waiting.first || b->pause))
		io_bpf_resume_next(br);
	if (likely(br->tctx))
		b->slice = br->slice;
}

/*
 * Return true if plain watching programs have run for all completions, and the flush has
 * nothing else to do but post these.
 */
static __always_inline bool io_bpf_watch_all(struct io_bpf_ring *br)
{
	struct io_submit_state *state = &br->ctx->submit_state;
	struct io_wq_work_node *node = state->compl_reqs.first;

	if (!(br->ctx->int_flags & IO_RING_F_BPF_MATCH) || !node || state->cq_flush ||
	    unlikely(!hlist_empty(&br->kills)))
		return false;
	return !io_bpf_watch_plain(br, node);
}

/* Flush completions on a ring with BPF programs, see the top of the file. */
void io_bpf_flush(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br = ctx->bpf_ring;

	lockdep_assert_held(&ctx->uring_lock);

	io_bpf_begin(br);
	if (io_bpf_watch_all(br)) {
		io_post_compl_reqs(ctx);
		return;
	}
	io_bpf_begin_issue(br);
	if (unlikely(br->run.acted))
		io_bpf_watch_acted(br);
	io_bpf_rounds(br);
	io_bpf_finish(br);
}

static __always_inline void io_bpf_run_tw(struct io_kiocb *req, io_tw_token_t tw)
{
	INDIRECT_CALL_2(req->io_task_work.func,
			io_poll_task_func, io_req_rw_complete,
			(struct io_tw_req){req}, tw);
}

/* Run the local work that is queued. Return the number of entries. */
static __always_inline int io_bpf_run_queued(struct io_bpf_ring *br, io_tw_token_t tw,
					     int max_events)
{
	struct io_ring_ctx *ctx = br->ctx;
	struct llist_node *node;
	bool last;
	int ret = 0;

	if (br->kept) {
		struct io_kiocb *req = br->kept;

		br->kept = NULL;
		io_bpf_run_tw(req, tw);
		return 1;
	}
	do {
		node = mpscq_pop(&ctx->work_list, &ctx->work_head);
		if (unlikely(!node)) {
			/* a producer has not linked its entry yet, see mpscq_pop() */
			cond_resched();
			break;
		}
		last = mpscq_pop_emptied(&ctx->work_list, ctx->work_head);
		io_bpf_run_tw(container_of(node, struct io_kiocb, io_task_work.node), tw);
		ret++;
		/* @req can be a multishot request that continues in new task work */
	} while (ret < max_events &&
		 (!last || (ret < IO_LOCAL_TW_DEFAULT_MAX && io_local_work_pending(ctx))));
	return ret;
}

/*
 * A child adds its task work. If its handler does so from within the local work of its
 * task, and no other work is queued, keep the child for the next round, and return true.
 */
bool io_bpf_keep_tw(struct io_kiocb *req)
{
	struct io_ring_ctx *ctx = req->ctx;
	struct io_bpf_ring *br;

	if (ctx->submitter_task != current || !in_task())
		return false;
	br = ctx->bpf_ring;
	if (!br->may_keep || io_local_work_pending(ctx))
		return false;
	br->may_keep = false;
	br->kept = req;
	return true;
}

/*
 * Take a child off ->compl_reqs that is its only entry, and that needs nothing of what a
 * round does. Return NULL if there is none.
 */
static __always_inline struct io_kiocb *io_bpf_only_child(struct io_bpf_ring *br)
{
	struct io_wq_work_list *list = &br->ctx->submit_state.compl_reqs;
	struct io_wq_work_node *node = list->first;
	struct io_kiocb *req;

	if (!node || node->next || br->slice <= 0 || br->ctx->check_cq ||
	    io_bpf_task_wanted())
		return NULL;
	req = container_of(node, struct io_kiocb, comp_list);
	if ((req->flags & (REQ_F_BPF | REQ_F_REISSUE)) != REQ_F_BPF ||
	    req->bpf_id >= IO_BPF_ID_SEEN || req->tctx != br->tctx)
		return NULL;
	INIT_WQ_LIST(list);
	br->slice--;
	return req;
}

/*
 * Run local work and flush, on a ring with BPF programs. A program that issues the next
 * request leaves more work and no CQE, so unlike __io_run_local_work() this goes on
 * until there are @min_events CQEs, for a limited number of rounds. The ring is locked
 * throughout, so whose programs may run does not change in between.
 */
int io_bpf_run_local_work(struct io_ring_ctx *ctx, io_tw_token_t tw, int min_events,
			  int max_events)
{
	struct io_submit_state *state = &ctx->submit_state;
	unsigned int rounds = IO_BPF_LOCAL_ROUNDS;
	struct io_bpf_ring *br = ctx->bpf_ring;
	unsigned int tail = ctx->cached_cq_tail;
	struct io_kiocb *req;
	int ret = 0;

	lockdep_assert_held(&ctx->uring_lock);

	io_bpf_begin(br);
	io_bpf_begin_issue(br);
	do {
		ret += io_bpf_run_queued(br, tw, max_events);
		req = io_bpf_only_child(br);
		if (likely(req)) {
			br->may_keep = true;
			req = io_bpf_child_event(br, req);
			br->may_keep = false;
		}
		if (unlikely(req))
			io_req_complete_defer(req);
		if (state->compl_reqs.first || state->cq_flush || !hlist_empty(&br->kills))
			io_bpf_rounds(br);
	} while ((br->kept || io_local_work_pending(ctx)) &&
		 (int)(ctx->cached_cq_tail - tail) < min_events &&
		 !test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &ctx->check_cq) && --rounds);
	io_bpf_finish(br);
	if (br->kept) {
		io_req_task_work_add(br->kept);
		br->kept = NULL;
	}
	return ret;
}
