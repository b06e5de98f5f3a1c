// SPDX-License-Identifier: GPL-2.0
/* Multishot polls and timeouts of a flow */
#include <poll.h>
#include <sys/eventfd.h>

#include "aux.h"

static void prep_timeout(FIXTURE_DATA(aux) *self,
			 struct __kernel_timespec *ts, unsigned int ms, int nr)
{
	struct io_uring_sqe *sqe = aux_sqe(self, 0, 0);

	ts->tv_sec = ms / 1000;
	ts->tv_nsec = ms % 1000 * 1000000;
	io_uring_prep_timeout(sqe, ts, nr, IORING_TIMEOUT_MULTISHOT);
	sqe->user_data = CHILD;
}

TEST_F(aux, poll)
{
	char c;

	aux_prep_poll(self, self->pipe[0]);
	aux_start();
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(1, write(self->pipe[1], "x", 1));
		ASSERT_TRUE(aux_until(self, 2 + i));
		ASSERT_AUX(1 + i, IORING_OP_POLL_ADD, POLLIN);
		ASSERT_EQ(IORING_CQE_F_MORE, aux_event(self, 1 + i)->cflags);
		ASSERT_EQ(1, read(self->pipe[0], &c, 1));
	}
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
	ASSERT_EQ(5, aux_nr_events(self));
}

TEST_F(aux, poll_posted)
{
	char c;

	aux_prep_poll(self, self->pipe[0]);
	self->skel->bss->verdict = BPF_IO_URING_POST;
	aux_start();
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(1, write(self->pipe[1], "x", 1));
		ASSERT_CQE_FLAGS(&self->ring, CHILD, POLLIN, IORING_CQE_F_MORE);
		ASSERT_EQ(1, read(self->pipe[0], &c, 1));
	}
	ASSERT_NO_CQE(&self->ring);
	self->skel->bss->verdict = BPF_IO_URING_DEFAULT;
	aux_cancel_flow();
}

TEST_F(aux, poll_ends_flow)
{
	aux_prep_poll(self, self->pipe[0]);
	aux_step(self, 1)->end = 9;
	aux_start();
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_CQE(&self->ring, FLOW, 9);
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, aux_nr_events(self));
}

/* A verdict on the chain holds, even if more events follow. */
TEST_F(aux, poll_and_chain)
{
	char c;

	aux_prep_poll(self, self->pipe[0]);
	aux_step(self, 1)->verdict = BPF_IO_URING_GO_ON;
	aux_step(self, 2)->end = -EIO;
	self->link = IOU_ATTACH(self->skel->progs.aux_flow, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 3, 0, APP);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_TRUE(aux_until(self, 2));
	ASSERT_EQ(BPF_IO_URING_F_CHILD | BPF_IO_URING_F_NEXT,
		  aux_event(self, 1)->flags);
	ASSERT_EQ(1, read(self->pipe[0], &c, 1));
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_CQE(&self->ring, FLOW, -EIO);
	ASSERT_CQE(&self->ring, APP, 3);
	ASSERT_NO_CQE(&self->ring);
}

/* The program issues a request at each event, whose completion is an event. */
TEST_F(aux, poll_and_read)
{
	char c;

	aux_prep_poll(self, self->pipe[0]);
	iou_prep_read(aux_sqe(self, 1, 0), self->pipe[0], &c, 1, 0, OTHER);
	for (int i = 0; i < 3; i++)
		aux_step(self, 1 + 2 * i)->issue = 1;
	aux_start();
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(1, write(self->pipe[1], "x", 1));
		ASSERT_TRUE(aux_until(self, 3 + 2 * i));
		ASSERT_AUX(1 + 2 * i, IORING_OP_POLL_ADD, POLLIN);
		ASSERT_LAST(2 + 2 * i, 1);
		ASSERT_EQ(1, aux_event(self, 2 + 2 * i)->nr_children);
	}
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
}

/*
 * A completed request waits for the flush when the poll posts. So the flush
 * runs within the poll's handler, and requests that the program stages there
 * run after the handler.
 */
