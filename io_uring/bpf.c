// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_OP_BPF: the life of a flow, from preparation to completion, and its cancellation
 *
 * A flow is a sequence of requests that a BPF program steers. The IORING_OP_BPF request
 * holds the state of the flow. The steps are its children: ordinary requests that the
 * program issues, and whose completions run the program again, see bpf_run.c. The flow
 * ends when none of its children is in flight.
 *
 * State of a flow, protected by ->uring_lock:
 *
 *   prepared --issue--> ACTIVE, EVENT --START--> ACTIVE --no children--> DONE
 *                          |                        |                     ^
 *                          '------ cancelled ------>|--> ENDING ----------'
 *                                                   |      last child
 *                             complete(), no memory-'
 *
 * Only io_bpf_settle() completes a flow: one with IO_BPF_F_ENDING that has neither
 * children nor records, does not wait, and has neither an event nor task work queued.
 */
#include <linux/btf.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <trace/events/io_uring.h>

#include "bpf_int.h"
#include "cancel.h"
#include "timeout.h"

#define IO_BPF_MIN_FLOWS	8

struct io_bpf_ring *io_bpf_ring_alloc(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br;

	br = kvzalloc_obj(*br, GFP_KERNEL_ACCOUNT);
	if (!br)
		return NULL;
	refcount_set(&br->refs, 1);
	mutex_init(&br->lock);
	br->ctx = ctx;
	br->watch.ctx = ctx;
	br->watch.bpf_flow.flags = IO_BPF_F_ENDING;
	io_bpf_ctx(&br->watch)->flags = BPF_IO_URING_F_MATCH;
	io_bpf_init_budget(&br->own);
	INIT_HLIST_HEAD(&br->active);
	INIT_HLIST_HEAD(&br->kills);
	return br;
}

void io_bpf_ring_put(struct io_bpf_ring *br)
{
	if (refcount_dec_and_test(&br->refs)) {
		mutex_destroy(&br->lock);
		kvfree(br->flows);
		kvfree(br);
	}
}

/* All requests of the ring were freed. Detach the ring from its links. */
void io_bpf_ring_exit(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br = ctx->bpf_ring;

	/* no flow waits any more, but the timer function might still be returning */
	hrtimer_cancel(&br->own.timer);
	scoped_guard(mutex, &br->lock) {
		br->ctx = NULL;
		memset(br->progs, 0, sizeof(br->progs));
		memset(br->watchers, 0, sizeof(br->watchers));
	}
	ctx->bpf_ring = NULL;
	ctx->int_flags &= ~(IO_RING_F_BPF | IO_RING_F_BPF_MATCH);
	WARN_ON_ONCE(br->nr_flows || br->nr_apps || br->nr_app_records || br->room.first);
	io_bpf_ring_put(br);
}

static int io_bpf_grow_flows(struct io_bpf_ring *br)
{
	unsigned int i, max = max(2 * br->max_flows, IO_BPF_MIN_FLOWS);
	struct io_kiocb **flows;

	if (max > IO_BPF_MAX_FLOWS)
		return -EBUSY;
	flows = kvrealloc(br->flows, array_size(max, sizeof(*flows)),
			  GFP_KERNEL_ACCOUNT);
	if (!flows)
		return -ENOMEM;
	for (i = br->max_flows; i < max; i++)
		flows[i] = IO_BPF_FREE_FLOW(i + 1);
	br->flows = flows;
	br->max_flows = max;
	return 0;
}

static int io_bpf_get_id(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	u32 id = br->free_flow;
	int ret;

	if (id == br->max_flows) {
		ret = io_bpf_grow_flows(br);
		if (ret)
			return ret;
	}
	br->free_flow = IO_BPF_NEXT_FREE(br->flows[id]);
	br->flows[id] = flow;
	br->nr_flows++;
	flow->bpf_flow.id = id;
	return 0;
}

static void io_bpf_put_id(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	u32 id = flow->bpf_flow.id;

	br->flows[id] = IO_BPF_FREE_FLOW(br->free_flow);
	br->free_flow = id;
	br->nr_flows--;
}

/*
 * Make the completion of the request before the flow its first event, unless an earlier
 * member of the chain failed its preparation, which fails the whole chain.
 */
