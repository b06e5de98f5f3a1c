// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that BPF programs issue, and reissue
 *
 * bpf_io_uring_issue() copies the SQE. After the program has returned, the SQE becomes a
 * request: a child of the flow, or a request of the application. The preparation performs
 * all checks that an application's SQE undergoes. Linked SQEs become a chain, as
 * consecutive SQEs of a submission do.
 *
 * bpf_io_uring_again() reissues a completed request, whose opcode, flags, file, registered
 * buffer and credentials have been checked and do not change. A reissue sets only offset,
 * address and length, and resets the request to its state before the issue.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/btf.h>
#include <trace/events/io_uring.h>

#include "bpf_int.h"
#include "net.h"
#include "bpf_filter.h"
#include "opdef.h"
#include "rsrc.h"
#include "nop.h"
#include "rw.h"

#define IO_BPF_SQE_LINKS	(IOSQE_IO_LINK | IOSQE_IO_HARDLINK)
/* SQEs with any of these need io_bpf_check_sqe() */
#define IO_BPF_SQE_FLAGS	(IO_BPF_SQE_LINKS | IOSQE_CQE_SKIP_SUCCESS |	\
				 IOSQE_IO_DRAIN)

/*
 * Opcodes that a program cannot issue or link on their own: some do not exist, post CQEs
 * directly without running the program, or need an SQE of 128 bytes. The table covers all
 * values of the field, so the index needs no array_index_nospec().
 */
const bool io_bpf_op_refused[U8_MAX + 1] = {
	[IORING_OP_LINK_TIMEOUT]	= true,
	[IORING_OP_RECV_ZC]		= true,
	[IORING_OP_NOP128]		= true,
	[IORING_OP_URING_CMD128]	= true,
	[IORING_OP_BPF]			= true,
	[IORING_OP_LAST ... U8_MAX]	= true,
};

/*
 * IORING_OP_URING_CMD copies an SQE of 128 bytes on a ring with IORING_SETUP_SQE128, but
 * a program provides 64 bytes.
 */
const struct io_uring_sqe *io_bpf_mode_sqe(struct io_bpf_ring *br,
					   const struct io_uring_sqe *sqe)
{
	if (!(br->ctx->flags & IORING_SETUP_SQE128))
		return sqe;
	br->wide_sqe[0] = *sqe;
	return br->wide_sqe;
}

/*
 * Set the credentials of a child without a personality to those with which the ring
 * issues SQEs. An SQ thread has these only during submission, not in task work.
 */
void io_bpf_mode_child(struct io_kiocb *req)
{
	const struct cred *creds = req->ctx->sq_creds ?: current_cred();

	if (creds == current_real_cred())
		return;
	req->creds = get_cred(creds);
	req->flags |= REQ_F_CREDS;
}

/*
 * Make the notification of a zero-copy send a child of the flow, too. It is a request
 * that completes when the memory is no longer referenced.
 */
void io_bpf_adopt_notif(struct io_kiocb *req)
{
	struct io_kiocb *flow = io_bpf_child_flow(req->ctx->bpf_ring, req);
	struct io_kiocb *notif;

	lockdep_assert_held(&req->ctx->uring_lock);

	if (req->opcode != IORING_OP_SEND_ZC && req->opcode != IORING_OP_SENDMSG_ZC)
		return;
	/* there is no notification if the preparation failed before its allocation */
	if (!(req->flags & REQ_F_NEED_CLEANUP))
		return;
	notif = io_send_zc_notif(req);
	notif->opcode = req->opcode;
	notif->bpf_id = IO_BPF_ID_NOTIF | (u16)req->bpf_id;
	notif->flags |= REQ_F_BPF;
	io_bpf_ctx(flow)->nr_children++;
	io_bpf_flow_stats(flow)->nr_records++;
}

/* No memory for a request: end the flow, or post -ENOMEM for the application. */
static void io_bpf_no_memory(struct io_bpf_ring *br, struct io_kiocb *flow,
			     const struct io_uring_sqe *sqe, u8 kind)
{
	struct io_cqe cqe = { .user_data = sqe->user_data, .res = -ENOMEM };
	struct io_big_cqe big = { };

	if (kind & IO_BPF_SQE_APP) {
		br->nr_apps--;
		io_bpf_add_cqe(br, &cqe, &big);
		return;
	}
	io_bpf_ctx(flow)->nr_children--;
	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return;
	flow->bpf_flow.flags |= IO_BPF_F_ENDING;
	flow->bpf_end = IO_BPF_END_NOMEM;
	flow->cqe.res = -ENOMEM;
}

