// SPDX-License-Identifier: GPL-2.0
/*
 * Group commit: one flow that lives as long as the log. The application puts records into
 * a ring in memory, without a system call. The flow takes what is there when there are
 * enough records, or the first of them has waited long enough, writes and syncs it, and
 * posts one CQE. Meanwhile, the application adds the records of the next group.
 *
 * A group is durable or the log is at its end: after an error, a short write included,
 * the flow ends. In particular, a sync that has failed is never tried again, as the kernel
 * may have dropped the data: a second one would succeed and mean nothing.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <iou/iou.bpf.h>
#include "log_shared.h"

char LICENSE[] SEC("license") = "GPL";

/* the most that bpf_io_uring_buf_copy() copies */
#define LOG_COPY	65536U
/* for a group of any size that is not aligned to that */
#define LOG_COPIES	(LOG_RING / LOG_COPY + 1)

const volatile struct log_config config;
struct log_shared shared;

struct log_flow {
	/* where the next group goes in the file */
	__u64	off;
	/* records and bytes that groups have taken from the ring, modulo 2^32 */
	__u32	records;
	__u32	pos;
	/* of the group in flight */
	__u32	group;
	__u32	len;
	/* user_data of the current timeout: a late one of the past does not count */
	__u64	timer;
	/* a group is in flight, a timeout is, and the records have waited long enough */
	__u8	busy;
	__u8	waiting;
	__u8	due;
};

/* Read a word that the application writes, with a full barrier on both sides. */
#define log_read(p)	__sync_fetch_and_add(p, 0)

static int log_listen(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	io_uring_prep_read(&sqe, config.event_fd, config.event, sizeof(__u64), 0);
	io_uring_sqe_set_data64(&sqe, LOG_EVENT);
	return iou_issue(ctx, &sqe);
}

static int log_wait(struct bpf_io_uring_ctx *ctx, struct log_flow *l)
{
	struct io_uring_sqe sqe;

	l->timer++;
	l->waiting = 1;
	io_uring_prep_timeout(&sqe, config.wait_ns, 0, IORING_TIMEOUT_IMMEDIATE_ARG);
	io_uring_sqe_set_data64(&sqe, l->timer);
	return iou_issue(ctx, &sqe);
}

/* Append @len bytes at @src of the ring to the group, which has @done bytes. */
static int log_copy(struct bpf_io_uring_ctx *ctx, __u64 done, __u64 src, __u32 len)
{
	struct bpf_io_uring_buf_pos to = { .index = LOG_BUF_GROUP, .offset = done };
	struct bpf_io_uring_buf_pos from = { .index = LOG_BUF_RING, .offset = src };

	return bpf_io_uring_buf_copy(ctx, &to, &from, len);
}

/*
 * Copy the group out of the ring, and pad it: what is written does not change meanwhile.
 * The pieces begin at multiples of LOG_COPY, so none of them wraps around.
 */
static int log_take(struct bpf_io_uring_ctx *ctx, struct log_flow *l)
{
	__u64 first = l->pos % LOG_COPY, end = first + l->len;
	__u64 base = l->pos - first, from, to;
	__u32 pad = -l->len % LOG_BLOCK;
	int ret, i;

	bpf_for(i, 0, LOG_COPIES) {
		from = i ? (__u64)i * LOG_COPY : first;
		if (from >= end)
			break;
		to = ((__u64)i + 1) * LOG_COPY;
		if (to > end)
			to = end;
		ret = log_copy(ctx, from - first, (base + from) % LOG_RING, to - from);
		if (ret)
			return ret;
	}
	ret = pad ? log_copy(ctx, l->len, LOG_RING, pad) : 0;
	l->pos += l->len;
	l->len += pad;
	return ret;
}

/* Commit all records up to @tail. */
static int log_commit(struct bpf_io_uring_ctx *ctx, struct log_flow *l, __u64 tail)
{
	struct io_uring_sqe sqe;
	int ret;

	l->group = (__u32)tail - l->records;
	l->len = (tail >> 32) - l->pos;
	/* only a broken application */
	if (!l->len || l->len > LOG_RING)
		return -EINVAL;
	if (l->waiting) {
		/* may have fired already */
		bpf_io_uring_cancel(ctx, l->timer, 0);
		l->waiting = 0;
	}
	ret = log_take(ctx, l);
	if (ret)
		return ret;
	l->records += l->group;
	l->busy = 1;
	l->due = 0;
	shared.taken = l->pos;
	io_uring_prep_write_fixed(&sqe, config.fd, config.group, l->len, l->off,
				  LOG_BUF_GROUP);
	io_uring_sqe_set_data64(&sqe, LOG_WRITE);
	return iou_issue(ctx, &sqe);
}

/* what is next */
enum log_todo { LOG_IDLE, LOG_GATHER, LOG_COMMIT, LOG_END };

/*
 * Look at what the application has done, and store its tail. First say at which number of
 * new records it has to tell the flow, then look: the application adds a record first, and
 * looks at that number then. So one of both sees what the other has done.
 */
