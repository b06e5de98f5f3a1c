// SPDX-License-Identifier: GPL-2.0
/* A child that is cancelled alone, by the application or the flow itself. */
#include "cancel.h"

static struct iou_event *find_event(FIXTURE_DATA(cancel) *self, __u64 user_data)
{
	for (int i = 1; i < self->skel->bss->nr_events; i++) {
		if (self->skel->bss->events[i].user_data == user_data)
			return &self->skel->bss->events[i];
	}
	return NULL;
}

/* The program learns of it, and may go on as if nothing had happened. */
TEST_F(cancel, program_goes_on)
{
	struct iou_event *ev = self->skel->bss->events;

	self->link = IOU_ATTACH(self->skel->progs.cancel_retry, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 1; i <= 3; i++) {
		cancel_queue(self, CHILD, 0);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, CANCEL, 0);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(1 + i, self->skel->bss->nr_events);
		ASSERT_EQ(BPF_IO_URING_COMPLETE, ev[i].event);
		ASSERT_EQ(BPF_IO_URING_F_CHILD, ev[i].flags);
		ASSERT_EQ(CHILD, ev[i].user_data);
		ASSERT_EQ(-ECANCELED, ev[i].res);
	}

	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, ev[4].res);
}

/* By its file: the flow has none, and is not meant. */
TEST_F(cancel, child_by_fd)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.cancel_retry, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));

	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_cancel_fd(sqe, self->pipe[0], 0);
	sqe->user_data = CANCEL;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, CANCEL, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(-ECANCELED, self->skel->bss->events[1].res);

	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
}

TEST_F(cancel, child_sync)
{
	struct io_uring_sync_cancel_reg reg = {
		.addr		= CHILD,
		.fd		= -1,
		.timeout	= { .tv_sec = -1, .tv_nsec = -1 },
	};

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, io_uring_register_sync_cancel(&self->ring, &reg));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
}

/* One child cancels the other. None of that is seen outside. */
TEST_F(cancel, child_by_child)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[1];
	struct iou_event *ev;

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	io_uring_prep_cancel64(sqe, CHILD, 0);
	sqe->user_data = CANCEL;
	self->skel->bss->nr_sqes = 2;
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_HARDLINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));

	/* of the flow that depends on which of the two comes last */
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(i ? OTHER : FLOW, cqe.user_data);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	ev = find_event(self, CHILD);
	ASSERT_NE(NULL, ev);
	ASSERT_EQ(-ECANCELED, ev->res);
	ev = find_event(self, CANCEL);
	ASSERT_NE(NULL, ev);
	ASSERT_EQ(0, ev->res);
}

/* A child cancels the flow that it is part of. */
TEST_F(cancel, flow_by_child)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[1];
	struct io_uring_cqe cqes[2];

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	io_uring_prep_cancel64(sqe, FLOW, 0);
	sqe->user_data = CANCEL;
	self->skel->bss->nr_sqes = 2;
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, OTHER, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[1].event);
	ASSERT_TRUE(cancel_pipe_unused(self));
}

/* One flow cancels another, which knows nothing of it. */
TEST_F(cancel, flow_by_other_flow)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[0];

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));

	io_uring_prep_cancel64(sqe, FLOW, 0);
	sqe->user_data = CANCEL;
	iou_queue_bpf(&self->ring, 0, OTHER);
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(cqe.user_data == FLOW ? -ECANCELED : 0, cqe.res);
	}
	ASSERT_NO_CQE(&self->ring);
	/* two that start, a child that completes, and the flow that is told */
	ASSERT_EQ(4, self->skel->bss->nr_events);
}

/* A cancelled flow issues nothing, though its program asks for it. */
TEST_F(cancel, nothing_is_issued_afterwards)
{
	struct io_uring_cqe cqes[2];

	self->link = IOU_ATTACH(self->skel->progs.cancel_later, &self->ring, 0);
	iou_prep_nop(&self->skel->bss->sqes[1], 0, 0, CHILD + 1);
	self->skel->bss->nr_sqes = 2;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));

	cancel_queue(self, FLOW, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[1].event);
}

/* The ring is as good as new. */
TEST_F(cancel, again_and_again)
{
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	for (int i = 0; i < 200; i++) {
		struct io_uring_cqe cqes[2];

		iou_queue_bpf(&self->ring, 0, FLOW);
		cancel_queue(self, FLOW, 0);
		ASSERT_EQ(2, iou_submit(&self->ring));
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
		ASSERT_HAS_CQE(cqes, 2, CANCEL, 0);
		ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	}
	ASSERT_TRUE(cancel_pipe_unused(self));
}

TEST_HARNESS_MAIN
