// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("write what a socket receives to a file")
MEMORY(16)
ARG("in", "word 0, bits 0-31", "file descriptor of the socket")
ARG("out", "word 0, bits 32-63", "file descriptor of the file")
ARG("buf", "word 1", "address of size bytes")
ARG("off", "word 2", "offset in the file in bytes; off + len < 2^63")
ARG("len", "word 3, bits 0-31", "number of bytes, 1 to 2147483647")
ARG("size", "word 3, bits 32-63", "bytes to receive at once, 1 to 2147483647")
RESULT("bytes written, less than len only if the stream ends before")
ERROR("EINVAL", "an argument is out of range, or flow_size of the link is too small")
ERROR("EIO", "a write has written nothing")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
ERROR("others", "of the receive or the write; received data can be lost")
WINS("uploads: no system call per segment, and the application does not see the data")
LOSES("the file is slow: the receive waits for each write"));

struct recv_file {
	__u32 in;
	__u32 out;
	__u64 buf;
	__u64 off;
	__u32 len;
	__u32 size;
};

struct recv_file_mem {
	__u32 done;	/* bytes in the file */
	__u32 got;	/* bytes of the last receive, ... */
	__u32 written;	/* ... and those of them that are in the file */
	__u32 unused;
};

static __always_inline int receive(struct bpf_io_uring_ctx *ctx, struct recv_file_mem *m)
{
	struct recv_file *s = iou_state(ctx, struct recv_file);
	__u32 want = s->len - m->done;
	struct io_uring_sqe sqe;

	io_uring_prep_recv(&sqe, s->in, s->buf, want < s->size ? want : s->size, 0);
	return iou_issue(ctx, &sqe);
}

static __always_inline int write_rest(struct bpf_io_uring_ctx *ctx,
				      struct recv_file_mem *m)
{
	struct recv_file *s = iou_state(ctx, struct recv_file);
	struct io_uring_sqe sqe;

	io_uring_prep_write(&sqe, s->out, s->buf + m->written, m->got - m->written,
			    s->off + m->done);
	return iou_issue(ctx, &sqe);
}

static __always_inline int recv_file_step(struct bpf_io_uring_ctx *ctx,
					  struct recv_file_mem *m)
{
	struct recv_file *s = iou_state(ctx, struct recv_file);

	if (ctx->res < 0)
		return ctx->res;
	if (ctx->opcode == IORING_OP_RECV) {
		m->got = ctx->res;
		m->written = 0;
		if (m->got)
			return write_rest(ctx, m);
		/* the end of the stream */
		bpf_io_uring_complete(ctx, m->done);
		return 0;
	}
	if (!ctx->res)
		return -EIO;
	m->done += ctx->res;
	m->written += ctx->res;
	if (m->written < m->got)
		return write_rest(ctx, m);
	if (m->done < s->len)
		return receive(ctx, m);
	bpf_io_uring_complete(ctx, m->done);
	return 0;
}

SEC("iouring")
int recv_file(struct bpf_io_uring_ctx *ctx)
{
	struct recv_file *s = iou_state(ctx, struct recv_file);
	struct recv_file_mem *m = iou_mem(ctx, struct recv_file_mem);

	if (!m)
		return iou_end(ctx, -EINVAL);
	if (pattern_starts(ctx)) {
		if (ctx->res < 0)
			return iou_end(ctx, -ECANCELED);
		if (!s->len || s->len > 0x7fffffff || !s->size || s->size > 0x7fffffff ||
		    s->off > PATTERN_MAX_OFFSET - s->len)
			return iou_end(ctx, -EINVAL);
		return iou_end_on_error(ctx, receive(ctx, m));
	}
	if (!pattern_goes_on(ctx))
		return BPF_IO_URING_DEFAULT;
	return iou_end_on_error(ctx, recv_file_step(ctx, m));
}
