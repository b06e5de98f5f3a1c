// SPDX-License-Identifier: GPL-2.0
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u32 use_again;
__u32 nr_writes;
__s32 first_res;
__u64 done;

struct write_state {
	__u64 fd;
	__u64 addr;
	__u64 left;
	/* -1: at the position of the file */
	__u64 off;
};

/* Write all data, in as many pieces as it takes. */
SEC("iouring")
int offset_write(struct bpf_io_uring_ctx *ctx)
{
	struct write_state *s = iou_state(ctx, struct write_state);
	struct io_uring_sqe sqe;

	if (iou_is_start(ctx)) {
		done = 0;
	} else {
		if (ctx->res <= 0)
			return iou_end(ctx, ctx->res);
		if (nr_writes == 1)
			first_res = ctx->res;
		done += ctx->res;
		s->addr += ctx->res;
		s->left -= ctx->res;
		if (s->off != -1ULL)
			s->off += ctx->res;
		if (!s->left)
			return iou_end(ctx, done);
	}
	nr_writes++;
	if (use_again && nr_writes > 1) {
		bpf_io_uring_again(ctx, s->off, s->addr, s->left);
	} else {
		io_uring_prep_write(&sqe, s->fd, s->addr, s->left, s->off);
		iou_issue(ctx, &sqe);
	}
	return BPF_IO_URING_DEFAULT;
}
