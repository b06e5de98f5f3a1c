// SPDX-License-Identifier: GPL-2.0
/*
 * The chain behind a flow, or behind a request that a program watches
 *
 * A flow owns what is linked behind it from its first event on, and nothing of
 * that has been issued. No other task edits it, and none follows ->link of a
 * flow without ->uring_lock: io-wq does when it looks for work to cancel, but
 * only for the task itself. A chain with a member that could not be prepared
 * fails at its head, so it has no flow that runs.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/io_uring.h>
#include <trace/events/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "slist.h"
#include "bpf.h"
#include "bpf_mode.h"
#include "bpf_run.h"

/*
 * The chain fails with @req, be it a success or linked hard. What is silent in
 * success isn't in failure, so a verdict about the CQE has to come later.
 */
void io_bpf_cut_chain(struct io_kiocb *req)
{
	req_set_fail(req);
	if (req->flags & REQ_F_HARDLINK) {
		req->flags &= ~REQ_F_HARDLINK;
		req->flags |= REQ_F_LINK;
	}
}

/*
 * The completion of what stands before a flow is its first event. Who that is
 * may have changed.
 */
static void io_bpf_fix_pred(struct io_kiocb *req)
{
	struct io_kiocb *nxt = *io_bpf_tail(req);

	bool linked = (req->flags & REQ_F_BPF) && (req->bpf_id & IO_BPF_ID_SEEN);

	if (nxt && nxt->opcode == IORING_OP_BPF) {
		nxt->bpf_flow.flags |= IO_BPF_F_PRED;
		req->bpf_id = linked ? IO_BPF_ID_PRED_SEEN : IO_BPF_ID_PRED;
		req->flags |= REQ_F_BPF;
	} else if (linked) {
		req->bpf_id = IO_BPF_ID_SEEN;
	} else if ((req->flags & REQ_F_BPF) && req->bpf_id == IO_BPF_ID_PRED) {
		req->flags &= ~REQ_F_BPF;
	}
}

/* Takes out what is behind @req up to @last, and a timeout of that one. */
static struct io_kiocb *io_bpf_take_members(struct io_kiocb *req,
					    struct io_kiocb *last)
{
	struct io_kiocb **link = io_bpf_tail(req), *first = *link;

	if (last) {
		struct io_kiocb **tail = io_bpf_tail(last);

		*link = *tail;
		*tail = NULL;
	} else {
		*link = NULL;
	}
	io_bpf_fix_pred(req);
	return first;
}

/* Completes what was never issued, timeouts included. */
static void io_bpf_cancel_members(struct io_kiocb *flow, struct io_kiocb *req,
				  bool silent)
{
	struct io_kiocb *nxt;

	for (; req; req = nxt) {
		nxt = req->link;
		req->link = NULL;
		if (silent)
			req->flags |= REQ_F_CQE_SKIP;
		else
			req->flags &= ~REQ_F_CQE_SKIP;
		trace_io_uring_fail_link(flow, req);
		/* as the CQE goes, flags are where the file descriptor was */
		io_req_set_res(req, req->flags & REQ_F_FAIL ? req->cqe.res :
			       -ECANCELED, 0);
		io_req_complete_defer(req);
	}
	/* before the CQEs of later hops */
	flow->ctx->bpf_ring->interrupt = true;
}

/* They are out of the chain. A flow at their head starts by itself. */
static void io_bpf_start_members(struct io_kiocb *req)
{
	if (req->opcode == IORING_OP_BPF)
		req->bpf_flow.flags &= ~IO_BPF_F_PRED;
	io_bpf_fix_pred(req);
	io_req_task_queue(req);
}

static void io_bpf_edit_members(struct io_kiocb *flow, struct io_kiocb *req,
				u8 op)
{
	if (op == IO_BPF_EDIT_UNLINK)
		io_bpf_start_members(req);
	else
		io_bpf_cancel_members(flow, req, op == IO_BPF_EDIT_DROP);
}

/* Does to the chain what the run that has ended wants. */
void io_bpf_edit_chain(struct io_bpf_ring *br, struct io_kiocb *flow)
{
	unsigned int i, stay = 0, nr_linked = flow->bpf_flow.nr_linked;
	struct io_kiocb *req, *prev = flow, *rest = NULL;
	struct io_bpf_edit *edit = &br->edit;

	lockdep_assert_held(&br->ctx->uring_lock);

	for (i = 0; i < IO_BPF_MAX_MEMBERS; i++) {
		req = *io_bpf_tail(prev);
		if (!req)
			break;
		if (edit->ops[i] != IO_BPF_EDIT_NONE) {
			io_bpf_take_members(prev, req);
			io_bpf_edit_members(flow, req, edit->ops[i]);
			/* those behind @rest have been counted with it */
			if (!rest && i < flow->bpf_flow.nr_linked)
				nr_linked--;
			continue;
		}
		if (edit->rest_op && i == edit->rest) {
			rest = prev;
			nr_linked = min(nr_linked, stay);
		}
		stay++;
		prev = req;
	}
	if (rest) {
		req = io_bpf_take_members(rest, NULL);
		io_bpf_edit_members(flow, req, edit->rest_op);
	}
	flow->bpf_flow.nr_linked = nr_linked;
	flow->bpf_flow.flags &= ~IO_BPF_F_EDIT;
	*edit = (struct io_bpf_edit) { };
}

