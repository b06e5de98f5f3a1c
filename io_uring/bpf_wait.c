// SPDX-License-Identifier: GPL-2.0
/*
 * What keeps BPF programs that never stop from keeping their task
 *
 * Task work runs before signals are looked at and before user code, and as long as
 * there is any. A child that completes in place or in task work brings the task back
 * to its program, so a program could go on for ever. Hence a task has a budget of
 * time. Each completion that runs a program, and each request that a program issues, is
 * charged to a slice, and at the end of a slice the clock is looked at. When the time
 * is used up flows wait, for a pause in which the task gets to whatever else it has
 * to do.
 *
 * A flow waits as a whole: all entries of ->compl_reqs that its children leave go to
 * a list in the flow. Waiting flows stand in line in the budget. The first one is
 * taken out, and its task work is added when the pause is over: by a timer, or at once
 * if there is time left. The task work fills the budget and gives back the entries.
 * So there is one timer and one item of task work a task, however many flows wait.
 *
 * A request of the application that a watching program has issued waits in the same
 * line, with its own task work. START, CANCEL and the request before a flow do not
 * wait: there is one of each for an SQE of the application.
 *
 * Flows also wait as long as CQEs wait for room in the CQ. That takes no time from the
 * budget, and ends when the application has reaped.
 *
 * The budget is the task's, and used by the task only, but for two. A ring with
 * IORING_SETUP_DEFER_TASKRUN has one of its own, under ->uring_lock: its task work runs
 * when the application asks for it, and other rings must not wait for that. And where
 * no program may run there is one that is always empty.
 *
 * Lifetime: what stands in line is a request in flight, which holds references to its
 * task and ring. io_bpf_clean_tctx() takes all of it out before the task goes away.
 */
#include <linux/kernel.h>
#include <linux/blkdev.h>
#include <linux/hrtimer.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/io_uring.h>

#include "bpf_int.h"

/* completions and requests between two looks at the clock */
#define IO_BPF_SLICE		128
/* time of the CPU that the task may use before programs pause */
#define IO_BPF_TIME		NSEC_PER_MSEC
/* the pause is one part in so many, within these limits */
#define IO_BPF_SHARE		16
#define IO_BPF_MIN_PAUSE	(50 * NSEC_PER_USEC)
#define IO_BPF_MAX_PAUSE	(4 * NSEC_PER_MSEC)
/* to get out of task work, and to a signal */
#define IO_BPF_SIGNAL_PAUSE	NSEC_PER_MSEC
/* CQEs of requests that go on that may be dropped before the task sleeps */
#define IO_BPF_MAX_DROPPED	1024

/* Add the task work of the request for which the pause was meant. */
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
	/* the time begins with the first look */
	b->slice = IO_BPF_SLICE;
	b->out = true;
}

static void io_bpf_fill(struct io_bpf_budget *b)
{
	b->left = IO_BPF_TIME;
	b->look = task_sched_runtime(current);
	b->utime = current->utime;
	b->pause = 0;
	b->slice = IO_BPF_SLICE;
}

/*
 * Return how long programs have to pause: for as long that what they leave to others is
 * a fair share, or that the task gets to its signals.
 */
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
 * Return true if the task has been in user space since the last look: it has submitted a
 * flow, or a tick has found it there.
 */
static bool io_bpf_was_out(const struct io_bpf_budget *b)
{
	return b->out || b->utime != current->utime;
}

/*
 * Called when a slice is used up, or the task is wanted elsewhere. Return true if
 * programs may go on, with another slice.
 */
bool io_bpf_look(struct io_bpf_ring *br)
{
	struct io_bpf_budget *b = br->line;
	u64 now;

	lockdep_assert_held(&br->ctx->uring_lock);

	/* what programs have issued must not wait for the next ones */
	blk_flush_plug(current->plug, false);
	cond_resched();
	if (!br->tctx)
		return false;
	b->slice = min(b->slice, 0);
	if (b->pause || test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq))
		return false;

	now = task_sched_runtime(current);
	if (io_bpf_was_out(b))
		b->left = IO_BPF_TIME;
	else
		b->left -= now - b->look;
	b->look = now;
	b->utime = current->utime;
	b->out = false;
	b->pause = io_bpf_pause(b);
	if (b->pause)
		return false;
	b->slice = IO_BPF_SLICE;
	return true;
}

/* Let the flow wait, and with it what one of its children has left. */
void io_bpf_hold(struct io_bpf_ring *br, struct io_kiocb *flow, struct io_kiocb *req)
{
	u16 *flags = &flow->bpf_flow.flags;

	lockdep_assert_held(&br->ctx->uring_lock);

	wq_list_add_tail(&req->comp_list, &flow->bpf_waiting);
	if (*flags & IO_BPF_F_WAITING)
		return;
	*flags |= IO_BPF_F_WAITING;
	if (test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq)) {
		*flags |= IO_BPF_F_ROOM;
		br->nr_room++;
		return;
	}
	flow->io_task_work.func = io_bpf_tw;
	wq_list_add_tail(&flow->comp_list, &br->line->waiting);
}

