// SPDX-License-Identifier: GPL-2.0
/* Rings with other setup flags, which do not affect programs */
#include <pthread.h>
#include <sys/mman.h>

#include "mode.h"

#define NR_CHILDREN	8

FIXTURE(mode_ring) {
	struct io_uring ring;
	struct mode *skel;
	struct bpf_link *link;
	int pipe[2];
	char buf[64];
};

FIXTURE_SETUP(mode_ring)
{
	IOU_REQUIRE();
	self->skel = mode_get();
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, pipe(self->pipe));
	self->ring.ring_fd = -1;
}

FIXTURE_TEARDOWN(mode_ring)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	if (self->ring.ring_fd >= 0)
		io_uring_queue_exit(&self->ring);
}

static void mode_attach(struct __test_metadata *_metadata,
			FIXTURE_DATA(mode_ring) *self)
{
	self->link = IOU_ATTACH(self->skel->progs.mode_batch, &self->ring, 0);
}

static void mode_add_nops(FIXTURE_DATA(mode_ring) *self)
{
	for (int i = 0; i < NR_CHILDREN; i++)
		mode_add_nop(self->skel, i, i & 1 ? IORING_NOP_TW : 0);
}

static void mode_expect_flow(struct __test_metadata *_metadata,
			     FIXTURE_DATA(mode_ring) *self)
{
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1 + NR_CHILDREN, self->skel->bss->nr_events);
	self->skel->bss->nr_events = 0;
}

static void mode_disabled(struct __test_metadata *_metadata,
			  FIXTURE_DATA(mode_ring) *self, unsigned int setup)
{
	ASSERT_EQ(0, iou_ring_init(&self->ring,
				   setup | IORING_SETUP_R_DISABLED));
	mode_attach(_metadata, self);
	mode_add_nops(self);
	ASSERT_EQ(0, iou_enable_ring(&self->ring));
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	mode_expect_flow(_metadata, self);
}

TEST_F(mode_ring, disabled)
{
	mode_disabled(_metadata, self, 0);
}

/* The task that enables the ring becomes its single issuer. */
TEST_F(mode_ring, disabled_defer)
{
	mode_disabled(_metadata, self, IOU_DEFER);
}

/*
 * An SQE that fails its preparation ends the submission, not earlier requests.
 */
TEST_F(mode_ring, without_submit_all)
{
	struct io_uring_cqe cqes[3];

	ASSERT_EQ(0, io_uring_queue_init(8, &self->ring, 0));
	mode_attach(_metadata, self);
	mode_add_nops(self);
	/* nor does an SQE of a program */
	self->skel->bss->sqes[1].nop_flags = 1U << 31;
	iou_queue_bpf(&self->ring, 0, FLOW);
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 1U << 31, NOP);
	iou_queue_bpf(&self->ring, 0, FLOW + 1);
	ASSERT_EQ(2, io_uring_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, 0);
	ASSERT_HAS_CQE(cqes, 2, NOP, -EINVAL);
	ASSERT_EQ(1 + NR_CHILDREN, self->skel->bss->nr_events);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW + 1, 0);
}

TEST_F(mode_ring, no_sqarray)
{
	struct io_uring_params p = { .flags = IORING_SETUP_NO_SQARRAY };

	ASSERT_EQ(0, iou_ring_init_raw(&self->ring, IOU_ENTRIES, &p));
	mode_attach(_metadata, self);
	mode_add_nops(self);
	for (int i = 0; i < 2 * IOU_ENTRIES; i++) {
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, io_uring_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, 0);
	}
	ASSERT_EQ(2 * IOU_ENTRIES * (1 + NR_CHILDREN),
		  self->skel->bss->nr_events);
}

/* The SQ starts from its beginning with each submission. */
TEST_F(mode_ring, sq_rewind)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_NO_SQARRAY | IORING_SETUP_SQ_REWIND,
	};

	ASSERT_EQ(0, iou_ring_init_raw(&self->ring, IOU_ENTRIES, &p));
	mode_attach(_metadata, self);
	mode_add_nops(self);
	for (int i = 0; i < 3; i++) {
		iou_prep_bpf(&self->ring.sq.sqes[0], 0, 0, 0, 0, 0);
		self->ring.sq.sqes[0].user_data = FLOW;
		iou_prep_nop(&self->ring.sq.sqes[1], i, 0, NOP);
		ASSERT_EQ(2, io_uring_enter(self->ring.ring_fd, 2, 0, 0, NULL));
		ASSERT_CQE(&self->ring, NOP, i);
		mode_expect_flow(_metadata, self);
	}
}

