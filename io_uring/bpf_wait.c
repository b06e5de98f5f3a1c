// SPDX-License-Identifier: GPL-2.0
/*
 * Time budget of BPF programs, and flows that wait
 *
 * Task work runs before signals and user code, for as long as there is any. A child that
 * completes in place or in task work runs its program again in the same task, so an
 * endless program would never let go of the task. Hence a task has a time budget. Each
 * completion that runs a program is charged to a slice, and each request of a run that
 * issues several. At the end of a slice the clock is read. When the time is used up,
 * flows wait for a pause in which the task can do other work.
 *
 * A flow waits as a whole: entries of ->compl_reqs for its children move to a list in the
 * flow, and the flow is queued in the budget. io_bpf_resume_next() takes out the first
 * flow, and adds its task work: by a timer after the pause, or at once if time is left.
 * The task work refills the budget and moves the entries back. So there is one timer and
 * one item of task work per task for any number of flows.
 *
 * A request of the application that a watching program has issued waits in the same
 * queue, with its own task work. START, CANCEL and the request before a flow do not
 * wait: there is one of each for an SQE of the application.
 *
 * Flows also wait while CQEs wait for room in the CQ, unless they are ending. This uses no
 * time of the budget, and ends when the application has reaped.
 *
 * Only its task uses a budget, with two exceptions. A ring with
 * IORING_SETUP_DEFER_TASKRUN has its own budget, under ->uring_lock: its task work runs
 * when the application asks for it, and other rings must not wait for that. And a flush
 * where no program may run has a slice that is always used up.
 *
 * Lifetime: a queued request is in flight, and holds references to its task and ring.
 * io_bpf_clean_tctx() removes all queued requests before the task exits.
 */
#include <linux/blkdev.h>
#include <linux/hrtimer.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>

#include "bpf_int.h"

/* completions and requests between two reads of the clock */
#define IO_BPF_SLICE		128
/* CPU time of the task before programs pause */
#define IO_BPF_TIME		NSEC_PER_MSEC
/* the pause is this fraction of the time used, within these limits */
#define IO_BPF_SHARE		16
#define IO_BPF_MIN_PAUSE	(50 * NSEC_PER_USEC)
#define IO_BPF_MAX_PAUSE	(4 * NSEC_PER_MSEC)
/* the pause for the task to leave task work and to handle a signal */
#define IO_BPF_SIGNAL_PAUSE	NSEC_PER_MSEC
/* CQEs of multishot requests that programs can drop until the task sleeps */
#define IO_BPF_MAX_DROPPED	1024

/* End of the pause: add the task work of the next request. */
static enum hrtimer_restart io_bpf_pause_over(struct hrtimer *timer)
{
	struct io_bpf_budget *b = container_of(timer, struct io_bpf_budget, timer);

	io_req_task_work_add(b->next);
	return HRTIMER_NORESTART;
}

void io_bpf_init_budget(struct io_bpf_budget *b)
{
	hrtimer_setup(&b->timer, io_bpf_pause_over, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL);
	/* the time starts with the first io_bpf_look() */
	b->slice = IO_BPF_SLICE;
	b->out = true;
}

void io_bpf_init_tctx(struct io_uring_task *tctx)
{
	io_bpf_init_budget(&tctx->bpf);
}

static void io_bpf_fill(struct io_bpf_ring *br, struct io_bpf_budget *b)
{
	b->left = IO_BPF_TIME;
	b->look = task_sched_runtime(current);
	b->utime = current->utime;
	b->pause = 0;
	/* signals come first, see io_bpf_pause() */
	b->slice = task_sigpending(current) ? 1 : IO_BPF_SLICE;
	/* in a flush in which programs may run, the slice is in @br */
	if (br->tctx)
		br->slice = b->slice;
}

/* Return the pause in ns: a share of the time used, or enough to handle signals. */
static u64 io_bpf_pause(const struct io_bpf_budget *b)
{
	if (task_sigpending(current))
		return IO_BPF_SIGNAL_PAUSE;
	if (b->left > 0)
		return 0;
	return clamp((IO_BPF_TIME - b->left) / IO_BPF_SHARE, IO_BPF_MIN_PAUSE,
		     IO_BPF_MAX_PAUSE);
}

/*
 * Called when a slice is used up. Return true if programs may continue, with a new slice.
 */
bool io_bpf_look(struct io_bpf_ring *br)
{
	struct io_bpf_budget *b = br->line;
	u64 now;

	lockdep_assert_held(&br->ctx->uring_lock);

	/* requests that programs have issued must not wait for more of them */
	blk_flush_plug(current->plug, false);
	cond_resched();
	if (!io_bpf_goes_on(br))
		return false;
	br->slice = min(br->slice, 0);
	if (b->pause || test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq))
		return false;

	now = task_sched_runtime(current);
	/* the task was in user space: it has submitted a flow, or a tick hit it there */
	if (b->out || b->utime != current->utime)
		b->left = IO_BPF_TIME;
	else
		b->left -= now - b->look;
	b->look = now;
	b->utime = current->utime;
	b->out = false;
	b->pause = io_bpf_pause(b);
	if (b->pause)
		return false;
	br->slice = IO_BPF_SLICE;
	return true;
}

