/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_RUN_H
#define IOU_BPF_RUN_H

#include <linux/filter.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "io_uring.h"
#include "slist.h"
#include "rsrc.h"
#include "rw.h"
#include "bpf.h"
#include "bpf_issue.h"

u32 io_bpf_run_sleepable(const struct bpf_prog *prog,
			 struct bpf_io_uring_ctx *bctx);
u32 io_bpf_run_timed(const struct bpf_prog *prog, struct bpf_io_uring_ctx *bctx);
void io_bpf_make_spare(struct io_bpf_ring *br);
void io_bpf_resched_slow(struct io_bpf_ring *br);
bool io_bpf_child_posts(struct io_bpf_ring *br, struct io_kiocb *flow,
			struct io_kiocb *req, u32 verdict);
bool io_bpf_child_unseen(struct io_bpf_ring *br, struct io_kiocb *flow,
			 struct io_kiocb *req);
bool io_bpf_drops(u32 cflags, u32 verdict);
u32 io_bpf_cflags(u32 cflags, u32 written);
void io_bpf_flow_done(struct io_bpf_ring *br, struct io_kiocb *flow);
void io_bpf_next(struct io_bpf_ring *br, struct io_kiocb *flow);

/*
 * A program runs with preemption off, as those of the network do. That is a read
 * side critical section of RCU and keeps it on its CPU, for a few instructions,
 * where each of the other two takes a dozen. PREEMPT_RT wants to be able to
 * preempt, be it a program of a million instructions.
 */
static __always_inline void io_bpf_enter(void)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		rcu_read_lock_dont_migrate();
	} else {
		preempt_disable();
		rcu_lock_acquire(&rcu_lock_map);
	}
}

static __always_inline void io_bpf_leave(void)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		rcu_read_unlock_migrate();
	} else {
		rcu_lock_release(&rcu_lock_map);
		preempt_enable();
	}
}

/* The child that has completed is to be issued once more. */
static inline void io_bpf_stage_again(struct io_bpf_ring *br,
				      struct io_kiocb *flow,
				      struct io_kiocb *req)
{
	req->cqe.user_data = io_bpf_ctx(flow)->user_data;
	req->cqe.res = br->run.again_len;
	req->big_cqe.extra1 = br->again_off;
	req->big_cqe.extra2 = br->again_addr;
	req->flags |= REQ_F_BPF;
	io_bpf_ctx(flow)->nr_children++;
	wq_list_add_tail(&req->comp_list, &br->ready);
}

/* Is there something that programs have asked for, or flows have to come to? */
static inline bool io_bpf_to_apply(struct io_bpf_ring *br)
{
	return br->ready.first || br->links.first || !hlist_empty(&br->kills);
}

/* Has a handler written CQEs that are to be committed, or does a drain wait? */
static inline bool io_bpf_cqes_posted(struct io_ring_ctx *ctx)
{
	return ctx->submit_state.cq_flush &&
	       (ctx->cached_cq_tail != READ_ONCE(ctx->rings->cq.tail) ||
		(ctx->int_flags & IO_RING_F_DRAIN_ACTIVE) ||
		test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &ctx->check_cq));
}

static inline void io_bpf_list_add_head(struct io_wq_work_node *node,
					struct io_wq_work_list *list)
{
	node->next = list->first;
	if (!node->next)
		list->last = node;
	list->first = node;
}

/* To be posted or freed, after what is there already. */
static inline void io_bpf_add_post(struct io_bpf_ring *br, struct io_kiocb *req)
{
	wq_list_add_tail(&req->comp_list, &br->post);
	br->nr_post++;
	br->nr_pending++;
	br->interrupt = true;
}

/* What the next staged CQE takes of the CQ. None goes across the end of it. */
static inline unsigned int io_bpf_cqe_entries(struct io_bpf_ring *br, u32 flags)
{
	unsigned int pos = br->ctx->cached_cq_tail + br->cq_entries;

	if (!(flags & IORING_CQE_F_32))
		return 1;
	return (pos + 1) & (br->ctx->cq_entries - 1) ? 2 : 3;
}

/*
 * A CQE before what is to be posted next. Callers know that there is room.
 * Returns where the rest of one of 32 bytes goes.
 */
static inline struct io_big_cqe *io_bpf_add_cqe(struct io_bpf_ring *br,
						u64 user_data, s32 res,
						u32 flags)
{
	struct io_bpf_cqe *staged = &br->cqes[br->nr_cqes++];

	*staged = (struct io_bpf_cqe) {
		.pos		= br->nr_post,
		.cqe.user_data	= user_data,
		.cqe.res	= res,
		.cqe.flags	= flags,
	};
	br->cq_entries += io_bpf_cqe_entries(br, flags);
	br->nr_pending++;
	br->interrupt = true;
	return &staged->big;
}

/* Is there no room for what a run may post, and for the step of an again()? */
static inline bool io_bpf_cqes_short(struct io_bpf_ring *br)
{
	return br->nr_cqes > IO_BPF_FLUSH_CQES - IO_BPF_MAX_CQES - 1;
}

/* A signal, or somebody else who needs the CPU? */
static inline bool io_bpf_task_wanted(void)
{
	return read_thread_flags() & (_TIF_SIGPENDING | _TIF_NEED_RESCHED);
}

/* Between two programs of a walk. */
static inline void io_bpf_resched(struct io_bpf_ring *br)
{
	if (unlikely(io_bpf_task_wanted()))
		io_bpf_resched_slow(br);
}