/*
 * The turn of @req has come. After a pause the time is for its flow first. A flush has to
 * follow, which takes out the next one.
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
		io_bpf_fill(b);
}

/* Give back what the flow's children have left, in front of all else. */
void io_bpf_unhold(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	struct io_wq_work_list *list = &br->ctx->submit_state.compl_reqs;
	struct io_wq_work_list *waiting = &flow->bpf_waiting;

	lockdep_assert_held(&br->ctx->uring_lock);

	flow->bpf_flow.flags &= ~IO_BPF_F_WAITING;
	waiting->last->next = list->first;
	if (!list->first)
		list->last = waiting->last;
	list->first = waiting->first;
	INIT_WQ_LIST(waiting);
}

static void io_bpf_app_tw(struct io_tw_req tw_req, io_tw_token_t tw)
{
	io_tw_lock(tw_req.req->ctx, tw);
	io_bpf_resumed(tw_req.req->ctx->bpf_ring, tw_req.req);
	io_req_task_submit(tw_req, tw);
}

/* The same for a request of the application that a watching program has issued. */
void io_bpf_hold_app(struct io_bpf_ring *br, struct io_kiocb *req)
{
	req->io_task_work.func = io_bpf_app_tw;
	wq_list_add_tail(&req->comp_list, &br->line->waiting);
}

/* The task or the ring goes away: all that stands in line comes to its end. */
static void io_bpf_resume_all(struct io_bpf_budget *b)
{
	struct io_wq_work_node *next, *node = b->waiting.first;

	INIT_WQ_LIST(&b->waiting);
	for (; node; node = next) {
		next = node->next;
		io_req_task_work_add(container_of(node, struct io_kiocb, comp_list));
	}
}

/*
 * At the end of a flush: if something waits and nothing is on its way, take out the
 * next one, for the time after the pause, or at once if time is left. If nothing waits,
 * nothing has been kept from going on.
 */
void io_bpf_resume_next(struct io_bpf_ring *br)
{
	struct io_bpf_budget *b = br->line;
	struct io_wq_work_node *node;

	lockdep_assert_held(&br->ctx->uring_lock);

	node = b->waiting.first;
	if (!node) {
		if (!b->next)
			io_bpf_fill(b);
		return;
	}
	if (unlikely(!br->tctx)) {
		io_bpf_resume_all(b);
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

/* The flow need not wait for room in the CQ any more: it was cancelled, or there is. */
void io_bpf_leave_room(struct io_kiocb *flow)
{
	u16 *flags = &flow->bpf_flow.flags;

	lockdep_assert_held(&flow->ctx->uring_lock);

	if (!(*flags & IO_BPF_F_ROOM))
		return;
	*flags &= ~IO_BPF_F_ROOM;
	flow->ctx->bpf_ring->nr_room--;
	io_bpf_queue_tw(flow);
}

/* All CQEs have found room in the CQ, so that flows can go on. */
void io_bpf_overflow_ended(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br = ctx->bpf_ring;
	struct io_kiocb *flow;

	lockdep_assert_held(&ctx->uring_lock);

	if (!br || !br->nr_room)
		return;
	hlist_for_each_entry(flow, &br->active, hash_node)
		io_bpf_leave_room(flow);
}

/* A program that watches has dropped a CQE of a request that goes on. */
void io_bpf_count_drop(struct io_uring_task *tctx)
{
	if (!tctx->bpf_dropped++)
		tctx->bpf_nvcsw = current->nvcsw;
}

/*
 * Return true if so many of them were dropped without the task having slept meanwhile
 * that the next one is to end its request: a CQE that is posted takes room in the CQ,
 * which ends the request some time, but dropped ones do not.
 */
bool io_bpf_flooded(struct io_uring_task *tctx)
{
	if (tctx->bpf_dropped < IO_BPF_MAX_DROPPED)
		return false;
	tctx->bpf_dropped = 0;
	return tctx->bpf_nvcsw == current->nvcsw;
}

/*
 * The task goes away, and has no requests of its own any more or leaves them to
 * others. What stands in line is for its task work, or whoever runs that instead.
 */
void io_bpf_clean_tctx(struct io_uring_task *tctx)
{
	struct io_bpf_budget *b = &tctx->bpf;

	/* else its task work has been added already */
	if (hrtimer_cancel(&b->timer))
		io_req_task_work_add(b->next);
	b->next = NULL;
	io_bpf_resume_all(b);
}
