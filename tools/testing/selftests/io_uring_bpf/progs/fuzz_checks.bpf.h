/* SPDX-License-Identifier: GPL-2.0 */
/* What every run checks and counts */
#ifndef FUZZ_CHECKS_BPF_H
#define FUZZ_CHECKS_BPF_H

#include "fuzz_books.bpf.h"

/* Return true if a completion of a child posts its CQE. */
static __always_inline bool child_posts(__u32 cflags, __u32 verdict)
{
	verdict &= BPF_IO_URING_DROP_BUF;
	if (cflags & IORING_CQE_F_BUFFER)
		return verdict != BPF_IO_URING_DROP_BUF;
	return verdict == BPF_IO_URING_POST;
}

/*
 * Return true if the CQE of a child of an ending flow is posted because the program does
 * not decide about its file or buffer. Each of these CQEs is the last one.
 */
static __always_inline bool ending_posts(struct bpf_io_uring_ctx *ctx, __s32 res,
					 __u32 cflags, __u32 verdict)
{
	if (!(ctx->flags & BPF_IO_URING_F_ENDING) || (verdict & BPF_IO_URING_DROP_BUF) ||
	    (ctx->event != BPF_IO_URING_AUX && (cflags & IORING_CQE_F_MORE)))
		return false;
	if (cflags & IORING_CQE_F_BUFFER)
		return true;
	return res >= 0 &&
	       (ctx->opcode == IORING_OP_ACCEPT || ctx->opcode == IORING_OP_SOCKET ||
		ctx->opcode == IORING_OP_OPENAT || ctx->opcode == IORING_OP_OPENAT2 ||
		ctx->opcode == IORING_OP_FIXED_FD_INSTALL ||
		ctx->opcode == IORING_OP_FILES_UPDATE || ctx->opcode == IORING_OP_PIPE);
}

/* Return true if @verdict drops a CQE of a request of the application. */
static __always_inline bool app_drops(__u32 cflags, __u32 verdict)
{
	verdict &= BPF_IO_URING_DROP_BUF;
	if (cflags & IORING_CQE_F_BUFFER)
		return verdict == BPF_IO_URING_DROP_BUF;
	return verdict == BPF_IO_URING_DROP || verdict == BPF_IO_URING_DROP_BUF;
}

/* Return what two verdicts say about the CQE, of which @verdict is the later one. */
static __always_inline __u32 join_verdicts(__u32 before, __u32 verdict)
{
	return verdict & BPF_IO_URING_DROP_BUF ?: before & BPF_IO_URING_DROP_BUF;
}

/*
 * A run has returned @verdict, @before is that of earlier runs for the same completion.
 * The caller has counted the CQE with @user_data, unless @before drops it.
 */
