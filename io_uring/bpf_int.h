/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_INT_H
#define IOU_BPF_INT_H

/* BPF programs that steer requests: internals of bpf*.c and io_uring.c. */

#include <linux/bpf.h>
#include <linux/bpf_io_uring.h>
#include <linux/io_uring_types.h>
#include <linux/sched/signal.h>
#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "slist.h"
#include "bpf.h"

/* the part of the context that a plain program reads */
#define IO_BPF_PLAIN_CTX	offsetof(struct bpf_io_uring_ctx, state)
#define IO_BPF_LINK_FLAGS	(BPF_F_IOURING_MATCH | BPF_F_IOURING_REGISTERED_RING)
/* slots of a ring: a completion is compared with up to as many watchers */
#define IO_BPF_MAX_SLOTS	16
/* bytes of memory for each flow of a slot */
#define IO_BPF_MAX_FLOW_SIZE	4096
/* limits of one run of a program */
#define IO_BPF_MAX_SQES		128
#define IO_BPF_MAX_CQES		16
#define IO_BPF_MAX_LINKS	8
#define IO_BPF_MAX_CANCELS	8
/* members of a chain that a program can edit, and requests that it has linked */
#define IO_BPF_MAX_MEMBERS	64
#define IO_BPF_MAX_LINKED	128
/* records of a flow's children on ->compl_reqs */
#define IO_BPF_MAX_RECORDS	1024

/* the parts of a verdict */
#define IO_BPF_VERDICT_CQE	BPF_IO_URING_DROP_BUF
#define IO_BPF_VERDICT_CHAIN	(BPF_IO_URING_GO_ON | BPF_IO_URING_CUT)

/* ->bpf_flow.flags of an IORING_OP_BPF request, ACTIVE from issue to DONE */
enum {
	IO_BPF_F_ACTIVE		= 1U << 0,
	/* the completion of the request before the flow is the first event: no START */
	IO_BPF_F_PRED		= 1U << 1,
	/* that request has completed, and the flow has left its chain */
	IO_BPF_F_TAKEN		= 1U << 2,
	/* on ->compl_reqs with an event of its own: START or CANCEL */
	IO_BPF_F_EVENT		= 1U << 3,
	/* its task work was added */
	IO_BPF_F_QUEUED		= 1U << 4,
	/* its children wait on ->bpf_waiting, see bpf_wait.c */
	IO_BPF_F_WAITING	= 1U << 5,
	/* completes with ->cqe.res after its children, and issues no ordinary request */
	IO_BPF_F_ENDING		= 1U << 6,
	/* ENDING by a cancellation; the chain behind the flow has been failed */
	IO_BPF_F_KILLED		= 1U << 7,
	/* KILLED, and the program gets CANCEL before the children are cancelled */
	IO_BPF_F_CANCEL		= 1U << 8,
	/* ENDING, and its children have been cancelled */
	IO_BPF_F_SEARCHED	= 1U << 9,
	IO_BPF_F_DONE		= 1U << 10,
	/* at its end the chain continues, or is cut, whatever the result */
	IO_BPF_F_GO_ON		= 1U << 11,
	IO_BPF_F_CUT		= 1U << 12,
	/* has a personality, the default for the requests of its program */
	IO_BPF_F_CREDS		= 1U << 13,
	/* its program was detached, and the slot can have another one */
	IO_BPF_F_DETACHED	= 1U << 14,
	/* WAITING for room in the CQ, otherwise for time */
	IO_BPF_F_ROOM		= 1U << 15,
};

/* ->run.kind of an SQE that a program issues */
enum {
	IO_BPF_SQE_CHILD	= 0,
	IO_BPF_SQE_APP		= 1U << 0,
	/* linked to the SQE before it */
	IO_BPF_SQE_MEMBER	= 1U << 1,
	/* first of a chain that lacks a member */
	IO_BPF_SQE_BROKEN	= 1U << 2,
};

/* ->run.chain: the last SQE is linked to the next one, or the chain was refused */
enum {
	IO_BPF_CHAIN_NONE,
	IO_BPF_CHAIN_OPEN,
	IO_BPF_CHAIN_REFUSED,
};

