// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* the verdict on each completion */
__u32 verdict;
/* replaces the result of each completion, if not 0 */
__s32 new_res;
/* the number of reissues of NOPs */
__u32 nr_again;
/* call bpf_io_uring_complete() with this result, if not 0 */
__s32 end_res;

static __always_inline void trace_act(struct bpf_io_uring_ctx *ctx)
{
	if (end_res)
		bpf_io_uring_complete(ctx, end_res);
	if (new_res)
		ctx->res = new_res;
	if (!nr_again)
		return;
	nr_again--;
	bpf_io_uring_again(ctx, 0, 0, ctx->res);
}

SEC("iouring")
int trace_flow(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->event == BPF_IO_URING_COMPLETE)
		trace_act(ctx);
	return iou_verdict(verdict);
}

/* Call each kfunc in a way that it refuses. */
SEC("iouring")
int trace_refused(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_NOP };
	struct io_uring_cqe cqe = { .flags = IORING_CQE_F_SKIP };
	struct bpf_io_uring_buf_pos pos = {};
	struct bpf_io_uring_req req;
	__u64 word = 0;

	bpf_io_uring_issue(ctx, &sqe, sizeof(sqe), 1ULL << 63);
	bpf_io_uring_again(ctx, 0, 0, 0);
	bpf_io_uring_cancel(ctx, 0, 1ULL << 63);
	bpf_io_uring_post_cqe(ctx, &cqe, sizeof(cqe));
	bpf_io_uring_drop(ctx, 0, 0);
	bpf_io_uring_unlink(ctx, 64, 0);
	bpf_io_uring_link(ctx, &sqe, sizeof(sqe), 1);
	bpf_io_uring_buf_read(ctx, 0, 0, &word, sizeof(word));
	bpf_io_uring_buf_write(ctx, 0, 0, &word, sizeof(word));
	bpf_io_uring_buf_copy(ctx, &pos, &pos, 1U << 20);
	bpf_io_uring_buf_give(ctx, 0, 0, 0, 0);
	bpf_io_uring_req(ctx, &req, sizeof(req));
	return BPF_IO_URING_DEFAULT;
}

/* Does not write to its context. */
SEC("iouring")
int trace_watch(struct bpf_io_uring_ctx *ctx)
{
	return ctx->res == 1 ? BPF_IO_URING_DROP : BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int trace_watch_write(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_complete(ctx, 0);
	ctx->res = 5;
	return BPF_IO_URING_DEFAULT;
}
