// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_OP_BPF: a flow of requests that a BPF program steers
 *
 * The request owns the flow, it is not a step of it. A step is an ordinary
 * request, a child, which the program issued. Its completion runs the program
 * again, see bpf_run.c. The flow ends when nothing of it is left in flight.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/nospec.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "cancel.h"
#include "timeout.h"
#include "bpf.h"

/* Ring-wide: does any flush have to look for programs to run? */
void io_bpf_update_flag(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br = ctx->bpf_ring;
	bool active = !xa_empty(&br->flows);
	int i;

	lockdep_assert_held(&ctx->uring_lock);

	for (i = 0; i < IO_BPF_MAX_SLOTS && !active; i++)
		active = br->progs[i];
	if (active)
		ctx->int_flags |= IO_RING_F_BPF;
	else
		ctx->int_flags &= ~IO_RING_F_BPF;
}

/*
 * Makes the completion of the request before the flow its first event. A chain
 * with a member that failed to prepare is cut, whatever a program may want.
 */
static void io_bpf_mark_pred(struct io_bpf_flow *flow)
{
	struct io_submit_link *link = &flow->req->ctx->submit_state.link;
	struct io_kiocb *pred = link->last;

	if (!link->head || (link->head->flags & REQ_F_FAIL))
		return;
	if (pred->opcode == IORING_OP_LINK_TIMEOUT)
		pred = io_link_timeout_head(pred);
	pred->bpf_id = IO_BPF_ID_PRED;
	pred->flags |= REQ_F_BPF;
	flow->flags |= IO_BPF_F_PRED;
}

int io_bpf_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_ring_ctx *ctx = req->ctx;
	struct io_bpf_ring *br = ctx->bpf_ring;
	struct io_bpf_flow *flow;
	u32 slot;
	int ret;

	if (sqe->fd != -1 || sqe->bpf_flags || sqe->buf_index || sqe->file_index)
		return -EINVAL;
	/* not REQ_F_FORCE_ASYNC, a drain sets it and is fine */
	if (sqe->flags & (IOSQE_FIXED_FILE | IOSQE_ASYNC))
		return -EINVAL;

	slot = READ_ONCE(sqe->len);
	if (slot >= IO_BPF_MAX_SLOTS)
		return -EINVAL;
	slot = array_index_nospec(slot, IO_BPF_MAX_SLOTS);
	if (!br || !br->progs[slot])
		return -ENOENT;

	flow = io_uring_alloc_async_data(NULL, req);
	if (!flow)
		return -ENOMEM;
	*flow = (struct io_bpf_flow) {
		.req		= req,
		.slot		= slot,
		.state[0]	= READ_ONCE(sqe->off),
		.state[1]	= READ_ONCE(sqe->addr),
		.state[2]	= READ_ONCE(sqe->addr3),
		.state[3]	= READ_ONCE(sqe->bpf_arg),
	};
	INIT_LIST_HEAD(&flow->node);
	INIT_HLIST_NODE(&req->hash_node);

	ret = xa_alloc(&br->flows, &flow->id, flow,
		       XA_LIMIT(0, IO_BPF_MAX_FLOWS - 1), GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret;
	req->flags |= REQ_F_NEED_CLEANUP;
	io_bpf_update_flag(ctx);
	io_bpf_mark_pred(flow);
	return 0;
}

void io_bpf_cleanup(struct io_kiocb *req)
{
	struct io_bpf_flow *flow = req->async_data;
	struct io_ring_ctx *ctx = req->ctx;

	lockdep_assert_held(&ctx->uring_lock);

	/* cut off with its chain, it hasn't been issued */
	if (!(flow->flags & IO_BPF_F_DONE))
		xa_erase(&ctx->bpf_ring->flows, flow->id);
	io_bpf_update_flag(ctx);
}

/*
 * No more events, and nothing behind it in its chain will run. That part can't
 * wait for the children: a member may be tracked as in flight since it was
 * prepared, and an exiting task waits for those.
 */
void io_bpf_mark_killed(struct io_bpf_flow *flow)
{
	struct io_kiocb *req = flow->req;
	struct io_ring_ctx *ctx = req->ctx;

	lockdep_assert_held(&ctx->uring_lock);

	if (flow->flags & IO_BPF_F_KILLED)
		return;
	flow->flags |= IO_BPF_F_KILLED | IO_BPF_F_ENDING;
	flow->res = -ECANCELED;
	hlist_del_init(&req->hash_node);
	list_del_init(&flow->node);
	io_bpf_drop_staged(flow);

	req_set_fail(req);
	if (req->flags & REQ_F_HARDLINK) {
		req->flags &= ~REQ_F_HARDLINK;
		req->flags |= REQ_F_LINK;
	}
	spin_lock(&ctx->completion_lock);
	io_disarm_next(req);
	spin_unlock(&ctx->completion_lock);
}

/*
 * A child on its way through task work is nowhere that a cancellation looks.
 * Before it goes on: has its flow been ended meanwhile?
 */