static struct io_kiocb *io_bpf_alloc(struct io_bpf_ring *br, struct io_kiocb *flow,
				     const struct io_uring_sqe *sqe, u8 kind)
{
	struct io_kiocb *req;

	if (unlikely(!io_alloc_req(br->ctx, &req))) {
		io_bpf_no_memory(br, flow, sqe, kind);
		return NULL;
	}
	io_get_task_refs(1);
	req->bpf_id = kind & IO_BPF_SQE_APP ? IO_BPF_ID_APP : flow->bpf_flow.id;
	return req;
}

/* Issue a single child. Return the child if it has completed in place. */
static inline struct io_kiocb *io_bpf_issue_one(struct io_bpf_ring *br,
						struct io_kiocb *flow,
						const struct io_uring_sqe *sqe)
{
	struct io_kiocb *req = io_bpf_alloc(br, flow, sqe, IO_BPF_SQE_CHILD);

	return req && io_bpf_submit_child(req, br->ctx, sqe) ? req : NULL;
}

/* Issue the only SQE that is staged, a child. Return it if it has completed in place. */
struct io_kiocb *io_bpf_issue_first(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	return io_bpf_issue_one(br, flow, &br->run.sqes[0]);
}

static void io_bpf_fail_head(struct io_kiocb *head)
{
	if (head->flags & REQ_F_FAIL)
		return;
	req_set_fail(head);
	io_req_set_res(head, -ECANCELED, 0);
}

/*
 * Prepare a member of a chain. As with SQEs from the SQ, a member whose preparation fails
 * stays in the chain, and no member is issued.
 */
static int io_bpf_prep_member(struct io_bpf_ring *br, struct io_kiocb *flow,
			      struct io_kiocb *req, const struct io_uring_sqe *sqe)
{
	int ret;

	io_bpf_clear_extra(req);
	ret = io_bpf_prep_linked(req, br->ctx, io_bpf_mode_sqe(br, sqe),
				 io_bpf_flow_creds(flow), false);
	req->flags |= REQ_F_BPF;
	if (req->bpf_id == IO_BPF_ID_APP)
		return ret;
	if (ret)
		req->bpf_id |= IO_BPF_ID_REFUSED;
	io_bpf_adopt_notif(req);
	return ret;
}

/* Issue the chain that starts with SQE @i. Return the index after its last SQE. */
static unsigned int io_bpf_issue_chain(struct io_bpf_ring *br, struct io_kiocb *flow,
				       unsigned int i)
{
	struct io_submit_link *link = &br->ctx->submit_state.link;
	struct io_kiocb *req, *head = NULL;
	struct io_bpf_run *run = &br->run;
	u8 kind = run->kind[i];
	bool broken = kind & IO_BPF_SQE_BROKEN;

	do {
		req = io_bpf_alloc(br, flow, &run->sqes[i], kind);
		if (unlikely(!req)) {
			broken = true;
			continue;
		}
		/* io_link_timeout_prep() takes its request from ->submit_state.link */
		broken |= io_bpf_prep_member(br, flow, req, &run->sqes[i]) < 0;
		if (!head) {
			head = req;
		} else {
			trace_io_uring_link(req, link->last);
			link->last->link = req;
		}
		link->head = head;
		link->last = req;
	} while (++i < run->nr_sqes && (run->kind[i] & IO_BPF_SQE_MEMBER));
	link->head = NULL;
	if (!head)
		return i;
	if (broken)
		io_bpf_fail_head(head);
	/* children wait with their flow, but a watching program has no flow */
	if (io_bpf_is_watch(flow) && !broken && br->slice <= 0 && !io_bpf_look(br))
		io_bpf_hold_app(br, head);
	else
		io_bpf_queue_chain(head);
	return i;
}

/* Return true if SQE @i is a single child, not a member of a chain. */
static inline bool io_bpf_is_single(const struct io_bpf_run *run, unsigned int i)
{
	return run->kind[i] == IO_BPF_SQE_CHILD &&
	       !(run->sqes[i].flags & IO_BPF_SQE_LINKS);
}

