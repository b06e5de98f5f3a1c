// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* call bpf_io_uring_cancel() at the completion with this user_data, if not 0 */
__u64 cancel_at;
__u64 targets[10];
__u64 flags;
__u32 nr_targets;
__s32 cancel_rets[10];
/* reissue the child in the same run, as a read of one byte, if not 0 */
__u64 again_addr;
/* issue this SQE in the same run, if its user_data is not 0 */
struct io_uring_sqe late;

static __always_inline void cancel_targets(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	bpf_for(i, 0, 10) {
		if (i >= nr_targets)
			break;
		cancel_rets[i] = bpf_io_uring_cancel(ctx, targets[i], flags);
	}
	if (again_addr)
		bpf_io_uring_again(ctx, 0, again_addr, 1);
	if (late.user_data)
		iou_issue(ctx, &late);
}

SEC("iouring")
int cancel_as_told(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		if (!cancel_at)
			cancel_targets(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	if (cancel_at && ctx->user_data == cancel_at)
		cancel_targets(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* First of N: the others are cancelled, and the flow ends with its result. */
SEC("iouring")
int cancel_first_wins(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	else if (ctx->res >= 0 || !ctx->nr_children)
		bpf_io_uring_complete(ctx, ctx->res);
	return BPF_IO_URING_DEFAULT;
}

/* Watching programs have no children. */
SEC("iouring")
int cancel_watch(struct bpf_io_uring_ctx *ctx)
{
	cancel_rets[0] = bpf_io_uring_cancel(ctx, 0, BPF_IO_URING_CANCEL_ALL);
	return BPF_IO_URING_DEFAULT;
}

/* An ending flow cancels its children without being asked. */
SEC("iouring")
int cancel_after_end(struct bpf_io_uring_ctx *ctx)
{
	iou_issue_all(ctx);
	if (ctx->flags & BPF_IO_URING_F_ENDING)
		return BPF_IO_URING_DEFAULT;
	bpf_io_uring_complete(ctx, 0);
	cancel_rets[0] = bpf_io_uring_cancel(ctx, 0, BPF_IO_URING_CANCEL_ALL);
	return BPF_IO_URING_DEFAULT;
}
