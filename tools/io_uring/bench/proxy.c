// SPDX-License-Identifier: GPL-2.0
/*
 * Messages of 64 bytes that come on a socket and go out on another. An
 * operation is one message.
 *
 * All of them have come before a pass begins, and there is room for all of them
 * on the other side. So nobody waits for anybody, which would cost the same
 * wake-ups and switches whatever the arm. All arms receive whole messages
 * (MSG_WAITALL), which a chain of requests cannot do without.
 */
#include "loop.h"

#include <sys/socket.h>

#define ROOM	(16 << 20)

/* the other ends of b->fd[] */
static int peer[2];
static unsigned int got;

static void proxy_open(struct bench *b)
{
	int pair[2], i, room = ROOM;

	for (i = 0; i < 2; i++) {
		bench_check(b, !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
		b->fd[i] = pair[0];
		peer[i] = pair[1];
		bench_check(b, !setsockopt(i ? pair[0] : pair[1], SOL_SOCKET,
					   SO_SNDBUFFORCE, &room, sizeof(room)));
	}
	bench_alloc(b, BENCH_BLOCK);
}

static void proxy_exit(struct bench *b)
{
	close(peer[0]);
	close(peer[1]);
}

static void proxy_before(struct bench *b)
{
	unsigned int message[BENCH_PROXY / sizeof(unsigned int)] = {}, i;

	for (i = 0; i < BENCH_OPS_HEAVY; i++) {
		message[0] = i;
		bench_check(b, send(peer[0], message, sizeof(message), 0) ==
			       sizeof(message));
	}
}

static void proxy_after(struct bench *b)
{
	unsigned int message[BENCH_PROXY / sizeof(unsigned int)], i;

	for (i = 0; i < BENCH_OPS_HEAVY; i++) {
		bench_check(b, recv(peer[1], message, sizeof(message),
				    MSG_DONTWAIT) == sizeof(message));
		bench_check(b, message[0] == i);
	}
}

static void message_recv(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_recv(sqe, b->fd[0], b->buf, BENCH_PROXY, MSG_WAITALL);
}

static void message_send(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_send(sqe, b->fd[1], b->buf, BENCH_PROXY, 0);
}

static void proxy_begin(struct bench *b, unsigned int slot)
{
	got = 0;
}

static void proxy_prep(struct bench *b, unsigned int slot,
		       struct io_uring_sqe *sqe)
{
	if (got) {
		message_send(b, sqe);
		sqe->len = got;
	} else {
		message_recv(b, sqe);
	}
}

static bool proxy_step(struct bench *b, unsigned int slot, int res)
{
	bench_check(b, res > 0);
	if (got) {
		bench_check(b, res == got);
		return false;
	}
	got = res;
	return true;
}

BENCH_STEP_LOOP(proxy)

static void proxy_recv(struct bench *b, unsigned int ops)
{
	ssize_t len;

	for (; ops; ops--) {
		len = recv(b->fd[0], b->buf, BENCH_PROXY, MSG_WAITALL);
		bench_check(b, len > 0 && send(b->fd[1], b->buf, len, 0) == len);
	}
}

/* Three messages in a chain */
static void proxy_link(struct bench *b, unsigned int ops)
{
	struct io_uring_sqe *sqe;
	unsigned int i;

	b->want = BENCH_PROXY;
	for (; ops; ops -= BENCH_LINK / 2) {
		for (i = 0; i < BENCH_LINK / 2; i++) {
			sqe = bench_sqe(b);
			message_recv(b, sqe);
			sqe->flags = IOSQE_IO_LINK;
			sqe = bench_sqe(b);
			message_send(b, sqe);
			if (i + 1 < BENCH_LINK / 2)
				sqe->flags = IOSQE_IO_LINK;
		}
		bench_reap(b, BENCH_LINK);
	}
}

static void proxy_flow(struct bench *b, unsigned int ops)
{
	bench_flow(b, 0, ops, 0, 0, 0);
}

static const struct bench_arm proxy_arms[] = {
	BENCH_SYSCALL(proxy_recv),
	BENCH_LOOP("loop-qd1", proxy_qd1),
	BENCH_LOOP("link", proxy_link),
	BENCH_LOOP_STEP("loop_step-qd1", "proxy_qd1"),
	BENCH_FLOW("flow", "flow_proxy", proxy_flow),
	{}
};

const struct bench_workload bench_proxy_workloads[] = {
	{ "proxy", .ops = BENCH_OPS_HEAVY, .arms = proxy_arms,
	  .open = proxy_open, .prep = message_recv, .prep2 = message_send,
	  .before = proxy_before, .after = proxy_after, .exit = proxy_exit },
	{}
};
