// SPDX-License-Identifier: GPL-2.0
/* Programs that stage requests in the handler of a multishot accept */
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* a listening socket, and a file that is never ready */
__s32 listen_fd, idle_fd;
/* user_data of the accept, of the staged request and of the idle child */
__u64 accept_ud, staged_ud, idle_ud;
__u32 nr_aux;
__s32 ret = 1;

static __always_inline void stage_nop(struct bpf_io_uring_ctx *ctx, bool link)
{
	struct io_uring_sqe sqe;

	if (nr_aux++)
		return;
	iou_prep_nop(&sqe, staged_ud);
	if (link)
		ret = bpf_io_uring_link(ctx, &sqe, sizeof(sqe), 0);
	else
		ret = bpf_io_uring_issue(ctx, &sqe, sizeof(sqe),
					 BPF_IO_URING_ISSUE_APP);
}

/* Watches ACCEPT: issues a NOP for the application at the first connection. */
SEC("iouring")
int nested_watch(struct bpf_io_uring_ctx *ctx)
{
	if (ctx->event != BPF_IO_URING_AUX)
		return BPF_IO_URING_DEFAULT;
	stage_nop(ctx, false);
	return BPF_IO_URING_DROP;
}

/* Accepts connections: links a NOP behind the flow at the first one. */
SEC("iouring")
int nested_accept(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe = {
		.opcode		= IORING_OP_ACCEPT,
		.ioprio		= IORING_ACCEPT_MULTISHOT,
	};

	if (ctx->event == BPF_IO_URING_START) {
		sqe.fd = listen_fd;
		sqe.user_data = accept_ud;
		iou_issue(ctx, &sqe);
	} else if (ctx->event == BPF_IO_URING_AUX) {
		stage_nop(ctx, true);
		if (nr_aux == 2)
			bpf_io_uring_complete(ctx, 0);
	}
	return BPF_IO_URING_DEFAULT;
}

/* A flow with one child, which waits for ever. */
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
