// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("wait until a file is readable, and read until it is empty or the buffer is full")
ARG("fd", "word 0", "file descriptor that poll(2) and RWF_NOWAIT support: pipes, sockets, "
	"event counters, ttys")
ARG("buf", "word 1", "address of size bytes")
ARG("size", "word 2", "1 to 2147479552")
ARG("limit", "word 3", "nanoseconds to wait up to 2^63 - 1, or 0 to wait without a limit")
RESULT("bytes read, 0 at the end of the stream")
ERROR("EINVAL", "an argument is out of range")
ERROR("ETIME", "the limit was exceeded before there was data")
ERROR("EOPNOTSUPP", "the file supports no reads without waiting")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
ERROR("others", "of the poll or the first read; a later error is left for the next flow")
WINS("event counters and busy pipes: one CQE for a burst, nothing is pinned while idle")
LOSES("one read returns all that is there: a READ request polls by itself"));

/* user_data of a child */
enum { POLL, READ, LIMIT };

#define RWF_NOWAIT	0x00000008

struct drain {
	__u32 fd;
	__u32 got;
	__u64 buf;
	__u64 size;
	__u64 limit;
};

static __always_inline int drain_poll(struct bpf_io_uring_ctx *ctx)
{
	struct drain *s = iou_state(ctx, struct drain);
	struct io_uring_sqe sqe;

	io_uring_prep_poll_add(&sqe, s->fd, POLLIN);
	io_uring_sqe_set_data64(&sqe, POLL);
	return iou_issue(ctx, &sqe);
}

static __always_inline int drain_read(struct bpf_io_uring_ctx *ctx)
{
	struct drain *s = iou_state(ctx, struct drain);
	struct io_uring_sqe sqe;

	io_uring_prep_read(&sqe, s->fd, s->buf + s->got, s->size - s->got, 0);
	sqe.rw_flags = RWF_NOWAIT;
	io_uring_sqe_set_data64(&sqe, READ);
	return iou_issue(ctx, &sqe);
}

static __always_inline int drain_start(struct bpf_io_uring_ctx *ctx)
{
	struct drain *s = iou_state(ctx, struct drain);
	int ret = 0;

	if (ctx->res < 0)
		return -ECANCELED;
	if (s->got || !s->size || s->size > PATTERN_MAX_RW ||
	    s->limit > PATTERN_MAX_OFFSET)
		return -EINVAL;
	if (s->limit)
		ret = pattern_timeout(ctx, s->limit, LIMIT);
	return ret ?: drain_poll(ctx);
}

SEC("iouring")
int drain(struct bpf_io_uring_ctx *ctx)
{
	struct drain *s = iou_state(ctx, struct drain);

	if (pattern_starts(ctx))
		return iou_end_on_error(ctx, drain_start(ctx));
	if (!pattern_goes_on(ctx))
		return BPF_IO_URING_DEFAULT;
	/* it was another reader's data */
	if (ctx->user_data == READ && ctx->res == -EAGAIN && !s->got)
		return iou_end_on_error(ctx, drain_poll(ctx));
	if (ctx->res < 0)
		return iou_end(ctx, s->got ?: ctx->res);
	if (ctx->user_data == READ) {
		s->got += ctx->res;
		if (!ctx->res || s->got >= s->size)
			return iou_end(ctx, s->got);
	}
	return iou_end_on_error(ctx, drain_read(ctx));
}
