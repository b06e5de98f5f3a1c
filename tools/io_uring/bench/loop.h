/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The loops of user space, as templates: the functions they are given are known
 * where they are used, so that the compiler puts them in place. A system call
 * submits, waits and runs the task work, and completions are reaped together.
 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include "bench.h"

typedef void (*bench_prep_fn)(struct bench *b, struct io_uring_sqe *sqe);

static __always_inline struct io_uring_sqe *bench_sqe(struct bench *b)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);

	bench_check(b, sqe);
	return sqe;
}

/*
 * The next SQE as it was when it was used before. liburing may clear part of it,
 * and all those before have been submitted.
 */
static __always_inline struct io_uring_sqe *bench_kept_sqe(struct bench *b)
{
	struct io_uring_sq *sq = &b->ring.sq;

	return &sq->sqes[sq->sqe_tail++ & sq->ring_mask];
}

/* Submits @nr requests and takes their CQEs, each of which is @b->want. */
static __always_inline void bench_reap(struct bench *b, unsigned int nr)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;

	bench_check(b, io_uring_submit_and_wait(&b->ring, nr) == nr);
	io_uring_for_each_cqe(&b->ring, head, cqe) {
		bench_check(b, cqe->res == b->want);
		seen++;
	}
	bench_check(b, seen == nr);
	io_uring_cq_advance(&b->ring, seen);
}

/* The same, but each is its user_data. */
static __always_inline void bench_reap_each(struct bench *b, unsigned int nr)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;

	bench_check(b, io_uring_submit_and_wait(&b->ring, nr) == nr);
	io_uring_for_each_cqe(&b->ring, head, cqe) {
		bench_check(b, cqe->res == cqe->user_data);
		seen++;
	}
	bench_check(b, seen == nr);
	io_uring_cq_advance(&b->ring, seen);
}

/* @ops requests that don't change, @batch at a time with @flags */
static __always_inline void bench_loop(struct bench *b, unsigned int ops,
				       unsigned int batch, unsigned int flags,
				       bench_prep_fn prep)
{
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (; ops; ops -= batch) {
		for (i = 0; i < batch; i++) {
			sqe = bench_sqe(b);
			prep(b, sqe);
			if (i + 1 < batch)
				sqe->flags |= flags;
		}
		bench_reap(b, batch);
	}
}

/* One flow, which has to end with @res. */
static __always_inline void bench_flow(struct bench *b, int res, __u64 a0,
				       __u64 a1, __u64 a2, __u64 a3)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;

	iou_prep_bpf(bench_sqe(b), 0, a0, a1, a2, a3);
	bench_check(b, io_uring_submit_and_wait(&b->ring, 1) == 1);
	io_uring_for_each_cqe(&b->ring, head, cqe) {
		bench_check(b, cqe->res == res);
		seen++;
	}
	bench_check(b, seen == 1);
	io_uring_cq_advance(&b->ring, seen);
}

/*
 * What takes several steps, each of which depends on the one before: begin()
 * one, fill in its next request, and look at the result of that. step() says
 * if there is more to do. All of a batch have the same number of steps.
 *
 * With keep, the SQE has all that requests have in common, and prep() writes
 * only what changes.
 */
struct bench_steps {
	void (*begin)(struct bench *b, unsigned int slot);
	void (*prep)(struct bench *b, unsigned int slot,
		     struct io_uring_sqe *sqe);
	bool (*step)(struct bench *b, unsigned int slot, int res);
	bool keep;
};

static __always_inline
unsigned int bench_step_all(struct bench *b, unsigned int batch,
			    const struct bench_steps *s)
{
	unsigned int i, head, seen = 0, more = 0;
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;

	for (i = 0; i < batch; i++) {
		sqe = s->keep ? bench_kept_sqe(b) : bench_sqe(b);
		s->prep(b, i, sqe);
		sqe->user_data = i;
	}
	bench_check(b, io_uring_submit_and_wait(&b->ring, batch) == batch);
	io_uring_for_each_cqe(&b->ring, head, cqe) {
		more += s->step(b, cqe->user_data, cqe->res);
		seen++;
	}
	bench_check(b, seen == batch);
	io_uring_cq_advance(&b->ring, seen);
	return more;
}

static __always_inline void bench_steps(struct bench *b, unsigned int ops,
					unsigned int batch,
					const struct bench_steps *s)
{
	unsigned int i;

	for (; ops; ops -= batch) {
		for (i = 0; i < batch; i++)
			s->begin(b, i);
		while (bench_step_all(b, batch, s))
			;
	}
}

/* one at a time */
#define __BENCH_STEP_LOOP(id, _keep)					\
static const struct bench_steps id##_steps = {				\
	id##_begin, id##_prep, id##_step, _keep				\
};									\
static void id##_qd1(struct bench *b, unsigned int ops)			\
{									\
	bench_steps(b, ops, 1, &id##_steps);				\
}

#define BENCH_STEP_LOOP(id)						\
	__BENCH_STEP_LOOP(id, false)

/* and a batch of them; the arms are BENCH_LOOP_KEPT() */
#define BENCH_KEPT_LOOPS(id)						\
__BENCH_STEP_LOOP(id, true)						\
static void id##_b32(struct bench *b, unsigned int ops)			\
{									\
	bench_steps(b, ops, BENCH_BATCH, &id##_steps);			\
}

#endif
