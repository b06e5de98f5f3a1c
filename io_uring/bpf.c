// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_OP_BPF: a flow of requests that a BPF program steers
 *
 * The request owns the flow, it is not a step of it. A step is an ordinary
 * request, a child, which the program issued. Its completion runs the program
 * again, see bpf_run.c. The flow ends when nothing of it is left in flight.
 *
 * All that there is of a flow is in its request, protected by ->uring_lock.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "slist.h"
#include "timeout.h"
#include "bpf.h"
#include "bpf_aux.h"

/* an entry of ->flows that is not in use: where the next of them is */
#define IO_BPF_FREE_FLOW(next)	((struct io_kiocb *)((unsigned long)(next) << 1 | 1))
#define IO_BPF_NEXT_FREE(flow)	((unsigned int)((unsigned long)(flow) >> 1))
#define IO_BPF_IS_FREE_FLOW(flow)	((unsigned long)(flow) & 1)
#define IO_BPF_MIN_FLOWS	8

/* Ring-wide: does any flush have to look for programs to run? */
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
	/* for io_bpf_flush_watched(), flows take from ->spare */
	if (!--br->nr_flows && (br->ctx->int_flags & IO_RING_F_BPF_MATCH))
		br->interrupt = true;
}

/*
 * Makes the completion of the request before the flow its first event. A chain
 * with a member that failed to prepare is cut, whatever a program may want.
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
	req->bpf_flow.nr_linking = 0;
	req->bpf_flow.flags = 0;
	INIT_HLIST_NODE(&req->hash_node);

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
	return 0;
}

void io_bpf_cleanup(struct io_kiocb *req)
{
	struct io_bpf_ring *br = req->ctx->bpf_ring;

	lockdep_assert_held(&req->ctx->uring_lock);

	/* cut off with its chain, it hasn't been issued */
	if (!(req->bpf_flow.flags & IO_BPF_F_DONE))
		io_bpf_put_id(br, req);
	if (!br->nr_flows)
		io_bpf_update_flag(req->ctx);
}

/*
 * Completes a flow that is ending and has nothing in flight. Its CQE goes out
 * with the flush that is under way, or the next one.
 */
void io_bpf_settle(struct io_kiocb *flow)
{
	u16 *flags = &flow->bpf_flow.flags;

	lockdep_assert_held(&flow->ctx->uring_lock);

	if (io_bpf_busy(flow) || !(*flags & IO_BPF_F_ENDING) ||
	    (*flags & (IO_BPF_F_QUEUED | IO_BPF_F_EVENT | IO_BPF_F_DONE)))
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

/* The program of a slot is gone, and the next one doesn't know these flows. */
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

/*
 * The flow's task is to look after it: to run its START, to issue what was
 * parked, or to tell its program that it's cancelled, cancel its children and
 * complete it.
 */
static void io_bpf_tw(struct io_tw_req tw_req, io_tw_token_t tw)
{
	struct io_kiocb *flow = tw_req.req;
	struct io_ring_ctx *ctx = flow->ctx;
	struct io_bpf_ring *br = ctx->bpf_ring;

	io_tw_lock(ctx, tw);

	if (unlikely(flow->bpf_flow.flags & IO_BPF_F_CANCEL))
		io_bpf_run_cancel(br, flow);
	flow->bpf_flow.flags &= ~IO_BPF_F_QUEUED;
	io_bpf_unpark(br, flow->tctx);
	if (!(flow->bpf_flow.flags & IO_BPF_F_ENDING) && !io_bpf_can_run(flow))
		io_bpf_mark_killed(flow);
	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		io_bpf_end(br, flow);
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
	 * Its program was detached since it was prepared, it was cancelled in
	 * io-wq, or nobody could show the program the completion before it
	 * because the task or the ring goes away.
	 */
	if (!io_bpf_slot_prog(br, req) ||
	    io_wq_cancel_seen(req, issue_flags) ||
	    (req->bpf_flow.flags & IO_BPF_F_PRED))
		return -ECANCELED;

	req->bpf_flow.flags |= IO_BPF_F_ACTIVE;
	hlist_add_head(&req->hash_node, &br->active);
	if (req->bpf_flow.flags & IO_BPF_F_TAKEN)
		return 0;

	req->bpf_flow.flags |= IO_BPF_F_EVENT;
	wq_list_add_tail(&req->comp_list, &br->events);
	/* deferred by a drain it comes here from io-wq, programs never run there */
	if (issue_flags & IO_URING_F_UNLOCKED)
		io_bpf_queue_tw(req);
	else
		req->ctx->submit_state.cq_flush = true;
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
