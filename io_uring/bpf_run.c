// SPDX-License-Identifier: GPL-2.0
/*
 * Running BPF programs on completions, before the CQEs are written
 *
 * All of it happens in __io_submit_flush_completions(), in the task that the
 * requests belong to and under ->uring_lock. A program only stages what it
 * wants done, bpf_issue.c does it when the program has returned.
 *
 * Of a flow whose only request completes silently and is followed by another
 * one, which is the case that has to be fast, the ring does not get to know.
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

bool io_bpf_may_run(struct io_ring_ctx *ctx, struct io_uring_task *tctx)
{
	return tctx && current->io_uring == tctx && !io_should_terminate_tw(ctx) &&
	       !atomic_read(&tctx->in_cancel);
}

/*
 * May a program run for the flow? In its own task only, whose files, memory and
 * credentials its children get, and not while that task or the ring goes away:
 * a cancellation must not meet new requests.
 */
bool io_bpf_can_run(struct io_kiocb *flow)
{
	return io_bpf_may_run(flow->ctx, flow->tctx) &&
	       flow->ctx->bpf_ring->progs[flow->bpf_flow.slot] &&
	       !(flow->bpf_flow.flags & IO_BPF_F_ENDING);
}

/* The same in a flush, which has looked at the task and the ring. */
static struct bpf_prog *io_bpf_flow_prog(struct io_bpf_ring *br,
					 struct io_kiocb *flow)
{
	if (unlikely(flow->tctx != br->tctx ||
		     (flow->bpf_flow.flags & IO_BPF_F_ENDING)))
		return NULL;
	return br->progs[flow->bpf_flow.slot];
}

void io_bpf_leave(struct io_bpf_ring *br)
{
	if (br->section == IO_BPF_SECTION_RCU) {
		rcu_read_unlock_migrate();
	} else if (br->section == IO_BPF_SECTION_SLEEPABLE) {
		migrate_enable();
		rcu_read_unlock_trace();
	}
	br->section = IO_BPF_SECTION_NONE;
}

/* What one program runs under, the next one may as well. */
static __always_inline void io_bpf_enter(struct io_bpf_ring *br, const struct bpf_prog *prog)
{
	enum io_bpf_section want = prog->sleepable ? IO_BPF_SECTION_SLEEPABLE :
						     IO_BPF_SECTION_RCU;

	if (br->section == want)
		return;
	if (br->section != IO_BPF_SECTION_NONE)
		io_bpf_leave(br);
	if (prog->sleepable) {
		rcu_read_lock_trace();
		migrate_disable();
	} else {
		rcu_read_lock_dont_migrate();
	}
	br->section = want;
}

static __always_inline u32 io_bpf_run_prog(struct io_bpf_ring *br,
					   const struct bpf_prog *prog,
					   struct bpf_io_uring_ctx *bctx)
{
	if (unlikely(br->nr_spare < IO_BPF_MIN_SPARE || need_resched())) {
		io_bpf_leave(br);
		cond_resched();
		io_bpf_refill_spare(br);
	}
	br->run.nr_sqes = 0;
	br->run.nr_cqes = 0;
	br->run.again = false;
	io_bpf_enter(br, prog);
	return bpf_prog_run(prog, bctx);
}

/* The program has returned, and may have left nothing to be waited for. */
static __always_inline void io_bpf_next(struct io_bpf_ring *br,
					struct io_kiocb *flow)
{
	if (likely(io_bpf_ctx(flow)->nr_children &&
		   !(flow->bpf_flow.flags & IO_BPF_F_ENDING)))
		return;
	flow->bpf_flow.flags |= IO_BPF_F_ENDING;
	io_bpf_end(br, flow);
}

/* Does anything wait behind the flow, other than its own time limit? */
static u16 io_bpf_next_flag(struct io_kiocb *flow)
{
	struct io_kiocb *nxt = READ_ONCE(flow->link);

	/* unlinked by its timer under our hands, but freed in this task only */
	if (unlikely(nxt) && nxt->opcode == IORING_OP_LINK_TIMEOUT)
		nxt = READ_ONCE(nxt->link);
	return nxt ? BPF_IO_URING_F_NEXT : 0;
}

