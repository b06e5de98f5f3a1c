/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_H
#define IOU_BPF_H

#include <linux/io_uring_types.h>
#include <linux/bpf_io_uring.h>

#include "slist.h"
#include "bpf_id.h"
#include "bpf_chain.h"

struct io_cancel_data;

#ifdef CONFIG_IO_URING_BPF_PROG

/* a completion may have to be compared with as many watchers */
#define IO_BPF_MAX_SLOTS	16
/*
 * What one run of a program may stage. A kfunc can't allocate, so there has to be
 * memory for all of that before the program starts, used or not.
 */
#define IO_BPF_MAX_SQES		32
#define IO_BPF_MAX_CQES		16
/*
 * CQEs of a flush. A run starts only if it can have IO_BPF_MAX_CQES of them, and
 * one for the completion of a child that it issues again.
 */
#define IO_BPF_FLUSH_CQES	64
/*
 * Requests at hand. A staged SQE is in one of them, and becomes another: those
 * of a run, one that is there as long as anything is staged, and one for what is
 * issued as soon as the program has returned.
 */
#define IO_BPF_KEEP_SPARE	2
#define IO_BPF_MIN_SPARE	(IO_BPF_MAX_SQES + IO_BPF_MAX_LINKS +		\
				 IO_BPF_KEEP_SPARE)
#define IO_BPF_MAX_SPARE	(2 * IO_BPF_MIN_SPARE)

/* ->bpf_flow.flags of an IORING_OP_BPF request */
enum {
	/* has been issued: its program may run */
	IO_BPF_F_ACTIVE		= 1U << 0,
	/* a request before it in its chain is its first event, hence no START */
	IO_BPF_F_PRED		= 1U << 1,
	/* that request has completed, and the flow has left its chain */
	IO_BPF_F_TAKEN		= 1U << 2,
	/* its own task work is queued, and has to run before the flow completes */
	IO_BPF_F_QUEUED		= 1U << 3,
	/*
	 * completes with ->cqe.res once its children have, and runs no program;
	 * always set on what stands in for a flow when a program watches
	 */
	IO_BPF_F_ENDING		= 1U << 4,
	/* ENDING by force, the chain behind it has been failed */
	IO_BPF_F_KILLED		= 1U << 5,
	/* has completed, nothing refers to it any more */
	IO_BPF_F_DONE		= 1U << 6,
	/*
	 * the run wants something done to the chain, or is in IO_BPF_RUN_GROUPS;
	 * tested along with ENDING
	 */
	IO_BPF_F_EDIT		= 1U << 7,
	/* on ->events of the ring, and has to leave it before it completes */
	IO_BPF_F_EVENT		= 1U << 8,
	/* KILLED, and its program is to be told before the children are */
	IO_BPF_F_CANCEL		= 1U << 9,
	/* when it has ended the chain goes on, or is cut, whatever its result */
	IO_BPF_F_GO_ON		= 1U << 10,
	IO_BPF_F_CUT		= 1U << 11,
	/* ENDING, and its task has looked for its children and cancelled them */
	IO_BPF_F_SEARCHED	= 1U << 12,
	/* has a personality, which its program's requests get by default */
	IO_BPF_F_CREDS		= 1U << 13,
};

/* A CQE that a program staged, to be posted before the @pos-th of the batch. */
struct io_bpf_cqe {
	unsigned int		pos;
	struct io_cqe		cqe;
	/* the rest of a CQE of 32 bytes */
	struct io_big_cqe	big;
};

/* Which requests a watching program gets to see. */
struct io_bpf_match {
	u64			opcodes[2];
	u64			user_data;
	u64			user_data_mask;
};

struct io_bpf_watcher {
	struct bpf_prog		*prog;
	struct io_bpf_match	match;
	/* it neither sleeps nor writes to its context, nor has it any ->state */
	bool			plain;
};

/* ->run.walk once bpf_io_uring_issue() keeps SQEs together, see bpf_stage.c */
#define IO_BPF_RUN_GROUPS	2

/* The run of a program, for its kfuncs. */
struct io_bpf_run {
	/* NULL on BPF_IO_URING_START */
	struct io_kiocb		*req;
	u8			nr_sqes;
	u8			nr_cqes;
	/* the first SQE has to wait, else it goes to ->sqe of the ring */
	u8			walk;
	/* @req is to be issued once more, with that length */
	bool			again;
	u32			again_len;
	/* of the chain that is being staged, with IO_BPF_RUN_GROUPS */
	struct io_kiocb		*head;
	struct io_kiocb		*last;
};

/*
 * What a ring has once a program was attached. Links hold a reference, as does
 * the ring, and neither keeps the other. Lock order: ->lock, ->uring_lock. All
 * but ->ctx is protected by ->uring_lock.
 */
struct io_bpf_ring {
	/* of the flush: whose flows may run */
	struct io_uring_task	*tctx;
	struct io_bpf_run	run;
	/* of the request that is to be issued once more, with ->run.again_len */
	u64			again_off;
	u64			again_addr;
	struct io_uring_sqe	sqe;

