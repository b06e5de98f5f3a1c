// SPDX-License-Identifier: GPL-2.0
/* Cancellation of flows and children after a reissue */
#include "again.h"

#include <poll.h>

/* the second user_data of the child */
#define SECOND	0x2222ULL

/*
 * A read of the pipe that was reissued once or twice and waits, either polled
 * or after a worker.
 */
static void start_waiting(struct __test_metadata *_metadata,
			  FIXTURE_DATA(again) *self, unsigned int flags)
{
	again_attach(again_steps);
	again_add_read(self, self->pipe[0], self->got, 4, 0)->flags = flags;
	again_add_step(self, 0, self->got + 4, 4);
	again_add_step(self, 0, self->got + 8, 4)->user_data = SECOND;
	again_add_step(self, 0, self->got + 12, 4);
	ASSERT_EQ(8, write(self->pipe[1], "12345678", 8));
	again_start()->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_TRUE(again_until(self, 3));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, self->skel->bss->nr_events);
}

/* Written data stays in the pipe if no request reads any more. */
#define ASSERT_UNUSED() do {						\
	char __buf[8] = {};						\
									\
	ASSERT_EQ(4, write(self->pipe[1], "left", 4));			\
	ASSERT_NO_CQE(&self->ring);					\
	ASSERT_EQ(4, read(self->pipe[0], __buf, sizeof(__buf)));	\
	ASSERT_EQ(0, memcmp(__buf, "left", 4));				\
} while (0)

#define ASSERT_CANCELLED() do {						\
	struct io_uring_cqe __cqes[3];					\
									\
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, __cqes, 3));		\
	ASSERT_HAS_CQE(__cqes, 3, FLOW, -ECANCELED);			\
	ASSERT_HAS_CQE(__cqes, 3, OTHER, -ECANCELED);			\
	ASSERT_HAS_CQE(__cqes, 3, CANCEL, 0);				\
	/* the program got CANCEL, where it cannot reissue */		\
	ASSERT_EQ(4, self->skel->bss->nr_events);			\
	ASSERT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[3].event);\
	ASSERT_UNUSED();						\
} while (0)

TEST_F(again, flow)
{
	start_waiting(_metadata, self, 0);
	iou_queue_cancel(&self->ring, FLOW, CANCEL);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CANCELLED();
}

TEST_F(again, flow_in_io_wq)
{
	start_waiting(_metadata, self, IOSQE_ASYNC);
	iou_queue_cancel(&self->ring, FLOW, CANCEL);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CANCELLED();
}

/* The child is found by its current user_data. */
TEST_F(again, child_by_user_data)
{
	struct io_uring_cqe cqes[2];

	start_waiting(_metadata, self, 0);
	iou_queue_cancel(&self->ring, CHILD, CANCEL);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, CANCEL, -ENOENT);
	ASSERT_NO_CQE(&self->ring);

	/* the program continues with its last step */
	iou_queue_cancel(&self->ring, SECOND, CANCEL);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, CANCEL, 0);
	ASSERT_TRUE(again_until(self, 4));
	ASSERT_NO_CQE(&self->ring);
	again_expect_res(2, -ECANCELED);
	ASSERT_EQ(SECOND, again_event(self, 2)->user_data);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, 0);
	ASSERT_HAS_CQE(cqes, 2, OTHER, 0);
	again_expect_steps();
	ASSERT_EQ(0, memcmp(self->got + 12, "data", 4));
}

TEST_F(again, child_by_fd)
{
	struct io_uring_sqe *sqe;

	start_waiting(_metadata, self, 0);
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_cancel_fd(sqe, self->pipe[0], 0);
	sqe->user_data = CANCEL;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, CANCEL, 0);
	ASSERT_TRUE(again_until(self, 4));
	ASSERT_NO_CQE(&self->ring);
	again_expect_res(2, -ECANCELED);
	ASSERT_EQ(4, self->skel->bss->nr_events);
}

TEST_F(again, detach)
{
	struct io_uring_cqe cqes[2];

	start_waiting(_metadata, self, 0);
	bpf_link__destroy(self->link);
	self->link = NULL;
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, OTHER, -ECANCELED);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	ASSERT_UNUSED();
}

TEST_F(again, link_timeout)
{
	struct __kernel_timespec ts = { .tv_nsec = 20000000 };
	struct io_uring_sqe *sqe;

	again_attach(again_steps);
	again_add_read(self, self->pipe[0], self->got, 4, 0);
	again_add_step(self, 0, self->got + 4, 4);
	ASSERT_EQ(4, write(self->pipe[1], "1234", 4));
	again_start()->flags = IOSQE_IO_LINK;
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_link_timeout(sqe, &ts, 0);
	sqe->user_data = OTHER;
	ASSERT_EQ(2, iou_submit(&self->ring));
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(cqe.user_data == FLOW ? -ECANCELED : -ETIME, cqe.res);
	}
	ASSERT_EQ(3, self->skel->bss->nr_events);
	ASSERT_UNUSED();
}

static __u64 nr_runs(FIXTURE_DATA(again) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_runs);
}

/* A program that reissues endlessly can be cancelled. */
static void cancel_spin(struct __test_metadata *_metadata,
			FIXTURE_DATA(again) *self, unsigned int nop_flags)
{
	again_attach(again_spin);
	again_add_nop(self, 0, nop_flags);
	again_start();
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(iou_until(&self->ring, nr_runs(self) > 100));
	IOU_CANCEL_FLOW(&self->ring, FLOW, CANCEL);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(again, spinning)
{
	cancel_spin(_metadata, self, 0);
}

TEST_F(again, spinning_task_work)
{
	cancel_spin(_metadata, self, IORING_NOP_TW);
}

/* A wait with a time limit ends in time. */
TEST_F(again, wait_times_out)
{
	struct __kernel_timespec ts = { .tv_nsec = 50000000 };
	struct io_uring_cqe *cqe;
	__u64 start;

	again_attach(again_spin);
	again_add_nop(self, 0, 0);
	again_start();
	ASSERT_EQ(1, iou_submit(&self->ring));
	start = iou_now_ms();
	ASSERT_EQ(-ETIME, io_uring_wait_cqe_timeout(&self->ring, &cqe, &ts));
	ASSERT_GT(5000, iou_now_ms() - start);
}

/* Closing the last reference to the ring ends waiting requests. */
TEST_F(again, ring_closed)
{
	struct pollfd pfd = { .fd = self->pipe[1] };

	start_waiting(_metadata, self, 0);
	close(self->pipe[0]);
	self->pipe[0] = -1;
	ASSERT_EQ(0, poll(&pfd, 1, 0));
	io_uring_queue_exit(&self->ring);
	self->ring.ring_fd = -1;
	ASSERT_EQ(1, poll(&pfd, 1, IOU_WAIT_MS));
	ASSERT_TRUE(pfd.revents & POLLERR);
	ASSERT_EQ(3, self->skel->bss->nr_events);
}

TEST_HARNESS_MAIN
