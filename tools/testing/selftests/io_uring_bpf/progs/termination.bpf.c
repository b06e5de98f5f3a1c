// SPDX-License-Identifier: GPL-2.0
/* Programs that never come to an end by themselves. */
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define MAX_CQES	16

#define NR_FLOWS	2

__u64 nr_runs;
/* which of two flows the token is for */
__u32 turn;

/* At each event, whatever it is. */
SEC("iouring")
int term_issue(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* The same request, over and over. */
SEC("iouring")
int term_again(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	if (iou_is_start(ctx))
		iou_issue(ctx, &sqes[0]);
	else
		bpf_io_uring_again(ctx, 0, sqes[0].addr, sqes[0].len);
	return BPF_IO_URING_DEFAULT;
}

/* Has issued what goes on without it, and only looks on. */
SEC("iouring")
int term_look_on(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Waits for events of a file, and is what makes them. */
SEC("iouring")
int term_trigger(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	if (ctx->opcode == IORING_OP_WRITE)
		return BPF_IO_URING_DEFAULT;
	if (ctx->event != BPF_IO_URING_AUX)
		iou_issue(ctx, &sqes[0]);
	iou_issue(ctx, &sqes[1]);
	return BPF_IO_URING_DEFAULT;
}

/* The same for a request of the application. */
SEC("iouring")
int term_watch(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	bpf_io_uring_issue(ctx, &sqes[1], sizeof(sqes[1]), BPF_IO_URING_ISSUE_APP);
	return BPF_IO_URING_DROP;
}

/* Has CQEs posted as long as there is room, and those of its children always. */
SEC("iouring")
int term_post(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	nr_runs++;
	bpf_for(i, 0, MAX_CQES)
		iou_post_cqe(ctx, i, 0, 0);
	iou_issue(ctx, &sqes[0]);
	return BPF_IO_URING_POST;
}

/*
 * Two flows, with 0 and 1 in state[0], have one token. The first SQEs wait for it,
 * one for each flow, and the others give it to each. A flow waits for its turn
 * before it makes it the other one's, so neither gets anywhere on its own. One
 * that gets the token out of turn is over, and with that so are both.
 */
SEC("iouring")
int term_ping_pong(struct bpf_io_uring_ctx *ctx)
{
	__u32 own = ctx->state[0] & 1, other = own ^ 1;

	nr_runs++;
	/* the other one has it now */
	if (ctx->opcode == IORING_OP_WRITE)
		return BPF_IO_URING_DEFAULT;
	if (!iou_is_start(ctx)) {
		if (ctx->res != 1 || turn != own)
			return BPF_IO_URING_DEFAULT;
		turn = other;
		iou_issue(ctx, &sqes[NR_FLOWS + other]);
	}
	iou_issue(ctx, &sqes[own]);
	return BPF_IO_URING_DEFAULT;
}

/* Sends to the other one's ring. */
SEC("iouring")
int term_msg_ring(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	iou_issue(ctx, &sqes[ctx->state[0] & 1]);
	return BPF_IO_URING_DEFAULT;
}
