// SPDX-License-Identifier: GPL-2.0
/* Pointer arithmetic with a register, which the verifier cannot make safe everywhere */
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

char text[64];

struct spec_state {
	__u64 index;
	__u8 bytes[24];
};

/* within an array of the program: with a register, and with CAP_BPF alone */
SEC("?iouring")
int spec_map(struct bpf_io_uring_ctx *ctx)
{
	struct spec_state *s = iou_state(ctx, struct spec_state);

	s->bytes[3] = text[s->index & 63];
	return BPF_IO_URING_DEFAULT;
}

/* one path with a constant and another one with a variable */
SEC("?iouring")
int spec_map_bound(struct bpf_io_uring_ctx *ctx)
{
	ctx->res = text[iou_bound(ctx->state[0], 63)];
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int spec_stack(struct bpf_io_uring_ctx *ctx)
{
	char buf[16] = {};

	asm volatile ("" : : "r"(buf) : "memory");
	/* beyond the alignment of the stack, or clang uses a bitwise or */
	ctx->res = buf[ctx->state[0] & 15];
	return BPF_IO_URING_DEFAULT;
}

/* at constant offsets of a slice */
SEC("?iouring")
int spec_slice_constant(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *from = bpf_io_uring_buf_data(ctx, 0, 0, 8);
	__u8 *to = bpf_io_uring_buf_data_rw(ctx, 0, 8, 8);

	if (from && to)
		to[3] = from[7];
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int spec_slice_load(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *from = bpf_io_uring_buf_data(ctx, 0, 0, 8);

	if (from)
		ctx->res = from[ctx->state[0] & 7];
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int spec_slice_store(struct bpf_io_uring_ctx *ctx)
{
	__u8 *to = bpf_io_uring_buf_data_rw(ctx, 0, 0, 8);

	if (to)
		to[ctx->state[0] & 7] = 1;
	return BPF_IO_URING_DEFAULT;
}

/* at constant offsets of the memory of a flow */
SEC("?iouring")
int spec_mem_constant(struct bpf_io_uring_ctx *ctx)
{
	struct spec_state *s = iou_mem(ctx, struct spec_state);

	if (s)
		s->bytes[3] = s->bytes[7];
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int spec_mem_load(struct bpf_io_uring_ctx *ctx)
{
	struct spec_state *s = iou_mem(ctx, struct spec_state);

	if (s)
		ctx->res = s->bytes[ctx->state[0] & 7];
	return BPF_IO_URING_DEFAULT;
}

SEC("?iouring")
int spec_mem_store(struct bpf_io_uring_ctx *ctx)
{
	struct spec_state *s = iou_mem(ctx, struct spec_state);

	if (s)
		s->bytes[ctx->state[0] & 7] = 1;
	return BPF_IO_URING_DEFAULT;
}

/* what a relocated offset of a field would be */
SEC("?iouring")
int spec_ctx(struct bpf_io_uring_ctx *ctx)
{
	__u64 val;

	asm volatile ("r2 = 24\n"
		      "r1 = %[ctx]\n"
		      "r1 += r2\n"
		      "%[val] = *(u64 *)(r1 + 0)\n"
		      : [val]"=r"(val) : [ctx]"r"(ctx) : "r1", "r2");
	ctx->res = val;
	return BPF_IO_URING_DEFAULT;
}
