// SPDX-License-Identifier: GPL-2.0
/* A flow that receives into provided buffers with one request */
#include "aux.h"

#define GROUP		5
#define NR_BUFS		4
#define BUF_LEN		16
/* address of the first buffer, the others follow */
#define BUF_ID		20

#define BUF_CFLAGS(n)	(IORING_CQE_F_BUFFER |				\
			 (BUF_ID + (n)) << IORING_CQE_BUFFER_SHIFT)
#define AUX_CFLAGS(n)	(BUF_CFLAGS(n) | IORING_CQE_F_MORE)

static struct io_uring_buf_ring *buf_ring;
static char bufs[NR_BUFS][BUF_LEN];

static void give(FIXTURE_DATA(aux) *self, int n)
{
	io_uring_buf_ring_add(buf_ring, bufs[n], BUF_LEN, BUF_ID + n,
			      io_uring_buf_ring_mask(NR_BUFS), 0);
	io_uring_buf_ring_advance(buf_ring, 1);
}

static int provide(FIXTURE_DATA(aux) *self, int nr)
{
	struct io_uring_buf_reg reg = { .ring_entries = NR_BUFS, .bgid = GROUP };

	if (posix_memalign((void **)&buf_ring, 4096, 4096))
		return -ENOMEM;
	memset(buf_ring, 0, 4096);
	io_uring_buf_ring_init(buf_ring);
	reg.ring_addr = (unsigned long)buf_ring;
	for (int i = 0; i < nr; i++)
		give(self, i);
	return iou_register(&self->ring, IORING_REGISTER_PBUF_RING, &reg, 1);
}

static void prep_recv(FIXTURE_DATA(aux) *self, __u8 opcode)
{
	struct io_uring_sqe *sqe = aux_sqe(self, 0, CHILD);

	sqe->opcode = opcode;
	sqe->fd = self->pair[0];
	sqe->ioprio = IORING_RECV_MULTISHOT;
	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
}

static bool send_to(FIXTURE_DATA(aux) *self, const char *msg)
{
	return write(self->pair[1], msg, strlen(msg)) == strlen(msg);
}

/* Only the CQE has the id of the buffer. */
TEST_F(aux, buffer_id)
{
	prep_recv(self, IORING_OP_RECV);
	ASSERT_EQ(0, provide(self, NR_BUFS));
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		aux_step(self, 1 + i)->verdict = i;
		/* the program cannot change the id */
		aux_step(self, 1 + i)->change = i == BPF_IO_URING_DROP;
	}
	aux_start();
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		ASSERT_TRUE(send_to(self, "data"));
		ASSERT_TRUE(aux_until(self, 2 + i));
		ASSERT_AUX(1 + i, IORING_OP_RECV, 4);
		ASSERT_EQ(AUX_CFLAGS(i), aux_event(self, 1 + i)->cflags);
		if (i == BPF_IO_URING_DROP)
			ASSERT_CQE_FLAGS(&self->ring, CHILD, 4, BUF_CFLAGS(i));
		else if (i != BPF_IO_URING_DROP_BUF)
			ASSERT_CQE_FLAGS(&self->ring, CHILD, 4, AUX_CFLAGS(i));
		ASSERT_EQ(0, memcmp(bufs[i], "data", 4));
	}
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
}

/*
 * The program manages the buffers that it takes over, and the flow continues.
 */
TEST_F(aux, provided_buffer)
{
	prep_recv(self, IORING_OP_RECV);
	ASSERT_EQ(0, provide(self, NR_BUFS));
	self->skel->bss->verdict = BPF_IO_URING_DROP_BUF;
	aux_start();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < NR_BUFS; i++) {
			int n = round * NR_BUFS + i;

			ASSERT_TRUE(send_to(self, "data"));
			ASSERT_TRUE(aux_until(self, 2 + n));
			ASSERT_EQ(1 + n, self->skel->bss->nr_bufs);
			ASSERT_EQ(BUF_ID + i, self->skel->bss->buf_ids[n]);
		}
		for (int i = 0; i < NR_BUFS; i++)
			give(self, i);
	}
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
	ASSERT_EQ(2 * NR_BUFS * 4, self->skel->bss->sum);
}

