// SPDX-License-Identifier: GPL-2.0
/* The two programs of the demonstration */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <iou/iou.bpf.h>
#include "demo_shared.h"

char LICENSE[] SEC("license") = "GPL";

__u32 nr_runs;

/* part one: the files, the progress, and the buffers */
__s32 src_fd;
__s32 dst_fd;
__u64 size;
__u64 next_off;
__u64 copied;
__u32 nr_blocks;
struct demo_block blocks[DEMO_WINDOW];

static __always_inline int read_rest(struct bpf_io_uring_ctx *ctx,
				     struct demo_block *b, __u64 index)
{
	struct io_uring_sqe sqe;

	io_uring_prep_read(&sqe, src_fd, b->addr + b->nr_read, b->len - b->nr_read,
			   b->off + b->nr_read);
	io_uring_sqe_set_data64(&sqe, index);
	return iou_issue(ctx, &sqe);
}

static __always_inline int write_rest(struct bpf_io_uring_ctx *ctx,
				      struct demo_block *b, __u64 index)
{
	struct io_uring_sqe sqe;

	io_uring_prep_write(&sqe, dst_fd, b->addr + b->nr_written,
			    b->len - b->nr_written, b->off + b->nr_written);
	io_uring_sqe_set_data64(&sqe, index);
	return iou_issue(ctx, &sqe);
}

/* Use the buffer for the next part of the file, if there is one. */
static __always_inline int next_block(struct bpf_io_uring_ctx *ctx,
				      struct demo_block *b, __u64 index)
{
	__u64 left = size - next_off;

	if (!left)
		return 0;
	b->off = next_off;
	b->len = left < DEMO_BLOCK ? left : DEMO_BLOCK;
	b->nr_read = 0;
	b->nr_written = 0;
	next_off += b->len;
	return read_rest(ctx, b, index);
}

/* Determine the next step after a read or write. */
static __always_inline int next_step(struct bpf_io_uring_ctx *ctx,
				     struct demo_block *b, __u64 index)
{
	int res = ctx->res;

	if (res < 0)
		return res;
	/* the file was truncated, or the disk is full */
	if (!res)
		return -ENODATA;

	if (ctx->opcode == IORING_OP_READ) {
		b->nr_read += res;
		return b->nr_read < b->len ? read_rest(ctx, b, index) :
					     write_rest(ctx, b, index);
	}
	b->nr_written += res;
	copied += res;
	if (b->nr_written < b->len)
		return write_rest(ctx, b, index);
	nr_blocks++;
	return next_block(ctx, b, index);
}

/* Copy a file. The user_data of a child is the number of its block. */
SEC("iouring")
int demo_copy(struct bpf_io_uring_ctx *ctx)
{
	__u64 index = ctx->user_data;
	int i, err = 0;

	nr_runs++;
	if (iou_is_start(ctx)) {
		for (i = 0; i < DEMO_WINDOW && !err; i++)
			err = next_block(ctx, &blocks[i], i);
	} else if (index < DEMO_WINDOW) {
		err = next_step(ctx, &blocks[index], index);
	}
	if (err)
		bpf_io_uring_complete(ctx, err);
	else if (copied == size)
		bpf_io_uring_complete(ctx, nr_blocks);
	return BPF_IO_URING_DEFAULT;
}

/*
 * Part two, READ -> BPF -> WRITE: read until all data of the write is there,
 * without CQEs for the pieces. state[]: fd, address, bytes wanted, bytes read
 */
SEC("iouring")
int demo_fill(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;
	__u64 fd = ctx->state[0];
	__u64 wanted, got;
	int err;

	nr_runs++;
	if (ctx->res < 0)
		return BPF_IO_URING_DEFAULT;
	/* the other end is closed */
	if (!ctx->res) {
		bpf_io_uring_complete(ctx, -ENODATA);
		return BPF_IO_URING_DROP;
	}

	wanted = ctx->state[2];
	got = ctx->state[3] + ctx->res;
	ctx->state[3] = got;
	if (got == wanted) {
		bpf_io_uring_complete(ctx, got);
		return BPF_IO_URING_DROP;
	}
	io_uring_prep_read(&sqe, fd, ctx->state[1] + got, wanted - got, 0);
	io_uring_sqe_set_data64(&sqe, ctx->user_data);
	err = iou_issue(ctx, &sqe);
	if (err)
		bpf_io_uring_complete(ctx, err);
	return BPF_IO_URING_DROP;
}
