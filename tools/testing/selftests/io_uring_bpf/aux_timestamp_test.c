// SPDX-License-Identifier: GPL-2.0
/* Timestamps of a socket: a command posts CQEs of 32 bytes and continues. */
#include <linux/net_tstamp.h>

#include "aux.h"
#include "loopback.h"

/* Return a datagram socket on which each packet that is sent gets a timestamp. */
static int stamped_socket(void)
{
	const unsigned int how = SOF_TIMESTAMPING_TX_SOFTWARE |
				 SOF_TIMESTAMPING_SOFTWARE |
				 SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
	struct sockaddr_in addr = {
		.sin_family	= AF_INET,
		.sin_addr	= { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(addr);

	if (fd < 0 || loopback_up(fd) || bind(fd, (void *)&addr, len) ||
	    getsockname(fd, (void *)&addr, &len) || connect(fd, (void *)&addr, len) ||
	    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &how, sizeof(how)))
		return -1;
	return fd;
}

static void prep_timestamp(FIXTURE_DATA(aux) *self, int fd)
{
	struct io_uring_sqe *sqe = aux_sqe(self, 0, CHILD);

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->cmd_op = SOCKET_URING_OP_TX_TIMESTAMP;
}

#define NEEDS_BIG_CQES()						\
	if (!(variant->setup & (IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED))) \
		SKIP(return, "CQEs have 16 bytes")

/* The program sees each of them, and none is posted. */
TEST_F(aux, timestamps)
{
	int fd;

	NEEDS_BIG_CQES();
	ASSERT_LE(0, fd = stamped_socket());
	prep_timestamp(self, fd);
	aux_start();
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(1, send(fd, "x", 1, 0));
		ASSERT_TRUE(aux_until(self, 2 + i));
		ASSERT_AUX(1 + i, IORING_OP_URING_CMD, i);
	}
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
	close(fd);
}

/* The extra words, which the program does not see, have the time. */
TEST_F(aux, timestamp_posted)
{
	struct iou_cqe cqe;
	int fd;

	NEEDS_BIG_CQES();
	ASSERT_LE(0, fd = stamped_socket());
	prep_timestamp(self, fd);
	self->skel->bss->verdict = BPF_IO_URING_POST;
	aux_start();
	ASSERT_EQ(1, send(fd, "x", 1, 0));
	ASSERT_TRUE(aux_until(self, 2));
	ASSERT_AUX(1, IORING_OP_URING_CMD, 0);
	ASSERT_EQ(0, iou_wait_big_cqe(&self->ring, &cqe, IOU_WAIT_MS));
	ASSERT_EQ(CHILD, cqe.cqe.user_data);
	ASSERT_EQ(0, cqe.cqe.res);
	ASSERT_TRUE(cqe.cqe.flags & IORING_CQE_F_MORE);
	/* seconds since 1970 */
	ASSERT_NE(0, cqe.extra[0]);
	self->skel->bss->verdict = BPF_IO_URING_DEFAULT;
	aux_cancel_flow();
	close(fd);
}

TEST_HARNESS_MAIN
