/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Patterns, and the same without them
 *
 * "pattern" prepares a flow as users do, by the header for them. "liburing" submits
 * one request at a time where each depends on the result of the one before, and
 * otherwise a chain, or all at once. "syscalls" does the same by plain system calls.
 * A program that watches has the same ring without it for comparison.
 *
 * Data is there before it is waited for, and there is room for what is sent: wake-ups
 * would cost the same whatever the arm.
 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include "loop.h"

#include <iou/patterns.h>
#include <sys/socket.h>

#define PATTERN_BUF	(64 * 1024)
/* where data begins in it, behind the application's SQEs for the patterns of those */
#define PATTERN_DATA	4096

/* pattern.c */
extern __u8 pattern_data[PATTERN_BUF];

void bench_init_pattern(struct bench *b);
void pattern_alloc(struct bench *b);
void pattern_file(struct bench *b, unsigned int i);
void pattern_pipe(struct bench *b, int fd[2]);
void pattern_sockets(struct bench *b, int fd[2]);
void pattern_connect(struct bench *b, int peer[2]);
void pattern_send(struct bench *b, int fd, size_t len);
void pattern_recv(struct bench *b, int fd, size_t len);
void pattern_empty(struct bench *b, int fd);

static __always_inline struct io_uring_sqe *pattern_array(struct bench *b)
{
	return (struct io_uring_sqe *)b->buf;
}

/* Reads what is the @i-th piece of the data. */
static __always_inline void pattern_prep_read(struct bench *b,
					      struct io_uring_sqe *sqe,
					      unsigned int i)
{
	io_uring_prep_read(sqe, b->fd[0], b->buf + PATTERN_DATA + i * BENCH_PIECE,
			   BENCH_PIECE, 0);
}

/*
 * Submits @nr requests and takes @nr_cqes results, each of which is @res. A timeout that
 * expires ends the wait, at times before its CQE is posted.
 */
static __always_inline void pattern_reap(struct bench *b, unsigned int nr,
					 unsigned int nr_cqes, int res)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;

	bench_check(b, io_uring_submit_and_wait(&b->ring, nr_cqes) == nr);
	while (io_uring_cq_ready(&b->ring) < nr_cqes)
		bench_check(b, !io_uring_submit_and_wait(&b->ring, nr_cqes));
	io_uring_for_each_cqe(&b->ring, head, cqe) {
		bench_check(b, cqe->res == res);
		seen++;
	}
	bench_check(b, seen == nr_cqes);
	io_uring_cq_advance(&b->ring, seen);
}

/* Submits one request. Returns its result. */
static __always_inline int pattern_do(struct bench *b)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;
	int res = 0;

	bench_check(b, io_uring_submit_and_wait(&b->ring, 1) == 1);
	io_uring_for_each_cqe(&b->ring, head, cqe) {
		res = cqe->res;
		seen++;
	}
	bench_check(b, seen == 1);
	io_uring_cq_advance(&b->ring, 1);
	return res;
}

/* Runs a flow that iou_prep_@name() prepares. */
#define PATTERN_RUN(b, res, name, ...) do {				\
	struct bench *__b = b;						\
									\
	iou_prep_##name(bench_sqe(__b), 0, __VA_ARGS__);		\
	pattern_reap(__b, 1, 1, res);					\
} while (0)

#define __PATTERN_ARMS(id, _flags)					\
static const struct bench_arm id##_arms[] = {				\
	{ "pattern", .prog = #id, .attach_flags = _flags,		\
	  .init = bench_init_pattern, .run = id##_pattern },		\
	{ "liburing", .init = bench_init_loop, .run = id##_liburing },	\
	{ "syscalls", .init = bench_init_syscall, .run = id##_syscalls },\
	{}								\
}

#define PATTERN_ARMS(id)	__PATTERN_ARMS(id, 0)
#define PATTERN_WATCH_ARMS(id)	__PATTERN_ARMS(id, BPF_F_IOURING_MATCH)

#endif
