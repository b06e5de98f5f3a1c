// SPDX-License-Identifier: GPL-2.0
/*
 * Cancelling flows, and what BPF programs have issued for them
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/io_uring.h>

#include "bpf_int.h"
#include "cancel.h"
#include "timeout.h"

/*
 * No more events, and nothing behind it in its chain will run. That part can't
 * wait for the children: a member may be tracked as in flight since it was
 * prepared, and an exiting task waits for those.
 */
void io_bpf_mark_killed(struct io_kiocb *flow)
{
	struct io_ring_ctx *ctx = flow->ctx;

	lockdep_assert_held(&ctx->uring_lock);

	if (flow->bpf_flow.flags & IO_BPF_F_KILLED)
		return;
	flow->bpf_flow.flags |= IO_BPF_F_KILLED | IO_BPF_F_ENDING;
	flow->cqe.res = -ECANCELED;
	hlist_del_init(&flow->hash_node);
	hlist_add_head(&flow->hash_node, &ctx->bpf_ring->kills);

	io_bpf_cut_chain(flow);
	spin_lock(&ctx->completion_lock);
	io_disarm_next(flow);
	spin_unlock(&ctx->completion_lock);
	io_bpf_leave_room(flow);
}

/*
 * A flow is ending, and this is its task, or that is gone. What it has in flight
 * gets cancelled by the flush that is under way or follows.
 */
void io_bpf_end(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	lockdep_assert_held(&br->ctx->uring_lock);

	hlist_del_init(&flow->hash_node);
	/* once is enough, what was on its way then finds out by itself */
	if (!(flow->bpf_flow.flags & IO_BPF_F_SEARCHED))
		hlist_add_head(&flow->hash_node, &br->kills);
	io_bpf_settle(flow);
}

/*
 * A child on its way through task work is nowhere that a cancellation looks.
 * Before it goes on: has its flow been ended meanwhile?
 */
bool io_bpf_child_ending(struct io_kiocb *req)
{
	struct io_kiocb *flow;

	lockdep_assert_held(&req->ctx->uring_lock);

	flow = io_bpf_child_flow(req->ctx->bpf_ring, req);
	return flow->bpf_flow.flags & IO_BPF_F_ENDING;
}

/* The same, and its program has been told of it, if it had to be. */
bool io_bpf_child_to_cancel(struct io_kiocb *req)
{
	struct io_kiocb *flow;

	if (!io_bpf_is_child(req) || !io_bpf_child_ending(req))
		return false;
	flow = io_bpf_child_flow(req->ctx->bpf_ring, req);
	return !(flow->bpf_flow.flags & IO_BPF_F_CANCEL);
}

/* The flow completes in its own task, as any other request does. */
static bool io_bpf_cancel_flow(struct io_kiocb *flow)
{
	if (flow->bpf_flow.flags & IO_BPF_F_KILLED)
		return false;
	io_bpf_mark_killed(flow);
	/* if the flow stands in line its turn comes, see bpf_wait.c */
	if (!(flow->bpf_flow.flags & IO_BPF_F_WAITING))
		io_bpf_queue_tw(flow);
	return true;
}

/* Cancels one flow, as io_poll_cancel() does: who wants all comes again. */
int io_bpf_cancel(struct io_ring_ctx *ctx, struct io_cancel_data *cd,
		  unsigned int issue_flags)
{
	struct io_kiocb *req;
	int ret = -ENOENT;

	/* flows are no children, so they need not be looked through for each */
	if (!io_has_bpf(ctx) ||
	    (cd->flags & IO_CANCEL_BPF_CHILDREN) ||
	    (cd->req && cd->req->opcode != IORING_OP_BPF))
		return ret;
	io_ring_submit_lock(ctx, issue_flags);
	hlist_for_each_entry(req, &ctx->bpf_ring->active, hash_node) {
		if (!io_cancel_req_match(req, cd))
			continue;
		/* a program that has never run is not told */
		if ((req->bpf_flow.flags & IO_BPF_F_ACTIVE) &&
		    !(req->bpf_flow.flags & IO_BPF_F_EVENT))
			req->bpf_flow.flags |= IO_BPF_F_CANCEL;
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
		if (req->bpf_flow.slot == slot)
			io_bpf_cancel_flow(req);
	}
	io_bpf_forget_cancel(br, slot);
}

/*
 * Only the task itself may look into its io-wq. Once it's gone there is nothing
 * in there, but a ring that others have keeps what waits for an event, and a kernel
 * thread comes for that.
 */
static void io_bpf_cancel_children(struct io_bpf_ring *br, bool ours)
{
	struct io_cancel_data cd = {
		.ctx	= br->ctx,
		.flags	= IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY |
			  IO_CANCEL_BPF_CHILDREN,
		.seq	= atomic_inc_return(&br->ctx->cancel_seq),
	};

	io_cancel_each(ours ? current->io_uring : NULL, &cd);
}

/* Return true if that flow has children that are to be cancelled here. */
static bool io_bpf_search_flow(struct io_kiocb *flow, bool *ours)
{
	if (!io_bpf_ctx(flow)->nr_children ||
	    (flow->bpf_flow.flags & IO_BPF_F_CANCEL))
		return false;
	if (flow->tctx == current->io_uring) {
		flow->bpf_flow.flags |= IO_BPF_F_SEARCHED;
		*ours = true;
		return true;
	}
	/* its task work is on the way, and cancels with the memory of that task */
	return current->flags & PF_KTHREAD;
}

/*
 * Called by the flush, when no handler is active further up. There may be
 * thousands of them, so their children are looked for once.
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
		hlist_for_each_entry(flow, &ended, hash_node)
			children |= io_bpf_search_flow(flow, &ours);
		if (children)
			io_bpf_cancel_children(br, ours);
		hlist_for_each_entry_safe(flow, tmp, &ended, hash_node) {
			hlist_del_init(&flow->hash_node);
			/* else back from task work, when the program was told */
			if (!(flow->bpf_flow.flags & IO_BPF_F_CANCEL))
				io_bpf_settle(flow);
		}
	}
}