/* ->run.again: whether io_bpf_reissue() serves the child */
enum {
	IO_BPF_AGAIN_NO,
	IO_BPF_AGAIN_PLAIN,
	IO_BPF_AGAIN_SLOW,
};

/* edits of a member of a chain */
enum {
	IO_BPF_EDIT_NONE,
	/* cancel the member without a CQE, or with a CQE */
	IO_BPF_EDIT_DROP,
	IO_BPF_EDIT_CANCEL,
	/* issue the member on its own */
	IO_BPF_EDIT_UNLINK,
};

/* What a run has staged. io_bpf_apply() performs it right after the run. */
struct io_bpf_run {
	/* the completed request, NULL for START and CANCEL */
	struct io_kiocb		*req;
	/* of a run without a flow */
	struct io_bpf_watcher	*watcher;
	/* for io_bpf_watch_acted(): there is something to do, and the verdict */
	bool			acted;
	u32			verdict;

	/* 0 if nothing is staged, IO_BPF_ONE_CHILD or IO_BPF_ONE_AGAIN */
	union {
		u64		asked;
		struct {
			u8	nr_sqes;
			/* IO_BPF_AGAIN_PLAIN or IO_BPF_AGAIN_SLOW, see bpf_issue.c */
			u8	again;
			/* ->kind of all SQEs, or'ed: 0 for IO_BPF_ONE_CHILD */
			u8	kinds;
			u8	nr_cqes;
			u8	nr_links;
			u8	nr_cancels;
			bool	edit : 1;
			/* complete() was called, or a kfunc refused with ->error */
			bool	result : 1;
			/* of the next SQE, see IO_BPF_CHAIN_OPEN */
			u8	chain;
		};
	};

	/* the first error of a kfunc that requests something */
	s32			error;

	/* bytes that earlier parts of a watched request have transferred */
	u64			sum;

	/* arguments of bpf_io_uring_again() */
	u32			again_len;
	u64			again_off;
	u64			again_addr;

	/* edits of the chain, by the index of the member before the run */
	u8			edit_ops[IO_BPF_MAX_MEMBERS];
	/* of the members from ->rest on that have no edit in ->edit_ops */
	u8			rest;
	u8			rest_op;

	/* user_data of children to cancel */
	u64			cancels[IO_BPF_MAX_CANCELS];
	bool			cancel_all;

	u8			kind[IO_BPF_MAX_SQES];
	struct io_uring_sqe	sqes[IO_BPF_MAX_SQES];
	struct io_uring_sqe	links[IO_BPF_MAX_LINKS];
	struct {
		struct io_cqe		cqe;
		struct io_big_cqe	big;
	}			cqes[IO_BPF_MAX_CQES];
};

#define IO_BPF_ONE_CHILD	((__force u64)cpu_to_le64(1))
#define IO_BPF_ONE_AGAIN	((__force u64)cpu_to_le64(1 << 8))

/* the requests that a program watches */
struct io_bpf_match {
	u64			opcodes[2];
	u64			user_data;
	u64			user_data_mask;
};

struct io_bpf_watcher {
	struct bpf_prog		*prog;
	struct io_bpf_match	match;
	/* see io_bpf_is_plain() */
	bool			plain;
	/* no program watches in a later slot */
	bool			last;
	u64			nr_runs;
};

/*
 * Counters of a slot, but the runs of its program. None of them is on the way from a
 * completion to the next child: io_bpf_show_slot() tells from the runs how many children
 * were issued, and how many CQEs were not posted.
 */
struct io_bpf_stats {
	/* runs for other events than a CQE of a child */
	u64			nr_other_runs;
	/* children whose completion no program has seen */
	u64			nr_unseen;
	/* CQEs of multishot children that continue, and zero-copy notifications */
	u64			nr_records;
	/* CQEs of children that were posted */
	u64			nr_posted;
	/* requests of the application: issued by the program, and CQEs it has dropped */
	u64			nr_apps;
	u64			nr_app_drops;
	/* see io_bpf_refused() */
	u64			nr_refused;
};

