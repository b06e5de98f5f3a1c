/* SPDX-License-Identifier: GPL-2.0 */
/* Globals of most tests: a log of events, and SQEs from the test */
#ifndef IOU_LOG_BPF_H
#define IOU_LOG_BPF_H

#include "iou_bpf.bpf.h"

/* more than one run can issue */
#define IOU_MAX_SQES	136

struct iou_event events[IOU_MAX_EVENTS];
__u32 nr_events;
/* completions of flows that are ending, which most tests do not look at */
__u32 log_ending;
__u32 nr_ending;

struct io_uring_sqe sqes[IOU_MAX_SQES];
__u32 nr_sqes;
/* results of bpf_io_uring_issue(), by SQE */
__s32 rets[IOU_MAX_SQES];

static __always_inline void iou_log_event(struct bpf_io_uring_ctx *ctx)
{
	__u32 n = nr_events;
	struct iou_event *ev;

	if ((ctx->flags & BPF_IO_URING_F_ENDING) &&
	    ctx->event != BPF_IO_URING_CANCEL) {
		nr_ending++;
		if (!log_ending)
			return;
	}
	if (n >= IOU_MAX_EVENTS) {
		nr_events = n + 1;
		return;
	}
	ev = &events[n];
	ev->user_data = ctx->user_data;
	ev->res = ctx->res;
	ev->cflags = ctx->cflags;
	ev->event = ctx->event;
	ev->opcode = ctx->opcode;
	ev->flags = ctx->flags;
	ev->nr_children = ctx->nr_children;
	ev->flow_user_data = ctx->flow_user_data;
	ev->state[0] = ctx->state[0];
	ev->state[1] = ctx->state[1];
	ev->state[2] = ctx->state[2];
	ev->state[3] = ctx->state[3];
	/* a reader on another CPU must find a complete event */
	barrier();
	nr_events = n + 1;
}

/* Stage sqes[0] to sqes[nr_sqes - 1]. */
static __always_inline void iou_issue_all(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	bpf_for(i, 0, IOU_MAX_SQES) {
		if (i >= nr_sqes)
			break;
		rets[i] = iou_issue(ctx, &sqes[i]);
	}
}

#endif
