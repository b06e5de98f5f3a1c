// SPDX-License-Identifier: GPL-2.0
/*
 * A completion without a CQE must neither signal an eventfd nor make the ring
 * readable. It runs a program when the mode of the ring permits.
 */
#include "iou_until.h"
#include "process.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "kselftest_harness.h"
#include "defer.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL

FIXTURE(silent) {
	struct io_uring ring;
	struct defer *skel;
	struct bpf_link *link;
	/* the flow reads from this pipe one byte at a time */
	int pipe[2];
	char byte;
	int evfd;
};

IOU_MODE_VARIANTS(silent);
IOU_LOAD_ONCE(defer);

/* Return true if the ring reports work that waits for a system call. */
static bool defers(const FIXTURE_VARIANT(silent) *variant)
{
	return variant->setup & IORING_SETUP_DEFER_TASKRUN;
}

FIXTURE_SETUP(silent)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup |
			(defers(variant) ? IORING_SETUP_TASKRUN_FLAG : 0)));
	ASSERT_EQ(0, pipe(self->pipe));
	self->evfd = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, self->evfd);
	self->skel = defer_get();
	ASSERT_NE(NULL, self->skel);
	self->link = IOU_ATTACH(self->skel->progs.defer_hop, &self->ring, 0);
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], &self->byte, 1,
		      0, CHILD);
	self->skel->bss->nr_sqes = 1;
}

FIXTURE_TEARDOWN(silent)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	close(self->evfd);
	io_uring_queue_exit(&self->ring);
}

static __u32 nr_events(FIXTURE_DATA(silent) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_events);
}

/* Let task work run until the program has run @nr times. */
static bool all_seen(FIXTURE_DATA(silent) *self, __u32 nr)
{
	return iou_until(&self->ring, nr_events(self) >= nr) &&
	       nr_events(self) == nr;
}

#define ASSERT_READABLE(ring, yes) do {					\
	bool __yes = (yes);						\
									\
	ASSERT_EQ(__yes, iou_fd_gets((ring)->ring_fd, POLLIN,		\
				     __yes ? IOU_WAIT_MS : IOU_IDLE_MS));\
} while (0)

static __u64 read_eventfd(FIXTURE_DATA(silent) *self)
{
	__u64 count;

	if (read(self->evfd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

static bool wants_taskrun(FIXTURE_DATA(silent) *self)
{
	return IO_URING_READ_ONCE(*self->ring.sq.kflags) & IORING_SQ_TASKRUN;
}

/* Start a flow of @nr reads, of which @done find their byte at once. */
static int start_flow(FIXTURE_DATA(silent) *self, int nr, int done)
{
	for (int i = 0; i < done; i++) {
		if (write(self->pipe[1], "b", 1) != 1)
			return -errno;
	}
	iou_queue_bpf(&self->ring, 0, FLOW)->off = nr;
	return iou_submit(&self->ring);
}

/*
 * Completions in place and by task work. A ring that defers work signals the
 * eventfd for task work, as without BPF.
 */
TEST_F(silent, eventfd)
{
	ASSERT_EQ(0, io_uring_register_eventfd(&self->ring, self->evfd));
	ASSERT_EQ(1, start_flow(self, 8, 4));
	ASSERT_EQ(5, nr_events(self));
	ASSERT_EQ(0, read_eventfd(self));

	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(1, write(self->pipe[1], "b", 1));
		ASSERT_TRUE(all_seen(self, 6 + i));
		ASSERT_TRUE(defers(variant) || !read_eventfd(self));
	}
	/* the signal for task work can be late */
	ASSERT_NO_CQE(&self->ring);
	read_eventfd(self);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, read_eventfd(self));

	ASSERT_EQ(1, write(self->pipe[1], "b", 1));
	ASSERT_CQE(&self->ring, FLOW, 8);
	/* the signal follows */
	iou_settle(&self->ring);
	ASSERT_LT(0, read_eventfd(self));
}

/* Nor do requests that the program drops, or that a worker executes. */
TEST_F(silent, eventfd_of_worker)
{
	ASSERT_EQ(0, io_uring_register_eventfd(&self->ring, self->evfd));
	self->skel->bss->sqes[0].flags = IOSQE_ASYNC;
	ASSERT_EQ(1, start_flow(self, 5, 4));
	ASSERT_TRUE(all_seen(self, 5));
	ASSERT_TRUE(defers(variant) || !read_eventfd(self));
	/* the signal for task work can be late */
	ASSERT_NO_CQE(&self->ring);
	read_eventfd(self);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, read_eventfd(self));
	ASSERT_EQ(1, write(self->pipe[1], "b", 1));
	ASSERT_CQE(&self->ring, FLOW, 5);
	iou_settle(&self->ring);
	ASSERT_LT(0, read_eventfd(self));
}

