// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("flow")
ABOUT("issue a request until it succeeds, with a pause between the attempts")
ARG("buf", "word 0, bits 0-31", "index of a registered buffer with the SQE")
ARG("attempts", "word 0, bits 32-63", "largest number of attempts, 1 to 4294967295")
ARG("sqe", "word 1", "offset of the SQE in the buffer, in bytes")
ARG("pause", "word 2", "nanoseconds between two attempts, 0 to 2^63 - 1")
ARG("errors", "word 3", "up to four errno values of 16 bits that are tried again, 0: all")
RESULT("result of the last attempt")
ERROR("EINVAL", "an argument is out of range, or the SQE has other flags than "
	"IOSQE_FIXED_FILE and IOSQE_ASYNC")
ERROR("ENOENT", "there is no such buffer")
ERROR("EFAULT", "the SQE exceeds the buffer")
ERROR("ECANCELED", "the request before the flow in its chain has failed")
ERROR("others", "of the last attempt")
WINS("a service that comes up, a lock that others hold: no timer in the application")
LOSES("the request nearly always succeeds: submit it"));

enum { ATTEMPT, PAUSE };

struct retry {
	__u32 buf;
	__u32 attempts;		/* that are left */
	__u64 sqe;
	__u64 pause;
	__u16 errors[4];
};

static __always_inline int retry_attempt(struct bpf_io_uring_ctx *ctx)
{
	struct retry *s = iou_state(ctx, struct retry);

	s->attempts--;
	return pattern_issue_sqe(ctx, s->buf, s->sqe, ATTEMPT);
}

static __always_inline bool retry_after(const struct retry *s, int error)
{
	if (!s->errors[0] && !s->errors[1] && !s->errors[2] && !s->errors[3])
		return true;
	return s->errors[0] == error || s->errors[1] == error || s->errors[2] == error ||
	       s->errors[3] == error;
}

SEC("iouring")
int retry(struct bpf_io_uring_ctx *ctx)
{
	struct retry *s = iou_state(ctx, struct retry);

	if (pattern_starts(ctx)) {
		if (ctx->res < 0)
			return iou_end(ctx, -ECANCELED);
		if (!s->attempts || s->pause > PATTERN_MAX_OFFSET)
			return iou_end(ctx, -EINVAL);
		return iou_end_on_error(ctx, retry_attempt(ctx));
	}
	if (!pattern_goes_on(ctx))
		return BPF_IO_URING_DEFAULT;
	if (ctx->user_data == PAUSE) {
		if (ctx->res != -ETIME)
			return iou_end(ctx, ctx->res);
		return iou_end_on_error(ctx, retry_attempt(ctx));
	}
	if (ctx->res >= 0 || !s->attempts || !retry_after(s, -ctx->res))
		return iou_end(ctx, ctx->res);
	return iou_end_on_error(ctx, s->pause ? pattern_timeout(ctx, s->pause, PAUSE) :
						retry_attempt(ctx));
}
