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
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "bpf.h"
#include "bpf_run.h"

__bpf_kfunc_start_defs();

/**
 * bpf_io_uring_post_cqe - post a CQE
 * @ctx: context of the program
 * @cqe: struct io_uring_cqe, copied
 * @cqe__sz: its size in bytes, 16, or 32 for one with the two words of big_cqe
 *
 * It goes to the CQ right before that of the completion which the program runs
 * for. Should others fill the CQ meanwhile, it overflows as any CQE does. A ring
 * with IORING_SETUP_CQE32 has 32 bytes for each, and the two words are zero if
 * they are not there. With IORING_SETUP_CQE_MIXED one of 32 bytes takes two
 * entries, and gets IORING_CQE_F_32 from the kernel.
 *
 * Context: any event, of flows and of watching programs. Takes no lock, that of
 * the ring is held; doesn't sleep.
 * Return: 0, or
 * -EINVAL: @cqe__sz is wrong, or 32 on a ring whose CQEs have 16 bytes, or
 * IORING_CQE_F_32 or IORING_CQE_F_SKIP is set;
 * -ENOBUFS: this run has posted 16 already;
 * -EBUSY: there is no room in the CQ, or CQEs that did not fit in are waiting
 * for it. To be tried again at another event, when user space has caught up.
 */
__bpf_kfunc int bpf_io_uring_post_cqe(struct bpf_io_uring_ctx *ctx,
				      const void *cqe, u32 cqe__sz)
{
	struct io_bpf_ring *br = io_bpf_ctx_to_flow(ctx)->ctx->bpf_ring;
	struct io_bpf_run *run = &br->run;
	struct io_ring_ctx *ring = br->ctx;
	const struct io_uring_cqe *src = cqe;
	bool is_big = cqe__sz == 2 * sizeof(*src);
	struct io_big_cqe *big;
	u32 used, flags;

	if (cqe__sz != sizeof(*src) && !is_big)
		return -EINVAL;
	if (is_big && !(ring->flags & (IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED)))
		return -EINVAL;
	/* once: it may be in a map that user space writes to */
	flags = READ_ONCE(src->flags);
	if (flags & (IORING_CQE_F_32 | IORING_CQE_F_SKIP))
		return -EINVAL;
	if (run->nr_cqes >= IO_BPF_MAX_CQES)
		return -ENOBUFS;
	if (is_big)
		flags |= ctx_cqe32_flags(ring);
	/* user space owns the head, a silly one must not make room */
	used = READ_ONCE(ring->cached_cq_tail) -
	       READ_ONCE(ring->rings->cq.head) + br->cq_entries;
	if (used >= ring->cq_entries ||
	    io_bpf_cqe_entries(br, flags) > ring->cq_entries - used ||
	    test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &ring->check_cq))
		return -EBUSY;

	big = io_bpf_add_cqe(br, src->user_data, src->res, flags);
	if (is_big) {
		big->extra1 = src->big_cqe[0];
		big->extra2 = src->big_cqe[1];
	}
	run->nr_cqes++;
	return 0;
}

/**
 * bpf_io_uring_complete - end the flow
 * @ctx: context of the program
 * @res: result of the flow; a negative one cuts the chain behind it
 *
 * No program runs for the flow any more. Children that have been staged are
 * forgotten, those in flight are cancelled, and the flow's CQE is posted
 * when the last of them is done. A flow without children ends without this
 * too, with 0, or the result of the last completion if that is negative.
 *
 * Context: BPF_IO_URING_START, COMPLETE and AUX of a flow. Takes no lock, that of
 * the ring is held; doesn't sleep.
 * Return: 0, -EALREADY if it has been called before or the flow has been
 * cancelled, which ends with -ECANCELED, or -EOPNOTSUPP if the program watches.
 */
__bpf_kfunc int bpf_io_uring_complete(struct bpf_io_uring_ctx *ctx, s32 res)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);

	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return io_bpf_is_watch(flow) ? -EOPNOTSUPP : -EALREADY;
	flow->bpf_flow.flags |= IO_BPF_F_ENDING;
	flow->cqe.res = res;
	return 0;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(io_bpf_kfunc_ids)
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