/* Let the flow wait, with the completion or record @req of one of its children. */
void io_bpf_hold(struct io_bpf_ring *br, struct io_kiocb *flow, struct io_kiocb *req)
{
	struct io_wq_work_node *node = &req->comp_list, *last = flow->bpf_waiting;
	u16 *flags = &flow->bpf_flow.flags;

	lockdep_assert_held(&br->ctx->uring_lock);

	/* the last entry points to the first one */
	if (last) {
		node->next = last->next;
		last->next = node;
	} else {
		node->next = node;
	}
	flow->bpf_waiting = node;
	if (*flags & IO_BPF_F_WAITING)
		return;
	*flags |= IO_BPF_F_WAITING;
	flow->io_task_work.func = io_bpf_tw;
	if (test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq)) {
		*flags |= IO_BPF_F_ROOM;
		wq_list_add_tail(&flow->comp_list, &br->room);
	} else {
		wq_list_add_tail(&flow->comp_list, &br->line->waiting);
	}
}

/*
 * Called by the task work of @req, a flow or a request that was queued. After a pause,
 * refill the budget. Force a flush, which takes out the next request.
 */
void io_bpf_resumed(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_bpf_budget *b = io_bpf_line(br);

	lockdep_assert_held(&br->ctx->uring_lock);

	br->ctx->submit_state.cq_flush = true;
	if (!b || b->next != req)
		return;
	b->next = NULL;
	if (b->pause)
		io_bpf_fill(br, b);
}

/* Move the waiting completions of the flow to the front of ->compl_reqs. */
void io_bpf_unhold(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	struct io_wq_work_list *list = &br->ctx->submit_state.compl_reqs;
	struct io_wq_work_node *last = flow->bpf_waiting, *first = last->next;

	lockdep_assert_held(&br->ctx->uring_lock);

	flow->bpf_flow.flags &= ~(IO_BPF_F_WAITING | IO_BPF_F_ROOM);
	flow->bpf_waiting = NULL;
	last->next = list->first;
	if (!list->first)
		list->last = last;
	list->first = first;
}

static void io_bpf_app_tw(struct io_tw_req tw_req, io_tw_token_t tw)
{
	io_tw_lock(tw_req.req->ctx, tw);
	io_bpf_resumed(tw_req.req->ctx->bpf_ring, tw_req.req);
	/* the preparation of a reissue has failed */
	if (unlikely(tw_req.req->flags & REQ_F_FAIL))
		io_req_complete_defer(tw_req.req);
	else
		io_req_task_submit(tw_req, tw);
}

/* Queue a request of the application that a watching program has issued or reissued. */
void io_bpf_hold_app(struct io_bpf_ring *br, struct io_kiocb *req)
{
	req->io_task_work.func = io_bpf_app_tw;
	wq_list_add_tail(&req->comp_list, &br->line->waiting);
}

/*
 * Add the task work of all requests on the list: the CQ has room, or the task or the ring
 * is going away. Flows that must wait for room again return to the list.
 */
void io_bpf_resume_all(struct io_wq_work_list *list)
{
	struct io_wq_work_node *next, *node = list->first;

	INIT_WQ_LIST(list);
	for (; node; node = next) {
		next = node->next;
		io_req_task_work_add(container_of(node, struct io_kiocb, comp_list));
	}
}

/*
 * Called at the end of a flush. Take out the next request, unless the previous one is
 * still on its way. Its task work is added after the pause, or at once if time is left.
 * If no request waits, the pause is over.
 */
void io_bpf_resume_next(struct io_bpf_ring *br)
{
	struct io_bpf_budget *b = br->line;
	struct io_wq_work_node *node;

	lockdep_assert_held(&br->ctx->uring_lock);

	node = b->waiting.first;
	if (!node) {
		if (!b->next)
			io_bpf_fill(br, b);
		return;
	}
	if (unlikely(!br->tctx)) {
		io_bpf_resume_all(&b->waiting);
		return;
	}
	if (b->next)
		return;
	b->waiting.first = node->next;
	b->next = container_of(node, struct io_kiocb, comp_list);
	if (b->pause)
		hrtimer_start(&b->timer, ns_to_ktime(b->pause), HRTIMER_MODE_REL);
	else
		io_req_task_work_add(b->next);
}

/* The CQ has taken all overflowed CQEs, so flows can continue. */
void io_bpf_overflow_ended(struct io_ring_ctx *ctx)
{
	lockdep_assert_held(&ctx->uring_lock);

	io_bpf_resume_all(&ctx->bpf_ring->room);
}

/* Count a CQE of a multishot request that a watching program has dropped. */
void io_bpf_count_drop(struct io_uring_task *tctx)
{
	if (!tctx->bpf_dropped++)
		tctx->bpf_nvcsw = current->nvcsw;
}

/*
 * Return true if too many CQEs were dropped since the task has slept, so that the next
 * one must end its request. Posted CQEs end a multishot request when the CQ is full, but
 * dropped CQEs take no room.
 */
bool io_bpf_flooded(struct io_uring_task *tctx)
{
	if (tctx->bpf_dropped < IO_BPF_MAX_DROPPED)
		return false;
	tctx->bpf_dropped = 0;
	return tctx->bpf_nvcsw == current->nvcsw;
}

/*
 * The task is exiting. Add the task work of all queued requests, which runs in this task,
 * or else in the fallback work.
 */
void io_bpf_clean_tctx(struct io_uring_task *tctx)
{
	struct io_bpf_budget *b = &tctx->bpf;

	/* else the timer has added the task work */
	if (hrtimer_cancel(&b->timer))
		io_req_task_work_add(b->next);
	b->next = NULL;
	io_bpf_resume_all(&b->waiting);
}
