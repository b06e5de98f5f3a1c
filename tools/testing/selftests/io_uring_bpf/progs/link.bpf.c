// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* number of runs of each program */
__u32 nr_a;
__u32 nr_b;

/* Store a mark in the state, for the next program. */
SEC("iouring")
int link_a(struct bpf_io_uring_ctx *ctx)
{
	nr_a++;
	iou_log_event(ctx);
	ctx->state[0] = 0xaaaa;
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int link_b(struct bpf_io_uring_ctx *ctx)
{
	nr_b++;
	iou_log_event(ctx);
	bpf_io_uring_complete(ctx, 0xb);
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring.s")
int link_sleepable(struct bpf_io_uring_ctx *ctx)
{
	nr_b++;
	iou_log_event(ctx);
	bpf_io_uring_complete(ctx, 0x5);
	return BPF_IO_URING_DEFAULT;
}

SEC("socket")
int link_other_type(struct __sk_buff *skb)
{
	return 0;
}
