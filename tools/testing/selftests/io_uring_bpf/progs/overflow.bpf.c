// SPDX-License-Identifier: GPL-2.0
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u64 child_ud;
__u32 nr_hops, wanted;
/* issue the same request again, instead of another one */
__u32 again;

/* One NOP after the other, each of which posts its CQE. */
SEC("iouring")
int overflow_post(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	if (ctx->event == BPF_IO_URING_COMPLETE)
		nr_hops++;
	else if (ctx->event != BPF_IO_URING_START)
		return BPF_IO_URING_DEFAULT;
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
