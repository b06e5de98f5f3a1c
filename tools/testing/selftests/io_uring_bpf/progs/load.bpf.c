// SPDX-License-Identifier: GPL-2.0
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

char buf[8];

SEC("?iouring")
int load_plain(struct bpf_io_uring_ctx *ctx)
{
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring.s")
int load_sleepable(struct bpf_io_uring_ctx *ctx)
{
	bpf_copy_from_user(buf, sizeof(buf), (void *)(long)ctx->state[0]);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring.s")
int load_reads_buffer(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_buf_read(ctx, 0, ctx->state[0], buf, sizeof(buf));
	return BPF_IO_URING_DEFAULT;
}

/* not sleepable */
SEC("?iouring")
int load_plain_sleeps(struct bpf_io_uring_ctx *ctx)
{
	bpf_copy_from_user(buf, sizeof(buf), (void *)(long)ctx->state[0]);
	return BPF_IO_URING_DEFAULT;
}

static __noinline int load_static_callee(struct bpf_io_uring_ctx *ctx)
{
	return bpf_io_uring_complete(ctx, ctx->res);
}

/*
 * a global function is verified on its own: only the type of the argument is
 * known
 */
__noinline int load_global_callee(struct bpf_io_uring_ctx *ctx)
{
	ctx->state[0]++;
	return bpf_io_uring_complete(ctx, ctx->res);
}

SEC("?iouring")
int load_calls(struct bpf_io_uring_ctx *ctx)
{
	if (load_static_callee(ctx))
		return BPF_IO_URING_DEFAULT;
	load_global_callee(ctx);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int load_all_kfuncs(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	iou_prep_nop(&sqe, 1);
	iou_issue(ctx, &sqe);
	iou_post_cqe(ctx, 1, 2, 3);
	bpf_io_uring_complete(ctx, 0);
	return BPF_IO_URING_POST;
}