/*
 * Issue the staged SQEs. Return a single child that has completed in place. With several
 * SQEs, such children go to ->compl_reqs.
 */
struct io_kiocb *io_bpf_issue_sqes(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	struct io_bpf_run *run = &br->run;
	unsigned int i = 0;

	lockdep_assert_held(&br->ctx->uring_lock);

	if (likely(run->nr_sqes == 1 && io_bpf_is_single(run, 0)))
		return io_bpf_issue_one(br, flow, &run->sqes[0]);
	br->slice -= run->nr_sqes;
	while (i < run->nr_sqes) {
		struct io_kiocb *req;

		if (!io_bpf_is_single(run, i)) {
			i = io_bpf_issue_chain(br, flow, i);
			continue;
		}
		req = io_bpf_issue_one(br, flow, &run->sqes[i++]);
		if (req)
			io_req_complete_defer(req);
	}
	return NULL;
}

/*
 * Check an SQE that is linked, of the application, of an ending flow, or not of an ordinary
 * opcode.
 */
static int io_bpf_check_sqe(struct io_kiocb *flow, const struct io_uring_sqe *sqe,
			    u64 flags)
{
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;
	bool app = flags & BPF_IO_URING_ISSUE_APP;

	/* the flow must end, so the completion of a release does not issue another one */
	if ((flow->bpf_flow.flags & IO_BPF_F_ENDING) && !io_bpf_is_watch(flow) &&
	    (!io_bpf_op_releases(sqe->opcode) ||
	     (run->req && io_bpf_op_releases(run->req->opcode))))
		return -ECANCELED;
	if (run->chain == IO_BPF_CHAIN_OPEN &&
	    app != (bool)(run->kind[run->nr_sqes - 1] & IO_BPF_SQE_APP))
		return -EINVAL;
	if (!app && (sqe->flags & IOSQE_CQE_SKIP_SUCCESS))
		return -EINVAL;
	/* the child would wait for the flow, and the flow for the child */
	if (sqe->flags & IOSQE_IO_DRAIN)
		return -EOPNOTSUPP;
	if (io_bpf_op_refused[sqe->opcode] &&
	    !(run->chain == IO_BPF_CHAIN_OPEN && sqe->opcode == IORING_OP_LINK_TIMEOUT))
		return -EOPNOTSUPP;
	return 0;
}

/* Check whether the program may issue another request. */
static int io_bpf_may_issue(struct io_kiocb *flow, u32 size, u64 flags)
{
	struct io_ring_ctx *ctx = flow->ctx;
	struct io_bpf_ring *br = ctx->bpf_ring;
	bool app = flags & BPF_IO_URING_ISSUE_APP;

	if (size != sizeof(struct io_uring_sqe) ||
	    (flags & ~(u64)BPF_IO_URING_ISSUE_APP))
		return -EINVAL;
	if (io_bpf_is_watch(flow) && !app)
		return -EOPNOTSUPP;
	/* an earlier SQE of the chain was refused */
	if (unlikely(br->run.chain == IO_BPF_CHAIN_REFUSED))
		return -ECANCELED;
	if (br->run.nr_sqes >= IO_BPF_MAX_SQES)
		return -ENOBUFS;
	/* limit the number of overflowed CQEs */
	if (app && test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &ctx->check_cq))
		return -EBUSY;
	if ((app ? br->nr_apps : io_bpf_ctx(flow)->nr_children) >= ctx->cq_entries)
		return -EAGAIN;
	return 0;
}

/*
 * Refuse an SQE. A chain that lacks a member must not run: the members before the SQE
 * fail, and the SQEs after it are refused up to the end of the chain.
 */
static noinline int io_bpf_refuse(struct io_kiocb *flow, u8 sqe_flags, int ret)
{
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;
	unsigned int i = run->nr_sqes;

	if (run->chain == IO_BPF_CHAIN_OPEN) {
		while (run->kind[--i] & IO_BPF_SQE_MEMBER)
			;
		run->kind[i] |= IO_BPF_SQE_BROKEN;
		run->kinds |= IO_BPF_SQE_BROKEN;
	}
	run->chain = sqe_flags & IO_BPF_SQE_LINKS ? IO_BPF_CHAIN_REFUSED :
						    IO_BPF_CHAIN_NONE;
	return io_bpf_refused(flow, "bpf_io_uring_issue", ret);
}

