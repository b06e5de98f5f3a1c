// SPDX-License-Identifier: GPL-2.0
/*
 * Reissue of a completed child: bpf_io_uring_again()
 *
 * Opcode, flags, file, registered buffer and credentials of the child have been
 * checked and do not change. A reissue sets only offset, address and length, and
 * resets the request to its state before the issue.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/btf.h>

#include "bpf_int.h"
#include "bpf_filter.h"
#include "opdef.h"
#include "rsrc.h"
#include "net.h"
#include "nop.h"
#include "rw.h"

/* state that is valid for one issue only: the request cannot be reissued */
#define IO_BPF_AGAIN_REFUSE	(REQ_F_BUFFER_SELECT | REQ_F_HAS_METADATA |	\
				 REQ_F_INFLIGHT | REQ_F_MULTISHOT |		\
				 REQ_F_APOLL_MULTISHOT | REQ_F_LINK |		\
				 REQ_F_HARDLINK)
/* flags without state behind them, cleared by a reissue */
#define IO_BPF_AGAIN_CLEAR	(REQ_F_BPF | REQ_F_FAIL | REQ_F_CUR_POS |	\
				 REQ_F_CQE_SKIP | REQ_F_SQE_COPIED |		\
				 REQ_F_IOPOLL | REQ_F_IOPOLL_STATE)
/* of these, io_bpf_reissue() can do without */
#define IO_BPF_AGAIN_PLAIN_FLAGS (IO_BPF_AGAIN_CLEAR |				\
				  (IO_BPF_AGAIN_KEEP &				\
				   ~(REQ_F_CREDS | REQ_F_FORCE_ASYNC)))

/* all have ->audit_skip */
const struct io_bpf_again_def io_bpf_again_defs[IORING_OP_LAST] = {
	[IORING_OP_NOP]		= { io_nop_again, io_nop },
	[IORING_OP_READ]	= { io_read_again, io_read },
	[IORING_OP_WRITE]	= { io_write_again, io_write },
	[IORING_OP_READV]	= { io_read_again, io_read },
	[IORING_OP_WRITEV]	= { io_write_again, io_write },
	/* ->prep() has imported the registered buffer */
	[IORING_OP_READ_FIXED]	= { io_read_fixed_again, io_read },
	[IORING_OP_WRITE_FIXED]	= { io_write_fixed_again, io_write },
	[IORING_OP_READV_FIXED]	= { io_rwv_fixed_again, io_read },
	[IORING_OP_WRITEV_FIXED] = { io_rwv_fixed_again, io_write },
#if defined(CONFIG_NET)
	[IORING_OP_SEND]	= { io_send_again, io_send },
	[IORING_OP_RECV]	= { io_recv_again, io_recv },
#endif
};

/*
 * Return a copy of @old to be issued in its place. A request that was polled for or
 * issued by io-wq has further state, and a worker might still access the request.
 * Retire @old like any other request.
 */
static struct io_kiocb *io_bpf_clone(struct io_bpf_ring *br,
				     struct io_kiocb *old)
{
	struct io_kiocb *new;

	if (!io_alloc_req(br->ctx, &new))
		return NULL;
	io_get_task_refs(1);

	memcpy(&new->cmd, &old->cmd, sizeof(new->cmd));
	new->ctx = old->ctx;
	new->opcode = old->opcode;
	new->buf_index = old->buf_index;
	new->bpf_id = old->bpf_id & ~IO_BPF_ID_ASYNC;
	new->flags = old->flags & IO_BPF_AGAIN_KEEP;
	new->cqe.user_data = old->cqe.user_data;
	new->tctx = old->tctx;
	new->async_data = NULL;
	io_bpf_clear_extra(new);

