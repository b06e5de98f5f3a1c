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
	unsigned int op, i = ARRAY_SIZE(br->watchers);
	bool last = true;

	lockdep_assert_held(&br->ctx->uring_lock);

	br->watchers[slot] = (struct io_bpf_watcher) {
		.prog	= prog,
		.match	= *match,
		.plain	= prog && io_bpf_is_plain(prog),
		/* an update of the link goes on counting */
		.nr_runs = br->watchers[slot].nr_runs,
	};
	for (op = 0; op < IORING_OP_LAST; op++)
		br->first_watcher[op] = io_bpf_next_watcher(br, br->watchers, op);
	while (i--) {
		br->watchers[i].last = last;
		last &= !br->watchers[i].prog;
	}
	if (mem_is_zero(br->first_watcher, sizeof(br->first_watcher)))
		br->ctx->int_flags &= ~IO_RING_F_BPF_MATCH;
	else
		br->ctx->int_flags |= IO_RING_F_BPF_MATCH;
}

/* Return the first watcher from @w on that is to see the completion, or NULL. */
static __always_inline struct io_bpf_watcher *
io_bpf_match_watcher(struct io_bpf_ring *br, struct io_bpf_watcher *w,
		     unsigned int opcode, u64 user_data)
{
	while (w && unlikely((user_data & w->match.user_data_mask) !=
			     w->match.user_data))
		w = io_bpf_next_watcher(br, w + 1, opcode);
	return w;
}

/* Return the watcher of the lowest slot whose program is to see @req, or NULL. */
static __always_inline struct io_bpf_watcher *
__io_bpf_find_watcher(struct io_bpf_ring *br, struct io_kiocb *req)
{
	return io_bpf_match_watcher(br, br->first_watcher[req->opcode], req->opcode,
				    req->cqe.user_data);
}

struct io_bpf_watcher *io_bpf_find_watcher(struct io_bpf_ring *br, struct io_kiocb *req)
{
	return __io_bpf_find_watcher(br, req);
}

/* Only the task that has submitted @req runs a program for it, and only once. */
static __always_inline bool io_bpf_may_watch(struct io_bpf_ring *br, struct io_kiocb *req)
{
	return likely(req->tctx == br->tctx && !(req->flags & (REQ_F_BPF | REQ_F_REISSUE)) &&
		      !(req->cqe.flags & IORING_CQE_F_NOTIF));
}

static __always_inline void io_bpf_watch_fill(struct bpf_io_uring_ctx *bctx,
					      const struct io_kiocb *req)
{
	memcpy(bctx, &req->cqe, sizeof(req->cqe));
	bctx->opcode = req->opcode;
}

/* Run the program of @w for @req. Return its verdict. */
static u32 io_bpf_watch_run(struct io_bpf_ring *br, struct io_kiocb *req,
			    struct io_bpf_watcher *w, u8 event)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(&br->watch);

	io_bpf_watch_fill(bctx, req);
	bctx->event = event;
	if (!w->plain)
		memset(bctx->state, 0, sizeof(bctx->state));
	br->run.watcher = w;
	w->nr_runs++;
	return io_bpf_run_prog(br, w->prog, bctx, req);
}

/*
 * Do what the run has requested, and copy its changes to the CQE. Return false if it
 * reissues @req, whose result and user_data are those of @cqe again.
 */
static bool io_bpf_watch_apply(struct io_bpf_ring *br, struct io_kiocb *req,
			       const struct io_cqe *cqe)
{
	struct io_kiocb *next;

	if (br->run.nr_cqes)
		io_bpf_add_cqes(br);
	if (!br->run.again)
		io_bpf_change_cqe(req, io_bpf_ctx(&br->watch));
	next = io_bpf_apply(br, &br->watch, NULL);
	if (next)
		io_req_complete_defer(next);
	if (!br->run.again)
		return true;
	req->cqe = *cqe;
	wq_list_cut(&br->ctx->submit_state.compl_reqs, &req->comp_list, br->last);
	io_bpf_reissue_watched(br, req);
	return false;
}

/* Return verdict @next, with what only the earlier @verdict says. */
static u32 io_bpf_join_verdicts(u32 verdict, u32 next)
{
	if (!(next & IO_BPF_VERDICT_CQE))
		next |= verdict & IO_BPF_VERDICT_CQE;
	if (!(next & IO_BPF_VERDICT_CHAIN))
		next |= verdict & IO_BPF_VERDICT_CHAIN;
	return next;
}

/* Apply the verdict of the programs that watch @req. @decided has decided about the CQE. */
static void io_bpf_watch_post(struct io_bpf_ring *br, struct io_kiocb *req,
			      struct io_bpf_watcher *decided, u32 verdict)
{
	if (unlikely(verdict & IO_BPF_VERDICT_CHAIN))
		io_bpf_watch_verdict(req, verdict);
	if (io_bpf_app_drops(req, verdict)) {
		br->stats[decided - br->watchers].nr_app_drops +=
			!(req->flags & REQ_F_CQE_SKIP);
		io_bpf_clear_extra(req);
		req->flags |= REQ_F_CQE_SKIP;
	} else {
		req->flags &= ~REQ_F_CQE_SKIP;
	}
}

/*
 * The program of @w has run, and has returned @verdict or requested something. While
 * BPF_IO_URING_NEXT is returned, run the programs of the watchers behind @w that match,
 * at most one per slot. Then apply the verdict. A program can change ->cqe.user_data,
 * but not who sees @req. Return false if a program reissues @req, which ends this.
 */
static bool io_bpf_watch_done(struct io_bpf_ring *br, struct io_kiocb *req,
			      struct io_bpf_watcher *w, u8 event, u32 verdict)
{
	const struct io_cqe cqe = req->cqe;
	struct io_bpf_watcher *decided = w;
	u32 next;