/* The request ends when the buffers are used up, and is issued again later. */
TEST_F(aux, recv_out_of_buffers)
{
	prep_recv(self, IORING_OP_RECV);
	self->skel->bss->sqes[1] = self->skel->bss->sqes[0];
	ASSERT_EQ(0, provide(self, 1));
	self->skel->bss->verdict = BPF_IO_URING_DROP_BUF;
	/* a read of the pipe gives the test time to provide a buffer */
	aux_step(self, 2)->issue = 2;
	aux_step(self, 3)->issue = 1;
	iou_prep_read(aux_sqe(self, 2, 0), self->pipe[0], bufs[3], 1, 0, OTHER);
	aux_start();
	ASSERT_TRUE(send_to(self, "1234567890123456abcd"));
	ASSERT_TRUE(aux_until(self, 3));
	ASSERT_AUX(1, IORING_OP_RECV, BUF_LEN);
	ASSERT_LAST(2, -ENOBUFS);

	give(self, 1);
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_TRUE(aux_until(self, 5));
	ASSERT_AUX(4, IORING_OP_RECV, 4);
	ASSERT_EQ(0, memcmp(bufs[1], "abcd", 4));
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
}

TEST_F(aux, recv_end_of_file)
{
	prep_recv(self, IORING_OP_RECV);
	ASSERT_EQ(0, provide(self, NR_BUFS));
	self->skel->bss->verdict = BPF_IO_URING_DROP_BUF;
	aux_start();
	ASSERT_TRUE(send_to(self, "data"));
	ASSERT_TRUE(aux_until(self, 2));
	ASSERT_EQ(0, shutdown(self->pair[1], SHUT_RDWR));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, aux_nr_events(self));
	ASSERT_LAST(2, 0);
}

/* Several buffers in one bundle */
TEST_F(aux, recv_bundle)
{
	prep_recv(self, IORING_OP_RECV);
	self->skel->bss->sqes[0].ioprio |= IORING_RECVSEND_BUNDLE;
	ASSERT_EQ(0, provide(self, NR_BUFS));
	ASSERT_TRUE(send_to(self, "1234567890123456abcd"));
	self->skel->bss->verdict = BPF_IO_URING_DROP_BUF;
	aux_start();
	ASSERT_TRUE(aux_until(self, 2));
	ASSERT_AUX(1, IORING_OP_RECV, 20);
	ASSERT_EQ(AUX_CFLAGS(0), aux_event(self, 1)->cflags & ~IORING_CQE_F_SOCK_NONEMPTY);
	ASSERT_EQ(0, memcmp(bufs[1], "abcd", 4));
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
}

/* The application gets the buffers that an ending flow does not take. */
TEST_F(aux, recv_ends_flow)
{
	struct io_uring_cqe cqes[2], *cqe;

	prep_recv(self, IORING_OP_RECV);
	ASSERT_EQ(0, provide(self, NR_BUFS));
	ASSERT_TRUE(send_to(self, "1234567890123456abcd"));
	aux_step(self, 1)->verdict = BPF_IO_URING_DROP_BUF;
	aux_step(self, 1)->end = 3;
	aux_start();
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, 3);
	ASSERT_HAS_CQE(cqes, 2, CHILD, 4);
	cqe = iou_find_cqe(cqes, 2, CHILD);
	ASSERT_EQ(BUF_CFLAGS(1), cqe->flags);
	ASSERT_EQ(0, memcmp(bufs[1], "abcd", 4));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, aux_nr_events(self));
}

