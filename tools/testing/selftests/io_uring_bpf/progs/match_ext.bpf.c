// SPDX-License-Identifier: GPL-2.0
/* An extension of a watching program */
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u64 seen;

SEC("?freplace")
int ext_looks(struct bpf_io_uring_ctx *ctx)
{
	seen = ctx->user_data;
	return BPF_IO_URING_DROP;
}

SEC("?freplace")
int ext_writes(struct bpf_io_uring_ctx *ctx)
{
	seen = ctx->user_data;
	ctx->res = 77;
	return BPF_IO_URING_DEFAULT;
}

SEC("?freplace")
int ext_has_state(struct bpf_io_uring_ctx *ctx)
{
	seen = ctx->state[3];
	return BPF_IO_URING_DEFAULT;
}
