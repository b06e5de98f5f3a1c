// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("pass data between two sockets in both directions, until both have shut down")
MEMORY(64)
ARG("a", "word 0, bits 0-31", "file descriptor of one socket")
ARG("b", "word 0, bits 32-63", "file descriptor of the other one")
ARG("buf", "word 1", "address of 2 * size bytes")
ARG("size", "word 2", "bytes to receive at once, 1 to 2147483647")
ARG("idle", "word 3", "nanoseconds up to 2^63 - 1, or 0: the flow ends after one to two "
	"times this time without data")
RESULT("0 if both directions have ended. The end of a direction is passed on by shutdown, "
	"and the other direction continues. The caller closes both sockets")
ERROR("EINVAL", "an argument is out of range, or flow_size of the link is too small")
ERROR("ETIME", "the connection was idle")
ERROR("EPIPE, ECONNRESET", "a peer has closed or reset the connection. What was received "
	"for the other one before has been sent")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
ERROR("others", "of a receive, send or shutdown")
WINS("proxies: no system call per segment, one flow and one CQE per connection")
LOSES("bulk data through large pipes: splice() does not copy"));

/* user_data of a child: the direction, or the timeout */
enum { A_TO_B, B_TO_A, IDLE };

struct forward {
	__u32 a;
	__u32 b;
	__u64 buf;
	__u64 size;
	__u64 idle;
};

struct side {
	__u64 buf;
	__u32 from;
	__u32 to;
	__u32 len;	/* received */
	__u32 sent;
};

struct pair {
	struct side a;
	struct side b;
	__u32 open;	/* directions that have not ended */
	__u32 active;	/* data has passed since the last timeout */
	__s32 err;	/* of a direction that has failed; the other one sends what it has */
};

/* Send what is left, or receive more. */
static __always_inline int forward_next(struct bpf_io_uring_ctx *ctx, struct side *d,
					__u64 dir)
{
	struct forward *s = iou_state(ctx, struct forward);
	struct io_uring_sqe sqe;

	if (d->sent < d->len)
		io_uring_prep_send(&sqe, d->to, d->buf + d->sent, d->len - d->sent, 0);
	else
		io_uring_prep_recv(&sqe, d->from, d->buf, s->size, 0);
	io_uring_sqe_set_data64(&sqe, dir);
	return iou_issue(ctx, &sqe);
}

static __always_inline int forward_start(struct bpf_io_uring_ctx *ctx, struct pair *p)
{
	struct forward *s = iou_state(ctx, struct forward);
	int ret;

	if (ctx->res < 0)
		return -ECANCELED;
	if (!s->size || s->size > 0x7fffffff || s->idle > PATTERN_MAX_OFFSET)
		return -EINVAL;
	p->a.from = s->a;
	p->a.to = s->b;
	p->b.from = s->b;
	p->b.to = s->a;
	p->a.buf = s->buf;
	p->b.buf = s->buf + s->size;
	p->open = 2;
	ret = forward_next(ctx, &p->a, A_TO_B);
	if (!ret)
		ret = forward_next(ctx, &p->b, B_TO_A);
	if (!ret && s->idle)
		ret = pattern_timeout(ctx, s->idle, IDLE);
	return ret;
}

/* A direction has failed. Return the error if the other one has nothing left to send. */
static __always_inline int forward_fail(struct pair *p, struct side *d,
					const struct side *other, int err)
{
	d->sent = d->len;
	if (!p->err)
		p->err = err;
	return other->sent < other->len ? 0 : p->err;
}

static __always_inline int forward_step(struct bpf_io_uring_ctx *ctx, struct pair *p,
					struct side *d, const struct side *other, __u64 dir)
{
	struct io_uring_sqe sqe;

	if (ctx->opcode == IORING_OP_SHUTDOWN) {
		/* the peer has closed, which is the end of the direction as well */
		if (ctx->res && ctx->res != -ENOTCONN)
			return forward_fail(p, d, other, ctx->res);
		if (!--p->open)
			bpf_io_uring_complete(ctx, 0);
		return 0;
	}
	if (ctx->res < 0)
		return forward_fail(p, d, other, ctx->res);
	p->active = 1;
	if (ctx->opcode == IORING_OP_SEND) {
		d->sent += ctx->res;
		if (p->err && d->sent == d->len)
			return p->err;
		return forward_next(ctx, d, dir);
	}
	d->len = ctx->res;
	d->sent = 0;
	if (d->len)
		return forward_next(ctx, d, dir);
	io_uring_prep_shutdown(&sqe, d->to, SHUT_WR);
	io_uring_sqe_set_data64(&sqe, dir);
	return iou_issue(ctx, &sqe);
}

static __always_inline int forward_idle(struct bpf_io_uring_ctx *ctx, struct pair *p)
{
	struct forward *s = iou_state(ctx, struct forward);

	if (ctx->res != -ETIME || !p->active)
		return ctx->res;
	p->active = 0;
	return pattern_timeout(ctx, s->idle, IDLE);
}

SEC("iouring")
int forward(struct bpf_io_uring_ctx *ctx)
{
	struct pair *p = iou_mem(ctx, struct pair);
	int ret;

	if (!p)
		return iou_end(ctx, -EINVAL);
	if (pattern_starts(ctx))
		return iou_end_on_error(ctx, forward_start(ctx, p));
	if (!pattern_goes_on(ctx))
		return BPF_IO_URING_DEFAULT;
	if (ctx->user_data == IDLE)
		ret = forward_idle(ctx, p);
	else if (ctx->user_data == A_TO_B)
		ret = forward_step(ctx, p, &p->a, &p->b, A_TO_B);
	else
		ret = forward_step(ctx, p, &p->b, &p->a, B_TO_A);
	return iou_end_on_error(ctx, ret);
}
