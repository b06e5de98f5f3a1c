/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_ID_H
#define IOU_BPF_ID_H

#include <linux/io_uring_types.h>

/*
 * ->bpf_id: the flow that a child belongs to, the request before a flow in its
 * chain, or one that a watching program has seen, or isn't to. The first of these
 * takes 16 bits.
 */
#define IO_BPF_MAX_FLOWS	65536
/* of a child that wasn't prepared, or not allowed, and can't be issued */
#define IO_BPF_ID_REFUSED	BIT(16)
/* of a child that has got its credentials from a personality */
#define IO_BPF_ID_CREDS		BIT(17)
/* of a child whose async data has outlived its issue */
#define IO_BPF_ID_ASYNC		BIT(18)
/* the notification of a zero-copy send, which is a child too, in a way */
#define IO_BPF_ID_NOTIF		BIT(29)
#define IO_BPF_ID_SEEN		BIT(30)
#define IO_BPF_ID_PRED		BIT(31)
/* the same of an IORING_OP_TIMEOUT that has not been counted, see timeout.c */
#define IO_BPF_ID_PRED_TIMEOUT	(IO_BPF_ID_PRED | 2)
/* both: linked by a program, and hence not watched when no flow follows any more */
#define IO_BPF_ID_PRED_SEEN	(IO_BPF_ID_PRED | IO_BPF_ID_SEEN)
/* the application's, and a program has issued it: it's only counted */
#define IO_BPF_ID_APP		(IO_BPF_ID_PRED | 1)

static inline bool io_has_bpf(struct io_ring_ctx *ctx)
{
	if (!IS_ENABLED(CONFIG_IO_URING_BPF_PROG))
		return false;
	/* some look without ->uring_lock, it's set before it matters to them */
	return data_race(ctx->int_flags) & IO_RING_F_BPF;
}

/* Did a BPF program issue @req? Holds from its preparation to its completion. */
static inline bool io_bpf_is_child(struct io_kiocb *req)
{
#ifdef CONFIG_IO_URING_BPF_PROG
	return (req->flags & REQ_F_BPF) && req->bpf_id < IO_BPF_ID_NOTIF;
#else
	return false;
#endif
}

/*
 * Return true if the CQE of a timeout is up to the flow behind it, so that the timeout
 * is counted when the CQE is posted.
 */
static inline bool io_bpf_defer_timeout(struct io_kiocb *req)
{
#ifdef CONFIG_IO_URING_BPF_PROG
	if (!(req->flags & REQ_F_BPF) ||
	    (req->bpf_id & ~IO_BPF_ID_SEEN) != IO_BPF_ID_PRED)
		return false;
	req->bpf_id = IO_BPF_ID_PRED_TIMEOUT;
	return true;
#else
	return false;
#endif
}

/* Is what a handler has set up for it to be left until its program has run? */
static inline bool io_bpf_keep_async(struct io_kiocb *req)
{
#ifdef CONFIG_IO_URING_BPF_PROG
	if (req->bpf_id >= IO_BPF_ID_NOTIF)
		return false;
	req->bpf_id |= IO_BPF_ID_ASYNC;
	return true;
#else
	return false;
#endif
}

/* No program is to see the completion, whenever it's attached. */
static inline void io_bpf_mark_seen(struct io_kiocb *req)
{
#ifdef CONFIG_IO_URING_BPF_PROG
	req->flags |= REQ_F_BPF;
	req->bpf_id = IO_BPF_ID_SEEN;
#endif
}

/* No program that watches is to see the completion. */
static inline void io_bpf_unwatch(struct io_kiocb *req)
{
	if (io_has_bpf(req->ctx))
		io_bpf_mark_seen(req);
}

#endif
