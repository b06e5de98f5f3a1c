// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("read a range of a file or stream until all of it is there")
ARG("fd", "word 0, bits 0-31", "file descriptor")
ARG("buf", "word 1", "address of len bytes")
ARG("off", "word 2", "offset in the file in bytes, off + len < 2^63; or -1 for a stream, or "
	"for the position of the file")
ARG("len", "word 3", "number of bytes, 1 to 2147479552")
RESULT("bytes read, less than len only at the end of the file or stream")
ERROR("EINVAL", "an argument is out of range, or another bit of word 0 is set")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
ERROR("others", "of the read; an unknown number of bytes is in the buffer")
WINS("reads are often short: pipes, sockets, files of FUSE; the caller waits once")
LOSES("a single read returns all: the flow adds one run of the program"));

/* the position of the file, or a stream */
#define CURRENT		(~0ULL)

struct read_full {
	__u32 fd;
	__u32 done;
	__u64 buf;
	__u64 off;
	__u64 len;
};

SEC("iouring")
int read_full(struct bpf_io_uring_ctx *ctx)
{
	struct read_full *s = iou_state(ctx, struct read_full);
	struct io_uring_sqe sqe;
	__u64 off;

	if (pattern_starts(ctx)) {
		if (ctx->res < 0)
			return iou_end(ctx, -ECANCELED);
		if (s->done || !s->len || s->len > PATTERN_MAX_RW ||
		    (s->off != CURRENT && s->off > PATTERN_MAX_OFFSET - s->len))
			return iou_end(ctx, -EINVAL);
		io_uring_prep_read(&sqe, s->fd, s->buf, s->len, s->off);
		return iou_end_on_error(ctx, iou_issue(ctx, &sqe));
	}
	if (!pattern_goes_on(ctx))
		return BPF_IO_URING_DEFAULT;
	if (ctx->res < 0)
		return iou_end(ctx, ctx->res);
	s->done += ctx->res;
	if (!ctx->res || s->done >= s->len)
		return iou_end(ctx, s->done);
	/* a socket has no other offset than 0 */
	off = s->off == CURRENT ? CURRENT : s->off + s->done;
	return iou_end_on_error(ctx, bpf_io_uring_again(ctx, off, s->buf + s->done,
							s->len - s->done));
}
