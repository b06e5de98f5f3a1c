// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("send a range of a file to a socket by splice, without copies to user space")
MEMORY(8)
ARG("in", "word 0, bits 0-31", "file descriptor of the file")
ARG("out", "word 0, bits 32-63", "file descriptor of the socket")
ARG("pipe_out", "word 1, bits 0-31", "read end of an empty pipe")
ARG("pipe_in", "word 1, bits 32-63", "write end of this pipe, not used elsewhere")
ARG("off", "word 2", "offset in the file in bytes; off + len < 2^63")
ARG("len", "word 3", "number of bytes, 1 to 2147483647")
RESULT("bytes sent, less than len only if the file ends before")
ERROR("EINVAL", "an argument is out of range, flow_size of the link is too small, or "
	"a file cannot be spliced")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
ERROR("EPIPE", "the peer has closed the connection")
ERROR("others", "of a splice; data can be left in the pipe, so do not use it again")
WINS("files of many pipe sizes: one system call, no buffer")
LOSES("small files: each splice runs in a worker; a read and a send are faster"));

enum { FROM_FILE, TO_SOCKET, WRITABLE };

struct send_file {
	__u32 in;
	__u32 out;
	__u32 pipe_out;
	__u32 pipe_in;
	__u64 off;
	__u64 len;
};

struct send_file_mem {
	__u32 sent;
	__u32 held;	/* bytes in the pipe */
};

static __always_inline int from_file(struct bpf_io_uring_ctx *ctx, struct send_file_mem *m)
{
	struct send_file *s = iou_state(ctx, struct send_file);
	struct io_uring_sqe sqe;

	io_uring_prep_splice(&sqe, s->in, s->off + m->sent, s->pipe_in, -1,
			     s->len - m->sent, 0);
	io_uring_sqe_set_data64(&sqe, FROM_FILE);
	return iou_issue(ctx, &sqe);
}

static __always_inline int to_socket(struct bpf_io_uring_ctx *ctx, struct send_file_mem *m)
{
	struct send_file *s = iou_state(ctx, struct send_file);
	struct io_uring_sqe sqe;

	io_uring_prep_splice(&sqe, s->pipe_out, -1, s->out, -1, m->held, 0);
	io_uring_sqe_set_data64(&sqe, TO_SOCKET);
	return iou_issue(ctx, &sqe);
}

/* The socket is non-blocking and full: a splice to such a socket does not wait. */
static __always_inline int wait_writable(struct bpf_io_uring_ctx *ctx)
{
	struct send_file *s = iou_state(ctx, struct send_file);
	struct io_uring_sqe sqe;

	io_uring_prep_poll_add(&sqe, s->out, POLLOUT);
	io_uring_sqe_set_data64(&sqe, WRITABLE);
	return iou_issue(ctx, &sqe);
}

static __always_inline int send_file_step(struct bpf_io_uring_ctx *ctx,
					  struct send_file_mem *m)
{
	struct send_file *s = iou_state(ctx, struct send_file);

	if (ctx->user_data == TO_SOCKET && ctx->res == -EAGAIN)
		return wait_writable(ctx);
	if (ctx->res < 0)
		return ctx->res;
	if (ctx->user_data == WRITABLE)
		return to_socket(ctx, m);
	if (ctx->user_data == FROM_FILE) {
		m->held = ctx->res;
		if (m->held)
			return to_socket(ctx, m);
		/* the end of the file */
		bpf_io_uring_complete(ctx, m->sent);
		return 0;
	}
	if (!ctx->res)
		return -EPIPE;
	m->sent += ctx->res;
	m->held -= ctx->res;
	if (m->held)
		return to_socket(ctx, m);
	if (m->sent < s->len)
		return from_file(ctx, m);
	bpf_io_uring_complete(ctx, m->sent);
	return 0;
}

SEC("iouring")
int send_file(struct bpf_io_uring_ctx *ctx)
{
	struct send_file *s = iou_state(ctx, struct send_file);
	struct send_file_mem *m = iou_mem(ctx, struct send_file_mem);

	if (!m)
		return iou_end(ctx, -EINVAL);
	if (pattern_starts(ctx)) {
		if (ctx->res < 0)
			return iou_end(ctx, -ECANCELED);
		if (!s->len || s->len > 0x7fffffff ||
		    s->off > PATTERN_MAX_OFFSET - s->len)
			return iou_end(ctx, -EINVAL);
		return iou_end_on_error(ctx, from_file(ctx, m));
	}
	if (!pattern_goes_on(ctx))
		return BPF_IO_URING_DEFAULT;
	return iou_end_on_error(ctx, send_file_step(ctx, m));
}
