/* SPDX-License-Identifier: GPL-2.0 */
/* The actions of a run */
#ifndef FUZZ_VERBS_BPF_H
#define FUZZ_VERBS_BPF_H

#include "fuzz_copy.bpf.h"
#include "fuzz_mem.bpf.h"
#include "fuzz_req.bpf.h"

/*
 * Return the address of a datagram for @thread. It contains a number, which tells
 * the receiver the valid uids of the sender.
 */
static __always_inline __u64 msg_addr(__u32 thread)
{
	__u32 n = __sync_fetch_and_add(&nr_msgs, 1);

	if (n >= FZ_MSGS || thread >= FZ_THREADS)
		return msg_base;
	barrier_var(n);
	n &= FZ_MSGS - 1;
	msg_thread[n] = thread;
	msg_uid_from[n] = threads[thread & (FZ_THREADS - 1)].uid_from;
	/* datagram 0 is not checked */
	return msg_base + 8 * (n + 1);
}

/* plain data, so that functions with a pointer to it can be global */
struct run {
	/* index of the flow, or FZ_FLOWS */
	__u32 flow;
	struct fz_done done;
	__u32 ring;
	/* successful calls of bpf_io_uring_drop() and bpf_io_uring_unlink() */
	__u32 edits;
	__u32 res_written;
	/* successful calls of bpf_io_uring_issue() */
	__u32 issued;
	/* the first error of a kfunc that requests something */
	__s32 error;
	/* a watching program reissues the request */
	__u32 again;
};

/* Return the flow of a run, NULL if the program watches. */
static __always_inline struct fz_flow *flow_of(const struct run *r)
{
	__u32 i = r->flow;

	return i < FZ_FLOWS ? &flows[i & (FZ_FLOWS - 1)] : NULL;
}

/* Return true if an ending flow can issue requests with @opcode. */
static __always_inline bool releases(__u8 opcode)
{
	return opcode == IORING_OP_CLOSE || opcode == IORING_OP_SHUTDOWN ||
	       opcode == IORING_OP_PROVIDE_BUFFERS;
}

static __always_inline __u32 tmpl_of(const struct run *r, const struct fz_act *a)
{
	__u32 t = r->ring * FZ_RING_TMPLS + a->tmpl % FZ_RING_TMPLS;

	/* keep the compiler from removing the mask, which the verifier needs */
	barrier_var(t);
	return t & (FZ_TMPLS_SIZE - 1);
}

static __always_inline struct io_uring_sqe *
prepare(const struct run *r, const struct fz_act *a)
{
	struct fz_flow *f = flow_of(r);
	__u32 t = tmpl_of(r, a);

	if (sqe_flags[t] & FZ_T_MSG)
		sqes[t].addr = msg_addr(f ? f->thread : FZ_THREADS);
	return &sqes[t];
}

/*
 * Count the CQEs of a request that a program issued or linked for the application:
 * one, possibly none if it skips its CQE, two for a zero-copy send that is
 * cancelled with its chain, as its notification is posted as well.
 */
static __always_inline void count_app(__u32 t)
{
	count_cqe(sqes[t].user_data, sqe_flags[t] & FZ_T_SKIP ? 0 : 1,
		  sqe_flags[t] & FZ_T_ZC ? 2 : 1);
}

static int issue_one(struct bpf_io_uring_ctx *ctx, struct run *r,
		     const struct fz_act *a)
{
	struct io_uring_sqe *sqe = prepare(r, a);
	struct fz_flow *f = flow_of(r);
	__u32 t = tmpl_of(r, a);
	__u32 size = a->size;
	int ret;

	ret = bpf_io_uring_issue(ctx, sqe, size & 64 ? 64 : size & 63, a->flags);
	if (ret == -ENOBUFS && r->issued < FZ_MAX_ISSUES)
		complain(ctx, FZ_LIMIT, r->ring, r->issued, ret);
	if (ret)
		return ret;
	if (++r->issued > FZ_MAX_ISSUES)
		complain(ctx, FZ_LIMIT, r->ring, r->issued, ret);
	if (a->flags & BPF_IO_URING_ISSUE_APP) {
		count_app(t);
		return 0;
	}
	if (sqe_flags[t] & FZ_T_SLACK)
		count_cqe(sqe->user_data, 0, 1);
	if (f) {
		f->children++;
		if (sqe_flags[t] & FZ_T_ZC)
			f->vague++;
	}
	return 0;
}

