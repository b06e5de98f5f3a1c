// SPDX-License-Identifier: GPL-2.0
/*
 * The chain behind a flow, or behind a request that a program watches
 *
 * A flow owns what is linked behind it from its first event on, and nothing of
 * that has been issued. No other task edits it, and none follows ->link of a
 * flow without ->uring_lock: io-wq does when it looks for work to cancel, but
 * only for the task itself. A chain with a member that could not be prepared
 * fails at its head, so it has no flow that runs.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/io_uring.h>
#include <linux/init.h>
#include <linux/nospec.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <trace/events/io_uring.h>

#include "bpf_int.h"
#include "timeout.h"

/*
 * The chain fails with @req, be it a success or linked hard. What is silent in
 * success isn't in failure, so a verdict about the CQE has to come later.
 */
void io_bpf_cut_chain(struct io_kiocb *req)
{
	req_set_fail(req);
	if (req->flags & REQ_F_HARDLINK) {
		req->flags &= ~REQ_F_HARDLINK;
		req->flags |= REQ_F_LINK;
	}
}

/*
 * The completion of what stands before a flow is its first event. Who that is
 * may have changed.
 */
static void io_bpf_fix_pred(struct io_kiocb *req)
{
	struct io_kiocb *nxt = *io_bpf_tail(req);

	bool linked = (req->flags & REQ_F_BPF) && (req->bpf_id & IO_BPF_ID_SEEN);

	if (nxt && nxt->opcode == IORING_OP_BPF) {
		nxt->bpf_flow.flags |= IO_BPF_F_PRED;
		req->bpf_id = linked ? IO_BPF_ID_PRED_SEEN : IO_BPF_ID_PRED;
		req->flags |= REQ_F_BPF;
	} else if (linked) {
		req->bpf_id = IO_BPF_ID_SEEN;
	} else if ((req->flags & REQ_F_BPF) && req->bpf_id == IO_BPF_ID_PRED) {
		req->flags &= ~REQ_F_BPF;
	}
}

/* Takes out what is behind @req up to @last, and a timeout of that one. */
static struct io_kiocb *io_bpf_take_members(struct io_kiocb *req,
					    struct io_kiocb *last)
{
	struct io_kiocb **link = io_bpf_tail(req), *first = *link;

	if (last) {
		struct io_kiocb **tail = io_bpf_tail(last);

		*link = *tail;
		*tail = NULL;
	} else {
		*link = NULL;
	}
	io_bpf_fix_pred(req);
	return first;
}

/* Completes what was never issued, timeouts included. */
static void io_bpf_cancel_members(struct io_kiocb *flow, struct io_kiocb *req,
				  bool silent)
{
	struct io_kiocb *nxt;

	for (; req; req = nxt) {
		nxt = req->link;
		req->link = NULL;
		if (silent)
			req->flags |= REQ_F_CQE_SKIP;
		else
			req->flags &= ~REQ_F_CQE_SKIP;
		trace_io_uring_fail_link(flow, req);
		/* as the CQE goes, flags are where the file descriptor was */
		io_req_set_res(req, req->flags & REQ_F_FAIL ? req->cqe.res :
			       -ECANCELED, 0);
		io_bpf_insert(flow->ctx->bpf_ring, req);
	}
}

/* They are out of the chain. A flow at their head starts by itself. */
static void io_bpf_start_members(struct io_kiocb *req)
{
	if (req->opcode == IORING_OP_BPF)
		req->bpf_flow.flags &= ~IO_BPF_F_PRED;
	io_bpf_fix_pred(req);
	io_req_task_queue(req);
}

static void io_bpf_edit_members(struct io_kiocb *flow, struct io_kiocb *req,
				u8 op)
{
	if (op == IO_BPF_EDIT_UNLINK)
		io_bpf_start_members(req);
	else
		io_bpf_cancel_members(flow, req, op == IO_BPF_EDIT_DROP);
}

