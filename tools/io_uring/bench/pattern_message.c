// SPDX-License-Identifier: GPL-2.0
/*
 * Patterns for messages that do not arrive at once
 *
 * read_full, drain, finish: a message in 8 packets of 64 bytes, from a pipe. drain
 * waits for the pipe first. finish is behind a read in a chain, and before a write of
 * the message. whole watches the only read of the application. recv_msg: 4 bytes with the length, and a message of 60 bytes, from
 * a socket.
 */
#include "pattern.h"

#include <arpa/inet.h>
#include <sys/poll.h>
#include <sys/uio.h>

#define MESSAGES	(BENCH_OPS_HEAVY * BENCH_PIECE / BENCH_MESSAGE)

/* where the other side writes, and where it reads */
static int peer[2];

static void packets_open(struct bench *b)
{
	int fd[2];

	pattern_alloc(b);
	pattern_pipe(b, fd);
	b->fd[0] = fd[0];
	peer[0] = fd[1];
	pattern_sockets(b, fd);
	b->fd[1] = fd[0];
	peer[1] = fd[1];
}

static void packets_exit(struct bench *b)
{
	close(peer[0]);
	close(peer[1]);
}

static void packets_before(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < BENCH_OPS_HEAVY; i++)
		bench_check(b, write(peer[0], pattern_data +
				     i * BENCH_PIECE % BENCH_MESSAGE,
				     BENCH_PIECE) == BENCH_PIECE);
	memset(b->buf, 0, BENCH_MESSAGE);
}

static void packets_after(struct bench *b)
{
	bench_check(b, !memcmp(b->buf, pattern_data, BENCH_MESSAGE));
	pattern_empty(b, b->fd[0]);
}

static void read_full_pattern(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		PATTERN_RUN(b, BENCH_MESSAGE, read_full, b->fd[0], b->buf,
			    BENCH_MESSAGE, 0);
}

static __always_inline void read_rest(struct bench *b, int rw_flags)
{
	struct io_uring_sqe *sqe;
	int got, res;

	for (got = 0; got < BENCH_MESSAGE; got += res) {
		sqe = bench_sqe(b);
		io_uring_prep_read(sqe, b->fd[0], b->buf + got,
				   BENCH_MESSAGE - got, 0);
		sqe->rw_flags = rw_flags;
		res = pattern_do(b);
		bench_check(b, res > 0);
	}
}

static void read_full_liburing(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		read_rest(b, 0);
}

static void read_full_syscalls(struct bench *b, unsigned int ops)
{
	int got, res;

	for (; ops; ops--) {
		for (got = 0; got < BENCH_MESSAGE; got += res) {
			res = read(b->fd[0], b->buf + got, BENCH_MESSAGE - got);
			bench_check(b, res > 0);
		}
	}
}

static void drain_pattern(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		PATTERN_RUN(b, BENCH_MESSAGE, drain, b->fd[0], b->buf,
			    BENCH_MESSAGE, 0);
}

static void drain_liburing(struct bench *b, unsigned int ops)
{
	for (; ops; ops--) {
		io_uring_prep_poll_add(bench_sqe(b), b->fd[0], POLLIN);
		bench_check(b, pattern_do(b) & POLLIN);
		read_rest(b, RWF_NOWAIT);
	}
}

static void drain_syscalls(struct bench *b, unsigned int ops)
{
	struct pollfd pfd = { .fd = b->fd[0], .events = POLLIN };
	struct iovec iov;
	int got, res;

	for (; ops; ops--) {
		bench_check(b, poll(&pfd, 1, -1) == 1);
		for (got = 0; got < BENCH_MESSAGE; got += res) {
			iov.iov_base = b->buf + got;
			iov.iov_len = BENCH_MESSAGE - got;
			res = preadv2(b->fd[0], &iov, 1, -1, RWF_NOWAIT);
			bench_check(b, res > 0);
		}
	}
}

static void finish_after(struct bench *b)
{
	unsigned int i;

	packets_after(b);
	for (i = 0; i < MESSAGES; i++)
		pattern_recv(b, peer[1], BENCH_MESSAGE);
	pattern_empty(b, peer[1]);
}

