// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_OP_BPF: a flow of requests that a BPF program steers
 *
 * The request owns the flow and is not a step of the flow. A step is an ordinary
 * request, a child, which the program issued. The completion of a child runs the
 * program again, see bpf_run.c. The flow ends when nothing of it is left in flight.
 *
 * The state of a flow is in its request, protected by ->uring_lock:
 *
 *   prepared --issue--> ACTIVE, EVENT --START--> ACTIVE --no children--> DONE
 *                          |                        |                     ^
 *                          '------ cancelled ------>|--> ENDING ----------'
 *                                                   |      last child
 *                             complete(), no memory-'
 *
 * A flow completes in io_bpf_settle(), and only there: with IO_BPF_F_ENDING, when it has
 * neither children nor records of them, does not wait, and neither an event nor the task
 * work of the flow is queued.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/io_uring.h>

#include "bpf_int.h"
#include "timeout.h"

/* a free entry of ->flows: the index of the next one */
#define IO_BPF_FREE_FLOW(next)	((struct io_kiocb *)((unsigned long)(next) << 1 | 1))
#define IO_BPF_NEXT_FREE(flow)	((unsigned int)((unsigned long)(flow) >> 1))
#define IO_BPF_IS_FREE_FLOW(flow)	((unsigned long)(flow) & 1)
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

/*
 * The last request of the ring is gone, and with it the flows. Links stay as they are,
 * but have no ring any more.
 */
void io_bpf_ring_exit(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br = ctx->bpf_ring;

	if (!br)
		return;
	/* no flow is left to wait, but the timer's function may still be at its end */
	hrtimer_cancel(&br->own.timer);
	scoped_guard(mutex, &br->lock) {
		/* whoever was the last one has cleared these */
		WARN_ON_ONCE((ctx->int_flags & IO_RING_F_BPF) &&
			     mem_is_zero(br->progs, sizeof(br->progs)) &&
			     mem_is_zero(br->watchers, sizeof(br->watchers)));
		WARN_ON_ONCE((ctx->int_flags & IO_RING_F_BPF_MATCH) &&
			     mem_is_zero(br->first_watcher,
					 sizeof(br->first_watcher)));
		br->ctx = NULL;
		memset(br->progs, 0, sizeof(br->progs));
		memset(br->watchers, 0, sizeof(br->watchers));
	}
	ctx->bpf_ring = NULL;
	ctx->int_flags &= ~(IO_RING_F_BPF | IO_RING_F_BPF_MATCH);
	WARN_ON_ONCE(br->nr_flows || br->nr_apps || br->nr_app_records || br->nr_room);
	io_bpf_ring_put(br);
}

/* Make flushes look for programs to run, or not, after a change of what there is. */
void io_bpf_update_flag(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br = ctx->bpf_ring;
	bool active = br->nr_flows || br->nr_apps;
	int i;

	lockdep_assert_held(&ctx->uring_lock);

	for (i = 0; i < IO_BPF_MAX_SLOTS && !active; i++)
		active = br->progs[i] || br->watchers[i].prog;
	if (active)
		ctx->int_flags |= IO_RING_F_BPF;
	else
		ctx->int_flags &= ~IO_RING_F_BPF;
}

/* A request of the application that a program has issued has completed, or never was. */
void io_bpf_app_gone(struct io_bpf_ring *br)
{
	if (!--br->nr_apps && !br->nr_flows)
		io_bpf_update_flag(br->ctx);
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
 * Make the completion of the request before the flow its first event. A chain with a
 * member that failed to prepare is cut, whatever a program may want.
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

	/* in masks on everybody's way, which ought to stay immediates */
	BUILD_BUG_ON(REQ_F_BPF_BIT >= 32);

	if (sqe->fd != -1 || sqe->bpf_flags || sqe->buf_index || sqe->file_index)
		return -EINVAL;
	/* a drain sets REQ_F_FORCE_ASYNC as well, and io_bpf_issue() is ready */
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
	req->bpf_flow.slot = slot;
	req->bpf_flow.nr_linked = 0;
	req->bpf_flow.nr_records = 0;
	req->bpf_flow.flags = 0;
	INIT_HLIST_NODE(&req->hash_node);
	INIT_WQ_LIST(&req->bpf_waiting);

	ret = io_bpf_get_id(br, req);
	if (ret)
		return ret;
	/* a flag of its own, as io-wq may store the credentials of the task later */
	if (req->flags & REQ_F_CREDS) {
		req->bpf_flow.flags |= IO_BPF_F_CREDS;
		req->ctx->int_flags |= IO_RING_F_BPF_MODE;
	}
	req->flags |= REQ_F_NEED_CLEANUP;
	io_bpf_mark_pred(req);
	/* this task has come by with a system call, or from around the SQ thread's loop */
	if (!(req->ctx->flags & IORING_SETUP_DEFER_TASKRUN))
		current->io_uring->bpf.out = true;
	else
		br->own.out = true;
	return 0;
}

