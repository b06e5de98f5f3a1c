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

/* Return true if the CQE of a child of an ending flow is posted for its new file. */
static __always_inline bool file_posts(struct bpf_io_uring_ctx *ctx, __s32 res,
				       __u32 verdict)
{
	if (!(ctx->flags & BPF_IO_URING_F_ENDING) || (verdict & BPF_IO_URING_DROP_BUF) ||
	    res < 0)
		return false;
	return ctx->opcode == IORING_OP_ACCEPT || ctx->opcode == IORING_OP_SOCKET ||
	       ctx->opcode == IORING_OP_OPENAT || ctx->opcode == IORING_OP_OPENAT2 ||
	       ctx->opcode == IORING_OP_FIXED_FD_INSTALL;
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
	struct fz_flow *f = r->flow;

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
	else if (!(id_flags[id] & FZ_ID_APP))
		complain(ctx, FZ_WATCH_PROG, ring, ctx->user_data, ctx->opcode);
}

#endif