	if (!io_bpf_watch_apply(br, req, &cqe))
		return false;
	while (unlikely(verdict & BPF_IO_URING_NEXT) && io_bpf_goes_on(br)) {
		w = io_bpf_next_watcher(br, w + 1, req->opcode);
		w = io_bpf_match_watcher(br, w, req->opcode, cqe.user_data);
		if (!w)
			break;
		/* one run per SQE of the application is free */
		if (br->slice > 0)
			br->slice--;
		next = io_bpf_watch_run(br, req, w, event);
		if (next & IO_BPF_VERDICT_CQE)
			decided = w;
		verdict = io_bpf_join_verdicts(verdict, next);
		if (!io_bpf_watch_apply(br, req, &cqe))
			return false;
	}
	io_bpf_watch_post(br, req, decided, verdict);
	return true;
}

/* Run the programs of the watchers from @w on. Return false if one reissues @req. */
static bool io_bpf_run_watcher(struct io_bpf_ring *br, struct io_kiocb *req,
			       struct io_bpf_watcher *w, u8 event)
{
	u32 verdict = io_bpf_watch_run(br, req, w, event);

	if (unlikely(verdict != BPF_IO_URING_DEFAULT || br->run.asked) ||
	    (!w->plain && memcmp(io_bpf_ctx(&br->watch), &req->cqe, sizeof(req->cqe))))
		return io_bpf_watch_done(br, req, w, event, verdict);
	return true;
}

/* Return the first entry of ->compl_reqs that the walk has not passed, or NULL. */
static struct io_wq_work_node *io_bpf_rest(struct io_bpf_ring *br)
{
	return br->last ? br->last->next : br->ctx->submit_state.compl_reqs.first;
}

/*
 * Run the programs that watch @req, an entry of ->compl_reqs, for its completion, and
 * advance the cursor. Return the entry after @req, or NULL.
 */
struct io_wq_work_node *io_bpf_watch(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_bpf_watcher *watcher = NULL;

	if (io_bpf_may_watch(br, req))
		watcher = io_bpf_find_watcher(br, req);
	if (!watcher || io_bpf_run_watcher(br, req, watcher, BPF_IO_URING_COMPLETE))
		br->last = &req->comp_list;
	return io_bpf_rest(br);
}

/*
 * As io_bpf_watch(), for a request that was reissued. Its CQE has the sum of what all parts
 * have transferred, even if the last part fails.
 */
struct io_wq_work_node *io_bpf_watch_part(struct io_bpf_ring *br, struct io_kiocb *req)
{
	u64 sum = req->big_cqe.extra1;
	struct io_wq_work_node *next;

	req->flags &= ~REQ_F_BPF;
	io_bpf_clear_extra(req);
	br->run.sum = sum;
	next = io_bpf_watch(br, req);
	br->run.sum = 0;
	/* also if @req was copied and posts nothing any more */
	if (sum && br->last == &req->comp_list)
		req->cqe.res = min_t(u64, sum + max(req->cqe.res, 0), INT_MAX);
	return next;
}

/* Return true if the run of @w has requested nothing but a next program, without one. */
static bool io_bpf_next_is_none(struct io_bpf_ring *br, const struct io_bpf_watcher *w,
				u32 verdict)
{
	return w->last && verdict == BPF_IO_URING_NEXT && !br->run.asked;
}

/*
 * Run plain watching programs for the completions from @node on, as many as one RCU
 * section is good for, and advance the cursor over them. Return the first entry of
 * ->compl_reqs that is left, or NULL. If ->run.acted, its program has run for this
 * entry, and requests more than to post the CQE, see io_bpf_watch_acted().
 */
struct io_wq_work_node *io_bpf_watch_plain(struct io_bpf_ring *br,
					   struct io_wq_work_node *node)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(&br->watch);
	unsigned int left = IO_BPF_WATCH_BATCH;
	struct io_bpf_watcher *w;
	struct io_kiocb *req;
	u32 verdict;

	lockdep_assert_held(&br->ctx->uring_lock);

	br->run.asked = 0;
	bctx->event = BPF_IO_URING_COMPLETE;
	rcu_read_lock_dont_migrate();
	do {
		req = container_of(node, struct io_kiocb, comp_list);
		if (!io_bpf_may_watch(br, req))
			break;
		w = __io_bpf_find_watcher(br, req);
		if (w) {
			if (!w->plain)
				break;
			io_bpf_watch_fill(bctx, req);
			br->run.req = req;
			br->run.watcher = w;
			w->nr_runs++;
			verdict = bpf_prog_run(w->prog, bctx);
			if (trace_io_uring_bpf_run_enabled())
				io_bpf_trace_run(br, &br->watch, verdict);
			if (unlikely(verdict != BPF_IO_URING_DEFAULT || br->run.asked) &&
			    !io_bpf_next_is_none(br, w, verdict)) {
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
	if (io_bpf_watch_done(br, req, br->run.watcher, BPF_IO_URING_COMPLETE,
			      br->run.verdict))
		br->last = &req->comp_list;
	return io_bpf_rest(br);
}

/* Run the programs that watch a multishot request for one of its CQEs. */
void io_bpf_watch_record(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_uring_task *tctx = br->tctx;
	struct io_bpf_watcher *watcher;

	watcher = tctx ? io_bpf_find_watcher(br, req) : NULL;
	if (!watcher)
		return;
	io_bpf_run_watcher(br, req, watcher, BPF_IO_URING_AUX);
	if (req->flags & REQ_F_CQE_SKIP)
		io_bpf_count_drop(tctx);
}