static void io_bpf_mark_pred(struct io_kiocb *flow)
{
	struct io_submit_link *link = &flow->ctx->submit_state.link;
	struct io_kiocb *pred = link->last;

	if (!link->head || (link->head->flags & REQ_F_FAIL))
		return;
	if (pred->opcode == IORING_OP_LINK_TIMEOUT)
		pred = io_link_timeout_head(pred);
	pred->bpf_id = IO_BPF_ID_PRED;
	pred->flags |= REQ_F_BPF;
	flow->bpf_flow.flags |= IO_BPF_F_PRED;
}

int io_bpf_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(req);
	struct io_bpf_ring *br = req->ctx->bpf_ring;
	u32 slot;
	int ret;

	/* hot paths test this bit in masks that should remain immediates */
	BUILD_BUG_ON(REQ_F_BPF_BIT >= 32);

	if (sqe->fd != -1 || sqe->bpf_flags || sqe->buf_index || sqe->file_index)
		return -EINVAL;
	/* REQ_F_FORCE_ASYNC is no error: a drain sets it, see io_bpf_start() */
	if ((req->flags & REQ_F_FIXED_FILE) ||
	    (READ_ONCE(sqe->flags) & IOSQE_ASYNC))
		return -EINVAL;

	slot = READ_ONCE(sqe->len);
	if (slot >= IO_BPF_MAX_SLOTS)
		return -EINVAL;
	slot = array_index_nospec(slot, IO_BPF_MAX_SLOTS);
	if (!br || !br->progs[slot])
		return -ENOENT;

	memset(bctx, 0, sizeof(req->cmd.data));
	bctx->state[0] = READ_ONCE(sqe->off);
	bctx->state[1] = READ_ONCE(sqe->addr);
	bctx->state[2] = READ_ONCE(sqe->addr3);
	bctx->state[3] = READ_ONCE(sqe->bpf_arg);
	req->bpf_flow = (struct io_bpf_flow) { .slot = slot };
	req->bpf_end = IO_BPF_END_NOT;
	INIT_HLIST_NODE(&req->hash_node);
	req->bpf_waiting = NULL;

	if (br->flow_sizes[slot]) {
		ret = io_bpf_alloc_mem(req, br->flow_sizes[slot]);
		if (ret)
			return ret;
	}
	ret = io_bpf_get_id(br, req);
	if (ret)
		return ret;
	/* io-wq sets REQ_F_CREDS as well, hence a separate flag */
	if (req->flags & REQ_F_CREDS) {
		req->bpf_flow.flags |= IO_BPF_F_CREDS;
		req->ctx->int_flags |= IO_RING_F_BPF_MODE;
	}
	req->flags |= REQ_F_NEED_CLEANUP;
	io_bpf_mark_pred(req);
	/* the task is not in task work: a system call, or the SQ thread's loop */
	io_bpf_line(br)->out = true;
	return 0;
}

/* Clean up after a flow that was not issued, because the chain before it was cut. */
void io_bpf_cleanup(struct io_kiocb *req)
{
	lockdep_assert_held(&req->ctx->uring_lock);

	io_bpf_put_id(req->ctx->bpf_ring, req);
}

/*
 * Complete the flow if it is ending and nothing of it is in flight. Called after one of
 * the conditions has changed. The current flush, or else the next one, posts the CQE.
 */
void io_bpf_settle(struct io_kiocb *flow)
{
	struct io_bpf_ring *br = flow->ctx->bpf_ring;
	u16 *flags = &flow->bpf_flow.flags;

	lockdep_assert_held(&flow->ctx->uring_lock);

	if (io_bpf_ctx(flow)->nr_children || flow->bpf_flow.nr_records ||
	    !(*flags & IO_BPF_F_ENDING) ||
	    (*flags & (IO_BPF_F_QUEUED | IO_BPF_F_WAITING | IO_BPF_F_EVENT |
		       IO_BPF_F_DONE)))
		return;
	*flags |= IO_BPF_F_DONE;
	trace_io_uring_bpf_flow(flow);
	hlist_del_init(&flow->hash_node);
	io_bpf_put_id(br, flow);
	flow->flags &= ~REQ_F_NEED_CLEANUP;

	if (*flags & IO_BPF_F_CUT)
		io_bpf_cut_chain(flow);
	else if (flow->cqe.res < 0 && !(*flags & IO_BPF_F_GO_ON))
		req_set_fail(flow);
	else if (flow->cqe.res < 0)
		flow->flags &= ~REQ_F_CQE_SKIP;
	flow->cqe.flags = 0;
	io_req_complete_defer(flow);
}

