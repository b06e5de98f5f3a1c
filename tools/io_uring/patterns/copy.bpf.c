// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("copy a range from one file to the same range of another, several blocks at once")
MEMORY(8)
ARG("in", "word 0, bits 0-31", "file descriptor to read from")
ARG("out", "word 0, bits 32-63", "file descriptor to write to")
ARG("buf", "word 1", "address of depth blocks")
ARG("off", "word 2", "offset in both files in bytes; off + len < 2^63")
ARG("len", "word 3, bits 0-31", "number of bytes, 1 to 2147483647")
ARG("block", "word 3, bits 32-47", "size of a block in units of 4096 bytes, 1 to 4096")
ARG("depth", "word 3, bits 48-63", "blocks in flight, 1 to 64, at most the CQ entries")
RESULT("bytes copied, less than len only if the input file ends before")
ERROR("EINVAL", "an argument is out of range, or flow_size of the link is too small")
ERROR("EAGAIN", "the CQ has less than depth entries")
ERROR("EIO", "a write has written nothing")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
ERROR("others", "of a read or write; other blocks can have been copied")
WINS("O_DIRECT or cold files: depth blocks in flight, and no system call per block")
LOSES("both files are cached, or copy_file_range() shares extents"));

#define COPY_UNIT	4096
#define COPY_MAX_BLOCK	4096
#define COPY_MAX_DEPTH	64

struct copy {
	__u32 in;
	__u32 out;
	__u64 buf;
	__u64 off;
	__u32 len;
	__u16 block;
	__u16 depth;
};

struct copy_mem {
	__u32 next;	/* where the next block begins */
	__u32 end;	/* len, or where the input file ends */
};

/*
 * The user_data of a child: bits 0-30 are the position of the transfer, relative to off.
 * Bits 31-55 are the number of bytes to write. Bits 56-63 are the number of the buffer.
 */
#define COPY_POS(ud)		((__u32)(ud) & 0x7fffffff)
#define COPY_LEFT(ud)		((__u32)((ud) >> 31) & 0x1ffffff)
#define COPY_BUF(ud)		((ud) >> 56)
#define COPY_DATA(pos, left, i)	((__u64)(i) << 56 | (__u64)(left) << 31 | (pos))

static __always_inline int copy_read(struct bpf_io_uring_ctx *ctx, __u32 pos, __u64 i)
{
	struct copy *s = iou_state(ctx, struct copy);
	__u32 block = s->block * COPY_UNIT;
	__u32 in_block = pos % block;
	__u32 want = block - in_block;
	struct io_uring_sqe sqe;

	if (want > s->len - pos)
		want = s->len - pos;
	io_uring_prep_read(&sqe, s->in, s->buf + i * block + in_block, want, s->off + pos);
	io_uring_sqe_set_data64(&sqe, COPY_DATA(pos, 0, i));
	return iou_issue(ctx, &sqe);
}

static __always_inline int copy_write(struct bpf_io_uring_ctx *ctx, __u32 pos, __u32 left,
				      __u64 i)
{
	struct copy *s = iou_state(ctx, struct copy);
	__u32 block = s->block * COPY_UNIT;
	struct io_uring_sqe sqe;

	io_uring_prep_write(&sqe, s->out, s->buf + i * block + pos % block, left,
			    s->off + pos);
	io_uring_sqe_set_data64(&sqe, COPY_DATA(pos, left, i));
	return iou_issue(ctx, &sqe);
}

/* Use the buffer for the next block, if there is one. */
static __always_inline int copy_next(struct bpf_io_uring_ctx *ctx, struct copy_mem *m,
				     __u64 i)
{
	struct copy *s = iou_state(ctx, struct copy);
	__u32 pos = m->next, block = s->block * COPY_UNIT;

	if (pos >= m->end)
		return 0;
	m->next = s->len - pos > block ? pos + block : s->len;
	return copy_read(ctx, pos, i);
}

static __always_inline int copy_start(struct bpf_io_uring_ctx *ctx, struct copy_mem *m)
{
	struct copy *s = iou_state(ctx, struct copy);
	int i, ret = 0;

	if (ctx->res < 0)
		return -ECANCELED;
	if (!s->len || s->len > 0x7fffffff || s->off > PATTERN_MAX_OFFSET - s->len ||
	    !s->block || s->block > COPY_MAX_BLOCK || !s->depth ||
	    s->depth > COPY_MAX_DEPTH)
		return -EINVAL;
	m->end = s->len;
	bpf_for(i, 0, s->depth) {
		ret = copy_next(ctx, m, i);
		if (ret)
			break;
	}
	return ret;
}

static __always_inline int copy_has_read(struct bpf_io_uring_ctx *ctx, struct copy_mem *m)
{
	struct copy *s = iou_state(ctx, struct copy);
	__u32 block = s->block * COPY_UNIT;
	__u64 i = COPY_BUF(ctx->user_data);
	__u32 pos = COPY_POS(ctx->user_data) + ctx->res;
	__u32 left = pos % block;

	if (!ctx->res) {
		if (m->end > pos)
			m->end = pos;
		return left ? copy_write(ctx, pos - left, left, i) : 0;
	}
	if (left && pos < s->len)
		return copy_read(ctx, pos, i);
	left = left ?: block;
	return copy_write(ctx, pos - left, left, i);
}

static __always_inline int copy_has_written(struct bpf_io_uring_ctx *ctx,
					    struct copy_mem *m)
{
	__u64 i = COPY_BUF(ctx->user_data);
	__u32 left = COPY_LEFT(ctx->user_data) - ctx->res;

	if (!ctx->res)
		return -EIO;
	if (left)
		return copy_write(ctx, COPY_POS(ctx->user_data) + ctx->res, left, i);
	return copy_next(ctx, m, i);
}

SEC("iouring")
int copy(struct bpf_io_uring_ctx *ctx)
{
	struct copy_mem *m = iou_mem(ctx, struct copy_mem);
	int ret;

	if (!m)
		return iou_end(ctx, -EINVAL);
	if (pattern_starts(ctx))
		return iou_end_on_error(ctx, copy_start(ctx, m));
	if (!pattern_goes_on(ctx))
		return BPF_IO_URING_DEFAULT;
	if (ctx->res < 0)
		ret = ctx->res;
	else if (ctx->opcode == IORING_OP_READ)
		ret = copy_has_read(ctx, m);
	else
		ret = copy_has_written(ctx, m);
	if (!ret && !ctx->nr_children)
		return iou_end(ctx, m->end);
	return iou_end_on_error(ctx, ret);
}
