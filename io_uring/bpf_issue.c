// SPDX-License-Identifier: GPL-2.0
/*
 * What BPF programs have asked for, and when it's done
 *
 * Of a staged SQE, in ->cmd of a request, another request is made by
 * io_bpf_submit_child(), past all checks that the application's SQEs go through.
 * A child that is to be issued again is staged as what it is, and has REQ_F_BPF
 * set. See bpf_hop.c for the loop over them.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/blkdev.h>
#include <linux/sched/signal.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "bpf.h"
#include "bpf_mode.h"
#include "bpf_run.h"
#include "slist.h"

/*
 * Task work runs before signals are looked at, and as long as there is any. A
 * child that completes in place or in task work brings the task back here, so
 * programs that never stop would keep it from its signals and from user space.
 * Hence the budget isn't one of a flush: only the way around grants more.
 */
bool io_bpf_must_park(struct io_bpf_ring *br)
{
	return !br->budget || task_sigpending(current);
}

/* Flows wait as long as CQEs wait for room: an endless flow must not add to these. */
static void io_bpf_refill_budget(struct io_bpf_ring *br)
{
	if (test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq)) {
		br->budget = 0;
		return;
	}
	br->budget = io_bpf_budget(br->ctx);
	br->aux_budget = br->budget;
}

static struct io_kiocb *io_bpf_staged_flow(struct io_bpf_ring *br,
					   struct io_wq_work_node *node)
{
	return io_bpf_child_flow(br, container_of(node, struct io_kiocb,
						  comp_list));
}

/*
 * Jiffies until the task is called back. If it's not in a wait for CQEs it has
 * code of its own to run, which would get nowhere between two calls. One that polls
 * for them isn't told from that.
 */
static unsigned long io_bpf_park_delay(struct io_ring_ctx *ctx)
{
	if (task_sigpending(current))
		return 1;
	if (ctx->flags & IORING_SETUP_SQPOLL)
		return 0;
	return io_bpf_task_waits(ctx) ? 0 : 1;
}

/* Something else brings the task back, later. */
void io_bpf_park_later(struct io_bpf_ring *br)
{
	unsigned long delay = io_bpf_park_delay(br->ctx);

	if (delay)
		current->io_uring->bpf_parked = jiffies;
	queue_delayed_work(system_dfl_wq, &br->park_work, delay);
}

/*
 * Rings of a task take turns: by the time that one has had its own, another one
 * may be called back. From one turn to the next there has to be time in which no
 * flows were issued for, else the task never gets to code of its own.
 */
static bool io_bpf_take_turn(struct io_bpf_ring *br)
{
	struct io_uring_task *tctx = current->io_uring;

	if (!io_bpf_park_delay(br->ctx))
		return true;
	if (time_after(jiffies, tctx->bpf_parked + 1))
		tctx->bpf_turn = jiffies;
	if (br->turn == tctx->bpf_turn)
		return false;
	br->turn = tctx->bpf_turn;
	return true;
}

/*
 * Who waits for CQEs of a DEFER_TASKRUN ring looks for signals between two runs
 * of its task work, and user space comes before. Elsewhere, task work that is
 * added from task work would run at once: something else has to add it, later,
 * so that the task gets out of there in between.
 */
void io_bpf_park(struct io_bpf_ring *br)
{
	struct io_kiocb *flow = io_bpf_staged_flow(br, br->ready.first);

	io_bpf_splice(&br->ready, &br->parked);
	/* until io_bpf_overflow_ended() */
	if (test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq))
		return;
	if (!task_sigpending(current) &&
	    (br->ctx->flags & IORING_SETUP_DEFER_TASKRUN)) {
		io_bpf_queue_tw(flow);
	} else {
		io_bpf_park_later(br);
	}
}

