// SPDX-License-Identifier: GPL-2.0
/* wc -l: reads a file step by step, and ends with the number of its lines */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <iou/iou.bpf.h>

char LICENSE[] SEC("license") = "GPL";
/* also mapped by the application, so that requests can read into it */
char text[4096];

/* the first two words come from the SQE */
struct progress {
	__u64 fd;
	__u64 buf;
	__u64 off;
	__u64 lines;
};

SEC("iouring")
int hello(struct bpf_io_uring_ctx *ctx)
{
	struct progress *s = iou_state(ctx, struct progress);
	struct io_uring_sqe sqe;
	int i, len = ctx->res;

	if (!iou_is_start(ctx)) {
		/* an error, or the end of the file */
		if (len <= 0 || len > sizeof(text))
			return iou_end(ctx, len ?: s->lines);
		bpf_for(i, 0, len)
			s->lines += text[i & 4095] == '\n';
		s->off += len;
	}
	io_uring_prep_read(&sqe, s->fd, s->buf, sizeof(text), s->off);
	return iou_end_on_error(ctx, iou_issue(ctx, &sqe));
}
