// SPDX-License-Identifier: GPL-2.0
/*
 * What a CQE of a multishot request costs. One receive with provided buffers
 * goes on from pass to pass, and each message is a CQE. An operation is one
 * message, with its share of sending it: 32 of them come at a time, by one call,
 * and the application takes what it finds of them by another.
 *
 * The kernel records such a CQE for a program that watches it or whose flow has
 * issued the request. What that costs is the difference to the arm called loop.
 * Nothing is recorded on a ring whose program runs for flows only (attached),
 * or watches other requests (unwatched).
 */
#include "loop.h"

#include <sys/socket.h>

#define BUFS	(2 * BENCH_BATCH)

static struct io_uring_buf_ring *bufs;
static bool armed;
static unsigned int sent;
static unsigned int received;
static int peer;

static void give(struct bench *b, unsigned int bid, unsigned int nr)
{
	io_uring_buf_ring_add(bufs, b->buf + bid * BENCH_PROXY, BENCH_PROXY,
			      bid, io_uring_buf_ring_mask(BUFS), nr);
}

static void recv_open(struct bench *b)
{
	struct io_uring_buf_reg reg = { .ring_entries = BUFS };
	unsigned int i;
	int pair[2];

	bench_check(b, !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	b->fd[0] = pair[0];
	peer = pair[1];
	b->want = BENCH_PROXY;
	armed = false;
	bench_alloc(b, BUFS * BENCH_PROXY);
	/* the last ring has closed, but may not be gone: it never writes here */
	if (!bufs)
		bufs = aligned_alloc(4096, 4096);
	bench_check(b, bufs);
	memset(bufs, 0, 4096);
	reg.ring_addr = (unsigned long)bufs;
	for (i = 0; i < BUFS; i++)
		give(b, i, i);
	io_uring_buf_ring_advance(bufs, BUFS);
	if (syscall(__NR_io_uring_register, b->ring.ring_fd,
		    IORING_REGISTER_PBUF_RING, &reg, 1))
		bench_die(b, "cannot provide buffers");
}

static void recv_exit(struct bench *b)
{
	close(peer);
}

static void recv_before(struct bench *b)
{
	sent = 0;
	received = 0;
}

static void recv_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_recv(sqe, b->fd[0], NULL, 0, 0);
	sqe->ioprio |= IORING_RECV_MULTISHOT;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 0;
}

static void take(struct bench *b, const struct io_uring_cqe *cqe,
		 unsigned int nr)
{
	unsigned int bid = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

	bench_check(b, cqe->res == b->want);
	bench_check(b, cqe->flags & IORING_CQE_F_MORE);
	bench_check(b, *(unsigned int *)(b->buf + bid * BENCH_PROXY) ==
		       received++);
	give(b, bid, nr);
}

static void send_messages(struct bench *b)
{
	static unsigned int data[BENCH_BATCH][BENCH_PROXY / sizeof(int)];
	unsigned int i;

	for (i = 0; i < BENCH_BATCH; i++)
		data[i][0] = sent++;
	bench_check(b, send(peer, data, sizeof(data), 0) == sizeof(data));
}

/* Takes @ops messages, and gives their buffers back. */
static void recv_messages(struct bench *b, unsigned int ops)
{
	struct io_uring_cqe *cqe;
	unsigned int head, seen;

	for (; ops; ops -= seen) {
		if (received == sent)
			send_messages(b);
		bench_check(b, io_uring_submit_and_wait(&b->ring, 1) >= 0);
		seen = 0;
		io_uring_for_each_cqe(&b->ring, head, cqe)
			take(b, cqe, seen++);
		io_uring_buf_ring_advance(bufs, seen);
		io_uring_cq_advance(&b->ring, seen);
	}
}

static void recv_loop(struct bench *b, unsigned int ops)
{
	if (!armed)
		recv_prep(b, bench_sqe(b));
	armed = true;
	recv_messages(b, ops);
}

static void recv_flow(struct bench *b, unsigned int ops)
{
	if (!armed)
		iou_prep_bpf(bench_sqe(b), 0, 0, 0, 0, 0);
	armed = true;
	recv_messages(b, ops);
}

static const struct bench_arm recv_arms[] = {
	BENCH_LOOP("loop", recv_loop),
	BENCH_FLOW("attached", "flow_recv", recv_loop),
	{ "unwatched", .need = NEED_FLOW, .prog = "flow_watch",
	  .attach_flags = BPF_F_IOURING_MATCH, .opcode = IORING_OP_READ,
	  .init = bench_init_flow, .run = recv_loop },
	{ "watched", .need = NEED_FLOW, .prog = "flow_watch",
	  .attach_flags = BPF_F_IOURING_MATCH,
	  .init = bench_init_flow, .run = recv_loop },
	BENCH_FLOW("flow", "flow_recv", recv_flow),
	{}
};

const struct bench_workload bench_recv_workloads[] = {
	{ "recv-multishot", .ops = BENCH_OPS_HEAVY, .arms = recv_arms,
	  .open = recv_open, .prep = recv_prep, .before = recv_before,
	  .exit = recv_exit },
	{}
};