/* Bring back what is parked, by task work of one flow of each task. */
static void io_bpf_call_back(struct io_bpf_ring *br)
{
	struct io_uring_task *last = NULL;
	struct io_wq_work_node *node;

	lockdep_assert_held(&br->ctx->uring_lock);

	/* else it's for io_bpf_unpark(): what isn't parked takes no turns */
	if (!br->parked.first)
		io_bpf_refill_budget(br);
	__wq_list_for_each(node, &br->parked) {
		struct io_kiocb *flow = io_bpf_staged_flow(br, node);

		if (flow->tctx != last)
			io_bpf_queue_tw(flow);
		last = flow->tctx;
	}
}

/* ->ctx is alive: io_bpf_ring_exit() waits for this to end */
void io_bpf_park_work(struct work_struct *work)
{
	struct io_bpf_ring *br = container_of(to_delayed_work(work),
					      struct io_bpf_ring, park_work);

	guard(mutex)(&br->ctx->uring_lock);
	io_bpf_call_back(br);
}

/* All CQEs have found room in the CQ, so flows can go on. */
void io_bpf_overflow_ended(struct io_ring_ctx *ctx)
{
	if (ctx->bpf_ring && !percpu_ref_is_dying(&ctx->refs))
		io_bpf_call_back(ctx->bpf_ring);
}

/*
 * The task has come by again, or is gone: what it has parked can be issued, or
 * comes to an end.
 */
void io_bpf_unpark(struct io_bpf_ring *br, struct io_uring_task *tctx)
{
	struct io_wq_work_list all = br->parked;
	struct io_wq_work_node *node, *next;

	lockdep_assert_held(&br->ctx->uring_lock);

	if (!all.first)
		return;
	/* there is only one task */
	if (br->ctx->flags & IORING_SETUP_DEFER_TASKRUN) {
		io_bpf_refill_budget(br);
		io_bpf_splice(&br->parked, &br->ready);
		return;
	}
	if (io_bpf_may_run(br->ctx, tctx) && !io_bpf_take_turn(br)) {
		queue_delayed_work(system_dfl_wq, &br->park_work, 1);
		return;
	}
	io_bpf_refill_budget(br);
	INIT_WQ_LIST(&br->parked);
	for (node = all.first; node; node = next) {
		bool ours = io_bpf_staged_flow(br, node)->tctx == tctx;

		next = node->next;
		wq_list_add_tail(node, ours ? &br->ready : &br->parked);
	}
}

static void io_bpf_issue_plugged(struct io_bpf_ring *br)
{
	struct blk_plug plug;

	blk_start_plug(&plug);
	io_bpf_issue_ready(br);
	blk_finish_plug(&plug);
}

/* The task or the ring goes away: its flows come to an end instead. */
static void io_bpf_kill_ready(struct io_bpf_ring *br)
{
	struct io_wq_work_node *node;

	__wq_list_for_each(node, &br->ready) {
		struct io_kiocb *flow = io_bpf_staged_flow(br, node);

		if (!(flow->bpf_flow.flags & IO_BPF_F_ENDING))
			io_bpf_mark_killed(flow);
		io_bpf_end(br, flow);
	}
}

/*
 * Does what the programs asked for, after they have returned. A handler that
 * flushes may make more of that.
 */
void io_bpf_apply(struct io_bpf_ring *br)
{
	lockdep_assert_held(&br->ctx->uring_lock);

	for (;;) {
		if (unlikely(!br->tctx))
			io_bpf_kill_ready(br);
		if (unlikely(br->links.first))
			io_bpf_apply_links(br);
		if (unlikely(!hlist_empty(&br->kills)))
			io_bpf_cancel_ending(br);
		if (!br->ready.first || br->nr_pending)
			break;
		if (unlikely(br->ctx->int_flags & IO_RING_F_BPF_MODE) &&
		    io_bpf_mode_parks(br->ctx)) {
			io_bpf_park(br);
			break;
		}
		if (br->ready.first->next)
			io_bpf_issue_plugged(br);
		else
			io_bpf_issue_ready(br);
	}
}
