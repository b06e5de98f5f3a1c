// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("issue several requests at once, and take the first that succeeds")
ARG("buf", "word 0, bits 0-31", "index of a registered buffer with an array of SQEs")
ARG("nr", "word 0, bits 32-63", "number of SQEs, 1 to 128, at most the CQ entries")
ARG("array", "word 1", "offset of the array in the buffer, in bytes")
RESULT("index of the first request whose result is not negative. The result of each "
	"request is in the user_data of its SQE: -ECANCELED for those that were too late")
ERROR("EINVAL", "an argument is out of range, word 2 or 3 is not 0, or an SQE has other "
	"flags than IOSQE_FIXED_FILE and IOSQE_ASYNC")
ERROR("ENOENT", "there is no such buffer")
ERROR("EFAULT", "the array exceeds the buffer")
ERROR("EAGAIN", "the CQ has too few entries")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
ERROR("others", "of the last request, if all have failed")
WINS("replicas and hedged reads: the cancellation needs no further system call")
LOSES("one of the requests is nearly always the first, and the others are a load"));

#define FIRST_OF_MAX	128

struct first_of {
	__u32 buf;
	__u32 nr;
	__u64 array;
	__u64 unused[2];
};

static __always_inline int first_of_start(struct bpf_io_uring_ctx *ctx)
{
	struct first_of *s = iou_state(ctx, struct first_of);
	int i, ret = 0;

	if (ctx->res < 0)
		return -ECANCELED;
	if (!s->nr || s->nr > FIRST_OF_MAX || s->unused[0] || s->unused[1])
		return -EINVAL;
	bpf_for(i, 0, s->nr) {
		ret = pattern_issue_sqe(ctx, s->buf, s->array, i);
		if (ret)
			break;
	}
	return ret;
}

SEC("iouring")
int first_of(struct bpf_io_uring_ctx *ctx)
{
	struct first_of *s = iou_state(ctx, struct first_of);
	int err;

	if (pattern_starts(ctx))
		return iou_end_on_error(ctx, first_of_start(ctx));
	if (ctx->event != BPF_IO_URING_COMPLETE)
		return BPF_IO_URING_DEFAULT;
	err = pattern_store_res(ctx, s->buf, s->array);
	if (iou_is_ending(ctx))
		return pattern_late_verdict(err);
	if (err)
		return iou_end(ctx, err);
	if (ctx->res >= 0)
		return iou_end(ctx, ctx->user_data);
	return ctx->nr_children ? BPF_IO_URING_DEFAULT : iou_end(ctx, ctx->res);
}
