// SPDX-License-Identifier: GPL-2.0
/*
 * Calls of kfuncs that, but for the first program, have to be rejected. What
 * the verifier says to them is in the table of verifier_test.c.
 */
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct io_uring_sqe sqe;
struct io_uring_cqe cqe;

SEC("?iouring")
int good_calls(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_issue(ctx, &sqe, sizeof(sqe), 0);
	bpf_io_uring_post_cqe(ctx, &cqe, sizeof(cqe));
	bpf_io_uring_complete(ctx, 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int ctx_is_null(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_complete(NULL, 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int ctx_is_scalar(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_complete((void *)(long)ctx->state[0], 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int ctx_is_stack(struct bpf_io_uring_ctx *ctx)
{
	struct bpf_io_uring_ctx copy = {};

	bpf_io_uring_complete(&copy, 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int ctx_is_map_value(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_issue((void *)&sqe, &sqe, sizeof(sqe), 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int ctx_is_second(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_post_cqe((void *)&cqe, ctx, sizeof(cqe));
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int ctx_is_moved(struct bpf_io_uring_ctx *ctx)
{
	void *moved = ctx;

	asm volatile ("%0 += 8" : "+r" (moved));
	bpf_io_uring_complete(moved, 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int sqe_is_null(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_issue(ctx, NULL, sizeof(sqe), 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int sqe_is_scalar(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_issue(ctx, (void *)(long)ctx->state[0], sizeof(sqe), 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int sqe_too_small(struct bpf_io_uring_ctx *ctx)
{
	char half[32] = {};

	bpf_io_uring_issue(ctx, half, sizeof(sqe), 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int sqe_beyond_map_value(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_issue(ctx, (char *)&sqe + 4096, sizeof(sqe), 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int sqe_size_mismatch(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe on_stack = {};

	bpf_io_uring_issue(ctx, &on_stack, 4096, 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int sqe_size_unknown(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_issue(ctx, &sqe, ctx->cflags, 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int cqe_is_null(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_post_cqe(ctx, NULL, sizeof(cqe));
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int cqe_too_small(struct bpf_io_uring_ctx *ctx)
{
	__u64 half = 0;

	bpf_io_uring_post_cqe(ctx, &half, sizeof(cqe));
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int cqe_size_unknown(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_post_cqe(ctx, &cqe, ctx->cflags);
	return BPF_IO_URING_DEFAULT;
}

SEC("?socket")
int other_type_socket(struct __sk_buff *skb)
{
	bpf_io_uring_complete((void *)skb, 0);
	return 0;
}

SEC("?syscall")
int other_type_syscall(void *ctx)
{
	bpf_io_uring_issue(ctx, &sqe, sizeof(sqe), 0);
	return 0;
}

SEC("?tc")
int other_type_tc(struct __sk_buff *skb)
{
	bpf_io_uring_post_cqe((void *)skb, &cqe, sizeof(cqe));
	return 0;
}
