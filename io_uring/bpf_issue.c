// SPDX-License-Identifier: GPL-2.0
/*
 * Issuing what BPF programs have staged
 *
 * A staged SQE lives in the request that it is going to be. It becomes one in
 * io_bpf_submit_child(), past all checks that the application's SQEs go
 * through.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/blkdev.h>
#include <linux/sched/signal.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "slist.h"
#include "cancel.h"
#include "bpf.h"

/* Allocates, so that the program doesn't have to. It may sleep, here not there. */
void io_bpf_refill_spare(struct io_bpf_ring *br)
{
	struct io_kiocb *req;

	lockdep_assert_held(&br->ctx->uring_lock);

	while (br->nr_spare < IO_BPF_MAX_SQES && io_alloc_req(br->ctx, &req)) {
		wq_stack_add_head(&req->comp_list, &br->spare);
		br->nr_spare++;
	}
}

static void io_bpf_free_unissued(struct io_ring_ctx *ctx, struct io_kiocb *req)
{
	wq_stack_add_head(&req->comp_list, &ctx->submit_state.free_list);
}

void io_bpf_return_spare(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br = ctx->bpf_ring;

	lockdep_assert_held(&ctx->uring_lock);

	if (!br)
		return;
	for (; br->nr_spare; br->nr_spare--) {
		struct io_wq_work_node *node = wq_stack_extract(&br->spare);

		io_bpf_free_unissued(ctx, container_of(node, struct io_kiocb,
						       comp_list));
	}
}

static struct io_kiocb *io_bpf_pop_staged(struct io_bpf_flow *flow)
{
	struct io_wq_work_node *node = flow->staged.first;

	if (!node)
		return NULL;
	wq_list_cut(&flow->staged, node, NULL);
	return container_of(node, struct io_kiocb, comp_list);
}

void io_bpf_drop_staged(struct io_bpf_flow *flow)
{
	struct io_ring_ctx *ctx = flow->req->ctx;
	struct io_kiocb *req;

	lockdep_assert_held(&ctx->uring_lock);

	while ((req = io_bpf_pop_staged(flow))) {
		io_bpf_free_unissued(ctx, req);
		flow->nr_children--;
	}
}

/*
 * The part of issue() that can't fail later. May be called with preemption or
 * interrupts off, hence takes what is at hand.
 */
int io_bpf_stage(struct io_bpf_run *run, const struct io_uring_sqe *sqe)
{
	struct io_bpf_flow *flow = run->flow;
	struct io_bpf_ring *br = run->br;
	struct io_kiocb *req;

	BUILD_BUG_ON(sizeof(*sqe) > sizeof(req->cmd));

	if ((flow->flags & IO_BPF_F_ENDING) || fatal_signal_pending(current))
		return -ECANCELED;
	if (run->nr_sqes >= IO_BPF_MAX_SQES)
		return -ENOBUFS;
	if (flow->nr_children >= br->ctx->cq_entries)
		return -EAGAIN;
	if (!br->nr_spare)
		return -ENOMEM;

	br->nr_spare--;
	req = container_of(wq_stack_extract(&br->spare), struct io_kiocb,
			   comp_list);
	memcpy(&req->cmd, sqe, sizeof(*sqe));
	wq_list_add_tail(&req->comp_list, &flow->staged);
	flow->nr_children++;
	run->nr_sqes++;
	return 0;
}

/*
 * Task work runs before signals are looked at, and as long as there is any. A
 * child that completes in place or in task work brings the task back here, so
 * programs that never stop would keep it from its signals and from user space.
 * Hence the budget isn't one of a flush: only io_bpf_park_work() grants more.
 */
static bool io_bpf_must_park(struct io_bpf_ring *br)
{
	return !br->budget || task_sigpending(current) || need_resched();
}

/*
 * Task work that the task adds from task work would run at once. Something else
 * has to add it, later, so that the task gets out of there in between.
 */
static void io_bpf_park(struct io_bpf_ring *br)
{
	list_splice_tail_init(&br->ready, &br->parked);
	queue_delayed_work(system_dfl_wq, &br->park_work,
			   task_sigpending(current) ? 1 : 0);
}

/* ->ctx is alive: io_bpf_ring_exit() waits for this to end */
void io_bpf_park_work(struct work_struct *work)
{
	struct io_bpf_ring *br = container_of(to_delayed_work(work),
					      struct io_bpf_ring, park_work);
	struct io_bpf_flow *flow;

	guard(mutex)(&br->ctx->uring_lock);

	br->budget = IO_BPF_BUDGET;
	list_for_each_entry(flow, &br->parked, node)
		io_bpf_queue_tw(flow);
}

/*
 * Only the task itself may look into its io-wq. Once it's gone there is nothing
 * in there, but a ring that others have keeps what waits for an event.
 */
static void io_bpf_cancel_children(struct io_bpf_flow *flow)
{
	struct io_uring_task *tctx = flow->req->tctx;
	struct io_ring_ctx *ctx = flow->req->ctx;
	struct io_cancel_data cd = {
		.ctx	= ctx,
		.data	= flow->id,
		.flags	= IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY |
			  IO_CANCEL_BPF_CHILDREN,
		.seq	= atomic_inc_return(&ctx->cancel_seq),
	};
	int ret;

	do {
		if (current->io_uring == tctx)
			ret = io_try_cancel(tctx, &cd, 0);
		else
			ret = io_try_cancel_armed(&cd, 0);
	} while (ret != -ENOENT);
}

static void io_bpf_issue_ready(struct io_bpf_ring *br)
{
	struct io_bpf_flow *flow;

	while ((flow = list_first_entry_or_null(&br->ready, struct io_bpf_flow,
						node))) {
		struct io_uring_sqe sqe;
		struct io_kiocb *req;
		u32 id = flow->id;

		if (unlikely(io_bpf_must_park(br))) {
			io_bpf_park(br);
			return;
		}
		br->budget--;
		req = io_bpf_pop_staged(flow);
		if (wq_list_empty(&flow->staged))
			list_del_init(&flow->node);
		/* the SQE gets overwritten as the request is set up */
		memcpy(&sqe, &req->cmd, sizeof(sqe));
		/* may complete the flow */
		io_bpf_submit_child(req, br->ctx, &sqe, id);
	}
}

static bool io_bpf_several_ready(struct io_bpf_ring *br)
{
	struct io_bpf_flow *flow;

	if (list_empty(&br->ready))
		return false;
	flow = list_first_entry(&br->ready, struct io_bpf_flow, node);
	return flow->staged.first->next || !list_is_singular(&br->ready);
}

/* Does what the programs asked for, after they have returned. */
void io_bpf_apply(struct io_bpf_ring *br)
{
	struct io_bpf_flow *flow;

	lockdep_assert_held(&br->ctx->uring_lock);

	while ((flow = list_first_entry_or_null(&br->kills, struct io_bpf_flow,
						node))) {
		list_del_init(&flow->node);
		io_bpf_cancel_children(flow);
	}

	if (io_bpf_several_ready(br)) {
		struct blk_plug plug;

		blk_start_plug(&plug);
		io_bpf_issue_ready(br);
		blk_finish_plug(&plug);
	} else {
		io_bpf_issue_ready(br);
	}
}
