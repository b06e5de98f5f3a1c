// SPDX-License-Identifier: GPL-2.0
/*
 * Staging of requests by BPF programs
 *
 * A staged SQE lives in ->cmd of a request, and when the program has returned
 * another one is made of it, see bpf_issue.c. There are always enough of them
 * when a program runs, so that it need not allocate.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "slist.h"
#include "bpf.h"
#include "bpf_mode.h"
#include "bpf_run.h"

/*
 * What is no step, posts its CQEs past the program, or doesn't fit into an SQE.
 * For each value of the field, so that it's no matter of speculation either.
 */
static const bool io_bpf_op_refused[U8_MAX + 1] = {
	[IORING_OP_LINK_TIMEOUT]	= true,
	[IORING_OP_RECV_ZC]		= true,
	[IORING_OP_NOP128]		= true,
	[IORING_OP_URING_CMD128]	= true,
	[IORING_OP_BPF]			= true,
};

#define IO_BPF_SQE_LINKS	(IOSQE_IO_LINK | IOSQE_IO_HARDLINK)
/* what io_bpf_stage_member() has to look at */
#define IO_BPF_SQE_SLOW		1

static __always_inline int io_bpf_check_sqe(const struct io_uring_sqe *sqe)
{
	unsigned int op = sqe->opcode;

	if (unlikely(sqe->flags & (IO_BPF_SQE_LINKS | IOSQE_CQE_SKIP_SUCCESS |
				   IOSQE_IO_DRAIN)))
		return IO_BPF_SQE_SLOW;
	if (unlikely(op >= IORING_OP_LAST))
		return -EINVAL;
	if (unlikely(io_bpf_op_refused[op]))
		return -EOPNOTSUPP;
	return 0;
}

/* Allocates, so that the program doesn't have to. It may sleep, here not there. */
void io_bpf_refill_spare(struct io_bpf_ring *br)
{
	struct io_kiocb *req;

	lockdep_assert_held(&br->ctx->uring_lock);

	while (br->nr_spare < IO_BPF_MAX_SPARE && io_alloc_req(br->ctx, &req))
		io_bpf_add_spare(br, req);
}

static bool io_bpf_nothing_staged(struct io_bpf_ring *br)
{
	return wq_list_empty(&br->ready) && wq_list_empty(&br->parked);
}

/* To the ring's own cache, but for the one that something staged may need. */
void io_bpf_return_spare(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br = ctx->bpf_ring;
	unsigned int keep;

	lockdep_assert_held(&ctx->uring_lock);

	if (!br)
		return;
	keep = io_bpf_nothing_staged(br) ? 0 : 1;
	/* for io_bpf_flush_watched() */
	br->interrupt = true;
	while (br->nr_spare > keep) {
		struct io_kiocb *req = io_bpf_get_spare(br);

		io_bpf_clear_extra(req);
		wq_stack_add_head(&req->comp_list, &ctx->submit_state.free_list);
	}
}

/* An SQE, and what is linked to it. */
static void io_bpf_unstage(struct io_bpf_ring *br, struct io_kiocb *flow,
			   struct io_kiocb *req)
{
	struct io_kiocb *nxt;

	for (; req; req = nxt) {
		nxt = req->link;
		req->link = NULL;
		io_bpf_ctx(flow)->nr_children--;
		io_bpf_unstage_creds(req);
		io_bpf_add_spare(br, req);
	}
}

static void io_bpf_drop_staged_from(struct io_bpf_ring *br,
				    struct io_wq_work_list *list)
{
	struct io_wq_work_list all = *list;
	struct io_wq_work_node *node, *next;

	INIT_WQ_LIST(list);
	for (node = all.first; node; node = next) {
		struct io_kiocb *req = container_of(node, struct io_kiocb,
						    comp_list);
		struct io_kiocb *flow = io_bpf_child_flow(br, req);

		next = node->next;
		if (!(flow->bpf_flow.flags & IO_BPF_F_ENDING)) {
			wq_list_add_tail(node, list);
		} else if (req->flags & REQ_F_BPF) {
			io_bpf_clear_extra(req);
			io_req_set_res(req, -ECANCELED, 0);
			io_req_complete_defer(req);
		} else {
			io_bpf_unstage(br, flow, req);
		}
	}
}

/*
 * What flows that are ending have staged. A child that was to be issued again
 * completes instead.
 */
void io_bpf_drop_staged(struct io_bpf_ring *br)
{
	lockdep_assert_held(&br->ctx->uring_lock);

	io_bpf_drop_staged_from(br, &br->ready);
	io_bpf_drop_staged_from(br, &br->parked);
}