/* In memory of the application: a page for the rings, and one for the SQEs */
static int mode_init_no_mmap(struct io_uring *ring)
{
	struct io_uring_params p = { .flags = IORING_SETUP_NO_MMAP };
	size_t size = getpagesize();
	char *mem = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
			 MAP_ANONYMOUS | MAP_SHARED | MAP_POPULATE, -1, 0);

	if (mem == MAP_FAILED)
		return -errno;
	p.cq_off.user_addr = (unsigned long)mem;
	p.sq_off.user_addr = (unsigned long)mem + size;
	ring->ring_fd = io_uring_setup(8, &p);
	if (ring->ring_fd < 0)
		return ring->ring_fd;
	ring->enter_ring_fd = ring->ring_fd;
	ring->flags = p.flags;
	ring->features = p.features;
	ring->sq = (struct io_uring_sq) {
		.khead		= (void *)(mem + p.sq_off.head),
		.ktail		= (void *)(mem + p.sq_off.tail),
		.kflags		= (void *)(mem + p.sq_off.flags),
		.kring_mask	= (void *)(mem + p.sq_off.ring_mask),
		.kring_entries	= (void *)(mem + p.sq_off.ring_entries),
		.array		= (void *)(mem + p.sq_off.array),
		.sqes		= (void *)(mem + size),
		.ring_mask	= p.sq_entries - 1,
		.ring_entries	= p.sq_entries,
	};
	ring->cq = (struct io_uring_cq) {
		.khead		= (void *)(mem + p.cq_off.head),
		.ktail		= (void *)(mem + p.cq_off.tail),
		.kring_mask	= (void *)(mem + p.cq_off.ring_mask),
		.kring_entries	= (void *)(mem + p.cq_off.ring_entries),
		.cqes		= (void *)(mem + p.cq_off.cqes),
		.ring_mask	= p.cq_entries - 1,
		.ring_entries	= p.cq_entries,
	};
	for (unsigned int i = 0; i < p.sq_entries; i++)
		ring->sq.array[i] = i;
	return 0;
}

TEST_F(mode_ring, no_mmap)
{
	ASSERT_EQ(0, mode_init_no_mmap(&self->ring));
	mode_attach(_metadata, self);
	mode_add_nops(self);
	for (int i = 0; i < 20; i++) {
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, io_uring_submit(&self->ring));
		mode_expect_flow(_metadata, self);
	}
}

TEST_F(mode_ring, registered_fd)
{
	ASSERT_EQ(0, iou_ring_init(&self->ring, IOU_DEFER));
	ASSERT_EQ(1, io_uring_register_ring_fd(&self->ring));
	mode_attach(_metadata, self);
	mode_add_nops(self);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	mode_expect_flow(_metadata, self);
}

/* Flows and children in flight, and overflowed CQEs, move to the new rings. */
TEST_F(mode_ring, resized)
{
	const int nr = 3;
	struct io_uring_cqe cqes[2 * nr];
	int flows = 0;

	ASSERT_EQ(0, iou_ring_init(&self->ring, IOU_DEFER));
	mode_attach(_metadata, self);
	mode_add_nops(self);
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], self->buf, 1, 0,
		      CHILD);
	self->skel->bss->verdicts[0] = BPF_IO_URING_POST;
	self->skel->bss->verdicts[1] = BPF_IO_URING_POST;
	for (int i = 0; i < nr; i++)
		iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(nr, io_uring_submit(&self->ring));
	ASSERT_EQ(0, io_uring_get_events(&self->ring));
	ASSERT_EQ(nr * NR_CHILDREN, self->skel->bss->nr_events);
	ASSERT_EQ(0, iou_resize_ring(&self->ring, 2 * IOU_ENTRIES,
				     8 * IOU_ENTRIES));
	for (int i = 0; i < nr; i++)
		ASSERT_CQE(&self->ring, CHILD + 1, 1);
	ASSERT_EQ(nr, write(self->pipe[1], "123", nr));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2 * nr));
	for (int i = 0; i < 2 * nr; i++) {
		flows += cqes[i].user_data == FLOW;
		ASSERT_EQ(cqes[i].user_data == FLOW ? 0 : 1, cqes[i].res);
	}
	ASSERT_EQ(nr, flows);
	self->skel->bss->nr_events = 0;
	iou_prep_nop(&self->skel->bss->sqes[0], 0, 0, CHILD);
	memset(self->skel->bss->verdicts, 0, sizeof(self->skel->bss->verdicts));
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	mode_expect_flow(_metadata, self);
}

struct mode_thread {
	FIXTURE_DATA(mode_ring) *self;
	pthread_barrier_t barrier;
	pid_t tid;
	__u64 user_data;
};

static void *mode_submit_thread(void *arg)
{
	struct mode_thread *thread = arg;

	thread->tid = gettid();
	iou_queue_bpf(&thread->self->ring, 0, thread->user_data);
	io_uring_submit(&thread->self->ring);
	pthread_barrier_wait(&thread->barrier);
	/* until the test has checked */
	pthread_barrier_wait(&thread->barrier);
	return NULL;
}

