// SPDX-License-Identifier: GPL-2.0
/*
 * Issuing a child of a BPF flow once more
 *
 * What was checked of the child still holds: opcode, flags, file, buffer and
 * credentials are the same, and only offset, address and length differ. So all
 * that is left of the preparation is what an opcode makes of those, and of the
 * request, that it looks as if it had not been issued.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/init.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/io_uring.h>

#include <linux/audit.h>

#include "bpf_int.h"
#include "bpf_filter.h"
#include "opdef.h"
#include "rsrc.h"
#include "net.h"
#include "nop.h"
#include "rw.h"

/* chosen, prepared or tracked for a single issue */
#define IO_BPF_AGAIN_REFUSE	(REQ_F_BUFFER_SELECT | REQ_F_HAS_METADATA |	\
				 REQ_F_INFLIGHT | REQ_F_MULTISHOT |		\
				 REQ_F_APOLL_MULTISHOT | REQ_F_LINK |		\
				 REQ_F_HARDLINK)

/* what a child may carry on with */
#define IO_BPF_AGAIN_KEEP	(REQ_F_FIXED_FILE | REQ_F_FORCE_ASYNC |		\
				 REQ_F_NOWAIT | REQ_F_ISREG |			\
				 REQ_F_SUPPORT_NOWAIT | REQ_F_CAN_POLL |	\
				 REQ_F_CLEAR_POLLIN | REQ_F_BUF_NODE |		\
				 REQ_F_CREDS)
/* the same with IO_BPF_ID_ASYNC */
#define IO_BPF_AGAIN_DATA	(REQ_F_ASYNC_DATA | REQ_F_NEED_CLEANUP)
/* and what may be on one that is to be issued for the first time, in effect */
#define IO_BPF_AGAIN_CLEAR	(REQ_F_BPF | REQ_F_FAIL | REQ_F_CUR_POS |	\
				 REQ_F_CQE_SKIP | REQ_F_SQE_COPIED |		\
				 REQ_F_IOPOLL | REQ_F_IOPOLL_STATE)

struct io_bpf_again_def {
	/* makes it ready for being issued again: offset, address, length */
	int (*prep)(struct io_kiocb *req, u64 off, u64 addr, u32 len);
	/* what is left of the opcode's ->issue() after that */
	int (*issue)(struct io_kiocb *req, unsigned int issue_flags);
};

static const struct io_bpf_again_def io_bpf_again_defs[IORING_OP_LAST] = {
	[IORING_OP_NOP]		= { io_nop_again, io_nop },
	[IORING_OP_READ]	= { io_read_again, io_read },
	[IORING_OP_WRITE]	= { io_write_again, io_write },
	[IORING_OP_READV]	= { io_read_again, io_read },
	[IORING_OP_WRITEV]	= { io_write_again, io_write },
	/* these have been imported already */
	[IORING_OP_READ_FIXED]	= { io_read_fixed_again, io_read },
	[IORING_OP_WRITE_FIXED]	= { io_write_fixed_again, io_write },
	[IORING_OP_READV_FIXED]	= { io_rwv_fixed_again, io_read },
	[IORING_OP_WRITEV_FIXED] = { io_rwv_fixed_again, io_write },
#if defined(CONFIG_NET)
	[IORING_OP_SEND]	= { io_send_again, io_send },
	[IORING_OP_RECV]	= { io_recv_again, io_recv },
#endif
};

static void io_bpf_clone_refs(struct io_kiocb *new, struct io_kiocb *old)
{
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
}

/*
 * A request that was polled for, or in io-wq, is more than its command: a worker
 * may be looking at it still. Its place is taken by another one, and it retires
 * as any request does.
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
	io_bpf_clone_refs(new, old);

	/* no program is to see the old one once more */
	io_bpf_mark_seen(old);
	old->flags |= REQ_F_CQE_SKIP;
	io_bpf_insert(br, old);
	return new;
}

static struct io_kiocb *io_bpf_again_failed(struct io_kiocb *req, int ret)
{
	req_set_fail(req);
	/* opcodes that complete with the rest of a CQE of 32 bytes end up here */
	io_bpf_clear_extra(req);
	io_req_set_res(req, ret, 0);
	return req;
}

/*
 * Renew the credentials of a child that is issued again. Without a personality they
 * were stored by io-wq, by a chain with a member in io-wq or by an earlier issue,
 * and the task may have changed its own since.
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

/* Return true if the request can't be issued again as it is. */
static bool io_bpf_again_clones(struct io_kiocb *req)
{
	io_req_flags_t more = req->flags & ~(IO_BPF_AGAIN_KEEP | IO_BPF_AGAIN_CLEAR);

	return unlikely(more) && (!(req->bpf_id & IO_BPF_ID_ASYNC) ||
				  (more & ~IO_BPF_AGAIN_DATA));
}

/*
 * Issue the child once more, as the run has asked for. Return the request if it has
 * completed in place. A failure is a completion, as that of an SQE is.
 */
