// SPDX-License-Identifier: GPL-2.0
/*
 * Patterns that issue requests of the application until something happens
 *
 * first_of: two pipes, of which the second has 64 bytes; the other read is cancelled.
 * deadline: four reads of 64 bytes from a pipe, by a chain, within ten seconds. retry:
 * an empty socket, four times, with pauses of 20 us.
 */
#include "pattern.h"

#include <sys/poll.h>

#define NS_PER_S	1000000000ULL
#define NS_PER_MS	1000000ULL

#define CHAIN		4
#define LIMIT_NS	(10 * NS_PER_S)
#define ATTEMPTS	4
#define PAUSE_NS	20000

/* user_data of what is no read */
#define LIMIT		(-1ULL)
#define CANCEL		(-2ULL)

/* what is written to, for b->fd[] to read from */
static int peer[2];

static void pipes_open(struct bench *b)
{
	int fd[2], i;

	pattern_alloc(b);
	for (i = 0; i < 2; i++) {
		pattern_pipe(b, fd);
		b->fd[i] = fd[0];
		peer[i] = fd[1];
	}
}

static void pipes_exit(struct bench *b)
{
	close(peer[0]);
	close(peer[1]);
}

static void fill(struct bench *b, int fd)
{
	unsigned int i;

	for (i = 0; i < BENCH_OPS_HEAVY; i++)
		bench_check(b, write(fd, pattern_data, BENCH_PIECE) == BENCH_PIECE);
	memset(b->buf + PATTERN_DATA, 0, BENCH_PIECE);
}

static void pipes_after(struct bench *b)
{
	pattern_empty(b, b->fd[0]);
	pattern_empty(b, b->fd[1]);
	bench_check(b, !memcmp(b->buf + PATTERN_DATA, pattern_data, BENCH_PIECE));
}

static void first_of_before(struct bench *b)
{
	fill(b, peer[1]);
}

static __always_inline void prep_pipe(struct bench *b, struct io_uring_sqe *sqe,
				      unsigned int i)
{
	io_uring_prep_read(sqe, b->fd[i], b->buf + PATTERN_DATA + !i * BENCH_PIECE,
			   BENCH_PIECE, 0);
	sqe->user_data = i;
}

static void first_of_pattern(struct bench *b, unsigned int ops)
{
	unsigned int i;

	for (; ops; ops--) {
		for (i = 0; i < 2; i++)
			prep_pipe(b, pattern_array(b) + i, i);
		PATTERN_RUN(b, 1, first_of, 0, 0, 2);
	}
}

/* Takes @nr CQEs. Returns the sum of the results that are no error. */
static __always_inline int reap_some(struct bench *b, unsigned int nr)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen = 0;
	int sum = 0;

	io_uring_submit_and_wait(&b->ring, nr);
	io_uring_for_each_cqe(&b->ring, head, cqe) {
		bench_check(b, cqe->res >= 0 || cqe->res == -ECANCELED);
		if (cqe->res > 0)
			sum += cqe->res;
		seen++;
	}
	bench_check(b, seen == nr);
	io_uring_cq_advance(&b->ring, seen);
	return sum;
}

static void first_of_liburing(struct bench *b, unsigned int ops)
{
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (; ops; ops--) {
		for (i = 0; i < 2; i++)
			prep_pipe(b, bench_sqe(b), i);
		bench_check(b, reap_some(b, 1) == BENCH_PIECE);
		sqe = bench_sqe(b);
		io_uring_prep_cancel64(sqe, 0, 0);
		sqe->user_data = CANCEL;
		bench_check(b, !reap_some(b, 2));
	}
}

static void first_of_syscalls(struct bench *b, unsigned int ops)
{
	struct pollfd pfd[2] = { { b->fd[0], POLLIN }, { b->fd[1], POLLIN } };

	for (; ops; ops--) {
		bench_check(b, poll(pfd, 2, -1) == 1 && pfd[1].revents);
		bench_check(b, read(b->fd[1], b->buf + PATTERN_DATA, BENCH_PIECE) ==
			       BENCH_PIECE);
	}
}

static void deadline_before(struct bench *b)
{
	fill(b, peer[0]);
}

