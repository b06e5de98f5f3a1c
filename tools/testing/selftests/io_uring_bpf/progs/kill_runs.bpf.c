// SPDX-License-Identifier: GPL-2.0
/* Programs that take some milliseconds on an emulated machine */
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define ROUNDS		10000
/* for a program that SIGKILL has to hit, or a call of exec */
#define LONG_ROUNDS	100000
#define EXEC_ROUNDS	1000000

__u32 nr_runs;

static __always_inline void spend_time(int rounds)
{
	int i;

	nr_runs++;
	bpf_for(i, 0, rounds)
		barrier();
}

SEC("iouring")
int long_flow(struct bpf_io_uring_ctx *ctx)
{
	spend_time(ROUNDS);
	return BPF_IO_URING_DEFAULT;
}

/* Wait for a child that completes by task work. */
SEC("iouring")
int long_child(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_NOP, .nop_flags = IORING_NOP_TW };

	if (iou_is_start(ctx))
		iou_issue(ctx, &sqe);
	else
		spend_time(EXEC_ROUNDS);
	return BPF_IO_URING_DEFAULT;
}

/* With state, a watching program runs for one completion at a time. */
SEC("iouring")
int long_watch(struct bpf_io_uring_ctx *ctx)
{
	ctx->state[0] = 1;
	spend_time(ROUNDS);
	return BPF_IO_URING_DEFAULT;
}

/* The next watching program sees the completion, too. */
SEC("iouring")
int long_next(struct bpf_io_uring_ctx *ctx)
{
	spend_time(LONG_ROUNDS);
	return BPF_IO_URING_NEXT;
}

/* Drop a CQE, and issue a request for the application. */
SEC("iouring.s")
int long_drop(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_NOP };

	bpf_io_uring_issue(ctx, &sqe, sizeof(sqe), BPF_IO_URING_ISSUE_APP);
	spend_time(LONG_ROUNDS);
	return BPF_IO_URING_DROP;
}
