// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that BPF programs issue
 *
 * bpf_io_uring_issue() copies the SQE. When the program has returned the SQE passes all
 * checks that those of the application pass, and becomes a request: a child of the flow,
 * or one of the application. SQEs that are linked become a chain, the way consecutive
 * SQEs of a submission do.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/cred.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/io_uring.h>
#include <trace/events/io_uring.h>

#include "bpf_int.h"
#include "net.h"

#define IO_BPF_SQE_LINKS	(IOSQE_IO_LINK | IOSQE_IO_HARDLINK)
/* what io_bpf_check_sqe() has to look at */
#define IO_BPF_SQE_FLAGS	(IO_BPF_SQE_LINKS | IOSQE_CQE_SKIP_SUCCESS |	\
				 IOSQE_IO_DRAIN)

/*
 * What is no step, posts its CQEs past the program, or doesn't fit into an SQE. For
 * each value of the field, so that it's no matter of speculation either.
 */
static const bool io_bpf_op_refused[U8_MAX + 1] = {
	[IORING_OP_LINK_TIMEOUT]	= true,
	[IORING_OP_RECV_ZC]		= true,
	[IORING_OP_NOP128]		= true,
	[IORING_OP_URING_CMD128]	= true,
	[IORING_OP_BPF]			= true,
};

/*
 * IORING_OP_URING_CMD copies as many bytes as an SQE of the ring has, and a program
 * gives 64.
 */
const struct io_uring_sqe *io_bpf_mode_sqe(struct io_bpf_ring *br,
					   const struct io_uring_sqe *sqe)
{
	if (!(br->ctx->flags & IORING_SETUP_SQE128))
		return sqe;
	br->wide_sqe[0] = *sqe;
	return br->wide_sqe;
}

/*
 * Let a child without a personality have the credentials with which the ring issues
 * SQEs. An SQ thread has these only while it submits, not in task work.
 *
 * A child on a ring with IORING_SETUP_IOPOLL always has credentials of its own: with
 * these, bpf_io_uring_again() goes through io_bpf_issue_child_slow().
 */
void io_bpf_mode_child(struct io_kiocb *req)
{
	const struct io_ring_ctx *ctx = req->ctx;
	const struct cred *creds = ctx->sq_creds ?: current_cred();

	if (creds == current_real_cred() && !(ctx->flags & IORING_SETUP_IOPOLL))
		return;
	req->creds = get_cred(creds);
	req->flags |= REQ_F_CREDS;
}

/*
 * A zero-copy send has brought its notification along, a request that completes when
 * nothing refers to the memory any more. The notification is one more child.
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

/* No memory for what a run has asked for: its flow ends, or the CQE says so. */
static void io_bpf_no_memory(struct io_bpf_ring *br, struct io_kiocb *flow,
			     const struct io_uring_sqe *sqe, u8 kind)
{
	struct io_cqe cqe = { .user_data = sqe->user_data, .res = -ENOMEM };
	struct io_big_cqe big = { };

	if (kind & IO_BPF_SQE_APP) {
		io_bpf_app_gone(br);
		io_bpf_add_cqe(br, &cqe, &big);
		return;
	}
	io_bpf_ctx(flow)->nr_children--;
	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return;
	flow->bpf_flow.flags |= IO_BPF_F_ENDING;
	flow->cqe.res = -ENOMEM;
}

static struct io_kiocb *io_bpf_alloc(struct io_bpf_ring *br, struct io_kiocb *flow,
				     const struct io_uring_sqe *sqe, u8 kind)
{
	struct io_kiocb *req;

	if (unlikely(!io_alloc_req(br->ctx, &req))) {
		io_bpf_no_memory(br, flow, sqe, kind);
		return NULL;
	}
	io_get_task_refs(1);
	req->bpf_id = kind & IO_BPF_SQE_APP ? IO_BPF_ID_APP : flow->bpf_flow.id;
	return req;
}

/* Return the child if it has completed in place. */
static inline struct io_kiocb *io_bpf_issue_one(struct io_bpf_ring *br,
						struct io_kiocb *flow,
						const struct io_uring_sqe *sqe)
{
	struct io_kiocb *req = io_bpf_alloc(br, flow, sqe, IO_BPF_SQE_CHILD);

	return req && io_bpf_submit_child(req, br->ctx, sqe) ? req : NULL;
}

static void io_bpf_fail_head(struct io_kiocb *head)
{
	if (head->flags & REQ_F_FAIL)
		return;
	req_set_fail(head);
	io_req_set_res(head, -ECANCELED, 0);
}

