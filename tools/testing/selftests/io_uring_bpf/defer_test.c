// SPDX-License-Identifier: GPL-2.0
/*
 * Waits for CQEs in all modes of task work: completions of a flow without CQEs
 * neither end a wait nor prevent its end.
 */
#include "iou_bpf.h"

#include <pthread.h>

#include "kselftest_harness.h"
#include "defer.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define APP	0xa44ULL

#define HOPS	100

FIXTURE(defer) {
	struct io_uring ring;
	struct defer *skel;
	struct bpf_link *link;
	pthread_t thread;
	/*
	 * a flow reads from the first pipe and writes to the second, one byte
	 * at a time
	 */
	int ping[2];
	int pong[2];
	/* of requests beside the flow, if there are any */
	int other[2];
	char in;
	char out;
	struct __kernel_timespec ts;
};

FIXTURE_VARIANT(defer) {
	unsigned int setup;
};

FIXTURE_VARIANT_ADD(defer, plain) {
};

FIXTURE_VARIANT_ADD(defer, coop) {
	.setup = IORING_SETUP_COOP_TASKRUN,
};

FIXTURE_VARIANT_ADD(defer, coop_flag) {
	.setup = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
};

FIXTURE_VARIANT_ADD(defer, defer) {
	.setup = IOU_DEFER,
};

FIXTURE_VARIANT_ADD(defer, defer_flag) {
	.setup = IOU_DEFER | IORING_SETUP_TASKRUN_FLAG,
};

IOU_LOAD_ONCE(defer);

FIXTURE_SETUP(defer)
{
	struct io_uring_sqe *sqes;

	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->ping));
	ASSERT_EQ(0, pipe(self->pong));
	self->skel = defer_get();
	ASSERT_NE(NULL, self->skel);
	self->link = IOU_ATTACH(self->skel->progs.defer_hop, &self->ring, 0);

	sqes = self->skel->bss->sqes;
	iou_prep_read(&sqes[0], self->ping[0], &self->in, 1, 0, CHILD);
	iou_prep_write(&sqes[1], self->pong[1], &self->out, 1, 0, CHILD + 1);
	self->skel->bss->nr_sqes = 2;
}

FIXTURE_TEARDOWN(defer)
{
	bpf_link__destroy(self->link);
	for (int i = 0; i < 2; i++) {
		close(self->ping[i]);
		close(self->pong[i]);
	}
	io_uring_queue_exit(&self->ring);
}

static void queue_hops(FIXTURE_DATA(defer) *self, unsigned int nr)
{
	iou_queue_bpf(&self->ring, 0, FLOW)->off = nr;
}

static void queue_read(FIXTURE_DATA(defer) *self, int fd)
{
	iou_prep_read(iou_get_sqe(&self->ring), fd, &self->in, 1, 0, APP);
}

static void set_timeout(FIXTURE_DATA(defer) *self, unsigned int ms)
{
	self->ts.tv_nsec = ms * 1000000;
	io_uring_prep_timeout(&self->skel->bss->sqes[0], &self->ts, 0, 0);
	self->skel->bss->sqes[0].user_data = CHILD;
	self->skel->bss->nr_sqes = 1;
}

/* Let the flow perform half of HOPS reads, each from an empty pipe. */
static void *ping_fn(void *data)
{
	FIXTURE_DATA(defer) *self = data;
	char c;

	for (int i = 0; i < HOPS / 2; i++) {
		usleep(1000);
		if (write(self->ping[1], "p", 1) != 1 ||
		    read(self->pong[0], &c, 1) != 1)
			break;
	}
	if (self->other[1] && write(self->other[1], "xy", 2) != 2)
		return "other";
	return NULL;
}

TEST_F(defer, wait_for_one)
{
	queue_hops(self, HOPS);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, ping_fn, self));
	ASSERT_EQ(0, iou_wait_nr(&self->ring, 1));
	ASSERT_EQ(0, pthread_join(self->thread, NULL));
	ASSERT_EQ(1, io_uring_cq_ready(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, HOPS);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1 + HOPS, self->skel->bss->nr_events);
}

/*
 * Completions without CQEs must not count as CQEs, and the flow has to continue
 * although the waiter waits for more than the flow posts.
 */
