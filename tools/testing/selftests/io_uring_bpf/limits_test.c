// SPDX-License-Identifier: GPL-2.0
/* How much there can be of what, where it takes more than a program to see. */
#include "iou_until.h"
#include "kselftest_harness.h"
#include "flow.skel.h"

#define FLOW		0xf10aULL
#define READ		0x4eadULL
#define CANCEL		0xca4cULL

#define MAX_FLOWS	65536U
#define MAX_ENTRIES	32768U
/* requests that are issued for one flow while others wait */
#define BURST		64

FIXTURE(limits) {
	struct io_uring ring;
	struct flow *skel;
	struct bpf_link *link;
	int pipe[2];
	char buf[16];
};

IOU_MODE_VARIANTS(limits);
IOU_LOAD_ONCE(flow);

FIXTURE_SETUP(limits)
{
	/* for all flows that there can be */
	const unsigned int nr = variant->setup ? IOU_ENTRIES : MAX_ENTRIES;

	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init_size(&self->ring, variant->setup, nr,
					2 * nr));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = flow_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(limits)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
}

/* A read that waits, and @nr flows behind it, which have a place from now on. */
static int submit_chain(FIXTURE_DATA(limits) *self, unsigned int nr)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_read(sqe, self->pipe[0], self->buf, 1, 0, READ);
	while (nr--) {
		sqe->flags = IOSQE_IO_LINK;
		sqe = iou_queue_bpf(&self->ring, 0, FLOW);
	}
	return iou_submit(&self->ring);
}

static int cancel_reads(FIXTURE_DATA(limits) *self)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	io_uring_prep_cancel64(sqe, READ, IORING_ASYNC_CANCEL_ALL);
	sqe->user_data = CANCEL;
	return iou_submit(&self->ring);
}

/* Takes @nr CQEs, of which @flows are of flows that were cancelled. */
#define expect_cancelled(nr, flows) do {				\
	unsigned int __flows = 0;					\
	struct io_uring_cqe __cqe;					\
									\
	for (unsigned int __i = 0; __i < (nr); __i++) {			\
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &__cqe));	\
		if (__cqe.user_data != FLOW)				\
			continue;					\
		ASSERT_EQ(-ECANCELED, __cqe.res);			\
		__flows++;						\
	}								\
	ASSERT_EQ(flows, __flows);					\
	ASSERT_NO_CQE(&self->ring);					\
} while (0)

/* All of them end by a cancellation, with more CQEs than there is room for. */
TEST_F_TIMEOUT(limits, flows, 300)
{
	const unsigned int chain = MAX_ENTRIES - 1;

	if (variant->setup)
		SKIP(return, "once is enough, it takes long");
	self->link = IOU_ATTACH(self->skel->progs.flow_log, &self->ring, 0);
	ASSERT_EQ(1 + chain, submit_chain(self, chain));
	ASSERT_EQ(1 + chain, submit_chain(self, chain));
	ASSERT_EQ(3, submit_chain(self, MAX_FLOWS - 2 * chain));
	ASSERT_EQ(0, self->skel->bss->nr_events);
	for (int i = 0; i < 3; i++) {
		iou_queue_bpf(&self->ring, 0, FLOW + 1);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW + 1, -EBUSY);
	}
	ASSERT_EQ(1, cancel_reads(self));
	expect_cancelled(MAX_FLOWS + 3 + 1, MAX_FLOWS);
	/* the read, or the flow before, has failed */
	ASSERT_EQ(MAX_FLOWS, self->skel->bss->nr_events);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
}

/* No hop is lost where a flow has to make way. */
TEST_F(limits, budget)
{
	const int budget = iou_budget(variant->setup);
	const int nr[] = { BURST, budget, 2 * budget, 3 * budget };

	self->link = IOU_ATTACH(self->skel->progs.flow_count, &self->ring, 0);
	for (size_t i = 0; i < ARRAY_SIZE(nr); i++) {
		for (int off = -2; off <= 2; off++) {
			iou_queue_bpf(&self->ring, 0, FLOW)->off = nr[i] + off;
			ASSERT_EQ(1, iou_submit(&self->ring));
			ASSERT_CQE(&self->ring, FLOW, nr[i] + off);
		}
	}
	ASSERT_NO_CQE(&self->ring);
}

/* Up to it a flow makes way for nobody: it has ended when it's submitted. */
TEST_F(limits, budget_in_place)
{
	const int budget = iou_budget(variant->setup);

	self->link = IOU_ATTACH(self->skel->progs.flow_count, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW)->off = budget;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(1, io_uring_cq_ready(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, budget);
}

static __u64 counted(FIXTURE_DATA(limits) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_counted);
}

/* The ring goes on when it's told to, each time for as long. */
static void kept_until_told(struct __test_metadata *_metadata,
			    FIXTURE_DATA(limits) *self)
{
	for (int i = 1; i <= 3; i++) {
		ASSERT_EQ(i * IOU_BUDGET, counted(self));
		ASSERT_EQ(0, io_uring_get_events(&self->ring));
	}
}

/*
 * The task is called back at any time, but gets here in between. So it sees but
 * multiples, and two in succession unless it's held up.
 */
