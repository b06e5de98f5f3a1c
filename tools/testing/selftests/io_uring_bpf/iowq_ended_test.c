// SPDX-License-Identifier: GPL-2.0
/*
 * Flows that end while workers of io-wq are still at requests of other flows. The end of a
 * flow with children in flight searches io-wq for these children. It also finds a request
 * that has completed, and that its worker has not put aside yet: the index of the flow of
 * such a request is free, or belongs to another flow.
 */
#include "iou_bpf.h"

#include <sched.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "iowq.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL

/* kinds of flows: with one child in a worker, or ended by the program */
#define ASYNC_NOP	0
#define ASYNC_FSYNC	1
#define ENDED		2
#define NR_KINDS	3
/* result of the flows that are ended */
#define RES		5

/* limits of a stress test, whichever comes first */
#define STRESS_MS	2000
#define STRESS_FLOWS	20000
/* flows in flight: there are more when there are not enough */
#define WINDOW		48
#define ENOUGH		16

FIXTURE(iowq_ended) {
	struct io_uring ring;
	struct iowq *skel;
	struct bpf_link *link;
	/* no data is ever written to it */
	int pair[2];
	int pipe[2];
	int fd;
	char buf[16];
};

IOU_MODE_VARIANTS(iowq_ended);
IOU_LOAD_ONCE(iowq);

/* Return the SQE of child @n: that of kind @n, or ENDED + 1 for the second of ENDED. */
static struct io_uring_sqe *child(FIXTURE_DATA(iowq_ended) *self, int n)
{
	return &self->skel->bss->sqes[n];
}

static void name_child(FIXTURE_DATA(iowq_ended) *self, int n, unsigned int flags)
{
	child(self, n)->flags = flags;
	child(self, n)->user_data = CHILD + n;
}

FIXTURE_SETUP(iowq_ended)
{
	char path[] = "/tmp/io_uring_bpf.XXXXXX";

	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->pair));
	ASSERT_EQ(0, pipe(self->pipe));
	self->fd = mkstemp(path);
	ASSERT_LE(0, self->fd);
	unlink(path);
	self->skel = iowq_get();
	ASSERT_NE(NULL, self->skel);
	self->skel->bss->end_res = RES;
	self->link = IOU_ATTACH(self->skel->progs.iowq_end, &self->ring, 0);

	io_uring_prep_nop(child(self, ASYNC_NOP));
	name_child(self, ASYNC_NOP, IOSQE_ASYNC);
	io_uring_prep_fsync(child(self, ASYNC_FSYNC), self->fd, 0);
	name_child(self, ASYNC_FSYNC, IOSQE_ASYNC);
	io_uring_prep_recv(child(self, ENDED), self->pair[0], self->buf, 1, 0);
	name_child(self, ENDED, 0);
	io_uring_prep_nop(child(self, ENDED + 1));
	name_child(self, ENDED + 1, IOSQE_ASYNC);
}

FIXTURE_TEARDOWN(iowq_ended)
{
	bpf_link__destroy(self->link);
	for (int i = 0; i < 2; i++) {
		close(self->pair[i]);
		close(self->pipe[i]);
	}
	close(self->fd);
	io_uring_queue_exit(&self->ring);
}

static void queue_flow(FIXTURE_DATA(iowq_ended) *self, unsigned int kind)
{
	iou_queue_bpf(&self->ring, 0, FLOW + kind)->off = kind;
}

/* Run flows of all kinds, with more than a few of them in flight at any time. */
static void stress(struct __test_metadata *_metadata, FIXTURE_DATA(iowq_ended) *self)
{
	unsigned int nr = 0, in_flight = 0, queued;
	__u64 end = iou_now_ms() + STRESS_MS;
	struct io_uring_cqe cqe;

	do {
		queued = 0;
		if (in_flight <= ENOUGH && nr < STRESS_FLOWS && iou_now_ms() < end) {
			for (queued = WINDOW - in_flight; in_flight < WINDOW; in_flight++)
				queue_flow(self, nr++ % NR_KINDS);
			ASSERT_EQ(queued, iou_submit(&self->ring));
		}
		if (!in_flight)
			break;
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe)) {
			TH_LOG("%u of %u flows do not end", in_flight, nr);
		}
		ASSERT_GT(NR_KINDS, cqe.user_data - FLOW);
		ASSERT_EQ(cqe.user_data == FLOW + ENDED ? RES : 0, cqe.res) {
			TH_LOG("flow of kind %d", (int)(cqe.user_data - FLOW));
		}
		in_flight--;
	} while (1);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(iowq_ended, beside_short_flows)
{
	stress(_metadata, self);
}

/* A worker issues the receive, before or while the flow cancels it. */
TEST_F(iowq_ended, beside_short_flows_async)
{
	name_child(self, ENDED, IOSQE_ASYNC);
	stress(_metadata, self);
}

/*
 * Let the task preempt a worker that wakes it: they share a CPU, and the task has a
 * realtime priority, which the worker does not inherit.
 */
static int preempt_workers(FIXTURE_DATA(iowq_ended) *self)
{
	struct sched_param param = { .sched_priority = 1 };
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		return -errno;
	/* not permitted with some configurations: the test then shows less */
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
	return iou_register(&self->ring, IORING_REGISTER_IOWQ_AFF, &cpus, sizeof(cpus));
}

/*
 * The worker has added the task work of its request, and does nothing more before the
 * flow of the request has completed, and another flow has ended.
 */
TEST_F(iowq_ended, worker_is_late)
{
	ASSERT_EQ(0, preempt_workers(self));
	iou_prep_read(child(self, ENDED + 1), self->pipe[0], self->buf, 1, 0, 0);
	name_child(self, ENDED + 1, 0);
	for (int i = 0; i < 200; i++) {
		queue_flow(self, ENDED);
		queue_flow(self, i % 2 ? ASYNC_NOP : ASYNC_FSYNC);
		ASSERT_EQ(2, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW + (i % 2 ? ASYNC_NOP : ASYNC_FSYNC), 0);
		ASSERT_EQ(1, write(self->pipe[1], "x", 1));
		ASSERT_CQE(&self->ring, FLOW + ENDED, RES);
	}
	ASSERT_NO_CQE(&self->ring);
}

TEST_HARNESS_MAIN
