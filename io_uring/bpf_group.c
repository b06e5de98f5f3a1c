// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of BPF programs that are linked, and those that are the application's
 *
 * SQEs that were staged as a chain become one here, the way consecutive SQEs of a
 * submission do. From there on it goes on, is cut and has its timeouts as any
 * chain: what tells it from others is but that the completion of a child runs its
 * flow's program.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/io_uring.h>
#include <trace/events/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "slist.h"
#include "bpf.h"
#include "bpf_run.h"
#include "bpf_aux.h"

static void io_bpf_fail_head(struct io_kiocb *head)
{
	if (head->flags & REQ_F_FAIL)
		return;
	req_set_fail(head);
	io_req_set_res(head, -ECANCELED, 0);
}

/* Its completion is the program's, or is counted at least. */
static void io_bpf_mark_member(struct io_kiocb *req, int ret)
{
	req->flags |= REQ_F_BPF;
	if (req->bpf_id == IO_BPF_ID_APP)
		return;
	if (ret)
		req->bpf_id |= IO_BPF_ID_REFUSED;
	io_bpf_adopt_notif(req);
}

/*
 * Prepares the members. As from the SQ, one for which that fails has the chain
 * assembled nonetheless, and none of it issued. Returns the first one.
 */
static struct io_kiocb *io_bpf_prep_group(struct io_bpf_ring *br,
					  struct io_kiocb *req)
{
	struct io_submit_link *link = &br->ctx->submit_state.link;
	bool broken = req->flags & REQ_F_FAIL;
	struct io_kiocb *head = req, *nxt;

	for (; req; req = nxt) {
		int ret;

		nxt = req->link;
		req->link = NULL;
		memcpy(br->wide_sqe, &req->cmd, sizeof(br->wide_sqe[0]));
		io_bpf_clear_extra(req);
		io_get_task_refs(1);
		/* its head has been counted */
		if (req != head && br->budget)
			br->budget--;
		/* a linked timeout looks for the one before it there */
		ret = io_bpf_prep_linked(req, br->ctx, br->wide_sqe, false);
		io_bpf_mark_member(req, ret);
		if (req != head) {
			trace_io_uring_link(req, link->last);
			link->last->link = req;
		}
		if (ret)
			io_bpf_fail_head(head);
		link->head = head;
		link->last = req;
	}
	link->head = NULL;
	if (broken)
		io_bpf_fail_head(head);
	return head;
}

/* What was staged together. A completion in place is left to the flush. */
void io_bpf_issue_group(struct io_bpf_ring *br, struct io_kiocb *req)
{
	lockdep_assert_held(&br->ctx->uring_lock);

	io_bpf_queue_group(io_bpf_prep_group(br, req));
}

/*
 * The same for requests of the application. None of them makes a program run, so
 * there are as many as programs have asked for, and they need not wait for the
 * task to come by. Nobody is left to issue them when the ring goes away.
 */
void io_bpf_issue_app(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_kiocb *nxt;

	lockdep_assert_held(&br->ctx->uring_lock);

	if (likely(br->tctx)) {
		if (br->budget)
			br->budget--;
		io_bpf_issue_group(br, req);
		return;
	}
	for (; req; req = nxt) {
		nxt = req->link;
		req->link = NULL;
		io_bpf_cancel_staged(br, req);
		br->nr_apps--;
	}
}

/* The flag of the ring has to stay for that, see __io_submit_flush_completions() */
void io_bpf_app_complete(struct io_bpf_ring *br)
{
	lockdep_assert_held(&br->ctx->uring_lock);

	if (!--br->nr_apps && !br->nr_flows)
		io_bpf_update_flag(br->ctx);
}
