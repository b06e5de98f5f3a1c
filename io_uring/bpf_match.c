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

/* Return true if @match wants any opcode. */
bool io_bpf_match_possible(const struct io_bpf_match *match)
{
	unsigned int op;

	for (op = 0; op < IORING_OP_LAST; op++) {
		if (io_bpf_wants(match, op))
			return true;
	}
	return false;
}

/* The first one from @w on that wants the opcode. */
struct io_bpf_watcher *io_bpf_next_watcher(struct io_bpf_ring *br,
					   struct io_bpf_watcher *w,
					   unsigned int opcode)
{
	for (; w < br->watchers + ARRAY_SIZE(br->watchers); w++) {
		if (w->prog && io_bpf_wants(&w->match, opcode))
			return w;
	}
	return NULL;
}

/* Puts @prog into the slot, and it watches @match; NULL takes it out. */
void io_bpf_set_watcher(struct io_bpf_ring *br, u32 slot, struct bpf_prog *prog,
			const struct io_bpf_match *match)
{
	unsigned int op;

	lockdep_assert_held(&br->ctx->uring_lock);

	br->watchers[slot] = (struct io_bpf_watcher) {
		.prog	= prog,
		.match	= *match,
		.plain	= prog && io_bpf_is_plain(prog),
	};
	for (op = 0; op < IORING_OP_LAST; op++)
		br->first_watcher[op] = io_bpf_next_watcher(br, br->watchers, op);
	if (mem_is_zero(br->first_watcher, sizeof(br->first_watcher)))
		br->ctx->int_flags &= ~IO_RING_F_BPF_MATCH;
	else
		br->ctx->int_flags |= IO_RING_F_BPF_MATCH;
	/* for io_bpf_flush_watched(), which counts on ->spare */
	br->interrupt = true;
}

/* The completion of a request of the application. */
static __always_inline void __io_bpf_watch(struct io_bpf_ring *br,
					   struct io_kiocb *req,
					   struct io_bpf_watcher *watcher,
					   bool plain)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(&br->watch);
	u32 verdict;

	/* event and flags are always the same */
	memcpy(bctx, &req->cqe, sizeof(req->cqe));
	bctx->opcode = req->opcode;
	if (plain) {
		io_bpf_begin_run(br, req, true);
		verdict = io_bpf_run_atomic(watcher->prog, bctx);
	} else {
		memset(bctx->state, 0, sizeof(bctx->state));
		verdict = io_bpf_run_prog(br, watcher->prog, bctx, req, true);
	}
	if (unlikely(verdict != BPF_IO_URING_DEFAULT) ||
	    (!plain && memcmp(bctx, &req->cqe, sizeof(req->cqe))))
		io_bpf_match_verdict(br, verdict);
}

static noinline void io_bpf_watch_any(struct io_bpf_ring *br,
				      struct io_kiocb *req,
				      struct io_bpf_watcher *watcher)
{
	__io_bpf_watch(br, req, watcher, false);
}

/*
 * Who is to see it, if any? This may not be the task that has submitted it, and
 * who polls sends it there.
 */
static __always_inline struct io_bpf_watcher *
io_bpf_watched_by(struct io_bpf_ring *br, struct io_kiocb *req)
{
	if (unlikely(req->tctx != br->tctx)) {
		if (req->ctx->flags & IORING_SETUP_IOPOLL)
			br->interrupt = true;
		return NULL;
	}
	if (unlikely(req->cqe.flags & IORING_CQE_F_NOTIF))
		return NULL;
	return io_bpf_find_watcher(br, req);
}

/*
 * In a walk over completions of all kinds. It may come here once more, if the walk
 * isn't the last one.
 */
void io_bpf_watch(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_bpf_watcher *watcher = io_bpf_watched_by(br, req);

	if (!watcher)
		return;
	io_bpf_mark_seen(req);
	io_bpf_watch_any(br, req, watcher);
}

/* It isn't just to be seen, posted and freed. */
static noinline void io_bpf_watch_slow(struct io_bpf_ring *br,
				       struct io_kiocb *req)
{
	if (req->flags & REQ_F_REISSUE)
		return;
	if (!(req->flags & REQ_F_BPF))
		io_bpf_watch(br, req);
	else if (req->bpf_id != IO_BPF_ID_SEEN)
		br->interrupt = true;
}

/* In the walk of which io_bpf_stop_watching() is the end. */
static __always_inline void io_bpf_watch_one(struct io_bpf_ring *br,
					     struct io_wq_work_node *node)
{
	struct io_kiocb *req = container_of(node, struct io_kiocb, comp_list);
	struct io_bpf_watcher *watcher;

	if (unlikely(req->flags & (REQ_F_BPF | REQ_F_REISSUE))) {
		io_bpf_watch_slow(br, req);
		return;
	}
	watcher = io_bpf_watched_by(br, req);
	if (!watcher)
		return;
	if (likely(watcher->plain))
		__io_bpf_watch(br, req, watcher, true);
	else
		io_bpf_watch_any(br, req, watcher);
}

/* With room to stage for those that run without looking for it, if there is any. */
static noinline bool io_bpf_flush_any(struct io_bpf_ring *br)
{
	io_bpf_flush(br);
	if (br->nr_spare < IO_BPF_MIN_SPARE)
		io_bpf_refill_spare(br);
	br->interrupt = br->nr_spare < IO_BPF_MIN_SPARE;
	return true;
}

/*
 * The plain flush won't do. Those up to @last have been seen, and if there are
 * CQEs, then @last has led to these.
 */
static noinline bool io_bpf_stop_watching(struct io_bpf_ring *br,
					  struct io_wq_work_node *last)
{
	struct io_wq_work_node *node = br->ctx->submit_state.compl_reqs.first;
	unsigned int i, pos = 0;

	for (;; node = node->next) {
		struct io_kiocb *req = container_of(node, struct io_kiocb,
						    comp_list);

		if (!(req->flags & (REQ_F_BPF | REQ_F_REISSUE)) &&
		    req->tctx == br->tctx)
			io_bpf_mark_seen(req);
		if (node == last)
			break;
		pos++;
	}
	for (i = 0; i < br->nr_cqes; i++)
		br->cqes[i].pos = pos;
	return io_bpf_flush_any(br);
}

static noinline bool io_bpf_watch_rest(struct io_bpf_ring *br,
				       struct io_wq_work_node *node)
{
	for (; node; node = node->next) {
		io_bpf_resched(br);
		io_bpf_watch_one(br, node);
		if (unlikely(br->interrupt))
			return io_bpf_stop_watching(br, node);
	}
	return false;
}

/*
 * Of io_bpf_flush_completions(), on a ring without flows. If nothing is to be done
 * but to post what has completed, that is left to the plain flush. What a handler
 * has left to be done has set ->interrupt, and so has a lack of ->spare. One that
 * completes by itself, as most do, is spared the walk.
 */
bool io_bpf_flush_watched(struct io_bpf_ring *br)
{
	struct io_wq_work_node *node = br->ctx->submit_state.compl_reqs.first;

	lockdep_assert_held(&br->ctx->uring_lock);

	io_bpf_set_tctx(br);
	if (unlikely(br->interrupt))
		return io_bpf_flush_any(br);
	if (unlikely(!node))
		return false;
	io_bpf_watch_one(br, node);
	if (unlikely(br->interrupt))
		return io_bpf_stop_watching(br, node);
	return node->next ? io_bpf_watch_rest(br, node->next) : false;
}