/* Do to the chain what the run that has ended asked for. */
void io_bpf_edit_chain(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	unsigned int i, stay = 0, nr_linked = flow->bpf_flow.nr_linked;
	struct io_kiocb *req, *prev = flow, *rest = NULL;
	struct io_bpf_run *run = &br->run;

	lockdep_assert_held(&br->ctx->uring_lock);

	for (i = 0; i < IO_BPF_MAX_MEMBERS; i++) {
		req = *io_bpf_tail(prev);
		if (!req)
			break;
		if (run->edit_ops[i] != IO_BPF_EDIT_NONE) {
			io_bpf_take_members(prev, req);
			io_bpf_edit_members(flow, req, run->edit_ops[i]);
			/* those behind @rest have been counted with it */
			if (!rest && i < flow->bpf_flow.nr_linked)
				nr_linked--;
			continue;
		}
		if (run->rest_op && i == run->rest) {
			rest = prev;
			nr_linked = min(nr_linked, stay);
		}
		stay++;
		prev = req;
	}
	if (rest) {
		req = io_bpf_take_members(rest, NULL);
		io_bpf_edit_members(flow, req, run->rest_op);
	}
	flow->bpf_flow.nr_linked = nr_linked;
}

static void io_bpf_set_link(struct io_kiocb *req, struct io_kiocb **link,
			    struct io_kiocb *nxt)
{
	*link = nxt;
	if (!(req->flags & REQ_F_HARDLINK))
		req->flags |= REQ_F_LINK;
	io_bpf_fix_pred(req);
}

/*
 * Link a request behind those that are linked already. Return false if it can't be
 * prepared: its CQE says why when the chain is cut.
 */
static bool io_bpf_add_link(struct io_bpf_ring *br, struct io_kiocb *flow,
			    struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	struct io_kiocb *prev = flow;
	unsigned int i;
	int ret;

	io_get_task_refs(1);
	io_bpf_clear_extra(req);
	req->bpf_id = IO_BPF_ID_SEEN;
	/* a worker that issued the flow may go on with what is behind it */
	ret = io_bpf_prep_linked(req, br->ctx, io_bpf_mode_sqe(br, sqe),
				 io_bpf_flow_creds(flow),
				 !!(flow->flags & REQ_F_REFCOUNT));
	io_bpf_mark_seen(req);
	for (i = 0; i < flow->bpf_flow.nr_linked; i++)
		prev = *io_bpf_tail(prev);
	io_bpf_set_link(req, &req->link, *io_bpf_tail(prev));
	io_bpf_set_link(prev, io_bpf_tail(prev), req);
	flow->bpf_flow.nr_linked++;
	return !ret;
}

/* Link what the run has asked for. If that fails the chain behind the flow is cut. */
void io_bpf_apply_links(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	struct io_bpf_run *run = &br->run;
	struct io_big_cqe big = { };
	struct io_kiocb *req;
	unsigned int i;

	lockdep_assert_held(&br->ctx->uring_lock);

	*br->slice -= run->nr_links;
	for (i = 0; i < run->nr_links; i++) {
		bool ok = io_alloc_req(br->ctx, &req);
		struct io_cqe cqe = { .res = ok ? -ECANCELED : -ENOMEM };

		if (ok && io_bpf_add_link(br, flow, req, &run->links[i]))
			continue;
		io_bpf_cancel_members(flow, io_bpf_take_members(flow, NULL), false);
		flow->bpf_flow.nr_linked = 0;
		/* these have no request that could say so */
		for (i += ok; i < run->nr_links; i++) {
			cqe.user_data = run->links[i].user_data;
			io_bpf_add_cqe(br, &cqe, &big);
			cqe.res = -ECANCELED;
		}
	}
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
	if (!io_bpf_slot_prog(ctx->bpf_ring, flow))
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
static struct io_kiocb *io_bpf_run_pred(struct io_bpf_ring *br,
					struct io_kiocb *flow, struct io_kiocb *req)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	u32 verdict;

	io_bpf_fill_ctx(bctx, req, io_bpf_next_flag(flow));
	verdict = io_bpf_run_prog(br, io_bpf_slot_prog(br, flow), bctx, req);
	if (br->run.nr_cqes)
		io_bpf_add_cqes(br);
	if (unlikely(verdict & IO_BPF_VERDICT_CHAIN))
		verdict = io_bpf_flow_verdict(flow, verdict);
	if (io_bpf_app_drops(req, verdict)) {
		io_bpf_retire(br, req);
	} else {
		io_bpf_change_cqe(req, bctx);
		io_bpf_post(br, req);
		if (req->bpf_id == IO_BPF_ID_PRED_TIMEOUT)
			io_timeout_posts(req);
	}
	return io_bpf_apply(br, flow, NULL);
}

