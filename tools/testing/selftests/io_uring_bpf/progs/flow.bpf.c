// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u32 start_verdict;
__s32 end_res;
__s32 end_rets[2];
__s32 issue_after_end;

/* Issue nothing, so the flow ends at once. */
SEC("iouring")
int flow_log(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Write a result on START, which has none. */
SEC("iouring")
int flow_write_res(struct bpf_io_uring_ctx *ctx)
{
	ctx->res = -EIO;
	return BPF_IO_URING_DEFAULT;
}

/* Issue the SQEs of the test, and let the flow end on its own. */
SEC("iouring")
int flow_issue(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (!iou_is_start(ctx))
		return BPF_IO_URING_DEFAULT;
	iou_issue_all(ctx);
	return start_verdict & 3;
}

SEC("iouring.s")
int flow_issue_sleepable(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Issue one SQE of the test at the start, and another one at its completion. */
SEC("iouring")
int flow_second(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx))
		iou_issue(ctx, &sqes[0]);
	else if (nr_events == 2)
		iou_issue(ctx, &sqes[1]);
	return BPF_IO_URING_DEFAULT;
}

/* Do not let the flow fail with a child. */
SEC("iouring")
int flow_forgive(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	else
		ctx->res = 0;
	return BPF_IO_URING_DEFAULT;
}

static __always_inline void flow_end(struct bpf_io_uring_ctx *ctx)
{
	end_rets[0] = bpf_io_uring_complete(ctx, end_res);
	end_rets[1] = bpf_io_uring_complete(ctx, end_res + 1);
	issue_after_end = iou_issue(ctx, &sqes[0]);
}

/* Call bpf_io_uring_complete() twice, with staged children. */
SEC("iouring")
int flow_end_at_start(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (!iou_is_start(ctx))
		return BPF_IO_URING_DEFAULT;
	iou_issue_all(ctx);
	flow_end(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* End the flow at the first completion, with other children in flight. */
SEC("iouring")
int flow_end_at_first(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	else if (!(ctx->flags & BPF_IO_URING_F_ENDING))
		flow_end(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Add another number to each word of state[] at each of state[0] events. */
SEC("iouring")
int flow_state(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	ctx->state[1] += 10;
	ctx->state[2] += 100;
	ctx->state[3] += 1000;
	if (!ctx->state[0])
		return BPF_IO_URING_DEFAULT;
	ctx->state[0]--;
	iou_issue(ctx, &sqes[0]);
	return BPF_IO_URING_DEFAULT;
}

/* flow_id + 1 of flows, by user_data, and events with another number */
__u32 flow_ids[8];
__u32 nr_other_ids;

SEC("iouring")
int flow_number(struct bpf_io_uring_ctx *ctx)
{
	__u32 *id = &flow_ids[ctx->flow_user_data & 7];

	iou_log_event(ctx);
	if (!iou_is_child(ctx)) {
		*id = ctx->flow_id + 1;
		iou_issue_all(ctx);
	} else if (*id != ctx->flow_id + 1) {
		nr_other_ids++;
	}
	return BPF_IO_URING_DEFAULT;
}

__u64 nr_counted;
/* the sum when the first flow has ended */
__u64 counted_by_first;

/* state[0]: NOPs to issue, state[1]: NOPs completed */
SEC("iouring")
int flow_count(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	if (!iou_is_start(ctx)) {
		if (ctx->res < 0)
			return BPF_IO_URING_DEFAULT;
		ctx->state[1]++;
		nr_counted++;
	}
	if (!ctx->state[0]) {
		if (!counted_by_first)
			counted_by_first = nr_counted;
		bpf_io_uring_complete(ctx, ctx->state[1]);
		return BPF_IO_URING_DEFAULT;
	}
	ctx->state[0]--;
	iou_prep_nop(&sqe, ctx->flow_user_data);
	iou_issue(ctx, &sqe);
	return BPF_IO_URING_DEFAULT;
}
