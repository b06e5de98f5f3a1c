// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("issue several requests at once, and wait for all of them, but not for ever")
ARG("buf", "word 0, bits 0-31", "index of a registered buffer with an array of SQEs")
ARG("nr", "word 0, bits 32-63", "number of SQEs, 1 to 127, less than the CQ entries")
ARG("array", "word 1", "offset of the array in the buffer, in bytes")
ARG("limit", "word 2", "nanoseconds, up to 2^63 - 1, or 0 to wait without a limit")
RESULT("sum of the results. The result of each request is in the user_data of its SQE")
ERROR("EINVAL", "an argument is out of range, word 3 is not 0, or an SQE has other flags "
	"than IOSQE_FIXED_FILE and IOSQE_ASYNC")
ERROR("ENOENT", "there is no such buffer")
ERROR("EFAULT", "the array exceeds the buffer")
ERROR("EAGAIN", "the CQ has too few entries")
ERROR("ETIME", "the limit was exceeded; requests in flight were cancelled")
ERROR("EOVERFLOW", "the sum is larger than 2147483647")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
ERROR("others", "of the first request that has failed; the others were completed")
WINS("scatter and gather: one CQE and one system call for all requests")
LOSES("the caller could wait for nr CQEs, and looks at each of them anyway"));

#define JOIN_MAX	127
/* user_data of the timeout */
#define LIMIT		JOIN_MAX

struct join {
	__u32 buf;
	__u32 nr;	/* of requests in flight */
	__u64 array;
	__u64 sum;	/* the limit at first */
	__s32 err;
	__u32 unused;
};

static __always_inline int join_start(struct bpf_io_uring_ctx *ctx)
{
	struct join *s = iou_state(ctx, struct join);
	int i, ret = 0;

	if (ctx->res < 0)
		return -ECANCELED;
	if (!s->nr || s->nr > JOIN_MAX || s->sum > PATTERN_MAX_OFFSET || s->err ||
	    s->unused)
		return -EINVAL;
	bpf_for(i, 0, s->nr) {
		ret = pattern_issue_sqe(ctx, s->buf, s->array, i);
		if (ret)
			return ret;
	}
	if (s->sum)
		ret = pattern_timeout(ctx, s->sum, LIMIT);
	s->sum = 0;
	return ret;
}

SEC("iouring")
int join(struct bpf_io_uring_ctx *ctx)
{
	struct join *s = iou_state(ctx, struct join);
	int err;

	if (pattern_starts(ctx))
		return iou_end_on_error(ctx, join_start(ctx));
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
	else
		s->sum += ctx->res;
	if (!s->err)
		s->err = err;
	if (--s->nr)
		return BPF_IO_URING_DEFAULT;
	if (!s->err && s->sum > 0x7fffffff)
		s->err = -EOVERFLOW;
	return iou_end(ctx, s->err ?: s->sum);
}
