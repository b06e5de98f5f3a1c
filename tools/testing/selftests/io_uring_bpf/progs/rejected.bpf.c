// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that the verifier rejects. Documentation/bpf/io_uring_debug.rst shows lines of
 * this file with their numbers, and rejected_test.c has the expected messages.
 */
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct block {
	__u64 next;
	__u8 data[504];
};

struct inner_node {
	__u64 child[64];
};

SEC("?iouring")
int nullcheck(struct bpf_io_uring_ctx *ctx)
{
	const struct block *b;

	b = (const struct block *)bpf_io_uring_buf_data(ctx, 0, 0, sizeof(*b));
	ctx->state[2] = b->next;
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int readonly(struct bpf_io_uring_ctx *ctx)
{
	ctx->event = BPF_IO_URING_START;
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int verdict(struct bpf_io_uring_ctx *ctx)
{
	return ctx->res;
}

/* without CAP_PERFMON, on a kernel that mitigates speculative execution */
SEC("?iouring")
int offset(struct bpf_io_uring_ctx *ctx)
{
	const struct inner_node *n;

	n = (const struct inner_node *)bpf_io_uring_buf_data(ctx, 0, 0, sizeof(*n));
	if (!n)
		return BPF_IO_URING_DEFAULT;
	ctx->state[2] = n->child[ctx->state[3] & 63];
	return BPF_IO_URING_DEFAULT;
}

/* without CAP_PERFMON */
SEC("?iouring.s")
int user_memory(struct bpf_io_uring_ctx *ctx)
{
	__u64 word;

	bpf_copy_from_user(&word, sizeof(word), (void *)ctx->state[1]);
	return BPF_IO_URING_DEFAULT;
}
