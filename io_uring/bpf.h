/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_H
#define IOU_BPF_H

#include <linux/io_uring_types.h>
#include <linux/bpf_io_uring.h>

struct io_cancel_data;

/* ->bpf_id of the request before a flow in its chain, flows have others */
#define IO_BPF_ID_PRED		U32_MAX

static inline bool io_has_bpf(struct io_ring_ctx *ctx)
{
	/* some look without ->uring_lock, it's set before it matters to them */
	return (data_race(ctx->int_flags) & IO_RING_F_BPF) &&
	       IS_ENABLED(CONFIG_IO_URING_BPF_PROG);
}

static inline u32 io_bpf_id(struct io_kiocb *req)
{
#ifdef CONFIG_IO_URING_BPF_PROG
	return req->bpf_id;
#else
	return IO_BPF_ID_PRED;
#endif
}

/* Did a BPF program issue @req? Holds from its preparation to its completion. */
static inline bool io_bpf_is_child(struct io_kiocb *req)
{
	return (req->flags & REQ_F_BPF) && io_bpf_id(req) != IO_BPF_ID_PRED;
}

#ifdef CONFIG_IO_URING_BPF_PROG

#define IO_BPF_MAX_SLOTS	16
#define IO_BPF_MAX_FLOWS	65536
/* what one run of a program may stage */
#define IO_BPF_MAX_SQES		32
#define IO_BPF_MAX_CQES		16
/* CQEs of a flush; a run starts only if it can have IO_BPF_MAX_CQES of them */
#define IO_BPF_FLUSH_CQES	64
/* requests that are issued until others have had a go, see io_bpf_must_park() */
#define IO_BPF_BUDGET		256

enum {
	/* has been issued: it's on ->active and its program may run */
	IO_BPF_F_ACTIVE		= 1U << 0,
	/* a request before it in its chain is its first event, hence no START */
	IO_BPF_F_PRED		= 1U << 1,
	/* that request has completed, and the flow has left its chain */
	IO_BPF_F_TAKEN		= 1U << 2,
	/* its own task work is queued, and has to run before the flow completes */
	IO_BPF_F_QUEUED		= 1U << 3,
	/* completes with ->res once its children have, runs no program any more */
	IO_BPF_F_ENDING		= 1U << 4,
	/* ENDING by force, the chain behind it has been failed */
	IO_BPF_F_KILLED		= 1U << 5,
	/* has completed, nothing refers to it any more */
	IO_BPF_F_DONE		= 1U << 6,
};

/*
 * ->async_data of an IORING_OP_BPF request. Everything in it is protected by
 * ->uring_lock.
 */
struct io_bpf_flow {
	struct io_kiocb		*req;
	u32			id;
	u32			slot;
	u32			flags;
	/* of the flow's CQE, as far as is known */
	s32			res;
	/* staged or in flight */
	u32			nr_children;
	u64			state[4];
	/* staged requests, the SQE is in ->cmd */
	struct io_wq_work_list	staged;
	/* on one of ->events, ->ready, ->parked and ->kills of the ring, or empty */
	struct list_head	node;
};

/* A CQE that a program staged, to be posted right before that of @before. */
struct io_bpf_cqe {
	struct io_kiocb		*before;
	u64			user_data;
	s32			res;
	u32			flags;
};

/*
 * What a ring has once a program was attached. Links hold a reference, as does
 * the ring, and neither keeps the other. Lock order: ->lock, ->uring_lock. All
 * but ->ctx is protected by ->uring_lock.
 */
struct io_bpf_ring {
	refcount_t		refs;
	/* protects ->ctx, which is NULL when the ring is gone */
	struct mutex		lock;
	struct io_ring_ctx	*ctx;

	struct bpf_prog		*progs[IO_BPF_MAX_SLOTS];
	/* by ->bpf_id of their children, from preparation to completion */
	struct xarray		flows;
	/* issued flows, for cancellation */
	struct hlist_head	active;
	/* flows whose START has not run */
	struct list_head	events;
	/* flows with staged requests */
	struct list_head	ready;
	/* same, but ->park_work comes first */
	struct list_head	parked;
	/* flows whose children are to be cancelled */
	struct list_head	kills;
	struct delayed_work	park_work;

