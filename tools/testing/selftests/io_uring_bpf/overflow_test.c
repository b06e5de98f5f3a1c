// SPDX-License-Identifier: GPL-2.0
/*
 * A flow that posts CQEs waits while CQEs wait for room in the CQ, so the list
 * of these is bounded. The flow continues when the application has made room.
 */
#include "iou_count.h"
#include "iou_until.h"
#include "process.h"
#include "kselftest_harness.h"
#include "overflow.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL

#define CQ_ENTRIES	16
#define HOPS		3000
/* of one flush, which ends after this number of CQEs */
#define MAX_OVERFLOW	128

FIXTURE(overflow) {
	struct io_uring ring;
	struct overflow *skel;
	struct bpf_link *link;
};

IOU_MODE_VARIANTS(overflow);
IOU_LOAD_ONCE(overflow);

FIXTURE_SETUP(overflow)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init_size(&self->ring, variant->setup, 8, CQ_ENTRIES));
	self->skel = overflow_get();
	ASSERT_NE(NULL, self->skel);
	self->link = IOU_ATTACH(self->skel->progs.overflow_post, &self->ring, 0);
	self->skel->bss->child_ud = CHILD;
	self->skel->bss->wanted = HOPS;
}

FIXTURE_TEARDOWN(overflow)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
}

static void start(struct __test_metadata *_metadata, FIXTURE_DATA(overflow) *self)
{
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_TRUE(iou_until(&self->ring, io_uring_cq_has_overflow(&self->ring)));
	/* time in which the flow could continue */
	for (int i = 0; i < 20; i++) {
		usleep(5000);
		io_uring_get_events(&self->ring);
	}
	iou_settle(&self->ring);
}

static void run_all(struct __test_metadata *_metadata, FIXTURE_DATA(overflow) *self)
{
	struct io_uring_cqe cqe;
	int n = 0;

	start(_metadata, self);
	ASSERT_LT(0U, iou_nr_overflowed(self->ring.ring_fd));
	ASSERT_GT((unsigned int)MAX_OVERFLOW, iou_nr_overflowed(self->ring.ring_fd));
	ASSERT_GT(HOPS, self->skel->bss->nr_hops);
	for (;;) {
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe)) {
			TH_LOG("after %d CQEs", n);
		}
		if (cqe.user_data == FLOW)
			break;
		ASSERT_EQ(CHILD, cqe.user_data);
		n++;
	}
	ASSERT_EQ(HOPS, n);
	ASSERT_EQ(0, cqe.res);
	ASSERT_NO_CQE(&self->ring);
}

/* A flow that waits for room is cancelled like any other. */
static void run_cancel(struct __test_metadata *_metadata,
		       FIXTURE_DATA(overflow) *self)
{
	struct io_uring_cqe cqe;

	self->skel->bss->nr_hops = 0;
	start(_metadata, self);
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, FLOW, 0, -1, 0));
	do {
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	} while (cqe.user_data != FLOW);
	ASSERT_EQ(-ECANCELED, cqe.res);
	ASSERT_NO_CQE(&self->ring);
}

/* Start a flow in a process, and exit while the flow waits for room. */
static void overflow_and_exit(FIXTURE_DATA(overflow) *self, unsigned int setup,
			      struct io_uring *other)
{
	struct io_uring ring;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (iou_ring_init_size(&ring, setup, 8, CQ_ENTRIES) ||
	    !bpf_program__attach_iouring(self->skel->progs.overflow_post,
					 ring.ring_fd, NULL))
		_exit(1);
	iou_queue_bpf(&ring, 0, FLOW);
	if (iou_submit(&ring) != 1 ||
	    !iou_until(&ring, io_uring_cq_has_overflow(&ring)))
		_exit(2);
	if (other) {
		iou_prep_nop(iou_get_sqe(other), 0, 0, 0);
		if (iou_submit(other) != 1)
			_exit(3);
		/* the child completes, and waits with its flow */
		io_uring_get_events(&ring);
	}
	_exit(0);
}

static void run_exit(struct __test_metadata *_metadata,
		     FIXTURE_DATA(overflow) *self, unsigned int setup,
		     struct io_uring *other)
{
	pid_t pid;
	int status;

	self->skel->bss->nr_hops = 0;
	pid = fork();
	if (!pid)
		overflow_and_exit(self, setup, other);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(until_ms(waitpid(pid, &status, WNOHANG) == pid, IOU_WAIT_MS));
	ASSERT_EQ(0, status);
}

TEST_F_TIMEOUT(overflow, issue, 120)
{
	run_all(_metadata, self);
	run_cancel(_metadata, self);
}

TEST_F_TIMEOUT(overflow, again, 120)
{
	self->skel->bss->again = 1;
	run_all(_metadata, self);
	run_exit(_metadata, self, variant->setup, NULL);
}

/*
 * A child that polls a ring is tracked: its task does not exit before the child is gone,
 * not even if the child has completed.
 */
TEST_F_TIMEOUT(overflow, exit_tracked, 120)
{
	struct io_uring other;

	ASSERT_EQ(0, iou_ring_init(&other, 0));
	self->skel->bss->again = 1;
	self->skel->bss->poll_fd = other.ring_fd;
	run_exit(_metadata, self, variant->setup, &other);
	io_uring_queue_exit(&other);
}

TEST_HARNESS_MAIN
