// SPDX-License-Identifier: GPL-2.0
/*
 * Running BPF programs on completions, before the CQEs are written
 *
 * All of it happens in __io_submit_flush_completions(), in the task that the
 * requests belong to and under ->uring_lock. A program only stages what it
 * wants done, bpf_issue.c does it when the program has returned. What has to be
 * fast is in bpf_run.h.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/filter.h>
#include <linux/rcupdate_trace.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "timeout.h"
#include "bpf.h"
#include "bpf_run.h"
#include "bpf_aux.h"

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
bool io_bpf_can_run(struct io_kiocb *flow)
{
	return io_bpf_may_run(flow->ctx, flow->tctx) &&
	       io_bpf_slot_prog(flow->ctx->bpf_ring, flow) &&
	       !(flow->bpf_flow.flags & IO_BPF_F_ENDING);
}

/*
 * The program that runs next is to find requests that it can stage in. If there
 * is no memory, not even ->sqe is of use to it.
 */
void io_bpf_make_spare(struct io_bpf_ring *br)
{
	io_bpf_refill_spare(br);
	if (br->nr_spare < IO_BPF_KEEP_SPARE)
		br->run.walk = true;
}

u32 io_bpf_run_sleepable(const struct bpf_prog *prog,
			 struct bpf_io_uring_ctx *bctx)
{
	u32 verdict;

	rcu_read_lock_trace();
	migrate_disable();
	might_fault();
	verdict = bpf_prog_run(prog, bctx);
	migrate_enable();
	rcu_read_unlock_trace();
	return verdict;
}

u32 io_bpf_run_timed(const struct bpf_prog *prog, struct bpf_io_uring_ctx *bctx)
{
	return bpf_prog_run(prog, bctx);
}

/*
 * A flow is over: its program said so, or has left nothing to be waited for. Or
 * there is only something to be done to its chain.
 */
void io_bpf_flow_done(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	if (flow->bpf_flow.flags & IO_BPF_F_EDIT)
		io_bpf_edit_chain(br, flow);
	if (io_bpf_busy(flow) && !(flow->bpf_flow.flags & IO_BPF_F_ENDING))
		return;
	/* if nobody ends it by hand, it fails if its last completion has */
	if (!(flow->bpf_flow.flags & IO_BPF_F_ENDING))
		flow->cqe.res = min(io_bpf_ctx(flow)->res, 0);
	flow->bpf_flow.flags |= IO_BPF_F_ENDING;
	if (io_bpf_ctx(flow)->nr_children || (flow->bpf_flow.flags & IO_BPF_F_QUEUED))
		io_bpf_end(br, flow);
	else
		io_bpf_settle(flow);
}

/* The program has returned, and may have left nothing to be waited for. */
void io_bpf_next(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	if (unlikely(!io_bpf_ctx(flow)->nr_children ||
		     (flow->bpf_flow.flags & (IO_BPF_F_ENDING | IO_BPF_F_EDIT))))
		io_bpf_flow_done(br, flow);
}

/*
 * The first event of a flow that no request stands before. What to do of what it
 * has led to is left to the caller.
 */
void io_bpf_run_start(struct io_bpf_ring *br, struct io_kiocb *flow, bool walk)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	u32 verdict;

	bctx->user_data = flow->cqe.user_data;
	bctx->event = BPF_IO_URING_START;
	bctx->opcode = IORING_OP_BPF;
	bctx->flags = io_bpf_next_flag(flow);
	flow->bpf_flow.flags &= ~IO_BPF_F_EVENT;
	verdict = io_bpf_run_prog(br, br->progs[flow->bpf_flow.slot], bctx, NULL,
				  walk);
	if (unlikely(verdict & IO_BPF_VERDICT_CHAIN))
		io_bpf_flow_verdict(flow, verdict);
	/* there is no result that this one could have failed with */
	bctx->res = 0;
}

/*
 * What becomes of the CQE of a child, or of another one that the verdict says
 * something of. A buffer id is dropped only for a program that takes it over.
 */
