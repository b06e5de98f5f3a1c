// SPDX-License-Identifier: GPL-2.0
/*
 * The chain behind a flow, or behind a watched request
 *
 * From its first event on, a flow owns the requests that are linked behind it.
 * None of them has been issued, and no other task edits them. The cancellation
 * of io-wq follows ->link of a flow without ->uring_lock, but only in the task
 * of the flow. A chain with a member that failed its preparation fails at its
 * head, so no flow of that chain runs.
 */
#include <linux/nospec.h>
#include <linux/btf.h>
#include <trace/events/io_uring.h>

#include "bpf_int.h"
#include "timeout.h"

/*
 * Fail the chain at @req, even if @req succeeded or has a hard link. This undoes
 * IOSQE_CQE_SKIP_SUCCESS, so apply a verdict on the CQE afterwards.
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
 * Mark @req if its successor is a flow, whose first event is the completion of
 * @req, and clear the mark otherwise.
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

/*
 * Remove the members behind @req up to @last and its linked timeout, or all if
 * @last is NULL. Return the first of them.
 */
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

/* Complete members that were never issued, including linked timeouts. */
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
		/* ->cqe.flags still holds the fd */
		io_req_set_res(req, req->flags & REQ_F_FAIL ? req->cqe.res :
			       -ECANCELED, 0);
		io_bpf_insert(flow->ctx->bpf_ring, req);
	}
}

/* Start or cancel members that were removed from the chain. */
static void io_bpf_edit_members(struct io_kiocb *flow, struct io_kiocb *req,
				u8 op)
{
	if (op != IO_BPF_EDIT_UNLINK) {
		io_bpf_cancel_members(flow, req, op == IO_BPF_EDIT_DROP);
		return;
	}
	/* a flow at their head has no predecessor any more */
	if (req->opcode == IORING_OP_BPF)
		req->bpf_flow.flags &= ~IO_BPF_F_PRED;
	io_bpf_fix_pred(req);
	io_req_task_queue(req);
}

/* Apply the edits that the run has staged. */
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
			/* nr_linked excludes members behind @rest already */
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
 * Insert a request behind those that the program has linked before. Return false
 * if its preparation fails. The CQE of the request reports the error when the
 * chain is cut.
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
	/* a worker that has issued the flow might issue its successor */
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