/*
 * Allocated when the first program is attached to a ring. The ring and its links hold
 * references to this struct, but not to each other. Lock order: ->lock, ->uring_lock.
 * All members but ->ctx are protected by ->uring_lock.
 */
struct io_bpf_ring {
	/* of the flush: the task whose programs may run, or NULL, and what is left of its slice */
	struct io_uring_task	*tctx;
	int			slice;
	/* the budget in which flows of the task wait, NULL if the task has none */
	struct io_bpf_budget	*line;
	/* cursor of the walk: the last entry of ->compl_reqs to be posted or freed */
	struct io_wq_work_node	*last;
	/* task work that was added in place, of the next round, and whether it may be kept */
	struct io_kiocb		*kept;
	bool			may_keep;
	/* entries of the CQ that staged CQEs of this walk will take */
	unsigned int		nr_staged;
	struct io_bpf_run	run;

	/* by slot: programs of flows, memory of each flow, and programs that watch */
	struct bpf_prog		*progs[IO_BPF_MAX_SLOTS];
	u16			flow_sizes[IO_BPF_MAX_SLOTS];
	struct io_bpf_watcher	watchers[IO_BPF_MAX_SLOTS];
	/* by slot: runs of programs of flows, and what else is counted */
	u64			nr_runs[IO_BPF_MAX_SLOTS];
	struct io_bpf_stats	stats[IO_BPF_MAX_SLOTS];
	/* by opcode: the watcher with the lowest slot */
	struct io_bpf_watcher	*first_watcher[IORING_OP_LAST];
	/* holds the context of programs that watch, in place of a flow */
	struct io_kiocb		watch;

	/* flows by index, from preparation to completion, and the list of free indexes */
	struct io_kiocb		**flows;
	unsigned int		max_flows;
	unsigned int		nr_flows;
	unsigned int		free_flow;
	/* requests in flight that programs issued with BPF_IO_URING_ISSUE_APP */
	unsigned int		nr_apps;
	/* records of requests of the application, on ->compl_reqs */
	unsigned int		nr_app_records;
	/* flows that wait for room in the CQ */
	struct io_wq_work_list	room;
	/* issued flows, found by cancellations */
	struct hlist_head	active;
	/* ending flows, for io_bpf_cancel_ending() */
	struct hlist_head	kills;

	/* used with IORING_SETUP_DEFER_TASKRUN */
	struct io_bpf_budget	own;
	/* an SQE of 128 bytes, the second half is zero */
	struct io_uring_sqe	wide_sqe[2];

	refcount_t		refs;
	/* protects ->ctx, which is NULL after the ring was freed */
	struct mutex		lock;
	struct io_ring_ctx	*ctx;
};

/*
 * The program context is a part of the flow's request: of ->cmd, for
 * ->flow_user_data of ->cqe, and for ->flow_id of ->bpf_flow. The verifier rejects
 * accesses to the gaps in between.
 */
static inline struct bpf_io_uring_ctx *io_bpf_ctx(struct io_kiocb *flow)
{
	BUILD_BUG_ON(offsetofend(struct bpf_io_uring_ctx, state) !=
		     sizeof(flow->cmd.data));
	BUILD_BUG_ON(offsetof(struct bpf_io_uring_ctx, flow_user_data) !=
		     offsetof(struct io_kiocb, cqe.user_data) -
		     offsetof(struct io_kiocb, cmd.data));
	BUILD_BUG_ON(offsetof(struct bpf_io_uring_ctx, flow_id) !=
		     offsetof(struct io_kiocb, bpf_flow.id) -
		     offsetof(struct io_kiocb, cmd.data));
	return (struct bpf_io_uring_ctx *)flow->cmd.data;
}

static inline struct io_kiocb *io_bpf_ctx_to_flow(struct bpf_io_uring_ctx *ctx)
{
	return container_of((void *)ctx, struct io_kiocb, cmd.data[0]);
}