bool io_bpf_drops(u32 cflags, u32 verdict)
{
	if (unlikely(cflags & IORING_CQE_F_BUFFER))
		return verdict == BPF_IO_URING_DROP_BUF;
	return verdict != BPF_IO_URING_POST;
}

/* The same for the completion of a request of the application. */
static bool io_bpf_app_drops(struct io_kiocb *req, u32 verdict)
{
	if (verdict == BPF_IO_URING_DEFAULT)
		return req->flags & REQ_F_CQE_SKIP;
	return io_bpf_drops(req->cqe.flags, verdict);
}

/* Flags of a CQE that the program has changed, but for what it may not. */
u32 io_bpf_cflags(u32 cflags, u32 written)
{
	u32 keep = IO_BPF_CFLAGS_RO;

	if (cflags & IORING_CQE_F_BUFFER)
		keep |= IO_BPF_CFLAGS_BUF;
	return (cflags & keep) | (written & ~keep);
}

static void io_bpf_change_cqe(struct io_kiocb *req,
			      const struct bpf_io_uring_ctx *bctx)
{
	/* the rest of a CQE of 32 bytes belongs to the result that there was */
	if (req->cqe.res != bctx->res)
		io_bpf_clear_extra(req);
	req->cqe.user_data = bctx->user_data;
	req->cqe.res = bctx->res;
	req->cqe.flags = io_bpf_cflags(req->cqe.flags, bctx->cflags);
}

/*
 * REQ_F_CQE_SKIP is set as late as here, as several opcodes refuse it in their
 * preparation. Returns true if the request remains in the batch.
 */
static bool io_bpf_verdict(struct io_bpf_ring *br, struct io_kiocb *req,
			   bool drop)
{
	if (!drop) {
		if (req->bpf_id & IO_BPF_ID_ASYNC)
			io_rw_drop_async(req);
		req->flags &= ~REQ_F_CQE_SKIP;
		return true;
	}
	io_bpf_clear_extra(req);
	if (io_bpf_retire_silent(br, req))
		return false;
	req->flags |= REQ_F_CQE_SKIP;
	return true;
}

/* The program has said something about the CQE, or it has a buffer. */
bool io_bpf_child_posts(struct io_bpf_ring *br, struct io_kiocb *flow,
			struct io_kiocb *req, u32 verdict)
{
	bool drop;

	if (verdict & IO_BPF_VERDICT_CHAIN)
		verdict = io_bpf_flow_verdict(flow, verdict);
	drop = io_bpf_drops(req->cqe.flags, verdict);
	if (!drop)
		io_bpf_change_cqe(req, io_bpf_ctx(flow));
	if (!br->run.again)
		return io_bpf_verdict(br, req, drop);
	/* the request goes on, so the CQE of this step has to be a copy */
	if (!drop)
		*io_bpf_add_cqe(br, req->cqe.user_data, req->cqe.res,
				req->cqe.flags) = req->big_cqe;
	io_bpf_stage_again(br, flow, req);
	return false;
}

/* Nobody is there who could be shown the completion. */
bool io_bpf_child_unseen(struct io_bpf_ring *br, struct io_kiocb *flow,
			 struct io_kiocb *req)
{
	bool stays;

	stays = io_bpf_verdict(br, req, !io_bpf_must_post(req));
	if (!(flow->bpf_flow.flags & IO_BPF_F_ENDING)) {
		io_bpf_mark_killed(flow);
		io_bpf_end(br, flow);
	}
	io_bpf_settle(flow);
	return stays;
}

/*
 * The completion of a child, in a walk over many. Returns true if it remains to
 * be posted or freed by the flush.
 */