/* Queue START or CANCEL as an entry of ->compl_reqs. */
static void io_bpf_add_event(struct io_kiocb *flow)
{
	lockdep_assert_held(&flow->ctx->uring_lock);

	flow->bpf_flow.flags |= IO_BPF_F_EVENT;
	/* keep the ->bpf_id of a flow that is the request before another flow */
	if (!(flow->flags & REQ_F_BPF)) {
		flow->flags |= REQ_F_BPF;
		flow->bpf_id = IO_BPF_ID_FLOW;
	}
	wq_list_add_tail(&flow->comp_list, &flow->ctx->submit_state.compl_reqs);
}

/*
 * Task work of a flow: queue its START or CANCEL, move waiting completions back to
 * ->compl_reqs, cancel its children, or complete the flow.
 */
void io_bpf_tw(struct io_tw_req tw_req, io_tw_token_t tw)
{
	struct io_kiocb *flow = tw_req.req;
	struct io_ring_ctx *ctx = flow->ctx;
	u16 *flags = &flow->bpf_flow.flags;

	io_tw_lock(ctx, tw);

	*flags &= ~IO_BPF_F_QUEUED;
	io_bpf_resumed(ctx->bpf_ring, flow);
	if (*flags & IO_BPF_F_WAITING)
		io_bpf_unhold(ctx->bpf_ring, flow);
	if (!(*flags & IO_BPF_F_ENDING) &&
	    (!io_bpf_may_run(ctx, flow->tctx) || !io_bpf_slot_prog(ctx->bpf_ring, flow)))
		io_bpf_mark_killed(flow);
	if (!(*flags & IO_BPF_F_ACTIVE) ||
	    ((*flags & IO_BPF_F_CANCEL) && !(*flags & IO_BPF_F_EVENT))) {
		/* CANCEL, or START of a flow deferred by a drain, see io_bpf_start() */
		*flags |= IO_BPF_F_ACTIVE;
		io_bpf_add_event(flow);
	} else if (*flags & IO_BPF_F_ENDING) {
		io_bpf_end(ctx->bpf_ring, flow);
	}
}

void io_bpf_queue_tw(struct io_kiocb *flow)
{
	lockdep_assert_held(&flow->ctx->uring_lock);

	if (flow->bpf_flow.flags & IO_BPF_F_QUEUED)
		return;
	flow->bpf_flow.flags |= IO_BPF_F_QUEUED;
	flow->io_task_work.func = io_bpf_tw;
	io_req_task_work_add(flow);
}

static int io_bpf_start(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_bpf_ring *br = req->ctx->bpf_ring;

	lockdep_assert_held(&req->ctx->uring_lock);

	/*
	 * The program was detached after the preparation, the flow was cancelled in
	 * io-wq, or no program saw the completion of the request before the flow, because
	 * the task or the ring is going away.
	 */
	if (!io_bpf_slot_prog(br, req) ||
	    io_wq_cancel_seen(req, issue_flags) ||
	    (req->bpf_flow.flags & IO_BPF_F_PRED))
		return -ECANCELED;

	trace_io_uring_bpf_flow(req);
	hlist_add_head(&req->hash_node, &br->active);
	/* a flow deferred by a drain is issued by io-wq, where no program runs */
	if (issue_flags & IO_URING_F_UNLOCKED) {
		io_bpf_queue_tw(req);
		return 0;
	}
	req->bpf_flow.flags |= IO_BPF_F_ACTIVE;
	if (!(req->bpf_flow.flags & IO_BPF_F_TAKEN))
		io_bpf_add_event(req);
	return 0;
}

int io_bpf_issue(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_ring_ctx *ctx = req->ctx;
	int ret;

	io_ring_submit_lock(ctx, issue_flags);
	ret = io_bpf_start(req, issue_flags);
	io_ring_submit_unlock(ctx, issue_flags);
	if (!ret)
		return IOU_ISSUE_SKIP_COMPLETE;

	req_set_fail(req);
	io_req_set_res(req, ret, 0);
	return IOU_COMPLETE;
}

