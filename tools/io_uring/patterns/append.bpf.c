// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("append records to a log, and sync the file after every group of them")
MEMORY(8)
ARG("fd", "word 0, bits 0-31", "file descriptor of the log")
ARG("size", "word 0, bits 32-63", "size of a record in bytes, 1 to 2147479552")
ARG("buf", "word 1", "address of nr records, one after the other")
ARG("off", "word 2", "offset of the first record in the file; off + nr * size < 2^63")
ARG("nr", "word 3, bits 0-31", "number of records, 1 to 2147483647")
ARG("group", "word 3, bits 32-63", "records that are written and synced together, at least "
	"1; the smaller of group and nr times size is at most 2147479552")
RESULT("nr. Before, a CQE with the user_data of the flow and IORING_CQE_F_MORE for each "
	"group but the last: its res is the number of durable records. Such a CQE is left "
	"out if the CQ is full")
ERROR("EINVAL", "an argument is out of range, or flow_size of the link is too small")
ERROR("EIO", "a write has written nothing, or the sync failed")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
ERROR("others", "of a write or sync; nothing is tried again, and the records of the group "
	"count as lost")
WINS("group commit: one system call for write, sync, write, sync")
LOSES("one record and one sync: link two SQEs"));

struct append {
	__u32 fd;
	__u32 size;
	__u64 buf;
	__u64 off;
	__u32 nr;
	__u32 group;
};

struct append_mem {
	__u32 durable;	/* records */
	__u32 written;	/* bytes of the group */
};

/* Return the size of the group in bytes. */
static __always_inline __u64 append_bytes(const struct append *s, __u32 durable)
{
	__u64 left = s->nr - durable;

	return (left < s->group ? left : s->group) * s->size;
}

static __always_inline int append_write(struct bpf_io_uring_ctx *ctx, struct append_mem *m)
{
	struct append *s = iou_state(ctx, struct append);
	__u64 pos = (__u64)m->durable * s->size + m->written;
	struct io_uring_sqe sqe;

	io_uring_prep_write(&sqe, s->fd, s->buf + pos,
			    append_bytes(s, m->durable) - m->written, s->off + pos);
	return iou_issue(ctx, &sqe);
}

static __always_inline int append_start(struct bpf_io_uring_ctx *ctx, struct append_mem *m)
{
	struct append *s = iou_state(ctx, struct append);

	if (ctx->res < 0)
		return -ECANCELED;
	if (!s->size || !s->nr || s->nr > 0x7fffffff || !s->group ||
	    append_bytes(s, 0) > PATTERN_MAX_RW ||
	    s->off > PATTERN_MAX_OFFSET - (__u64)s->nr * s->size)
		return -EINVAL;
	return append_write(ctx, m);
}

static __always_inline int append_step(struct bpf_io_uring_ctx *ctx, struct append_mem *m)
{
	struct append *s = iou_state(ctx, struct append);
	__u64 bytes = append_bytes(s, m->durable);
	struct io_uring_sqe sqe;

	if (ctx->res < 0)
		return ctx->res;
	if (ctx->opcode == IORING_OP_WRITE) {
		if (!ctx->res)
			return -EIO;
		m->written += ctx->res;
		if (m->written < bytes)
			return append_write(ctx, m);
		io_uring_prep_fsync(&sqe, s->fd, IORING_FSYNC_DATASYNC);
		return iou_issue(ctx, &sqe);
	}
	m->durable = s->nr - m->durable < s->group ? s->nr : m->durable + s->group;
	m->written = 0;
	if (m->durable < s->nr) {
		/* a later CQE has the number, too */
		iou_post_cqe(ctx, ctx->flow_user_data, m->durable, IORING_CQE_F_MORE);
		return append_write(ctx, m);
	}
	bpf_io_uring_complete(ctx, s->nr);
	return 0;
}

SEC("iouring")
int append(struct bpf_io_uring_ctx *ctx)
{
	struct append_mem *m = iou_mem(ctx, struct append_mem);

	if (!m)
		return iou_end(ctx, -EINVAL);
	if (pattern_starts(ctx))
		return iou_end_on_error(ctx, append_start(ctx, m));
	if (!pattern_goes_on(ctx))
		return BPF_IO_URING_DEFAULT;
	return iou_end_on_error(ctx, append_step(ctx, m));
}
