// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("watcher")
ABOUT("post CQEs only for requests that have failed, were short, or return a value")
ARG("opcodes, user_data", "filter of the link", "the requests to silence")
RESULT("no CQE for a read, write, send or receive that has transferred all of its bytes, "
	"and for other requests with the result 0. A dropped CQE does not end a wait")
ERROR("EINVAL", "result of a flow of the slot: the program has to be attached with "
	"BPF_F_IOURING_MATCH")
WINS("an application that only wants to know of failures: sends, closes, syncs")
LOSES("IOSQE_CQE_SKIP_SUCCESS does: it also drops short results, and costs nothing"));

SEC("iouring")
int quiet(struct bpf_io_uring_ctx *ctx)
{
	struct bpf_io_uring_req req = {};
	int res = ctx->res;

	if (!(ctx->flags & BPF_IO_URING_F_MATCH))
		return iou_end(ctx, -EINVAL);
	if (ctx->event != BPF_IO_URING_COMPLETE || res < 0)
		return BPF_IO_URING_NEXT;
	switch (ctx->opcode) {
	case IORING_OP_READ:
	case IORING_OP_READ_FIXED:
	case IORING_OP_WRITE:
	case IORING_OP_WRITE_FIXED:
	case IORING_OP_SEND:
	case IORING_OP_RECV:
		/* the length is 0 if the request has selected a buffer */
		if (bpf_io_uring_req(ctx, &req, sizeof(req)) || !req.len ||
		    req.len != res)
			return BPF_IO_URING_NEXT;
		break;
	default:
		if (res)
			return BPF_IO_URING_NEXT;
	}
	return BPF_IO_URING_DROP | BPF_IO_URING_NEXT;
}