/* a free entry of ->flows holds the index of the next free entry */
#define IO_BPF_FREE_FLOW(next)	((struct io_kiocb *)((unsigned long)(next) << 1 | 1))
#define IO_BPF_NEXT_FREE(flow)	((unsigned int)((unsigned long)(flow) >> 1))
#define IO_BPF_IS_FREE_FLOW(flow)	((unsigned long)(flow) & 1)

/* Return the flow with index @i below ->max_flows, or NULL if there is none. */
static inline struct io_kiocb *io_bpf_flow_at(struct io_bpf_ring *br, unsigned int i)
{
	return IO_BPF_IS_FREE_FLOW(br->flows[i]) ? NULL : br->flows[i];
}

static inline bool io_bpf_is_watch(struct io_kiocb *flow)
{
	return flow == &flow->ctx->bpf_ring->watch;
}

/*
 * Return true if @opcode releases a resource and does not wait. An ending flow can issue
 * such requests, and they are not cancelled with the flow.
 */
static inline bool io_bpf_op_releases(u8 opcode)
{
	return opcode == IORING_OP_CLOSE || opcode == IORING_OP_PROVIDE_BUFFERS ||
	       opcode == IORING_OP_SHUTDOWN;
}

static inline struct io_kiocb *io_bpf_child_flow(struct io_bpf_ring *br,
						 struct io_kiocb *child)
{
	return br->flows[(u16)child->bpf_id];
}

/* Return the program that steers @flow, NULL if it was detached. */
static inline struct bpf_prog *io_bpf_slot_prog(struct io_bpf_ring *br,
						struct io_kiocb *flow)
{
	return br->progs[flow->bpf_flow.slot];
}

/* Return the credentials of the flow's personality, NULL if it has none. */
static inline const struct cred *io_bpf_flow_creds(struct io_kiocb *flow)
{
	return flow->bpf_flow.flags & IO_BPF_F_CREDS ? flow->creds : NULL;
}

/*
 * Return true if the current task was killed, or exits. Such a task can run task work
 * after it has dequeued SIGKILL: an SQ thread before it cancels its requests, and any task
 * on its way out if the exit is traced (PTRACE_O_TRACEEXIT).
 */
static inline bool io_bpf_task_killed(void)
{
	struct signal_struct *sig = current->signal;

	if (unlikely(current->flags & (PF_USER_WORKER | PF_POSTCOREDUMP)) &&
	    ((current->flags & PF_POSTCOREDUMP) || READ_ONCE(sig->group_exec_task) ||
	     (READ_ONCE(sig->flags) & SIGNAL_GROUP_EXIT)))
		return true;
	return fatal_signal_pending(current);
}

/*
 * Return true if programs may run for requests of @tctx: only in the task of @tctx,
 * whose files, memory and credentials their requests use, and not while the task is being
 * killed, or the task or the ring is going away. A kernel thread has no ->io_uring.
 */
static inline bool io_bpf_may_run(struct io_ring_ctx *ctx, struct io_uring_task *tctx)
{
	return tctx && current->io_uring == tctx && !io_bpf_task_killed() &&
	       !percpu_ref_is_dying(&ctx->refs) && !atomic_read(&tctx->in_cancel);
}

/*
 * Return true if programs may run in this flush. A SIGKILL stops them for the rest of the
 * flush.
 */
static inline bool io_bpf_goes_on(struct io_bpf_ring *br)
{
	if (fatal_signal_pending(current)) {
		br->tctx = NULL;
		br->slice = min(br->slice, 0);
	}
	return br->tctx;
}

/* Return the budget in which flows of the current task wait, NULL if it has none. */
static inline struct io_bpf_budget *io_bpf_line(struct io_bpf_ring *br)
{
	if (br->ctx->flags & IORING_SETUP_DEFER_TASKRUN)
		return &br->own;
	return current->io_uring ? &current->io_uring->bpf : NULL;
}

