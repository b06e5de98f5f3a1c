// SPDX-License-Identifier: GPL-2.0
/* Limits whose test requires a large number of flows or hops */
#include "iou_until.h"
#include "kselftest_harness.h"
#include "flow.skel.h"

#define FLOW		0xf10aULL
#define READ		0x4eadULL
#define CANCEL		0xca4cULL

#define MAX_FLOWS	65536U
#define MAX_ENTRIES	32768U
/* completions and requests between two reads of the clock */
#define SLICE		128
/* hops of a flow before the others run, unless all of them wait for time */
#define BURST		SLICE
/* more hops than any test performs */
#define ENDLESS		(1ULL << 40)

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
	/* for the maximum number of flows */
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

/* Submit a read that waits, and @nr flows behind it, each with an index. */
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

/* Take @nr CQEs, of which @flows belong to cancelled flows. */
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

/* All flows are cancelled, with more CQEs than the CQ has entries. */
TEST_F_TIMEOUT(limits, flows, 300)
{
	const unsigned int chain = MAX_ENTRIES - 1;

	if (variant->setup)
		SKIP(return, "slow, one variant suffices");
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

/* No hop is lost when a flow waits. */
TEST_F(limits, budget)
{
	const int nr[] = { SLICE / 2, SLICE, 10 * SLICE, 30 * SLICE };

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

static __u64 counted(FIXTURE_DATA(limits) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_counted);
}

/* An endless flow leaves time to its task, and resumes. */
TEST_F(limits, budget_is_kept)
{
	self->link = IOU_ATTACH(self->skel->progs.flow_count, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW)->off = ENDLESS;
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < 10; i++) {
		__u64 nr = counted(self);

		ASSERT_TRUE(iou_until(&self->ring, counted(self) > nr));
	}
	ASSERT_EQ(0, io_uring_cq_ready(&self->ring));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
}

/* The same for another ring of the task, or of the SQ thread */
TEST_F(limits, budget_of_other_rings)
{
	struct io_uring_params p = { .flags = variant->setup & ~IOU_SHAPED };
	struct io_uring other;

	if (p.flags & IORING_SETUP_SQPOLL) {
		p.flags |= IORING_SETUP_ATTACH_WQ;
		p.wq_fd = self->ring.ring_fd;
		p.sq_thread_idle = 1;
	}
	ASSERT_EQ(0, io_uring_queue_init_params(4, &other, &p));
	self->link = IOU_ATTACH(self->skel->progs.flow_count, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW)->off = ENDLESS;
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < 10; i++) {
		__u64 nr = counted(self);

		iou_prep_nop(iou_get_sqe(&other), i, 0, READ);
		ASSERT_EQ(1, iou_submit(&other));
		ASSERT_CQE(&other, READ, i);
		ASSERT_TRUE(iou_until(&self->ring, counted(self) > nr));
	}
	ASSERT_EQ(0, bpf_link__detach(self->link));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	io_uring_queue_exit(&other);
}

/* A flow runs for a limited time before the others run. */
TEST_F(limits, burst)
{
	const int flows = 3, nr = 40 * BURST;
	struct io_uring_cqe cqe;

	self->link = IOU_ATTACH(self->skel->progs.flow_count, &self->ring, 0);
	for (int i = 0; i < flows; i++)
		iou_queue_bpf(&self->ring, 0, FLOW)->off = nr;
	ASSERT_EQ(flows, iou_submit(&self->ring));
	for (int i = 0; i < flows; i++)
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_EQ(flows * nr, self->skel->bss->nr_counted);
	/* each of the others has run at least once before its end */
	ASSERT_LT(nr + BURST, self->skel->bss->counted_by_first);
}

/* The same with others that do not end */
TEST_F(limits, budget_of_many)
{
	const int flows = 7, nr = 5 * BURST;
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
