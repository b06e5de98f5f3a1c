// SPDX-License-Identifier: GPL-2.0
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u64 child_ud;
__u32 nr_hops, wanted;
/* reissue the request instead of issuing another one */
__u32 again;
/* if not 0, a child polls this */
__u32 poll_fd;

static __always_inline void issue_poll(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	iou_prep_nop(&sqe, child_ud);
	sqe.opcode = IORING_OP_POLL_ADD;
	sqe.fd = poll_fd;
	sqe.poll32_events = 1; /* POLLIN */
	iou_issue(ctx, &sqe);
}

/* Issue one NOP after the other, each of which posts its CQE. */
SEC("iouring")
int overflow_post(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	if (ctx->event == BPF_IO_URING_COMPLETE)
		nr_hops++;
	else if (ctx->event != BPF_IO_URING_START)
		return BPF_IO_URING_DEFAULT;
	else if (poll_fd)
		issue_poll(ctx);
	if (nr_hops < wanted) {
		if (again && ctx->event == BPF_IO_URING_COMPLETE) {
			bpf_io_uring_again(ctx, 0, 0, 0);
		} else {
			iou_prep_nop(&sqe, child_ud);
			iou_issue(ctx, &sqe);
		}
	}
	return BPF_IO_URING_POST;
}
