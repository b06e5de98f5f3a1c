// SPDX-License-Identifier: GPL-2.0
/* Reads with a deadline: what is read is not lost, whichever comes first */
#include "end.h"

/* of a timer, and a pause in which the timer fires */
#define DEADLINE_MS	20
#define PAUSE_MS	60

/* A read with a deadline: its program sees the read and the timer. */
TEST_F(end, deadline)
{
	struct __kernel_timespec ts = { .tv_sec = 100 };
	struct io_uring_sqe *sqe;

	end_add_recvs(self, 1);
	self->skel->bss->sqes[0].flags = IOSQE_IO_LINK;
	sqe = end_add(self);
	io_uring_prep_link_timeout(sqe, &ts, 0);
	end_added(self, sqe);
	self->skel->bss->stop_at = CHILD;
	end_submit();
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events == 1));
	ASSERT_TRUE(end_feed(self, 1));
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	for (int i = 1; i < 3; i++) {
		struct iou_event *ev = &self->skel->bss->events[i];

		ASSERT_EQ(ev->user_data == CHILD ? 1 : -ECANCELED, ev->res);
	}
	ASSERT_EQ('x', self->buf[0]);
}

/* Wait until there is a byte to read and the timer has fired, in one order or the other. */
static void end_pass_deadline(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self,
			      bool byte_first)
{
	if (byte_first)
		ASSERT_TRUE(end_feed(self, 1));
	usleep(PAUSE_MS * 1000);
	if (!byte_first)
		ASSERT_TRUE(end_feed(self, 1));
	/* with DEFER_TASKRUN, the task handles both only now */
	io_uring_get_events(&self->ring);
}

/* The receive has one event. Either it has the byte, or the byte is still there. */
static void end_byte_is_safe(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self)
{
	struct iou_event *found = NULL;

	for (unsigned int i = 1; i < self->skel->bss->nr_events; i++) {
		struct iou_event *ev = &self->skel->bss->events[i];

		if (ev->opcode != IORING_OP_RECV)
			continue;
		ASSERT_EQ(NULL, found);
		found = ev;
	}
	ASSERT_NE(NULL, found);
	if (found->res != 1) {
		ASSERT_EQ(-ECANCELED, found->res);
		ASSERT_TRUE(end_has_byte(self, 0));
	}
	ASSERT_EQ('x', self->buf[0]);
	ASSERT_FALSE(end_has_byte(self, 0));
}

/* The flow ends with the result of the child that completes first. */
static void deadline_together(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self,
			      bool byte_first)
{
	struct __kernel_timespec ts = { .tv_nsec = DEADLINE_MS * 1000000 };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;

	end_add_recvs(self, 1);
	self->skel->bss->sqes[0].flags = IOSQE_IO_LINK;
	sqe = end_add(self);
	io_uring_prep_link_timeout(sqe, &ts, 0);
	end_added(self, sqe);
	self->skel->bss->stop_at_first = 1;
	end_submit();
	end_pass_deadline(_metadata, self, byte_first);
	ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_EQ(FLOW, cqe.user_data);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	ASSERT_EQ(self->skel->bss->events[1].res, cqe.res);
	ASSERT_TRUE(cqe.res == 1 || cqe.res == -ETIME) {
		TH_LOG("res %d", cqe.res);
	}
	end_byte_is_safe(_metadata, self);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(end, deadline_together)
{
	deadline_together(_metadata, self, false);
}

TEST_F(end, deadline_together_byte_first)
{
	deadline_together(_metadata, self, true);
}

/* The timer cancels the flow. */
static void deadline_of_flow(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self,
			     bool byte_first)
{
	struct __kernel_timespec ts = { .tv_nsec = DEADLINE_MS * 1000000 };
	struct io_uring_cqe cqes[2], *timer;
	struct io_uring_sqe *sqe;

	end_add_recvs(self, 1);
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_link_timeout(sqe, &ts, 0);
	sqe->user_data = CANCEL;
	ASSERT_EQ(2, iou_submit(&self->ring));
	end_pass_deadline(_metadata, self, byte_first);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	timer = iou_find_cqe(cqes, 2, CANCEL);
	ASSERT_NE(NULL, timer);
	ASSERT_HAS_CQE(cqes, 2, FLOW, timer->res == -ETIME ? -ECANCELED : 0);
	end_byte_is_safe(_metadata, self);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(end, deadline_of_flow)
{
	deadline_of_flow(_metadata, self, false);
}

TEST_F(end, deadline_of_flow_byte_first)
{
	deadline_of_flow(_metadata, self, true);
}

TEST_HARNESS_MAIN