/* Flows run in the thread that has submitted them, whichever thread waits. */
TEST_F(mode_ring, two_threads)
{
	struct mode_thread thread = { .self = self, .user_data = FLOW + 1 };
	struct io_uring_cqe cqes[2];
	pthread_t tid;

	ASSERT_EQ(0, iou_ring_init(&self->ring, 0));
	mode_attach(_metadata, self);
	iou_prep_read(mode_add_sqe(self->skel), self->pipe[0], self->buf, 1, 0,
		      CHILD);
	ASSERT_EQ(0, pthread_barrier_init(&thread.barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&tid, NULL, mode_submit_thread, &thread));
	pthread_barrier_wait(&thread.barrier);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_EQ(2, write(self->pipe[1], "12", 2));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, 0);
	ASSERT_HAS_CQE(cqes, 2, FLOW + 1, 0);
	ASSERT_EQ(4, self->skel->bss->nr_events);
	for (int i = 0; i < 4; i++) {
		bool ours = self->skel->bss->events[i].flow_user_data == FLOW;

		ASSERT_EQ(ours ? gettid() : thread.tid,
			  self->skel->bss->tids[i]);
	}
	pthread_barrier_wait(&thread.barrier);
	ASSERT_EQ(0, pthread_join(tid, NULL));
}

/* Both have used up the budget of a ring, and both are resumed. */
TEST_F(mode_ring, two_threads_endless)
{
	struct mode_thread thread = { .self = self, .user_data = FLOW + 1 };
	struct mode__bss *bss = self->skel->bss;
	pthread_t tid;

	ASSERT_EQ(0, iou_ring_init(&self->ring, 0));
	self->link = IOU_ATTACH(self->skel->progs.mode_endless, &self->ring, 0);
	iou_prep_nop(mode_add_sqe(self->skel), 0, 0, CHILD);
	ASSERT_EQ(0, pthread_barrier_init(&thread.barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&tid, NULL, mode_submit_thread, &thread));
	pthread_barrier_wait(&thread.barrier);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	for (int i = 0; i < 2; i++) {
		__u64 runs = IO_URING_READ_ONCE(bss->runs_of[i]);

		ASSERT_TRUE(mode_until(IO_URING_READ_ONCE(bss->runs_of[i]) >
				       runs + 10000));
	}
	IO_URING_WRITE_ONCE(bss->stop, 1);
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe cqe;

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(0, cqe.res);
	}
	pthread_barrier_wait(&thread.barrier);
	ASSERT_EQ(0, pthread_join(tid, NULL));
}

static void *mode_drain_thread(void *arg)
{
	struct mode_thread *thread = arg;
	struct io_uring *ring = &thread->self->ring;

	iou_prep_read(iou_get_sqe(ring), thread->self->pipe[0],
		      thread->self->buf, 1, 0, NOP);
	for (int i = 0; i < 8; i++)
		iou_queue_bpf(ring, 0, FLOW)->flags = IOSQE_IO_DRAIN;
	io_uring_submit(ring);
	pthread_barrier_wait(&thread->barrier);
	pthread_barrier_wait(&thread->barrier);
	return NULL;
}

/* Flows of another thread, with @nr requests of this one in between */
static void mode_drain_round(struct __test_metadata *_metadata,
			     FIXTURE_DATA(mode_ring) *self, unsigned int nr)
{
	struct mode_thread thread = { .self = self };
	unsigned int flows = 0, nops = 0;
	struct io_uring_cqe cqe;
	pthread_t tid;

	ASSERT_EQ(0, pthread_barrier_init(&thread.barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&tid, NULL, mode_drain_thread, &thread));
	pthread_barrier_wait(&thread.barrier);
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	while (flows < 8 || nops < nr) {
		if (nops < nr) {
			iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, NOP + 1);
			ASSERT_EQ(1, io_uring_submit(&self->ring));
		}
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_LE(0, cqe.res);
		flows += cqe.user_data == FLOW;
		nops += cqe.user_data == NOP + 1;
	}
	pthread_barrier_wait(&thread.barrier);
	ASSERT_EQ(0, pthread_join(tid, NULL));
}

/*
 * A flow behind a drain gets START by a worker, and waits for its own task.
 * Other flows do not wait for it, and it does not need them.
 */
TEST_F(mode_ring, start_waits_for_its_task)
{
	ASSERT_EQ(0, iou_ring_init(&self->ring, 0));
	mode_attach(_metadata, self);
	mode_drain_round(_metadata, self, 200);
	mode_drain_round(_metadata, self, 0);
}

TEST_HARNESS_MAIN
