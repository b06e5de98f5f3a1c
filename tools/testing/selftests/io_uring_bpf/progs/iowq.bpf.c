// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* thread to run in, 0 for that of the first run; runs in another thread */
__u64 expected_pid_tgid;
__u32 nr_elsewhere;
/* result of the flows that iowq_end ends */
__s32 end_res;

static __always_inline void log_event(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (!expected_pid_tgid)
		expected_pid_tgid = bpf_get_current_pid_tgid();
	if (bpf_get_current_pid_tgid() != expected_pid_tgid)
		nr_elsewhere++;
}

/* Issue the SQEs of the test at the first event of the flow. */
SEC("iouring")
int iowq_issue(struct bpf_io_uring_ctx *ctx)
{
	log_event(ctx);
	if (!iou_is_child(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Issue sqes[0] and sqes[1] alternately, state[0] times in total. */
SEC("iouring")
int iowq_loop(struct bpf_io_uring_ctx *ctx)
{
	log_event(ctx);
	if (ctx->res < 0)
		return BPF_IO_URING_DEFAULT;
	if (ctx->state[1] == ctx->state[0]) {
		bpf_io_uring_complete(ctx, ctx->state[1]);
		return BPF_IO_URING_DEFAULT;
	}
	iou_issue(ctx, &sqes[ctx->state[1] & 1]);
	ctx->state[1]++;
	return BPF_IO_URING_DEFAULT;
}

/*
 * Issue the SQE that state[0] names, 0 or 1, and let the flow end on its own. With 2, issue
 * sqes[2] and sqes[3], and end the flow when one of them completes.
 */
SEC("iouring")
int iowq_end(struct bpf_io_uring_ctx *ctx)
{
	__u64 kind = ctx->state[0];

	if (!iou_is_start(ctx)) {
		if (kind == 2)
			bpf_io_uring_complete(ctx, end_res);
	} else if (kind == 2) {
		iou_issue(ctx, &sqes[2]);
		iou_issue(ctx, &sqes[3]);
	} else {
		iou_issue(ctx, &sqes[kind & 1]);
	}
	return BPF_IO_URING_DEFAULT;
}