	if (new->flags & REQ_F_FIXED_FILE) {
		new->file_node = old->file_node;
		if (new->file_node)
			new->file_node->refs++;
	} else if (new->file) {
		get_file(new->file);
	}
	if (new->flags & REQ_F_BUF_NODE) {
		new->buf_node = old->buf_node;
		new->buf_node->refs++;
	}
	if (new->flags & REQ_F_CREDS)
		new->creds = get_cred(old->creds);

	/* no program must see the completion of @old again */
	io_bpf_mark_seen(old);
	old->flags |= REQ_F_CQE_SKIP;
	io_bpf_insert(br, old);
	return new;
}

/* Complete a child whose preparation for the reissue has failed. */
struct io_kiocb *io_bpf_again_failed(struct io_kiocb *req, int ret)
{
	req_set_fail(req);
	/* the extra words of a 32-byte CQE belong to the previous completion */
	io_bpf_clear_extra(req);
	io_req_set_res(req, ret, 0);
	return req;
}

/*
 * Renew the credentials of a child for its reissue. Without a personality, io-wq, a
 * chain with a member in io-wq or an earlier issue has stored them, and the task
 * might have changed its credentials since.
 */
static void io_bpf_again_creds(struct io_kiocb *req)
{
	if (!(req->flags & REQ_F_CREDS) || (req->bpf_id & IO_BPF_ID_CREDS))
		return;
	put_cred(req->creds);
	req->flags &= ~REQ_F_CREDS;
	if (req->ctx->int_flags & IO_RING_F_BPF_MODE)
		io_bpf_mode_child(req);
}

/* Return true if @req cannot be reissued in place, but needs a copy. */
static bool io_bpf_again_clones(struct io_kiocb *req)
{
	io_req_flags_t more = req->flags & ~(IO_BPF_AGAIN_KEEP | IO_BPF_AGAIN_CLEAR);

	return unlikely(more) && (!(req->bpf_id & IO_BPF_ID_ASYNC) ||
				  (more & ~IO_BPF_AGAIN_DATA));
}

/*
 * Reissue a child that io_bpf_reissue() does not serve. Return the request if it has
 * completed in place, which includes a failed preparation.
 */
struct io_kiocb *io_bpf_reissue_slow(struct io_bpf_ring *br, struct io_kiocb *flow,
				     struct io_kiocb *req)
{
	const struct io_bpf_again_def *def = &io_bpf_again_defs[req->opcode];
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	struct io_bpf_run *run = &br->run;
	struct io_kiocb *new;
	int ret;

	lockdep_assert_held(&br->ctx->uring_lock);

	bctx->nr_children++;
	req->cqe.user_data = bctx->user_data;
	if (io_bpf_again_clones(req)) {
		new = io_bpf_clone(br, req);
		if (!new)
			return io_bpf_again_failed(req, -ENOMEM);
		req = new;
	}
	io_bpf_again_reset(req);

	ret = def->prep(req, run->again_off, run->again_addr, run->again_len);
	if (!ret && br->ctx->bpf_filters)
		ret = io_uring_run_bpf_filters(br->ctx->bpf_filters, req);
	if (ret)
		return io_bpf_again_failed(req, ret);
	io_bpf_again_creds(req);
	return io_bpf_issue_child_slow(req) ? req : NULL;
}

/* Return true if the child @req can be reissued, and io_bpf_reissue() serves it. */
static __always_inline bool io_bpf_again_is_plain(struct io_kiocb *req)
{
	io_req_flags_t more = req->flags & ~IO_BPF_AGAIN_PLAIN_FLAGS;

	if (more && ((more & ~IO_BPF_AGAIN_DATA) || !(req->bpf_id & IO_BPF_ID_ASYNC)))
		return false;
	return io_bpf_again_defs[req->opcode].prep &&
	       !(req->bpf_id & ~(U16_MAX | IO_BPF_ID_ASYNC)) &&
	       (req->file || !io_issue_defs[req->opcode].needs_file) &&
	       !(req->ctx->flags & IORING_SETUP_IOPOLL) && !req->ctx->bpf_filters;
}