/* Return why a flow is cancelled. */
static unsigned int io_bpf_kill_reason(struct io_kiocb *flow)
{
	if (percpu_ref_is_dying(&flow->ctx->refs) || atomic_read(&flow->tctx->in_cancel) ||
	    (current->io_uring == flow->tctx && io_bpf_task_killed()))
		return IO_BPF_END_EXIT;
	return io_bpf_slot_prog(flow->ctx->bpf_ring, flow) ? IO_BPF_END_CANCEL :
							     IO_BPF_END_DETACH;
}

/*
 * End a flow by cancellation, and fail the chain behind it. The chain cannot wait for the
 * children of the flow: a member with REQ_F_INFLIGHT is tracked from its preparation on,
 * and an exiting task waits for it.
 */
void io_bpf_mark_killed(struct io_kiocb *flow)
{
	struct io_ring_ctx *ctx = flow->ctx;

	lockdep_assert_held(&ctx->uring_lock);

	if (flow->bpf_flow.flags & IO_BPF_F_KILLED)
		return;
	flow->bpf_flow.flags |= IO_BPF_F_KILLED | IO_BPF_F_ENDING;
	flow->bpf_end = io_bpf_kill_reason(flow);
	flow->cqe.res = -ECANCELED;
	hlist_del_init(&flow->hash_node);
	hlist_add_head(&flow->hash_node, &ctx->bpf_ring->kills);

	io_bpf_cut_chain(flow);
	spin_lock(&ctx->completion_lock);
	io_disarm_next(flow);
	spin_unlock(&ctx->completion_lock);
}

/*
 * Let the current flush, or else the next one, cancel the children of an ending flow.
 * Called in the task of the flow, or by a kernel thread after that task has exited.
 */
void io_bpf_end(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	lockdep_assert_held(&br->ctx->uring_lock);

	/* one search suffices: a child in task work checks io_bpf_child_ending() */
	if (!(flow->bpf_flow.flags & IO_BPF_F_SEARCHED)) {
		hlist_del_init(&flow->hash_node);
		hlist_add_head(&flow->hash_node, &br->kills);
	}
	io_bpf_settle(flow);
}

/*
 * Return true if the child ends with its flow, which is ending. A cancellation does not
 * find a child that is in task work, so the task work of the child checks this.
 */
bool io_bpf_child_ending(struct io_kiocb *req)
{
	struct io_kiocb *flow = io_bpf_child_flow(req->ctx->bpf_ring, req);

	lockdep_assert_held(&req->ctx->uring_lock);

	return (flow->bpf_flow.flags & IO_BPF_F_ENDING) && !io_bpf_op_releases(req->opcode);
}

/* Return true if the last run of the flow has asked for the cancellation of the child. */
static bool io_bpf_child_named(struct io_kiocb *req)
{
	struct io_bpf_run *run = &req->ctx->bpf_ring->run;
	unsigned int i;

	if (run->cancel_all)
		return !io_bpf_op_releases(req->opcode);
	for (i = 0; i < run->nr_cancels; i++) {
		if (req->cqe.user_data == run->cancels[i])
			return true;
	}
	return false;
}

/*
 * Return true if @req is a child that the current task is to cancel: for
 * bpf_io_uring_cancel(), or because its flow is ending, and CANCEL has run. The children
 * of another task belong to the mm of that task.
 */
bool io_bpf_child_to_cancel(struct io_kiocb *req, const struct io_cancel_data *cd)
{
	struct io_kiocb *flow;

	if (!io_bpf_is_child(req))
		return false;
	flow = io_bpf_child_flow(req->ctx->bpf_ring, req);
	if (cd->bpf_flow)
		return flow == cd->bpf_flow && io_bpf_child_named(req);
	return io_bpf_child_ending(req) && !(flow->bpf_flow.flags & IO_BPF_F_CANCEL) &&
	       (req->tctx == current->io_uring || (current->flags & PF_KTHREAD));
}

/* Cancel the flow, which completes in its own task. Return true if it was not ending. */
static bool io_bpf_cancel_flow(struct io_kiocb *flow)
{
	if (flow->bpf_flow.flags & IO_BPF_F_KILLED)
		return false;
	io_bpf_mark_killed(flow);
	if (!(flow->bpf_flow.flags & IO_BPF_F_WAITING))
		io_bpf_queue_tw(flow);
	else	/* in a budget, its turn comes, see bpf_wait.c */
		io_bpf_resume_all(&flow->ctx->bpf_ring->room);
	return true;
}

