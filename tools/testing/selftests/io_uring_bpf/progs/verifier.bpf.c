// SPDX-License-Identifier: GPL-2.0
/*
 * Calls of kfuncs that the verifier has to reject, except for the first
 * program. The expected messages are in the table of verifier_test.c.
 */
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define CLOCK_MONOTONIC	1

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

struct timer_value {
	struct bpf_timer timer;
	__u64 ctx;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct timer_value);
} timers SEC(".maps");

static int timer_fn(void *map, __u32 *key, struct timer_value *value)
{
	bpf_io_uring_complete((void *)(long)value->ctx, 0);
	return 0;
}

/* Keep the address for a later run, where it is only a number. */
SEC("?iouring")
int ctx_for_timer(struct bpf_io_uring_ctx *ctx)
{
	struct timer_value *value;
	__u32 key = 0;

	value = bpf_map_lookup_elem(&timers, &key);
	if (!value)
		return BPF_IO_URING_DEFAULT;
	value->ctx = (long)ctx;
	bpf_timer_init(&value->timer, &timers, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&value->timer, timer_fn);
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
