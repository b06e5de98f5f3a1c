// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that watch the application's own requests
 */
#include <linux/kernel.h>
#include <linux/bitops.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "bpf.h"
#include "bpf_match.h"
#include "bpf_run.h"

static bool io_bpf_wants(const struct io_bpf_match *match, unsigned int opcode)
{
	switch (opcode) {
	case IORING_OP_BPF:
		/* its CQEs pass by here */
	case IORING_OP_RECV_ZC:
		/* ends a wait for CQEs by firing, be there a CQE or not */
	case IORING_OP_TIMEOUT:
		return false;
	}
	return mem_is_zero(match->opcodes, sizeof(match->opcodes)) ||
	       (match->opcodes[opcode / 64] & BIT_ULL(opcode % 64));
}

/* Puts @prog into the slot, and it watches @match; NULL takes it out. */
void io_bpf_set_watcher(struct io_bpf_ring *br, u32 slot, struct bpf_prog *prog,
			const struct io_bpf_match *match)
{
	unsigned int op;

	lockdep_assert_held(&br->ctx->uring_lock);

	br->watchers[slot] = prog;
	br->matches[slot] = *match;
	for (op = 0; op < IORING_OP_LAST; op++) {
		if (prog && io_bpf_wants(match, op))
			br->match_ops[op] |= BIT(slot);
		else
			br->match_ops[op] &= ~BIT(slot);
	}
	if (mem_is_zero(br->match_ops, sizeof(br->match_ops)))
		br->ctx->int_flags &= ~IO_RING_F_BPF_MATCH;
	else
		br->ctx->int_flags |= IO_RING_F_BPF_MATCH;
}

/* The completion of a request of the application. */
static __always_inline void __io_bpf_watch(struct io_bpf_ring *br,
					   struct io_kiocb *req)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(&br->watch);
	int slot = io_bpf_watch_slot(br, req);
	u32 verdict;

	/* this may not be the task that has submitted it */
	if (slot < 0 || unlikely(req->tctx != br->tctx ||
				 (req->cqe.flags & IORING_CQE_F_NOTIF)))
		return;
	/* it may come here once more, to be freed */
	req->flags |= REQ_F_BPF;
	req->bpf_id = IO_BPF_ID_SEEN;

	/* event and flags are always the same */
	memcpy(bctx, &req->cqe, sizeof(req->cqe));
	bctx->opcode = req->opcode;
	memset(bctx->state, 0, sizeof(bctx->state));
	verdict = io_bpf_run_prog(br, br->watchers[slot], bctx, req, true);
	if (unlikely(verdict != BPF_IO_URING_DEFAULT ||
		     memcmp(bctx, &req->cqe, sizeof(req->cqe))))
		io_bpf_match_verdict(br, req, verdict);
}

/* In a walk over all kinds of completions. */
void io_bpf_watch(struct io_bpf_ring *br, struct io_kiocb *req)
{
	__io_bpf_watch(br, req);
}

/*
 * Returns true if all that has completed is but to be posted. Else a program has
 * something done besides, and the rest hasn't been seen by any.
 */
static __always_inline bool io_bpf_watch_list(struct io_bpf_ring *br)
{
	struct io_wq_work_node *node;

	__wq_list_for_each(node, &br->ctx->submit_state.compl_reqs) {
		struct io_kiocb *req = container_of(node, struct io_kiocb,
						    comp_list);

		io_bpf_resched(br);
		if (likely(!(req->flags & (REQ_F_BPF | REQ_F_REISSUE))))
			__io_bpf_watch(br, req);
		if (unlikely(br->interrupt))
			break;
		/* where CQEs go that the next program posts */
		br->nr_post++;
	}
	br->nr_post = 0;
	io_bpf_leave(br);
	return !br->interrupt && !io_bpf_to_apply(br);
}

/*
 * On a ring without flows. As io_bpf_flush_completions(), whose path it is in
 * that case. What polls finds requests of other tasks, too.
 */
bool io_bpf_flush_watched(struct io_bpf_ring *br)
{
	struct io_ring_ctx *ctx = br->ctx;
	bool done = true;

	lockdep_assert_held(&ctx->uring_lock);

	io_bpf_begin_flush(br);
	io_bpf_pin();
	if (!br->interrupt && !br->nr_pending && !br->nr_apps &&
	    !(ctx->flags & IORING_SETUP_IOPOLL) && io_bpf_watch_list(br))
		done = false;
	else
		io_bpf_flush(br);
	io_bpf_unpin();
	return done;
}