	/* by ->bpf_id of their children, from preparation to completion */
	struct io_kiocb		**flows;
	/* by slot, either of them */
	struct bpf_prog		*progs[IO_BPF_MAX_SLOTS];
	struct io_bpf_watcher	watchers[IO_BPF_MAX_SLOTS];

	/* what programs have staged, see bpf_stage.c */
	struct io_wq_work_list	ready;
	/* same, but the task has to come by again */
	struct io_wq_work_list	parked;
	/*
	 * SQEs to be linked behind flows, or for the application, and what else a
	 * run does to a chain
	 */
	struct io_wq_work_list	links;
	struct io_bpf_edit	edit;
	/* requests to stage in, at least IO_BPF_MIN_SPARE when a program runs */
	struct io_wq_work_node	spare;
	unsigned int		nr_spare;
	/* requests that may be issued before the task must have come by again */
	unsigned int		budget;
	/* CQEs of requests that go on that may be dropped until then */
	unsigned int		aux_budget;
	/* in a flush that must not issue, as a handler further up is active */
	unsigned int		nested;

	/* requests to be posted or freed, how many, and CQEs in between */
	struct io_wq_work_list	post;
	unsigned int		nr_post;
	unsigned int		nr_cqes;
	/* what these take of the CQ */
	unsigned int		cq_entries;
	/* both */
	unsigned int		nr_pending;
	/* there is something to be done before the next hop */
	bool			interrupt;
	struct io_bpf_cqe	cqes[IO_BPF_FLUSH_CQES];
	/* an SQE where requests may copy 128 bytes, those behind it are zero */
	struct io_uring_sqe	wide_sqe[2];

	/* of the watchers that want an opcode, that of the lowest slot */
	struct io_bpf_watcher	*first_watcher[IORING_OP_LAST];
	/* stands in for a flow when a program watches */
	struct io_kiocb		watch;

	/* entries of ->flows, those in use, and the first of those that are not */
	unsigned int		max_flows;
	unsigned int		nr_flows;
	unsigned int		free_flow;
	/* requests with IO_BPF_ID_APP, staged or in flight */
	unsigned int		nr_apps;

	/* issued flows, for cancellation */
	struct hlist_head	active;
	/* flows whose START has not run */
	struct io_wq_work_list	events;
	/* flows whose children are to be cancelled */
	struct hlist_head	kills;
	struct delayed_work	park_work;
	/* of the task, when what was parked has last been brought back */
	unsigned long		turn;

	refcount_t		refs;
	/* protects ->ctx, which is NULL when the ring is gone */
	struct mutex		lock;
	struct io_ring_ctx	*ctx;
};

/*
 * The context of a flow's program lies in the flow's request: in ->cmd, and for
 * ->flow_user_data in ->cqe. The gap between is no part of the context.
 */
static inline struct bpf_io_uring_ctx *io_bpf_ctx(struct io_kiocb *flow)
{
	BUILD_BUG_ON(offsetofend(struct bpf_io_uring_ctx, state) !=
		     sizeof(flow->cmd.data));
	BUILD_BUG_ON(offsetof(struct bpf_io_uring_ctx, flow_user_data) !=
		     offsetof(struct io_kiocb, cqe.user_data) -
		     offsetof(struct io_kiocb, cmd.data));
	return (struct bpf_io_uring_ctx *)flow->cmd.data;
}

static inline struct io_kiocb *io_bpf_ctx_to_flow(struct bpf_io_uring_ctx *ctx)
{
	return container_of((void *)ctx, struct io_kiocb, cmd.data[0]);
}

static inline struct io_kiocb *io_bpf_child_flow(struct io_bpf_ring *br,
						 struct io_kiocb *child)
{
	return br->flows[(u16)child->bpf_id];
}

/* Return true if the flow waits for children, or for requests to be linked. */
static inline bool io_bpf_busy(struct io_kiocb *flow)
{
	return io_bpf_ctx(flow)->nr_children || flow->bpf_flow.nr_linking;
}

/* Return the credentials that requests of the flow's program get, NULL if none. */
static inline const struct cred *io_bpf_flow_creds(struct io_kiocb *flow)
{
	return flow->bpf_flow.flags & IO_BPF_F_CREDS ? flow->creds : NULL;
}

/* The program that steers @flow, unless it's gone. */
static inline struct bpf_prog *io_bpf_slot_prog(struct io_bpf_ring *br,
						struct io_kiocb *flow)
{
	return br->progs[flow->bpf_flow.slot];
}

int io_bpf_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_bpf_issue(struct io_kiocb *req, unsigned int issue_flags);
void io_bpf_cleanup(struct io_kiocb *req);
void io_bpf_update_flag(struct io_ring_ctx *ctx);
void io_bpf_queue_tw(struct io_kiocb *flow);
void io_bpf_settle(struct io_kiocb *flow);

