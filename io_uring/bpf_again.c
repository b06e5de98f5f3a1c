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

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "slist.h"
#include "opdef.h"
#include "rsrc.h"
#include "net.h"
#include "nop.h"
#include "bpf.h"
#include "bpf_again.h"
#include "bpf_mode.h"
#include "bpf_run.h"

/* chosen, prepared or tracked for a single issue */
#define IO_BPF_AGAIN_REFUSE	(REQ_F_BUFFER_SELECT | REQ_F_HAS_METADATA |	\
				 REQ_F_INFLIGHT | REQ_F_MULTISHOT |		\
				 REQ_F_APOLL_MULTISHOT | REQ_F_LINK |		\
				 REQ_F_HARDLINK)

const struct io_bpf_again_def io_bpf_again_defs[IORING_OP_LAST] = {
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

	/* one has to remain for what else is staged */
	if (br->nr_spare < 2)
		io_bpf_refill_spare(br);
	if (br->nr_spare < 2)
		return NULL;
	new = io_bpf_get_spare(br);
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

	/* nobody is to see it once more */
	io_bpf_unwatch(old);
	old->flags |= REQ_F_CQE_SKIP;
	io_req_complete_defer(old);
	return new;
}

struct io_kiocb *io_bpf_again_failed(struct io_kiocb *req, int ret)
{
	req_set_fail(req);
	/* opcodes that complete with the rest of a CQE of 32 bytes end up here */
	io_bpf_clear_extra(req);
	io_req_set_res(req, ret, 0);
	return req;
}

/* The same as io_bpf_issue_child_slow(), for a child that has been issued before. */
bool io_bpf_issue_again_slow(struct io_kiocb *req)
{
	io_bpf_again_creds(req);
	return io_bpf_issue_child_slow(req);
}

struct io_kiocb *io_bpf_issue_clone(struct io_bpf_ring *br, struct io_kiocb *req,
				    u64 off, u64 addr, u32 len)
{
	struct io_kiocb *new = io_bpf_clone(br, req);

	if (!new) {
		/* as it is with what has been issued again, and has failed */
		req->flags |= REQ_F_BPF;
		return io_bpf_again_failed(req, -ENOMEM);
	}
	return __io_bpf_issue_again(br, new, off, addr, len);
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
		     (req->flags & IO_BPF_AGAIN_REFUSE)))
		return -EOPNOTSUPP;
	/* was refused, or found no file, and the CQE is where the fd was */
	if (unlikely((req->bpf_id & IO_BPF_ID_REFUSED) ||
		     (!req->file && io_issue_defs[req->opcode].needs_file)))
		return -EINVAL;
	if (unlikely(br->run.again))
		return -EALREADY;

	/* only the opcode knows which of these it has a use for */
	br->again_off = off;
	br->again_addr = addr;
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
