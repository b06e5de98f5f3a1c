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

static int io_bpf_check_flags(const struct io_uring_sqe *sqe)
{
	if (sqe->flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK |
			  IOSQE_CQE_SKIP_SUCCESS))
		return -EINVAL;
	/* it would wait for the flow, and the flow for it */
	return -EOPNOTSUPP;
}

static __always_inline int io_bpf_check_sqe(const struct io_uring_sqe *sqe)
{
	unsigned int op = sqe->opcode;

	if (unlikely(op >= IORING_OP_LAST))
		return -EINVAL;
	if (unlikely(sqe->flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK |
				   IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_DRAIN)))
		return io_bpf_check_flags(sqe);
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
	while (br->nr_spare > keep) {
		struct io_kiocb *req = io_bpf_get_spare(br);

		io_bpf_clear_extra(req);
		wq_stack_add_head(&req->comp_list, &ctx->submit_state.free_list);
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
			io_bpf_ctx(flow)->nr_children--;
			io_bpf_add_spare(br, req);
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

static noinline int io_bpf_stage(struct io_bpf_ring *br, struct io_kiocb *flow,
				 const void *sqe)
{
	struct io_kiocb *req;
	int ret;

	BUILD_BUG_ON(sizeof(struct io_uring_sqe) > sizeof(req->cmd));

	if (unlikely(br->run.nr_sqes >= IO_BPF_MAX_SQES))
		return -ENOBUFS;
	if (unlikely(io_bpf_ctx(flow)->nr_children >= br->ctx->cq_entries))
		return -EAGAIN;
	if (unlikely(br->nr_spare <= IO_BPF_KEEP_SPARE))
		return -ENOMEM;
	req = io_bpf_get_spare(br);
	ret = io_bpf_copy_sqe((struct io_uring_sqe *)&req->cmd, sqe);
	if (unlikely(ret)) {
		io_bpf_add_spare(br, req);
		return ret;
	}
	req->bpf_id = flow->bpf_flow.id;
	req->flags = 0;
	wq_list_add_tail(&req->comp_list, &br->ready);
	return 0;
}

__bpf_kfunc_start_defs();

/**
 * bpf_io_uring_issue - issue a request as a child of the flow
 * @ctx: context of the program
 * @sqe: struct io_uring_sqe, copied
 * @sqe__sz: its size in bytes, 64
 * @flags: 0
 *
 * The request passes everything that one of the application's passes:
 * restrictions and filters of the ring, its personality, audit, LSMs. It runs
 * with the files, memory and credentials of the task that issued the flow, as
 * soon as the program has returned. Its completion runs the program, be it that
 * the preparation failed, and posts no CQE unless the program asks for it. So do
 * the CQEs of a multishot request and the notification of a zero-copy send, as
 * BPF_IO_URING_AUX. Each of these two requests is a child in flight meanwhile.
 * Memory that the SQE points to has to be the application's and to stay.
 *
 * Return: 0, or
 * -EINVAL: @sqe__sz or @flags is wrong, no such opcode, or one of IOSQE_IO_LINK,
 * IOSQE_IO_HARDLINK and IOSQE_CQE_SKIP_SUCCESS is set;
 * -EOPNOTSUPP: IOSQE_IO_DRAIN, or an opcode that has no place in a flow:
 * IORING_OP_BPF, IORING_OP_LINK_TIMEOUT, IORING_OP_RECV_ZC, 128-byte SQEs; or the
 * program watches;
 * -EAGAIN: the flow has as many children as the CQ has entries;
 * -ENOBUFS: this run has issued 32 already;
 * -ENOMEM: no memory;
 * -ECANCELED: the flow is ending, or this is BPF_IO_URING_CANCEL.
 */
__bpf_kfunc int bpf_io_uring_issue(struct bpf_io_uring_ctx *ctx,
				   const void *sqe, u32 sqe__sz, u64 flags)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);
	struct io_bpf_ring *br = flow->ctx->bpf_ring;
	int ret;

	if (unlikely(sqe__sz != sizeof(struct io_uring_sqe) || flags))
		return -EINVAL;
	if (unlikely(flow->bpf_flow.flags & IO_BPF_F_ENDING))
		return io_bpf_is_watch(flow) ? -EOPNOTSUPP : -ECANCELED;
	/* of limits, it's within that of the child that has just completed */
	if (likely(!br->run.walk && !br->run.nr_sqes))
		ret = io_bpf_copy_sqe(&br->sqe, sqe);
	else
		ret = io_bpf_stage(br, flow, sqe);
	if (unlikely(ret))
		return ret;
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
