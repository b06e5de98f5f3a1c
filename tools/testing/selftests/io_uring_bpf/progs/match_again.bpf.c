// SPDX-License-Identifier: GPL-2.0
/* Programs that watch requests and reissue them */
#include "iou_log.bpf.h"

char LICENSE[] SEC("license") = "GPL";


/* calls of bpf_io_uring_again() that are left, and their arguments, as additions */
__u32 nr_again;
__s64 add_off;
__s64 add_addr;
__s32 add_len;
__u32 times;

/* results of the calls and of bpf_io_uring_req() */
__s32 ret_again;
__s32 ret_twice;
__s32 ret_req;

__u32 verdict;
__u64 new_user_data;

/* programs of other slots */
__u32 nr_passed;
__u32 nr_later;
__s32 later_res;

static __always_inline int again_run(struct bpf_io_uring_ctx *ctx)
{
	struct bpf_io_uring_req req;

	iou_log_event(ctx);
	ret_req = bpf_io_uring_req(ctx, &req, sizeof(req));
	if (!nr_again)
		return iou_verdict(verdict);
	nr_again--;
	ret_again = bpf_io_uring_again(ctx, req.pos + add_off, req.addr + add_addr,
				       req.len + add_len);
	if (times > 1)
		ret_twice = bpf_io_uring_again(ctx, 0, 0, 0);
	return iou_verdict(verdict);
}

SEC("iouring")
int again_told(struct bpf_io_uring_ctx *ctx)
{
	return again_run(ctx);
}

SEC("iouring.s")
int again_told_s(struct bpf_io_uring_ctx *ctx)
{
	if (new_user_data)
		ctx->user_data = new_user_data;
	return again_run(ctx);
}

/* Continue what is short, as an application would. */
SEC("iouring")
int again_rest(struct bpf_io_uring_ctx *ctx)
{
	struct bpf_io_uring_req req;
	__s32 res = ctx->res;

	iou_log_event(ctx);
	ret_req = bpf_io_uring_req(ctx, &req, sizeof(req));
	if (ret_req)
		return BPF_IO_URING_DEFAULT;
	if (res > 0 && res < req.len)
		ret_again = bpf_io_uring_again(ctx, req.pos, req.addr + res, req.len - res);
	return iou_verdict(verdict);
}

SEC("iouring")
int again_later(struct bpf_io_uring_ctx *ctx)
{
	nr_later++;
	later_res = ctx->res;
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int again_pass(struct bpf_io_uring_ctx *ctx)
{
	nr_passed++;
	return BPF_IO_URING_NEXT;
}

SEC("iouring.s")
int again_change(struct bpf_io_uring_ctx *ctx)
{
	nr_passed++;
	ctx->user_data = new_user_data;
	return BPF_IO_URING_NEXT;
}
