// SPDX-License-Identifier: GPL-2.0
/* Flows that issue the SQE of their user_data, and count what they see */
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* an exiting task that has passed its core dump, from linux/sched.h */
#define PF_POSTCOREDUMP	0x00000008

#define NR_FLOWS	3

/* one with user_data is issued */
struct io_uring_sqe sqes[NR_FLOWS];
/* events, by flow */
__u32 nr_starts[NR_FLOWS];
__u32 nr_ends[NR_FLOWS];
/* events of tasks that exit */
__u32 nr_exiting;

static int seen_issue(struct bpf_io_uring_ctx *ctx, bool on)
{
	struct io_uring_sqe sqe;
	__u32 i = ctx->flow_user_data;

	if (i >= NR_FLOWS)
		return BPF_IO_URING_DEFAULT;
	sqe = sqes[i];
	if (iou_is_start(ctx))
		nr_starts[i]++;
	else
		nr_ends[i]++;
	if (sqe.user_data && (on || iou_is_start(ctx)))
		iou_issue(ctx, &sqe);
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int seen_once(struct bpf_io_uring_ctx *ctx)
{
	return seen_issue(ctx, false);
}

/* Flow 0 goes on without end. */
SEC("iouring")
int seen_first_goes_on(struct bpf_io_uring_ctx *ctx)
{
	return seen_issue(ctx, !ctx->flow_user_data);
}

SEC("iouring")
int seen_exiting(struct bpf_io_uring_ctx *ctx)
{
	if (bpf_get_current_task_btf()->flags & PF_POSTCOREDUMP)
		nr_exiting++;
	return seen_issue(ctx, true);
}
