// SPDX-License-Identifier: GPL-2.0
/*
 * CQEs on a ring with BPF programs: records, verdicts, and CQEs that programs post
 *
 * A multishot request posts CQEs from within its handler and continues. On a ring with
 * programs, each of these CQEs becomes a request of its own, a record, at the end of
 * ->compl_reqs. So the order, overflow and freeing are those of any completion, and no
 * program runs while a handler holds buffers and credentials. CQEs that programs post
 * become requests as well, before the completion that the program has run for.
 */
#include <linux/sched/mm.h>

#include "bpf_int.h"

/* not writable: the size of the CQE, and whether it is padding */
#define IO_BPF_CFLAGS_RO	(IORING_CQE_F_32 | IORING_CQE_F_SKIP)
/* the id of a provided buffer, which user space needs to reuse the buffer */
#define IO_BPF_CFLAGS_BUF	(IORING_CQE_F_BUFFER | IORING_CQE_F_BUF_MORE | \
				 ~0U << IORING_CQE_BUFFER_SHIFT)

/*
 * Allocate a request for a CQE. A block server can use this ring to provide a disk, so
 * the allocation must not wait for I/O of that disk.
 */
static struct io_kiocb *io_bpf_alloc_cqe(struct io_ring_ctx *ctx)
{
	unsigned int noio = memalloc_noio_save();
	struct io_kiocb *req;
	bool ok;

	ok = io_alloc_req(ctx, &req);
	memalloc_noio_restore(noio);
	if (!ok)
		return NULL;
	io_get_task_refs(1);
	req->opcode = IORING_OP_NOP;
	req->ctx = ctx;
	req->tctx = current->io_uring;
	req->file = NULL;
	req->file_node = NULL;
	req->flags = 0;
	req->async_data = NULL;
	io_bpf_mark_seen(req);
	return req;
}

/* Insert a CQE at the cursor of the walk, before the current completion. */
void io_bpf_add_cqe(struct io_bpf_ring *br, const struct io_cqe *cqe,
		    const struct io_big_cqe *big)
{
	struct io_kiocb *req = io_bpf_alloc_cqe(br->ctx);

	if (unlikely(!req)) {
		io_bpf_lose_cqe(br->ctx, cqe, big);
		/* the room that the CQE had is free after the next posting */
		br->ctx->submit_state.cq_flush = true;
		return;
	}
	req->cqe = *cqe;
	req->big_cqe = *big;
	io_bpf_insert(br, req);
}

/* Insert all CQEs that the run has posted. */
void io_bpf_add_cqes(struct io_bpf_ring *br)
{
	struct io_bpf_run *run = &br->run;
	unsigned int i;

	for (i = 0; i < run->nr_cqes; i++)
		io_bpf_add_cqe(br, &run->cqes[i].cqe, &run->cqes[i].big);
}

/* Return the number of free entries in the CQ. */
static unsigned int io_bpf_cq_room(struct io_ring_ctx *ctx)
{
	/* user space can write any value to the head */
	unsigned int used = READ_ONCE(ctx->cached_cq_tail) -
			    READ_ONCE(ctx->rings->cq.head);

	return used < ctx->cq_entries ? ctx->cq_entries - used : 0;
}

/*
 * Return true if a CQE of multishot request @req must be recorded: for the program of its
 * flow, for a program that watches it, or because earlier completions wait for a flush.
 */
bool io_bpf_wants_record(struct io_kiocb *req)
{
	struct io_ring_ctx *ctx = req->ctx;

	lockdep_assert_held(&ctx->uring_lock);

	if (!wq_list_empty(&ctx->submit_state.compl_reqs) || io_bpf_is_child(req))
		return true;
	return !(req->flags & REQ_F_BPF) && (ctx->int_flags & IO_RING_F_BPF_MATCH) &&
	       io_bpf_find_watcher(ctx->bpf_ring, req);
}

/* Return the ->bpf_id of a record, or 0 if @req must end with this CQE. */
static u32 io_bpf_record_id(struct io_bpf_ring *br, struct io_kiocb *req, bool big)
{
	struct io_ring_ctx *ctx = br->ctx;
	struct io_bpf_watcher *watcher = NULL;

	/* during cancellation and overflow, requests end with their next CQE */
	if (!io_bpf_may_run(ctx, req->tctx) ||
	    test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &ctx->check_cq))
		return 0;
	if (io_bpf_is_child(req)) {
		struct io_bpf_flow *flow = &io_bpf_child_flow(br, req)->bpf_flow;

		return flow->nr_records < IO_BPF_MAX_RECORDS &&
		       !(flow->flags & IO_BPF_F_ENDING) ? IO_BPF_ID_AUX | flow->id : 0;
	}
	/* records that exceed the room in the CQ end the request, as a full CQ does */
	if (br->nr_app_records + big >= io_bpf_cq_room(ctx))
		return 0;
	if (!(req->flags & REQ_F_BPF) && (ctx->int_flags & IO_RING_F_BPF_MATCH))
		watcher = io_bpf_find_watcher(br, req);
	if (!watcher)
		return IO_BPF_ID_RECORD;
	return io_bpf_flooded(current->io_uring) ? 0 : IO_BPF_ID_WATCHED;
}

