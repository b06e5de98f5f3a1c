// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define MARKER	0x3a24e4
#define MAX_POSTS	20

/*
 * number of CQEs to post at each event, with user_data MARKER + n, n counts all
 */
__u32 nr_posts;
__u32 nr_posted;
__s32 post_rets[MAX_POSTS];
/* failed calls of cqe_full */
__u32 nr_refused;

__s32 ret_short;
__s32 ret_long;
__s32 ret_zero;
__s32 ret_f_32;
__s32 ret_f_skip;

static __always_inline void cqe_post_all(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	bpf_for(i, 0, MAX_POSTS) {
		if (i >= nr_posts)
			break;
		post_rets[i] = iou_post_cqe(ctx, MARKER + nr_posted, i,
					    i << 16);
		if (!post_rets[i])
			nr_posted++;
	}
}

/* Post at each event, and post the CQE of the child as well. */
SEC("iouring")
int cqe_post(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	cqe_post_all(ctx);
	return BPF_IO_URING_POST;
}

/* Post at START only. */
SEC("iouring")
int cqe_post_at_start(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx))
		cqe_post_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Stage as many CQEs as a run may, or those of the test. */
SEC("iouring")
int cqe_full(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	cqe_post_all(ctx);
	bpf_for(i, 0, MAX_POSTS)
		nr_refused += i < nr_posts && post_rets[i];
	if (!iou_is_start(ctx))
		return BPF_IO_URING_DEFAULT;
	iou_issue_all(ctx);
	bpf_for(i, 0, IOU_MAX_SQES)
		nr_refused += i < nr_sqes && rets[i];
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int cqe_errors(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_cqe cqes[3] = {};

	cqes[0].user_data = MARKER;
	ret_short = bpf_io_uring_post_cqe(ctx, cqes, sizeof(cqes[0]) - 1);
	ret_long = bpf_io_uring_post_cqe(ctx, cqes, sizeof(cqes));
	ret_zero = bpf_io_uring_post_cqe(ctx, cqes, 0);
	ret_f_32 = iou_post_cqe(ctx, MARKER, 0, IORING_CQE_F_32);
	ret_f_skip = iou_post_cqe(ctx, MARKER, 0, IORING_CQE_F_SKIP);
	return BPF_IO_URING_DEFAULT;
}