/* bpf_cancel.c */
int io_bpf_cancel(struct io_ring_ctx *ctx, struct io_cancel_data *cd,
		  unsigned int issue_flags);
bool io_bpf_remove_all(struct io_ring_ctx *ctx, struct io_uring_task *tctx,
		       bool cancel_all);
void io_bpf_cancel_slot(struct io_bpf_ring *br, u32 slot);
void io_bpf_mark_killed(struct io_kiocb *flow);
void io_bpf_end(struct io_bpf_ring *br, struct io_kiocb *flow);
void io_bpf_cancel_ending(struct io_bpf_ring *br);
bool io_bpf_child_ending(struct io_kiocb *req);
bool io_bpf_child_to_cancel(struct io_kiocb *req);

/* bpf_flush.c */
void io_bpf_flush(struct io_bpf_ring *br);

/* bpf_run.c */
bool io_bpf_can_run(struct io_kiocb *flow);
void io_bpf_run_start(struct io_bpf_ring *br, struct io_kiocb *flow, bool walk);
bool io_bpf_child_complete(struct io_bpf_ring *br, struct io_kiocb *req);
bool io_bpf_pred_complete(struct io_bpf_ring *br, struct io_kiocb *req);
void io_bpf_match_verdict(struct io_bpf_ring *br, u32 verdict);

/* bpf_stage.c */
void io_bpf_refill_spare(struct io_bpf_ring *br);
void io_bpf_return_spare(struct io_ring_ctx *ctx);
void io_bpf_drop_staged(struct io_bpf_ring *br);

/* bpf_issue.c */
void io_bpf_apply(struct io_bpf_ring *br);
bool io_bpf_must_park(struct io_bpf_ring *br);
void io_bpf_park(struct io_bpf_ring *br);
void io_bpf_park_later(struct io_bpf_ring *br);
void io_bpf_unpark(struct io_bpf_ring *br, struct io_uring_task *tctx);
void io_bpf_park_work(struct work_struct *work);
void io_bpf_overflow_ended(struct io_ring_ctx *ctx);

/* bpf_group.c */
void io_bpf_issue_group(struct io_bpf_ring *br, struct io_kiocb *req);
void io_bpf_issue_app(struct io_bpf_ring *br, struct io_kiocb *req);
void io_bpf_app_complete(struct io_bpf_ring *br);

/* bpf_hop.c */
void io_bpf_stage_direct(struct io_bpf_ring *br, struct io_kiocb *flow);
void io_bpf_issue_ready(struct io_bpf_ring *br);
bool io_bpf_flush_completions(struct io_ring_ctx *ctx);

/* bpf_link.c */
void io_bpf_ring_exit(struct io_ring_ctx *ctx);

/* wait.c */
bool io_bpf_task_waits(struct io_ring_ctx *ctx);

/* io_uring.c */
void io_bpf_post_completions(struct io_ring_ctx *ctx,
			     struct io_bpf_cqe *cqe, unsigned int nr);
bool io_bpf_submit_child(struct io_kiocb *req, struct io_ring_ctx *ctx,
			 const struct io_uring_sqe *sqe);
void io_bpf_issue_flow(struct io_kiocb *req);
void io_bpf_queue_group(struct io_kiocb *head);

static inline bool io_bpf_is_watch(struct io_kiocb *flow)
{
	return flow == &flow->ctx->bpf_ring->watch;
}

static inline void io_bpf_nest(struct io_ring_ctx *ctx)
{
	if (ctx->bpf_ring)
		ctx->bpf_ring->nested++;
}

static inline void io_bpf_unnest(struct io_ring_ctx *ctx)
{
	if (ctx->bpf_ring) {
		ctx->bpf_ring->nested--;
		/* it has left to others further up what it must not do */
		ctx->bpf_ring->interrupt = true;
		ctx->submit_state.cq_flush = true;
	}
}

static inline struct io_kiocb *io_bpf_get_spare(struct io_bpf_ring *br)
{
	struct io_wq_work_node *node = br->spare.next;

	br->spare.next = node->next;
	br->nr_spare--;
	return container_of(node, struct io_kiocb, comp_list);
}

static inline void io_bpf_add_spare(struct io_bpf_ring *br, struct io_kiocb *req)
{
	req->comp_list.next = br->spare.next;
	br->spare.next = &req->comp_list;
	br->nr_spare++;
}

static inline void io_bpf_splice(struct io_wq_work_list *from,
				 struct io_wq_work_list *to)
{
	if (!from->first)
		return;
	if (to->first)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	INIT_WQ_LIST(from);
}

#else

static inline bool io_bpf_flush_completions(struct io_ring_ctx *ctx)
{
	return false;
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

static inline void io_bpf_overflow_ended(struct io_ring_ctx *ctx)
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

static inline bool io_bpf_child_to_cancel(struct io_kiocb *req)
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
