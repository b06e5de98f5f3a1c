// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("open a file, read its beginning, and close the file")
ARG("dir", "word 0, bits 0-31", "file descriptor of a directory, or AT_FDCWD")
ARG("flags", "word 0, bits 32-63", "of openat(2), for example O_RDONLY | O_CLOEXEC")
ARG("path", "word 1", "address of the path")
ARG("buf", "word 2", "address of size bytes")
ARG("size", "word 3", "1 to 2147479552")
RESULT("bytes read: size, or less if the file is shorter")
ERROR("EINVAL", "an argument is out of range")
ERROR("ECANCELED", "the request before the flow in its chain has failed, or the flow was "
	"cancelled; the file is closed")
ERROR("others", "of the open or a read; the file is closed")
WINS("many small files, in parallel: one CQE for three requests")
LOSES("one cached file at a time: three system calls are faster than a worker"));

struct read_file {
	__s32 dir;	/* when it is open, the file */
	__u32 flags;
	__u64 path;	/* when it is being closed, the result */
	__u64 buf;
	__u32 size;
	__u32 got;
};

static __always_inline int read_file_read(struct bpf_io_uring_ctx *ctx)
{
	struct read_file *s = iou_state(ctx, struct read_file);
	struct io_uring_sqe sqe;

	io_uring_prep_read(&sqe, s->dir, s->buf + s->got, s->size - s->got, s->got);
	return iou_issue(ctx, &sqe);
}

/* Close the file, and end the flow with @res afterwards. */
static __always_inline int read_file_close(struct bpf_io_uring_ctx *ctx, __s32 res)
{
	struct read_file *s = iou_state(ctx, struct read_file);
	struct io_uring_sqe sqe;

	s->path = (__s64)res;
	io_uring_prep_close(&sqe, s->dir);
	/* the file has no other number, and no other request that waits */
	s->dir = -1;
	return iou_issue(ctx, &sqe);
}

static __always_inline int read_file_start(struct bpf_io_uring_ctx *ctx)
{
	struct read_file *s = iou_state(ctx, struct read_file);
	struct io_uring_sqe sqe;

	if (ctx->res < 0)
		return -ECANCELED;
	if (s->got || !s->size || s->size > PATTERN_MAX_RW)
		return -EINVAL;
	io_uring_prep_openat(&sqe, s->dir, s->path, s->flags, 0);
	s->dir = -1;
	return iou_issue(ctx, &sqe);
}

static __always_inline int read_file_step(struct bpf_io_uring_ctx *ctx)
{
	struct read_file *s = iou_state(ctx, struct read_file);

	if (ctx->opcode == IORING_OP_CLOSE) {
		bpf_io_uring_complete(ctx, s->path);
		return 0;
	}
	if (ctx->opcode == IORING_OP_OPENAT) {
		if (ctx->res < 0)
			return ctx->res;
		s->dir = ctx->res;
		return read_file_read(ctx);
	}
	if (ctx->res < 0)
		return read_file_close(ctx, ctx->res);
	s->got += ctx->res;
	if (ctx->res && s->got < s->size)
		return read_file_read(ctx);
	return read_file_close(ctx, s->got);
}

/* The flow was cancelled: close the file, or the one that has been opened since. */
static __always_inline int read_file_cancel(struct bpf_io_uring_ctx *ctx)
{
	struct read_file *s = iou_state(ctx, struct read_file);

	if (ctx->opcode == IORING_OP_OPENAT && ctx->res >= 0)
		s->dir = ctx->res;
	if (s->dir < 0 || read_file_close(ctx, 0))
		return BPF_IO_URING_DEFAULT;
	return BPF_IO_URING_DROP;
}

SEC("iouring")
int read_file(struct bpf_io_uring_ctx *ctx)
{
	if (iou_is_ending(ctx))
		return read_file_cancel(ctx);
	if (pattern_starts(ctx))
		return iou_end_on_error(ctx, read_file_start(ctx));
	if (!pattern_goes_on(ctx))
		return BPF_IO_URING_DEFAULT;
	return iou_end_on_error(ctx, read_file_step(ctx));
}