TEST_F(defer, wait_for_several)
{
	struct io_uring_cqe cqes[3];

	/*
	 * the other requests complete last, so the flow alone has to wake the
	 * waiter
	 */
	ASSERT_EQ(0, pipe(self->other));
	queue_hops(self, HOPS);
	queue_read(self, self->other[0]);
	queue_read(self, self->other[0]);
	ASSERT_EQ(3, io_uring_submit(&self->ring));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, ping_fn, self));
	ASSERT_EQ(0, iou_wait_nr(&self->ring, 3));
	ASSERT_EQ(0, pthread_join(self->thread, NULL));
	ASSERT_EQ(3, io_uring_cq_ready(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, FLOW, HOPS);
	ASSERT_HAS_CQE(cqes, 3, APP, 1);
	ASSERT_NO_CQE(&self->ring);
	close(self->other[0]);
	close(self->other[1]);
}

TEST_F(defer, several_flows)
{
	const int nr = 8;
	struct io_uring_cqe cqes[nr];

	iou_prep_nop(&self->skel->bss->sqes[0], 0, IORING_NOP_TW, CHILD);
	iou_prep_nop(&self->skel->bss->sqes[1], 0, 0, CHILD);
	for (int i = 0; i < nr; i++) {
		struct io_uring_sqe *sqe;

		sqe = iou_queue_bpf(&self->ring, 0, FLOW + i);
		sqe->off = HOPS + i;
	}
	ASSERT_EQ(nr, io_uring_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_nr(&self->ring, nr));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, nr));
	for (int i = 0; i < nr; i++)
		ASSERT_HAS_CQE(cqes, nr, FLOW + i, HOPS + i);
	ASSERT_NO_CQE(&self->ring);
}

/* More hops than the budget, so that the flow waits and resumes. */
TEST_F(defer, long_flow)
{
	const int nr = 5000;

	for (int i = 0; i < 2; i++) {
		iou_prep_nop(&self->skel->bss->sqes[0], 0,
			     i ? IORING_NOP_TW : 0, CHILD);
		self->skel->bss->nr_sqes = 1;
		self->skel->bss->nr_events = 0;
		queue_hops(self, nr);
		ASSERT_EQ(1, io_uring_submit(&self->ring));
		ASSERT_EQ(0, iou_wait_nr(&self->ring, 1));
		ASSERT_CQE(&self->ring, FLOW, nr);
		ASSERT_EQ(1 + nr, self->skel->bss->nr_events);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* One system call, which does not return before there is a CQE */
TEST_F(defer, timeout_does_not_end_wait)
{
	set_timeout(self, 20);
	queue_hops(self, 5);
	ASSERT_EQ(1, io_uring_submit_and_wait(&self->ring, 1));
	ASSERT_EQ(1, io_uring_cq_ready(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 5);
	ASSERT_EQ(6, self->skel->bss->nr_events);
}

/* Timeouts with a sequence count only posted CQEs. */
TEST_F(defer, timeout_sequence)
{
	struct __kernel_timespec ts = { .tv_sec = 60 };
	struct io_uring_sqe *sqe;

	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_timeout(sqe, &ts, 2, 0);
	sqe->user_data = APP;
	set_timeout(self, 5);
	queue_hops(self, 5);
	ASSERT_EQ(2, io_uring_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 5);
	ASSERT_NO_CQE(&self->ring);

	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, CHILD);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_CQE(&self->ring, CHILD, 0);
	ASSERT_CQE(&self->ring, APP, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* A wait with a time limit ends in time while a flow is busy. */
static void wait_times_out(struct __test_metadata *_metadata,
			   FIXTURE_DATA(defer) *self, unsigned int nop_flags)
{
	struct __kernel_timespec ts = { .tv_nsec = 50000000 };
	__u64 start = iou_now_ms();
	struct io_uring_cqe *cqe;

	iou_prep_nop(&self->skel->bss->sqes[0], 0, nop_flags, CHILD);
	self->skel->bss->nr_sqes = 1;
	/* endless */
	iou_queue_bpf(&self->ring, 0, FLOW)->off = ~0ULL;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_EQ(-ETIME, io_uring_wait_cqe_timeout(&self->ring, &cqe, &ts));
	ASSERT_GT(5000, iou_now_ms() - start);

	io_uring_prep_cancel64(iou_get_sqe(&self->ring), FLOW, 0);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_nr(&self->ring, 2));
}

TEST_F(defer, wait_times_out)
{
	wait_times_out(_metadata, self, 0);
}

TEST_F(defer, wait_times_out_task_work)
{
	wait_times_out(_metadata, self, IORING_NOP_TW);
}

TEST_HARNESS_MAIN
