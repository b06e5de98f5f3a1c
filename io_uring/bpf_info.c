// SPDX-License-Identifier: GPL-2.0
/*
 * What user space is told: limits for IORING_REGISTER_QUERY, the programs and flows of a
 * ring in its fdinfo, and tracepoints
 *
 * The children of a flow are counted, but are on no list of their own: each completion
 * would pay for this list. fdinfo finds those that wait on a list of the ring, in io-wq,
 * or with their flow. Not found are members of a chain behind the first one, requests
 * that a driver processes, and requests on their way through task work.
 *
 * The callers of the functions for tracepoints test only the static key of the event.
 * Everything else is here, out of line, so that a disabled event costs one no-op, and no
 * register.
 */
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <uapi/linux/io_uring/query.h>
#include <trace/events/io_uring.h>

#include "bpf_int.h"
#include "io-wq.h"
#include "opdef.h"
#include "sqpoll.h"
#include "tctx.h"
#include "timeout.h"

/* lines of a section: a ring can have 65536 flows */
#define IO_BPF_MAX_SHOWN	1024U

/* a child that was found */
struct io_bpf_found {
	u64			user_data;
	const char		*where;
	u16			flow;
	u8			opcode;
};

struct io_bpf_show {
	struct io_ring_ctx	*ctx;
	struct seq_file		*m;
	/* lines of the section, including those that are left out */
	unsigned int		nr;
	/* by slot: children in flight */
	unsigned int		in_flight[IO_BPF_MAX_SLOTS];
	/* the first IO_BPF_MAX_SHOWN children, and where the next ones are */
	struct io_bpf_found	*found;
	const char		*where;
};

/* Return true if there is room for another line of the section. */
static bool io_bpf_show_line(struct io_bpf_show *show)
{
	/* a buffer that is too small is enlarged, and everything shown again */
	return show->nr++ < IO_BPF_MAX_SHOWN && !seq_has_overflowed(show->m);
}

static void io_bpf_show_rest(struct io_bpf_show *show)
{
	if (show->nr > IO_BPF_MAX_SHOWN)
		seq_printf(show->m, "  ... %u more\n", show->nr - IO_BPF_MAX_SHOWN);
	show->nr = 0;
}

/* Count the children in flight of the programs that are attached. */
static void io_bpf_count_in_flight(struct io_bpf_show *show)
{
	struct io_bpf_ring *br = show->ctx->bpf_ring;
	struct io_kiocb *flow;
	unsigned int i;

	for (i = 0; i < br->max_flows; i++) {
		cond_resched();
		flow = io_bpf_flow_at(br, i);
		if (flow && !(flow->bpf_flow.flags & IO_BPF_F_DETACHED))
			show->in_flight[flow->bpf_flow.slot] +=
				io_bpf_ctx(flow)->nr_children;
	}
}

static void io_bpf_show_slot(struct io_bpf_show *show, unsigned int slot)
{
	struct io_bpf_ring *br = show->ctx->bpf_ring;
	const struct io_bpf_watcher *watcher = &br->watchers[slot];
	const struct io_bpf_stats *stats = &br->stats[slot];
	const struct bpf_prog *prog = br->progs[slot] ?: watcher->prog;
	u64 runs = watcher->nr_runs, cqes = 0, issued = 0;

	if (!prog)
		return;
	if (prog != watcher->prog) {
		runs = br->nr_runs[slot];
		cqes = runs - stats->nr_other_runs;
		issued = cqes + stats->nr_unseen - stats->nr_records +
			 show->in_flight[slot];
	}
	seq_printf(show->m,
		   "%5u: %s:%u, name:%s, runs:%llu, issued:%llu, dropped:%llu, refused:%llu\n",
		   slot, prog == watcher->prog ? "watch" : "prog", prog->aux->id,
		   prog->aux->name, runs, issued + stats->nr_apps,
		   cqes - stats->nr_posted + stats->nr_app_drops, stats->nr_refused);
}

static const char *io_bpf_flow_state(struct io_kiocb *flow)
{
	if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		return "ending";
	return flow->bpf_flow.flags & IO_BPF_F_ACTIVE ? "active" : "prepared";
}

static const char *io_bpf_flow_waits(struct io_kiocb *flow)
{
	if (!(flow->bpf_flow.flags & IO_BPF_F_WAITING))
		return "no";
	return flow->bpf_flow.flags & IO_BPF_F_ROOM ? "room" : "time";
}

