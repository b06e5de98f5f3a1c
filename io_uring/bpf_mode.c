// SPDX-License-Identifier: GPL-2.0
/*
 * What BPF programs need on rings that are not plain: wide CQEs and SQEs, an SQ
 * thread, polling for completions
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/cred.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "slist.h"
#include "sqpoll.h"
#include "bpf.h"
#include "bpf_mode.h"

/* Do children take the way of io_bpf_submit_child_mode()? */
void io_bpf_set_mode(struct io_ring_ctx *ctx)
{
	lockdep_assert_held(&ctx->uring_lock);

	if (ctx->flags & (IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL |
			  IORING_SETUP_CQE32 | IORING_SETUP_SQE128))
		ctx->int_flags |= IO_RING_F_BPF_MODE;
}

/*
 * IORING_OP_URING_CMD copies as many bytes as an SQE of the ring has, and a
 * program gives 64.
 */
const struct io_uring_sqe *io_bpf_mode_sqe(struct io_bpf_ring *br,
					   const struct io_uring_sqe *sqe)
{
	if (!(br->ctx->flags & IORING_SETUP_SQE128))
		return sqe;
	br->wide_sqe[0] = *sqe;
	return br->wide_sqe;
}

/*
 * Let a request that a program issues or links have the personality of the flow,
 * unless the request has one of its own. The reference is to be put with
 * io_bpf_unstage_creds(), as the flow may be over when the request is prepared.
 */
void io_bpf_stage_creds(struct io_kiocb *flow, struct io_kiocb *req)
{
	const struct cred *creds = io_bpf_flow_creds(flow);

	if (!creds)
		return;
	req->creds = get_cred(creds);
	req->flags |= REQ_F_CREDS;
}

void io_bpf_unstage_creds(struct io_kiocb *req)
{
	if (!(req->flags & REQ_F_CREDS))
		return;
	put_cred(req->creds);
	req->flags &= ~REQ_F_CREDS;
}

/*
 * Let a child without a personality have the credentials with which the ring issues
 * SQEs. An SQ thread has these only while it submits, not in task work.
 *
 * A child on a ring with IORING_SETUP_IOPOLL always has credentials of its own:
 * with these, bpf_io_uring_again() goes through io_bpf_issue_child_slow().
 */
void io_bpf_mode_child(struct io_kiocb *req)
{
	const struct io_ring_ctx *ctx = req->ctx;
	const struct cred *creds = ctx->sq_creds ?: current_cred();

	if (creds == current_real_cred() && !(ctx->flags & IORING_SETUP_IOPOLL))
		return;
	req->creds = get_cred(creds);
	req->flags |= REQ_F_CREDS;
}

/*
 * Renew the credentials of a child that is issued again. Without a personality they
 * were stored by io-wq, by a chain with a member in io-wq or by an earlier issue,
 * and the task may have changed its own since.
 */
void io_bpf_again_creds(struct io_kiocb *req)
{
	if (!(req->flags & REQ_F_CREDS) || (req->bpf_id & IO_BPF_ID_CREDS))
		return;
	put_cred(req->creds);
	req->flags &= ~REQ_F_CREDS;
	if (req->ctx->int_flags & IO_RING_F_BPF_MODE)
		io_bpf_mode_child(req);
}

/*
 * Somebody wants the SQ thread to pause or to stop. It holds ->lock of all its
 * rings here, so nothing new is begun.
 */
bool io_bpf_mode_parks(const struct io_ring_ctx *ctx)
{
	return ctx->sq_data && READ_ONCE(ctx->sq_data->state);
}

/*
 * Whoever polls finds the completions of all tasks, and programs run in that of
 * the request. When the ring goes away, completions are but counted.
 */
void io_bpf_send_home(struct io_bpf_ring *br)
{
	struct io_wq_work_list *list = &br->ctx->submit_state.compl_reqs;
	struct io_wq_work_list all = *list;
	struct io_wq_work_node *node, *next;

	lockdep_assert_held(&br->ctx->uring_lock);

	if ((current->flags & PF_KTHREAD) ||
	    percpu_ref_is_dying(&br->ctx->refs))
		return;
	INIT_WQ_LIST(list);
	for (node = all.first; node; node = next) {
		struct io_kiocb *req = container_of(node, struct io_kiocb,
						    comp_list);

		next = node->next;
		if (!(req->flags & REQ_F_REISSUE) &&
		    ((req->flags & REQ_F_BPF) ||
		     (br->ctx->int_flags & IO_RING_F_BPF_MATCH)) &&
		    req->tctx != current->io_uring) {
			req->io_task_work.func = io_req_task_complete;
			io_req_task_work_add(req);
		} else {
			wq_list_add_tail(node, list);
		}
	}
}