static int do_issue(struct bpf_io_uring_ctx *ctx, struct run *r,
		    const struct fz_act *a)
{
	int ret = 0;
	__u32 i;

	bpf_for(i, 0, FZ_ISSUES) {
		if (i >= a->len)
			break;
		ret = issue_one(ctx, r, a);
		if (ret)
			break;
	}
	return ret;
}

static int do_link(struct bpf_io_uring_ctx *ctx, struct run *r,
		   const struct fz_act *a)
{
	struct io_uring_sqe *sqe = prepare(r, a);
	__u32 size = a->size;
	int ret;

	ret = bpf_io_uring_link(ctx, sqe, size & 64 ? 64 : size & 63, a->flags);
	if (ret)
		return ret;
	count_app(tmpl_of(r, a));
	return 0;
}

static int do_again(struct bpf_io_uring_ctx *ctx, struct run *r,
		    const struct fz_act *a)
{
	__u64 off = a->off, addr = a->addr;
	struct fz_flow *f = flow_of(r);
	__u32 len = a->len;
	int ret;

	/* nothing else would end an endless program that watches */
	if (!f && settling)
		return 0;
	if (a->msg && ctx->opcode == IORING_OP_SEND && f &&
	    ctx->event == BPF_IO_URING_COMPLETE) {
		off = 0;
		addr = msg_addr(f->thread);
		len = 8;
	}
	ret = bpf_io_uring_again(ctx, off, addr, len);
	if (!ret && !f)
		r->again = 1;
	if (!ret && f) {
		f->children++;
		id_flags[r->done.user_data & (FZ_IDS - 1)] |= FZ_ID_AGAIN;
	}
	return ret;
}

/* Post one of the CQEs of an action. Return 0 or the error of the kfunc. */
static __noinline int post_one(struct bpf_io_uring_ctx *ctx, __u32 ring,
			       const struct fz_act *a)
{
	struct {
		struct io_uring_cqe cqe;
		__u64 extra[2];
	} c = {
		.cqe.user_data	= FZ_COOKIE << 32 | (a->off & (FZ_IDS - 1)),
		.cqe.res	= a->len,
		.cqe.flags	= a->flags,
		.extra		= { a->addr, a->off },
	};
	__u32 seq;
	int ret;

	/* the caller's bound is lost to the verifier */
	barrier_var(ring);
	if (ring >= FZ_RINGS)
		return -EFAULT;
	seq = rings[ring].posted + 1;
	c.cqe.user_data |= (__u32)(seq << FZ_SEQ_SHIFT);
	if (a->size == 16)
		ret = bpf_io_uring_post_cqe(ctx, &c, 16);
	else if (a->size == 32)
		ret = bpf_io_uring_post_cqe(ctx, &c, 32);
	else
		ret = bpf_io_uring_post_cqe(ctx, &c, 8);
	if (ret)
		return ret;
	rings[ring].posted = seq;
	if (!(c.cqe.flags & IORING_CQE_F_MORE))
		count_cqe(c.cqe.user_data, 1, 1);
	return 0;
}

static int do_post(struct bpf_io_uring_ctx *ctx, struct run *r,
		   const struct fz_act *a)
{
	int ret = 0;
	__u32 i;

	bpf_for(i, 0, FZ_BURST) {
		if (i >= a->msg)
			break;
		ret = post_one(ctx, r->ring, a);
		if (ret)
			break;
	}
	return ret;
}

static int do_complete(struct bpf_io_uring_ctx *ctx, struct run *r,
		       const struct fz_act *a)
{
	struct fz_flow *f = flow_of(r);
	int ret = bpf_io_uring_complete(ctx, a->len);

	if (!ret && f) {
		f->over = 1;
		f->res = a->len;
		f->res_known = 1;
	}
	return ret;
}