struct io_kiocb *io_bpf_issue_again(struct io_bpf_ring *br, struct io_kiocb *req)
{
	const struct io_bpf_again_def *def = &io_bpf_again_defs[req->opcode];
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(io_bpf_child_flow(br, req));
	struct io_bpf_run *run = &br->run;
	struct io_kiocb *new;
	bool done;
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
	req->flags = (req->flags & (IO_BPF_AGAIN_KEEP | IO_BPF_AGAIN_DATA)) |
		     REQ_F_BPF;
	req->cancel_seq_set = false;

	ret = def->prep(req, run->again_off, run->again_addr, run->again_len);
	if (!ret && unlikely(br->ctx->bpf_filters))
		ret = io_uring_run_bpf_filters(br->ctx->bpf_filters, req);
	if (unlikely(ret))
		return io_bpf_again_failed(req, ret);
	/* the request has its file */
	if (unlikely((req->flags & (REQ_F_CREDS | REQ_F_FORCE_ASYNC)) ||
		     (audit_context() && !io_issue_defs[req->opcode].audit_skip))) {
		io_bpf_again_creds(req);
		done = io_bpf_issue_child_slow(req);
	} else {
		done = io_bpf_issued(req, def->issue(req, IO_BPF_ISSUE_FLAGS));
	}
	return done ? req : NULL;
}

__bpf_kfunc_start_defs();

/**
 * bpf_io_uring_again - issue the child that has completed once more
 * @ctx: context of the program
 * @off: offset in the file, as in the SQE; 0 for an opcode that has none
 * @addr: of the buffer or the vector, as in the SQE; 0 for IORING_OP_NOP
 * @len: length in bytes, segments of a vector, or the result of a NOP that has
 *	IORING_NOP_INJECT_RESULT
 *
 * What was checked of the child holds: its opcode, flags, file, registered
 * buffer and personality are the same, be it that the tables have changed
 * meanwhile. It saves what preparing and checking an SQE takes. Filters of the
 * ring are asked again. Its completion runs the program; so does a failure to
 * prepare, as -EINVAL for an argument that the opcode has no use for, -EFAULT or
 * -ENOMEM. It carries the user_data that @ctx has when the program returns, and
 * a verdict about the present completion is carried out as ever.
 *
 * IORING_OP_NOP, READ, WRITE, READV, WRITEV, READ_FIXED, WRITE_FIXED,
 * READV_FIXED, WRITEV_FIXED, SEND and RECV can be issued again.
 *
 * Context: BPF_IO_URING_COMPLETE of a flow's child. Takes no lock, that of the
 * ring is held; doesn't sleep.
 * Return: 0, or
 * -EINVAL: it isn't a child that has completed, or one that was refused and has
 * never been issued;
 * -EOPNOTSUPP: another opcode, a request that selects a provided buffer, is
 * multishot or a bundle, has metadata, is for a ring's own file or is linked to
 * the next one, or the program watches;
 * -EALREADY: this run has done so already;
 * -ECANCELED: the flow is ending, or this is BPF_IO_URING_CANCEL.
 */
__bpf_kfunc int bpf_io_uring_again(struct bpf_io_uring_ctx *ctx, u64 off,
				   u64 addr, u32 len)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);
	struct io_bpf_ring *br = flow->ctx->bpf_ring;
	struct io_kiocb *req = br->run.req;

	if (unlikely(flow->bpf_flow.flags & IO_BPF_F_ENDING))
		return io_bpf_is_watch(flow) ? -EOPNOTSUPP : -ECANCELED;
	if (unlikely(!(ctx->flags & BPF_IO_URING_F_CHILD)))
		return -EINVAL;
	if (unlikely(!io_bpf_again_defs[req->opcode].prep ||
		     req->bpf_id >= IO_BPF_ID_AUX ||
		     (req->flags & IO_BPF_AGAIN_REFUSE)))
		return -EOPNOTSUPP;
	/* was refused, or found no file, and the CQE is where the fd was */
	if (unlikely((req->bpf_id & IO_BPF_ID_REFUSED) ||
		     (!req->file && io_issue_defs[req->opcode].needs_file)))
		return -EINVAL;
	if (unlikely(br->run.again))
		return -EALREADY;

	/* only the opcode knows which of these it has a use for */
	br->run.again_off = off;
	br->run.again_addr = addr;
	br->run.again_len = len;
	br->run.again = true;
	return 0;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(io_bpf_again_kfunc_ids)
BTF_ID_FLAGS(func, bpf_io_uring_again)
BTF_KFUNCS_END(io_bpf_again_kfunc_ids)

static const struct btf_kfunc_id_set io_bpf_again_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &io_bpf_again_kfunc_ids,
};

static int __init io_bpf_again_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_IOURING,
					 &io_bpf_again_kfunc_set);
}
late_initcall(io_bpf_again_init);