/*
 * Prepare a member of a chain. As from the SQ, one for which that fails becomes a part
 * of the chain nonetheless, and none of the chain is issued.
 */
static int io_bpf_prep_member(struct io_bpf_ring *br, struct io_kiocb *flow,
			      struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	int ret;

	io_bpf_clear_extra(req);
	ret = io_bpf_prep_linked(req, br->ctx, io_bpf_mode_sqe(br, sqe),
				 io_bpf_flow_creds(flow), false);
	req->flags |= REQ_F_BPF;
	if (req->bpf_id == IO_BPF_ID_APP)
		return ret;
	if (ret)
		req->bpf_id |= IO_BPF_ID_REFUSED;
	io_bpf_adopt_notif(req);
	return ret;
}

/* Issue the chain that begins with SQE @i. Return the SQE behind the chain. */
static unsigned int io_bpf_issue_chain(struct io_bpf_ring *br, struct io_kiocb *flow,
				       unsigned int i)
{
	struct io_submit_link *link = &br->ctx->submit_state.link;
	struct io_kiocb *req, *head = NULL;
	struct io_bpf_run *run = &br->run;
	u8 kind = run->kind[i];
	bool broken = kind & IO_BPF_SQE_BROKEN;

	do {
		req = io_bpf_alloc(br, flow, &run->sqes[i], kind);
		if (unlikely(!req)) {
			broken = true;
			continue;
		}
		/* a linked timeout looks for the one before it there */
		broken |= io_bpf_prep_member(br, flow, req, &run->sqes[i]) < 0;
		if (!head) {
			head = req;
		} else {
			trace_io_uring_link(req, link->last);
			link->last->link = req;
		}
		link->head = head;
		link->last = req;
	} while (++i < run->nr_sqes && (run->kind[i] & IO_BPF_SQE_MEMBER));
	link->head = NULL;
	if (!head)
		return i;
	if (broken)
		io_bpf_fail_head(head);
	/* the flow waits with its children, but a watching program has no flow */
	if (io_bpf_is_watch(flow) && !broken && *br->slice <= 0 &&
	    !io_bpf_look(br))
		io_bpf_hold_app(br, head);
	else
		io_bpf_queue_chain(head);
	return i;
}

/* Return true if SQE @i is a child by itself. */
static inline bool io_bpf_is_single(const struct io_bpf_run *run, unsigned int i)
{
	return run->kind[i] == IO_BPF_SQE_CHILD &&
	       !(run->sqes[i].flags & IO_BPF_SQE_LINKS);
}

/* The program has ended the flow: children that it has issued are forgotten. */
static void io_bpf_forget_children(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	struct io_bpf_run *run = &br->run;
	unsigned int i;

	for (i = 0; i < run->nr_sqes; i++) {
		if (run->kind[i] & IO_BPF_SQE_APP)
			i = io_bpf_issue_chain(br, flow, i) - 1;
		else
			io_bpf_ctx(flow)->nr_children--;
	}
}

/*
 * Issue what the run has asked for. Return a child that is the only one and has
 * completed in place. Of several, those that complete in place go to ->compl_reqs.
 */
struct io_kiocb *io_bpf_issue_sqes(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	struct io_bpf_run *run = &br->run;
	unsigned int i = 0;

	lockdep_assert_held(&br->ctx->uring_lock);

	if (unlikely(flow->bpf_flow.flags & IO_BPF_F_ENDING) && !io_bpf_is_watch(flow)) {
		io_bpf_forget_children(br, flow);
		return NULL;
	}
	*br->slice -= run->nr_sqes;
	if (likely(run->nr_sqes == 1 && io_bpf_is_single(run, 0)))
		return io_bpf_issue_one(br, flow, &run->sqes[0]);
	while (i < run->nr_sqes) {
		struct io_kiocb *req;

		if (!io_bpf_is_single(run, i)) {
			i = io_bpf_issue_chain(br, flow, i);
			continue;
		}
		req = io_bpf_issue_one(br, flow, &run->sqes[i++]);
		if (req)
			io_req_complete_defer(req);
	}
	return NULL;
}