/* Not in a kernel thread, and a task that exits has been in_cancel before. */
static inline bool io_bpf_may_run(struct io_ring_ctx *ctx, struct io_uring_task *tctx)
{
	return tctx && current->io_uring == tctx &&
	       !percpu_ref_is_dying(&ctx->refs) && !atomic_read(&tctx->in_cancel);
}

/* Whose programs may run in this flush. */
static __always_inline void io_bpf_set_tctx(struct io_bpf_ring *br)
{
	struct io_uring_task *tctx = current->io_uring;

	br->tctx = io_bpf_may_run(br->ctx, tctx) ? tctx : NULL;
}

/* The same, and does anything stand in the way of flows already? */
static __always_inline void io_bpf_begin_flush(struct io_bpf_ring *br)
{
	io_bpf_set_tctx(br);
	/* until io_bpf_overflow_ended() */
	if (unlikely(test_bit(IO_CHECK_CQ_OVERFLOW_BIT, &br->ctx->check_cq)))
		br->budget = 0;
	/*
	 * A drain wants to know of each request that is gone, and what a handler has
	 * staged waits for this flush.
	 */
	br->interrupt = (br->ctx->int_flags & IO_RING_F_DRAIN_ACTIVE) ||
			io_bpf_to_apply(br);
}

/* What io_bpf_can_run() says, in a flush that has looked at task and ring. */
static inline struct bpf_prog *io_bpf_flow_prog(struct io_bpf_ring *br,
						struct io_kiocb *flow)
{
	if (unlikely(flow->tctx != br->tctx ||
		     (flow->bpf_flow.flags & IO_BPF_F_ENDING)))
		return NULL;
	return br->progs[flow->bpf_flow.slot];
}

/* Does anything wait behind the flow, other than its own time limit? */
static inline u16 io_bpf_next_flag(struct io_kiocb *flow)
{
	struct io_kiocb *nxt = READ_ONCE(flow->link);

	/* unlinked by its timer under our hands, but freed in this task only */
	if (unlikely(nxt) && nxt->opcode == IORING_OP_LINK_TIMEOUT)
		nxt = READ_ONCE(nxt->link);
	return nxt ? BPF_IO_URING_F_NEXT : 0;
}

static __always_inline void io_bpf_fill_ctx(struct bpf_io_uring_ctx *bctx,
					    const struct io_kiocb *req,
					    u16 flags)
{
	BUILD_BUG_ON(offsetof(struct bpf_io_uring_ctx, cflags) !=
		     offsetof(struct io_cqe, flags));
	memcpy(bctx, &req->cqe, sizeof(req->cqe));
	bctx->event = BPF_IO_URING_COMPLETE;
	bctx->opcode = req->opcode;
	bctx->flags = flags;
}

/* If not in a walk over completions, the first SQE that is staged goes to ->sqe. */
static __always_inline void io_bpf_begin_run(struct io_bpf_ring *br,
					     struct io_kiocb *req, bool walk)
{
	br->run.req = req;
	br->run.nr_sqes = 0;
	br->run.nr_cqes = 0;
	br->run.walk = walk;
	br->run.again = false;
	br->run.again_len = 0;
}

/* Timing a run takes registers that those who inline this have no room for. */
static __always_inline u32 io_bpf_run_atomic(const struct bpf_prog *prog,
					     struct bpf_io_uring_ctx *bctx)
{
	u32 verdict;

	io_bpf_enter();
	if (static_branch_unlikely(&bpf_stats_enabled_key))
		verdict = io_bpf_run_timed(prog, bctx);
	else
		verdict = bpf_dispatcher_nop_func(bctx, prog->insnsi,
						  prog->bpf_func);
	io_bpf_leave();
	return verdict;
}

static __always_inline u32 io_bpf_run_prog(struct io_bpf_ring *br,
					   const struct bpf_prog *prog,
					   struct bpf_io_uring_ctx *bctx,
					   struct io_kiocb *req, bool walk)
{
	io_bpf_begin_run(br, req, walk);
	if (unlikely(br->nr_spare < IO_BPF_MIN_SPARE))
		io_bpf_make_spare(br);
	if (unlikely(prog->sleepable))
		return io_bpf_run_sleepable(prog, bctx);
	return io_bpf_run_atomic(prog, bctx);
}

/*
 * Has a request that posts no CQE left nothing behind, but for references to its
 * file and buffer? A drain wants to know of each request that is gone.
 */
static __always_inline bool io_bpf_is_light(struct io_bpf_ring *br,
					    struct io_kiocb *req)
{
	if (unlikely(req->flags & IO_REQ_CLEAN_SLOW_FLAGS)) {
		if (req->bpf_id & IO_BPF_ID_ASYNC)
			io_rw_drop_async(req);
		if (req->flags & IO_REQ_CLEAN_SLOW_FLAGS)
			return false;
	}
	return likely(!(br->ctx->int_flags & IO_RING_F_DRAIN_ACTIVE));
}

/* Keep the request for what programs stage next, or for the ring if there are enough. */
static inline void io_bpf_put_spare(struct io_bpf_ring *br, struct io_kiocb *req)
{
	if (likely(br->nr_spare < IO_BPF_MAX_SPARE)) {
		io_bpf_add_spare(br, req);
		return;
	}
	io_bpf_clear_extra(req);
	wq_stack_add_head(&req->comp_list, &req->ctx->submit_state.free_list);
}

/* What retiring comes to for such a one. Returns false for any other. */
static inline bool io_bpf_retire_silent(struct io_bpf_ring *br,
					struct io_kiocb *req)
{
	if (!io_bpf_is_light(br, req))
		return false;
	io_put_file(req);
	io_req_put_rsrc_nodes(req);
	io_put_task(req);
	io_bpf_put_spare(br, req);
	return true;
}

#endif
