/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_H
#define IOU_BPF_H

/* BPF programs that steer requests: the interface to the rest of io_uring. */

#include <linux/io_uring_types.h>

struct io_cancel_data;
struct io_uring_query_bpf;
struct seq_file;

/*
 * ->bpf_id of a request with REQ_F_BPF. The lower 16 bits of a child, of its records
 * and of its notification are the index of the flow that owns the request.
 */
#define IO_BPF_MAX_FLOWS	65536
/* a child that failed its preparation or was not allowed */
#define IO_BPF_ID_REFUSED	BIT(16)
/* a child with the credentials of a personality */
#define IO_BPF_ID_CREDS		BIT(17)
/* a child that keeps its async data until its program has run */
#define IO_BPF_ID_ASYNC		BIT(18)
/* a record: a CQE of a multishot child that continues */
#define IO_BPF_ID_AUX		BIT(28)
/* the notification of a zero-copy send */
#define IO_BPF_ID_NOTIF		BIT(29)
/* a request whose completion no program sees */
#define IO_BPF_ID_SEEN		BIT(30)
/* the request before a flow in its chain */
#define IO_BPF_ID_PRED		BIT(31)
/* a request of the application that a program has issued */
#define IO_BPF_ID_APP		(IO_BPF_ID_PRED | 1)
/* PRED: a timeout that is counted when its CQE is posted, see timeout.c */
#define IO_BPF_ID_PRED_TIMEOUT	(IO_BPF_ID_PRED | 2)
/* a record of a request of the application, with a program that watches it */
#define IO_BPF_ID_WATCHED	(IO_BPF_ID_PRED | 3)
/* a record without such a program */
#define IO_BPF_ID_RECORD	(IO_BPF_ID_PRED | 4)
/* a flow with START or CANCEL queued */
#define IO_BPF_ID_FLOW		(IO_BPF_ID_PRED | 5)
/* a request of the application that a watching program has reissued */
#define IO_BPF_ID_AGAIN		(IO_BPF_ID_PRED | 6)
/* PRED: linked by a program, SEEN when no flow is behind it any more */
#define IO_BPF_ID_PRED_SEEN	(IO_BPF_ID_PRED | IO_BPF_ID_SEEN)

int io_bpf_prep(struct io_kiocb *req, const struct io_uring_sqe *sqe);
int io_bpf_issue(struct io_kiocb *req, unsigned int issue_flags);
void io_bpf_cleanup(struct io_kiocb *req);

/* the compiler removes all calls of these without CONFIG_IO_URING_BPF_PROG */
void io_bpf_flush(struct io_ring_ctx *ctx);
int io_bpf_run_local_work(struct io_ring_ctx *ctx, io_tw_token_t tw, int min_events,
			  int max_events);
bool io_bpf_keep_tw(struct io_kiocb *req);
bool io_bpf_wants_record(struct io_kiocb *req);
bool io_bpf_record(struct io_kiocb *req, s32 res, u32 cflags, const u64 *big);
bool io_bpf_child_ending(struct io_kiocb *req);
bool io_bpf_child_to_cancel(struct io_kiocb *req, const struct io_cancel_data *cd);
int io_bpf_cancel(struct io_ring_ctx *ctx, struct io_cancel_data *cd,
		  unsigned int issue_flags);
bool io_bpf_remove_all(struct io_ring_ctx *ctx, struct io_uring_task *tctx,
		       bool cancel_all);
void io_bpf_init_tctx(struct io_uring_task *tctx);
void io_bpf_clean_tctx(struct io_uring_task *tctx);
void io_bpf_overflow_ended(struct io_ring_ctx *ctx);
void io_bpf_ring_exit(struct io_ring_ctx *ctx);
void io_bpf_show_fdinfo(struct io_ring_ctx *ctx, struct seq_file *m);
void io_bpf_query(struct io_uring_query_bpf *query);

/* io_uring.c, for io_bpf_flush() */
void io_post_compl_reqs(struct io_ring_ctx *ctx);

/* Return true if a program was ever attached to the ring. */
static inline bool io_has_bpf(struct io_ring_ctx *ctx)
{
	if (!IS_ENABLED(CONFIG_IO_URING_BPF_PROG))
		return false;
	/* lockless callers: set before any flow or program that they look for */
	return data_race(ctx->int_flags) & IO_RING_F_BPF;
}

/* Return true if a program issued @req as a child of its flow. */
static inline bool io_bpf_is_child(struct io_kiocb *req)
{
	return (req->flags & REQ_F_BPF) && req->bpf_id < IO_BPF_ID_AUX;
}

/*
 * Return true if the flow behind a timeout decides about the CQE of the timeout, so
 * that the timeout is counted when the CQE is posted.
 */
static inline bool io_bpf_defer_timeout(struct io_kiocb *req)
{
	if (!(req->flags & REQ_F_BPF) ||
	    (req->bpf_id & ~IO_BPF_ID_SEEN) != IO_BPF_ID_PRED)
		return false;
	req->bpf_id = IO_BPF_ID_PRED_TIMEOUT;
	return true;
}

/* Keep the async data of a child, which its program might issue again. */
static inline bool io_bpf_keep_async(struct io_kiocb *req)
{
	if (!io_bpf_is_child(req))
		return false;
	req->bpf_id |= IO_BPF_ID_ASYNC;
	return true;
}

/* Hide the completion from all programs. */
static inline void io_bpf_mark_seen(struct io_kiocb *req)
{
	req->flags |= REQ_F_BPF;
	req->bpf_id = IO_BPF_ID_SEEN;
}

/* Hide the completion from the programs of the ring, if there are any. */
static inline void io_bpf_unwatch(struct io_kiocb *req)
{
	if (io_has_bpf(req->ctx))
		io_bpf_mark_seen(req);
}

#endif
