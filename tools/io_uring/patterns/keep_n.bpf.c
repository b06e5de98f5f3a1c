// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("issue an array of requests, a constant number of them at a time")
ARG("buf", "word 0, bits 0-31", "index of a registered buffer with an array of SQEs")
ARG("depth", "word 0, bits 32-63", "requests in flight, 1 to 128, at most the CQ entries")
ARG("array", "word 1", "offset of the array in the buffer, in bytes")
ARG("nr", "word 2", "number of SQEs, 1 to 2147483647")
RESULT("number of requests whose result is not negative. The result of each request is in "
	"the user_data of its SQE")
ERROR("EINVAL", "an argument is out of range, word 3 is not 0, or an SQE has other flags "
	"than IOSQE_FIXED_FILE and IOSQE_ASYNC; later requests were not issued")
ERROR("ENOENT", "there is no such buffer")
ERROR("EFAULT", "the array exceeds the buffer")
ERROR("EAGAIN", "the CQ has less than depth entries")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
WINS("background work at a low depth that does not disturb others, with one CQE")
LOSES("all requests can be in flight at once: submit them"));

#define KEEP_N_MAX	128

struct keep_n {
	__u32 buf;
	__u32 depth;
	__u64 array;
	__u64 nr;
	__u32 next;
	__u32 succeeded;
};

static __always_inline int keep_n_start(struct bpf_io_uring_ctx *ctx)
{
	struct keep_n *s = iou_state(ctx, struct keep_n);
	int i, ret = 0;

	if (ctx->res < 0)
		return -ECANCELED;
	if (!s->depth || s->depth > KEEP_N_MAX || !s->nr || s->nr > 0x7fffffff ||
	    s->next || s->succeeded)
		return -EINVAL;
	s->next = s->nr < s->depth ? s->nr : s->depth;
	bpf_for(i, 0, s->next) {
		ret = pattern_issue_sqe(ctx, s->buf, s->array, i);
		if (ret)
			break;
	}
	return ret;
}

SEC("iouring")
int keep_n(struct bpf_io_uring_ctx *ctx)
{
	struct keep_n *s = iou_state(ctx, struct keep_n);
	int err;

	if (pattern_starts(ctx))
		return iou_end_on_error(ctx, keep_n_start(ctx));
	if (ctx->event != BPF_IO_URING_COMPLETE)
		return BPF_IO_URING_DEFAULT;
	err = pattern_store_res(ctx, s->buf, s->array);
	if (iou_is_ending(ctx))
		return pattern_late_verdict(err);
	if (ctx->res >= 0)
		s->succeeded++;
	if (!err && s->next < s->nr)
		err = pattern_issue_sqe(ctx, s->buf, s->array, s->next++);
	if (!err && !ctx->nr_children)
		return iou_end(ctx, s->succeeded);
	return iou_end_on_error(ctx, err);
}
