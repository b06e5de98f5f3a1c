// SPDX-License-Identifier: GPL-2.0
/* wc -l: reads a file step by step, and ends with the number of its lines */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define EFAULT	14

extern int bpf_io_uring_issue(struct bpf_io_uring_ctx *ctx, const void *sqe,
			      __u32 sqe__sz, __u64 flags) __ksym;
extern int bpf_io_uring_complete(struct bpf_io_uring_ctx *ctx, __s32 res) __ksym;

char LICENSE[] SEC("license") = "GPL";
char text[4096];

/* state[]: fd, address of a buffer, offset in the file, lines so far */
SEC("iouring.s")
int hello(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe = {};
	__u64 fd = ctx->state[0];
	int i, len = ctx->res;

	if (ctx->event == BPF_IO_URING_COMPLETE) {
		/* an error, or the end of the file */
		if (len <= 0 || len > sizeof(text)) {
			bpf_io_uring_complete(ctx, len ?: ctx->state[3]);
			return BPF_IO_URING_DEFAULT;
		}
		if (bpf_copy_from_user(text, len, (void *)ctx->state[1])) {
			bpf_io_uring_complete(ctx, -EFAULT);
			return BPF_IO_URING_DEFAULT;
		}
		bpf_for(i, 0, len)
			ctx->state[3] += text[i & 4095] == '\n';
		ctx->state[2] += len;
	}
	sqe.opcode = IORING_OP_READ;
	sqe.fd = fd;
	sqe.addr = ctx->state[1];
	sqe.len = sizeof(text);
	sqe.off = ctx->state[2];
	bpf_io_uring_issue(ctx, &sqe, sizeof(sqe), 0);
	return BPF_IO_URING_DEFAULT;
}