/* Check what is not just a child by itself. */
static int io_bpf_check_sqe(struct io_kiocb *flow, const struct io_uring_sqe *sqe,
			    u64 flags)
{
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;
	bool app = flags & BPF_IO_URING_ISSUE_APP;

	if (run->in_chain &&
	    app != (bool)(run->kind[run->nr_sqes - 1] & IO_BPF_SQE_APP))
		return -EINVAL;
	if (!app && (sqe->flags & IOSQE_CQE_SKIP_SUCCESS))
		return -EINVAL;
	/* a child would wait for the flow, and the flow for it */
	if (sqe->flags & IOSQE_IO_DRAIN)
		return -EOPNOTSUPP;
	if (io_bpf_op_refused[sqe->opcode] &&
	    !(run->in_chain && sqe->opcode == IORING_OP_LINK_TIMEOUT))
		return -EOPNOTSUPP;
	return 0;
}

/* Return an error if the program may not issue another request of that kind. */
static int io_bpf_may_issue(struct io_kiocb *flow, u32 size, u64 flags)
{
	struct io_ring_ctx *ctx = flow->ctx;
	struct io_bpf_ring *br = ctx->bpf_ring;
	bool app = flags & BPF_IO_URING_ISSUE_APP;

	if (size != sizeof(struct io_uring_sqe) ||
	    (flags & ~(u64)BPF_IO_URING_ISSUE_APP))
		return -EINVAL;
	if (unlikely(flow->bpf_flow.flags & IO_BPF_F_ENDING)) {
		if (!io_bpf_is_watch(flow))
			return -ECANCELED;
		if (!app)
			return -EOPNOTSUPP;
	}
	/* a chain of which an earlier SQE was refused */
	if (unlikely(br->run.chain_refused))
		return -ECANCELED;
	if (br->run.nr_sqes >= IO_BPF_MAX_SQES)
		return -ENOBUFS;
	/* CQEs that do not fit in must not pile up */
	if (app && test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &ctx->check_cq))
		return -EBUSY;
	if ((app ? br->nr_apps : io_bpf_ctx(flow)->nr_children) >= ctx->cq_entries)
		return -EAGAIN;
	return 0;
}

/*
 * An SQE of a chain was refused. A chain that lacks a member must not run, so what is
 * before it fails, and what is behind it is refused, up to the end of the chain.
 */
static noinline int io_bpf_refuse(struct io_bpf_run *run, u8 sqe_flags, int ret)
{
	unsigned int i = run->nr_sqes;

	if (run->in_chain) {
		while (run->kind[--i] & IO_BPF_SQE_MEMBER)
			;
		run->kind[i] |= IO_BPF_SQE_BROKEN;
		run->kinds |= IO_BPF_SQE_BROKEN;
	}
	run->in_chain = false;
	run->chain_refused = sqe_flags & IO_BPF_SQE_LINKS;
	return ret;
}

static int io_bpf_stage(struct io_kiocb *flow, const struct io_uring_sqe *sqe, u64 flags)
{
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;
	bool app = flags & BPF_IO_URING_ISSUE_APP;
	u8 *kind = &run->kind[run->nr_sqes];
	int ret = 0;

	/* user space may write to what the SQE is in, so only the copy counts */
	barrier();
	if (unlikely(sqe->opcode >= IORING_OP_LAST))
		ret = -EINVAL;
	else if (unlikely(app || run->in_chain || (sqe->flags & IO_BPF_SQE_FLAGS) ||
			  io_bpf_op_refused[sqe->opcode]))
		ret = io_bpf_check_sqe(flow, sqe, flags);
	if (unlikely(ret))
		return io_bpf_refuse(run, sqe->flags, ret);

	*kind = app ? IO_BPF_SQE_APP : IO_BPF_SQE_CHILD;
	if (unlikely(run->in_chain))
		*kind |= IO_BPF_SQE_MEMBER;
	run->kinds |= *kind;
	run->in_chain = sqe->flags & IO_BPF_SQE_LINKS;
	run->nr_sqes++;
	if (app)
		flow->ctx->bpf_ring->nr_apps++;
	else
		io_bpf_ctx(flow)->nr_children++;
	return 0;
}

/* The same for a child that is the first of the run. */
static __always_inline int io_bpf_stage_first(struct bpf_io_uring_ctx *ctx,
					      struct io_bpf_run *run)
{
	const struct io_uring_sqe *sqe = run->sqes;

	barrier();
	if (unlikely(sqe->opcode >= IORING_OP_LAST || io_bpf_op_refused[sqe->opcode] ||
		     (sqe->flags & IO_BPF_SQE_FLAGS)))
		return io_bpf_stage(io_bpf_ctx_to_flow(ctx), run->sqes, 0);
	run->kind[0] = IO_BPF_SQE_CHILD;
	run->nr_sqes = 1;
	ctx->nr_children++;
	return 0;
}