/* Cancel the children with the user_data of an SQE, or all. */
static int do_cancel(struct bpf_io_uring_ctx *ctx, struct run *r,
		     const struct fz_act *a)
{
	__u64 user_data = a->flags & BPF_IO_URING_CANCEL_ALL ? 0 :
			  sqes[tmpl_of(r, a)].user_data;
	struct fz_flow *f = flow_of(r);
	int ret = bpf_io_uring_cancel(ctx, user_data, a->flags);

	if (!ret && f)
		f->innocent = 0;
	return ret;
}

/*
 * Subtract the CQEs of members that are dropped without a CQE. @sure: this is the
 * first edit of the run, so that all these members are certainly dropped.
 */
static void count_dropped(struct bpf_io_uring_ctx *ctx, const struct fz_act *a,
			  bool sure)
{
	struct bpf_iter_io_uring_chain it;
	union bpf_io_uring_member *m;
	__u32 first = a->off;

	bpf_iter_io_uring_chain_new(&it, ctx);
	while ((m = bpf_iter_io_uring_chain_next(&it))) {
		if (m->index < first)
			continue;
		if (m->index > first && !(a->flags & BPF_IO_URING_REST))
			break;
		/* the notification of a zero-copy send is still posted */
		count_cqe(m->user_data, -1,
			  sure && m->opcode != IORING_OP_SEND_ZC &&
			  m->opcode != IORING_OP_SENDMSG_ZC ? -1 : 0);
	}
	bpf_iter_io_uring_chain_destroy(&it);
}

static int do_drop(struct bpf_io_uring_ctx *ctx, struct run *r,
		   const struct fz_act *a)
{
	int ret = bpf_io_uring_drop(ctx, a->off, a->flags);

	if (!ret && !(a->flags & BPF_IO_URING_POST_CANCELED))
		count_dropped(ctx, a, !r->edits);
	if (!ret)
		r->edits++;
	return ret;
}

static int do_unlink(struct bpf_io_uring_ctx *ctx, struct run *r,
		     const struct fz_act *a)
{
	int ret = bpf_io_uring_unlink(ctx, a->off, a->flags);

	if (!ret)
		r->edits++;
	return ret;
}

static int do_iter(struct bpf_io_uring_ctx *ctx)
{
	struct bpf_iter_io_uring_chain it;
	union bpf_io_uring_member *m;
	int n = 0;

	bpf_iter_io_uring_chain_new(&it, ctx);
	while ((m = bpf_iter_io_uring_chain_next(&it))) {
		if (m->index != n)
			complain(ctx, FZ_WATCH_CONTEXT, 0, m->index, n);
		n++;
	}
	bpf_iter_io_uring_chain_destroy(&it);
	return 0;
}

/* Access the buffer whose contents are known: check them, or write the same. */
static int do_known(struct bpf_io_uring_ctx *ctx, const struct fz_act *a)
{
	const __u8 *slice;
	__u32 i;
	int ret;

	if (a->verb == FZ_BUF_DATA || a->verb == FZ_BUF_DATA_RW) {
		slice = (const __u8 *)bpf_io_uring_buf_data(ctx, FZ_BUF_KNOWN, a->off, 16);
		if (!slice)
			return -EFAULT;
		if (slice[0] != fz_known(a->off) || slice[15] != fz_known(a->off + 15))
			complain(ctx, FZ_BUF_WRONG, 0, a->off, slice[0]);
		return 0;
	}
	if (a->verb == FZ_BUF_READ) {
		ret = bpf_io_uring_buf_read(ctx, FZ_BUF_KNOWN, a->off, scratch,
					    sizeof(scratch));
		if (ret)
			return ret;
	}
	for (i = 0; i < sizeof(scratch) && i < 64; i++) {
		if (a->verb == FZ_BUF_READ && (__u8)scratch[i] != fz_known(a->off + i))
			complain(ctx, FZ_BUF_WRONG, 0, a->off + i, scratch[i]);
		scratch[i] = fz_known(a->off + i);
	}
	if (a->verb == FZ_BUF_READ)
		return 0;
	return bpf_io_uring_buf_write(ctx, FZ_BUF_KNOWN, a->off, scratch,
				      sizeof(scratch));
}

