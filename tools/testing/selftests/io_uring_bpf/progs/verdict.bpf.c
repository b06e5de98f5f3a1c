// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* verdict of a completion, and values for its CQE if change is set */
__u32 verdict;
__u32 change;
__u64 new_user_data;
__s32 new_res;
__u32 new_cflags;

SEC("iouring")
int verdict_as_told(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	if (change) {
		ctx->user_data = new_user_data;
		ctx->res = new_res;
		ctx->cflags = new_cflags;
	}
	/* the result of the flow is not tested here */
	if (!ctx->nr_children)
		bpf_io_uring_complete(ctx, 0);
	return verdict & 3;
}