/* Cancel one flow, as io_poll_cancel() does. IORING_ASYNC_CANCEL_ALL calls this again. */
int io_bpf_cancel(struct io_ring_ctx *ctx, struct io_cancel_data *cd,
		  unsigned int issue_flags)
{
	struct io_kiocb *flow;
	int ret = -ENOENT;

	/* a flow is never a child: skip the search */
	if ((cd->flags & IO_CANCEL_BPF_CHILDREN) ||
	    (cd->req && cd->req->opcode != IORING_OP_BPF))
		return ret;
	io_ring_submit_lock(ctx, issue_flags);
	hlist_for_each_entry(flow, &ctx->bpf_ring->active, hash_node) {
		/* a flow that its program has ended keeps its result */
		if ((flow->bpf_flow.flags & IO_BPF_F_ENDING) ||
		    !io_cancel_req_match(flow, cd))
			continue;
		/* no CANCEL without a previous event */
		if ((flow->bpf_flow.flags & IO_BPF_F_ACTIVE) &&
		    !(flow->bpf_flow.flags & IO_BPF_F_EVENT))
			flow->bpf_flow.flags |= IO_BPF_F_CANCEL;
		/* removes the flow from the list, so the loop ends here */
		io_bpf_cancel_flow(flow);
		ret = 0;
		break;
	}
	io_ring_submit_unlock(ctx, issue_flags);
	return ret;
}

bool io_bpf_remove_all(struct io_ring_ctx *ctx, struct io_uring_task *tctx,
		       bool cancel_all)
{
	/* the task can wait for a request whose completion waits in a flow */
	io_bpf_resume_all(&ctx->bpf_ring->room);
	return io_cancel_remove_all(ctx, tctx, &ctx->bpf_ring->active,
				    cancel_all, io_bpf_cancel_flow);
}

/* Cancel the flows of a slot whose program was detached. */
void io_bpf_cancel_slot(struct io_bpf_ring *br, u32 slot)
{
	struct hlist_node *tmp;
	struct io_kiocb *flow;
	unsigned int i;

	lockdep_assert_held(&br->ctx->uring_lock);

	hlist_for_each_entry_safe(flow, tmp, &br->active, hash_node) {
		if (flow->bpf_flow.slot == slot &&
		    !(flow->bpf_flow.flags & IO_BPF_F_ENDING))
			io_bpf_cancel_flow(flow);
	}
	/* no events for the next program of the slot, which does not know these flows */
	for (i = 0; i < br->max_flows; i++) {
		flow = io_bpf_flow_at(br, i);
		if (!flow || flow->bpf_flow.slot != slot ||
		    !(flow->bpf_flow.flags & IO_BPF_F_ENDING))
			continue;
		flow->bpf_flow.flags &= ~IO_BPF_F_CANCEL;
		flow->bpf_flow.flags |= IO_BPF_F_DETACHED;
	}
}

/*
 * Cancel all children that io_bpf_child_to_cancel() matches: those that the last run of
 * @flow has named, or with NULL, those of ending flows. Only the task itself may search
 * its io-wq. After the task has exited, its io-wq is empty, but a ring that other tasks
 * use still has requests that wait for an event. A kernel thread cancels these.
 */
static void io_bpf_cancel_children(struct io_bpf_ring *br, struct io_kiocb *flow,
				   struct io_uring_task *tctx)
{
	struct io_cancel_data cd = {
		.ctx		= br->ctx,
		.bpf_flow	= flow,
		.flags		= IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY |
				  IO_CANCEL_BPF_CHILDREN,
		.seq		= atomic_inc_return(&br->ctx->cancel_seq),
	};

	io_cancel_each(tctx, &cd);
}

/*
 * Cancel the children of all ending flows, in one search for thousands of flows. Called
 * by the flush, when no request handler is on the stack.
 */