static void io_bpf_show_flows(struct io_bpf_show *show)
{
	struct io_bpf_ring *br = show->ctx->bpf_ring;
	struct io_kiocb *flow;
	unsigned int i;

	seq_printf(show->m, "BpfFlows:\t%u\n", br->nr_flows);
	for (i = 0; i < br->max_flows; i++) {
		cond_resched();
		flow = io_bpf_flow_at(br, i);
		if (!flow || !io_bpf_show_line(show))
			continue;
		seq_printf(show->m,
			   "%5u: slot:%u, user_data:%llu, state:%s, waits:%s, children:%u\n",
			   i, flow->bpf_flow.slot, flow->cqe.user_data,
			   io_bpf_flow_state(flow), io_bpf_flow_waits(flow),
			   io_bpf_ctx(flow)->nr_children);
	}
	io_bpf_show_rest(show);
}

/* Note @req if it is a child. Called under spinlocks, so shown later. */
static void io_bpf_note_child(struct io_kiocb *req, void *data)
{
	struct io_bpf_show *show = data;

	/* io-wq can change other flags of @req */
	if (req->ctx != show->ctx || !data_race(io_bpf_is_child(req)) ||
	    show->nr++ >= IO_BPF_MAX_SHOWN)
		return;
	show->found[show->nr - 1] = (struct io_bpf_found) {
		.user_data	= req->cqe.user_data,
		.where		= show->where,
		.flow		= req->bpf_id,
		.opcode		= req->opcode,
	};
}

static void io_bpf_note_list(struct io_bpf_show *show, struct hlist_head *list)
{
	struct io_kiocb *req;

	hlist_for_each_entry(req, list, hash_node)
		io_bpf_note_child(req, show);
}

/* Note the completions that wait with their flow. */
static void io_bpf_note_waiting(struct io_bpf_show *show)
{
	struct io_bpf_ring *br = show->ctx->bpf_ring;
	struct io_wq_work_node *node;
	struct io_kiocb *flow;
	unsigned int i;

	show->where = "flow";
	for (i = 0; i < br->max_flows; i++) {
		cond_resched();
		flow = io_bpf_flow_at(br, i);
		if (!flow || !(flow->bpf_flow.flags & IO_BPF_F_WAITING))
			continue;
		node = flow->bpf_waiting;
		do {
			node = node->next;
			io_bpf_note_child(container_of(node, struct io_kiocb, comp_list),
					  show);
		} while (node != flow->bpf_waiting);
	}
}

/* A match function of io_wq_cancel_cb() that matches nothing. */
static bool io_bpf_note_work(struct io_wq_work *work, void *data)
{
	io_bpf_note_child(container_of(work, struct io_kiocb, work), data);
	return false;
}

static void io_bpf_note_works(struct io_bpf_show *show, struct task_struct *task)
{
	struct io_uring_task *tctx = task ? task->io_uring : NULL;

	if (tctx && tctx->io_wq)
		io_wq_cancel_cb(tctx->io_wq, io_bpf_note_work, show, true);
}

static void io_bpf_note_iowq(struct io_bpf_show *show)
{
	struct io_ring_ctx *ctx = show->ctx;
	struct io_sq_data *sqd = ctx->sq_data;
	struct io_tctx_node *node;

	lockdep_assert_held(&ctx->uring_lock);

	show->where = "io-wq";
	/* ->io_wq exists as long as the node, see io_uring_try_cancel_iowq() */
	scoped_guard(mutex, &ctx->tctx_lock) {
		list_for_each_entry(node, &ctx->tctx_list, ctx_node)
			io_bpf_note_works(show, node->task);
	}
	/* an SQ thread holds this lock, except for its sleep, and takes ->uring_lock */
	if (sqd && mutex_trylock(&sqd->lock)) {
		io_bpf_note_works(show, sqpoll_task_locked(sqd));
		mutex_unlock(&sqd->lock);
	}
}

static void io_bpf_note_children(struct io_bpf_show *show)
{
	struct io_ring_ctx *ctx = show->ctx;
	struct io_kiocb *req;
	unsigned int i;

	io_bpf_note_waiting(show);
	show->where = "poll";
	for (i = 0; i < 1U << ctx->cancel_table.hash_bits; i++)
		io_bpf_note_list(show, &ctx->cancel_table.hbs[i].list);
	show->where = "timeout";
	io_timeout_for_each(ctx, io_bpf_note_child, show);
	show->where = "wait";
	io_bpf_note_list(show, &ctx->waitid_list);
#ifdef CONFIG_FUTEX
	io_bpf_note_list(show, &ctx->futex_list);
#endif
	show->where = "driver";
	io_bpf_note_list(show, &ctx->cancelable_uring_cmd);
	list_for_each_entry(req, &ctx->iopoll_list, iopoll_node)
		io_bpf_note_child(req, show);
	io_bpf_note_iowq(show);
}

