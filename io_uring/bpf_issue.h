/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_ISSUE_H
#define IOU_BPF_ISSUE_H

#include "io_uring.h"

/* io_uring.c */
void io_bpf_queue_async(struct io_kiocb *req, int ret);
bool io_bpf_issue_child_slow(struct io_kiocb *req);

/* What no CQE shows must not be shown by the next one that @req is good for. */
static inline void io_bpf_clear_extra(struct io_kiocb *req)
{
	memset(&req->big_cqe, 0, sizeof(req->big_cqe));
}

#define IO_BPF_ISSUE_FLAGS	(IO_URING_F_NONBLOCK | IO_URING_F_COMPLETE_DEFER)

/* A child's handler has returned. Returns true if the child has completed. */
static __always_inline bool io_bpf_issued(struct io_kiocb *req, int ret)
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

#endif
