// SPDX-License-Identifier: GPL-2.0
/*
 * Programs of the fuzzer: perform the actions of a table, and check invariants
 *
 * Each run applies the first rule of its table that matches the event: performs
 * its actions and returns its verdict. It also checks what the kernel guarantees
 * to programs, and adds the CQEs that will result to owe[].
 */
#include "iou_bpf.bpf.h"
#include "fuzz_shared.h"

char LICENSE[] SEC("license") = "GPL";

#define IORING_CQE_F_MORE	(1U << 1)
#define IORING_CQE_F_NOTIF	(1U << 3)
#define EFAULT			14

struct fz_table tables[FZ_TABLES_SIZE];
struct io_uring_sqe sqes[FZ_TMPLS_SIZE];
__u8 sqe_flags[FZ_TMPLS_SIZE];
__u8 id_flags[FZ_IDS];
struct fz_owe owe[FZ_IDS];
struct fz_flow flows[FZ_FLOWS];
struct fz_ring_state rings[FZ_RINGS];
struct fz_thread_state threads[FZ_THREADS];
struct fz_wrong_what wrong;
__u32 nr_wrong;

/* valid uids of each datagram: those of its thread, from this index of uids[] on */
__u32 msg_thread[FZ_MSGS], msg_uid_from[FZ_MSGS];
__u32 nr_msgs;
__u64 msg_base;

/* the worker is cancelling all requests */
__u32 settling;
/* no request or step of the case cancels another request */
__u32 innocent;
/* FZ_LOOSE_*: checks to skip */
__u32 loose;

char scratch[64];

/* Record violation @what, unless there is a previous one. */
static void complain(struct bpf_io_uring_ctx *ctx, __u32 what, __u32 ring, __s64 a,
		     __s64 b)
{
	if (__sync_fetch_and_add(&nr_wrong, 1))
		return;
	wrong.event = ctx->event;
	wrong.opcode = ctx->opcode;
	wrong.flags = ctx->flags;
	wrong.res = ctx->res;
	wrong.ring = ring;
	wrong.a = a;
	wrong.b = b;
	barrier();
	wrong.what = what;
}

/* Expect at least @lo and at most @hi more CQEs with @user_data. */
static __always_inline void count_cqe(__u64 user_data, __s64 lo, __s64 hi)
{
	__u32 id = user_data & (FZ_IDS - 1);

	__sync_fetch_and_add(&owe[id].lo, lo);
	__sync_fetch_and_add(&owe[id].hi, hi);
}

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

struct run {
	struct fz_flow *flow;
	__u32 ring;
	/* successful calls of bpf_io_uring_drop() and bpf_io_uring_unlink() */
	__u32 edits;
	__u32 res_written;
};

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
	__u32 t = tmpl_of(r, a);

	if (sqe_flags[t] & FZ_T_MSG)
		sqes[t].addr = msg_addr(r->flow ? r->flow->thread : FZ_THREADS);
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

static int do_issue(struct bpf_io_uring_ctx *ctx, struct run *r,
		    const struct fz_act *a)
{
	struct io_uring_sqe *sqe = prepare(r, a);
	__u32 t = tmpl_of(r, a);
	__u32 size = a->size;
	int ret;

	ret = bpf_io_uring_issue(ctx, sqe, size & 64 ? 64 : size & 63, a->flags);
	if (ret)
		return ret;
	if (a->flags & BPF_IO_URING_ISSUE_APP) {
		count_app(t);
		return 0;
	}
	if (sqe_flags[t] & FZ_T_SLACK)
		count_cqe(sqe->user_data, 0, 1);
	if (r->flow) {
		r->flow->children++;
		if (sqe_flags[t] & FZ_T_ZC)
			r->flow->vague++;
	}
	return 0;
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
	if (r->flow && (loose & FZ_LOOSE_LINKS))
		r->flow->vague++;
	return 0;
}

static int do_again(struct bpf_io_uring_ctx *ctx, struct run *r,
		    const struct fz_act *a)
{
	__u64 off = a->off, addr = a->addr;
	__u32 len = a->len;
	int ret;

	if (a->msg && ctx->opcode == IORING_OP_SEND && r->flow) {
		off = 0;
		addr = msg_addr(r->flow->thread);
		len = 8;
	}
	ret = bpf_io_uring_again(ctx, off, addr, len);
	if (!ret && r->flow)
		r->flow->children++;
	return ret;
}

