// SPDX-License-Identifier: GPL-2.0
/*
 * A thread exits with a flow in flight. Its process continues, and possibly the
 * ring.
 */
#include "futex.h"

#include <pthread.h>

#include "kselftest_harness.h"
#include "exit.skel.h"

#define FLOW		0xf10aULL
#define FUTEX		0xf07eULL
#define LIMIT_MS	5000

FIXTURE(exit_thread) {
	struct io_uring ring;
	struct exit *skel;
	struct bpf_link *link;
	pthread_t thread;
	unsigned int setup;
	unsigned int nr_flows;
	struct bpf_program *prog;
	bool with_futex;
	__u32 futex;
	int pipe[2];
	char buf[16];
	int err;
};

IOU_RING_VARIANTS(exit_thread);
IOU_LOAD_ONCE(exit);

FIXTURE_SETUP(exit_thread)
{
	IOU_REQUIRE();
	self->setup = variant->setup;
	self->nr_flows = 1;
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = exit_get();
	ASSERT_NE(NULL, self->skel);
	self->prog = self->skel->progs.exit_wait;
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], self->buf,
		      sizeof(self->buf), 0, FLOW);
	self->skel->bss->nr_sqes = 1;
}

FIXTURE_TEARDOWN(exit_thread)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
}

static void queue_futex_wait(FIXTURE_DATA(exit_thread) *self)
{
	iou_prep_futex_wait(iou_get_sqe(&self->ring), &self->futex, FUTEX);
}

static __u64 nr_runs(FIXTURE_DATA(exit_thread) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_runs);
}

/* The thread creates the ring, and so is its single issuer. */
static void *thread_fn(void *data)
{
	FIXTURE_DATA(exit_thread) *self = data;
	struct io_uring_sqe *sqe = NULL;

	self->err = iou_ring_init(&self->ring, self->setup);
	if (self->err)
		return NULL;
	self->link = bpf_program__attach_iouring(self->prog,
						 self->ring.ring_fd, NULL);
	if (!self->link) {
		self->err = -errno;
		return NULL;
	}
	for (unsigned int i = 0; i < self->nr_flows; i++)
		sqe = iou_queue_bpf(&self->ring, 0, FLOW);
	if (self->with_futex) {
		sqe->flags = IOSQE_IO_LINK;
		queue_futex_wait(self);
	}
	self->err = io_uring_submit(&self->ring);
	return NULL;
}

/* Run the thread, which has to exit within the limit. Return 0 or an error. */
static int run_thread(FIXTURE_DATA(exit_thread) *self)
{
	struct timespec ts;

	if (pthread_create(&self->thread, NULL, thread_fn, self))
		return -EAGAIN;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += LIMIT_MS / 1000;
	return -pthread_timedjoin_np(self->thread, NULL, &ts);
}

/*
 * A wait for a private futex is tracked from its preparation, and an exiting
 * thread waits for tracked requests. Only the cancellation of the flow ends
 * this one.
 */
TEST_F(exit_thread, futex_behind_flow)
{
	struct io_uring_cqe cqes[2];

	self->with_futex = true;
	ASSERT_EQ(0, run_thread(self)) TH_LOG("the thread does not end");
	ASSERT_EQ(2, self->err);
	ASSERT_EQ(1, nr_runs(self));

	/* no task is left to take CQEs off a ring with DEFER_TASKRUN */
	if (variant->setup)
		return;
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, FUTEX, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
}

/*
 * The child is not tracked, and outlives the thread whose flow it belongs to.
 */
TEST_F(exit_thread, child_completes_later)
{
	ASSERT_EQ(0, run_thread(self)) TH_LOG("the thread does not end");
	ASSERT_EQ(1, self->err);
	ASSERT_EQ(4, write(self->pipe[1], "late", 4));

	if (!variant->setup) {
		ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
		ASSERT_NO_CQE(&self->ring);
	}
	ASSERT_EQ(1, nr_runs(self));
}

/* Most of the time, each flow has waiting completions. */
TEST_F(exit_thread, spinning)
{
	__u64 runs;

	self->prog = self->skel->progs.exit_spin;
	self->nr_flows = 3;
	ASSERT_EQ(0, run_thread(self)) TH_LOG("the thread does not end");
	ASSERT_EQ(3, self->err);

	if (!variant->setup) {
		for (int i = 0; i < 3; i++)
			ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
		ASSERT_NO_CQE(&self->ring);
	}
	runs = nr_runs(self);
	ASSERT_LT(0, runs);
	usleep(IOU_IDLE_MS * 1000);
	ASSERT_EQ(runs, nr_runs(self));
}

TEST_F(exit_thread, spinning_in_front_of_futex)
{
	struct io_uring_cqe cqes[2];

	self->prog = self->skel->progs.exit_spin;
	self->with_futex = true;
	ASSERT_EQ(0, run_thread(self)) TH_LOG("the thread does not end");
	ASSERT_EQ(2, self->err);

	if (variant->setup)
		return;
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, FUTEX, -ECANCELED);
}

/*
 * One child completes after the exit of the thread, when no program can run.
 * This ends the flow, and the other child, which waits forever, is cancelled.
 */
TEST_F(exit_thread, children_complete_one_by_one)
{
	struct __kernel_timespec ts = { .tv_nsec = 100 * 1000 * 1000 };

	/* no task can take the CQE off a ring with DEFER_TASKRUN */
	if (variant->setup)
		SKIP(return, "the ring requires its thread");
	io_uring_prep_timeout(&self->skel->bss->sqes[1], &ts, 0, 0);
	self->skel->bss->nr_sqes = 2;
	ASSERT_EQ(0, run_thread(self)) TH_LOG("the thread does not end");
	ASSERT_EQ(1, self->err);
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, nr_runs(self));
}

/*
 * The link is closed with its last fd, after the exit of the thread or before.
 */
TEST_F(exit_thread, detach_after_end)
{
	ASSERT_EQ(0, run_thread(self));
	ASSERT_EQ(1, self->err);
	ASSERT_EQ(0, bpf_link__destroy(self->link));
	self->link = NULL;
	if (!variant->setup) {
		ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
		ASSERT_NO_CQE(&self->ring);
	}
	ASSERT_EQ(1, nr_runs(self));
}

TEST_HARNESS_MAIN
