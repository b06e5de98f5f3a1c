// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"
#include "req_got.h"

char LICENSE[] SEC("license") = "GPL";

/* by event */
struct req_got got[IOU_MAX_EVENTS];
struct req_again agains[IOU_MAX_EVENTS];

/* results for other sizes than that of the struct */
__s32 small_ret;
__s32 large_ret;

static __always_inline void req_look(struct bpf_io_uring_ctx *ctx)
{
	struct bpf_io_uring_req req;
	__u32 n = nr_events;

	/* a call that fails leaves zeroes */
	__builtin_memset(&req, 0xff, sizeof(req));
	iou_log_event(ctx);
	if (n >= IOU_MAX_EVENTS)
		return;
	got[n].ret = bpf_io_uring_req(ctx, &req, sizeof(req));
	got[n].addr = req.addr;
	got[n].pos = req.pos;
	got[n].len = req.len;
	got[n].buf_index = req.buf_index;
	got[n].flags = req.flags;
	if (agains[n].len)
		agains[n].ret = bpf_io_uring_again(ctx, agains[n].off, agains[n].addr,
						   agains[n].len);
}

SEC("iouring")
int req_flow(struct bpf_io_uring_ctx *ctx)
{
	req_look(ctx);
	if (!iou_is_child(ctx) && ctx->event != BPF_IO_URING_CANCEL)
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* Take over what a child or a watched request has received. */
SEC("iouring")
int req_drop(struct bpf_io_uring_ctx *ctx)
{
	req_look(ctx);
	if (iou_is_start(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DROP_BUF;
}

SEC("iouring")
int req_sizes(struct bpf_io_uring_ctx *ctx)
{
	char mem[sizeof(struct bpf_io_uring_req) + 8] = {};

	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	small_ret = bpf_io_uring_req(ctx, (void *)mem, sizeof(mem) - 16);
	large_ret = bpf_io_uring_req(ctx, (void *)mem, sizeof(mem));
	return BPF_IO_URING_DEFAULT;
}
