// SPDX-License-Identifier: GPL-2.0
/*
 * Events besides the completion of a request: CQEs of one that goes on, and the
 * notifications of zero-copy sends
 *
 * A multishot request posts from within its handler, and that is where the
 * program runs. What it stages is for the flush that follows: the handler holds
 * buffers and credentials, and its request must not be cancelled under it.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "net.h"
#include "bpf.h"
#include "bpf_run.h"
#include "bpf_aux.h"
#include "bpf_match.h"

/* The program that is to see what @req posts, unless it's gone. */
static struct bpf_prog *io_bpf_aux_prog(struct io_bpf_ring *br,
					struct io_kiocb *req)
{
	struct io_bpf_watcher *watcher;

	if (io_bpf_is_child(req)) {
		struct io_kiocb *flow = io_bpf_child_flow(br, req);

		return io_bpf_can_run(flow) ? io_bpf_slot_prog(br, flow) : NULL;
	}
	if (!io_bpf_may_run(br->ctx, req->tctx))
		return NULL;
	watcher = io_bpf_find_watcher(br, req);
	return watcher ? watcher->prog : NULL;
}

/*
 * A handler goes on for as long as there is something to post and room for it.
 * CQEs that are dropped need no room, so they are counted, and a request that is
 * issued anew then waits until the task has come by.
 */
static bool io_bpf_aux_exhausted(struct io_bpf_ring *br)
{
	if (test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq))
		return true;
	if (likely(br->aux_budget))
		return false;
	br->budget = 0;
	io_bpf_park_later(br);
	return true;
}

static void io_bpf_aux_fill_ctx(struct bpf_io_uring_ctx *bctx,
				const struct io_kiocb *req, s32 res, u32 cflags)
{
	bctx->user_data = req->cqe.user_data;
	bctx->res = res;
	bctx->cflags = cflags;
	bctx->event = BPF_IO_URING_AUX;
	bctx->opcode = req->opcode;
}

/* Unlike @req's own, what the program makes of it may overflow: it has seen it. */
static void io_bpf_aux_verdict(struct io_bpf_ring *br,
			       const struct bpf_io_uring_ctx *bctx, u32 cflags,
			       bool drop)
{
	if (drop)
		br->aux_budget--;
	else
		io_bpf_add_cqe(br, bctx->user_data, bctx->res,
			       io_bpf_cflags(cflags, bctx->cflags));
	if (br->nr_cqes) {
		io_bpf_post_aux(br->ctx, br->cqes, br->nr_cqes);
		br->nr_cqes = 0;
		br->cq_entries = 0;
		br->nr_pending = 0;
	}
}

static void io_bpf_run_aux(struct io_bpf_ring *br, const struct bpf_prog *prog,
			   struct io_kiocb *req, s32 res, u32 cflags)
{
	bool child = io_bpf_is_child(req);
	struct io_kiocb *flow = child ? io_bpf_child_flow(br, req) : &br->watch;
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	u32 verdict;
	bool drop;

	io_bpf_aux_fill_ctx(bctx, req, res, cflags);
	if (child)
		bctx->flags = BPF_IO_URING_F_CHILD | io_bpf_next_flag(flow);
	else
		memset(bctx->state, 0, sizeof(bctx->state));
	verdict = io_bpf_run_prog(br, prog, bctx, req, true);
	/* of a program that watches, all other runs are of this kind */
	if (!child)
		bctx->event = BPF_IO_URING_COMPLETE;
	/* the request goes on, so what is behind it in a chain isn't concerned */
	if (child && (verdict & IO_BPF_VERDICT_CHAIN))
		io_bpf_flow_verdict(flow, verdict);
	verdict &= IO_BPF_VERDICT_CQE;
	drop = (child || verdict != BPF_IO_URING_DEFAULT) &&
	       io_bpf_drops(cflags, verdict);
	io_bpf_aux_verdict(br, bctx, cflags, drop);

	if (child && (flow->bpf_flow.flags & (IO_BPF_F_ENDING | IO_BPF_F_EDIT)))
		io_bpf_flow_done(br, flow);
	/* for what is staged, and before anything that completes in place */
	br->ctx->submit_state.cq_flush = true;
	br->interrupt = true;
}

/*
 * @req has something to post and goes on. Returns false if no program is there to
 * see that. Otherwise it's dealt with, and @more says whether @req may go on; if
 * not then the result is its last, and an event as such.
 */
bool io_bpf_aux(struct io_kiocb *req, s32 res, u32 cflags, bool *more)
{
	struct io_bpf_ring *br = req->ctx->bpf_ring;
	struct bpf_prog *prog;

	lockdep_assert_held(&req->ctx->uring_lock);

	if (!io_bpf_is_child(req) && !(req->ctx->int_flags & IO_RING_F_BPF_MATCH))
		return false;
	/* the completion of the one before a flow is for that */
	if (!io_bpf_is_child(req) && (req->flags & REQ_F_BPF))
		return false;
	/* comes before, and may end the flow */
	if (br->nr_pending) {
		io_bpf_nest(req->ctx);
		__io_submit_flush_completions(req->ctx);
		io_bpf_unnest(req->ctx);
	}
	prog = io_bpf_aux_prog(br, req);
	if (!prog && !io_bpf_is_child(req))
		return false;
	*more = prog && !io_bpf_aux_exhausted(br);
	if (*more)
		io_bpf_run_aux(br, prog, req, res, cflags);
	return true;
}

/*
 * A zero-copy send has brought its notification along, a request that completes
 * when nobody refers to the memory any more. It's one more child of the flow.
 */
void io_bpf_adopt_notif(struct io_kiocb *req)
{
	struct io_bpf_ring *br = req->ctx->bpf_ring;
	struct io_kiocb *notif;

	lockdep_assert_held(&req->ctx->uring_lock);

	if (req->opcode != IORING_OP_SEND_ZC && req->opcode != IORING_OP_SENDMSG_ZC)
		return;
	/* there is none if the preparation has not got that far */
	if (!(req->flags & REQ_F_NEED_CLEANUP))
		return;
	notif = io_send_zc_notif(req);
	notif->opcode = req->opcode;
	notif->bpf_id = IO_BPF_ID_NOTIF | (u16)req->bpf_id;
	notif->flags |= REQ_F_BPF;
	io_bpf_ctx(io_bpf_child_flow(br, req))->nr_children++;
}

/* Returns true if it remains to be posted or freed by the flush. */
bool io_bpf_notif_complete(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_kiocb *flow = io_bpf_child_flow(br, req);
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	const struct bpf_prog *prog;
	bool stays;
	u32 verdict;

	bctx->nr_children--;
	prog = io_bpf_flow_prog(br, flow);
	if (!prog)
		return io_bpf_child_unseen(br, flow, req);

	io_bpf_aux_fill_ctx(bctx, req, req->cqe.res, req->cqe.flags);
	bctx->flags = BPF_IO_URING_F_CHILD | io_bpf_next_flag(flow);
	verdict = io_bpf_run_prog(br, prog, bctx, req, true);
	stays = io_bpf_child_posts(br, flow, req, verdict);
	/* it may have bit 31 set, and is no result that the flow could fail with */
	bctx->res = 0;
	io_bpf_next(br, flow);
	return stays;
}
