// SPDX-License-Identifier: GPL-2.0
/*
 * Running BPF programs on completions, before the CQEs are written
 *
 * All of it happens in __io_submit_flush_completions(), in the task that the
 * requests belong to and under ->uring_lock. A program only stages what it
 * wants done, bpf_issue.c does it when the program has returned.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/filter.h>
#include <linux/rcupdate_trace.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "slist.h"
#include "timeout.h"
#include "tw.h"
#include "bpf.h"

/* decided by the kernel: the size of the CQE, and whether it counts as one */
#define IO_BPF_CFLAGS_RO	(IORING_CQE_F_32 | IORING_CQE_F_SKIP)
/* where the id of a provided buffer is, which user space has to learn */
#define IO_BPF_CFLAGS_BUF	(IORING_CQE_F_BUFFER | IORING_CQE_F_BUF_MORE | \
				 ~0U << IORING_CQE_BUFFER_SHIFT)

/*
 * May a program run for the flow? In its own task only, whose files, memory and
 * credentials its children get, and not while that task or the ring goes away:
 * a cancellation must not meet new requests.
 */
bool io_bpf_can_run(struct io_bpf_flow *flow)
{
	struct io_uring_task *tctx = flow->req->tctx;
	struct io_ring_ctx *ctx = flow->req->ctx;

	return current->io_uring == tctx && !io_should_terminate_tw(ctx) &&
	       !atomic_read(&tctx->in_cancel) &&
	       ctx->bpf_ring->progs[flow->slot] &&
	       !(flow->flags & IO_BPF_F_ENDING);
}

static u32 io_bpf_run_prog(const struct bpf_prog *prog, struct io_bpf_run *run)
{
	u32 ret;

	if (prog->sleepable) {
		rcu_read_lock_trace();
		migrate_disable();
		might_fault();
		ret = bpf_prog_run(prog, &run->ctx);
		migrate_enable();
		rcu_read_unlock_trace();
	} else {
		rcu_read_lock_dont_migrate();
		ret = bpf_prog_run(prog, &run->ctx);
		rcu_read_unlock_migrate();
	}
	return ret;
}

/*
 * Completes a flow that is ending and has nothing in flight. Its CQE goes out
 * with the flush that is under way, or the next one.
 */
void io_bpf_settle(struct io_bpf_flow *flow)
{
	struct io_kiocb *req = flow->req;

	lockdep_assert_held(&req->ctx->uring_lock);

	if (flow->nr_children || !(flow->flags & IO_BPF_F_ENDING) ||
	    (flow->flags & (IO_BPF_F_QUEUED | IO_BPF_F_DONE)))
		return;
	flow->flags |= IO_BPF_F_DONE;
	list_del_init(&flow->node);
	hlist_del_init(&req->hash_node);
	xa_erase(&req->ctx->bpf_ring->flows, flow->id);

	if (flow->res < 0)
		req_set_fail(req);
	io_req_set_res(req, flow->res, 0);
	io_req_complete_defer(req);
}

/* The program has returned: issue what it staged, or end what it is done with. */
static void io_bpf_next(struct io_bpf_ring *br, struct io_bpf_flow *flow)
{
	if (!flow->nr_children)
		flow->flags |= IO_BPF_F_ENDING;
	if (flow->flags & IO_BPF_F_ENDING) {
		io_bpf_drop_staged(flow);
		list_move_tail(&flow->node, &br->kills);
		io_bpf_settle(flow);
	} else if (!wq_list_empty(&flow->staged) && list_empty(&flow->node)) {
		list_add_tail(&flow->node, &br->ready);
	}
}

/* Does anything wait behind the flow, other than its own time limit? */
static bool io_bpf_has_next(struct io_bpf_flow *flow)
{
	struct io_kiocb *nxt = READ_ONCE(flow->req->link);

	/* unlinked by its timer under our hands, but freed in this task only */
	if (nxt && nxt->opcode == IORING_OP_LINK_TIMEOUT)
		nxt = READ_ONCE(nxt->link);
	return nxt;
}

