// SPDX-License-Identifier: GPL-2.0
/*
 * Patterns that issue requests of the application, which writes its SQEs each time
 *
 * join: 8 reads of 64 bytes from /dev/zero at once, and the sum. keep_n: 32 of them,
 * four at a time.
 */
#include "pattern.h"

#define JOIN		8
#define KEEP_N		32
#define KEEP_N_DEPTH	4

static void zero_open(struct bench *b)
{
	pattern_alloc(b);
	memset(b->buf, 0xff, PATTERN_BUF);
	b->fd[0] = open("/dev/zero", O_RDONLY);
	bench_check(b, b->fd[0] >= 0);
}

static void zero_exit(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < JOIN * BENCH_PIECE; i++)
		bench_check(b, !b->buf[PATTERN_DATA + i]);
}

static void join_pattern(struct bench *b, unsigned int ops)
{
	unsigned int i;

	for (; ops; ops--) {
		for (i = 0; i < JOIN; i++)
			pattern_prep_read(b, pattern_array(b) + i, i);
		PATTERN_RUN(b, JOIN * BENCH_PIECE, join, 0, 0, JOIN, 0);
	}
}

static void join_liburing(struct bench *b, unsigned int ops)
{
	unsigned int i;

	for (; ops; ops--) {
		for (i = 0; i < JOIN; i++)
			pattern_prep_read(b, bench_sqe(b), i);
		pattern_reap(b, JOIN, JOIN, BENCH_PIECE);
	}
}

static __always_inline void pread_all(struct bench *b, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		bench_check(b, pread(b->fd[0], b->buf + PATTERN_DATA + i * BENCH_PIECE,
				     BENCH_PIECE, 0) == BENCH_PIECE);
}

static void join_syscalls(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		pread_all(b, JOIN);
}

static void keep_n_pattern(struct bench *b, unsigned int ops)
{
	unsigned int i;

	for (; ops; ops--) {
		for (i = 0; i < KEEP_N; i++)
			pattern_prep_read(b, pattern_array(b) + i, i);
		PATTERN_RUN(b, KEEP_N, keep_n, 0, 0, KEEP_N, KEEP_N_DEPTH);
	}
}

/* Whatever has completed makes room for others. */
static void keep_n_liburing(struct bench *b, unsigned int ops)
{
	unsigned int next, done, seen, head;
	struct io_uring_cqe *cqe;

	for (; ops; ops--) {
		for (next = 0, done = 0; done < KEEP_N; done += seen) {
			for (; next < KEEP_N && next - done < KEEP_N_DEPTH; next++)
				pattern_prep_read(b, bench_sqe(b), next);
			bench_check(b, io_uring_submit_and_wait(&b->ring, 1) >= 0);
			seen = 0;
			io_uring_for_each_cqe(&b->ring, head, cqe) {
				bench_check(b, cqe->res == BENCH_PIECE);
				seen++;
			}
			io_uring_cq_advance(&b->ring, seen);
		}
	}
}

static void keep_n_syscalls(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		pread_all(b, KEEP_N);
}

PATTERN_ARMS(join);
PATTERN_ARMS(keep_n);

#define SQES(id, _ops)							\
	"pattern-" #id, .ops = _ops, .need = NEED_PATTERN,		\
	.arms = id##_arms, .open = zero_open, .exit = zero_exit

const struct bench_workload bench_pattern_sqes_workloads[] = {
	{ SQES(join, BENCH_OPS_HEAVY / JOIN) },
	{ SQES(keep_n, BENCH_OPS_HEAVY / KEEP_N) },
	{}
};
