// SPDX-License-Identifier: GPL-2.0
/* A program that stages a request in the handler of a multishot accept */
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* a file that is never ready */
__s32 idle_fd;
/* user_data of the staged request and of the idle child */
__u64 staged_ud, idle_ud;
__u32 nr_aux;
__s32 ret = 1;

/* Watches ACCEPT: issues a NOP for the application at the first connection. */
SEC("iouring")
int nested_watch(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	if (ctx->event != BPF_IO_URING_AUX)
		return BPF_IO_URING_DEFAULT;
	if (!nr_aux++) {
		iou_prep_nop(&sqe, staged_ud);
		ret = bpf_io_uring_issue(ctx, &sqe, sizeof(sqe),
					 BPF_IO_URING_ISSUE_APP);
	}
	return BPF_IO_URING_DROP;
}

/* A flow with one child, which waits forever. */
SEC("iouring")
int nested_idle(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_POLL_ADD };

	if (ctx->event != BPF_IO_URING_START)
		return BPF_IO_URING_DEFAULT;
	sqe.fd = idle_fd;
	sqe.poll32_events = 1;
	sqe.user_data = idle_ud;
	iou_issue(ctx, &sqe);
	return BPF_IO_URING_DEFAULT;
}
