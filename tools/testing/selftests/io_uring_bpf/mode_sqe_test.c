// SPDX-License-Identifier: GPL-2.0
/* SQEs of 128 bytes beside the 64-byte SQEs of programs */
#include <sys/socket.h>

#include "mode.h"

FIXTURE(mode_sqe) {
	struct io_uring ring;
	struct mode *skel;
	struct bpf_link *link;
};

FIXTURE_VARIANT(mode_sqe) {
	unsigned int setup;
};

IOU_MODE(mode_sqe, sqe128, IORING_SETUP_SQE128);
IOU_MODE(mode_sqe, sqe128_defer, IORING_SETUP_SQE128 | IOU_DEFER);
IOU_MODE(mode_sqe, sqe128_sqpoll, IORING_SETUP_SQE128 | IORING_SETUP_SQPOLL);
IOU_MODE(mode_sqe, mixed, IORING_SETUP_SQE_MIXED);
IOU_MODE(mode_sqe, mixed_defer, IORING_SETUP_SQE_MIXED | IOU_DEFER);
IOU_MODE(mode_sqe, mixed_sqpoll, IORING_SETUP_SQE_MIXED | IORING_SETUP_SQPOLL);

FIXTURE_SETUP(mode_sqe)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	self->skel = mode_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(mode_sqe)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
}

/* Queue an SQE of 128 bytes, which takes two entries of a mixed SQ. */
static void mode_queue_nop128(FIXTURE_DATA(mode_sqe) *self, int res)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_nop(sqe, res, 0, NOP);
	sqe->opcode = IORING_OP_NOP128;
	if (self->ring.flags & IORING_SETUP_SQE_MIXED)
		iou_get_sqe(&self->ring);
}

/*
 * Requests of programs are not in the SQ: they take no entry of it, whatever
 * their address, and all SQEs of the application are consumed.
 */
TEST_F(mode_sqe, sqe_geometry)
{
	unsigned int before, nr;
	struct io_uring_cqe cqe;
	int sum = 0;

	self->link = IOU_ATTACH(self->skel->progs.mode_batch, &self->ring, 0);
	for (int i = 0; i < 20; i++)
		mode_add_nop(self->skel, i, i & 1 ? IORING_NOP_TW : 0);
	for (int round = 0; round < 20; round++) {
		self->skel->bss->nr_events = 0;
		before = *self->ring.sq.khead;
		iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, NOP);
		iou_queue_bpf(&self->ring, 0, FLOW);
		mode_queue_nop128(self, 2);
		iou_queue_bpf(&self->ring, 0, FLOW);
		mode_queue_nop128(self, 3);
		iou_prep_nop(iou_get_sqe(&self->ring), 4, 0, NOP);
		nr = io_uring_sq_ready(&self->ring);
		ASSERT_EQ(nr, iou_submit(&self->ring));
		sum = 0;
		for (int i = 0; i < 6; i++) {
			ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
			ASSERT_LE(0, cqe.res);
			sum += cqe.user_data == NOP ? cqe.res : 100;
		}
		ASSERT_EQ(210, sum);
		ASSERT_EQ(42, self->skel->bss->nr_events);
		ASSERT_EQ(before + nr, *self->ring.sq.khead);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* Programs cannot issue opcodes with SQEs of 128 bytes. */
TEST_F(mode_sqe, opcodes_of_128_bytes)
{
	self->link = IOU_ATTACH(self->skel->progs.mode_batch, &self->ring, 0);
	mode_add_nop(self->skel, 0, 0)->opcode = IORING_OP_NOP128;
	mode_add_nop(self->skel, 0, 0)->opcode = IORING_OP_URING_CMD128;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, -EOPNOTSUPP);
	ASSERT_EQ(-EOPNOTSUPP, self->skel->bss->rets[0]);
	ASSERT_EQ(-EOPNOTSUPP, self->skel->bss->rets[1]);
}

static void mode_add_getsockopt(FIXTURE_DATA(mode_sqe) *self, int fd, int *type,
				__u8 flags)
{
	struct io_uring_sqe *sqe = mode_add_sqe(self->skel);

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->flags = flags;
	sqe->fd = fd;
	sqe->cmd_op = SOCKET_URING_OP_GETSOCKOPT;
	sqe->level = SOL_SOCKET;
	sqe->optname = SO_TYPE;
	sqe->optlen = sizeof(*type);
	sqe->optval = (unsigned long)type;
}

/*
 * A command copies its SQE, 128 bytes on a ring with these. The first one is
 * issued from START, the next one in the memory of the last.
 */
TEST_F(mode_sqe, uring_cmd_sqe)
{
	int sock[2], types[8] = {};

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sock));
	self->link = IOU_ATTACH(self->skel->progs.mode_steps, &self->ring, 0);
	for (int i = 0; i < 8; i++)
		mode_add_getsockopt(self, sock[0], &types[i],
				    i > 5 ? IOSQE_ASYNC : 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(9, self->skel->bss->nr_events);
	for (int i = 0; i < 8; i++) {
		ASSERT_EQ(sizeof(types[i]), self->skel->bss->events[1 + i].res);
		ASSERT_EQ(SOCK_DGRAM, types[i]);
	}
	close(sock[0]);
	close(sock[1]);
}

/* The memory of each SQE is reused before a worker reads it. */
TEST_F(mode_sqe, uring_cmd_batch)
{
	int sock[2], types[8] = {};

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sock));
	self->link = IOU_ATTACH(self->skel->progs.mode_batch, &self->ring, 0);
	for (int i = 0; i < 8; i++)
		mode_add_getsockopt(self, sock[0], &types[i], IOSQE_ASYNC);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(9, self->skel->bss->nr_events);
	for (int i = 0; i < 8; i++) {
		ASSERT_EQ(sizeof(types[i]), self->skel->bss->events[1 + i].res);
		ASSERT_EQ(SOCK_DGRAM, types[i]);
	}
	close(sock[0]);
	close(sock[1]);
}

TEST_HARNESS_MAIN