/* The read has no CQE. */
static void finish_pattern(struct bench *b, unsigned int ops)
{
	struct io_uring_sqe *sqe;

	for (; ops; ops--) {
		sqe = bench_sqe(b);
		io_uring_prep_read(sqe, b->fd[0], b->buf, BENCH_MESSAGE, 0);
		sqe->flags |= IOSQE_IO_LINK;
		sqe = bench_sqe(b);
		iou_prep_finish(sqe, 0, b->fd[0], 0);
		sqe->flags |= IOSQE_IO_LINK;
		sqe = bench_sqe(b);
		io_uring_prep_write(sqe, b->fd[1], b->buf, BENCH_MESSAGE, 0);
		pattern_reap(b, 3, 2, BENCH_MESSAGE);
	}
}

static void finish_liburing(struct bench *b, unsigned int ops)
{
	for (; ops; ops--) {
		read_rest(b, 0);
		io_uring_prep_write(bench_sqe(b), b->fd[1], b->buf,
				    BENCH_MESSAGE, 0);
		pattern_reap(b, 1, 1, BENCH_MESSAGE);
	}
}

static void finish_syscalls(struct bench *b, unsigned int ops)
{
	for (; ops; ops--) {
		read_full_syscalls(b, 1);
		bench_check(b, write(b->fd[1], b->buf, BENCH_MESSAGE) ==
			       BENCH_MESSAGE);
	}
}

static void whole_pattern(struct bench *b, unsigned int ops)
{
	for (; ops; ops--) {
		io_uring_prep_read(bench_sqe(b), b->fd[0], b->buf, BENCH_MESSAGE, 0);
		pattern_reap(b, 1, 1, BENCH_MESSAGE);
	}
}

#define whole_liburing	read_full_liburing
#define whole_syscalls	read_full_syscalls

static void recv_msg_open(struct bench *b)
{
	pattern_alloc(b);
	*(__u32 *)pattern_data = htonl(BENCH_PIECE - sizeof(__u32));
	pattern_connect(b, peer);
}

static void recv_msg_before(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < BENCH_OPS_HEAVY; i++)
		pattern_send(b, peer[0], BENCH_PIECE);
	memset(b->buf, 0, BENCH_PIECE);
}

static void recv_msg_after(struct bench *b)
{
	bench_check(b, !memcmp(b->buf, pattern_data, BENCH_PIECE));
	pattern_empty(b, b->fd[0]);
}

static void recv_msg_pattern(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		PATTERN_RUN(b, BENCH_PIECE, recv_msg, b->fd[0], b->buf,
			    PATTERN_BUF, sizeof(__u32), 0, 0, 0);
}

static void recv_msg_liburing(struct bench *b, unsigned int ops)
{
	int len;

	for (; ops; ops--) {
		io_uring_prep_recv(bench_sqe(b), b->fd[0], b->buf,
				   sizeof(__u32), MSG_WAITALL);
		pattern_reap(b, 1, 1, sizeof(__u32));
		len = ntohl(*(__u32 *)b->buf);
		bench_check(b, len <= PATTERN_BUF - sizeof(__u32));
		io_uring_prep_recv(bench_sqe(b), b->fd[0],
				   b->buf + sizeof(__u32), len, MSG_WAITALL);
		pattern_reap(b, 1, 1, len);
	}
}

static void recv_msg_syscalls(struct bench *b, unsigned int ops)
{
	int len;

	for (; ops; ops--) {
		bench_check(b, recv(b->fd[0], b->buf, sizeof(__u32),
				    MSG_WAITALL) == sizeof(__u32));
		len = ntohl(*(__u32 *)b->buf);
		bench_check(b, len <= PATTERN_BUF - sizeof(__u32));
		bench_check(b, recv(b->fd[0], b->buf + sizeof(__u32), len,
				    MSG_WAITALL) == len);
	}
}

PATTERN_ARMS(read_full);
PATTERN_ARMS(drain);
PATTERN_ARMS(finish);
PATTERN_WATCH_ARMS(whole);
PATTERN_ARMS(recv_msg);

#define PACKETS(id)							\
	"pattern-" #id, .ops = MESSAGES, .need = NEED_PATTERN,		\
	.arms = id##_arms, .open = packets_open,			\
	.before = packets_before, .exit = packets_exit

const struct bench_workload bench_pattern_message_workloads[] = {
	{ PACKETS(read_full), .after = packets_after },
	{ PACKETS(drain), .after = packets_after },
	{ PACKETS(finish), .after = finish_after },
	{ PACKETS(whole), .after = packets_after },
	{ "pattern-recv_msg", .ops = BENCH_OPS_HEAVY, .need = NEED_PATTERN,
	  .arms = recv_msg_arms, .open = recv_msg_open,
	  .before = recv_msg_before, .after = recv_msg_after,
	  .exit = packets_exit },
	{}
};