/* User space may write to what the SQE is in, so only the copy counts. */
static __always_inline int io_bpf_copy_sqe(struct io_uring_sqe *to,
					   const void *sqe)
{
	memcpy(to, sqe, sizeof(*to));
	barrier();
	return io_bpf_check_sqe(to);
}

/* From here on all SQEs of the run go to the lists. */
static void io_bpf_begin_groups(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	if (br->run.walk == IO_BPF_RUN_GROUPS)
		return;
	if (br->run.nr_sqes && !br->run.walk)
		io_bpf_stage_direct(br, flow);
	br->run.walk = IO_BPF_RUN_GROUPS;
	br->run.head = NULL;
	if (!io_bpf_is_watch(flow))
		flow->bpf_flow.flags |= IO_BPF_F_EDIT;
}

/* Is there room for another one? CQEs that don't fit in must not pile up. */
static int io_bpf_may_stage(struct io_bpf_ring *br, struct io_kiocb *flow,
			    bool app)
{
	struct io_ring_ctx *ctx = br->ctx;

	if (br->run.nr_sqes >= IO_BPF_MAX_SQES)
		return -ENOBUFS;
	if (app && test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &ctx->check_cq))
		return -EBUSY;
	if ((app ? br->nr_apps : io_bpf_ctx(flow)->nr_children) >= ctx->cq_entries)
		return -EAGAIN;
	return br->nr_spare <= IO_BPF_KEEP_SPARE ? -ENOMEM : 0;
}

static int io_bpf_check_member(const struct io_uring_sqe *sqe,
			       const struct io_kiocb *head, bool app)
{
	bool of_app = head && head->bpf_id == IO_BPF_ID_APP;
	unsigned int op = sqe->opcode;

	if (op >= IORING_OP_LAST)
		return -EINVAL;
	if (!app && (sqe->flags & IOSQE_CQE_SKIP_SUCCESS))
		return -EINVAL;
	if (head && app != of_app)
		return -EINVAL;
	/* a child would wait for the flow, and the flow for it */
	if (sqe->flags & IOSQE_IO_DRAIN)
		return -EOPNOTSUPP;
	if (io_bpf_op_refused[op] && !(head && op == IORING_OP_LINK_TIMEOUT))
		return -EOPNOTSUPP;
	return 0;
}

/*
 * The next one of the chain that the run is assembling, or the first of another.
 * They are kept together by ->link, and the first one is on a list.
 */
static int io_bpf_stage_member(struct io_bpf_ring *br, struct io_kiocb *flow,
			       const void *sqe, bool app)
{
	struct io_kiocb *req, *head = br->run.head;
	struct io_uring_sqe *copy;
	int ret;

	if (IS_ERR(head))
		return PTR_ERR(head);
	ret = io_bpf_may_stage(br, flow, app);
	if (ret)
		return ret;
	req = io_bpf_get_spare(br);
	copy = memcpy(&req->cmd, sqe, sizeof(*copy));
	barrier();
	ret = io_bpf_check_member(copy, head, app);
	if (ret) {
		io_bpf_add_spare(br, req);
		return ret;
	}
	req->bpf_id = app ? IO_BPF_ID_APP : flow->bpf_flow.id;
	req->flags = REQ_F_LINK;
	io_bpf_stage_creds(flow, req);
	if (head)
		br->run.last->link = req;
	else
		wq_list_add_tail(&req->comp_list, app ? &br->links : &br->ready);
	br->run.last = req;
	br->run.head = copy->flags & IO_BPF_SQE_LINKS ? (head ?: req) : NULL;
	return 0;
}

static int io_bpf_check_slow(struct io_kiocb *flow, u32 size, u64 flags)
{
	if (size != sizeof(struct io_uring_sqe) ||
	    (flags & ~(u64)BPF_IO_URING_ISSUE_APP))
		return -EINVAL;
	if (!(flow->bpf_flow.flags & IO_BPF_F_ENDING))
		return 0;
	if (!io_bpf_is_watch(flow))
		return -ECANCELED;
	return flags & BPF_IO_URING_ISSUE_APP ? 0 : -EOPNOTSUPP;
}

/*
 * All but a child by itself. A chain that lacks a member must not run, so with
 * one that is refused it's broken, up to its end.
 */
