// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"
#include "result_call.h"

char LICENSE[] SEC("license") = "GPL";

/* kfuncs to call in a way that is refused, at START or at a completion */
__u32 calls[2];
__u32 call_at;
/* call bpf_io_uring_complete() afterwards */
__u32 end;
__s32 call_rets[2];

static int result_call(struct bpf_io_uring_ctx *ctx, __u32 call)
{
	struct io_uring_sqe sqe;

	iou_prep_nop(&sqe, 0);
	switch (call) {
	case RESULT_ISSUE:
		sqe.opcode = IORING_OP_LINK_TIMEOUT;
		return iou_issue(ctx, &sqe);
	case RESULT_ISSUE_SIZE:
		return bpf_io_uring_issue(ctx, &sqe, sizeof(sqe) / 2, 0);
	case RESULT_AGAIN:
		return bpf_io_uring_again(ctx, 0, 0, 0);
	case RESULT_POST_CQE:
		return iou_post_cqe(ctx, 0, 0, IORING_CQE_F_SKIP);
	case RESULT_DROP:
		return bpf_io_uring_drop(ctx, 0, 1U << 20);
	case RESULT_UNLINK:
		return bpf_io_uring_unlink(ctx, 64, 0);
	case RESULT_LINK:
		sqe.opcode = IORING_OP_BPF;
		return bpf_io_uring_link(ctx, &sqe, sizeof(sqe), 0);
	case RESULT_CANCEL:
		return bpf_io_uring_cancel(ctx, 1, BPF_IO_URING_CANCEL_ALL);
	case RESULT_GIVE:
		return bpf_io_uring_buf_give(ctx, 0, 0, 0, 0);
	case RESULT_DROP_NONE:
		return bpf_io_uring_drop(ctx, 0, BPF_IO_URING_REST);
	case RESULT_CANCEL_NONE:
		return bpf_io_uring_cancel(ctx, 0, BPF_IO_URING_CANCEL_ALL);
	}
	return 0;
}

SEC("iouring")
int result_refused(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (ctx->event == call_at) {
		call_rets[0] = result_call(ctx, calls[0]);
		call_rets[1] = result_call(ctx, calls[1]);
	}
	if (!iou_is_start(ctx))
		return BPF_IO_URING_DEFAULT;
	iou_issue_all(ctx);
	if (end)
		bpf_io_uring_complete(ctx, 5);
	return BPF_IO_URING_DEFAULT;
}
