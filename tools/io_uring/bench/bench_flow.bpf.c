// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark by flows. The requests are SQEs in global variables that user
 * space fills in, and a hop changes only what is different from the one before:
 * the programs of a ring run one at a time. A program called again has one
 * request, which it issues time and again.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <iou/iou.bpf.h>
#include "bench_shared.h"

char LICENSE[] SEC("license") = "GPL";

/* all requests, or the first and the second kind of them */
struct io_uring_sqe sqe;
struct io_uring_sqe sqe2;
const volatile __s32 want;

static __always_inline int flow_fail(struct bpf_io_uring_ctx *ctx)
{
	bpf_io_uring_complete(ctx, -EIO);
	return BPF_IO_URING_DEFAULT;
}

/* state[0] requests, one after the other */
SEC("iouring")
int flow_hop(struct bpf_io_uring_ctx *ctx)
{
	if (!iou_is_start(ctx) && ctx->res != want)
		return flow_fail(ctx);
	if (ctx->state[0]) {
		ctx->state[0]--;
		iou_issue(ctx, &sqe);
	}
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int flow_hop_again(struct bpf_io_uring_ctx *ctx)
{
	if (iou_is_start(ctx)) {
		iou_issue(ctx, &sqe);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->res != want)
		return flow_fail(ctx);
	if (--ctx->state[0])
		bpf_io_uring_again(ctx, sqe.off, sqe.addr, sqe.len);
	return BPF_IO_URING_DEFAULT;
}

/* state[0] requests, a batch of them in flight */
SEC("iouring")
int flow_hop_batch(struct bpf_io_uring_ctx *ctx)
{
	int i;

	if (iou_is_start(ctx)) {
		ctx->state[0] -= BENCH_BATCH;
		bpf_for(i, 0, BENCH_BATCH)
			iou_issue(ctx, &sqe);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->res != want)
		return flow_fail(ctx);
	if (ctx->state[0]) {
		ctx->state[0]--;
		iou_issue(ctx, &sqe);
	}
	return BPF_IO_URING_DEFAULT;
}

/* a message in pieces; state[0]: bytes that have come */
SEC("iouring")
int flow_pieces(struct bpf_io_uring_ctx *ctx)
{
	if (!iou_is_start(ctx)) {
		if (ctx->res <= 0)
			return flow_fail(ctx);
		ctx->state[0] += ctx->res;
	}
	if (ctx->state[0] < BENCH_MESSAGE)
		iou_issue(ctx, &sqe);
	else
		bpf_io_uring_complete(ctx, ctx->state[0]);
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int flow_pieces_again(struct bpf_io_uring_ctx *ctx)
{
	if (iou_is_start(ctx)) {
		iou_issue(ctx, &sqe);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->res <= 0)
		return flow_fail(ctx);
	ctx->state[0] += ctx->res;
	if (ctx->state[0] < BENCH_MESSAGE)
		bpf_io_uring_again(ctx, 0, 0, BENCH_PIECE);
	else
		bpf_io_uring_complete(ctx, ctx->state[0]);
	return BPF_IO_URING_DEFAULT;
}

/* one that fails, and one that doesn't after state[0] tries */
SEC("iouring")
int flow_retry(struct bpf_io_uring_ctx *ctx)
{
	if (!iou_is_start(ctx) && ctx->res != -EAGAIN)
		return BPF_IO_URING_DEFAULT;
	if (ctx->state[0]) {
		ctx->state[0]--;
		iou_issue(ctx, &sqe);
	} else {
		iou_issue(ctx, &sqe2);
	}
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int flow_retry_again(struct bpf_io_uring_ctx *ctx)
{
	if (iou_is_start(ctx))
		iou_issue(ctx, &sqe);
	else if (ctx->res == -EAGAIN)
		bpf_io_uring_again(ctx, 0, 0, --ctx->state[0] ? -EAGAIN : 0);
	return BPF_IO_URING_DEFAULT;
}

/* the way down a tree; state[0]: key, state[1]: levels, state[2]: buffer */
SEC("iouring")
int flow_walk(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *node;

	sqe.off = 0;
	if (!iou_is_start(ctx)) {
		if (ctx->res != BENCH_NODE)
			return flow_fail(ctx);
		if (!ctx->state[1])
			return BPF_IO_URING_DEFAULT;
		ctx->state[1]--;
		node = bpf_io_uring_buf_data(ctx, 0, ctx->state[2],
					     sizeof(struct bench_node));
		if (!node)
			return flow_fail(ctx);
		sqe.off = bench_child((const void *)node, ctx->state[0]);
	}
	sqe.addr = ctx->state[3];
	iou_issue(ctx, &sqe);
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int flow_walk_again(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *node;
	__u64 off;

	if (iou_is_start(ctx)) {
		sqe.addr = ctx->state[3];
		iou_issue(ctx, &sqe);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->res != BENCH_NODE)
		return flow_fail(ctx);
	if (!ctx->state[1])
		return BPF_IO_URING_DEFAULT;
	ctx->state[1]--;
	node = bpf_io_uring_buf_data(ctx, 0, ctx->state[2],
				     sizeof(struct bench_node));
	if (!node)
		return flow_fail(ctx);
	off = bench_child((const void *)node, ctx->state[0]);
	bpf_io_uring_again(ctx, off, ctx->state[3], BENCH_NODE);
	return BPF_IO_URING_DEFAULT;
}

/* Is it a block that the application wants to hear of? Or -1 */
static __always_inline int scan_look(struct bpf_io_uring_ctx *ctx)
{
	const __u8 *data;

	if (ctx->res != BENCH_BLOCK)
		return -1;
	data = bpf_io_uring_buf_data(ctx, 0, 0, sizeof(__u64));
	if (!data)
		return -1;
	return *(const __u64 *)data == BENCH_WANTED;
}

/* a CQE for a wanted block only; state[0]: offset, state[1]: end of the file */
SEC("iouring")
int flow_scan(struct bpf_io_uring_ctx *ctx)
{
	int wanted = 0;

	if (!iou_is_start(ctx)) {
		wanted = scan_look(ctx);
		if (wanted < 0)
			return flow_fail(ctx);
		ctx->user_data = ctx->state[0];
		ctx->state[0] += BENCH_BLOCK;
	}
	if (ctx->state[0] < ctx->state[1]) {
		sqe.off = ctx->state[0];
		iou_issue(ctx, &sqe);
	}
	return wanted ? BPF_IO_URING_POST : BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int flow_scan_again(struct bpf_io_uring_ctx *ctx)
{
	int wanted;

	if (iou_is_start(ctx)) {
		iou_issue(ctx, &sqe);
		return BPF_IO_URING_DEFAULT;
	}
	wanted = scan_look(ctx);
	if (wanted < 0)
		return flow_fail(ctx);
	ctx->user_data = ctx->state[0];
	ctx->state[0] += BENCH_BLOCK;
	if (ctx->state[0] < ctx->state[1])
		bpf_io_uring_again(ctx, ctx->state[0], sqe.addr, BENCH_BLOCK);
	return wanted ? BPF_IO_URING_POST : BPF_IO_URING_DEFAULT;
}

/* sqe reads, sqe2 writes; state[0]: offset, state[1]: end */
SEC("iouring")
int flow_copy(struct bpf_io_uring_ctx *ctx)
{
	if (!iou_is_start(ctx)) {
		if (ctx->res != BENCH_BLOCK)
			return flow_fail(ctx);
		if (ctx->opcode == IORING_OP_READ) {
			sqe2.off = ctx->state[0];
			iou_issue(ctx, &sqe2);
			return BPF_IO_URING_DEFAULT;
		}
		ctx->state[0] += BENCH_BLOCK;
	}
	if (ctx->state[0] < ctx->state[1]) {
		sqe.off = ctx->state[0];
		iou_issue(ctx, &sqe);
	}
	return BPF_IO_URING_DEFAULT;
}

/* sqe writes, sqe2 syncs; state[0]: offset, state[1]: end, state[2]: synced */
SEC("iouring")
int flow_append(struct bpf_io_uring_ctx *ctx)
{
	if (!iou_is_start(ctx)) {
		if (ctx->opcode == IORING_OP_WRITE) {
			if (ctx->res != BENCH_ENTRY)
				return flow_fail(ctx);
			ctx->state[0] += BENCH_ENTRY;
		} else {
			if (ctx->res)
				return flow_fail(ctx);
			ctx->state[2] = ctx->state[0];
		}
	}
	if (ctx->state[0] - ctx->state[2] == BENCH_SYNC * BENCH_ENTRY) {
		iou_issue(ctx, &sqe2);
	} else if (ctx->state[0] < ctx->state[1]) {
		sqe.off = ctx->state[0];
		iou_issue(ctx, &sqe);
	}
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int flow_append_again(struct bpf_io_uring_ctx *ctx)
{
	bool start = iou_is_start(ctx);

	if (!start && ctx->opcode == IORING_OP_WRITE) {
		if (ctx->res != BENCH_ENTRY)
			return flow_fail(ctx);
		ctx->state[0] += BENCH_ENTRY;
		if (ctx->state[0] - ctx->state[2] < BENCH_SYNC * BENCH_ENTRY)
			bpf_io_uring_again(ctx, ctx->state[0], sqe.addr,
					   BENCH_ENTRY);
		else
			iou_issue(ctx, &sqe2);
		return BPF_IO_URING_DEFAULT;
	}
	if (!start && ctx->res)
		return flow_fail(ctx);
	ctx->state[2] = ctx->state[0];
	if (ctx->state[0] < ctx->state[1]) {
		sqe.off = ctx->state[0];
		iou_issue(ctx, &sqe);
	}
	return BPF_IO_URING_DEFAULT;
}

/* sqe receives, sqe2 sends what has come; state[0]: messages */
SEC("iouring")
int flow_proxy(struct bpf_io_uring_ctx *ctx)
{
	if (!iou_is_start(ctx)) {
		if (ctx->res <= 0)
			return flow_fail(ctx);
		if (ctx->opcode == IORING_OP_RECV) {
			sqe2.len = ctx->res;
			iou_issue(ctx, &sqe2);
			return BPF_IO_URING_DEFAULT;
		}
		ctx->state[0]--;
	}
	if (ctx->state[0])
		iou_issue(ctx, &sqe);
	return BPF_IO_URING_DEFAULT;
}

/* a multishot request, whose CQEs are for the application */
SEC("iouring")
int flow_recv(struct bpf_io_uring_ctx *ctx)
{
	if (iou_is_start(ctx)) {
		iou_issue(ctx, &sqe);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->event != BPF_IO_URING_AUX || ctx->res != want)
		return flow_fail(ctx);
	return BPF_IO_URING_POST;
}

/* on each completion of the application, and does nothing about it */
SEC("iouring")
int flow_watch(struct bpf_io_uring_ctx *ctx)
{
	return BPF_IO_URING_DEFAULT;
}
