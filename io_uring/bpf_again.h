/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_AGAIN_H
#define IOU_BPF_AGAIN_H

#include <linux/audit.h>

#include "io_uring.h"
#include "opdef.h"
#include "bpf_filter.h"
#include "bpf.h"
#include "bpf_issue.h"

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

/* by opcode */
extern const struct io_bpf_again_def io_bpf_again_defs[];

struct io_kiocb *io_bpf_again_failed(struct io_kiocb *req, int ret);
bool io_bpf_issue_again_slow(struct io_kiocb *req);
struct io_kiocb *io_bpf_issue_clone(struct io_bpf_ring *br, struct io_kiocb *req,
				    u64 off, u64 addr, u32 len);

static __always_inline struct io_kiocb *
__io_bpf_issue_again(struct io_bpf_ring *br, struct io_kiocb *req, u64 off,
		     u64 addr, u32 len)
{
	const struct io_bpf_again_def *def = &io_bpf_again_defs[req->opcode];
	bool done;
	int ret;

	req->flags = (req->flags & (IO_BPF_AGAIN_KEEP | IO_BPF_AGAIN_DATA)) |
		     REQ_F_BPF;
	req->cancel_seq_set = false;

	ret = def->prep(req, off, addr, len);
	if (!ret && unlikely(br->ctx->bpf_filters))
		ret = io_uring_run_bpf_filters(br->ctx->bpf_filters, req);
	if (unlikely(ret))
		return io_bpf_again_failed(req, ret);
	/* it has got its file */
	if (unlikely((req->flags & (REQ_F_CREDS | REQ_F_FORCE_ASYNC)) ||
		     (audit_context() && !io_issue_defs[req->opcode].audit_skip)))
		done = io_bpf_issue_again_slow(req);
	else
		done = io_bpf_issued(req, def->issue(req, IO_BPF_ISSUE_FLAGS));
	return done ? req : NULL;
}

/* Is it too much to be issued again as it is? */
static __always_inline bool io_bpf_again_clones(struct io_kiocb *req)
{
	io_req_flags_t more = req->flags & ~(IO_BPF_AGAIN_KEEP |
					      IO_BPF_AGAIN_CLEAR);

	return unlikely(more) && (!(req->bpf_id & IO_BPF_ID_ASYNC) ||
				  (more & ~IO_BPF_AGAIN_DATA));
}

/*
 * Returns the request if it has completed in place, and leaves it to the caller
 * then. A failure is a completion, as that of a staged SQE is.
 */
static __always_inline struct io_kiocb *
io_bpf_issue_again(struct io_bpf_ring *br, struct io_kiocb *req, u64 off,
		   u64 addr, u32 len)
{
	lockdep_assert_held(&br->ctx->uring_lock);

	if (io_bpf_again_clones(req))
		return io_bpf_issue_clone(br, req, off, addr, len);
	return __io_bpf_issue_again(br, req, off, addr, len);
}

#endif
