/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A turn of the wait loop, as a template: the functions it is given are known
 * where it is used, so that the compiler puts them in place. The rings are
 * IORING_SETUP_SQ_REWIND, so the SQEs to submit are always the first ones.
 */
#ifndef BENCH_LOOP_BPF_H
#define BENCH_LOOP_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bench_shared.h"

#define EAGAIN	11

extern int bpf_io_uring_submit_sqes(struct iou_ctx *ring, __u32 nr) __ksym;
extern __u8 *bpf_io_uring_get_region(struct iou_ctx *ring, __u32 region_id,
				     const size_t rdwr_buf_size) __ksym;

/* where things are in the rings */
const volatile __u32 cq_head_off;
const volatile __u32 cq_tail_off;
const volatile __u32 cqes_off;
const volatile __u32 cq_entries;

/* not begun yet, and not done */
__u32 todo;
__u32 left;
__u32 failed;
/* to submit */
__u32 nr_sqes;

struct loop_cq {
	__u32			*head;
	__u32			*tail;
	struct io_uring_cqe	*cqes;
};

static __always_inline bool loop_get_cq(struct iou_ctx *ring,
					struct loop_cq *cq)
{
	__u8 *p = bpf_io_uring_get_region(ring, IOU_REGION_CQ, cqes_off +
					  cq_entries * sizeof(*cq->cqes));

	if (!p)
		return false;
	cq->head = (__u32 *)(p + cq_head_off);
	cq->tail = (__u32 *)(p + cq_tail_off);
	cq->cqes = (struct io_uring_cqe *)(p + cqes_off);
	return true;
}

static __always_inline int loop_fail(void)
{
	failed = 1;
	return IOU_LOOP_STOP;
}

/*
 * What takes several steps: begin() an operation in a slot, write into an SQE
 * what is different about its next request, and look at the result of that.
 * step() returns 1 if there is more to do, 0 if not, or -1 if it went wrong.
 */
typedef void (*loop_begin_fn)(__u32 slot);
typedef void (*loop_prep_fn)(__u32 slot, struct io_uring_sqe *sqe);
typedef int (*loop_step_fn)(struct iou_ctx *ring, __u32 slot, __s32 res);

static __always_inline void loop_sqe(struct io_uring_sqe *sqes, __u32 batch,
				     __u32 slot, loop_prep_fn prep)
{
	struct io_uring_sqe *sqe = &sqes[nr_sqes & (batch - 1)];

	prep(slot, sqe);
	sqe->user_data = slot;
	nr_sqes++;
	/* in memory: the verifier would follow each of a register's values */
	barrier();
}

static __always_inline int loop_turn(struct iou_ctx *ring,
				     struct iou_loop_params *lp, __u32 batch,
				     loop_begin_fn begin, loop_prep_fn prep,
				     loop_step_fn step)
{
	struct io_uring_sqe *sqes;
	__u32 i, pos, nr;
	struct loop_cq cq;

	sqes = (void *)bpf_io_uring_get_region(ring, IOU_REGION_SQ,
					       BENCH_BATCH * sizeof(*sqes));
	if (!sqes || !loop_get_cq(ring, &cq))
		return loop_fail();
	nr_sqes = 0;
	pos = *cq.head;
	nr = *cq.tail - pos;
	for (i = 0; i < batch && i < nr; i++) {
		const struct io_uring_cqe *cqe;
		__u32 slot;
		int ret;

		cqe = &cq.cqes[(pos + i) & (cq_entries - 1)];
		slot = batch == 1 ? 0 : cqe->user_data & (BENCH_BATCH - 1);
		ret = step(ring, slot, cqe->res);
		if (ret < 0)
			return loop_fail();
		if (!ret) {
			left--;
			if (!todo)
				continue;
			todo--;
			begin(slot);
		}
		loop_sqe(sqes, batch, slot, prep);
	}
	if (nr) {
		pos += nr;
		*cq.head = pos;
		if (!left)
			return IOU_LOOP_STOP;
	}
	/* none has been begun yet */
	if (todo == left) {
		for (i = 0; i < batch; i++) {
			begin(i);
			loop_sqe(sqes, batch, i, prep);
		}
		todo -= batch;
	}
	if (nr_sqes && bpf_io_uring_submit_sqes(ring, nr_sqes) != nr_sqes)
		return loop_fail();
	lp->cq_wait_idx = pos + left - todo;
	return IOU_LOOP_CONTINUE;
}

#define LOOP_STEPS(name, batch, begin, prep, step)			\
SEC("struct_ops.s")							\
int BPF_PROG(name, struct iou_ctx *ring, struct iou_loop_params *lp)	\
{									\
	return loop_turn(ring, lp, batch, begin, prep, step);		\
}

#endif
