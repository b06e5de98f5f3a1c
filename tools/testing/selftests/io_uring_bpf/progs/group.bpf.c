// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* flags of bpf_io_uring_issue(), by SQE */
__u64 flags[IOU_MAX_SQES];
/*
 * number of SQEs to issue first. The completion of the last one issues the
 * others.
 */
__u32 nr_first;
/* verdict of completions */
__u32 verdict;
/* user_data of the completion that ends the flow, with 7 */
__u64 stop_at;
/* end the flow at START, after all requests were staged */
__u32 stop_at_start;
__s32 late_ret;
/* successful calls, and those that failed because the CQ was full */
__u32 nr_issued;
__u32 nr_busy;
/* user_data of the completion to reissue once */
__u64 again_at;
__s32 again_ret;

static __always_inline void group_issue(struct bpf_io_uring_ctx *ctx, __u32 from,
					__u32 to)
{
	__u32 i;

	bpf_for(i, from, to) {
		if (i >= IOU_MAX_SQES)
			break;
		rets[i] = bpf_io_uring_issue(ctx, &sqes[i], sizeof(sqes[i]),
					     flags[i]);
		if (!rets[i])
			nr_issued++;
		else if (rets[i] == -EBUSY)
			nr_busy++;
	}
}

static __always_inline void group_completed(struct bpf_io_uring_ctx *ctx)
{
	__u32 last = nr_first - 1;

	if (nr_first && last < IOU_MAX_SQES &&
	    ctx->user_data == sqes[last].user_data)
		group_issue(ctx, nr_first, nr_sqes);
	if (stop_at && ctx->user_data == stop_at)
		bpf_io_uring_complete(ctx, 7);
	if (again_at && ctx->user_data == again_at) {
		again_at = 0;
		again_ret = bpf_io_uring_again(ctx, 0, 0, 42);
	}
}

SEC("iouring")
int group_as_told(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (ctx->event == BPF_IO_URING_CANCEL)
		return BPF_IO_URING_DEFAULT;
	if (iou_is_child(ctx)) {
		group_completed(ctx);
		/* the flow must not fail with its last child */
		if (verdict == BPF_IO_URING_DEFAULT)
			ctx->res = 0;
		return iou_verdict(verdict);
	}
	group_issue(ctx, 0, nr_first ?: nr_sqes);
	if (stop_at_start) {
		bpf_io_uring_complete(ctx, 7);
		late_ret = bpf_io_uring_issue(ctx, &sqes[0], sizeof(sqes[0]),
					      flags[0]);
	}
	return BPF_IO_URING_DEFAULT;
}

/* Watch, and issue the SQEs of the test at each event. */
SEC("iouring")
int group_watch(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	group_issue(ctx, 0, nr_sqes);
	return iou_verdict(verdict);
}

/*
 * Endless: a chain of two children, and optionally a request of the
 * application.
 */
SEC("iouring")
int group_endless(struct bpf_io_uring_ctx *ctx)
{
	nr_events++;
	if (!ctx->nr_children)
		group_issue(ctx, 0, nr_sqes);
	return BPF_IO_URING_DEFAULT;
}
