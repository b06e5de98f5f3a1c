// SPDX-License-Identifier: GPL-2.0
/*
 * Patterns that watch: reads of 64 bytes from /dev/zero, 32 at a time. An operation is
 * one read. liburing is the same ring without a program. quiet drops all CQEs, so the
 * application doesn't wait for any: a read that has failed would be in the CQ.
 */
#include "pattern.h"

static void watch_open(struct bench *b)
{
	pattern_alloc(b);
	memset(b->buf, 0xff, PATTERN_BUF);
	b->fd[0] = open("/dev/zero", O_RDONLY);
	bench_check(b, b->fd[0] >= 0);
	b->want = BENCH_PIECE;
}

static void watch_exit(struct bench *b)
{
	bench_check(b, !b->buf[0] && !b->buf[BENCH_PIECE - 1]);
	bench_check(b, b->buf[BENCH_PIECE] == 0xff);
}

static void watch_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_read(sqe, b->fd[0], b->buf, BENCH_PIECE, 0);
}

static void quiet_pattern(struct bench *b, unsigned int ops)
{
	unsigned int i;

	for (; ops; ops -= BENCH_BATCH) {
		for (i = 0; i < BENCH_BATCH; i++)
			watch_prep(b, bench_sqe(b));
		bench_check(b, io_uring_submit(&b->ring) == BENCH_BATCH);
		bench_check(b, !io_uring_cq_ready(&b->ring));
	}
}

static void watch_loop(struct bench *b, unsigned int ops)
{
	bench_loop(b, ops, BENCH_BATCH, 0, watch_prep);
}

static void watch_syscalls(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		bench_check(b, pread(b->fd[0], b->buf, BENCH_PIECE, 0) == BENCH_PIECE);
}

#define quiet_liburing	watch_loop
#define count_pattern	watch_loop
#define count_liburing	watch_loop
#define quiet_syscalls	watch_syscalls
#define count_syscalls	watch_syscalls

PATTERN_WATCH_ARMS(quiet);
PATTERN_WATCH_ARMS(count);

#define WATCH(id)							\
	"pattern-" #id, .ops = BENCH_OPS, .need = NEED_PATTERN,		\
	.arms = id##_arms, .open = watch_open, .exit = watch_exit

const struct bench_workload bench_pattern_watch_workloads[] = {
	{ WATCH(quiet) },
	{ WATCH(count) },
	{}
};