static int do_buffer(struct bpf_io_uring_ctx *ctx, const struct fz_act *a)
{
	struct bpf_io_uring_buf_pos from = { .index = a->tmpl, .offset = a->off };
	struct bpf_io_uring_buf_pos to = { .index = a->tmpl, .offset = a->addr };
	const __u8 *slice;
	__u8 *rw;

	if (a->tmpl == FZ_BUF_KNOWN)
		return do_known(ctx, a);
	switch (a->verb) {
	case FZ_BUF_DATA:
		slice = (const __u8 *)bpf_io_uring_buf_data(ctx, a->tmpl, a->off, 16);
		if (!slice)
			return -EFAULT;
		scratch[0] = slice[0] + slice[15];
		return 0;
	case FZ_BUF_DATA_RW:
		rw = bpf_io_uring_buf_data_rw(ctx, a->tmpl, a->off, 16);
		if (!rw)
			return -EFAULT;
		rw[a->len & 15]++;
		return 0;
	case FZ_BUF_READ:
		return bpf_io_uring_buf_read(ctx, a->tmpl, a->off, scratch,
					     sizeof(scratch));
	case FZ_BUF_WRITE:
		return bpf_io_uring_buf_write(ctx, a->tmpl, a->off, scratch,
					      sizeof(scratch));
	}
	return bpf_io_uring_buf_copy(ctx, &to, &from, 4);
}

static void do_set(struct bpf_io_uring_ctx *ctx, struct run *r,
		   const struct fz_act *a)
{
	/* flags that affect the number of CQEs */
	const __u32 keep = IORING_CQE_F_MORE | IORING_CQE_F_NOTIF |
			   IORING_CQE_F_BUFFER;
	struct fz_flow *f = flow_of(r);

	switch (a->verb) {
	case FZ_SET_UD:
		ctx->user_data = FZ_COOKIE << 32 | (a->off & (FZ_IDS - 1));
		break;
	case FZ_SET_RES:
		ctx->res = a->len;
		r->res_written = 1;
		break;
	case FZ_SET_CFLAGS:
		ctx->cflags = (ctx->cflags & keep) | (a->len & ~keep);
		break;
	case FZ_SET_STATE:
		if (!f) {
			ctx->state[2] = a->off;
		} else if (a->tmpl % 3 == 0) {
			ctx->state[1] = a->off;
			f->state[1] = a->off;
		} else if (a->tmpl % 3 == 1) {
			ctx->state[2] = a->off;
			f->state[2] = a->off;
		} else {
			ctx->state[3] = a->off;
			f->state[3] = a->off;
		}
		break;
	}
}

#define V(verb) (1U << FZ_##verb)

/* Return true if the kfunc of an action may return the error @ret. */
__noinline int documented(__u32 verb, __s32 ret)
{
	__u32 verbs = 0;

	switch (ret) {
	case -EINVAL:
		verbs = V(ISSUE) | V(AGAIN) | V(CANCEL) | V(POST) | V(DROP) | V(UNLINK) |
			V(LINK) | V(BUF_MOVE) | V(COPY) | V(GIVE) | V(REQ);
		break;
	case -EOPNOTSUPP:
		verbs = V(ISSUE) | V(AGAIN) | V(CANCEL) | V(COMPLETE) | V(DROP) |
			V(UNLINK) | V(LINK) | V(REQ);
		break;
	case -EALREADY:
		verbs = V(AGAIN) | V(COMPLETE) | V(DROP) | V(UNLINK);
		break;
	case -ECANCELED:
		verbs = V(ISSUE) | V(AGAIN) | V(CANCEL) | V(DROP) | V(UNLINK) | V(LINK);
		break;
	case -ENOBUFS:
		verbs = V(ISSUE) | V(CANCEL) | V(POST) | V(LINK);
		break;
	case -ENOENT:
		verbs = V(CANCEL) | V(DROP) | V(UNLINK) | V(BUF_READ) | V(BUF_WRITE) |
			V(BUF_MOVE) | V(COPY) | V(GIVE);
		break;
	case -EFAULT:
		/* also if there is no slice */
		verbs = V(BUF_DATA) | V(BUF_DATA_RW) | V(BUF_READ) | V(BUF_WRITE) |
			V(BUF_MOVE) | V(COPY) | V(GIVE);
		break;
	case -E2BIG:
		verbs = V(COPY);
		break;
	case -EAGAIN:
		verbs = V(ISSUE);
		break;
	case -EBUSY:
		verbs = V(ISSUE) | V(POST) | V(AGAIN);
		break;
	case -ERANGE:
		verbs = V(DROP) | V(UNLINK);
		break;
	case -ENOSPC:
	case -ENOMEM:
		verbs = V(GIVE);
		break;
	}
	return verbs >> (verb & 31) & 1;
}