static u32 io_bpf_run(struct io_bpf_run *run, bool child)
{
	struct io_bpf_flow *flow = run->flow;
	struct io_kiocb *req = run->req ?: flow->req;
	struct bpf_io_uring_ctx *ctx = &run->ctx;
	u32 verdict;

	ctx->user_data = req->cqe.user_data;
	ctx->opcode = req->opcode;
	if (run->req) {
		ctx->event = BPF_IO_URING_COMPLETE;
		ctx->res = req->cqe.res;
		ctx->cflags = req->cqe.flags;
	}
	if (child)
		ctx->flags |= BPF_IO_URING_F_CHILD;
	if (io_bpf_has_next(flow))
		ctx->flags |= BPF_IO_URING_F_NEXT;
	ctx->nr_children = flow->nr_children;
	ctx->flow_user_data = flow->req->cqe.user_data;
	memcpy(ctx->state, flow->state, sizeof(ctx->state));

	io_bpf_refill_spare(run->br);
	verdict = io_bpf_run_prog(run->br->progs[flow->slot], run);

	memcpy(flow->state, ctx->state, sizeof(ctx->state));
	/* a flow that nobody ends by hand fails if its last completion has */
	if (!(flow->flags & IO_BPF_F_ENDING))
		flow->res = run->req ? min(ctx->res, 0) : 0;
	return verdict;
}

/*
 * What becomes of the CQE. REQ_F_CQE_SKIP is set as late as here, as several
 * opcodes refuse it in their preparation. A buffer id is dropped only for a
 * program that takes it over.
 */
static void io_bpf_verdict(struct io_kiocb *req, u32 verdict, bool child)
{
	bool drop = verdict >= BPF_IO_URING_DROP;

	if (verdict == BPF_IO_URING_DEFAULT) {
		if (!child)
			return;
		drop = true;
	}
	if ((req->cqe.flags & IORING_CQE_F_BUFFER) &&
	    verdict != BPF_IO_URING_DROP_BUF)
		drop = false;
	if (drop)
		req->flags |= REQ_F_CQE_SKIP;
	else
		req->flags &= ~REQ_F_CQE_SKIP;
}

static void io_bpf_change_cqe(struct io_kiocb *req,
			      const struct bpf_io_uring_ctx *ctx)
{
	u32 keep = IO_BPF_CFLAGS_RO;

	if (req->cqe.flags & IORING_CQE_F_BUFFER)
		keep |= IO_BPF_CFLAGS_BUF;
	req->cqe.user_data = ctx->user_data;
	req->cqe.res = ctx->res;
	req->cqe.flags = (req->cqe.flags & keep) | (ctx->cflags & ~keep);
}

/*
 * The request before a flow has completed, and the flow leaves its chain: from
 * here on the rest of the chain is the flow's own, and neither a failure of
 * @req nor the worker that ran it can reach it. With a member that was never
 * prepared the chain is cut as ever, and no program sees it.
 */
static struct io_bpf_flow *io_bpf_take_flow(struct io_kiocb *req)
{
	struct io_ring_ctx *ctx = req->ctx;
	struct io_kiocb *nxt, *pos;
	struct io_bpf_flow *flow;

	spin_lock(&ctx->completion_lock);
	io_disarm_linked_timeout(req);
	spin_unlock(&ctx->completion_lock);

	nxt = req->link;
	/* cancelled with its chain */
	if (!nxt)
		return NULL;
	/* such a chain fails at its head, those that go well need no look */
	if (req->flags & REQ_F_FAIL) {
		io_for_each_link(pos, nxt) {
			if (pos->flags & REQ_F_FAIL)
				return NULL;
		}
	}
	if (WARN_ON_ONCE(nxt->opcode != IORING_OP_BPF))
		return NULL;
	flow = nxt->async_data;
	if (!io_bpf_can_run(flow))
		return NULL;

	req->link = NULL;
	req->flags &= ~IO_REQ_LINK_FLAGS;
	flow->flags &= ~IO_BPF_F_PRED;
	flow->flags |= IO_BPF_F_TAKEN;
	/* not just put on the list: mind creds, audit and a timeout behind it */
	io_bpf_issue_flow(nxt);
	return flow->flags & IO_BPF_F_ACTIVE ? flow : NULL;
}