/* Insert @req at the cursor of the walk, to be posted or freed. */
static inline void io_bpf_insert(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_wq_work_list *list = &br->ctx->submit_state.compl_reqs;
	struct io_wq_work_node *node = &req->comp_list;

	if (br->last) {
		wq_list_add_after(node, br->last, list);
	} else {
		node->next = list->first;
		if (!node->next)
			list->last = node;
		list->first = node;
	}
	br->last = node;
}

/* bpf_info.c */
void io_bpf_trace_run(struct io_bpf_ring *br, struct io_kiocb *flow, u32 verdict);
void io_bpf_trace_kfunc(struct io_kiocb *flow, const char *kfunc, int error);

/* Let an error of @kfunc be traced, if @error is not 0, and return @error. */
static inline int io_bpf_failed(struct io_kiocb *flow, const char *kfunc, int error)
{
	if (error && trace_io_uring_bpf_kfunc_enabled())
		io_bpf_trace_kfunc(flow, kfunc, error);
	return error;
}

static inline struct io_bpf_stats *io_bpf_flow_stats(struct io_kiocb *flow)
{
	return &flow->ctx->bpf_ring->stats[flow->bpf_flow.slot];
}

/* Return the counters of the program that runs, or has run last. */
static inline struct io_bpf_stats *io_bpf_run_stats(struct io_kiocb *flow)
{
	struct io_bpf_ring *br = flow->ctx->bpf_ring;

	if (io_bpf_is_watch(flow))
		return &br->stats[br->run.watcher - br->watchers];
	return io_bpf_flow_stats(flow);
}

/*
 * Note the error of @kfunc, if @error is not 0, and return @error. If the run leaves
 * nothing to wait for, the flow ends with the first one. That there was nothing to cancel
 * or to drop is no such error.
 */
static inline int io_bpf_refused(struct io_kiocb *flow, const char *kfunc, int error)
{
	struct io_bpf_run *run = &flow->ctx->bpf_ring->run;

	if (!io_bpf_failed(flow, kfunc, error) || error == -ENOENT)
		return error;
	io_bpf_run_stats(flow)->nr_refused++;
	if (!run->result) {
		run->result = true;
		run->error = error;
	}
	return error;
}

/* Clear extra words that no CQE carries: the next use of @req would post them. */
static inline void io_bpf_clear_extra(struct io_kiocb *req)
{
	memset(&req->big_cqe, 0, sizeof(req->big_cqe));
}

/* Return BPF_IO_URING_F_NEXT if a request other than a timeout is behind the flow. */
static inline u16 io_bpf_next_flag(struct io_kiocb *flow)
{
	struct io_kiocb *nxt = READ_ONCE(flow->link);

	/* its timer can unlink it at any time, but only this task frees it */
	if (unlikely(nxt) && nxt->opcode == IORING_OP_LINK_TIMEOUT)
		nxt = READ_ONCE(nxt->link);
	return nxt ? BPF_IO_URING_F_NEXT : 0;
}

/* Fill the context for the completion of @req. */
static inline void io_bpf_fill_ctx(struct bpf_io_uring_ctx *bctx,
				   const struct io_kiocb *req, u16 flags)
{
	BUILD_BUG_ON(offsetof(struct bpf_io_uring_ctx, cflags) !=
		     offsetof(struct io_cqe, flags));
	memcpy(bctx, &req->cqe, sizeof(req->cqe));
	bctx->event = BPF_IO_URING_COMPLETE;
	bctx->opcode = req->opcode;
	bctx->flags = flags;
}

/* Return the link to the next member. A timeout belongs to the member before it. */
static inline struct io_kiocb **io_bpf_tail(struct io_kiocb *req)
{
	struct io_kiocb *nxt = req->link;

	if (nxt && nxt->opcode == IORING_OP_LINK_TIMEOUT)
		return &nxt->link;
	return &req->link;
}

/* io_uring.c */
#define IO_BPF_ISSUE_FLAGS	(IO_URING_F_NONBLOCK | IO_URING_F_COMPLETE_DEFER)

void io_bpf_lose_cqe(struct io_ring_ctx *ctx, const struct io_cqe *cqe,
		     const struct io_big_cqe *big);