/* Return true if @verb requests something. Its error can become that of the flow. */
static __always_inline bool requests(__u8 verb)
{
	return verb == FZ_ISSUE || verb == FZ_AGAIN || verb == FZ_POST ||
	       verb == FZ_DROP || verb == FZ_UNLINK || verb == FZ_LINK ||
	       verb == FZ_CANCEL || verb == FZ_GIVE;
}

/* Return true if the action must be refused for a flow that is ending. */
static __always_inline bool refused_at_end(struct bpf_io_uring_ctx *ctx,
					   const struct run *r, const struct fz_act *a)
{
	if (a->verb == FZ_ISSUE && releases(sqes[tmpl_of(r, a)].opcode))
		return releases(ctx->opcode);
	return a->verb == FZ_COMPLETE ||
	       (a->verb != FZ_POST && a->verb != FZ_GIVE && requests(a->verb));
}

static __always_inline int do_act(struct bpf_io_uring_ctx *ctx, struct run *r,
				  const struct fz_act *a)
{
	switch (a->verb) {
	case FZ_ISSUE:
		return do_issue(ctx, r, a);
	case FZ_AGAIN:
		return do_again(ctx, r, a);
	case FZ_POST:
		return do_post(ctx, r, a);
	case FZ_COMPLETE:
		return do_complete(ctx, r, a);
	case FZ_DROP:
		return do_drop(ctx, r, a);
	case FZ_UNLINK:
		return do_unlink(ctx, r, a);
	case FZ_LINK:
		return do_link(ctx, r, a);
	case FZ_CANCEL:
		return do_cancel(ctx, r, a);
	case FZ_REQ:
		return get_args(ctx, r->ring, &r->done, a->size);
	case FZ_GIVE:
		return bpf_io_uring_buf_give(ctx, a->tmpl, a->off, a->addr, a->len);
	case FZ_COPY:
		return copy(ctx, r->ring, a);
	case FZ_ITER:
		return do_iter(ctx);
	case FZ_MEM:
		access_mem(ctx, flow_of(r), r->ring, ACCESS_WRITE);
		return 0;
	case FZ_BUF_DATA:
	case FZ_BUF_DATA_RW:
	case FZ_BUF_READ:
	case FZ_BUF_WRITE:
	case FZ_BUF_MOVE:
		return do_buffer(ctx, a);
	}
	do_set(ctx, r, a);
	return 0;
}

/* A global function: the verifier follows it once, not for each state of its callers. */
__noinline int act(struct bpf_io_uring_ctx *ctx, struct run *r, const struct fz_act *a)
{
	struct fz_flow *f;
	bool over;
	int ret;

	if (!r || !a)
		return 0;
	f = flow_of(r);
	over = f && (f->over || ctx->event == BPF_IO_URING_CANCEL);
	ret = do_act(ctx, r, a);
	if (ret && !documented(a->verb, ret))
		complain(ctx, FZ_ERROR, r->ring, a->verb, ret);
	if (ret && ret != -ENOENT && !r->error && requests(a->verb))
		r->error = ret;
	if (over && !ret && refused_at_end(ctx, r, a))
		complain(ctx, FZ_ACTS_AFTER_END, r->ring, a->verb, r->flow);
	return ret;
}

#endif