void io_bpf_cancel_ending(struct io_bpf_ring *br)
{
	lockdep_assert_held(&br->ctx->uring_lock);

	while (!hlist_empty(&br->kills)) {
		bool children = false, ours = false;
		struct io_kiocb *flow;
		struct hlist_node *tmp;
		HLIST_HEAD(ended);

		hlist_move_list(&br->kills, &ended);
		hlist_for_each_entry(flow, &ended, hash_node) {
			if (!io_bpf_ctx(flow)->nr_children ||
			    (flow->bpf_flow.flags & IO_BPF_F_CANCEL))
				continue;
			if (flow->tctx == current->io_uring) {
				flow->bpf_flow.flags |= IO_BPF_F_SEARCHED;
				ours = true;
			}
			/* else its task work cancels them, with the mm of its task */
			children |= ours || (current->flags & PF_KTHREAD);
		}
		if (children)
			io_bpf_cancel_children(br, NULL, ours ? current->io_uring : NULL);
		hlist_for_each_entry_safe(flow, tmp, &ended, hash_node) {
			u16 *flags = &flow->bpf_flow.flags;

			hlist_del_init(&flow->hash_node);
			/* else the flow is added again after CANCEL has run */
			if (!(*flags & IO_BPF_F_CANCEL))
				io_bpf_settle(flow);
			/* an exiting task may wait for the chain behind the flow */
			if (!(*flags & (IO_BPF_F_KILLED | IO_BPF_F_DONE)))
				hlist_add_head(&flow->hash_node, &br->active);
		}
	}
}

/* Cancel the children that the run has named, in one search. */
void io_bpf_apply_cancels(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	lockdep_assert_held(&br->ctx->uring_lock);

	io_bpf_cancel_children(br, flow, current->io_uring);
	br->run.nr_cancels = 0;
	/* look at the clock: there can be thousands of requests */
	br->slice = min(br->slice, 0);
}

static int io_bpf_stage_cancel(struct io_kiocb *flow, u64 user_data, u64 flags)
{
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;
	bool all = flags & BPF_IO_URING_CANCEL_ALL;

	if ((flags & ~(u64)BPF_IO_URING_CANCEL_ALL) || (all && user_data))
		return -EINVAL;
	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return io_bpf_is_watch(flow) ? -EOPNOTSUPP : -ECANCELED;
	if (!io_bpf_ctx(flow)->nr_children)
		return -ENOENT;
	if (!run->nr_cancels)
		run->cancel_all = false;
	if (all || run->cancel_all) {
		run->cancel_all = true;
		run->nr_cancels = 1;
		return 0;
	}
	if (run->nr_cancels >= IO_BPF_MAX_CANCELS)
		return -ENOBUFS;
	run->cancels[run->nr_cancels++] = user_data;
	return 0;
}

__bpf_kfunc_start_defs();

/**
 * bpf_io_uring_cancel - cancel children of the flow
 * @ctx: context of the program
 * @user_data: of the children to cancel; 0 with BPF_IO_URING_CANCEL_ALL
 * @flags: 0 or BPF_IO_URING_CANCEL_ALL
 *
 * The children in flight are cancelled after the program has returned and before the
 * requests of this run are issued or reissued. Each of them completes as usual, with
 * -ECANCELED or, if the cancellation came too late, with its result. Requests of the
 * application or of other flows are not cancelled, whatever their user_data.
 *
 * As with IORING_OP_ASYNC_CANCEL, some children are not found: a member of a chain that
 * was not issued yet, a linked timeout, which ends with its request, a child on its way
 * from one place of waiting to another, a zero-copy notification, and commands of drivers.
 * bpf_io_uring_complete() finds members of chains and children on their way as well. With
 * BPF_IO_URING_CANCEL_ALL, requests that release something continue, see
 * bpf_io_uring_issue().
 *
 * Context: BPF_IO_URING_START, COMPLETE and AUX of a flow. Called with ->uring_lock held,
 * takes no lock, does not sleep.
 * Return: 0, also if no child has @user_data, or
 * -EINVAL: wrong @flags, or @user_data is not 0 with BPF_IO_URING_CANCEL_ALL;
 * -ENOENT: no child of the flow is in flight or issued by this run;
 * -ENOBUFS: 8 calls of this run have named a @user_data;
 * -ECANCELED: the flow is ending, its children are cancelled anyway;
 * -EOPNOTSUPP: a watching program has no flow.
 */
__bpf_kfunc int bpf_io_uring_cancel(struct bpf_io_uring_ctx *ctx, u64 user_data, u64 flags)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);

	return io_bpf_refused(flow, __func__, io_bpf_stage_cancel(flow, user_data, flags));
}

__bpf_kfunc_end_defs();