/*
 * Record a CQE of multishot request @req. @big has the two words of a 32-byte CQE, or is
 * NULL. Return false if @req must end with this result, as for a full CQ.
 */
bool io_bpf_record(struct io_kiocb *req, s32 res, u32 cflags, const u64 *big)
{
	struct io_bpf_ring *br = req->ctx->bpf_ring;
	struct io_kiocb *record;
	u32 id;

	lockdep_assert_held(&req->ctx->uring_lock);

	id = io_bpf_record_id(br, req, big);
	if (!id)
		return false;
	record = io_bpf_alloc_cqe(req->ctx);
	if (!record)
		return false;
	if (id & IO_BPF_ID_AUX)
		io_bpf_child_flow(br, req)->bpf_flow.nr_records++;
	else
		br->nr_app_records++;
	record->bpf_id = id;
	record->opcode = req->opcode;
	record->cqe.user_data = req->cqe.user_data;
	io_req_set_res(record, res, cflags);
	if (big) {
		record->big_cqe.extra1 = big[0];
		record->big_cqe.extra2 = big[1];
	}
	io_req_complete_defer(record);
	return true;
}

/*
 * Return true if @verdict drops the CQE of a child. Only BPF_IO_URING_DROP_BUF drops a
 * CQE with a buffer id.
 */
bool io_bpf_drops(u32 cflags, u32 verdict)
{
	verdict &= IO_BPF_VERDICT_CQE;
	if (unlikely(cflags & IORING_CQE_F_BUFFER))
		return verdict == BPF_IO_URING_DROP_BUF;
	return verdict != BPF_IO_URING_POST;
}

/* Return true if @verdict drops the CQE of a request of the application. */
bool io_bpf_app_drops(struct io_kiocb *req, u32 verdict)
{
	if (!(verdict & IO_BPF_VERDICT_CQE))
		return req->flags & REQ_F_CQE_SKIP;
	return io_bpf_drops(req->cqe.flags, verdict);
}

/* Copy the writable fields of the context to the CQE. */
void io_bpf_change_cqe(struct io_kiocb *req, const struct bpf_io_uring_ctx *bctx)
{
	u32 keep = IO_BPF_CFLAGS_RO;

	if (req->cqe.flags & IORING_CQE_F_BUFFER)
		keep |= IO_BPF_CFLAGS_BUF;
	/* the extra words of a 32-byte CQE belong to the original result */
	if (req->cqe.res != bctx->res)
		io_bpf_clear_extra(req);
	req->cqe.user_data = bctx->user_data;
	req->cqe.res = bctx->res;
	req->cqe.flags = (req->cqe.flags & keep) | (bctx->cflags & ~keep);
}

/*
 * Return true if a completion must be posted that no program sees, or whose program does
 * not decide, because the application has to learn of a file descriptor or buffer.
 */
bool io_bpf_must_post(struct io_kiocb *req)
{
	if (req->cqe.flags & IORING_CQE_F_BUFFER)
		return true;
	if (req->cqe.res < 0)
		return false;
	switch (req->opcode) {
	case IORING_OP_ACCEPT:
	case IORING_OP_SOCKET:
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2:
	case IORING_OP_FIXED_FD_INSTALL:
	case IORING_OP_FILES_UPDATE:
	case IORING_OP_PIPE:
		return true;
	default:
		return false;
	}
}

/* Return how many CQ entries a CQE takes. A CQE does not wrap around the end. */
static unsigned int io_bpf_cqe_entries(struct io_bpf_ring *br, u32 flags)
{
	unsigned int pos = br->ctx->cached_cq_tail + br->nr_staged;

	if (!(flags & IORING_CQE_F_32))
		return 1;
	return (pos + 1) & (br->ctx->cq_entries - 1) ? 2 : 3;
}