__bpf_kfunc_start_defs();

/**
 * bpf_io_uring_issue - issue a request as a child of the flow
 * @ctx: context of the program
 * @sqe: struct io_uring_sqe, copied
 * @sqe__sz: its size in bytes, 64
 * @flags: 0, or BPF_IO_URING_ISSUE_APP
 *
 * The request passes everything that one of the application's passes:
 * restrictions and filters of the ring, its personality, audit, LSMs. A request
 * without a personality has that of the flow, if the flow has one, or else the
 * credentials of the task that issued the flow. It runs with the files and memory
 * of that task, as soon as the program has returned. Its completion runs the
 * program, also if the preparation failed, and posts no CQE unless the program asks
 * for it. The same holds for the CQEs of a multishot request and the notification of a
 * zero-copy send, as BPF_IO_URING_AUX. Each of these two requests is a child in flight
 * meanwhile. Memory that the SQE points to has to be the application's and to stay.
 * If there is no memory for the request, the flow ends with -ENOMEM.
 *
 * With IOSQE_IO_LINK or IOSQE_IO_HARDLINK it is linked to what the next call of
 * the run issues, as consecutive SQEs of a submission are, IORING_OP_LINK_TIMEOUT
 * included. Each of them is a child. If a call fails its chain does: those before
 * it complete with -ECANCELED, those behind it are refused.
 *
 * With BPF_IO_URING_ISSUE_APP the request is one of the application instead, and the
 * program has no more to do with it. It posts its CQE, the flow does not wait for it,
 * its end is not that of the flow, and no program watches it. A program that watches
 * may issue such requests. If there is no memory for one, its CQE says -ENOMEM.
 *
 * Context: BPF_IO_URING_START, COMPLETE and AUX, of a flow, and with
 * BPF_IO_URING_ISSUE_APP of a watching program as well. Takes no lock, that of the
 * ring is held; doesn't sleep.
 * Return: 0, or
 * -EINVAL: @sqe__sz or @flags is wrong, or not those of the chain, no such opcode,
 * or IOSQE_CQE_SKIP_SUCCESS without BPF_IO_URING_ISSUE_APP;
 * -EOPNOTSUPP: IOSQE_IO_DRAIN, an opcode that has no place here: IORING_OP_BPF,
 * IORING_OP_RECV_ZC, 128-byte SQEs, IORING_OP_LINK_TIMEOUT that is linked to
 * nothing; or the program watches, and BPF_IO_URING_ISSUE_APP is not set;
 * -EAGAIN: the flow has as many children as the CQ has entries, or the ring has as
 * many such requests of the application;
 * -EBUSY: CQEs that did not fit into the CQ are waiting, and
 * BPF_IO_URING_ISSUE_APP is set;
 * -ENOBUFS: this run has issued 32 already;
 * -ECANCELED: the flow is ending, this is BPF_IO_URING_CANCEL, or a request before
 * it in its chain was refused.
 */
__bpf_kfunc int bpf_io_uring_issue(struct bpf_io_uring_ctx *ctx,
				   const void *sqe, u32 sqe__sz, u64 flags)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;
	const struct io_uring_sqe *src = sqe;
	int ret;

	/* the first of the run, and a child: what most runs do and no more */
	if (likely(!run->asked && !flags && sqe__sz == sizeof(*src) &&
		   !(flow->bpf_flow.flags & IO_BPF_F_ENDING) &&
		   ctx->nr_children < flow->ctx->cq_entries)) {
		memcpy(run->sqes, src, sizeof(*src));
		return io_bpf_stage_first(ctx, run);
	}
	ret = io_bpf_may_issue(flow, sqe__sz, flags);
	if (unlikely(ret))
		return io_bpf_refuse(run, sqe__sz == sizeof(*src) ?
				     READ_ONCE(src->flags) : 0, ret);
	memcpy(&run->sqes[run->nr_sqes], src, sizeof(*src));
	return io_bpf_stage(flow, &run->sqes[run->nr_sqes], flags);
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(io_bpf_issue_kfunc_ids)
BTF_ID_FLAGS(func, bpf_io_uring_issue)
BTF_KFUNCS_END(io_bpf_issue_kfunc_ids)

static const struct btf_kfunc_id_set io_bpf_issue_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &io_bpf_issue_kfunc_ids,
};

static int __init io_bpf_issue_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_IOURING,
					 &io_bpf_issue_kfunc_set);
}
late_initcall(io_bpf_issue_init);
