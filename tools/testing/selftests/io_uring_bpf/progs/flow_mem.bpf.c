// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* twice the size of the state */
struct mem_small {
	__u64	sum;
	__u32	nr;
	__u16	flow_id;
	__u8	bytes[50];
};

struct mem_large {
	__u64	words[512];
};

/* what was in memory that is to be zero, or'ed */
__u64 found;
/* there was memory, or a number, without a flow */
__u32 found_flow;

/*
 * Issue sqes[0] state[0] times, one after the other, and add state[1] for each of them.
 * End with the sum, or with -ENODATA if there is no memory.
 */
SEC("iouring")
int mem_sum(struct bpf_io_uring_ctx *ctx)
{
	struct mem_small *m = iou_mem(ctx, struct mem_small);

	iou_log_event(ctx);
	if (!m)
		return iou_end(ctx, -ENODATA);
	if (!iou_is_child(ctx)) {
		m->flow_id = ctx->flow_id;
		m->bytes[49] = ctx->state[1];
	} else {
		m->sum += ctx->state[1];
		m->nr++;
	}
	if (m->flow_id != ctx->flow_id || m->bytes[49] != (__u8)ctx->state[1])
		return iou_end(ctx, -EBADMSG);
	if (m->nr == ctx->state[0])
		return iou_end(ctx, m->sum);
	rets[0] = iou_issue(ctx, &sqes[0]);
	return BPF_IO_URING_DEFAULT;
}

/* Fill the memory, which is zero before, and end. */
SEC("iouring")
int mem_fill(struct bpf_io_uring_ctx *ctx)
{
	struct mem_large *m = iou_mem(ctx, struct mem_large);
	__u32 i;

	iou_log_event(ctx);
	if (!m)
		return iou_end(ctx, -ENODATA);
	bpf_for(i, 0, 512) {
		found |= m->words[i & 511];
		m->words[i & 511] = ~0ULL;
	}
	return iou_end(ctx, 0);
}

/* A watching program has no flow. */
SEC("iouring")
int mem_watch(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	found_flow += bpf_io_uring_flow_mem(ctx, 0) || ctx->flow_id;
	return BPF_IO_URING_DEFAULT;
}