static enum log_todo log_look(const struct log_flow *l, __u32 want, __u64 *tail)
{
	__u32 closing, nr;

	__sync_lock_test_and_set(&shared.want, l->records + want);
	/* before the tail, which does not move any more then */
	closing = log_read(&shared.closing);
	*tail = log_read(&shared.tail);
	nr = (__u32)*tail - l->records;
	if (!nr)
		return closing ? LOG_END : LOG_IDLE;
	if (nr >= config.records || !config.wait_ns || l->due || closing)
		return LOG_COMMIT;
	if ((__s32)(log_read(&shared.urgent) - l->records) > 0)
		return LOG_COMMIT;
	return LOG_GATHER;
}

/* Unless a group is in flight: start the next one, wait for more records, or end. */
static int log_next(struct bpf_io_uring_ctx *ctx, struct log_flow *l)
{
	enum log_todo todo;
	__u64 tail;

	if (l->busy)
		return 0;
	todo = log_look(l, l->waiting ? config.records : 1, &tail);
	/* these are the first ones of a group, so wait for others than the next one */
	if (todo == LOG_GATHER && !l->waiting)
		todo = log_look(l, config.records, &tail);
	if (todo == LOG_COMMIT)
		return log_commit(ctx, l, tail);
	if (todo == LOG_END)
		bpf_io_uring_complete(ctx, 0);
	return todo == LOG_GATHER && !l->waiting ? log_wait(ctx, l) : 0;
}

/*
 * Report the group. The CQE wakes the application, which finds the number in shared memory:
 * if the CQ is full, it has not read that yet.
 */
static void log_report(struct bpf_io_uring_ctx *ctx, struct log_flow *l)
{
	shared.groups++;
	__sync_fetch_and_add(&shared.durable, l->group);
	iou_post_cqe(ctx, ctx->flow_user_data, l->group, IORING_CQE_F_MORE);
}

static int log_sync(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;
	int ret;

	if (config.fault == LOG_FAULT_EARLY) {
		/* so that a crash has the time to come between */
		io_uring_prep_timeout(&sqe, LOG_EARLY_NS, 0, IORING_TIMEOUT_IMMEDIATE_ARG |
							     IORING_TIMEOUT_ETIME_SUCCESS);
		io_uring_sqe_set_data64(&sqe, LOG_DELAY);
		io_uring_sqe_set_flags(&sqe, IOSQE_IO_LINK);
		ret = iou_issue(ctx, &sqe);
		if (ret)
			return ret;
	}
	io_uring_prep_fsync(&sqe, config.fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data64(&sqe, LOG_SYNC);
	return iou_issue(ctx, &sqe);
}

static int log_written(struct bpf_io_uring_ctx *ctx, struct log_flow *l)
{
	if (ctx->res != l->len && config.fault != LOG_FAULT_SHORT)
		return -EIO;
	l->off += l->len;
	if (config.fault == LOG_FAULT_NO_SYNC || config.fault == LOG_FAULT_EARLY)
		log_report(ctx, l);
	if (config.fault == LOG_FAULT_NO_SYNC) {
		l->busy = 0;
		return 0;
	}
	return log_sync(ctx);
}

/* Return 0, or the error that ends the log. */
static int log_step(struct bpf_io_uring_ctx *ctx, struct log_flow *l)
{
	if (ctx->user_data >= LOG_TIMER) {
		if (ctx->user_data != l->timer || !l->waiting)
			return 0;
		l->waiting = 0;
		l->due = 1;
		return ctx->res == -ETIME ? 0 : ctx->res;
	}
	if (ctx->user_data == LOG_DELAY)
		return 0;
	if (ctx->res < 0 && config.fault == LOG_FAULT_RETRY && ctx->user_data == LOG_SYNC)
		return log_sync(ctx);
	if (ctx->res < 0)
		return ctx->res;
	if (ctx->user_data == LOG_EVENT)
		return log_listen(ctx);
	if (ctx->user_data == LOG_WRITE)
		return log_written(ctx, l);
	l->busy = 0;
	if (config.fault != LOG_FAULT_EARLY)
		log_report(ctx, l);
	return 0;
}

SEC("iouring")
int iou_log(struct bpf_io_uring_ctx *ctx)
{
	struct log_flow *l = iou_mem(ctx, struct log_flow);
	int ret;

	if (!l)
		return iou_end(ctx, -ENOMEM);
	if (iou_is_start(ctx)) {
		l->off = ctx->state[0];
		l->timer = LOG_TIMER;
		ret = log_listen(ctx);
	} else if (ctx->event == BPF_IO_URING_COMPLETE && !iou_is_ending(ctx)) {
		ret = log_step(ctx, l);
	} else {
		return BPF_IO_URING_DEFAULT;
	}
	ret = ret ?: log_next(ctx, l);
	if (!ret)
		return BPF_IO_URING_DEFAULT;
	shared.failed = ctx->user_data;
	return iou_end(ctx, ret);
}