TEST_F(silent, poll_ring)
{
	ASSERT_EQ(1, start_flow(self, 6, 4));
	ASSERT_READABLE(&self->ring, false);
	ASSERT_EQ(1, write(self->pipe[1], "b", 1));
	/* work that waits for a system call makes the ring readable, once */
	ASSERT_READABLE(&self->ring, defers(variant));
	ASSERT_TRUE(all_seen(self, 6));
	ASSERT_READABLE(&self->ring, false);

	ASSERT_EQ(1, write(self->pipe[1], "b", 1));
	ASSERT_TRUE(all_seen(self, 7));
	ASSERT_READABLE(&self->ring, true);
	ASSERT_CQE(&self->ring, FLOW, 6);
	ASSERT_READABLE(&self->ring, false);
}

static void *poll_fn(void *data)
{
	FIXTURE_DATA(silent) *self = data;
	struct pollfd pfd = { .fd = self->ring.ring_fd, .events = POLLIN };

	/* until there is a CQE, and not before */
	if (poll(&pfd, 1, IOU_WAIT_MS) != 1)
		return self;
	return io_uring_cq_ready(&self->ring) == 1 ? NULL : self;
}

/* A sleeping poller is woken by the CQE. */
TEST_F(silent, poller_sleeps)
{
	pthread_t thread;
	void *ret;

	if (defers(variant))
		SKIP(return, "task work wakes pollers of this ring");
	ASSERT_EQ(1, start_flow(self, 6, 2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, poll_fn, self));
	for (int i = 0; i < 4; i++) {
		usleep(20000);
		ASSERT_EQ(1, write(self->pipe[1], "b", 1));
	}
	ASSERT_EQ(0, pthread_join(thread, &ret));
	ASSERT_EQ(NULL, ret);
	ASSERT_CQE(&self->ring, FLOW, 6);
}

static void *enter_fn(void *data)
{
	FIXTURE_DATA(silent) *self = data;

	return (void *)(long)io_uring_enter(self->ring.ring_fd, 0, 0,
					    IORING_ENTER_GETEVENTS, NULL);
}

/* The program runs only when the submitter asks for events. */
TEST_F(silent, deferred)
{
	pthread_t thread;
	void *ret;

	if (!defers(variant))
		SKIP(return, "requires IORING_SETUP_DEFER_TASKRUN");
	ASSERT_EQ(1, start_flow(self, 2, 0));
	ASSERT_EQ(1, nr_events(self));
	ASSERT_FALSE(wants_taskrun(self));

	ASSERT_EQ(2, write(self->pipe[1], "bb", 2));
	usleep(IOU_IDLE_MS * 1000);
	ASSERT_TRUE(wants_taskrun(self));
	ASSERT_EQ(1, nr_events(self));
	ASSERT_EQ(0, pthread_create(&thread, NULL, enter_fn, self));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	ASSERT_EQ(-EEXIST, (long)ret);
	ASSERT_EQ(1, nr_events(self));
	ASSERT_EQ(0, io_uring_cq_ready(&self->ring));

	ASSERT_EQ(0, io_uring_get_events(&self->ring));
	ASSERT_EQ(3, nr_events(self));
	ASSERT_EQ(1, io_uring_cq_ready(&self->ring));
	ASSERT_FALSE(wants_taskrun(self));
	ASSERT_CQE(&self->ring, FLOW, 2);
}

/* A flow that waits for others reports pending work. */
TEST_F(silent, deferred_as_it_goes_on)
{
	const int nr = 20000;
	int rounds = 0;

	if (!defers(variant))
		SKIP(return, "requires IORING_SETUP_DEFER_TASKRUN");
	iou_prep_nop(&self->skel->bss->sqes[0], 0, 0, CHILD);
	ASSERT_EQ(1, start_flow(self, nr, 0));
	while (!io_uring_cq_ready(&self->ring)) {
		/* there is no work while the flow pauses */
		ASSERT_TRUE(until(wants_taskrun(self)));
		ASSERT_EQ(0, io_uring_get_events(&self->ring));
		ASSERT_GT(nr, ++rounds);
	}
	ASSERT_FALSE(wants_taskrun(self));
	ASSERT_CQE(&self->ring, FLOW, nr);
	ASSERT_LT(0, rounds);
}

/* A submission does not ask for events, but handles its own completions. */
TEST_F(silent, submit_only)
{
	ASSERT_EQ(1, start_flow(self, 3, 3));
	ASSERT_EQ(4, nr_events(self));
	ASSERT_EQ(1, io_uring_cq_ready(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 3);
}

TEST_HARNESS_MAIN