static __always_inline u32 io_bpf_run(struct io_bpf_ring *br,
				      const struct bpf_prog *prog,
				      struct io_kiocb *flow,
				      struct io_kiocb *req, u16 flags)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	u32 verdict;

	bctx->user_data = req->cqe.user_data;
	bctx->res = req->cqe.res;
	bctx->cflags = req->cqe.flags;
	bctx->event = BPF_IO_URING_COMPLETE;
	bctx->opcode = req->opcode;
	bctx->flags = flags | io_bpf_next_flag(flow);

	br->run.req = req;
	verdict = io_bpf_run_prog(br, prog, bctx);

	/* a flow that nobody ends by hand fails if its last completion has */
	if (likely(!(flow->bpf_flow.flags & IO_BPF_F_ENDING)))
		flow->cqe.res = min(bctx->res, 0);
	return verdict;
}

/* The first event of a flow that no request stands before. */
void io_bpf_run_start(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);

	bctx->user_data = flow->cqe.user_data;
	bctx->event = BPF_IO_URING_START;
	bctx->opcode = IORING_OP_BPF;
	bctx->flags = io_bpf_next_flag(flow);

	br->run.req = NULL;
	flow->cqe.res = 0;
	io_bpf_run_prog(br, br->progs[flow->bpf_flow.slot], bctx);
	io_bpf_next(br, flow);
}

/*
 * What becomes of the CQE. A buffer id is dropped only for a program that takes
 * it over.
 */
static bool io_bpf_drops(struct io_kiocb *req, u32 verdict, bool child)
{
	if (unlikely(req->cqe.flags & IORING_CQE_F_BUFFER))
		return verdict == BPF_IO_URING_DROP_BUF;
	if (verdict == BPF_IO_URING_DEFAULT)
		return child || (req->flags & REQ_F_CQE_SKIP);
	return verdict >= BPF_IO_URING_DROP;
}

static void io_bpf_change_cqe(struct io_kiocb *req,
			      const struct bpf_io_uring_ctx *bctx)
{
	u32 keep = IO_BPF_CFLAGS_RO;

	if (req->cqe.flags & IORING_CQE_F_BUFFER)
		keep |= IO_BPF_CFLAGS_BUF;
	req->cqe.user_data = bctx->user_data;
	req->cqe.res = bctx->res;
	req->cqe.flags = (req->cqe.flags & keep) | (bctx->cflags & ~keep);
}

/*
 * REQ_F_CQE_SKIP is set as late as here, as several opcodes refuse it in their
 * preparation. Returns true if the request remains in the batch.
 */
static bool io_bpf_verdict(struct io_bpf_ring *br, struct io_kiocb *req,
			   bool drop)
{
	if (!drop) {
		req->flags &= ~REQ_F_CQE_SKIP;
		return true;
	}
	req->flags |= REQ_F_CQE_SKIP;
	if (!io_bpf_retire_silent(req))
		return true;
	if (br->nr_spare < IO_BPF_MAX_SPARE)
		io_bpf_add_spare(br, req);
	else
		wq_stack_add_head(&req->comp_list,
				  &br->ctx->submit_state.free_list);
	return false;
}

/* The request goes on, so the CQE of this step has to be a copy. */
static void io_bpf_post_step(struct io_bpf_ring *br, struct io_kiocb *req)
{
	br->cqes[br->nr_cqes++] = (struct io_bpf_cqe) {
		.pos		= br->nr_post,
		.user_data	= req->cqe.user_data,
		.res		= req->cqe.res,
		.flags		= req->cqe.flags,
	};
}

/* Nobody is there who could be shown the completion. */
static bool io_bpf_child_unseen(struct io_bpf_ring *br, struct io_kiocb *flow,
				struct io_kiocb *req)
{
	bool stays;

	stays = io_bpf_verdict(br, req, !(req->cqe.flags & IORING_CQE_F_BUFFER));
	if (!(flow->bpf_flow.flags & IO_BPF_F_ENDING)) {
		io_bpf_mark_killed(flow);
		io_bpf_end(br, flow);
	}
	io_bpf_settle(flow);
	return stays;
}

static bool io_bpf_child_complete(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_kiocb *flow = io_bpf_child_flow(br, req);
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	const struct bpf_prog *prog;
	bool drop, stays = false;
	u32 verdict;

	bctx->nr_children--;
	prog = io_bpf_flow_prog(br, flow);
	if (unlikely(!prog))
		return io_bpf_child_unseen(br, flow, req);

	verdict = io_bpf_run(br, prog, flow, req, BPF_IO_URING_F_CHILD);
	drop = io_bpf_drops(req, verdict, true);
	if (unlikely(!drop))
		io_bpf_change_cqe(req, bctx);
	if (br->run.again) {
		if (unlikely(!drop))
			io_bpf_post_step(br, req);
		req->cqe.user_data = bctx->user_data;
		req->cqe.res = br->run.again_len;
	} else {
		stays = io_bpf_verdict(br, req, drop);
	}
	io_bpf_next(br, flow);
	return stays;
}

