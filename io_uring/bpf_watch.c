// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that watch requests of the application
 */
#include <linux/bitops.h>
#include <linux/filter.h>

#include "bpf_int.h"

/* completions that plain programs see in one RCU section */
#define IO_BPF_WATCH_BATCH	32

static bool io_bpf_wants(const struct io_bpf_match *match, unsigned int opcode)
{
	switch (opcode) {
	case IORING_OP_BPF:
		/* posts CQEs directly, without the hook for programs */
	case IORING_OP_RECV_ZC:
		/* ends a wait for CQEs when it fires, even without a CQE */
	case IORING_OP_TIMEOUT:
		return false;
	}
	return mem_is_zero(match->opcodes, sizeof(match->opcodes)) ||
	       (match->opcodes[opcode / 64] & BIT_ULL(opcode % 64));
}

/* Return true if @match selects an opcode that can be watched. */
bool io_bpf_match_possible(const struct io_bpf_match *match)
{
	unsigned int op;

	for (op = 0; op < IORING_OP_LAST; op++) {
		if (io_bpf_wants(match, op))
			return true;
	}
	return false;
}

/* Return the first watcher from @w on that selects @opcode, or NULL. */
static struct io_bpf_watcher *io_bpf_next_watcher(struct io_bpf_ring *br,
						  struct io_bpf_watcher *w,
						  unsigned int opcode)
{
	for (; w < br->watchers + ARRAY_SIZE(br->watchers); w++) {
		if (w->prog && io_bpf_wants(&w->match, opcode))
			return w;
	}
	return NULL;
}

/*
 * Return true if @prog neither uses ->state[] nor writes to its context, so that
 * ->state[] need not be cleared, nor the context compared after a run. An extension
 * can replace a subprogram, and ->cb_access is set for tail calls.
 */
bool io_bpf_is_plain(const struct bpf_prog *prog)
{
	return !prog->sleepable && !prog->cb_access && !prog->aux->func_cnt &&
	       prog->aux->max_ctx_offset <= IO_BPF_PLAIN_CTX;
}

/* Let @prog in @slot watch requests that match @match, or clear @slot if NULL. */
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
}

/* Return the watcher of the lowest slot whose program is to see @req, or NULL. */
static __always_inline struct io_bpf_watcher *__io_bpf_find_watcher(struct io_bpf_ring *br,
								     struct io_kiocb *req)
{
	struct io_bpf_watcher *w = br->first_watcher[req->opcode];

	while (w && unlikely((req->cqe.user_data & w->match.user_data_mask) !=
			     w->match.user_data))
		w = io_bpf_next_watcher(br, w + 1, req->opcode);
	return w;
}

struct io_bpf_watcher *io_bpf_find_watcher(struct io_bpf_ring *br, struct io_kiocb *req)
{
	return __io_bpf_find_watcher(br, req);
}

/* Only the task that has submitted @req runs a program for it, and only once. */
static __always_inline bool io_bpf_may_watch(struct io_bpf_ring *br, struct io_kiocb *req)
{
	return likely(req->tctx == br->tctx && !(req->flags & REQ_F_REISSUE) &&
		      !(req->cqe.flags & IORING_CQE_F_NOTIF));
}

/* Do what the run has requested, and apply its verdict to the CQE. */
static void io_bpf_watch_apply(struct io_bpf_ring *br, struct io_kiocb *req,
			       u32 verdict)
{
	struct io_kiocb *next;

	if (br->run.nr_cqes)
		io_bpf_add_cqes(br);
	io_bpf_change_cqe(req, io_bpf_ctx(&br->watch));
	if (unlikely(verdict & IO_BPF_VERDICT_CHAIN))
		verdict = io_bpf_watch_verdict(req, verdict);
	if (io_bpf_app_drops(req, verdict)) {
		io_bpf_clear_extra(req);
		req->flags |= REQ_F_CQE_SKIP;
	} else {
		req->flags &= ~REQ_F_CQE_SKIP;
	}
	next = io_bpf_apply(br, &br->watch, NULL);
	if (next)
		io_req_complete_defer(next);
}