static void io_bpf_complete(struct io_bpf_ring *br, struct io_kiocb *req)
{
	bool child = io_bpf_is_child(req);
	struct io_bpf_run run = { .br = br, .req = req };
	u32 verdict = BPF_IO_URING_DEFAULT;

	/* it may come here once more, to be freed */
	req->flags &= ~REQ_F_BPF;
	if (child) {
		run.flow = xa_load(&br->flows, req->bpf_id);
		if (WARN_ON_ONCE(!run.flow))
			return;
		run.flow->nr_children--;
	} else {
		run.flow = io_bpf_take_flow(req);
		if (!run.flow)
			return;
	}

	if (io_bpf_can_run(run.flow)) {
		verdict = io_bpf_run(&run, child);
		io_bpf_verdict(req, verdict, child);
		io_bpf_change_cqe(req, &run.ctx);
		io_bpf_next(br, run.flow);
		return;
	}
	io_bpf_verdict(req, verdict, child);
	if (!(run.flow->flags & IO_BPF_F_ENDING)) {
		io_bpf_mark_killed(run.flow);
		list_add_tail(&run.flow->node, &br->kills);
	}
	io_bpf_settle(run.flow);
}

static bool io_bpf_cqes_short(struct io_bpf_ring *br)
{
	return br->nr_cqes > IO_BPF_FLUSH_CQES - IO_BPF_MAX_CQES;
}

/* Returns true if some are left for lack of room. */
static bool io_bpf_run_events(struct io_bpf_ring *br)
{
	struct io_bpf_flow *flow, *tmp;

	list_for_each_entry_safe(flow, tmp, &br->events, node) {
		struct io_bpf_run run = { .br = br, .flow = flow };

		if (current->io_uring != flow->req->tctx) {
			io_bpf_queue_tw(flow);
			continue;
		}
		if (io_bpf_cqes_short(br))
			return true;
		list_del_init(&flow->node);
		if (!io_bpf_can_run(flow)) {
			io_bpf_mark_killed(flow);
			io_bpf_settle(flow);
			continue;
		}
		io_bpf_run(&run, false);
		io_bpf_next(br, flow);
		cond_resched();
	}
	return false;
}

/*
 * Runs programs over ->compl_reqs, which may grow at its end meanwhile, and
 * posts the CQEs. Each run may stage as many CQEs as the other, whatever else
 * is in the batch, so the list is cut where there is no room for one.
 */
static bool io_bpf_run_batch(struct io_ring_ctx *ctx)
{
	struct io_wq_work_list *list = &ctx->submit_state.compl_reqs;
	struct io_bpf_ring *br = ctx->bpf_ring;
	struct io_wq_work_node *node, *prev;
	struct io_wq_work_list rest;
	bool more;

	br->nr_cqes = 0;
	more = io_bpf_run_events(br);
	wq_list_for_each(node, prev, list) {
		struct io_kiocb *req = container_of(node, struct io_kiocb,
						    comp_list);

		if (!(req->flags & REQ_F_BPF) || (req->flags & REQ_F_REISSUE))
			continue;
		if (io_bpf_cqes_short(br))
			break;
		io_bpf_complete(br, req);
		cond_resched();
	}
	rest.first = node;
	rest.last = list->last;
	if (node) {
		if (prev)
			prev->next = NULL;
		else
			list->first = NULL;
		list->last = prev;
	}
	io_bpf_post_completions(ctx, br->cqes, br->nr_cqes);
	if (node)
		*list = rest;
	return more || node;
}

/*
 * Stands in for the plain flush on a ring with programs. Called from within a
 * handler it runs programs only. What they stage is for the flush that follows,
 * the handler's caller sees to that.
 */
void io_bpf_flush_completions(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br = ctx->bpf_ring;
	bool more;

	lockdep_assert_held(&ctx->uring_lock);

	do {
		more = io_bpf_run_batch(ctx);
		if (!br->nested)
			io_bpf_apply(br);
		/* an opcode may have posted CQEs in place, those want a commit */
	} while (more || !wq_list_empty(&ctx->submit_state.compl_reqs) ||
		 ctx->submit_state.cq_flush);
}