static void kept_until_called(struct __test_metadata *_metadata,
			      FIXTURE_DATA(limits) *self)
{
	__u64 end = iou_now_ms() + IOU_WAIT_MS, last, nr = 0;

	do {
		last = nr;
		while ((nr = counted(self)) == last && iou_now_ms() < end)
			usleep(100);
		ASSERT_EQ(0, nr % IOU_BUDGET);
	} while (nr - last != IOU_BUDGET && iou_now_ms() < end);
	ASSERT_EQ(IOU_BUDGET, nr - last);
}

/* The SQ thread gets to see these SQEs, but is not woken for them. */
static void publish(struct io_uring *ring)
{
	io_uring_smp_store_release(ring->sq.ktail, ring->sq.sqe_tail);
	ring->sq.sqe_head = ring->sq.sqe_tail;
}

static bool sq_thread_sleeps(struct io_uring *ring)
{
	return IO_URING_READ_ONCE(*ring->sq.kflags) & IORING_SQ_NEED_WAKEUP;
}

/*
 * Has the thread come to a flow of @first, which it looks at before the ring of
 * the test, and then to one of that? Tells how far the former had got.
 */
static bool makes_way(struct __test_metadata *_metadata,
		      FIXTURE_DATA(limits) *self, struct io_uring *first)
{
	struct bpf_link *link;

	ASSERT_TRUE(iou_until(&self->ring, sq_thread_sleeps(&self->ring)));
	link = IOU_ATTACH(self->skel->progs.flow_count, first, 0);
	self->skel->bss->counted_by_first = 0;
	self->skel->bss->nr_counted = 0;
	/* notes what has been counted, and ends */
	iou_queue_bpf(&self->ring, 0, FLOW);
	publish(&self->ring);
	iou_queue_bpf(first, 0, FLOW)->off = 1000 * IOU_SQ_BUDGET;
	ASSERT_EQ(1, iou_submit(first));
	ASSERT_CQE(&self->ring, FLOW, 0);
	bpf_link__destroy(link);
	return self->skel->bss->counted_by_first;
}

/* The other rings of the thread have their turn. */
static void kept_in_sq_thread(struct __test_metadata *_metadata,
			      FIXTURE_DATA(limits) *self)
{
	bool done = false;

	/* if it isn't asleep yet it may come to the second one by itself */
	for (int i = 0; i < 100 && !done; i++) {
		struct io_uring_params p = {
			.flags	= IORING_SETUP_SQPOLL | IORING_SETUP_ATTACH_WQ,
			.wq_fd	= self->ring.ring_fd,
			.sq_thread_idle	= 1,
		};
		struct io_uring first;

		ASSERT_EQ(0, io_uring_queue_init_params(1, &first, &p));
		done = makes_way(_metadata, self, &first);
		io_uring_queue_exit(&first);
	}
	ASSERT_EQ(IOU_SQ_BUDGET, self->skel->bss->counted_by_first);
}

/* When it has been used up others have their turn, with work left to do. */
TEST_F(limits, budget_is_kept)
{
	self->link = IOU_ATTACH(self->skel->progs.flow_count, &self->ring, 0);
	if (variant->setup & IORING_SETUP_SQPOLL) {
		kept_in_sq_thread(_metadata, self);
		return;
	}
	/* no multiple, should it get to the end in one go */
	iou_queue_bpf(&self->ring, 0, FLOW)->off = 100 * IOU_BUDGET + 1;
	ASSERT_EQ(1, iou_submit(&self->ring));
	if (variant->setup & IORING_SETUP_DEFER_TASKRUN)
		kept_until_told(_metadata, self);
	else
		kept_until_called(_metadata, self);
}

/* A flow goes on without the others for so long, if it's not the only one. */
TEST_F(limits, burst)
{
	const int flows = 3, nr = 3 * BURST;
	struct io_uring_cqe cqe;

	self->link = IOU_ATTACH(self->skel->progs.flow_count, &self->ring, 0);
	for (int i = 0; i < flows; i++)
		iou_queue_bpf(&self->ring, 0, FLOW)->off = nr;
	ASSERT_EQ(flows, iou_submit(&self->ring));
	for (int i = 0; i < flows; i++)
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_EQ(flows * nr, self->skel->bss->nr_counted);
	/* when it's through, each of the others has had one turn at least */
	ASSERT_LT(nr + BURST, self->skel->bss->counted_by_first);
}

/* The same with others that want to go on. */
TEST_F(limits, budget_of_many)
{
	const int flows = 7, nr = IOU_BUDGET / 3;
	struct io_uring_cqe cqes[flows];

	self->link = IOU_ATTACH(self->skel->progs.flow_count, &self->ring, 0);
	for (int i = 0; i < flows; i++)
		iou_queue_bpf(&self->ring, 0, FLOW + i)->off = nr + i;
	ASSERT_EQ(flows, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, flows));
	for (int i = 0; i < flows; i++)
		ASSERT_HAS_CQE(cqes, flows, FLOW + i, nr + i);
	ASSERT_NO_CQE(&self->ring);
}

TEST_HARNESS_MAIN