static int io_bpf_stage(struct io_kiocb *flow, const struct io_uring_sqe *sqe, u64 flags)
{
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;
	bool app = flags & BPF_IO_URING_ISSUE_APP;
	u8 *kind = &run->kind[run->nr_sqes];
	int ret = 0;

	/* user space can write to the source, so only the copy is checked */
	barrier();
	if (unlikely(sqe->opcode >= IORING_OP_LAST))
		ret = -EINVAL;
	else if (unlikely(app || run->chain || (sqe->flags & IO_BPF_SQE_FLAGS) ||
			  (flow->bpf_flow.flags & IO_BPF_F_ENDING) ||
			  io_bpf_op_refused[sqe->opcode]))
		ret = io_bpf_check_sqe(flow, sqe, flags);
	if (unlikely(ret))
		return io_bpf_refuse(flow, sqe->flags, ret);

	*kind = app ? IO_BPF_SQE_APP : IO_BPF_SQE_CHILD;
	if (unlikely(run->chain))
		*kind |= IO_BPF_SQE_MEMBER;
	run->kinds |= *kind;
	run->chain = sqe->flags & IO_BPF_SQE_LINKS ? IO_BPF_CHAIN_OPEN : IO_BPF_CHAIN_NONE;
	run->nr_sqes++;
	if (app) {
		flow->ctx->bpf_ring->nr_apps++;
		io_bpf_run_stats(flow)->nr_apps++;
	} else {
		io_bpf_ctx(flow)->nr_children++;
	}
	return 0;
}

/* state that is valid for one issue only: the request cannot be reissued */
#define IO_BPF_AGAIN_REFUSE	(REQ_F_BUFFER_SELECT | REQ_F_HAS_METADATA |	\
				 REQ_F_INFLIGHT | REQ_F_MULTISHOT |		\
				 REQ_F_APOLL_MULTISHOT | REQ_F_LINK |		\
				 REQ_F_HARDLINK)
/* of a watched request: state of the application's submission that a reissue would lose */
#define IO_BPF_AGAIN_REFUSE_WATCHED (REQ_F_IO_DRAIN | REQ_F_CQE_SKIP |		\
				 REQ_F_SKIP_LINK_CQES)
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
 * might have changed its credentials since. A watched request keeps them.
 */