static void deadline_pattern(struct bench *b, unsigned int ops)
{
	unsigned int i;

	for (; ops; ops--) {
		for (i = 0; i < CHAIN; i++)
			pattern_prep_read(b, pattern_array(b) + i, i);
		PATTERN_RUN(b, BENCH_PIECE, deadline, 0, 0, CHAIN, LIMIT_NS);
	}
}

/* A linked timeout would limit one request. This one is cancelled at the end. */
static void deadline_liburing(struct bench *b, unsigned int ops)
{
	struct __kernel_timespec ts = { .tv_sec = LIMIT_NS / NS_PER_S };
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (; ops; ops--) {
		sqe = bench_sqe(b);
		io_uring_prep_timeout(sqe, &ts, 0, 0);
		sqe->user_data = LIMIT;
		for (i = 0; i < CHAIN; i++) {
			sqe = bench_sqe(b);
			pattern_prep_read(b, sqe, i);
			if (i + 1 < CHAIN)
				sqe->flags |= IOSQE_IO_LINK;
		}
		bench_check(b, reap_some(b, CHAIN) == CHAIN * BENCH_PIECE);
		sqe = bench_sqe(b);
		io_uring_prep_timeout_remove(sqe, LIMIT, 0);
		sqe->user_data = CANCEL;
		bench_check(b, !reap_some(b, 2));
	}
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void deadline_syscalls(struct bench *b, unsigned int ops)
{
	struct pollfd pfd = { b->fd[0], POLLIN };
	unsigned int i;
	__u64 end;

	for (; ops; ops--) {
		end = now_ns() + LIMIT_NS;
		for (i = 0; i < CHAIN; i++) {
			bench_check(b, poll(&pfd, 1, (end - now_ns()) / NS_PER_MS) == 1);
			bench_check(b, read(b->fd[0], b->buf + PATTERN_DATA + i * BENCH_PIECE,
					    BENCH_PIECE) == BENCH_PIECE);
		}
	}
}

static void retry_open(struct bench *b)
{
	pattern_alloc(b);
	pattern_connect(b, peer);
}

static __always_inline void prep_attempt(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_recv(sqe, b->fd[0], b->buf + PATTERN_DATA, BENCH_PIECE, MSG_DONTWAIT);
}

static void retry_pattern(struct bench *b, unsigned int ops)
{
	for (; ops; ops--) {
		prep_attempt(b, pattern_array(b));
		PATTERN_RUN(b, -EAGAIN, retry, 0, 0, ATTEMPTS, PAUSE_NS, 0);
	}
}

static void retry_liburing(struct bench *b, unsigned int ops)
{
	struct __kernel_timespec ts = { .tv_nsec = PAUSE_NS };
	unsigned int i;

	for (; ops; ops--) {
		for (i = 0; i < ATTEMPTS; i++) {
			if (i) {
				io_uring_prep_timeout(bench_sqe(b), &ts, 0, 0);
				pattern_reap(b, 1, 1, -ETIME);
			}
			prep_attempt(b, bench_sqe(b));
			pattern_reap(b, 1, 1, -EAGAIN);
		}
	}
}

static void retry_syscalls(struct bench *b, unsigned int ops)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	unsigned int i;

	for (; ops; ops--) {
		for (i = 0; i < ATTEMPTS; i++) {
			if (i)
				bench_check(b, !nanosleep(&pause, NULL));
			bench_check(b, recv(b->fd[0], b->buf + PATTERN_DATA, BENCH_PIECE,
					    MSG_DONTWAIT) < 0 && errno == EAGAIN);
		}
	}
}

PATTERN_ARMS(first_of);
PATTERN_ARMS(deadline);
PATTERN_ARMS(retry);

#define PIPES(id, _ops)							\
	"pattern-" #id, .ops = _ops, .need = NEED_PATTERN,		\
	.arms = id##_arms, .open = pipes_open, .before = id##_before,	\
	.after = pipes_after, .exit = pipes_exit

const struct bench_workload bench_pattern_limit_workloads[] = {
	{ PIPES(first_of, BENCH_OPS_HEAVY) },
	{ PIPES(deadline, BENCH_OPS_HEAVY / CHAIN) },
	{ "pattern-retry", .ops = BENCH_OPS_HEAVY / ATTEMPTS,
	  .need = NEED_PATTERN, .arms = retry_arms,
	  .open = retry_open, .exit = pipes_exit },
	{}
};