static void io_bpf_show_children(struct io_bpf_show *show)
{
	const struct io_bpf_found *found;

	seq_puts(show->m, "BpfChildren:\n");
	show->found = kvmalloc_objs(*show->found, IO_BPF_MAX_SHOWN);
	if (!show->found)
		return;
	io_bpf_note_children(show);
	for (found = show->found;
	     found < show->found + min(show->nr, IO_BPF_MAX_SHOWN); found++)
		seq_printf(show->m, "%5u: opcode:%s, user_data:%llu, in:%s\n",
			   found->flow, io_uring_get_opcode(found->opcode),
			   found->user_data, found->where);
	io_bpf_show_rest(show);
	kvfree(show->found);
}

/* Show the programs of the ring, their flows, and what is found of the children. */
__cold void io_bpf_show_fdinfo(struct io_ring_ctx *ctx, struct seq_file *m)
{
	struct io_bpf_show show = { .ctx = ctx, .m = m };
	unsigned int slot;

	lockdep_assert_held(&ctx->uring_lock);

	io_bpf_count_in_flight(&show);
	seq_puts(m, "BpfProgs:\n");
	for (slot = 0; slot < IO_BPF_MAX_SLOTS; slot++)
		io_bpf_show_slot(&show, slot);
	io_bpf_show_flows(&show);
	io_bpf_show_children(&show);
}

/* Tell the limits of programs and flows. */
void io_bpf_query(struct io_uring_query_bpf *query)
{
	*query = (struct io_uring_query_bpf) {
		.link_flags	= IO_BPF_LINK_FLAGS,
		.nr_slots	= IO_BPF_MAX_SLOTS,
		.max_flows	= IO_BPF_MAX_FLOWS,
		.state_size	= sizeof_field(struct bpf_io_uring_ctx, state),
		.max_sqes	= IO_BPF_MAX_SQES,
		.max_cqes	= IO_BPF_MAX_CQES,
		.max_links	= IO_BPF_MAX_LINKS,
		.max_cancels	= IO_BPF_MAX_CANCELS,
		.max_members	= IO_BPF_MAX_MEMBERS,
		.max_linked	= IO_BPF_MAX_LINKED,
		.max_flow_size	= IO_BPF_MAX_FLOW_SIZE,
	};
}

/* Return the id of @flow, or -1 if a program watches. */
static int io_bpf_trace_id(struct io_kiocb *flow)
{
	return io_bpf_is_watch(flow) ? -1 : flow->bpf_flow.id;
}

/*
 * The program of @flow has run, or one that watches. It may have written to its context,
 * so what it has seen comes from the completed request.
 */
void __cold io_bpf_trace_run(struct io_bpf_ring *br, struct io_kiocb *flow, u32 verdict)
{
	struct bpf_io_uring_ctx seen = *io_bpf_ctx(flow);
	const struct io_bpf_run *run = &br->run;
	struct io_kiocb *req = run->req ?: flow;

	lockdep_assert_held(&br->ctx->uring_lock);

	seen.user_data = req->cqe.user_data;
	if (req != flow) {
		seen.res = req->cqe.res;
		seen.cflags = req->cqe.flags;
	} else {
		seen.res = seen.event == BPF_IO_URING_CANCEL ? -ECANCELED : 0;
		seen.cflags = 0;
	}
	if (io_bpf_is_watch(flow))
		flow->bpf_flow.slot = run->watcher - br->watchers;
	else if (flow->bpf_flow.flags & IO_BPF_F_ENDING)
		seen.flags |= BPF_IO_URING_F_ENDING;
	trace_io_uring_bpf_run(flow, io_bpf_trace_id(flow), req, &seen, verdict,
			       run->nr_sqes, run->again, run->nr_cqes, run->nr_links,
			       run->nr_cancels);
}

/* The kfunc returns @error to a program. */
void __cold io_bpf_trace_kfunc(struct io_kiocb *flow, const char *kfunc, int error)
{
	struct io_kiocb *req = flow->ctx->bpf_ring->run.req ?: flow;

	trace_io_uring_bpf_kfunc(flow, io_bpf_trace_id(flow), req, kfunc, error);
}
