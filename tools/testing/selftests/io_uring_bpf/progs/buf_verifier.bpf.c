// SPDX-License-Identifier: GPL-2.0
/*
 * Uses of slices, copies and flow memory that the verifier has to reject, except for
 * those whose names begin with "good". The expected messages are in the table of
 * buf_verifier_test.c.
 */
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u8 data[64];
__u64 sum;

static __always_inline int good_calls(struct bpf_io_uring_ctx *ctx)
{
	struct bpf_io_uring_buf_pos from = { .offset = ctx->state[0] };
	struct bpf_io_uring_buf_pos to = { .index = ctx->cflags };
	struct bpf_io_uring_req req = {};
	const __u8 *p;
	__u8 *q;

	p = bpf_io_uring_buf_data(ctx, ctx->cflags, ctx->state[0], 64);
	if (p)
		sum += p[0] + p[63] + *(const __u64 *)(p + 56);
	q = bpf_io_uring_buf_data_rw(ctx, ctx->cflags, ctx->state[0], 64);
	if (q)
		q[63] = q[0];
	bpf_io_uring_buf_read(ctx, 0, ctx->state[1], data, sizeof(data));
	bpf_io_uring_buf_write(ctx, 0, ctx->state[1], data, sizeof(data));
	bpf_io_uring_buf_copy(ctx, &to, &from, ctx->cflags);
	bpf_io_uring_buf_give(ctx, ctx->cflags, ctx->cflags, ctx->state[0], ctx->cflags);
	if (!bpf_io_uring_req(ctx, &req, sizeof(req)))
		sum += req.pos;
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int good(struct bpf_io_uring_ctx *ctx)
{
	return good_calls(ctx);
}

SEC("?iouring.s")
int good_sleepable(struct bpf_io_uring_ctx *ctx)
{
	return good_calls(ctx);
}

/* Use a slice at a variable offset within its size. */
SEC("?iouring")
int good_variable_offset(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *p = bpf_io_uring_buf_data(ctx, 0, 0, 64);

	if (p)
		sum += p[ctx->state[0] & 63];
	return BPF_IO_URING_DEFAULT;
}

/* The same with the memory of a flow, which has no constant offset for the compiler. */
SEC("?iouring")
int good_mem(struct bpf_io_uring_ctx *ctx)
{
	__u64 *p = (__u64 *)bpf_io_uring_flow_mem(ctx, 64);

	if (p)
		p[ctx->cflags & 7] += p[7];
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int no_null_check(struct bpf_io_uring_ctx *ctx)
{
	sum += *bpf_io_uring_buf_data(ctx, 0, 0, 64);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int no_null_check_rw(struct bpf_io_uring_ctx *ctx)
{
	*bpf_io_uring_buf_data_rw(ctx, 0, 0, 64) = 1;
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int store_to_read_only(struct bpf_io_uring_ctx *ctx)
{
	__u8 *p = (__u8 *)bpf_io_uring_buf_data(ctx, 0, 0, 64);

	if (p)
		p[0] = 1;
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int atomic_on_read_only(struct bpf_io_uring_ctx *ctx)
{
	__u64 *p = (__u64 *)bpf_io_uring_buf_data(ctx, 0, 0, 64);

	if (p)
		__sync_fetch_and_add(p, 1);
	return BPF_IO_URING_DEFAULT;
}

/* The same with a kfunc that writes. */
SEC("?iouring")
int copy_to_read_only(struct bpf_io_uring_ctx *ctx)
{
	void *p = (void *)bpf_io_uring_buf_data(ctx, 0, 0, 64);

	if (p)
		bpf_io_uring_buf_read(ctx, 0, 0, p, 64);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int load_past_end(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *p = bpf_io_uring_buf_data(ctx, 0, 0, 64);

	if (p)
		sum += p[64];
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int load_across_end(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *p = bpf_io_uring_buf_data(ctx, 0, 0, 64);

	if (p)
		sum += *(const __u64 *)(p + 57);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int load_before_start(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *p = bpf_io_uring_buf_data(ctx, 0, 0, 64);

	if (p)
		sum += p[-1];
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int store_past_end(struct bpf_io_uring_ctx *ctx)
{
	__u8 *p = bpf_io_uring_buf_data_rw(ctx, 0, 0, 64);

	if (p)
		p[64] = 1;
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int load_at_unknown_offset(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *p = bpf_io_uring_buf_data(ctx, 0, 0, 64);

	if (p)
		sum += p[ctx->state[0] & 127];
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int size_unknown(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *p = bpf_io_uring_buf_data(ctx, 0, 0, ctx->cflags & 63);

	if (p)
		sum += (__u64)p;
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int size_unknown_rw(struct bpf_io_uring_ctx *ctx)
{
	__u8 *p = bpf_io_uring_buf_data_rw(ctx, 0, 0, ctx->cflags & 63);

	if (p)
		sum += (__u64)p;
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int size_zero(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *p = bpf_io_uring_buf_data(ctx, 0, 0, 0);

	if (p)
		sum += p[0];
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int mem_no_null_check(struct bpf_io_uring_ctx *ctx)
{
	*bpf_io_uring_flow_mem(ctx, 64) = 1;
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int mem_past_end(struct bpf_io_uring_ctx *ctx)
{
	__u8 *p = bpf_io_uring_flow_mem(ctx, 64);

	if (p)
		p[64] = 1;
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int mem_size_unknown(struct bpf_io_uring_ctx *ctx)
{
	__u8 *p = bpf_io_uring_flow_mem(ctx, ctx->cflags & 63);

	if (p)
		sum += (__u64)p;
	return BPF_IO_URING_DEFAULT;
}

SEC("?syscall")
int mem_other_type(void *ctx)
{
	sum += !!bpf_io_uring_flow_mem(ctx, 64);
	return 0;
}

/* Store an address that user space could read: requires a capability. */
SEC("?iouring")
int pointer_in_mem(struct bpf_io_uring_ctx *ctx)
{
	__u64 *p = (__u64 *)bpf_io_uring_flow_mem(ctx, 64);

	if (p)
		*p = (__u64)ctx;
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int slice_in_context(struct bpf_io_uring_ctx *ctx)
{
	ctx->state[0] = (__u64)bpf_io_uring_buf_data(ctx, 0, 0, 64);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int copy_beyond_memory(struct bpf_io_uring_ctx *ctx)
{
	char half[32];

	bpf_io_uring_buf_read(ctx, 0, 0, half, 64);
	return half[0] & 3;
}

SEC("?iouring")
int copy_size_unknown(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_buf_write(ctx, 0, 0, data, ctx->cflags);
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int req_beyond_memory(struct bpf_io_uring_ctx *ctx)
{
	char half[16] = {};

	bpf_io_uring_req(ctx, (void *)half, sizeof(struct bpf_io_uring_req));
	return half[0] & 3;
}

SEC("?iouring")
int again_is_moved(struct bpf_io_uring_ctx *ctx)
{
	void *moved = ctx;

	asm volatile ("%0 += 8" : "+r" (moved));
	bpf_io_uring_again(moved, 0, 0, 0);
	return BPF_IO_URING_DEFAULT;
}

SEC("?socket")
int other_type(struct __sk_buff *skb)
{
	bpf_io_uring_again((void *)skb, 0, 0, 0);
	return 0;
}

SEC("?syscall")
int other_type_buf(void *ctx)
{
	bpf_io_uring_buf_read(ctx, 0, 0, data, sizeof(data));
	return 0;
}
