// SPDX-License-Identifier: GPL-2.0
/* What cuts a chain with a flow in it, and what does not. */
#include "chain.h"

TEST_F(chain, failed_flow_cuts)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_end, &self->ring, 0);
	self->skel->bss->end_res = -EDOM;
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	chain_queue(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, LEN);
	ASSERT_CQE(&self->ring, FLOW, -EDOM);
	ASSERT_CQE(&self->ring, WRITE, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_FALSE(chain_has_written(self));
}

TEST_F(chain, hardlink_behind_failed_flow)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_end, &self->ring, 0);
	self->skel->bss->end_res = -EDOM;
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_flow(self, 0, IOSQE_IO_HARDLINK);
	chain_queue_write(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, LEN);
	ASSERT_CQE(&self->ring, FLOW, -EDOM);
	ASSERT_CQE(&self->ring, WRITE, LEN);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(chain, hardlink_before_flow)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 0);
	chain_queue_read(self, IOSQE_IO_HARDLINK)->fd = -1;
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, -EBADF);
	ASSERT_CQE(&self->ring, FLOW, -EBADF);
	ASSERT_CQE(&self->ring, WRITE, -ECANCELED);
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

TEST_F(chain, timeout_of_the_read)
{
	struct io_uring_cqe cqes[4];

	self->link = IOU_ATTACH(self->skel->progs.chain_end, &self->ring, 0);
	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_timeout(self, 20, IOSQE_IO_LINK);
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(4, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	ASSERT_HAS_CQE(cqes, 4, READ, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, TIMEOUT, -ETIME);
	ASSERT_HAS_CQE(cqes, 4, FLOW, 0);
	ASSERT_HAS_CQE(cqes, 4, WRITE, LEN);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	EXPECT_EQ(READ, self->skel->bss->events[0].user_data);
	EXPECT_EQ(-ECANCELED, self->skel->bss->events[0].res);
}

TEST_F(chain, read_in_time)
{
	struct io_uring_cqe cqes[4];

	self->link = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 0);
	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_timeout(self, 3600000, IOSQE_IO_LINK);
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(4, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	ASSERT_HAS_CQE(cqes, 4, READ, LEN);
	ASSERT_HAS_CQE(cqes, 4, TIMEOUT, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, FLOW, 0);
	ASSERT_HAS_CQE(cqes, 4, WRITE, LEN);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

/* A timeout behind the flow limits the whole flow. */
TEST_F(chain, timeout_of_the_flow)
{
	struct io_uring_cqe cqes[4];

	self->link = IOU_ATTACH(self->skel->progs.chain_issue, &self->ring, 0);
	self->skel->bss->nr_sqes = 1;
	iou_prep_read(&self->skel->bss->sqes[0], self->in[0], self->buf, LEN,
		      0, CHILD);
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_timeout(self, 20, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(4, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	ASSERT_HAS_CQE(cqes, 4, READ, LEN);
	ASSERT_HAS_CQE(cqes, 4, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, TIMEOUT, -ETIME);
	ASSERT_HAS_CQE(cqes, 4, WRITE, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[1].event);
}

TEST_F(chain, flow_in_time)
{
	struct io_uring_cqe cqes[3];

	self->link = IOU_ATTACH(self->skel->progs.chain_issue, &self->ring, 0);
	self->skel->bss->nr_sqes = 1;
	iou_prep_read(&self->skel->bss->sqes[0], self->in[0], self->buf, LEN,
		      0, CHILD);
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_timeout(self, 3600000, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, FLOW, 0);
	ASSERT_HAS_CQE(cqes, 3, TIMEOUT, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 3, WRITE, LEN);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
}

TEST_F(chain, unprepared_head_cuts)
{
	struct io_uring_cqe cqes[3];
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.chain_end, &self->ring, 0);
	sqe = chain_queue_read(self, IOSQE_IO_LINK);
	iou_prep_nop(sqe, 0, 1U << 31, READ);
	sqe->flags = IOSQE_IO_LINK;
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, READ, -EINVAL);
	ASSERT_HAS_CQE(cqes, 3, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 3, WRITE, -ECANCELED);
	ASSERT_EQ(0, self->skel->bss->nr_events);
	ASSERT_FALSE(chain_has_written(self));
}

TEST_F(chain, unprepared_tail_cuts)
{
	struct io_uring_cqe cqes[3];

	self->link = IOU_ATTACH(self->skel->progs.chain_end, &self->ring, 0);
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_write(self)->opcode = 255;
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, READ, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 3, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 3, WRITE, -EINVAL);
	ASSERT_EQ(0, self->skel->bss->nr_events);
}

TEST_F(chain, unprepared_flow_cuts)
{
	struct io_uring_cqe cqes[3];

	self->link = IOU_ATTACH(self->skel->progs.chain_end, &self->ring, 0);
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_flow(self, 3, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, READ, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 3, FLOW + 3, -ENOENT);
	ASSERT_HAS_CQE(cqes, 3, WRITE, -ECANCELED);
	ASSERT_EQ(0, self->skel->bss->nr_events);
}

/* The program is attached, and a flow is alive behind the read in flight. */
TEST_F(chain, detached_while_read_is_in_flight)
{
	struct io_uring_cqe cqes[3];

	self->link = IOU_ATTACH(self->skel->progs.chain_end, &self->ring, 0);
	chain_queue(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	bpf_link__destroy(self->link);
	self->link = NULL;
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, READ, LEN);
	ASSERT_HAS_CQE(cqes, 3, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 3, WRITE, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, self->skel->bss->nr_events);
}

TEST_F(chain, read_cancelled)
{
	struct io_uring_cqe cqes[4];

	self->link = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 0);
	chain_queue(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	iou_queue_cancel(&self->ring, READ, OTHER);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	ASSERT_HAS_CQE(cqes, 4, OTHER, 0);
	ASSERT_HAS_CQE(cqes, 4, READ, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, WRITE, -ECANCELED);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	EXPECT_EQ(-ECANCELED, self->skel->bss->events[0].res);
}

TEST_HARNESS_MAIN
