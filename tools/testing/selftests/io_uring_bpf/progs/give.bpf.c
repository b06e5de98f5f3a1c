// SPDX-License-Identifier: GPL-2.0
#include "iou_log.bpf.h"
#include "give_case.h"

char LICENSE[] SEC("license") = "GPL";

/* address of the area that is registered buffer 0 and has the provided buffers */
__u64 area;

/* what programs have received, and how much of each buffer is used up */
__u8 data[GIVE_MAX_DATA];
__u32 nr_data;
__u32 used[GIVE_BUFS];

/* the last error of a copy, and of a buffer given back */
__s32 read_err;
__s32 give_err;
__u32 nr_given;

struct give_call calls[GIVE_MAX_CALLS];
__u32 nr_calls;

/* messages with an odd number, and the sum of these numbers */
__u64 sum_taken;
__u32 nr_taken;

static __always_inline bool give_has_buf(struct bpf_io_uring_ctx *ctx)
{
	return ctx->res > 0 && (ctx->cflags & IORING_CQE_F_BUFFER);
}

static __always_inline void give_back(struct bpf_io_uring_ctx *ctx, __u32 id)
{
	int err = bpf_io_uring_buf_give(ctx, GIVE_GROUP, id, area + id * GIVE_LEN,
					GIVE_LEN);

	if (err)
		give_err = err;
	else
		nr_given++;
}

/* Copy what is in the buffer, and give the buffer back once it is used up. */
static __always_inline void give_take(struct bpf_io_uring_ctx *ctx)
{
	__u32 id = iou_buf_id(ctx), n, len, offset;
	int err;

	if (id >= GIVE_BUFS)
		return;
	n = iou_bound(nr_data, GIVE_MAX_DATA - GIVE_LEN);
	len = iou_bound((__u32)ctx->res, GIVE_LEN);
	offset = used[id];
	err = bpf_io_uring_buf_read(ctx, 0, id * GIVE_LEN + offset, &data[n], len);
	if (err)
		read_err = err;
	nr_data = n + len;
	if (ctx->cflags & IORING_CQE_F_BUF_MORE) {
		used[id] = offset + len;
	} else {
		used[id] = 0;
		give_back(ctx, id);
	}
}

/* Issue the receive again that has ended for want of buffers. */
static __always_inline void give_renew(struct bpf_io_uring_ctx *ctx)
{
	if (ctx->event == BPF_IO_URING_COMPLETE && !give_err &&
	    ctx->user_data == sqes[0].user_data &&
	    (ctx->res > 0 || ctx->res == -ENOBUFS))
		iou_issue(ctx, &sqes[0]);
}

/* Receive all data of a socket. The application sees none of the CQEs. */
SEC("iouring")
int give_all(struct bpf_io_uring_ctx *ctx)
{
	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	if (give_has_buf(ctx))
		give_take(ctx);
	give_renew(ctx);
	return BPF_IO_URING_DROP_BUF;
}

/* Watch the receive of the application, and keep messages from it that begin with x. */
SEC("iouring")
int give_watch(struct bpf_io_uring_ctx *ctx)
{
	__u32 id = iou_buf_id(ctx);
	__u8 first = 0;

	if (!give_has_buf(ctx) || id >= GIVE_BUFS)
		return BPF_IO_URING_DEFAULT;
	read_err = bpf_io_uring_buf_read(ctx, 0, id * GIVE_LEN, &first, 1);
	if (first != 'x')
		return BPF_IO_URING_DEFAULT;
	give_back(ctx, id);
	return BPF_IO_URING_DROP_BUF;
}

static __always_inline void give_as_told(struct bpf_io_uring_ctx *ctx)
{
	__u32 i;

	bpf_for(i, 0, GIVE_MAX_CALLS) {
		struct give_call *c = &calls[i];

		if (i >= nr_calls)
			break;
		c->ret = bpf_io_uring_buf_give(ctx, c->group, c->id, c->addr, c->len);
	}
}

/*
 * Keep all buffers, and give back those that the test names when it writes to a pipe. End
 * with the pipe.
 */
SEC("iouring")
int give_told(struct bpf_io_uring_ctx *ctx)
{
	iou_log_event(ctx);
	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		if (!nr_sqes)
			give_as_told(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	if (ctx->user_data != GIVE_NOW)
		return BPF_IO_URING_DROP_BUF;
	if (ctx->res <= 0)
		return iou_end(ctx, ctx->res);
	give_as_told(ctx);
	bpf_io_uring_again(ctx, 0, sqes[1].addr, 1);
	return BPF_IO_URING_DEFAULT;
}

/* Take over messages with an odd number, and leave the others to the application. */
SEC("iouring")
int give_odd(struct bpf_io_uring_ctx *ctx)
{
	__u32 id = iou_buf_id(ctx), number = 0;

	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	give_renew(ctx);
	if (!give_has_buf(ctx) || id >= GIVE_BUFS)
		return BPF_IO_URING_DEFAULT;
	read_err = bpf_io_uring_buf_read(ctx, 0, id * GIVE_LEN, &number, sizeof(number));
	if (!(number & 1))
		return BPF_IO_URING_DEFAULT;
	sum_taken += number;
	nr_taken++;
	give_back(ctx, id);
	return BPF_IO_URING_DROP_BUF;
}

/* The same, but the group can be gone at any time. The flow ends without buffers. */
SEC("iouring")
int give_gone(struct bpf_io_uring_ctx *ctx)
{
	if (iou_is_start(ctx)) {
		iou_issue_all(ctx);
		return BPF_IO_URING_DEFAULT;
	}
	if (give_has_buf(ctx) && iou_buf_id(ctx) < GIVE_BUFS)
		give_back(ctx, iou_buf_id(ctx));
	return BPF_IO_URING_DROP_BUF;
}
