// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"
#include "buf_case.h"

char LICENSE[] SEC("license") = "GPL";

struct buf_case cases[BUF_MAX_CASES];
__u32 nr_cases;

struct buf_copy copies[BUF_MAX_CASES];
__u32 nr_copies;
__u8 copy_data[BUF_COPY_SIZE];

struct buf_move moves[BUF_MAX_CASES];
__u32 nr_moves;

/* size of the pieces in which a file is summed */
#define PAGE	4096
#define WORDS	(PAGE / 4)

static __always_inline void buf_look(struct bpf_io_uring_ctx *ctx,
				     struct buf_case *c, const __u32 size)
{
	const __u8 *p = bpf_io_uring_buf_data(ctx, c->index, c->offset, size);

	c->got = !!p;
	if (!p)
		return;
	c->first = p[0];
	c->last = p[size - 1];
}

static __always_inline void buf_put(struct bpf_io_uring_ctx *ctx,
				    struct buf_case *c, const __u32 size)
{
	__u8 *p = bpf_io_uring_buf_data_rw(ctx, c->index, c->offset, size);

	c->got = !!p;
	if (!p)
		return;
	c->first = p[0];
	c->last = p[size - 1];
	p[0] = c->put;
	p[size - 1] = c->put;
}

/* Perform all cases at each event, and issue the SQEs of the test at START. */
static __always_inline int buf_run(struct bpf_io_uring_ctx *ctx, __u32 size,
				   bool rw)
{
	__u32 i;

	iou_log_event(ctx);
	bpf_for(i, 0, BUF_MAX_CASES) {
		if (i >= nr_cases)
			break;
		if (rw)
			buf_put(ctx, &cases[i], size);
		else
			buf_look(ctx, &cases[i], size);
	}
	if (!iou_is_child(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

/* One program for each size, which must be a constant. Sleepable and not. */
#define BUF_PROGS(size)							\
SEC("iouring")								\
int buf_look_##size(struct bpf_io_uring_ctx *ctx)			\
{									\
	return buf_run(ctx, size, false);				\
}									\
SEC("iouring.s")							\
int buf_look_##size##_s(struct bpf_io_uring_ctx *ctx)			\
{									\
	return buf_run(ctx, size, false);				\
}									\
SEC("iouring")								\
int buf_put_##size(struct bpf_io_uring_ctx *ctx)			\
{									\
	return buf_run(ctx, size, true);				\
}									\
SEC("iouring.s")							\
int buf_put_##size##_s(struct bpf_io_uring_ctx *ctx)			\
{									\
	return buf_run(ctx, size, true);				\
}

BUF_PROGS(1)
BUF_PROGS(16)
BUF_PROGS(4096)
BUF_PROGS(65536)

static __always_inline int buf_copy_run(struct bpf_io_uring_ctx *ctx, bool write)
{
	struct buf_copy *c;
	__u32 i, size;

	iou_log_event(ctx);
	bpf_for(i, 0, BUF_MAX_CASES) {
		if (i >= nr_copies)
			break;
		c = &copies[i];
		size = c->size;
		if (size > BUF_COPY_SIZE)
			break;
		if (write)
			c->ret = bpf_io_uring_buf_write(ctx, c->index,
							c->offset, copy_data,
							size);
		else
			c->ret = bpf_io_uring_buf_read(ctx, c->index,
						       c->offset, copy_data,
						       size);
	}
	if (!iou_is_child(ctx))
		iou_issue_all(ctx);
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int buf_copy_out(struct bpf_io_uring_ctx *ctx)
{
	return buf_copy_run(ctx, false);
}

SEC("iouring.s")
int buf_copy_out_s(struct bpf_io_uring_ctx *ctx)
{
	return buf_copy_run(ctx, false);
}

SEC("iouring")
int buf_copy_in(struct bpf_io_uring_ctx *ctx)
{
	return buf_copy_run(ctx, true);
}

SEC("iouring.s")
int buf_copy_in_s(struct bpf_io_uring_ctx *ctx)
{
	return buf_copy_run(ctx, true);
}

static __always_inline int buf_move_run(struct bpf_io_uring_ctx *ctx)
{
	struct bpf_io_uring_buf_pos dst, src;
	struct buf_move *m;
	__u32 i;

	iou_log_event(ctx);
	bpf_for(i, 0, BUF_MAX_CASES) {
		if (i >= nr_moves)
			break;
		m = &moves[i];
		dst.offset = m->dst;
		dst.index = m->dst_index;
		dst.pad = m->dst_pad;
		src.offset = m->src;
		src.index = m->src_index;
		src.pad = m->src_pad;
		m->ret = bpf_io_uring_buf_copy(ctx, &dst, &src, m->size);
	}
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int buf_move(struct bpf_io_uring_ctx *ctx)
{
	return buf_move_run(ctx);
}

SEC("iouring.s")
int buf_move_s(struct bpf_io_uring_ctx *ctx)
{
	return buf_move_run(ctx);
}

static __always_inline __u64 buf_sum(struct bpf_io_uring_ctx *ctx)
{
	const __u32 *words;
	__u64 sum = 0;
	__u32 i;

	words = (const __u32 *)bpf_io_uring_buf_data(ctx, 0, 0, PAGE);
	if (!words)
		return 0;
	bpf_for(i, 0, WORDS)
		sum += words[i & (WORDS - 1)];
	return sum;
}

/*
 * Read a file page by page into buffer 0, and add up its words. state[0]:
 * offset, state[1]: sum, state[2]: address of the buffer
 */
static __always_inline int buf_sum_run(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx)) {
		iou_issue(ctx, &sqes[0]);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->res != PAGE) {
		bpf_io_uring_complete(ctx, ctx->res);
		return BPF_IO_URING_DEFAULT;
	}
	ctx->state[1] += buf_sum(ctx);
	ctx->state[0] += PAGE;
	bpf_io_uring_again(ctx, ctx->state[0], ctx->state[2], PAGE);
	return BPF_IO_URING_DEFAULT;
}

SEC("iouring")
int buf_sum_file(struct bpf_io_uring_ctx *ctx)
{
	return buf_sum_run(ctx);
}

SEC("iouring.s")
int buf_sum_file_s(struct bpf_io_uring_ctx *ctx)
{
	return buf_sum_run(ctx);
}
