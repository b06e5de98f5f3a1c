// SPDX-License-Identifier: GPL-2.0
/* Endless programs */
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define MAX_CQES	16

#define NR_FLOWS	2

__u64 nr_runs;
/* number of the flow whose turn it is */
__u32 turn;

/* Issue requests at each event. */
SEC("iouring")
int term_issue(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Reissue the same request endlessly. */
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

/* Reissue a NOP whose preparation fails each time. */
SEC("iouring")
int term_again_fails(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	bpf_io_uring_again(ctx, 1, 0, 0);
	return BPF_IO_URING_DEFAULT;
}

/* Issue requests that continue on their own, and only receive their events. */
SEC("iouring")
int term_look_on(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Wait for events of a file, and cause these events. */
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

/* The same for a request of the application */
SEC("iouring")
int term_watch(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	bpf_io_uring_issue(ctx, &sqes[1], sizeof(sqes[1]), BPF_IO_URING_ISSUE_APP);
	return BPF_IO_URING_DROP;
}

/* Post CQEs while there is room, and the CQEs of the children in any case. */
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
 * Two flows, with 0 and 1 in state[0], share one token. The first SQE of each
 * flow waits for the token, the other one passes it on. A flow passes the token
 * on only at its turn, so that neither flow proceeds alone. A token out of turn
 * ends both flows.
 */
SEC("iouring")
int term_ping_pong(struct bpf_io_uring_ctx *ctx)
{
	__u32 own = ctx->state[0] & 1, other = own ^ 1;

	nr_runs++;
	/* the other flow has the token now */
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

/* Send to the ring of the other flow. */
SEC("iouring")
int term_msg_ring(struct bpf_io_uring_ctx *ctx)
{
	nr_runs++;
	iou_issue(ctx, &sqes[ctx->state[0] & 1]);
	return BPF_IO_URING_DEFAULT;
}