/* The completion of a request before a flow. */
struct io_kiocb *io_bpf_pred_event(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_kiocb *flow = br->tctx ? io_bpf_take_flow(req) : NULL;

	if (flow)
		return io_bpf_run_pred(br, flow, req);
	/* posted as if there were no flow */
	if (req->bpf_id == IO_BPF_ID_PRED_TIMEOUT && !(req->flags & REQ_F_CQE_SKIP))
		io_timeout_posts(req);
	io_bpf_insert(br, req);
	return NULL;
}

/* What the program says of the chain holds until it says something else. */
u32 io_bpf_flow_verdict(struct io_kiocb *flow, u32 verdict)
{
	flow->bpf_flow.flags &= ~(IO_BPF_F_GO_ON | IO_BPF_F_CUT);
	flow->bpf_flow.flags |= verdict & BPF_IO_URING_CUT ? IO_BPF_F_CUT :
							     IO_BPF_F_GO_ON;
	return verdict & IO_BPF_VERDICT_CQE;
}

/* The same for the chain of a request that has completed. */
u32 io_bpf_watch_verdict(struct io_kiocb *req, u32 verdict)
{
	struct io_kiocb *pos;

	if (verdict & BPF_IO_URING_CUT) {
		io_bpf_cut_chain(req);
	} else {
		/* what was not prepared can't be issued */
		io_for_each_link(pos, req->link) {
			if (pos->flags & REQ_F_FAIL)
				return verdict & IO_BPF_VERDICT_CQE;
		}
		req->flags &= ~REQ_F_FAIL;
	}
	return verdict & IO_BPF_VERDICT_CQE;
}

/* on the program's stack */
struct bpf_iter_io_uring_chain {
	__u64 __opaque[4];
} __aligned(8);

struct bpf_iter_io_uring_chain_kern {
	struct io_kiocb			*pos;
	u32				index;
	union bpf_io_uring_member	member;
} __aligned(8);

static int io_bpf_check_linked(const struct io_uring_sqe *sqe)
{
	if (sqe->opcode >= IORING_OP_LAST)
		return -EINVAL;
	switch (sqe->opcode) {
	case IORING_OP_LINK_TIMEOUT:
	case IORING_OP_NOP128:
	case IORING_OP_URING_CMD128:
	case IORING_OP_BPF:
		return -EOPNOTSUPP;
	}
	/* it would wait for the flow, and the flow for it */
	if (sqe->flags & IOSQE_IO_DRAIN)
		return -EOPNOTSUPP;
	return 0;
}

static int io_bpf_stage_edit(struct bpf_io_uring_ctx *ctx, u32 index,
			     u64 flags, u8 op)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;
	struct io_kiocb *req;
	u32 i;

	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return io_bpf_is_watch(flow) ? -EOPNOTSUPP : -ECANCELED;
	if (index >= IO_BPF_MAX_MEMBERS)
		return -ERANGE;
	index = array_index_nospec(index, IO_BPF_MAX_MEMBERS);
	for (i = 0, req = *io_bpf_tail(flow); req && i < index; i++)
		req = *io_bpf_tail(req);
	if (!req)
		return -ENOENT;
	if (!run->edit) {
		memset(run->edit_ops, 0, sizeof(run->edit_ops));
		run->rest_op = IO_BPF_EDIT_NONE;
		run->edit = true;
	}
	if (run->edit_ops[index] || (run->rest_op && index >= run->rest))
		return -EALREADY;
	if (!(flags & BPF_IO_URING_REST)) {
		run->edit_ops[index] = op;
	} else if (!run->rest_op) {
		run->rest = index;
		run->rest_op = op;
	} else {
		return -EALREADY;
	}
	return 0;
}

__bpf_kfunc_start_defs();

/**
 * bpf_iter_io_uring_chain_new - look at what is behind in the chain
 * @it: iterator
 * @ctx: context of the program
 *
 * The members come in the order in which they would run: those behind the flow,
 * or behind the request that a program watches. On BPF_IO_URING_CANCEL there are
 * none any more. All of them come, also those that have no index which could be
 * used. What this run has edited shows in the next one.
 *
 * Context: any event, of flows and of watching programs. Takes no lock, that of
 * the ring is held; doesn't sleep.
 * Return: 0
 */
