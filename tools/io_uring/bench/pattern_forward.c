// SPDX-License-Identifier: GPL-2.0
/*
 * The pattern forward: a connection with 4 KiB in each direction, of which each receive
 * takes 512 bytes, and the end of both directions. An operation is one connection.
 *
 * A direction goes on when its request completes. System calls have to ask which one is
 * ready, because a receive would wait.
 */
#include "pattern.h"

#include <sys/poll.h>

#define CONNECTIONS	120
#define DIRECTION	4096
#define SEGMENT		512

/* of each connection: our two sockets, and what they are connected to */
static int conn[CONNECTIONS][4];
static unsigned int next;

/* one of two directions */
struct side {
	int	from;
	int	to;
	__u8	*buf;
	int	len;
	int	sent;
};

static void forward_open(struct bench *b)
{
	pattern_alloc(b);
}

static void forward_before(struct bench *b)
{
	unsigned int i, j;
	int fd[2];

	for (i = 0; i < CONNECTIONS; i++) {
		for (j = 0; j < 2; j++) {
			pattern_sockets(b, fd);
			conn[i][j] = fd[0];
			conn[i][2 + j] = fd[1];
			pattern_send(b, fd[1], DIRECTION);
			bench_check(b, !shutdown(fd[1], SHUT_WR));
		}
	}
	next = 0;
}

/* All has arrived, and then the end. */
static void forward_after(struct bench *b)
{
	unsigned int i, j;
	char byte;

	for (i = 0; i < CONNECTIONS; i++) {
		for (j = 2; j < 4; j++) {
			pattern_recv(b, conn[i][j], DIRECTION);
			bench_check(b, !recv(conn[i][j], &byte, 1, MSG_DONTWAIT));
		}
		for (j = 0; j < 4; j++)
			close(conn[i][j]);
	}
}

static void forward_pattern(struct bench *b, unsigned int ops)
{
	for (; ops; ops--, next++)
		PATTERN_RUN(b, 0, forward, conn[next][0], conn[next][1], b->buf,
			    SEGMENT, 0);
}

static __always_inline void sides_init(struct bench *b, struct side *sides)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		sides[i] = (struct side) {
			.from	= conn[next][i],
			.to	= conn[next][!i],
			.buf	= b->buf + i * SEGMENT,
		};
	next++;
}

static __always_inline void side_prep(struct bench *b, struct side *side,
				      unsigned int i)
{
	struct io_uring_sqe *sqe = bench_sqe(b);

	if (side->sent < side->len)
		io_uring_prep_send(sqe, side->to, side->buf + side->sent,
				   side->len - side->sent, 0);
	else
		io_uring_prep_recv(sqe, side->from, side->buf, SEGMENT, 0);
	sqe->user_data = i;
}

/* Prepares what comes next. Returns how many requests that is. */
static __always_inline unsigned int side_step(struct bench *b, struct side *side,
					      unsigned int i, int res)
{
	struct io_uring_sqe *sqe;

	bench_check(b, res >= 0);
	if (side->to < 0)
		return 0;
	if (side->sent < side->len) {
		side->sent += res;
	} else {
		side->len = res;
		side->sent = 0;
	}
	if (side->len) {
		side_prep(b, side, i);
		return 1;
	}
	sqe = bench_sqe(b);
	io_uring_prep_shutdown(sqe, side->to, SHUT_WR);
	sqe->user_data = i;
	side->to = -1;
	return 1;
}

static void forward_liburing(struct bench *b, unsigned int ops)
{
	unsigned int i, head, seen, flying;
	struct io_uring_cqe *cqe;
	struct side sides[2];

	for (; ops; ops--) {
		sides_init(b, sides);
		for (i = 0; i < 2; i++)
			side_prep(b, &sides[i], i);
		for (flying = 2; flying; ) {
			bench_check(b, io_uring_submit_and_wait(&b->ring, 1) >= 0);
			seen = 0;
			io_uring_for_each_cqe(&b->ring, head, cqe) {
				i = cqe->user_data;
				flying += side_step(b, &sides[i], i, cqe->res);
				seen++;
			}
			io_uring_cq_advance(&b->ring, seen);
			flying -= seen;
		}
	}
}

/* A descriptor that has ended is -1, which poll() doesn't look at. */
static __always_inline bool side_pass(struct bench *b, struct side *side,
				      struct pollfd *pfd)
{
	side->len = recv(side->from, side->buf, SEGMENT, 0);
	bench_check(b, side->len >= 0);
	if (side->len) {
		bench_check(b, send(side->to, side->buf, side->len, 0) == side->len);
		return true;
	}
	bench_check(b, !shutdown(side->to, SHUT_WR));
	pfd->fd = -1;
	return false;
}

static void forward_syscalls(struct bench *b, unsigned int ops)
{
	struct side sides[2];
	struct pollfd pfd[2];
	unsigned int i, open;

	for (; ops; ops--) {
		sides_init(b, sides);
		for (i = 0; i < 2; i++)
			pfd[i] = (struct pollfd) { sides[i].from, POLLIN };
		for (open = 2; open; ) {
			bench_check(b, poll(pfd, 2, -1) > 0);
			for (i = 0; i < 2; i++) {
				if (pfd[i].revents && !side_pass(b, &sides[i], &pfd[i]))
					open--;
			}
		}
	}
}

PATTERN_ARMS(forward);

const struct bench_workload bench_pattern_forward_workloads[] = {
	{ "pattern-forward", .ops = CONNECTIONS, .need = NEED_PATTERN,
	  .arms = forward_arms, .open = forward_open,
	  .before = forward_before, .after = forward_after },
	{}
};