void io_bpf_cleanup(struct io_kiocb *req)
{
	struct io_bpf_ring *br = req->ctx->bpf_ring;

	lockdep_assert_held(&req->ctx->uring_lock);

	/* cut off with its chain, the flow has not been issued */
	if (!(req->bpf_flow.flags & IO_BPF_F_DONE))
		io_bpf_put_id(br, req);
	if (!br->nr_flows)
		io_bpf_update_flag(req->ctx);
}

/*
 * Complete a flow that is ending and has nothing in flight. Whoever clears one of the
 * flags that stand in the way calls this. The CQE goes out with the flush that is
 * under way, or the next one.
 */
void io_bpf_settle(struct io_kiocb *flow)
{
	u16 *flags = &flow->bpf_flow.flags;

	lockdep_assert_held(&flow->ctx->uring_lock);

	if (io_bpf_ctx(flow)->nr_children || flow->bpf_flow.nr_records ||
	    !(*flags & IO_BPF_F_ENDING) ||
	    (*flags & (IO_BPF_F_QUEUED | IO_BPF_F_WAITING | IO_BPF_F_EVENT |
		       IO_BPF_F_DONE)))
		return;
	*flags |= IO_BPF_F_DONE;
	hlist_del_init(&flow->hash_node);
	io_bpf_put_id(flow->ctx->bpf_ring, flow);

	if (*flags & IO_BPF_F_CUT)
		io_bpf_cut_chain(flow);
	else if (flow->cqe.res < 0 && !(*flags & IO_BPF_F_GO_ON))
		req_set_fail(flow);
	else if (flow->cqe.res < 0)
		flow->flags &= ~REQ_F_CQE_SKIP;
	flow->cqe.flags = 0;
	io_req_complete_defer(flow);
}

/* The program of a slot is gone, and the next one does not know these flows. */
void io_bpf_forget_cancel(struct io_bpf_ring *br, u32 slot)
{
	unsigned int i;

	lockdep_assert_held(&br->ctx->uring_lock);

	for (i = 0; i < br->max_flows; i++) {
		struct io_kiocb *flow = br->flows[i];

		if (!IO_BPF_IS_FREE_FLOW(flow) && flow->bpf_flow.slot == slot)
			flow->bpf_flow.flags &= ~IO_BPF_F_CANCEL;
	}
}

/* Queue START or CANCEL of the flow, as an entry of ->compl_reqs like any other. */
void io_bpf_add_event(struct io_kiocb *flow)
{
	lockdep_assert_held(&flow->ctx->uring_lock);

	flow->bpf_flow.flags |= IO_BPF_F_EVENT;
	/* else the flow is itself the request before another flow */
	if (!(flow->flags & REQ_F_BPF)) {
		flow->flags |= REQ_F_BPF;
		flow->bpf_id = IO_BPF_ID_FLOW;
	}
	wq_list_add_tail(&flow->comp_list, &flow->ctx->submit_state.compl_reqs);
}

/*
 * The flow's task looks after the flow: adds its START, gives back what has waited, or
 * tells the program of the cancellation, cancels the children and completes the flow.
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
	if (!(*flags & IO_BPF_F_ACTIVE)) {
		/* deferred by a drain, see io_bpf_start() */
		*flags |= IO_BPF_F_ACTIVE;
		io_bpf_add_event(flow);
	} else if ((*flags & IO_BPF_F_CANCEL) && !(*flags & IO_BPF_F_EVENT)) {
		io_bpf_add_event(flow);
	} else if (*flags & IO_BPF_F_ENDING) {
		io_bpf_end(ctx->bpf_ring, flow);
	}
	/* also if nothing has come of this, see io_bpf_resume_next() */
	ctx->submit_state.cq_flush = true;
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
	 * The program was detached since the flow was prepared, the flow was cancelled
	 * in io-wq, or the completion of the request before it was not shown to the
	 * program because the task or the ring goes away.
	 */
	if (!io_bpf_slot_prog(br, req) ||
	    io_wq_cancel_seen(req, issue_flags) ||
	    (req->bpf_flow.flags & IO_BPF_F_PRED))
		return -ECANCELED;

	hlist_add_head(&req->hash_node, &br->active);
	/* deferred by a drain the flow comes here from io-wq, where no program runs */
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
