// SPDX-License-Identifier: GPL-2.0
/*
 * Kfuncs for the chain behind a flow: look, drop, unlink and link
 *
 * The chain stays as it is while the program runs. What is to become of it is
 * done by bpf_chain.c, so all indexes are those that the program has seen.
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
#include "slist.h"
#include "bpf.h"
#include "bpf_mode.h"

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
	struct io_bpf_edit *edit = &flow->ctx->bpf_ring->edit;
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
	if (edit->ops[index] || (edit->rest_op && index >= edit->rest))
		return -EALREADY;
	if (!(flags & BPF_IO_URING_REST)) {
		edit->ops[index] = op;
	} else if (!edit->rest_op) {
		edit->rest = index;
		edit->rest_op = op;
	} else {
		return -EALREADY;
	}
	flow->bpf_flow.flags |= IO_BPF_F_EDIT;
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
 * prepared then, the chain behind the flow is cut at once, with a CQE that tells
 * the error, and -ECANCELED for all others.
 *
 * Call it before bpf_io_uring_complete(). If the flow is cancelled in between,
 * so is the request.
 *
 * Context: as bpf_io_uring_drop()
 * Return: 0, or
 * -EINVAL: @sqe__sz or @flags is wrong, or no such opcode;
 * -EOPNOTSUPP: IOSQE_IO_DRAIN, IORING_OP_BPF, IORING_OP_LINK_TIMEOUT, a 128-byte
 * SQE, or the program watches;
 * -ENOBUFS: this run has linked 8 already, or 128 of them wait behind the flow;
 * -ENOMEM: no memory;
 * -ECANCELED: the flow is ending.
 */
__bpf_kfunc int bpf_io_uring_link(struct bpf_io_uring_ctx *ctx,
				  const void *sqe, u32 sqe__sz, u64 flags)
{
	struct io_kiocb *req, *flow = io_bpf_ctx_to_flow(ctx);
	struct io_bpf_ring *br = flow->ctx->bpf_ring;
	int ret;

	if (sqe__sz != sizeof(struct io_uring_sqe) || flags)
		return -EINVAL;
	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return io_bpf_is_watch(flow) ? -EOPNOTSUPP : -ECANCELED;
	if (br->edit.nr_links >= IO_BPF_MAX_LINKS ||
	    flow->bpf_flow.nr_linked + flow->bpf_flow.nr_linking >=
	    IO_BPF_MAX_LINKED)
		return -ENOBUFS;
	if (br->nr_spare <= IO_BPF_KEEP_SPARE)
		return -ENOMEM;
	req = io_bpf_get_spare(br);
	/* user space may write to what the SQE is in, so only the copy counts */
	memcpy(&req->cmd, sqe, sizeof(struct io_uring_sqe));
	barrier();
	ret = io_bpf_check_linked((struct io_uring_sqe *)&req->cmd);
	if (ret) {
		io_bpf_add_spare(br, req);
		return ret;
	}
	req->bpf_id = flow->bpf_flow.id;
	req->flags = 0;
	io_bpf_stage_creds(flow, req);
	wq_list_add_tail(&req->comp_list, &br->links);
	br->edit.nr_links++;
	/* the flow does not end before the request is linked */
	flow->bpf_flow.nr_linking++;
	flow->bpf_flow.flags |= IO_BPF_F_EDIT;
	/* linked before the next hop */
	br->nr_pending++;
	br->interrupt = true;
	return 0;
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