/* Insert the requests that the run has linked, or cut the chain if that fails. */
void io_bpf_apply_links(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	struct io_bpf_run *run = &br->run;
	struct io_big_cqe big = { };
	struct io_kiocb *req;
	unsigned int i;

	lockdep_assert_held(&br->ctx->uring_lock);

	br->slice -= run->nr_links;
	for (i = 0; i < run->nr_links; i++) {
		bool ok = io_alloc_req(br->ctx, &req);
		struct io_cqe cqe = { .res = ok ? -ECANCELED : -ENOMEM };

		if (ok && io_bpf_add_link(br, flow, req, &run->links[i]))
			continue;
		io_bpf_cancel_members(flow, io_bpf_take_members(flow, NULL), false);
		flow->bpf_flow.nr_linked = 0;
		/* the remaining SQEs have no request that posts the error */
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
 * Remove the flow behind the completed @req from its chain. The flow then owns the
 * rest of the chain, which neither a failure of @req nor the worker that ran @req
 * can reach. Return NULL if no program runs: a chain with a member that failed
 * its preparation is cut, as it is without BPF.
 */
static struct io_kiocb *io_bpf_take_flow(struct io_kiocb *req)
{
	struct io_ring_ctx *ctx = req->ctx;
	struct io_kiocb *flow, *pos;

	spin_lock(&ctx->completion_lock);
	io_disarm_linked_timeout(req);
	spin_unlock(&ctx->completion_lock);

	flow = req->link;
	/* the chain has been cancelled */
	if (!flow)
		return NULL;
	/*
	 * Such a chain fails at its head, so do not search the chain of a successful
	 * @req. Do not search behind a taken flow either: its chain was searched when
	 * the flow was taken, and a chain can have thousands of flows.
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
	/* handles credentials, audit and a linked timeout of the flow */
	io_bpf_issue_flow(flow);
	return flow->bpf_flow.flags & IO_BPF_F_ACTIVE ? flow : NULL;
}

/* Show the completion of the request before a flow to the flow, as its first event. */
struct io_kiocb *io_bpf_pred_event(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_kiocb *flow = io_bpf_goes_on(br) ? io_bpf_take_flow(req) : NULL;
	struct bpf_io_uring_ctx *bctx;
	u32 verdict;

	if (!flow) {
		/* no program runs: post the CQE as without a flow */
		if (req->bpf_id == IO_BPF_ID_PRED_TIMEOUT &&
		    !(req->flags & REQ_F_CQE_SKIP))
			io_timeout_posts(req);
		io_bpf_insert(br, req);
		return NULL;
	}

	bctx = io_bpf_ctx(flow);
	io_bpf_fill_ctx(bctx, req, io_bpf_next_flag(flow));
	io_bpf_flow_stats(flow)->nr_other_runs++;
	verdict = io_bpf_run_flow(br, flow, req);
	if (br->run.nr_cqes)
		io_bpf_add_cqes(br);
	if (unlikely(verdict & IO_BPF_VERDICT_CHAIN))
		io_bpf_flow_verdict(flow, verdict);
	if (io_bpf_app_drops(req, verdict)) {
		io_bpf_flow_stats(flow)->nr_app_drops += !(req->flags & REQ_F_CQE_SKIP);
		io_bpf_retire(br, req);
	} else {
		io_bpf_change_cqe(req, bctx);
		if (req->bpf_id == IO_BPF_ID_PRED_TIMEOUT)
			io_timeout_posts(req);
		io_bpf_post(br, req);
	}
	return io_bpf_apply(br, flow, NULL);
}

/* Record the verdict on the chain, which holds until a run returns another. */
void io_bpf_flow_verdict(struct io_kiocb *flow, u32 verdict)
{
	flow->bpf_flow.flags &= ~(IO_BPF_F_GO_ON | IO_BPF_F_CUT);
	flow->bpf_flow.flags |= verdict & BPF_IO_URING_CUT ? IO_BPF_F_CUT :
							     IO_BPF_F_GO_ON;
}

/* Apply the verdict on the chain of a watched request. */
void io_bpf_watch_verdict(struct io_kiocb *req, u32 verdict)
{
	struct io_kiocb *pos;

	if (verdict & BPF_IO_URING_CUT) {
		io_bpf_cut_chain(req);
		return;
	}
	/* a member that failed its preparation cannot be issued */
	io_for_each_link(pos, req->link) {
		if (pos->flags & REQ_F_FAIL)
			return;
	}
	req->flags &= ~REQ_F_FAIL;
}

/* on the stack of the program */
struct bpf_iter_io_uring_chain {
	__u64 __opaque[4];
} __aligned(8);

struct bpf_iter_io_uring_chain_kern {
	struct io_kiocb			*pos;
	u32				index;
	union bpf_io_uring_member	member;
} __aligned(8);

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
	if (run->edit_ops[index] ||
	    (run->rest_op && (index >= run->rest || (flags & BPF_IO_URING_REST))))
		return -EALREADY;
	if (flags & BPF_IO_URING_REST) {
		run->rest = index;
		run->rest_op = op;
	} else {
		run->edit_ops[index] = op;
	}
	return 0;
}

static int io_bpf_edit(struct bpf_io_uring_ctx *ctx, const char *kfunc, u32 index,
		       u64 flags, u64 valid, u8 op)
{
	int ret = flags & ~valid ? -EINVAL : io_bpf_stage_edit(ctx, index, flags, op);

	return io_bpf_refused(io_bpf_ctx_to_flow(ctx), kfunc, ret);
}

static int io_bpf_stage_link(struct io_kiocb *flow, const void *sqe, u32 size, u64 flags)
{
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;
	struct io_uring_sqe *copy;

	if (size != sizeof(*copy) || flags)
		return -EINVAL;
	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return io_bpf_is_watch(flow) ? -EOPNOTSUPP : -ECANCELED;
	if (run->nr_links >= IO_BPF_MAX_LINKS ||
	    flow->bpf_flow.nr_linked + run->nr_links >= IO_BPF_MAX_LINKED)
		return -ENOBUFS;
	/* user space might write to @sqe, so check the copy only */
	copy = memcpy(&run->links[run->nr_links], sqe, sizeof(*copy));
	barrier();
	if (copy->opcode >= IORING_OP_LAST)
		return -EINVAL;
	/* with IOSQE_IO_DRAIN, the request and the flow would wait for each other */
	if (io_bpf_op_refused[copy->opcode] || (copy->flags & IOSQE_IO_DRAIN))
		return -EOPNOTSUPP;
	run->nr_links++;
	return 0;
}

__bpf_kfunc_start_defs();

/**
 * bpf_iter_io_uring_chain_new - iterate over the members of the chain
 * @it: iterator
 * @ctx: context of the program
 *
 * Visit the members behind the flow, or behind the watched request, in the order
 * of execution, including those whose index is too large for bpf_io_uring_drop().
 * There are none on BPF_IO_URING_CANCEL. Edits of a run are visible to later runs.
 *
 * Context: any event, in flows and in watching programs. Called with the lock of
 * the ring held; takes no lock and does not sleep.
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
 * bpf_iter_io_uring_chain_next - return the next member of the chain
 * @it: iterator, from bpf_iter_io_uring_chain_new()
 *
 * Context: as bpf_iter_io_uring_chain_new()
 * Return: union bpf_io_uring_member in @it, valid until the next call, or NULL at
 * the end of the chain.
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
 * Frees nothing, but the verifier requires the call on all paths.
 *
 * Context: as bpf_iter_io_uring_chain_new()
 */
__bpf_kfunc void
bpf_iter_io_uring_chain_destroy(struct bpf_iter_io_uring_chain *it)
{
}

/**
 * bpf_io_uring_drop - remove requests from the chain behind the flow
 * @ctx: context of the program
 * @index: index of the request, 0 to 63; 0 is the request right behind the flow
 * @flags: BPF_IO_URING_REST, BPF_IO_URING_POST_CANCELED
 *
 * Cancel the request and its linked timeout when the program has returned. They
 * post a CQE with -ECANCELED only if @flags has BPF_IO_URING_POST_CANCELED. With
 * BPF_IO_URING_REST, cancel all requests from @index on, except for those that
 * an earlier call of the run names. Later members move up. The notification of
 * a zero-copy send is posted in any case.
 *
 * Context: BPF_IO_URING_START, COMPLETE and AUX of a flow. Called with the lock of
 * the ring held; takes no lock and does not sleep.
 * Return: 0, or
 * -EINVAL: @flags has an unknown flag;
 * -ENOENT: the chain has no request at @index;
 * -ERANGE: @index is larger than 63;
 * -EALREADY: an earlier call of this run applies to the request, or both calls have
 * BPF_IO_URING_REST;
 * -ECANCELED: the flow is ending;
 * -EOPNOTSUPP: the program watches.
 */
__bpf_kfunc int bpf_io_uring_drop(struct bpf_io_uring_ctx *ctx, u32 index,
				  u64 flags)
{
	u8 op = flags & BPF_IO_URING_POST_CANCELED ? IO_BPF_EDIT_CANCEL : IO_BPF_EDIT_DROP;

	return io_bpf_edit(ctx, __func__, index, flags,
			   BPF_IO_URING_REST | BPF_IO_URING_POST_CANCELED, op);
}

/**
 * bpf_io_uring_unlink - start requests of the chain behind the flow now
 * @ctx: context of the program
 * @index: index of the request, as for bpf_io_uring_drop()
 * @flags: BPF_IO_URING_REST
 *
 * Remove the request and its linked timeout from the chain when the program has
 * returned, and issue the request on its own. With BPF_IO_URING_REST, all requests
 * from @index on, except for those that an earlier call of the run names, become a
 * chain of their own. A removed flow without a request before it starts with
 * BPF_IO_URING_START.
 *
 * Context: as bpf_io_uring_drop()
 * Return: 0, or an error of bpf_io_uring_drop().
 */
__bpf_kfunc int bpf_io_uring_unlink(struct bpf_io_uring_ctx *ctx, u32 index,
				    u64 flags)
{
	return io_bpf_edit(ctx, __func__, index, flags, BPF_IO_URING_REST,
			   IO_BPF_EDIT_UNLINK);
}

/**
 * bpf_io_uring_link - insert a request into the chain behind the flow
 * @ctx: context of the program
 * @sqe: struct io_uring_sqe, copied
 * @sqe__sz: size of @sqe in bytes, 64
 * @flags: 0
 *
 * Insert the request when the program has returned and its other edits have been
 * applied: behind the requests linked before, in front of the other members. The
 * request runs when the flow has ended. It is a request of the application: it
 * undergoes all checks, posts its CQE, which does not run the program, and cuts
 * the chain if it fails, unless it has IOSQE_IO_HARDLINK. IOSQE_IO_LINK is
 * implied. If its preparation or the allocation fails, the chain behind the flow
 * is cut at once, with one CQE that reports the error and -ECANCELED for all
 * other requests. Call this function before bpf_io_uring_complete().
 *
 * Context: as bpf_io_uring_drop()
 * Return: 0, or
 * -EINVAL: @sqe__sz, @flags or the opcode is invalid;
 * -EOPNOTSUPP: IOSQE_IO_DRAIN, IORING_OP_BPF, IORING_OP_RECV_ZC,
 * IORING_OP_LINK_TIMEOUT, an opcode with a 128-byte SQE, or the program watches;
 * -ENOBUFS: this run has linked 8 requests, or 128 linked requests are pending;
 * -ECANCELED: the flow is ending.
 */
__bpf_kfunc int bpf_io_uring_link(struct bpf_io_uring_ctx *ctx,
				  const void *sqe, u32 sqe__sz, u64 flags)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);

	return io_bpf_refused(flow, __func__, io_bpf_stage_link(flow, sqe, sqe__sz, flags));
}

__bpf_kfunc_end_defs();