bool io_bpf_child_ending(struct io_kiocb *req)
{
	struct io_bpf_flow *flow;

	lockdep_assert_held(&req->ctx->uring_lock);

	flow = xa_load(&req->ctx->bpf_ring->flows, req->bpf_id);
	return !WARN_ON_ONCE(!flow) && (flow->flags & IO_BPF_F_ENDING);
}

/*
 * The flow's task is to look after it: to run its START, to issue what was
 * parked, or to cancel its children and complete it.
 */
static void io_bpf_tw(struct io_tw_req tw_req, io_tw_token_t tw)
{
	struct io_kiocb *req = tw_req.req;
	struct io_bpf_flow *flow = req->async_data;
	struct io_ring_ctx *ctx = req->ctx;

	io_tw_lock(ctx, tw);

	flow->flags &= ~IO_BPF_F_QUEUED;
	if (!(flow->flags & IO_BPF_F_ENDING) && !io_bpf_can_run(flow))
		io_bpf_mark_killed(flow);
	if (flow->flags & IO_BPF_F_ENDING) {
		list_move_tail(&flow->node, &ctx->bpf_ring->kills);
		io_bpf_settle(flow);
	} else if (!wq_list_empty(&flow->staged)) {
		list_move_tail(&flow->node, &ctx->bpf_ring->ready);
	}
	ctx->submit_state.cq_flush = true;
}

void io_bpf_queue_tw(struct io_bpf_flow *flow)
{
	lockdep_assert_held(&flow->req->ctx->uring_lock);

	if (flow->flags & IO_BPF_F_QUEUED)
		return;
	flow->flags |= IO_BPF_F_QUEUED;
	flow->req->io_task_work.func = io_bpf_tw;
	io_req_task_work_add(flow->req);
}

/* The flow completes in its own task, as any other request does. */
static bool io_bpf_cancel_flow(struct io_kiocb *req)
{
	struct io_bpf_flow *flow = req->async_data;

	if (flow->flags & IO_BPF_F_KILLED)
		return false;
	io_bpf_mark_killed(flow);
	io_bpf_queue_tw(flow);
	return true;
}

/* Cancels one flow, as io_poll_cancel() does: who wants all comes again. */
int io_bpf_cancel(struct io_ring_ctx *ctx, struct io_cancel_data *cd,
		  unsigned int issue_flags)
{
	struct io_kiocb *req;
	int ret = -ENOENT;

	if (!io_has_bpf(ctx))
		return ret;
	io_ring_submit_lock(ctx, issue_flags);
	hlist_for_each_entry(req, &ctx->bpf_ring->active, hash_node) {
		if (!io_cancel_req_match(req, cd))
			continue;
		/* it's off the list now */
		io_bpf_cancel_flow(req);
		ret = 0;
		break;
	}
	io_ring_submit_unlock(ctx, issue_flags);
	return ret;
}

bool io_bpf_remove_all(struct io_ring_ctx *ctx, struct io_uring_task *tctx,
		       bool cancel_all)
{
	if (!io_has_bpf(ctx))
		return false;
	return io_cancel_remove_all(ctx, tctx, &ctx->bpf_ring->active,
				    cancel_all, io_bpf_cancel_flow);
}

/* A program is gone from its slot, and so are the flows that it steered. */
void io_bpf_cancel_slot(struct io_bpf_ring *br, u32 slot)
{
	struct hlist_node *tmp;
	struct io_kiocb *req;

	lockdep_assert_held(&br->ctx->uring_lock);

	hlist_for_each_entry_safe(req, tmp, &br->active, hash_node) {
		struct io_bpf_flow *flow = req->async_data;

		if (flow->slot == slot)
			io_bpf_cancel_flow(req);
	}
}

static int io_bpf_start(struct io_bpf_flow *flow, unsigned int issue_flags)
{
	struct io_kiocb *req = flow->req;
	struct io_bpf_ring *br = req->ctx->bpf_ring;

	/*
	 * Its program was detached since it was prepared, it was cancelled in
	 * io-wq, or nobody could show the program the completion before it
	 * because the task or the ring goes away.
	 */
	if (!br->progs[flow->slot] || io_wq_cancel_seen(req, issue_flags) ||
	    (flow->flags & IO_BPF_F_PRED))
		return -ECANCELED;

	flow->flags |= IO_BPF_F_ACTIVE;
	hlist_add_head(&req->hash_node, &br->active);
	if (flow->flags & IO_BPF_F_TAKEN)
		return 0;

	list_add_tail(&flow->node, &br->events);
	/* deferred by a drain it comes here from io-wq, programs never run there */
	if (issue_flags & IO_URING_F_UNLOCKED)
		io_bpf_queue_tw(flow);
	else
		req->ctx->submit_state.cq_flush = true;
	return 0;
}

int io_bpf_issue(struct io_kiocb *req, unsigned int issue_flags)
{
	struct io_ring_ctx *ctx = req->ctx;
	int ret;

	io_ring_submit_lock(ctx, issue_flags);
	ret = io_bpf_start(req->async_data, issue_flags);
	io_ring_submit_unlock(ctx, issue_flags);
	if (!ret)
		return IOU_ISSUE_SKIP_COMPLETE;

	req_set_fail(req);
	io_req_set_res(req, ret, 0);
	return IOU_COMPLETE;
}