static noinline int io_bpf_issue_slow(struct io_kiocb *flow,
				      const struct io_uring_sqe *sqe, u32 size,
				      u64 flags)
{
	struct io_bpf_ring *br = flow->ctx->bpf_ring;
	bool app = flags & BPF_IO_URING_ISSUE_APP;
	int ret;

	io_bpf_begin_groups(br, flow);
	ret = io_bpf_check_slow(flow, size, flags) ?:
	      io_bpf_stage_member(br, flow, sqe, app);
	if (ret) {
		if (!IS_ERR_OR_NULL(br->run.head))
			br->run.head->flags |= REQ_F_FAIL;
		br->run.head = NULL;
		if (size == sizeof(*sqe) &&
		    (READ_ONCE(sqe->flags) & IO_BPF_SQE_LINKS))
			br->run.head = ERR_PTR(-ECANCELED);
		return ret;
	}
	br->run.nr_sqes++;
	if (!app) {
		io_bpf_ctx(flow)->nr_children++;
		return 0;
	}
	br->nr_apps++;
	/* issued before the next hop, and whatever becomes of the flow */
	br->nr_pending++;
	br->interrupt = true;
	return 0;
}

/* A child by itself that has to wait, as it isn't the first one or in a walk. */
static noinline int io_bpf_stage(struct io_kiocb *flow, const void *sqe)
{
	struct io_bpf_ring *br = flow->ctx->bpf_ring;
	struct io_kiocb *req;
	int ret;

	BUILD_BUG_ON(sizeof(struct io_uring_sqe) > sizeof(req->cmd));

	ret = io_bpf_may_stage(br, flow, false);
	if (unlikely(ret))
		return ret;
	req = io_bpf_get_spare(br);
	ret = io_bpf_copy_sqe((struct io_uring_sqe *)&req->cmd, sqe);
	if (unlikely(ret)) {
		io_bpf_add_spare(br, req);
		if (ret < 0)
			return ret;
		return io_bpf_issue_slow(flow, sqe, sizeof(struct io_uring_sqe),
					 0);
	}
	req->bpf_id = flow->bpf_flow.id;
	req->flags = 0;
	wq_list_add_tail(&req->comp_list, &br->ready);
	io_bpf_ctx(flow)->nr_children++;
	br->run.nr_sqes++;
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
 * for it. So do the CQEs of a multishot request and the notification of a zero-copy
 * send, as BPF_IO_URING_AUX. Each of these two requests is a child in flight
 * meanwhile. Memory that the SQE points to has to be the application's and to stay.
 *
 * With IOSQE_IO_LINK or IOSQE_IO_HARDLINK it is linked to what the next call of
 * the run issues, as consecutive SQEs of a submission are, IORING_OP_LINK_TIMEOUT
 * included. Each of them is a child. If a call fails its chain does: those before
 * it complete with -ECANCELED, those behind it are refused.
 *
 * With BPF_IO_URING_ISSUE_APP it is a request of the application instead, and the
 * program has no more to do with it. It posts its CQE, the flow does not wait for
 * it, its end is not that of the flow, and no program watches it. A program that
 * watches may issue such ones.
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
 * -ENOMEM: no memory;
 * -ECANCELED: the flow is ending, this is BPF_IO_URING_CANCEL, or a request before
 * it in its chain was refused.
 */
__bpf_kfunc int bpf_io_uring_issue(struct bpf_io_uring_ctx *ctx,
				   const void *sqe, u32 sqe__sz, u64 flags)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);
	struct io_bpf_ring *br = flow->ctx->bpf_ring;
	int ret;

	if (unlikely(sqe__sz != sizeof(struct io_uring_sqe) || flags ||
		     (flow->bpf_flow.flags & (IO_BPF_F_ENDING | IO_BPF_F_EDIT))))
		return io_bpf_issue_slow(flow, sqe, sqe__sz, flags);
	if (unlikely(br->run.walk || br->run.nr_sqes))
		return io_bpf_stage(flow, sqe);
	/* of limits, it's within that of the child that has just completed */
	ret = io_bpf_copy_sqe(&br->sqe, sqe);
	if (unlikely(ret < 0))
		return ret;
	if (unlikely(ret))
		return io_bpf_issue_slow(flow, sqe, sqe__sz, flags);
	ctx->nr_children++;
	br->run.nr_sqes++;
	return 0;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(io_bpf_stage_kfunc_ids)
BTF_ID_FLAGS(func, bpf_io_uring_issue)
BTF_KFUNCS_END(io_bpf_stage_kfunc_ids)

static const struct btf_kfunc_id_set io_bpf_stage_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &io_bpf_stage_kfunc_ids,
};

static int __init io_bpf_stage_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_IOURING,
					 &io_bpf_stage_kfunc_set);
}
late_initcall(io_bpf_stage_init);