__bpf_kfunc int bpf_iter_io_uring_chain_new(struct bpf_iter_io_uring_chain *it,
					    struct bpf_io_uring_ctx *ctx)
{
	struct bpf_iter_io_uring_chain_kern *kit = (void *)it;
	struct io_kiocb *req = io_bpf_ctx_to_flow(ctx);

	BUILD_BUG_ON(sizeof(*kit) > sizeof(*it));
	BUILD_BUG_ON(__alignof__(*kit) != __alignof__(*it));

	if (io_bpf_is_watch(req))
		req = req->ctx->bpf_ring->run.req;
	kit->pos = *io_bpf_tail(req);
	kit->index = 0;
	return 0;
}

/**
 * bpf_iter_io_uring_chain_next - the next request that is behind in the chain
 * @it: iterator, from bpf_iter_io_uring_chain_new()
 *
 * Context: as bpf_iter_io_uring_chain_new()
 * Return: union bpf_io_uring_member, which is part of @it: the next call
 * overwrites it. NULL at the end.
 */
__bpf_kfunc union bpf_io_uring_member *
bpf_iter_io_uring_chain_next(struct bpf_iter_io_uring_chain *it)
{
	struct bpf_iter_io_uring_chain_kern *kit = (void *)it;
	struct io_kiocb **tail, *req = kit->pos;

	if (!req)
		return NULL;
	tail = io_bpf_tail(req);
	kit->member.user_data = req->cqe.user_data;
	kit->member.index = kit->index++;
	kit->member.flags = (__force u32)req->flags & SQE_VALID_FLAGS;
	if (tail != &req->link)
		kit->member.flags |= BPF_IO_URING_MEMBER_TIMEOUT;
	kit->member.opcode = req->opcode;
	kit->member.__pad = 0;
	kit->pos = *tail;
	return &kit->member;
}

/**
 * bpf_iter_io_uring_chain_destroy - end the iteration
 * @it: iterator, from bpf_iter_io_uring_chain_new()
 *
 * There is nothing to be freed, but the verifier wants each iterator to come to
 * its end, whether or not bpf_iter_io_uring_chain_next() has.
 *
 * Context: as bpf_iter_io_uring_chain_new()
 */
__bpf_kfunc void
bpf_iter_io_uring_chain_destroy(struct bpf_iter_io_uring_chain *it)
{
}

/**
 * bpf_io_uring_drop - take requests out of the chain behind the flow
 * @ctx: context of the program
 * @index: of the request, 0 is the one right behind the flow
 * @flags: BPF_IO_URING_REST, BPF_IO_URING_POST_CANCELED
 *
 * They are cancelled when the program has returned, in silence, or with a CQE
 * that says -ECANCELED for each one if @flags has BPF_IO_URING_POST_CANCELED. A
 * linked timeout goes with its request. BPF_IO_URING_REST is for all requests
 * from @index on, but for those that another call of the run has named. What
 * remains in the chain moves up. The notification of a zero-copy send is posted
 * in any case.
 *
 * Context: BPF_IO_URING_START, COMPLETE and AUX of a flow. Takes no lock, that of
 * the ring is held; doesn't sleep.
 * Return: 0, or
 * -EINVAL: no such flag;
 * -ENOENT: the chain is shorter than that;
 * -ERANGE: @index is larger than 63;
 * -EALREADY: this run has dropped or unlinked it before, or used
 * BPF_IO_URING_REST before;
 * -ECANCELED: the flow is ending;
 * -EOPNOTSUPP: the program watches.
 */
__bpf_kfunc int bpf_io_uring_drop(struct bpf_io_uring_ctx *ctx, u32 index,
				  u64 flags)
{
	if (flags & ~(u64)(BPF_IO_URING_REST | BPF_IO_URING_POST_CANCELED))
		return -EINVAL;
	return io_bpf_stage_edit(ctx, index, flags,
				 flags & BPF_IO_URING_POST_CANCELED ?
				 IO_BPF_EDIT_CANCEL : IO_BPF_EDIT_DROP);
}

