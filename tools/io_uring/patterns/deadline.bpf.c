// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("issue a chain of requests, each after the one before, within a time limit for all")
ARG("buf", "word 0, bits 0-31", "index of a registered buffer with an array of SQEs")
ARG("nr", "word 0, bits 32-63", "number of SQEs, 1 to 127, less than the CQ entries")
ARG("array", "word 1", "offset of the array in the buffer, in bytes")
ARG("limit", "word 2", "nanoseconds, 1 to 2^63 - 1")
RESULT("result of the last request. The result of each request is in the user_data of "
	"its SQE. The SQEs are linked by the pattern; IOSQE_IO_HARDLINK is preserved")
ERROR("EINVAL", "an argument is out of range, word 3 is not 0, or an SQE has other flags "
	"than IOSQE_FIXED_FILE, IOSQE_ASYNC, IOSQE_IO_LINK and IOSQE_IO_HARDLINK")
ERROR("ENOENT", "there is no such buffer")
ERROR("EFAULT", "the array exceeds the buffer")
ERROR("EAGAIN", "the CQ has too few entries")
ERROR("ETIME", "the limit was exceeded; the rest of the chain was cancelled")
ERROR("ECANCELED", "a request of the chain was short, or the request before the flow in "
	"its chain has failed")
ERROR("others", "of the first request that has failed")
WINS("one CQE for the chain, and one limit: IORING_OP_LINK_TIMEOUT limits one request")
LOSES("a single request: use IORING_OP_LINK_TIMEOUT"));

#define DEADLINE_MAX	127
/* user_data of the timeout */
#define LIMIT		DEADLINE_MAX

struct deadline {
	__u32 buf;
	__u32 left;	/* requests of the chain that have not completed */
	__u64 array;
	__u64 limit;
	__s32 err;
	__u32 nr;
};

static __always_inline int deadline_issue(struct bpf_io_uring_ctx *ctx, __u32 i)
{
	struct deadline *s = iou_state(ctx, struct deadline);
	const __u32 links = IOSQE_IO_LINK | IOSQE_IO_HARDLINK;
	struct io_uring_sqe sqe;
	int ret;

	ret = pattern_read_sqe(ctx, s->buf, s->array, i, &sqe);
	if (ret)
		return ret;
	if (sqe.flags & ~(PATTERN_SQE_FLAGS | links))
		return -EINVAL;
	if (i == s->nr - 1)
		sqe.flags &= ~links;
	else if (!(sqe.flags & IOSQE_IO_HARDLINK))
		sqe.flags |= IOSQE_IO_LINK;
	io_uring_sqe_set_data64(&sqe, i);
	return iou_issue(ctx, &sqe);
}

static __always_inline int deadline_start(struct bpf_io_uring_ctx *ctx)
{
	struct deadline *s = iou_state(ctx, struct deadline);
	int i, ret;

	if (ctx->res < 0)
		return -ECANCELED;
	if (!s->left || s->left > DEADLINE_MAX || !s->limit ||
	    s->limit > PATTERN_MAX_OFFSET || s->err || s->nr)
		return -EINVAL;
	s->nr = s->left;
	ret = pattern_timeout(ctx, s->limit, LIMIT);
	if (ret)
		return ret;
	bpf_for(i, 0, s->nr) {
		ret = deadline_issue(ctx, i);
		if (ret)
			break;
	}
	return ret;
}

SEC("iouring")
int deadline(struct bpf_io_uring_ctx *ctx)
{
	struct deadline *s = iou_state(ctx, struct deadline);
	int err;

	if (pattern_starts(ctx))
		return iou_end_on_error(ctx, deadline_start(ctx));
	if (ctx->event != BPF_IO_URING_COMPLETE)
		return BPF_IO_URING_DEFAULT;
	if (ctx->user_data == LIMIT)
		return iou_end_on_error(ctx, ctx->res);
	/* also those that were cancelled because of the limit */
	err = pattern_store_res(ctx, s->buf, s->array);
	if (iou_is_ending(ctx))
		return pattern_late_verdict(err);
	if (ctx->res < 0)
		err = ctx->res;
	/* the cause, rather than its consequences */
	if (err && (!s->err || s->err == -ECANCELED))
		s->err = err;
	if (--s->left)
		return BPF_IO_URING_DEFAULT;
	/* without an error, the last completion is that of the last request */
	return iou_end(ctx, s->err ?: ctx->res);
}
