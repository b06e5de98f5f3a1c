// SPDX-License-Identifier: GPL-2.0
/* READ -> BPF -> WRITE: the flow sees the read, and decides about the write. */
#include "chain.h"

TEST_F(chain, event_of_the_request_before)
{
	struct iou_event *ev = &self->skel->bss->events[0];

	self->link = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 0);
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	chain_queue(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, LEN);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, WRITE, LEN);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(chain_has_written(self));

	/* and no START */
	ASSERT_EQ(1, self->skel->bss->nr_events);
	EXPECT_EQ(BPF_IO_URING_COMPLETE, ev->event);
	EXPECT_EQ(READ, ev->user_data);
	EXPECT_EQ(FLOW, ev->flow_user_data);
	EXPECT_EQ(IORING_OP_READ, ev->opcode);
	EXPECT_EQ(LEN, ev->res);
	EXPECT_EQ(BPF_IO_URING_F_NEXT, ev->flags);
	EXPECT_EQ(0, ev->nr_children);
}

TEST_F(chain, event_when_data_comes_later)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 0);
	chain_queue(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, self->skel->bss->nr_events);
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	ASSERT_CQE(&self->ring, READ, LEN);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, WRITE, LEN);
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

/* A completion of a worker takes another path to the program. */
TEST_F(chain, event_from_io_wq)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 0);
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	chain_queue_read(self, IOSQE_IO_LINK | IOSQE_ASYNC);
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_write(self)->flags = IOSQE_ASYNC;
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, LEN);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, WRITE, LEN);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_EQ(LEN, self->skel->bss->events[0].res);
}

TEST_F(chain, last_member_has_no_next)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 0);
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_flow(self, 0, 0);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, LEN);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_EQ(0, self->skel->bss->events[0].flags);
}

/* A flow at the head of a chain gets START. */
TEST_F(chain, head_gets_start)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 0);
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, WRITE, LEN);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	EXPECT_EQ(BPF_IO_URING_START, self->skel->bss->events[0].event);
	EXPECT_EQ(BPF_IO_URING_F_NEXT, self->skel->bss->events[0].flags);
}

TEST_F(chain, program_runs_before_cqe)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_mark, &self->ring, 0);
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	chain_queue(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, MARKER, LEN);
	ASSERT_CQE(&self->ring, READ, LEN + 1);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, WRITE, LEN);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(chain, failure_does_not_cut)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_end, &self->ring, 0);
	chain_queue_read(self, IOSQE_IO_LINK)->fd = -1;
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, -EBADF);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, WRITE, LEN);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_EQ(-EBADF, self->skel->bss->events[0].res);
}

/* The program returns no verdict, so the failure becomes that of the flow. */
TEST_F(chain, failure_is_passed_on)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 0);
	chain_queue_read(self, IOSQE_IO_LINK)->fd = -1;
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, -EBADF);
	ASSERT_CQE(&self->ring, FLOW, -EBADF);
	ASSERT_CQE(&self->ring, WRITE, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_FALSE(chain_has_written(self));
}

TEST_F(chain, short_read_does_not_cut)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 0);
	ASSERT_EQ(5, write(self->in[1], "01234", 5));
	chain_queue(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, 5);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, WRITE, LEN);
	ASSERT_EQ(5, self->skel->bss->events[0].res);
}

TEST_F(chain, short_read_is_continued)
{
	char buf[LEN + 1] = "";

	self->link = IOU_ATTACH(self->skel->progs.chain_read_all,
				&self->ring, 0);
	self->skel->bss->wanted = LEN;
	iou_prep_read(&self->skel->bss->sqes[0], self->in[0], self->buf, LEN,
		      0, CHILD);
	ASSERT_EQ(5, write(self->in[1], "01234", 5));
	chain_queue(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, write(self->in[1], "5678", 4));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(7, write(self->in[1], "9abcdef", 7));
	/* the CQE of the read was dropped */
	ASSERT_CQE(&self->ring, FLOW, LEN);
	ASSERT_CQE(&self->ring, WRITE, LEN);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(LEN, read(self->out[0], buf, LEN));
	ASSERT_STREQ("0123456789abcdef", buf);
	ASSERT_EQ(3, self->skel->bss->nr_events);
}

/* The rest of the chain waits for the children. */
TEST_F(chain, children_come_before_the_rest)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_issue, &self->ring, 0);
	self->skel->bss->nr_sqes = 1;
	iou_prep_read(&self->skel->bss->sqes[0], self->in[0], self->buf, LEN,
		      0, CHILD);
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	chain_queue(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, LEN);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_FALSE(chain_has_written(self));
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, WRITE, LEN);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	EXPECT_EQ(BPF_IO_URING_F_NEXT | BPF_IO_URING_F_CHILD,
		  self->skel->bss->events[1].flags);
}

TEST_F(chain, flow_behind_flow)
{
	struct iou_event *ev = self->skel->bss->events;

	self->link = IOU_ATTACH(self->skel->progs.chain_end, &self->ring, 0);
	self->link1 = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 1);
	self->skel->bss->end_res = 7;
	ASSERT_EQ(LEN, write(self->in[1], "0123456789abcdef", LEN));
	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_flow(self, 1, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(4, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, LEN);
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_CQE(&self->ring, FLOW + 1, 0);
	ASSERT_CQE(&self->ring, WRITE, LEN);
	ASSERT_NO_CQE(&self->ring);

	ASSERT_EQ(2, self->skel->bss->nr_events);
	EXPECT_EQ(READ, ev[0].user_data);
	EXPECT_EQ(FLOW, ev[0].flow_user_data);
	EXPECT_EQ(FLOW, ev[1].user_data);
	EXPECT_EQ(FLOW + 1, ev[1].flow_user_data);
	EXPECT_EQ(IORING_OP_BPF, ev[1].opcode);
	EXPECT_EQ(BPF_IO_URING_COMPLETE, ev[1].event);
	EXPECT_EQ(7, ev[1].res);
}

/*
 * Members behind a failed flow are cancelled, but a flow among them gets its
 * event.
 */
TEST_F(chain, flow_behind_failed_flow)
{
	self->link = IOU_ATTACH(self->skel->progs.chain_end, &self->ring, 0);
	self->link1 = IOU_ATTACH(self->skel->progs.chain_pass, &self->ring, 1);
	self->skel->bss->end_res = -EIO;
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_flow(self, 1, IOSQE_IO_LINK);
	chain_queue_write(self);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, -EIO);
	ASSERT_CQE(&self->ring, FLOW + 1, -EIO);
	ASSERT_CQE(&self->ring, WRITE, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	EXPECT_EQ(-EIO, self->skel->bss->events[1].res);
}

TEST_HARNESS_MAIN