/* Return 0 if the completed child can be reissued, or why not. */
static int io_bpf_may_reissue(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	struct io_kiocb *req = br->run.req;

	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return io_bpf_is_watch(flow) ? -EOPNOTSUPP : -ECANCELED;
	if (!(io_bpf_ctx(flow)->flags & BPF_IO_URING_F_CHILD))
		return -EINVAL;
	if (br->run.again)
		return -EALREADY;
	if (req->bpf_id >= IO_BPF_ID_AUX || (req->flags & IO_BPF_AGAIN_REFUSE) ||
	    !io_bpf_again_defs[req->opcode].prep)
		return -EOPNOTSUPP;
	/* refused or without a file: the CQE has overwritten the fd */
	if ((req->bpf_id & IO_BPF_ID_REFUSED) ||
	    (!req->file && io_issue_defs[req->opcode].needs_file))
		return -EINVAL;
	return 0;
}

/* Stage the reissue of a child that is not plain, or return why it is refused. */
static noinline int io_bpf_again_slow(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	int ret = io_bpf_may_reissue(br, flow);

	if (ret)
		return io_bpf_refused(flow, "bpf_io_uring_again", ret);
	br->run.again = IO_BPF_AGAIN_SLOW;
	return 0;
}

__bpf_kfunc_start_defs();

/**
 * bpf_io_uring_again - reissue the child that has completed
 * @ctx: context of the program
 * @off: file offset in bytes, as in the SQE; 0 if the opcode has no offset. -1 is
 *	the position of the file, which a write does not move if its end fails.
 * @addr: address of the buffer or iovec, as in the SQE; 0 for IORING_OP_NOP
 * @len: length in bytes, number of iovec segments, or the result of a NOP with
 *	IORING_NOP_INJECT_RESULT
 *
 * The child keeps its opcode, flags, file, registered buffer and personality,
 * even if the tables of the ring have changed. The reissue saves the preparation
 * and the checks of an SQE, except for filters of the ring, which run again. The
 * child is issued after the program has returned, with the user_data that @ctx
 * has then. The verdict applies to the present completion. The next completion
 * runs the program again. It can be a failed preparation: -EINVAL for an argument
 * that the opcode does not use, -EFAULT or -ENOMEM.
 *
 * Supported opcodes: IORING_OP_NOP, READ, WRITE, READV, WRITEV, READ_FIXED,
 * WRITE_FIXED, READV_FIXED, WRITEV_FIXED, SEND and RECV.
 *
 * Context: BPF_IO_URING_COMPLETE of a child. Called with the lock of the ring
 * held; takes no lock and does not sleep.
 * Return: 0, or
 * -EINVAL: no child has completed, or the child was refused and never issued;
 * -EOPNOTSUPP: the opcode is not supported, the child selects a provided buffer,
 * is multishot or a bundle, has metadata, uses the file of a ring or is linked
 * to the next child, or the program watches;
 * -EALREADY: this run has called bpf_io_uring_again() before;
 * -ECANCELED: the flow is ending, or the event is BPF_IO_URING_CANCEL.
 */
__bpf_kfunc int bpf_io_uring_again(struct bpf_io_uring_ctx *ctx, u64 off,
				   u64 addr, u32 len)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);
	struct io_bpf_ring *br = flow->ctx->bpf_ring;

	/* what an earlier call has staged remains */
	if (likely(!br->run.again)) {
		/* ->prep() of the opcode checks these */
		br->run.again_off = off;
		br->run.again_addr = addr;
		br->run.again_len = len;
		if (likely(!(flow->bpf_flow.flags & IO_BPF_F_ENDING) &&
			   (ctx->flags & BPF_IO_URING_F_CHILD) &&
			   io_bpf_again_is_plain(br->run.req))) {
			br->run.again = IO_BPF_AGAIN_PLAIN;
			return 0;
		}
	}
	return io_bpf_again_slow(br, flow);
}

__bpf_kfunc_end_defs();
