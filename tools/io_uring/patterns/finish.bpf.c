// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("behind a read, write, send or receive in a chain: finish what is short")
ARG("fd", "word 0, bits 0-31", "file descriptor of that request, or its fixed file")
ARG("fixed", "word 0, bit 32", "1 if fd is an index of IOSQE_FIXED_FILE")
RESULT("bytes in all. The request before the flow posts no CQE. Less than its length only "
	"at the end of the file or stream, and then the rest of the chain is cancelled")
ERROR("EINVAL", "a word is out of range, or no such request precedes the flow; it posts "
	"its CQE")
ERROR("EIO", "a write or send has transferred nothing")
ERROR("EAGAIN", "64 times in a row, although the file was ready")
ERROR("ESPIPE", "a READ or WRITE of a socket was short: use RECV or SEND")
ERROR("others", "of the request or of what continues it")
WINS("READ -> WRITE chains that short reads cut, files and sockets that return EAGAIN")
LOSES("a request that is never short: one run of the program"));

/*
 * The request before the flow has to have an explicit offset, and no flags that matter
 * for its rest. Groups of provided buffers and vectors cannot be continued.
 */

/* user_data of a child */
enum { REST, READY };

#define MAX_TRIES	64

struct finish {
	__u32 fd;
	__u8 opcode;
	__u8 fixed:1;
	__u8 tries:7;
	__u16 buf_index;
	__u64 addr;
	__u64 pos;
	__u32 left;
	__u32 done;
};

static __always_inline int finish_rest(struct bpf_io_uring_ctx *ctx)
{
	struct finish *s = iou_state(ctx, struct finish);
	struct io_uring_sqe sqe;

	io_uring_prep_rw(s->opcode, &sqe, s->fd, s->addr, s->left, s->pos);
	sqe.buf_index = s->buf_index;
	sqe.flags = s->fixed ? IOSQE_FIXED_FILE : 0;
	io_uring_sqe_set_data64(&sqe, REST);
	return iou_issue(ctx, &sqe);
}

static __always_inline bool finish_reads(__u8 opcode)
{
	return opcode == IORING_OP_READ || opcode == IORING_OP_READ_FIXED ||
	       opcode == IORING_OP_RECV;
}

static __always_inline bool finish_writes(__u8 opcode)
{
	return opcode == IORING_OP_WRITE || opcode == IORING_OP_WRITE_FIXED ||
	       opcode == IORING_OP_SEND;
}

static __always_inline int finish_wait(struct bpf_io_uring_ctx *ctx)
{
	struct finish *s = iou_state(ctx, struct finish);
	struct io_uring_sqe sqe;

	io_uring_prep_poll_add(&sqe, s->fd, finish_reads(s->opcode) ? POLLIN : POLLOUT);
	sqe.flags = s->fixed ? IOSQE_FIXED_FILE : 0;
	io_uring_sqe_set_data64(&sqe, READY);
	return iou_issue(ctx, &sqe);
}

/* Continue after a transfer. Return the verdict. */
static __always_inline int finish_step(struct bpf_io_uring_ctx *ctx)
{
	struct finish *s = iou_state(ctx, struct finish);
	int res = ctx->res;

	if (res == -EINTR || res == -EAGAIN) {
		if (++s->tries > MAX_TRIES)
			return iou_end(ctx, res);
		return iou_end_on_error(ctx, res == -EINTR ? finish_rest(ctx) :
							     finish_wait(ctx));
	}
	if (res < 0)
		return iou_end(ctx, res);
	s->done += res;
	s->addr += res;
	s->left -= res;
	s->tries = 0;
	if (!s->left)
		return iou_end(ctx, s->done);
	if (res)
		return iou_end_on_error(ctx, finish_rest(ctx));
	if (!finish_reads(s->opcode))
		return iou_end(ctx, -EIO);
	return iou_end(ctx, s->done) | BPF_IO_URING_CUT;
}

/* Take over the request before the flow. Return the verdict. */
static __always_inline int finish_start(struct bpf_io_uring_ctx *ctx)
{
	struct finish *s = iou_state(ctx, struct finish);
	__u64 word0 = ctx->state[0];
	struct bpf_io_uring_req req = {};

	if (ctx->event == BPF_IO_URING_START || word0 >> 33 || ctx->state[1] ||
	    ctx->state[2] || ctx->state[3] ||
	    (!finish_reads(ctx->opcode) && !finish_writes(ctx->opcode)) ||
	    bpf_io_uring_req(ctx, &req, sizeof(req)) || !req.len)
		return iou_end(ctx, -EINVAL);
	s->opcode = ctx->opcode;
	s->fixed = word0 >> 32;
	s->tries = 0;
	s->buf_index = req.buf_index;
	s->addr = req.addr;
	s->left = req.len;
	s->pos = req.pos;
	return finish_step(ctx) | BPF_IO_URING_DROP;
}

SEC("iouring")
int finish(struct bpf_io_uring_ctx *ctx)
{
	struct finish *s = iou_state(ctx, struct finish);

	if (pattern_starts(ctx))
		return finish_start(ctx);
	if (!pattern_goes_on(ctx))
		return BPF_IO_URING_DEFAULT;
	if (ctx->user_data == READY)
		return iou_end_on_error(ctx, ctx->res < 0 ? ctx->res : finish_rest(ctx));
	if (ctx->res > 0 && ctx->opcode != IORING_OP_SEND && ctx->opcode != IORING_OP_RECV)
		s->pos += ctx->res;
	return finish_step(ctx);
}