/* No overflowed CQE is lost: each message has one. */
TEST_F(aux, recv_overflow)
{
	struct pollfd pfd = { .fd = self->pair[0], .events = POLLIN };
	const int nr = 4;

	io_uring_queue_exit(&self->ring);
	ASSERT_EQ(0, iou_ring_init_size(&self->ring, variant->setup, 2, 2));
	prep_recv(self, IORING_OP_RECV);
	ASSERT_EQ(0, provide(self, NR_BUFS));
	self->skel->bss->verdict = BPF_IO_URING_POST;
	aux_start();
	for (int i = 0; i < nr; i++) {
		ASSERT_TRUE(send_to(self, "data"));
		ASSERT_TRUE(aux_until(self, i < 3 ? 2 + i : nr));
	}
	/*
	 * the third one waits for room, so the fourth one is the last, and
	 * waits as well
	 */
	ASSERT_TRUE(iou_until(&self->ring, !poll(&pfd, 1, 0)));
	ASSERT_EQ(nr, aux_nr_events(self));
	ASSERT_AUX(3, IORING_OP_RECV, 4);
	for (int i = 0; i < nr; i++)
		ASSERT_CQE_FLAGS(&self->ring, CHILD, 4,
				 i < 3 ? AUX_CFLAGS(i) : BUF_CFLAGS(i));
	ASSERT_LAST(4, 4);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* Forward received data by requests that are staged in between. */
TEST_F(aux, recv_and_send)
{
	char msg[NR_BUFS * BUF_LEN + 1] = {}, got[sizeof(msg)] = {};

	for (int i = 0; i < NR_BUFS * BUF_LEN; i++)
		msg[i] = 'A' + i % 26;
	prep_recv(self, IORING_OP_RECV);
	ASSERT_EQ(0, provide(self, NR_BUFS));
	self->skel->bss->verdict = BPF_IO_URING_DROP_BUF;
	for (int i = 0; i < NR_BUFS; i++) {
		iou_prep_write(aux_sqe(self, 1 + i, 0), self->pipe[1], bufs[i],
			       BUF_LEN, 0, OTHER + i);
		aux_step(self, 1 + i)->issue = 1 + i;
	}
	ASSERT_TRUE(send_to(self, msg));
	aux_start();
	ASSERT_TRUE(aux_until(self, 1 + 2 * NR_BUFS));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(NR_BUFS * BUF_LEN, read(self->pipe[0], got, sizeof(got)));
	ASSERT_STREQ(msg, got);
	aux_cancel_flow();
}

/* A bundle continues until no data is left, and cannot be reissued. */
TEST_F(aux, send_bundle)
{
	struct io_uring_sqe *sqe = aux_sqe(self, 0, CHILD);
	char got[8] = {};

	sqe->opcode = IORING_OP_SEND;
	sqe->fd = self->pair[0];
	sqe->addr = (unsigned long)"data";
	sqe->len = 4;
	sqe->ioprio = IORING_RECVSEND_BUNDLE;
	aux_step(self, 1)->again = 1;
	aux_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, aux_nr_events(self));
	ASSERT_AUX(1, IORING_OP_SEND, 4);
	ASSERT_EQ(-EOPNOTSUPP, self->skel->bss->again_ret);
	ASSERT_LAST(2, 0);
	ASSERT_EQ(4, recv(self->pair[1], got, sizeof(got), MSG_DONTWAIT));
}

TEST_F(aux, recvmsg)
{
	const size_t hdr = sizeof(struct io_uring_recvmsg_out);
	struct io_uring_buf_reg reg = { .ring_entries = 1, .bgid = GROUP };
	struct msghdr msg = {};
	char buf[64] = {};

	prep_recv(self, IORING_OP_RECVMSG);
	self->skel->bss->sqes[0].addr = (unsigned long)&msg;
	self->skel->bss->sqes[0].len = 1;
	ASSERT_EQ(0, posix_memalign((void **)&buf_ring, 4096, 4096));
	memset(buf_ring, 0, 4096);
	reg.ring_addr = (unsigned long)buf_ring;
	ASSERT_EQ(0, iou_register(&self->ring, IORING_REGISTER_PBUF_RING, &reg,
				  1));
	io_uring_buf_ring_add(buf_ring, buf, sizeof(buf), BUF_ID, 0, 0);
	io_uring_buf_ring_advance(buf_ring, 1);
	self->skel->bss->verdict = BPF_IO_URING_DROP_BUF;
	aux_start();
	ASSERT_TRUE(send_to(self, "data"));
	ASSERT_TRUE(aux_until(self, 2));
	ASSERT_AUX(1, IORING_OP_RECVMSG, hdr + 4);
	ASSERT_EQ(AUX_CFLAGS(0), aux_event(self, 1)->cflags);
	ASSERT_EQ(0, memcmp(buf + hdr, "data", 4));
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
}

TEST_F(aux, read_multishot)
{
	struct io_uring_sqe *sqe = aux_sqe(self, 0, CHILD);

	sqe->opcode = IORING_OP_READ_MULTISHOT;
	sqe->fd = self->pipe[0];
	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	ASSERT_EQ(0, provide(self, NR_BUFS));
	self->skel->bss->verdict = BPF_IO_URING_DROP_BUF;
	aux_start();
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(4, write(self->pipe[1], "data", 4));
		ASSERT_TRUE(aux_until(self, 2 + i));
		ASSERT_AUX(1 + i, IORING_OP_READ_MULTISHOT, 4);
		ASSERT_EQ(AUX_CFLAGS(i), aux_event(self, 1 + i)->cflags);
	}
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
}

TEST_HARNESS_MAIN