static void io_bpf_again_creds(struct io_kiocb *req)
{
	if (req->flags & REQ_F_CREDS) {
		if (req->bpf_id >= IO_BPF_ID_AUX || (req->bpf_id & IO_BPF_ID_CREDS))
			return;
		put_cred(req->creds);
		req->flags &= ~REQ_F_CREDS;
	} else if (req->bpf_id < IO_BPF_ID_AUX) {
		return;
	}
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

/* Prepare the completed *@req, or a copy of it, for a reissue. Return 0 or an error. */
static int io_bpf_prep_again(struct io_bpf_ring *br, struct io_kiocb **req)
{
	const struct io_bpf_again_def *def = &io_bpf_again_defs[(*req)->opcode];
	struct io_bpf_run *run = &br->run;
	struct io_kiocb *new;
	int ret;

	if (io_bpf_again_clones(*req)) {
		new = io_bpf_clone(br, *req);
		if (!new)
			return -ENOMEM;
		*req = new;
	}
	io_bpf_again_reset(*req);

	ret = def->prep(*req, run->again_off, run->again_addr, run->again_len);
	if (!ret && br->ctx->bpf_filters)
		ret = io_uring_run_bpf_filters(br->ctx->bpf_filters, *req);
	if (!ret)
		io_bpf_again_creds(*req);
	return ret;
}

/*
 * Reissue a child that io_bpf_reissue() does not serve. Return the request if it has
 * completed in place, which includes a failed preparation.
 */
struct io_kiocb *io_bpf_reissue_slow(struct io_bpf_ring *br, struct io_kiocb *flow,
				     struct io_kiocb *req)
{
	struct bpf_io_uring_ctx *bctx = io_bpf_ctx(flow);
	int ret;

	lockdep_assert_held(&br->ctx->uring_lock);

	bctx->nr_children++;
	req->cqe.user_data = bctx->user_data;
	ret = io_bpf_prep_again(br, &req);
	if (ret)
		return io_bpf_again_failed(req, ret);
	return io_bpf_issue_child_slow(req) ? req : NULL;
}

/*
 * Reissue a watched request instead of posting its CQE. The request has left
 * ->compl_reqs. Its opcode does not use ->big_cqe, which holds the bytes that were
 * transferred, until io_bpf_watch_part().
 */
void io_bpf_reissue_watched(struct io_bpf_ring *br, struct io_kiocb *req)
{
	io_req_flags_t cur_pos = req->flags & REQ_F_CUR_POS;
	u64 sum = br->run.sum + max(req->cqe.res, 0);
	int ret;

	lockdep_assert_held(&br->ctx->uring_lock);

	req->bpf_id = IO_BPF_ID_AGAIN;
	/* else set by io_bpf_again_reset(), but not if there is no memory for a copy */
	req->flags |= REQ_F_BPF;
	ret = io_bpf_prep_again(br, &req);
	/* the end of this part is the position of the file */
	req->flags |= cur_pos;
	if (ret)
		io_bpf_again_failed(req, ret);
	req->big_cqe.extra1 = sum;
	/* nothing else limits the number of reissues */
	if (--br->slice <= 0 && !io_bpf_look(br))
		io_bpf_hold_app(br, req);
	else if (ret || io_bpf_issue_child_slow(req))
		io_req_complete_defer(req);
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

/* Return 0 if a watching program may reissue the request that it sees. */
static int io_bpf_may_reissue_watched(struct io_bpf_ring *br)
{
	struct io_kiocb *req = br->run.req;

	if (io_bpf_ctx(&br->watch)->event != BPF_IO_URING_COMPLETE)
		return -EINVAL;
	/* limit what happens before the application reaps */
	if (test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq))
		return -EBUSY;
	/* a NOP can use the words in which the reissue keeps the sum */
	if ((req->flags & IO_BPF_AGAIN_REFUSE_WATCHED) ||
	    (req->cqe.flags & IORING_CQE_F_32) ||
	    (req->opcode == IORING_OP_NOP &&
	     (req->big_cqe.extra1 || req->big_cqe.extra2)))
		return -EOPNOTSUPP;
	return 0;
}

static int io_bpf_may_reissue_child(struct io_kiocb *flow)
{
	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return -ECANCELED;
	return io_bpf_ctx(flow)->flags & BPF_IO_URING_F_CHILD ? 0 : -EINVAL;
}

/* Return 0 if the completed request can be reissued, or why not. */
static int io_bpf_may_reissue(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	bool watch = io_bpf_is_watch(flow);
	struct io_kiocb *req = br->run.req;
	u32 id;
	int ret;

	ret = watch ? io_bpf_may_reissue_watched(br) : io_bpf_may_reissue_child(flow);
	if (ret)
		return ret;
	if (br->run.again)
		return -EALREADY;
	id = watch ? 0 : req->bpf_id;
	if (id >= IO_BPF_ID_AUX || (req->flags & IO_BPF_AGAIN_REFUSE) ||
	    !io_bpf_again_defs[req->opcode].prep)
		return -EOPNOTSUPP;
	/* refused or without a file: the CQE has overwritten the fd */
	if ((id & IO_BPF_ID_REFUSED) ||
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
 * bpf_io_uring_issue - issue a request as a child of the flow
 * @ctx: context of the program
 * @sqe: struct io_uring_sqe, copied
 * @sqe__sz: size of @sqe in bytes, 64
 * @flags: 0 or BPF_IO_URING_ISSUE_APP
 *
 * The request is issued after the program has returned, with the files and memory of the
 * task that issued the flow. It undergoes all checks of an application's SQE:
 * restrictions and filters of the ring, its personality, audit and LSMs. Without a
 * personality, it uses that of the flow, or else the credentials of the task.
 *
 * The completion of the request runs the program, also if the preparation fails, and
 * posts no CQE unless the verdict says so. Earlier CQEs of a multishot request and the
 * notification of a zero-copy send, which is a separate child, run the program with
 * BPF_IO_URING_AUX. Memory that the SQE refers to is that of the application and must
 * stay valid. Without memory for the request itself, the flow ends with -ENOMEM.
 *
 * With IOSQE_IO_LINK or IOSQE_IO_HARDLINK, the request is linked to that of the next call
 * in this run, like consecutive SQEs of a submission. The next one can be an
 * IORING_OP_LINK_TIMEOUT. Each member of the chain is a child. If a call fails, its chain
 * fails: earlier members complete with -ECANCELED, and later members are refused.
 *
 * A flow that is ending, with BPF_IO_URING_F_ENDING or after bpf_io_uring_complete() in
 * the same run, can issue IORING_OP_CLOSE, SHUTDOWN and PROVIDE_BUFFERS, to release what
 * a completion has brought, but not on the completion of one of these. They are not
 * cancelled with the flow.
 *
 * With BPF_IO_URING_ISSUE_APP, the request is a request of the application: it posts its
 * CQE, no program runs for it, and the flow does not wait for it. Without memory for the
 * request, its CQE has -ENOMEM.
 *
 * Context: any event of a flow; of a watching program with BPF_IO_URING_ISSUE_APP. Called
 * with ->uring_lock held, takes no lock, does not sleep.
 * Return: 0, or
 * -EINVAL: wrong @sqe__sz, @flags or opcode, @flags differ within a chain, or
 * IOSQE_CQE_SKIP_SUCCESS without BPF_IO_URING_ISSUE_APP;
 * -EOPNOTSUPP: IOSQE_IO_DRAIN, IORING_OP_BPF, IORING_OP_RECV_ZC, an opcode with SQEs of
 * 128 bytes, IORING_OP_LINK_TIMEOUT that is not linked to a request before it, or a
 * watching program without BPF_IO_URING_ISSUE_APP;
 * -EAGAIN: the flow has as many children in flight as the CQ has entries, or the ring as
 * many requests issued with BPF_IO_URING_ISSUE_APP;
 * -EBUSY: BPF_IO_URING_ISSUE_APP while overflowed CQEs wait for room in the CQ;
 * -ENOBUFS: this run has issued 128 requests;
 * -ECANCELED: the flow is ending, and the request is not one of those above, or an
 * earlier SQE of the chain was refused.
 */
__bpf_kfunc int bpf_io_uring_issue(struct bpf_io_uring_ctx *ctx,
				   const void *sqe, u32 sqe__sz, u64 flags)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;
	const struct io_uring_sqe *src = sqe;
	int ret;

	/* fast path: most runs issue a single child */
	if (likely(!run->asked && !flags && sqe__sz == sizeof(*src) &&
		   !(flow->bpf_flow.flags & IO_BPF_F_ENDING) &&
		   ctx->nr_children < flow->ctx->cq_entries)) {
		src = memcpy(run->sqes, src, sizeof(*src));
		/* only the copy is checked, see io_bpf_stage() */
		barrier();
		if (unlikely(io_bpf_op_refused[src->opcode] ||
			     (src->flags & IO_BPF_SQE_FLAGS)))
			return io_bpf_stage(flow, src, 0);
		run->kind[0] = IO_BPF_SQE_CHILD;
		run->nr_sqes = 1;
		ctx->nr_children++;
		return 0;
	}
	ret = io_bpf_may_issue(flow, sqe__sz, flags);
	if (unlikely(ret))
		return io_bpf_refuse(flow, sqe__sz == sizeof(*src) ?
				     READ_ONCE(src->flags) : 0, ret);
	memcpy(&run->sqes[run->nr_sqes], src, sizeof(*src));
	return io_bpf_stage(flow, &run->sqes[run->nr_sqes], flags);
}

/**
 * bpf_io_uring_again - reissue the child or the watched request that has completed
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
 * A watched request posts no CQE before a completion that is not reissued. That CQE has
 * the original user_data, and the sum of what all parts have transferred as its result,
 * even if the last part fails. Programs in later slots do not see a part that is
 * reissued. If the SQE had an offset of -1, the end of the part becomes the position of
 * the file. As with BPF_IO_URING_ISSUE_APP, the reissue can wait for the time budget, where
 * a cancellation does not find the request.
 *
 * Context: BPF_IO_URING_COMPLETE of a child or of a watched request. Called with the lock
 * of the ring held; takes no lock and does not sleep.
 * Return: 0, or
 * -EINVAL: no child or watched request has completed, or the request was never issued;
 * -EOPNOTSUPP: the opcode is not supported, or the request selects a provided buffer, is
 * multishot or a bundle, has metadata, uses the file of a ring or is linked to the next
 * request, or a watched request has IOSQE_CQE_SKIP_SUCCESS, IOSQE_IO_DRAIN or a CQE of 32
 * bytes;
 * -EBUSY: the program watches, and overflowed CQEs wait for room in the CQ;
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