TEST_F(aux, nested_flush)
{
	char buf[3];
	char c;

	aux_prep_poll(self, self->pair[0]);
	iou_prep_read(aux_sqe(self, 1, 0), self->pipe[0], &c, 1, 0, OTHER);
	self->skel->bss->nr_sqes = 2;
	iou_prep_write(aux_sqe(self, 2, 0), self->pair[0], "1", 1, -1, OTHER + 1);
	iou_prep_write(aux_sqe(self, 3, 0), self->pair[0], "2", 1, -1, OTHER + 2);
	aux_step(self, 1)->issue = 2;
	aux_step(self, 2)->issue = 3;
	aux_start();
	/* in this order, and in one flush on a ring with DEFER_TASKRUN */
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_EQ(1, write(self->pair[1], "x", 1));
	ASSERT_TRUE(aux_until(self, 5));
	ASSERT_LAST(1, 1);
	if (variant->setup & IORING_SETUP_DEFER_TASKRUN)
		ASSERT_AUX(2, IORING_OP_POLL_ADD, POLLIN);
	ASSERT_EQ(2, read(self->pair[1], buf, sizeof(buf)));
	ASSERT_EQ(0, memcmp(buf, "12", 2));
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
}

/* The program sees that data is available. */
static bool add_event(FIXTURE_DATA(aux) *self, int evfd)
{
	__u32 nr = aux_nr_events(self);
	__u64 one = 1;

	return write(evfd, &one, 8) == 8 &&
	       iou_until(&self->ring, aux_nr_events(self) > nr);
}

/* A request that only the program sees continues as long as its flow. */
TEST_F(aux, poll_goes_on)
{
	const int drops = 2000;
	int evfd = eventfd(0, 0);

	ASSERT_LE(0, evfd);
	aux_prep_poll(self, evfd);
	aux_start();
	for (int i = 0; i < drops; i++)
		ASSERT_TRUE(add_event(self, evfd));
	ASSERT_EQ(drops, self->skel->bss->nr_aux);
	ASSERT_EQ(0, self->skel->bss->nr_complete);
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
	close(evfd);
}

TEST_F(aux, timeout)
{
	struct __kernel_timespec ts;

	prep_timeout(self, &ts, 5, 3);
	aux_start();
	/* the last completion is a failure, and the result of the flow */
	ASSERT_CQE(&self->ring, FLOW, -ETIME);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, aux_nr_events(self));
	for (int i = 1; i < 3; i++) {
		ASSERT_AUX(i, IORING_OP_TIMEOUT, -ETIME);
		ASSERT_EQ(IORING_CQE_F_MORE, aux_event(self, i)->cflags);
	}
	ASSERT_LAST(3, -ETIME);
}

/* A single wait, which does not end before there is a CQE */
TEST_F(aux, timeout_does_not_end_wait)
{
	struct __kernel_timespec ts;

	prep_timeout(self, &ts, 10, 0);
	aux_step(self, 5)->end = 5;
	self->link = IOU_ATTACH(self->skel->progs.aux_flow, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, io_uring_enter(self->ring.ring_fd, 0, 1,
				    IORING_ENTER_GETEVENTS, NULL));
	ASSERT_EQ(1, io_uring_cq_ready(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 5);
	ASSERT_EQ(6, aux_nr_events(self));
}

/* Timeouts with a sequence count only posted CQEs. */
TEST_F(aux, timeout_sequence)
{
	struct __kernel_timespec ts, limit = { .tv_sec = 60 };
	struct io_uring_sqe *sqe;

	prep_timeout(self, &ts, 5, 0);
	aux_step(self, 4)->end = 4;
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_timeout(sqe, &limit, 2, 0);
	sqe->user_data = APP;
	self->link = IOU_ATTACH(self->skel->progs.aux_flow, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 4);
	ASSERT_NO_CQE(&self->ring);
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, OTHER, 0);
	ASSERT_CQE(&self->ring, APP, 0);
	ASSERT_NO_CQE(&self->ring);
}

TEST_HARNESS_MAIN