	/* IO_BPF_MAX_SQES requests at the start of a run, if there is memory */
	struct io_wq_work_node	spare;
	unsigned int		nr_spare;
	/* requests that may be issued before io_bpf_park_work() has to run */
	unsigned int		budget;
	/* in a flush that must not issue, as a handler further up is active */
	unsigned int		nested;

	unsigned int		nr_cqes;
	struct io_bpf_cqe	cqes[IO_BPF_FLUSH_CQES];
};

/* One run of a program. Kfuncs get to it from the context. */
struct io_bpf_run {
	struct bpf_io_uring_ctx	ctx;
	struct io_bpf_ring	*br;
	struct io_bpf_flow	*flow;
	/* NULL on BPF_IO_URING_START */
	struct io_kiocb		*req;
	unsigned int		nr_sqes;
	unsigned int		nr_cqes;
};

int io_bpf_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_bpf_issue(struct io_kiocb *req, unsigned int issue_flags);
void io_bpf_cleanup(struct io_kiocb *req);

int io_bpf_cancel(struct io_ring_ctx *ctx, struct io_cancel_data *cd,
		  unsigned int issue_flags);
bool io_bpf_remove_all(struct io_ring_ctx *ctx, struct io_uring_task *tctx,
		       bool cancel_all);
void io_bpf_cancel_slot(struct io_bpf_ring *br, u32 slot);
void io_bpf_update_flag(struct io_ring_ctx *ctx);
void io_bpf_queue_tw(struct io_bpf_flow *flow);
void io_bpf_mark_killed(struct io_bpf_flow *flow);
bool io_bpf_child_ending(struct io_kiocb *req);

/* bpf_run.c */
void io_bpf_flush_completions(struct io_ring_ctx *ctx);
void io_bpf_settle(struct io_bpf_flow *flow);
bool io_bpf_can_run(struct io_bpf_flow *flow);

/* bpf_issue.c */
void io_bpf_refill_spare(struct io_bpf_ring *br);
void io_bpf_return_spare(struct io_ring_ctx *ctx);
int io_bpf_stage(struct io_bpf_run *run, const struct io_uring_sqe *sqe);
void io_bpf_drop_staged(struct io_bpf_flow *flow);
void io_bpf_apply(struct io_bpf_ring *br);
void io_bpf_park_work(struct work_struct *work);

/* bpf_link.c */
void io_bpf_ring_exit(struct io_ring_ctx *ctx);

/* io_uring.c */
void io_bpf_post_completions(struct io_ring_ctx *ctx,
			     const struct io_bpf_cqe *cqe, unsigned int nr);
void io_bpf_submit_child(struct io_kiocb *req, struct io_ring_ctx *ctx,
			 const struct io_uring_sqe *sqe, u32 id);
void io_bpf_issue_flow(struct io_kiocb *req);

static inline void io_bpf_nest(struct io_ring_ctx *ctx)
{
	if (ctx->bpf_ring)
		ctx->bpf_ring->nested++;
}

static inline void io_bpf_unnest(struct io_ring_ctx *ctx)
{
	if (ctx->bpf_ring)
		ctx->bpf_ring->nested--;
}

#else

static inline void io_bpf_flush_completions(struct io_ring_ctx *ctx)
{
}

static inline void io_bpf_nest(struct io_ring_ctx *ctx)
{
}

static inline void io_bpf_unnest(struct io_ring_ctx *ctx)
{
}

static inline void io_bpf_return_spare(struct io_ring_ctx *ctx)
{
}

static inline void io_bpf_ring_exit(struct io_ring_ctx *ctx)
{
}

static inline int io_bpf_cancel(struct io_ring_ctx *ctx,
				struct io_cancel_data *cd,
				unsigned int issue_flags)
{
	return -ENOENT;
}

static inline bool io_bpf_child_ending(struct io_kiocb *req)
{
	return false;
}

static inline bool io_bpf_remove_all(struct io_ring_ctx *ctx,
				     struct io_uring_task *tctx,
				     bool cancel_all)
{
	return false;
}

#endif
#endif
