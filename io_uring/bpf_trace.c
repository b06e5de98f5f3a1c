// SPDX-License-Identifier: GPL-2.0
/*
 * Tracepoints of BPF programs
 *
 * The callers test the static key of the event only. Everything else is here, out of
 * line, so that a disabled event costs one no-op, and no register.
 */
#include <trace/events/io_uring.h>

#include "bpf_int.h"

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