static int io_bpf_stage_cqe(struct io_bpf_ring *br, const struct io_uring_cqe *src, u32 size)
{
	struct io_bpf_run *run = &br->run;
	struct io_ring_ctx *ctx = br->ctx;
	bool is_big = size == 2 * sizeof(*src);
	u32 entries, flags;

	if (size != sizeof(*src) && !is_big)
		return -EINVAL;
	if (is_big && !(ctx->flags & (IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED)))
		return -EINVAL;
	/* user space can change the flags in a map between two reads */
	flags = READ_ONCE(src->flags);
	if (flags & (IORING_CQE_F_32 | IORING_CQE_F_SKIP))
		return -EINVAL;
	if (run->nr_cqes >= IO_BPF_MAX_CQES)
		return -ENOBUFS;
	if (is_big)
		flags |= ctx_cqe32_flags(ctx);
	entries = io_bpf_cqe_entries(br, flags);
	if (br->nr_staged + entries > io_bpf_cq_room(ctx) ||
	    test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &ctx->check_cq))
		return -EBUSY;

	br->nr_staged += entries;
	run->cqes[run->nr_cqes].cqe.user_data = src->user_data;
	run->cqes[run->nr_cqes].cqe.res = src->res;
	run->cqes[run->nr_cqes].cqe.flags = flags;
	run->cqes[run->nr_cqes].big.extra1 = is_big ? src->big_cqe[0] : 0;
	run->cqes[run->nr_cqes].big.extra2 = is_big ? src->big_cqe[1] : 0;
	run->nr_cqes++;
	return 0;
}

__bpf_kfunc_start_defs();

/**
 * bpf_io_uring_post_cqe - post a CQE
 * @ctx: context of the program
 * @cqe: struct io_uring_cqe, copied
 * @cqe__sz: size of @cqe in bytes: 16, or 32 with the two words of big_cqe
 *
 * The CQE is posted right before that of the current completion. If the CQ fills up in
 * between, the CQE overflows like any other. All CQEs of a ring with IORING_SETUP_CQE32
 * have 32 bytes, with zero words if @cqe__sz is 16. With IORING_SETUP_CQE_MIXED, a CQE
 * of 32 bytes takes two entries, and the kernel sets IORING_CQE_F_32.
 *
 * Context: any event of flows and of watching programs. Called with ->uring_lock held,
 * takes no lock, does not sleep.
 * Return: 0, or
 * -EINVAL: wrong @cqe__sz, or 32 bytes on a ring with CQEs of 16 bytes, or
 * IORING_CQE_F_32 or IORING_CQE_F_SKIP is set;
 * -ENOBUFS: this run has posted 16 CQEs;
 * -EBUSY: the CQ is full, or overflowed CQEs wait for room. Try again at a later event.
 */
__bpf_kfunc int bpf_io_uring_post_cqe(struct bpf_io_uring_ctx *ctx,
				      const void *cqe, u32 cqe__sz)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);

	return io_bpf_refused(flow, __func__,
			      io_bpf_stage_cqe(flow->ctx->bpf_ring, cqe, cqe__sz));
}

/**
 * bpf_io_uring_complete - end the flow
 * @ctx: context of the program
 * @res: result of the flow; a negative errno cuts the chain behind the flow
 *
 * Children in flight are cancelled, including those that this run has issued, except for
 * requests that release something, see bpf_io_uring_issue(). The CQE of the flow is
 * posted after the last one has completed. The program runs for each of these
 * completions, with BPF_IO_URING_F_ENDING. If the program returns BPF_IO_URING_DEFAULT
 * for a child that has opened a file or updated registered files, the CQE is posted.
 *
 * A flow without children also ends without this call. Its result is that of the last
 * completion if that is negative, or else the first error of a kfunc in the run, or 0.
 * -ENOENT of a kfunc does not count, nor do -ENOENT and -EALREADY of a child that was
 * issued to cancel another request.
 *
 * Context: BPF_IO_URING_START, COMPLETE and AUX of a flow. Called with ->uring_lock held,
 * takes no lock, does not sleep.
 * Return: 0, or
 * -EALREADY: called before, or the flow was cancelled and ends with -ECANCELED;
 * -EOPNOTSUPP: a watching program has no flow.
 */
__bpf_kfunc int bpf_io_uring_complete(struct bpf_io_uring_ctx *ctx, s32 res)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);

	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return io_bpf_failed(flow, __func__,
				     io_bpf_is_watch(flow) ? -EOPNOTSUPP : -EALREADY);
	flow->bpf_flow.flags |= IO_BPF_F_ENDING;
	flow->bpf_end = IO_BPF_END_COMPLETE;
	flow->ctx->bpf_ring->run.result = true;
	flow->cqe.res = res;
	return 0;
}

__bpf_kfunc_end_defs();