/*
 * The request before a flow has completed, and the flow leaves its chain: from
 * here on the rest of the chain is the flow's own, and neither a failure of
 * @req nor the worker that ran it can reach it. With a member that was never
 * prepared the chain is cut as ever, and no program sees it.
 */
static struct io_kiocb *io_bpf_take_flow(struct io_kiocb *req)
{
	struct io_ring_ctx *ctx = req->ctx;
	struct io_kiocb *flow, *pos;

	spin_lock(&ctx->completion_lock);
	io_disarm_linked_timeout(req);
	spin_unlock(&ctx->completion_lock);

	flow = req->link;
	/* cancelled with its chain */
	if (!flow)
		return NULL;
	/* such a chain fails at its head, those that go well need no look */
	if (req->flags & REQ_F_FAIL) {
		io_for_each_link(pos, flow) {
			if (pos->flags & REQ_F_FAIL)
				return NULL;
		}
	}
	if (WARN_ON_ONCE(flow->opcode != IORING_OP_BPF))
		return NULL;
	if (!io_bpf_can_run(flow))
		return NULL;

	req->link = NULL;
	req->flags &= ~IO_REQ_LINK_FLAGS;
	/* a drain that is over by now may have set it, and this is no worker */
	flow->flags &= ~REQ_F_FORCE_ASYNC;
	flow->bpf_flow.flags &= ~IO_BPF_F_PRED;
	flow->bpf_flow.flags |= IO_BPF_F_TAKEN;
	/* not just put on the list: mind creds, audit and a timeout behind it */
	io_bpf_queue_req(flow);
	return flow->bpf_flow.flags & IO_BPF_F_ACTIVE ? flow : NULL;
}

static bool io_bpf_pred_complete(struct io_bpf_ring *br, struct io_kiocb *req)
{
	const struct bpf_prog *prog;
	struct io_kiocb *flow;
	u32 verdict;
	bool drop;

	/* issuing the flow may sleep */
	io_bpf_leave(br);
	flow = io_bpf_take_flow(req);
	if (!flow)
		return true;
	prog = io_bpf_flow_prog(br, flow);
	if (!prog) {
		io_bpf_mark_killed(flow);
		io_bpf_end(br, flow);
		return true;
	}
	verdict = io_bpf_run(br, prog, flow, req, 0);
	drop = io_bpf_drops(req, verdict, false);
	io_bpf_change_cqe(req, io_bpf_ctx(flow));
	io_bpf_next(br, flow);
	return io_bpf_verdict(br, req, drop);
}

/* A completion that the filter of a slot has matched. */
static bool io_bpf_match_complete(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(&br->watch);
	u32 verdict, slot = req->bpf_id & ~IO_BPF_ID_MATCH;

	/* detached meanwhile, or this is not the task that has submitted it */
	if (unlikely(!(br->match_slots & BIT(slot)) || req->tctx != br->tctx))
		return true;

	bctx->user_data = req->cqe.user_data;
	bctx->res = req->cqe.res;
	bctx->cflags = req->cqe.flags;
	bctx->event = BPF_IO_URING_COMPLETE;
	bctx->opcode = req->opcode;
	bctx->flags = BPF_IO_URING_F_MATCH;
	bctx->nr_children = 0;
	memset(bctx->state, 0, sizeof(bctx->state));

	br->run.req = req;
	verdict = io_bpf_run_prog(br, br->progs[slot], bctx);
	io_bpf_change_cqe(req, bctx);
	return io_bpf_verdict(br, req, io_bpf_drops(req, verdict, false));
}

/*
 * Returns true if the request remains in the batch, to be posted or freed. It
 * may come here once more to be freed, so REQ_F_BPF goes.
 */
bool io_bpf_complete(struct io_bpf_ring *br, struct io_kiocb *req)
{
	req->flags &= ~REQ_F_BPF;
	if (likely(req->bpf_id < IO_BPF_ID_MATCH))
		return io_bpf_child_complete(br, req);
	if (req->bpf_id & IO_BPF_ID_MATCH)
		return io_bpf_match_complete(br, req);
	return io_bpf_pred_complete(br, req);
}
