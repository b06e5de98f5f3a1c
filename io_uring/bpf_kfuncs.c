// SPDX-License-Identifier: GPL-2.0
/*
 * Kfuncs for BPF_PROG_TYPE_IOURING programs
 *
 * All of them take the program's context first, so they can be called by the
 * program itself and not from a callback that outlives it. They may be called
 * with preemption or interrupts off, hence take no lock, allocate nothing and
 * don't touch user memory. What they stage is done when the program returned.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/nospec.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "opdef.h"
#include "bpf.h"

/*
 * Requests that post CQEs besides the one they end with: nobody would run a
 * program for those, and the flow could end before the last of them.
 */
static bool io_bpf_is_multishot(const struct io_uring_sqe *sqe)
{
	switch (sqe->opcode) {
	case IORING_OP_POLL_ADD:
		return sqe->len & IORING_POLL_ADD_MULTI;
	case IORING_OP_TIMEOUT:
		return sqe->timeout_flags & IORING_TIMEOUT_MULTISHOT;
	case IORING_OP_ACCEPT:
		return sqe->ioprio & IORING_ACCEPT_MULTISHOT;
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
	case IORING_OP_SEND:
	case IORING_OP_SENDMSG:
		return sqe->ioprio & (IORING_RECV_MULTISHOT |
				      IORING_RECVSEND_BUNDLE);
	case IORING_OP_URING_CMD:
		return sqe->uring_cmd_flags & IORING_URING_CMD_MULTISHOT;
	case IORING_OP_READ_MULTISHOT:
		return true;
	}
	return false;
}

static int io_bpf_check_sqe(const struct io_uring_sqe *sqe)
{
	unsigned int opcode;

	if (sqe->opcode >= IORING_OP_LAST)
		return -EINVAL;
	if (sqe->flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK |
			  IOSQE_CQE_SKIP_SUCCESS))
		return -EINVAL;
	/* it would wait for the flow, and the flow for it */
	if (sqe->flags & IOSQE_IO_DRAIN)
		return -EOPNOTSUPP;

	switch (sqe->opcode) {
	case IORING_OP_BPF:
	case IORING_OP_LINK_TIMEOUT:
	case IORING_OP_SEND_ZC:
	case IORING_OP_SENDMSG_ZC:
	case IORING_OP_RECV_ZC:
		return -EOPNOTSUPP;
	}
	opcode = array_index_nospec(sqe->opcode, IORING_OP_LAST);
	if (io_issue_defs[opcode].is_128 || io_bpf_is_multishot(sqe))
		return -EOPNOTSUPP;
	return 0;
}