static __always_inline void count_app_verdict(struct bpf_io_uring_ctx *ctx,
					      __u64 user_data, __u32 cflags,
					      __u32 before, __u32 verdict)
{
	bool was_dropped = app_drops(cflags, before);

	verdict = join_verdicts(before, verdict);
	if (cflags & IORING_CQE_F_MORE)
		return;
	if (app_drops(cflags, verdict)) {
		if (!was_dropped)
			count_cqe(user_data, -1, -1);
	} else if (was_dropped) {
		count_cqe(ctx->user_data, 1, 1);
	} else if (ctx->user_data != user_data) {
		count_cqe(user_data, -1, -1);
		/* without POST, IOSQE_CQE_SKIP_SUCCESS may suppress the CQE */
		count_cqe(ctx->user_data, verdict == BPF_IO_URING_POST ? 1 : 0, 1);
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

	if (f->over && !(ctx->flags & BPF_IO_URING_F_ENDING))
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
		if (!zc || !(ctx->cflags & IORING_CQE_F_MORE))
			f->children--;
	} else if (ctx->event == BPF_IO_URING_AUX &&
		   (ctx->cflags & IORING_CQE_F_NOTIF)) {
		f->children--;
	}
	if (f->vague)
		return;
	if (ctx->nr_children != f->children)
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

/* Return true if a child was to cancel another request, and has come too late. */
static __always_inline bool cancelled_none(struct bpf_io_uring_ctx *ctx, __s32 res)
{
	if ((res != -ENOENT && res != -EALREADY) || !(ctx->flags & BPF_IO_URING_F_CHILD))
		return false;
	return ctx->opcode == IORING_OP_ASYNC_CANCEL ||
	       ctx->opcode == IORING_OP_POLL_REMOVE ||
	       ctx->opcode == IORING_OP_TIMEOUT_REMOVE;
}

/* Predict whether the flow ends with this run, and its result. */
static __always_inline void end_of_run(struct bpf_io_uring_ctx *ctx,
				       struct run *r, __s32 res)
{
	struct fz_flow *f = flow_of(r);

	if (!f)
		return;
	if (ctx->event == BPF_IO_URING_CANCEL) {
		if (!f->over || !f->res_known) {
			f->res = -ECANCELED;
			f->res_known = 1;
		}
		f->over = 1;
		return;
	}
	/* cancelled, and CANCEL may follow, or without memory */
	if (!f->over && (ctx->flags & BPF_IO_URING_F_ENDING)) {
		f->over = 1;
		return;
	}
	if (f->over || f->children || f->vague)
		return;
	/* a flow without children ends */
	f->over = 1;
	f->res = ctx->event != BPF_IO_URING_START && res < 0 && !cancelled_none(ctx, res) ?
		 res : r->error;
	f->res_known = !r->res_written;
}

/* Return true if the filter of a watching program selects the request. */
static __always_inline bool watcher_wants(const struct fz_watcher *w, __u8 opcode,
					  __u64 user_data)
{
	if ((w->opcodes[0] | w->opcodes[1]) &&
	    !(w->opcodes[opcode >> 6 & 1] & 1ULL << (opcode & 63)))
		return false;
	/* a program has changed it, and the filter applies to that of the request */
	if ((user_data & (FZ_IDS - 1)) >= ID_POST)
		return true;
	return (user_data & w->user_data_mask) == w->user_data;
}

static void check_watch(struct bpf_io_uring_ctx *ctx, __u32 ring, __u32 w)
{
	__u32 id = ctx->user_data & (FZ_IDS - 1);

	if (!(ctx->flags & BPF_IO_URING_F_MATCH) || ctx->flow_user_data ||
	    ctx->state[0] || ctx->state[1] || ctx->state[2] || ctx->state[3] ||
	    (ctx->event != BPF_IO_URING_COMPLETE && ctx->event != BPF_IO_URING_AUX))
		complain(ctx, FZ_WATCH_CONTEXT, ring, ctx->flags, ctx->event);
	if (!watcher_wants(&rings[ring].watchers[w], ctx->opcode, ctx->user_data) ||
	    ctx->opcode == IORING_OP_BPF || ctx->opcode == IORING_OP_TIMEOUT)
		complain(ctx, FZ_WATCH_FILTER, ring, ctx->user_data, ctx->opcode);
	if (ctx->user_data >> 32 != FZ_COOKIE)
		complain(ctx, FZ_USER_DATA, ring, ctx->user_data, ctx->opcode);
	else if (!(id_flags[id] & FZ_ID_APP))
		complain(ctx, FZ_WATCH_PROG, ring, ctx->user_data, ctx->opcode);
}

/* Return the part of the flags of a CQE that a program can change. */
static __always_inline __u32 writable_cflags(__u32 cflags)
{
	if (cflags & IORING_CQE_F_BUFFER)
		cflags &= (1U << IORING_CQE_BUFFER_SHIFT) - 1 - IORING_CQE_F_BUF_MORE;
	return cflags & ~(IORING_CQE_F_32 | IORING_CQE_F_SKIP);
}

/* A program sees a completion as the program before it has left it. */
static void check_passed_on(struct bpf_io_uring_ctx *ctx, __u32 ring)
{
	struct fz_seen *s = &rings[ring].seen;

	if (ctx->user_data != s->user_data || ctx->event != s->event ||
	    ctx->opcode != s->opcode)
		complain(ctx, FZ_WATCH_LEFT, ring, ctx->user_data, s->user_data);
	else if (ctx->res != s->res)
		complain(ctx, FZ_WATCH_LEFT, ring, ctx->res, s->res);
	else if (writable_cflags(ctx->cflags) != writable_cflags(s->cflags))
		complain(ctx, FZ_WATCH_LEFT, ring, ctx->cflags, s->cflags);
}

/* The program in the lowest slot that matches sees a completion first. */
static void check_first(struct bpf_io_uring_ctx *ctx, __u32 ring, __u32 w)
{
	struct fz_watcher *first = &rings[ring].watchers[0];

	if (w && ((rings[ring].plain && !plain_next) ||
		  (first->ok && watcher_wants(first, ctx->opcode, ctx->user_data))))
		complain(ctx, FZ_WATCH_ORDER, ring, w, rings[ring].plain);
}

/*
 * The second watching program reissues a request with @user_data in its CQE: what the first
 * one has decided does not count.
 */
static void take_back(__u32 ring, __u64 user_data, __u32 cflags)
{
	const struct fz_seen *s = &rings[ring].seen;

	if (cflags & IORING_CQE_F_MORE)
		return;
	if (app_drops(cflags, s->verdict)) {
		count_cqe(s->app_user_data, 1, 1);
	} else if (s->app_user_data != user_data) {
		count_cqe(s->app_user_data, 1, 1);
		count_cqe(user_data, s->verdict == BPF_IO_URING_POST ? -1 : 0, -1);
	}
}

/*
 * The first watching program has passed the completion of a request with @user_data on.
 * Note whether the second one sees it, and what it sees.
 */
static void pass_on(struct bpf_io_uring_ctx *ctx, __u32 ring, __u64 user_data,
		    __u32 verdict)
{
	struct fz_watcher *second = &rings[ring].watchers[1];
	struct fz_seen *s = &rings[ring].seen;

	if (!second->ok || (rings[ring].plain && !plain_next) ||
	    !watcher_wants(second, ctx->opcode, user_data))
		return;
	s->next = 2;
	s->app_user_data = user_data;
	s->user_data = ctx->user_data;
	s->res = ctx->res;
	s->cflags = ctx->cflags;
	s->event = ctx->event;
	s->opcode = ctx->opcode;
	s->verdict = verdict;
}

#endif