static void io_bpf_set_link(struct io_kiocb *req, struct io_kiocb **link,
			    struct io_kiocb *nxt)
{
	*link = nxt;
	if (!(req->flags & REQ_F_HARDLINK))
		req->flags |= REQ_F_LINK;
	io_bpf_fix_pred(req);
}

/* Behind those that are linked already. Cuts the chain if it can't be prepared. */
static bool io_bpf_add_link(struct io_kiocb *flow, struct io_kiocb *req,
			    struct io_uring_sqe *sqe)
{
	struct io_kiocb *prev = flow;
	unsigned int i;
	int ret;

	/* 128 bytes, as is read for IORING_OP_URING_CMD on some rings */
	memcpy(sqe, &req->cmd, sizeof(*sqe));
	io_bpf_clear_extra(req);
	io_get_task_refs(1);
	/* a worker that issued the flow may go on with what is behind it */
	ret = io_bpf_prep_linked(req, flow->ctx, sqe,
				 !!(flow->flags & REQ_F_REFCOUNT));
	io_bpf_unwatch(req);
	for (i = 0; i < flow->bpf_flow.nr_linked; i++)
		prev = *io_bpf_tail(prev);
	io_bpf_set_link(req, &req->link, *io_bpf_tail(prev));
	io_bpf_set_link(prev, io_bpf_tail(prev), req);
	flow->bpf_flow.nr_linked++;
	if (likely(!ret))
		return true;
	req = io_bpf_take_members(flow, NULL);
	io_bpf_cancel_members(flow, req, false);
	flow->bpf_flow.nr_linked = 0;
	return false;
}

/* Its CQE is all that there will ever be of it. */
void io_bpf_cancel_staged(struct io_bpf_ring *br, struct io_kiocb *req)
{
	const struct io_uring_sqe *sqe = (struct io_uring_sqe *)&req->cmd;

	io_get_task_refs(1);
	io_bpf_unstage_creds(req);
	req->ctx = br->ctx;
	req->opcode = IORING_OP_NOP;
	req->flags = 0;
	io_bpf_unwatch(req);
	io_bpf_clear_extra(req);
	req->file = NULL;
	req->tctx = current->io_uring;
	req->async_data = NULL;
	req->cqe.user_data = sqe->user_data;
	io_req_set_res(req, -ECANCELED, 0);
	io_req_complete_defer(req);
}

/*
 * Makes requests of the SQEs that are to be linked. Preparing them may sleep,
 * and takes the credentials of the task, so it waits until no handler is active
 * further up. That is the flush that the program ran in, or the next one, and
 * ->uring_lock is not dropped before that. The flow does not end before that, see
 * io_bpf_busy().
 */
void io_bpf_apply_links(struct io_bpf_ring *br)
{
	struct io_kiocb *req, *flow, *cut = NULL;
	struct io_wq_work_node *node;

	lockdep_assert_held(&br->ctx->uring_lock);

	while ((node = br->links.first)) {
		br->links.first = node->next;
		req = container_of(node, struct io_kiocb, comp_list);
		if (req->flags & REQ_F_LINK) {
			io_bpf_issue_app(br, req);
			continue;
		}
		flow = io_bpf_child_flow(br, req);
		if (!br->tctx && !(flow->bpf_flow.flags & IO_BPF_F_ENDING))
			io_bpf_mark_killed(flow);
		if (flow == cut || (flow->bpf_flow.flags & IO_BPF_F_KILLED))
			io_bpf_cancel_staged(br, req);
		else if (!io_bpf_add_link(flow, req, br->wide_sqe))
			cut = flow;
		flow->bpf_flow.nr_linking--;
		if (!io_bpf_busy(flow))
			io_bpf_flow_done(br, flow);
	}
}

/* What the program says of the chain holds until it says something else. */
u32 io_bpf_flow_verdict(struct io_kiocb *flow, u32 verdict)
{
	flow->bpf_flow.flags &= ~(IO_BPF_F_GO_ON | IO_BPF_F_CUT);
	flow->bpf_flow.flags |= verdict & BPF_IO_URING_CUT ? IO_BPF_F_CUT :
							     IO_BPF_F_GO_ON;
	return verdict & IO_BPF_VERDICT_CQE;
}

/* The same for the chain of a request that has completed. */
u32 io_bpf_watch_verdict(struct io_kiocb *req, u32 verdict)
{
	struct io_kiocb *pos;

	if (verdict & BPF_IO_URING_CUT) {
		io_bpf_cut_chain(req);
	} else {
		/* what was not prepared can't be issued */
		io_for_each_link(pos, req->link) {
			if (pos->flags & REQ_F_FAIL)
				return verdict & IO_BPF_VERDICT_CQE;
		}
		req->flags &= ~REQ_F_FAIL;
	}
	return verdict & IO_BPF_VERDICT_CQE;
}
