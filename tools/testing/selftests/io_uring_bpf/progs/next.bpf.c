// SPDX-License-Identifier: GPL-2.0
/* Programs that watch and let the next one see the completion */
#include "iou_bpf.bpf.h"
#include "next_step.h"

char LICENSE[] SEC("license") = "GPL";

struct next_step steps[NEXT_PROGS];
struct next_seen seen[NEXT_MAX_SEEN];
__u32 nr_seen;
struct io_uring_sqe sqe;
char text[16];

/* of the flow */
__u32 flow_verdict;
__u32 flow_steps;
__u32 flow_stop;
__u64 flow_burn_ns;

static __always_inline int next_run(struct bpf_io_uring_ctx *ctx, __u32 i, bool writes)
{
	const struct next_step *step = &steps[i];
	__u32 n = nr_seen;
	__s32 ret = 0;

	if (step->posts)
		ret = iou_post_cqe(ctx, NEXT_POST(i), 0, 0);
	if (step->issue)
		ret = iou_issue_app(ctx, &sqe);
	nr_seen = n + 1;
	if (n < NEXT_MAX_SEEN) {
		seen[n].user_data = ctx->user_data;
		seen[n].res = ctx->res;
		seen[n].cflags = ctx->cflags;
		seen[n].event = ctx->event;
		seen[n].prog = i;
		seen[n].text = text[0];
		seen[n].ret = ret;
	}
	if (writes && step->add) {
		ctx->user_data += step->add;
		ctx->res += step->add;
		ctx->cflags |= NEXT_MARK(i);
	}
	return iou_verdict(step->verdict);
}

#define NEXT_PROG(name, section, i, writes)				\
SEC(section)								\
int name(struct bpf_io_uring_ctx *ctx)					\
{									\
	return next_run(ctx, i, writes);				\
}

/* programs that the kernel runs several at a time, others, and one that can sleep */
NEXT_PROG(plain_0, "iouring", 0, false)
NEXT_PROG(plain_1, "iouring", 1, false)
NEXT_PROG(plain_2, "iouring", 2, false)
NEXT_PROG(plain_3, "iouring", 3, false)
NEXT_PROG(plain_4, "iouring", 4, false)
NEXT_PROG(plain_5, "iouring", 5, false)
NEXT_PROG(plain_6, "iouring", 6, false)
NEXT_PROG(plain_7, "iouring", 7, false)
NEXT_PROG(plain_8, "iouring", 8, false)
NEXT_PROG(plain_9, "iouring", 9, false)
NEXT_PROG(plain_10, "iouring", 10, false)
NEXT_PROG(plain_11, "iouring", 11, false)
NEXT_PROG(plain_12, "iouring", 12, false)
NEXT_PROG(plain_13, "iouring", 13, false)
NEXT_PROG(plain_14, "iouring", 14, false)
NEXT_PROG(plain_15, "iouring", 15, false)
NEXT_PROG(write_0, "iouring", 0, true)
NEXT_PROG(write_1, "iouring", 1, true)
NEXT_PROG(write_2, "iouring", 2, true)
NEXT_PROG(sleep_0, "iouring.s", 0, true)
NEXT_PROG(sleep_1, "iouring.s", 1, true)
NEXT_PROG(sleep_2, "iouring.s", 2, true)

/* Issue the SQE of the test until the test stops the flow. */
SEC("iouring")
int next_flow(struct bpf_io_uring_ctx *ctx)
{
	__u64 start = bpf_ktime_get_ns();
	__u32 i;

	flow_steps++;
	bpf_for(i, 0, 1000000) {
		if (bpf_ktime_get_ns() - start >= flow_burn_ns)
			break;
	}
	if (flow_stop && flow_steps >= flow_stop)
		bpf_io_uring_complete(ctx, 0);
	else
		iou_issue(ctx, &sqe);
	return iou_verdict(flow_verdict);
}