static __always_inline void io_bpf_watch_fill(struct bpf_io_uring_ctx *bctx,
					      const struct io_kiocb *req, u8 event)
{
	memcpy(bctx, &req->cqe, sizeof(req->cqe));
	bctx->event = event;
	bctx->opcode = req->opcode;
}

static void io_bpf_run_watcher(struct io_bpf_ring *br, struct io_kiocb *req,
			       const struct io_bpf_watcher *watcher, u8 event)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(&br->watch);
	u32 verdict;

	io_bpf_watch_fill(bctx, req, event);
	if (!watcher->plain)
		memset(bctx->state, 0, sizeof(bctx->state));
	verdict = io_bpf_run_prog(br, watcher->prog, bctx, req);
	if (unlikely(verdict != BPF_IO_URING_DEFAULT || br->run.asked) ||
	    (!watcher->plain && memcmp(bctx, &req->cqe, sizeof(req->cqe))))
		io_bpf_watch_apply(br, req, verdict);
}

/* Run the program that watches @req for its completion. */
void io_bpf_watch(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_bpf_watcher *watcher;

	if (!io_bpf_may_watch(br, req))
		return;
	watcher = io_bpf_find_watcher(br, req);
	if (watcher)
		io_bpf_run_watcher(br, req, watcher, BPF_IO_URING_COMPLETE);
}

/*
 * Run plain watching programs for the completions from @node on, as many as one RCU
 * section is good for, and advance the cursor over them. Return the first entry of
 * ->compl_reqs that is left, or NULL. ->run.acted: its program has run, and requests more
 * than to post the CQE, see io_bpf_watch_acted().
 */
struct io_wq_work_node *io_bpf_watch_plain(struct io_bpf_ring *br,
					   struct io_wq_work_node *node)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(&br->watch);
	unsigned int left = IO_BPF_WATCH_BATCH;
	const struct io_bpf_watcher *w;
	struct io_kiocb *req;
	u32 verdict;

	lockdep_assert_held(&br->ctx->uring_lock);

	br->run.asked = 0;
	rcu_read_lock_dont_migrate();
	do {
		req = container_of(node, struct io_kiocb, comp_list);
		if ((req->flags & REQ_F_BPF) || !io_bpf_may_watch(br, req))
			break;
		w = __io_bpf_find_watcher(br, req);
		if (w) {
			if (!w->plain)
				break;
			io_bpf_watch_fill(bctx, req, BPF_IO_URING_COMPLETE);
			br->run.req = req;
			verdict = bpf_prog_run(w->prog, bctx);
			if (unlikely(verdict != BPF_IO_URING_DEFAULT || br->run.asked)) {
				br->run.acted = true;
				br->run.verdict = verdict;
				break;
			}
		}
		br->last = node;
		node = node->next;
	} while (node && --left);
	rcu_read_unlock_migrate();
	return node;
}

/*
 * Do what the last run of io_bpf_watch_plain() has requested. Return the entry of
 * ->compl_reqs after that of the run, or NULL.
 */
struct io_wq_work_node *io_bpf_watch_acted(struct io_bpf_ring *br)
{
	struct io_kiocb *req = br->run.req;

	br->run.acted = false;
	io_bpf_watch_apply(br, req, br->run.verdict);
	br->last = &req->comp_list;
	return req->comp_list.next;
}

/* Run the program that watches a multishot request for one of its CQEs. */
void io_bpf_watch_record(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_bpf_watcher *watcher;

	watcher = br->tctx ? io_bpf_find_watcher(br, req) : NULL;
	if (!watcher)
		return;
	io_bpf_run_watcher(br, req, watcher, BPF_IO_URING_AUX);
	if (req->flags & REQ_F_CQE_SKIP)
		io_bpf_count_drop(br->tctx);
}