static int do_post(struct bpf_io_uring_ctx *ctx, struct run *r,
		   const struct fz_act *a)
{
	__u32 ring = r->ring;
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

	/* the verifier does not know */
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
	return ret;
}

static int do_complete(struct bpf_io_uring_ctx *ctx, struct run *r,
		       const struct fz_act *a)
{
	int ret = bpf_io_uring_complete(ctx, a->len);

	if (!ret && r->flow) {
		r->flow->over = 1;
		r->flow->res = a->len;
		r->flow->res_known = 1;
	}
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

static int do_buffer(struct bpf_io_uring_ctx *ctx, const struct fz_act *a)
{
	const __u8 *slice;
	__u8 *rw;
	int ret;

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
	ret = bpf_io_uring_buf_read(ctx, a->tmpl, a->off, scratch, 4);
	return ret ?: bpf_io_uring_buf_write(ctx, a->tmpl, a->addr, scratch, 4);
}

static void do_set(struct bpf_io_uring_ctx *ctx, struct run *r,
		   const struct fz_act *a)
{
	/* flags that affect the number of CQEs */
	const __u32 keep = IORING_CQE_F_MORE | IORING_CQE_F_NOTIF |
			   IORING_CQE_F_BUFFER;

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
		if (!r->flow)
			ctx->state[2] = a->off;
		else if (a->tmpl % 3 == 0)
			ctx->state[1] = r->flow->state[1] = a->off;
		else if (a->tmpl % 3 == 1)
			ctx->state[2] = r->flow->state[2] = a->off;
		else
			ctx->state[3] = r->flow->state[3] = a->off;
		break;
	}
}