/**
 * bpf_io_uring_unlink - let requests of the chain behind the flow run now
 * @ctx: context of the program
 * @index: of the request, 0 is the one right behind the flow
 * @flags: BPF_IO_URING_REST
 *
 * The request leaves the chain when the program has returned, with its linked
 * timeout if it has one, and runs on its own. With BPF_IO_URING_REST all from
 * @index on leave as a chain of their own, without those that another call of
 * the run has named. A flow among them that has nothing before it any more begins
 * with BPF_IO_URING_START.
 *
 * Context: as bpf_io_uring_drop()
 * Return: 0, or an error as bpf_io_uring_drop().
 */
__bpf_kfunc int bpf_io_uring_unlink(struct bpf_io_uring_ctx *ctx, u32 index,
				    u64 flags)
{
	if (flags & ~(u64)BPF_IO_URING_REST)
		return -EINVAL;
	return io_bpf_stage_edit(ctx, index, flags, IO_BPF_EDIT_UNLINK);
}

/**
 * bpf_io_uring_link - put a request into the chain behind the flow
 * @ctx: context of the program
 * @sqe: struct io_uring_sqe, copied
 * @sqe__sz: its size in bytes, 64
 * @flags: 0
 *
 * It runs when the flow has ended, behind those that were linked before, and
 * before what else is left of the chain. It is a request of the application like
 * any other: it passes the checks that those pass, posts its CQE, which doesn't
 * run the program, and cuts the chain if it fails, unless it has
 * IOSQE_IO_HARDLINK. IOSQE_IO_LINK makes no difference. It joins the chain when
 * the program has returned and other edits of that run are done. If it can't be
 * prepared then, or there is no memory, the chain behind the flow is cut at once, with
 * a CQE that tells the error, and -ECANCELED for all others.
 *
 * Call it before bpf_io_uring_complete().
 *
 * Context: as bpf_io_uring_drop()
 * Return: 0, or
 * -EINVAL: @sqe__sz or @flags is wrong, or no such opcode;
 * -EOPNOTSUPP: IOSQE_IO_DRAIN, IORING_OP_BPF, IORING_OP_LINK_TIMEOUT, a 128-byte
 * SQE, or the program watches;
 * -ENOBUFS: this run has linked 8 already, or 128 of them wait behind the flow;
 * -ECANCELED: the flow is ending.
 */
__bpf_kfunc int bpf_io_uring_link(struct bpf_io_uring_ctx *ctx,
				  const void *sqe, u32 sqe__sz, u64 flags)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;
	struct io_uring_sqe *copy;
	int ret;

	if (sqe__sz != sizeof(*copy) || flags)
		return -EINVAL;
	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return io_bpf_is_watch(flow) ? -EOPNOTSUPP : -ECANCELED;
	if (run->nr_links >= IO_BPF_MAX_LINKS ||
	    flow->bpf_flow.nr_linked + run->nr_links >= IO_BPF_MAX_LINKED)
		return -ENOBUFS;
	/* user space may write to what the SQE is in, so only the copy counts */
	copy = memcpy(&run->links[run->nr_links], sqe, sizeof(*copy));
	barrier();
	ret = io_bpf_check_linked(copy);
	if (!ret)
		run->nr_links++;
	return ret;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(io_bpf_chain_kfunc_ids)
BTF_ID_FLAGS(func, bpf_iter_io_uring_chain_new, KF_ITER_NEW)
BTF_ID_FLAGS(func, bpf_iter_io_uring_chain_next, KF_ITER_NEXT | KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_iter_io_uring_chain_destroy, KF_ITER_DESTROY)
BTF_ID_FLAGS(func, bpf_io_uring_drop)
BTF_ID_FLAGS(func, bpf_io_uring_unlink)
BTF_ID_FLAGS(func, bpf_io_uring_link)
BTF_KFUNCS_END(io_bpf_chain_kfunc_ids)

static const struct btf_kfunc_id_set io_bpf_chain_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &io_bpf_chain_kfunc_ids,
};

static int __init io_bpf_chain_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_IOURING,
					 &io_bpf_chain_kfunc_set);
}
late_initcall(io_bpf_chain_init);