bool io_bpf_submit_child(struct io_kiocb *req, struct io_ring_ctx *ctx,
			 const struct io_uring_sqe *sqe);
bool io_bpf_issue_child_slow(struct io_kiocb *req);
void io_bpf_queue_async(struct io_kiocb *req, int ret);
int io_bpf_prep_linked(struct io_kiocb *req, struct io_ring_ctx *ctx,
		       const struct io_uring_sqe *sqe, const struct cred *creds,
		       bool iowq);
void io_bpf_queue_chain(struct io_kiocb *head);
void io_bpf_issue_flow(struct io_kiocb *req);

/* Handle the return value of a child's ->issue(). Return true if it has completed. */
static inline bool io_bpf_issued(struct io_kiocb *req, int ret)
{
	if (unlikely(ret != IOU_COMPLETE)) {
		if (unlikely(ret != IOU_ISSUE_SKIP_COMPLETE))
			io_bpf_queue_async(req, ret);
		return false;
	}
	if (unlikely(req->cqe.res <= -ERESTARTSYS))
		req->cqe.res = io_fixup_restart_res(req->cqe.res);
	return true;
}

/* bpf.c */
void io_bpf_tw(struct io_tw_req tw_req, io_tw_token_t tw);
void io_bpf_queue_tw(struct io_kiocb *flow);
void io_bpf_settle(struct io_kiocb *flow);
struct io_bpf_ring *io_bpf_ring_alloc(struct io_ring_ctx *ctx);
void io_bpf_ring_put(struct io_bpf_ring *br);
void io_bpf_cancel_slot(struct io_bpf_ring *br, u32 slot);
void io_bpf_mark_killed(struct io_kiocb *flow);
void io_bpf_end(struct io_bpf_ring *br, struct io_kiocb *flow);
void io_bpf_cancel_ending(struct io_bpf_ring *br);
void io_bpf_apply_cancels(struct io_bpf_ring *br, struct io_kiocb *flow);

/* bpf_run.c */
u32 io_bpf_run_flow(struct io_bpf_ring *br, struct io_kiocb *flow, struct io_kiocb *req);
u32 io_bpf_run_prog(struct io_bpf_ring *br, const struct bpf_prog *prog,
		    struct bpf_io_uring_ctx *bctx, struct io_kiocb *req);
struct io_kiocb *io_bpf_apply(struct io_bpf_ring *br, struct io_kiocb *flow,
			      struct io_kiocb *next);
void io_bpf_retire(struct io_bpf_ring *br, struct io_kiocb *req);
void io_bpf_post(struct io_bpf_ring *br, struct io_kiocb *req);

/* bpf_wait.c */
void io_bpf_init_budget(struct io_bpf_budget *b);
bool io_bpf_look(struct io_bpf_ring *br);
void io_bpf_hold(struct io_bpf_ring *br, struct io_kiocb *flow, struct io_kiocb *req);
void io_bpf_hold_app(struct io_bpf_ring *br, struct io_kiocb *req);
void io_bpf_unhold(struct io_bpf_ring *br, struct io_kiocb *flow);
void io_bpf_resume_next(struct io_bpf_ring *br);
void io_bpf_resume_all(struct io_wq_work_list *list);
void io_bpf_count_drop(struct io_uring_task *tctx);
bool io_bpf_flooded(struct io_uring_task *tctx);
void io_bpf_resumed(struct io_bpf_ring *br, struct io_kiocb *req);

/* bpf_issue.c */
extern const bool io_bpf_op_refused[U8_MAX + 1];

struct io_kiocb *io_bpf_issue_first(struct io_bpf_ring *br, struct io_kiocb *flow);
struct io_kiocb *io_bpf_issue_sqes(struct io_bpf_ring *br, struct io_kiocb *flow);
const struct io_uring_sqe *io_bpf_mode_sqe(struct io_bpf_ring *br,
					   const struct io_uring_sqe *sqe);
void io_bpf_mode_child(struct io_kiocb *req);
void io_bpf_adopt_notif(struct io_kiocb *req);

