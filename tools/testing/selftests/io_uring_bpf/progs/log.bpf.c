// SPDX-License-Identifier: GPL-2.0
/* A log writer: each flow appends a group of records, and ends when these are on disk. */
#include "iou_bpf.bpf.h"
#include "log_head.h"

char LICENSE[] SEC("license") = "GPL";

__u64 nr_runs;

/* The first words are those of the SQE. */
struct log_state {
	/* offset in the file, address of the first record */
	__u64	off;
	__u64	addr;
	__u64	fd;
	/* offset of the struct log_head in registered buffer 0 */
	__u64	head;
};

/* Write each record at its offset, all of them at once. */
static int log_write(struct bpf_io_uring_ctx *ctx, const struct log_state *s,
		     const struct log_head *head)
{
	struct io_uring_sqe sqe;
	__u64 pos = 0;
	__u32 i;
	int ret;

	bpf_for(i, 0, LOG_RECORDS) {
		if (i >= head->nr)
			break;
		io_uring_prep_write(&sqe, s->fd, s->addr + pos, head->len[i],
				    s->off + pos);
		sqe.user_data = head->len[i];
		ret = iou_issue(ctx, &sqe);
		if (ret)
			return ret;
		pos += head->len[i];
	}
	return 0;
}

/* Return the error of a write, a short one included, or of the FSYNC that follows. */
static int log_step(struct bpf_io_uring_ctx *ctx, const struct log_state *s)
{
	struct io_uring_sqe sqe;

	if (ctx->res < 0)
		return ctx->res;
	if (ctx->opcode == IORING_OP_FSYNC)
		return 0;
	if (ctx->res != ctx->user_data)
		return -EIO;
	if (ctx->nr_children)
		return 0;
	io_uring_prep_fsync(&sqe, s->fd, IORING_FSYNC_DATASYNC);
	return iou_issue(ctx, &sqe);
}

SEC("iouring")
int log_append(struct bpf_io_uring_ctx *ctx)
{
	struct log_state *s = iou_state(ctx, struct log_state);
	struct log_head *head = iou_mem(ctx, struct log_head);
	int ret;

	nr_runs++;
	if (iou_is_ending(ctx))
		return BPF_IO_URING_DEFAULT;
	if (!head)
		return iou_end(ctx, -ENOMEM);
	if (iou_is_start(ctx))
		ret = bpf_io_uring_buf_read(ctx, 0, s->head, head, sizeof(*head)) ?:
		      log_write(ctx, s, head);
	else
		ret = log_step(ctx, s);
	if (ret || ctx->opcode == IORING_OP_FSYNC)
		return iou_end(ctx, ret ?: head->nr);
	return BPF_IO_URING_DEFAULT;
}
