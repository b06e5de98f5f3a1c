// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* verdict of completions */
__u32 verdict;
/* kfuncs that each run calls with wrong arguments, and NOPs that it issues as APP */
__u32 nr_refused;
__u32 nr_apps;
/* completions after which a NOP is issued, or reissued with @again */
__u32 hops;
__u32 again;

static __always_inline void fdinfo_others(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;
	__u32 i;

	iou_prep_nop(&sqe, 0);
	bpf_for(i, 0, nr_refused)
		bpf_io_uring_issue(ctx, &sqe, sizeof(sqe), ~0ULL);
	bpf_for(i, 0, nr_apps)
		bpf_io_uring_issue(ctx, &sqe, sizeof(sqe), BPF_IO_URING_ISSUE_APP);
}

/* Issue the SQEs of the test at START, and a NOP after each of @hops completions. */
SEC("iouring")
int fdinfo_flow(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	fdinfo_others(ctx);
	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
	} else if (ctx->event == BPF_IO_URING_COMPLETE && hops) {
		hops--;
		if (again)
			bpf_io_uring_again(ctx, 0, 0, 0);
		else
			iou_issue(ctx, &sqes[0]);
	}
	return iou_verdict(verdict);
}

SEC("iouring")
int fdinfo_watch(struct bpf_io_uring_ctx *ctx)
{
	fdinfo_others(ctx);
	return iou_verdict(verdict);
}

SEC("iouring")
int fdinfo_watch_state(struct bpf_io_uring_ctx *ctx)
{
	ctx->state[0] = 1;
	fdinfo_others(ctx);
	return iou_verdict(verdict);
}
