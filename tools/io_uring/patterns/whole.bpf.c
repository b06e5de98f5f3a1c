// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("watcher")
ABOUT("continue short reads, writes, sends and receives, and retry after EAGAIN or EINTR")
ARG("opcodes, user_data", "filter of the link", "the requests to continue")
RESULT("one CQE with the bytes in all: less than the length of the request only at the end of "
	"the file or stream, or before an error")
ERROR("EINVAL", "result of a flow of the slot: the program has to be attached with "
	"BPF_F_IOURING_MATCH")
ERROR("others", "of a request that has transferred nothing")
WINS("an application that takes a short result for the end or for an error, unchanged")
LOSES("a receive that is to return what is there: it waits for all bytes, as with MSG_WAITALL. "
	"A retry after EAGAIN uses the CPU until the file is ready: use drain or retry there. A "
	"request that is linked to the next one is not continued: use finish"));

SEC("iouring")
int whole(struct bpf_io_uring_ctx *ctx)
{
	struct bpf_io_uring_req req = {};
	int res = ctx->res;

	if (!(ctx->flags & BPF_IO_URING_F_MATCH))
		return iou_end(ctx, -EINVAL);
	if (ctx->event != BPF_IO_URING_COMPLETE || !res ||
	    (res < 0 && res != -EINTR && res != -EAGAIN))
		return BPF_IO_URING_NEXT;
	/* a few drivers advance the address within a registered buffer, so not these */
	switch (ctx->opcode) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_SEND:
	case IORING_OP_RECV:
		/* the length is 0 if the request has selected a buffer */
		if (bpf_io_uring_req(ctx, &req, sizeof(req)) || res >= (int)req.len)
			break;
		if (res < 0)
			res = 0;
		/* refused if the request is linked: the next program sees what it has */
		bpf_io_uring_again(ctx, req.pos, req.addr + res, req.len - res);
	}
	return BPF_IO_URING_NEXT;
}