static __noinline int act(struct bpf_io_uring_ctx *ctx, struct run *r,
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
	case FZ_ITER:
		return do_iter(ctx);
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

static __always_inline __u32 carry_out(struct bpf_io_uring_ctx *ctx,
				       struct run *r, struct fz_rule *rule)
{
	__u32 i;

	bpf_for(i, 0, FZ_ACTS) {
		struct fz_act *a;
		__u32 verb;

		if (i >= rule->nr_acts)
			break;
		a = &rule->acts[i & (FZ_ACTS - 1)];
		verb = a->verb;
		if (verb >= FZ_NR_VERBS)
			continue;
		act(ctx, r, a);
	}
	return rule->verdict;
}

static __noinline int run_table(struct bpf_io_uring_ctx *ctx, struct run *r,
				__u32 table)
{
	__u32 i, verdict = BPF_IO_URING_DEFAULT;

	bpf_for(i, 0, FZ_RULES) {
		struct fz_rule *rule;

		rule = &tables[table & (FZ_TABLES_SIZE - 1)].rules[i & (FZ_RULES - 1)];
		if (!(rule->events & (1 << (ctx->event & 7))))
			continue;
		if (rule->opcode != FZ_ANY_OPCODE && rule->opcode != ctx->opcode)
			continue;
		if (!rule->left)
			continue;
		if (rule->left != ~0U)
			rule->left--;
		verdict = carry_out(ctx, r, rule);
		break;
	}
	return iou_verdict(verdict);
}

static __always_inline void enter(struct bpf_io_uring_ctx *ctx, __u32 ring)
{
	__u32 n = __sync_fetch_and_add(&rings[ring].inside, 1);

	if (n)
		complain(ctx, FZ_TWO_RUNS, ring, n, 0);
	rings[ring].runs++;
}

static __always_inline void leave(__u32 ring)
{
	__sync_fetch_and_add(&rings[ring].inside, -1);
}

/* Return true if a completion of a child posts its CQE. */
static __always_inline bool child_posts(__u32 cflags, __u32 verdict)
{
	verdict &= BPF_IO_URING_DROP_BUF;
	if (cflags & IORING_CQE_F_BUFFER)
		return verdict != BPF_IO_URING_DROP_BUF;
	return verdict == BPF_IO_URING_POST;
}

/* Return true if @verdict drops a CQE of a request of the application. */
static __always_inline bool app_drops(__u32 cflags, __u32 verdict)
{
	verdict &= BPF_IO_URING_DROP_BUF;
	if (cflags & IORING_CQE_F_BUFFER)
		return verdict == BPF_IO_URING_DROP_BUF;
	return verdict == BPF_IO_URING_DROP || verdict == BPF_IO_URING_DROP_BUF;
}

static __always_inline void count_app_verdict(struct bpf_io_uring_ctx *ctx,
					      __u64 user_data, __u32 cflags,
					      __u32 verdict)
{
	if (cflags & IORING_CQE_F_MORE)
		return;
	if (app_drops(cflags, verdict)) {
		count_cqe(user_data, -1, -1);
	} else if (ctx->user_data != user_data) {
		count_cqe(user_data, -1, -1);
		/* without POST, IOSQE_CQE_SKIP_SUCCESS may suppress the CQE */
		count_cqe(ctx->user_data, (verdict & BPF_IO_URING_DROP_BUF) ==
			  BPF_IO_URING_POST ? 1 : 0, 1);
	}
}

/* Check that flows run in the task that submitted them, or in the SQ thread. */
static void check_task(struct bpf_io_uring_ctx *ctx, struct fz_flow *f, __u32 ring)
{
	__u32 tid = bpf_get_current_pid_tgid();

	if (!rings[ring].sqpoll) {
		if (f->tid != tid)
			complain(ctx, FZ_FOREIGN_TASK, ring, f->tid, tid);
		return;
	}
	if (!rings[ring].sq_tid)
		rings[ring].sq_tid = tid;
	if (rings[ring].sq_tid != tid)
		complain(ctx, FZ_FOREIGN_TASK, ring, rings[ring].sq_tid, tid);
}

static void check_state(struct bpf_io_uring_ctx *ctx, struct fz_flow *f,
			__u32 ring)
{
	if (ctx->state[1] != f->state[1] || ctx->state[2] != f->state[2] ||
	    ctx->state[3] != f->state[3])
		complain(ctx, FZ_STATE_CHANGED, ring, ctx->state[1], f->state[1]);
	if (ctx->flow_user_data != f->user_data)
		complain(ctx, FZ_FLOW_USER_DATA, ring, ctx->flow_user_data, f->user_data);
	if (ctx->user_data >> 32 != FZ_COOKIE)
		complain(ctx, FZ_USER_DATA, ring, ctx->user_data, ctx->opcode);
}

static void check_order(struct bpf_io_uring_ctx *ctx, struct fz_flow *f,
			__u32 ring)
{
	bool child = ctx->flags & BPF_IO_URING_F_CHILD;
	bool first = ctx->event == BPF_IO_URING_START ||
		     (ctx->event == BPF_IO_URING_COMPLETE && !child);

	if (f->over)
		complain(ctx, FZ_AFTER_END, ring, ctx->event, f->runs);
	else if (f->runs && first)
		complain(ctx, FZ_START_TWICE, ring, ctx->event, f->runs);
	else if (!f->runs && !first)
		complain(ctx, FZ_NO_START, ring, ctx->event, ctx->flags);
	f->runs++;
}

/* Update the expected number of children, and compare it with nr_children. */
static void count_child(struct bpf_io_uring_ctx *ctx, struct fz_flow *f,
			__u32 ring)
{
	bool child = ctx->flags & BPF_IO_URING_F_CHILD;
	bool zc = ctx->opcode == IORING_OP_SEND_ZC ||
		  ctx->opcode == IORING_OP_SENDMSG_ZC;

	if (ctx->event == BPF_IO_URING_COMPLETE && child) {
		if (!zc || !(ctx->cflags & IORING_CQE_F_MORE)) {
			f->children--;
		}
	} else if (ctx->event == BPF_IO_URING_AUX &&
		   (ctx->cflags & IORING_CQE_F_NOTIF)) {
		f->children--;
	}
	if (f->vague)
		return;
	/* cancellation of a flow discards its staged children */
	if (ctx->event == BPF_IO_URING_CANCEL ? ctx->nr_children > f->children :
						ctx->nr_children != f->children)
		complain(ctx, FZ_CHILDREN, ring, ctx->nr_children, f->children);
}

/* Report a cancellation that no request, step or timeout of the case has caused. */
static void check_innocent(struct bpf_io_uring_ctx *ctx, struct fz_flow *f,
			   __u32 ring)
{
	__u32 id = ctx->user_data & (FZ_IDS - 1);

	if (!innocent || settling || !f->innocent)
		return;
	if (ctx->event == BPF_IO_URING_CANCEL)
		complain(ctx, FZ_INNOCENT_FLOW, ring, f->user_data, f->runs);
	if (ctx->event == BPF_IO_URING_COMPLETE && ctx->res == -ECANCELED &&
	    (ctx->flags & BPF_IO_URING_F_CHILD) &&
	    (id_flags[id] & FZ_ID_PROG) && !(id_flags[id] & FZ_T_GUILTY))
		complain(ctx, FZ_INNOCENT_CHILD, ring, ctx->user_data, ctx->opcode);
}

/* Predict whether the flow ends with this run, and its result. */
static __always_inline void end_of_run(struct bpf_io_uring_ctx *ctx,
				       struct run *r, __s32 res)
{
	struct fz_flow *f = r->flow;

	if (ctx->event == BPF_IO_URING_CANCEL) {
		if (!f->over || !f->res_known) {
			f->res = -ECANCELED;
			f->res_known = 1;
		}
		f->over = 1;
		return;
	}
	if (f->over || f->children || f->vague)
		return;
	/* a flow without children ends */
	f->over = 1;
	f->res = ctx->event != BPF_IO_URING_START && res < 0 ? res : 0;
	f->res_known = !r->res_written;
}

static __noinline int flow_event(struct bpf_io_uring_ctx *ctx, __u32 ring)
{
	struct run r = { .ring = ring };
	__u64 tag = ctx->state[0], user_data = ctx->user_data;
	__u32 idx = tag & (FZ_FLOWS - 1), cflags = ctx->cflags, verdict;
	__s32 res = ctx->res;
	struct fz_flow *f;

	if (tag >> 32 != FZ_MAGIC) {
		complain(ctx, FZ_STATE_TAG, ring, tag, ctx->event);
		return BPF_IO_URING_DEFAULT;
	}
	f = r.flow = &flows[idx];
	check_order(ctx, f, ring);
	check_state(ctx, f, ring);
	check_task(ctx, f, ring);
	count_child(ctx, f, ring);
	check_innocent(ctx, f, ring);

	verdict = run_table(ctx, &r, (tag >> 16) & 0xf);

	if (ctx->event == BPF_IO_URING_COMPLETE || ctx->event == BPF_IO_URING_AUX) {
		if (!(ctx->flags & BPF_IO_URING_F_CHILD)) {
			count_app_verdict(ctx, user_data, cflags, verdict);
			if (r.res_written)
				id_flags[user_data & (FZ_IDS - 1)] |= FZ_ID_RES;
		} else if (child_posts(cflags, verdict) &&
			 !(cflags & IORING_CQE_F_MORE))
			count_cqe(ctx->user_data, 1, 1);
	}
	end_of_run(ctx, &r, res);
	return verdict;
}

static void check_watch(struct bpf_io_uring_ctx *ctx, __u32 ring)
{
	struct fz_ring_state *rs = &rings[ring];
	__u64 bits = rs->opcodes[ctx->opcode >> 6 & 1];
	__u32 id = ctx->user_data & (FZ_IDS - 1);

	if (!(ctx->flags & BPF_IO_URING_F_MATCH) || ctx->flow_user_data ||
	    ctx->state[0] || ctx->state[1] || ctx->state[2] || ctx->state[3] ||
	    (ctx->event != BPF_IO_URING_COMPLETE && ctx->event != BPF_IO_URING_AUX))
		complain(ctx, FZ_WATCH_CONTEXT, ring, ctx->flags, ctx->event);
	if (((rs->opcodes[0] | rs->opcodes[1]) &&
	     !(bits & 1ULL << (ctx->opcode & 63))) ||
	    (ctx->user_data & rs->user_data_mask) != rs->user_data ||
	    ctx->opcode == IORING_OP_BPF || ctx->opcode == IORING_OP_TIMEOUT)
		complain(ctx, FZ_WATCH_FILTER, ring, ctx->user_data, ctx->opcode);
	if (ctx->user_data >> 32 != FZ_COOKIE)
		complain(ctx, FZ_USER_DATA, ring, ctx->user_data, ctx->opcode);
	else if (!(id_flags[id] & FZ_ID_APP) && !(loose & FZ_LOOSE_WATCH))
		complain(ctx, FZ_WATCH_PROG, ring, ctx->user_data, ctx->opcode);
}

static __noinline int watch_table(struct bpf_io_uring_ctx *ctx, __u32 ring,
				  __u32 sleepable)
{
	struct run r = { .ring = ring };
	__u64 user_data = ctx->user_data;
	__u32 cflags = ctx->cflags, verdict;

	if (!(rings[ring].watch_ok & 1 << sleepable))
		complain(ctx, FZ_WATCH_OLD, ring, rings[ring].watch_ok, sleepable);
	check_watch(ctx, ring);
	verdict = run_table(ctx, &r, 2 * FZ_RINGS + ring);
	count_app_verdict(ctx, user_data, cflags, verdict);
	return verdict;
}

static __always_inline int watch_event(struct bpf_io_uring_ctx *ctx, __u32 ring)
{
	return watch_table(ctx, ring, 0);
}

static __always_inline int watch_event_s(struct bpf_io_uring_ctx *ctx, __u32 ring)
{
	return watch_table(ctx, ring, 1);
}

#define FZ_PROG(name, section, ring, fn)				\
SEC(section)								\
int name(struct bpf_io_uring_ctx *ctx)					\
{									\
	int verdict;							\
									\
	enter(ctx, ring);							\
	verdict = fn(ctx, ring);					\
	leave(ring);							\
	return iou_verdict(verdict);					\
}

/* address in user space, 0: none. Its page may be missing: a read then sleeps. */
__u64 user_word;

static __noinline int flow_event_s(struct bpf_io_uring_ctx *ctx, __u32 ring)
{
	if (user_word)
		bpf_copy_from_user(scratch, 8, (const void *)user_word);
	return flow_event(ctx, ring);
}

FZ_PROG(flow0, "iouring", 0, flow_event)
FZ_PROG(flow1, "iouring", 1, flow_event)
FZ_PROG(flow2, "iouring", 2, flow_event)
FZ_PROG(flow_s0, "iouring.s", 0, flow_event_s)
FZ_PROG(flow_s1, "iouring.s", 1, flow_event_s)
FZ_PROG(flow_s2, "iouring.s", 2, flow_event_s)
FZ_PROG(watch0, "iouring", 0, watch_event)
FZ_PROG(watch1, "iouring", 1, watch_event)
FZ_PROG(watch2, "iouring", 2, watch_event)
FZ_PROG(watch_s0, "iouring.s", 0, watch_event_s)
FZ_PROG(watch_s1, "iouring.s", 1, watch_event_s)
FZ_PROG(watch_s2, "iouring.s", 2, watch_event_s)

/* A program that does not write to its context: the kernel has a fast path. */
__u64 nr_plain;

SEC("iouring")
int watch_plain(struct bpf_io_uring_ctx *ctx)
{
	__sync_fetch_and_add(&nr_plain, 1);
	return BPF_IO_URING_DEFAULT;
}

/* Flow of an independent process, which must make progress during all cases. */
__u64 nr_hops SEC(".data.neighbour");

SEC("iouring")
int neighbour(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	if (ctx->event == BPF_IO_URING_START) {
		iou_prep_nop(&sqe, 0);
		iou_issue(ctx, &sqe);
	} else if (ctx->event == BPF_IO_URING_COMPLETE && ctx->state[0]) {
		ctx->state[0] = ctx->state[0] - 1;
		nr_hops++;
		bpf_io_uring_again(ctx, 0, 0, 0);
	}
	return BPF_IO_URING_DEFAULT;
}