/* bpf_cqe.c */
void io_bpf_add_cqes(struct io_bpf_ring *br);
void io_bpf_add_cqe(struct io_bpf_ring *br, const struct io_cqe *cqe,
		    const struct io_big_cqe *big);
bool io_bpf_drops(u32 cflags, u32 verdict);
bool io_bpf_app_drops(struct io_kiocb *req, u32 verdict);
void io_bpf_change_cqe(struct io_kiocb *req, const struct bpf_io_uring_ctx *bctx);
bool io_bpf_must_post(struct io_kiocb *req);

/* bpf_chain.c */
struct io_kiocb *io_bpf_pred_event(struct io_bpf_ring *br, struct io_kiocb *req);
void io_bpf_edit_chain(struct io_bpf_ring *br, struct io_kiocb *flow);
void io_bpf_apply_links(struct io_bpf_ring *br, struct io_kiocb *flow);
void io_bpf_cut_chain(struct io_kiocb *req);
void io_bpf_flow_verdict(struct io_kiocb *flow, u32 verdict);
void io_bpf_watch_verdict(struct io_kiocb *req, u32 verdict);

/* bpf_issue.c: reissue */
/* state that remains valid */
#define IO_BPF_AGAIN_KEEP	(REQ_F_FIXED_FILE | REQ_F_FORCE_ASYNC |		\
				 REQ_F_NOWAIT | REQ_F_ISREG |			\
				 REQ_F_SUPPORT_NOWAIT | REQ_F_CAN_POLL |	\
				 REQ_F_CLEAR_POLLIN | REQ_F_BUF_NODE |		\
				 REQ_F_CREDS)
/* state that remains valid with IO_BPF_ID_ASYNC */
#define IO_BPF_AGAIN_DATA	(REQ_F_ASYNC_DATA | REQ_F_NEED_CLEANUP)

struct io_bpf_again_def {
	/* set offset, address and length, and reset the state of the opcode */
	int (*prep)(struct io_kiocb *req, u64 off, u64 addr, u32 len);
	/* issue the request after ->prep() */
	int (*issue)(struct io_kiocb *req, unsigned int issue_flags);
};

extern const struct io_bpf_again_def io_bpf_again_defs[IORING_OP_LAST];

/* Reset the request to its state before the issue. */
static inline void io_bpf_again_reset(struct io_kiocb *req)
{
	req->flags = (req->flags & (IO_BPF_AGAIN_KEEP | IO_BPF_AGAIN_DATA)) |
		     REQ_F_BPF;
	req->cancel_seq_set = false;
}

struct io_kiocb *io_bpf_again_failed(struct io_kiocb *req, int ret);
struct io_kiocb *io_bpf_reissue_slow(struct io_bpf_ring *br, struct io_kiocb *flow,
				     struct io_kiocb *req);
void io_bpf_reissue_watched(struct io_bpf_ring *br, struct io_kiocb *req);

/* bpf_buf.c */
int io_bpf_alloc_mem(struct io_kiocb *flow, u32 size);

/* bpf_watch.c */
bool io_bpf_match_possible(const struct io_bpf_match *match);
bool io_bpf_is_plain(const struct bpf_prog *prog);
void io_bpf_set_watcher(struct io_bpf_ring *br, u32 slot, struct bpf_prog *prog,
			const struct io_bpf_match *match);
struct io_bpf_watcher *io_bpf_find_watcher(struct io_bpf_ring *br,
					   struct io_kiocb *req);
struct io_wq_work_node *io_bpf_watch(struct io_bpf_ring *br, struct io_kiocb *req);
struct io_wq_work_node *io_bpf_watch_part(struct io_bpf_ring *br, struct io_kiocb *req);
struct io_wq_work_node *io_bpf_watch_plain(struct io_bpf_ring *br,
					   struct io_wq_work_node *node);
struct io_wq_work_node *io_bpf_watch_acted(struct io_bpf_ring *br);
void io_bpf_watch_record(struct io_bpf_ring *br, struct io_kiocb *req);

#endif