static struct io_bpf_run *io_bpf_ctx_to_run(struct bpf_io_uring_ctx *ctx)
{
	return container_of(ctx, struct io_bpf_run, ctx);
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
 * the preparation failed, and posts no CQE unless the program asks for it.
 * Memory that the SQE points to has to be the application's and to stay.
 *
 * Return: 0, or
 * -EINVAL: @sqe__sz or @flags is wrong, no such opcode, or one of IOSQE_IO_LINK,
 * IOSQE_IO_HARDLINK and IOSQE_CQE_SKIP_SUCCESS is set;
 * -EOPNOTSUPP: IOSQE_IO_DRAIN, or an opcode that has no place in a flow:
 * IORING_OP_BPF, IORING_OP_LINK_TIMEOUT, zero-copy send and receive, 128-byte
 * SQEs, multishot requests and bundles;
 * -EAGAIN: the flow has as many children as the CQ has entries;
 * -ENOBUFS: this run has issued 32 already;
 * -ENOMEM: no memory;
 * -ECANCELED: the flow is ending, or its task is being killed.
 */
__bpf_kfunc int bpf_io_uring_issue(struct bpf_io_uring_ctx *ctx,
				   const void *sqe, u32 sqe__sz, u64 flags)
{
	struct io_uring_sqe copy;
	int ret;

	if (sqe__sz != sizeof(copy) || flags)
		return -EINVAL;
	/* it may be in a map that user space writes to, so look at a copy only */
	memcpy(&copy, sqe, sizeof(copy));
	barrier();
	ret = io_bpf_check_sqe(&copy);
	if (ret)
		return ret;
	return io_bpf_stage(io_bpf_ctx_to_run(ctx), &copy);
}

/**
 * bpf_io_uring_post_cqe - post a CQE
 * @ctx: context of the program
 * @cqe: struct io_uring_cqe, copied
 * @cqe__sz: its size in bytes, 16
 *
 * It goes to the CQ right before that of the completion which the program runs
 * for. Should others fill the CQ meanwhile, it overflows as any CQE does.
 *
 * Return: 0, or
 * -EINVAL: @cqe__sz is wrong, or IORING_CQE_F_32 or IORING_CQE_F_SKIP is set;
 * -ENOBUFS: this run has posted 16 already;
 * -EBUSY: there is no room in the CQ, or CQEs that did not fit in are waiting
 * for it. To be tried again at another event, when user space has caught up.
 */
__bpf_kfunc int bpf_io_uring_post_cqe(struct bpf_io_uring_ctx *ctx,
				      const void *cqe, u32 cqe__sz)
{
	struct io_bpf_run *run = io_bpf_ctx_to_run(ctx);
	struct io_bpf_ring *br = run->br;
	const struct io_uring_cqe *src = cqe;
	u32 used, flags;

	if (cqe__sz != sizeof(*src))
		return -EINVAL;
	/* once: it may be in a map that user space writes to */
	flags = READ_ONCE(src->flags);
	if (flags & (IORING_CQE_F_32 | IORING_CQE_F_SKIP))
		return -EINVAL;
	if (run->nr_cqes >= IO_BPF_MAX_CQES)
		return -ENOBUFS;
	/* user space owns the head, a silly one must not make room */
	used = READ_ONCE(br->ctx->cached_cq_tail) -
	       READ_ONCE(br->ctx->rings->cq.head) + br->nr_cqes;
	if (used >= br->ctx->cq_entries ||
	    test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq))
		return -EBUSY;

	br->cqes[br->nr_cqes++] = (struct io_bpf_cqe) {
		.before		= run->req,
		.user_data	= src->user_data,
		.res		= src->res,
		.flags		= flags,
	};
	run->nr_cqes++;
	return 0;
}

/**
 * bpf_io_uring_complete - end the flow
 * @ctx: context of the program
 * @res: result of the flow; a negative one cuts the chain behind it
 *
 * No program runs for the flow any more. Requests that have been staged are
 * forgotten, children in flight are cancelled, and the flow's CQE is posted
 * when the last of them is done. A flow without children ends without this
 * too, with 0, or the result of the last completion if that is negative.
 *
 * Return: 0, or -EALREADY if it has been called before.
 */
__bpf_kfunc int bpf_io_uring_complete(struct bpf_io_uring_ctx *ctx, s32 res)
{
	struct io_bpf_flow *flow = io_bpf_ctx_to_run(ctx)->flow;

	if (flow->flags & IO_BPF_F_ENDING)
		return -EALREADY;
	flow->flags |= IO_BPF_F_ENDING;
	flow->res = res;
	return 0;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(io_bpf_kfunc_ids)
BTF_ID_FLAGS(func, bpf_io_uring_issue)
BTF_ID_FLAGS(func, bpf_io_uring_post_cqe)
BTF_ID_FLAGS(func, bpf_io_uring_complete)
BTF_KFUNCS_END(io_bpf_kfunc_ids)

static const struct btf_kfunc_id_set io_bpf_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &io_bpf_kfunc_ids,
};

static int __init io_bpf_kfunc_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_IOURING,
					 &io_bpf_kfunc_set);
}
late_initcall(io_bpf_kfunc_init);