bool io_bpf_child_complete(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_kiocb *flow = io_bpf_child_flow(br, req);
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	const struct bpf_prog *prog;
	bool stays = false;
	u32 verdict;

	bctx->nr_children--;
	prog = io_bpf_flow_prog(br, flow);
	if (unlikely(!prog))
		return io_bpf_child_unseen(br, flow, req);

	io_bpf_fill_ctx(bctx, req, BPF_IO_URING_F_CHILD | io_bpf_next_flag(flow));
	verdict = io_bpf_run_prog(br, prog, bctx, req, true);

	if (unlikely(verdict != BPF_IO_URING_DEFAULT ||
		     (req->cqe.flags & IORING_CQE_F_BUFFER))) {
		stays = io_bpf_child_posts(br, flow, req, verdict);
	} else if (br->run.again) {
		io_bpf_stage_again(br, flow, req);
	} else if (unlikely(!io_bpf_retire_silent(br, req))) {
		io_bpf_clear_extra(req);
		req->flags |= REQ_F_CQE_SKIP;
		stays = true;
	}
	io_bpf_next(br, flow);
	return stays;
}

static bool io_bpf_was_taken(struct io_kiocb *req)
{
	return req->opcode == IORING_OP_BPF &&
	       (req->bpf_flow.flags & IO_BPF_F_TAKEN);
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
	/*
	 * Such a chain fails at its head, and those that go well need no look. Nor
	 * does what is behind a flow that was itself taken: there may be thousands.
	 */
	if ((req->flags & REQ_F_FAIL) && !io_bpf_was_taken(req)) {
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
	flow->bpf_flow.flags &= ~IO_BPF_F_PRED;
	flow->bpf_flow.flags |= IO_BPF_F_TAKEN;
	/* not just put on the list: mind creds, audit and a timeout behind it */
	io_bpf_issue_flow(flow);
	return flow->bpf_flow.flags & IO_BPF_F_ACTIVE ? flow : NULL;
}

/* Show the completion of the request before a flow to the flow, as its first event. */
static bool io_bpf_pred_event(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct bpf_io_uring_ctx *bctx;
	const struct bpf_prog *prog;
	struct io_kiocb *flow;
	u32 verdict;
	bool drop;

	flow = io_bpf_take_flow(req);
	if (!flow)
		return true;
	prog = io_bpf_flow_prog(br, flow);
	if (!prog) {
		io_bpf_mark_killed(flow);
		io_bpf_end(br, flow);
		return true;
	}
	bctx = io_bpf_ctx(flow);
	io_bpf_fill_ctx(bctx, req, io_bpf_next_flag(flow));
	verdict = io_bpf_run_prog(br, prog, bctx, req, true);
	if (unlikely(verdict & IO_BPF_VERDICT_CHAIN))
		verdict = io_bpf_flow_verdict(flow, verdict);
	drop = io_bpf_app_drops(req, verdict);
	io_bpf_change_cqe(req, bctx);
	io_bpf_next(br, flow);
	return io_bpf_verdict(br, req, drop);
}

/*
 * The completion of the request before a flow, or of one that a program has issued
 * for the application. Return true if it remains to be posted or freed by the flush.
 */
bool io_bpf_pred_complete(struct io_bpf_ring *br, struct io_kiocb *req)
{
	bool timeout = req->bpf_id == IO_BPF_ID_PRED_TIMEOUT, stays;

	if (req->bpf_id == IO_BPF_ID_APP) {
		io_bpf_app_complete(br);
		return true;
	}
	stays = io_bpf_pred_event(br, req);
	if (timeout && stays && !(req->flags & REQ_F_CQE_SKIP))
		io_timeout_posts(req);
	return stays;
}

/* A program that watches a request has changed its CQE, or has a say in it. */
void io_bpf_match_verdict(struct io_bpf_ring *br, u32 verdict)
{
	struct io_kiocb *req = br->run.req;

	io_bpf_change_cqe(req, io_bpf_ctx(&br->watch));
	if (unlikely(verdict & IO_BPF_VERDICT_CHAIN))
		verdict = io_bpf_watch_verdict(req, verdict);
	if (io_bpf_app_drops(req, verdict)) {
		io_bpf_clear_extra(req);
		req->flags |= REQ_F_CQE_SKIP;
	} else {
		req->flags &= ~REQ_F_CQE_SKIP;
	}
}
