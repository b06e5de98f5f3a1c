// SPDX-License-Identifier: GPL-2.0
/* CQEs that a program posts */
#include "iou_until.h"
#include "kselftest_harness.h"
#include "cqe.skel.h"

#define FLOW	0xf10aULL
#define WATCHED	0x3a7c4ULL
#define CHILD	0xc41dULL
#define MARKER	0x3a24e4ULL
#define NOP	0x909ULL

#define CQ_ENTRIES	32U
/* limit of CQEs per run */
#define MAX_CQES	16

FIXTURE(cqe) {
	struct io_uring ring;
	struct cqe *skel;
	struct bpf_link *link;
};

IOU_MODE_VARIANTS(cqe);
IOU_LOAD_ONCE(cqe);

FIXTURE_SETUP(cqe)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init_size(&self->ring, variant->setup, CQ_ENTRIES,
					CQ_ENTRIES));
	ASSERT_EQ(CQ_ENTRIES, self->ring.cq.ring_entries);
	self->skel = cqe_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(cqe)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
}

/* Fill the CQ with CQEs that are not reaped. */
static int cqe_fill(struct io_uring *ring, unsigned int nr)
{
	int ret;

	for (unsigned int i = 0; i < nr; i++)
		iou_prep_nop(iou_get_sqe(ring), 0, 0, NOP + i);
	ret = iou_submit(ring);
	io_uring_get_events(ring);
	return ret;
}

TEST_F(cqe, cqe_order)
{
	self->link = IOU_ATTACH(self->skel->progs.cqe_post, &self->ring, 0);
	self->skel->bss->nr_posts = 2;
	self->skel->bss->nr_sqes = 2;
	iou_prep_nop(&self->skel->bss->sqes[0], 11, 0, CHILD);
	iou_prep_nop(&self->skel->bss->sqes[1], 12, 0, CHILD + 1);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	/* START has no CQE of its own */
	ASSERT_CQE_FLAGS(&self->ring, MARKER, 0, 0);
	ASSERT_CQE_FLAGS(&self->ring, MARKER + 1, 1, 1 << 16);
	for (int i = 1; i <= 2; i++) {
		ASSERT_CQE_FLAGS(&self->ring, MARKER + 2 * i, 0, 0);
		ASSERT_CQE_FLAGS(&self->ring, MARKER + 2 * i + 1, 1, 1 << 16);
		ASSERT_CQE(&self->ring, CHILD + i - 1, 10 + i);
	}
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* CQEs of other requests in the batch keep their order. */
TEST_F(cqe, before_watched_request)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.cqe_post, &self->ring, 0);
	self->skel->bss->nr_posts = 3;
	iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, NOP);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, 2, 0, WATCHED);
	sqe->flags = IOSQE_IO_LINK;
	iou_queue_bpf(&self->ring, 0, FLOW);
	iou_prep_nop(iou_get_sqe(&self->ring), 3, 0, NOP + 1);
	ASSERT_EQ(4, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, NOP, 1);
	for (int i = 0; i < 3; i++)
		ASSERT_CQE_FLAGS(&self->ring, MARKER + i, i, i << 16);
	ASSERT_CQE(&self->ring, WATCHED, 2);
	ASSERT_CQE(&self->ring, NOP + 1, 3);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(cqe, invalid)
{
	self->link = IOU_ATTACH(self->skel->progs.cqe_errors, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
	ASSERT_NO_CQE(&self->ring);
	EXPECT_EQ(-EINVAL, self->skel->bss->ret_short);
	EXPECT_EQ(-EINVAL, self->skel->bss->ret_long);
	EXPECT_EQ(-EINVAL, self->skel->bss->ret_zero);
	EXPECT_EQ(-EINVAL, self->skel->bss->ret_f_32);
	EXPECT_EQ(-EINVAL, self->skel->bss->ret_f_skip);
}

TEST_F(cqe, too_many_in_one_run)
{
	self->link = IOU_ATTACH(self->skel->progs.cqe_post_at_start,
				&self->ring, 0);
	self->skel->bss->nr_posts = MAX_CQES + 2;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < MAX_CQES; i++) {
		EXPECT_EQ(0, self->skel->bss->post_rets[i]);
		ASSERT_CQE_FLAGS(&self->ring, MARKER + i, i, i << 16);
	}
	EXPECT_EQ(-ENOBUFS, self->skel->bss->post_rets[MAX_CQES]);
	EXPECT_EQ(-ENOBUFS, self->skel->bss->post_rets[MAX_CQES + 1]);
	ASSERT_CQE(&self->ring, FLOW, -ENOBUFS);
	ASSERT_NO_CQE(&self->ring);
}

/* The limit is per run, on any event, with any number of runs in a batch. */
TEST_F(cqe, full_quota)
{
	const unsigned int nr = 2, runs = nr * (1 + IOU_RUN_SQES);
	unsigned int markers = 0, flows = 0;
	struct io_uring_cqe cqe;
	struct bpf_link *link;
	struct io_uring ring;

	ASSERT_EQ(0, iou_ring_init_size(&ring, variant->setup, CQ_ENTRIES,
					2 * runs * MAX_CQES));
	link = IOU_ATTACH(self->skel->progs.cqe_full, &ring, 0);
	for (unsigned int i = 0; i < IOU_RUN_SQES; i++)
		iou_prep_nop(&self->skel->bss->sqes[i], 0,
			     i % 2 ? IORING_NOP_TW : 0, CHILD);
	self->skel->bss->nr_sqes = IOU_RUN_SQES;
	self->skel->bss->nr_posts = MAX_CQES;
	for (unsigned int i = 0; i < nr; i++)
		iou_queue_bpf(&ring, 0, FLOW + i);
	ASSERT_EQ(nr, iou_submit(&ring));
	for (unsigned int i = 0; i < runs * MAX_CQES + nr; i++) {
		ASSERT_EQ(0, iou_wait_cqe(&ring, &cqe));
		if (cqe.user_data < MARKER) {
			flows++;
			continue;
		}
		ASSERT_EQ(MARKER + markers, cqe.user_data);
		markers++;
	}
	ASSERT_EQ(nr, flows);
	ASSERT_NO_CQE(&ring);
	EXPECT_EQ(0, self->skel->bss->nr_refused);
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

TEST_F(cqe, full_cq)
{
	self->link = IOU_ATTACH(self->skel->progs.cqe_post_at_start,
				&self->ring, 0);
	self->skel->bss->nr_posts = 1;
	ASSERT_EQ(CQ_ENTRIES, cqe_fill(&self->ring, CQ_ENTRIES));
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(1, self->skel->bss->nr_events);
	EXPECT_EQ(-EBUSY, self->skel->bss->post_rets[0]);
	/* the CQE of the flow overflows, and is not lost */
	for (unsigned int i = 0; i < CQ_ENTRIES; i++)
		ASSERT_CQE(&self->ring, NOP + i, 0);
	ASSERT_CQE(&self->ring, FLOW, -EBUSY);
	ASSERT_NO_CQE(&self->ring);
}

/* All accepted CQEs are posted, up to the last entry of the CQ. */
TEST_F(cqe, almost_full_cq)
{
	const unsigned int nr = CQ_ENTRIES - 2;

	self->link = IOU_ATTACH(self->skel->progs.cqe_post_at_start,
				&self->ring, 0);
	self->skel->bss->nr_posts = 4;
	ASSERT_EQ(nr, cqe_fill(&self->ring, nr));
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(1, self->skel->bss->nr_events);
	EXPECT_EQ(0, self->skel->bss->post_rets[0]);
	EXPECT_EQ(0, self->skel->bss->post_rets[1]);
	EXPECT_EQ(-EBUSY, self->skel->bss->post_rets[2]);
	EXPECT_EQ(-EBUSY, self->skel->bss->post_rets[3]);
	for (unsigned int i = 0; i < nr; i++)
		ASSERT_CQE(&self->ring, NOP + i, 0);
	ASSERT_CQE_FLAGS(&self->ring, MARKER, 0, 0);
	ASSERT_CQE_FLAGS(&self->ring, MARKER + 1, 1, 1 << 16);
	ASSERT_CQE(&self->ring, FLOW, -EBUSY);
	ASSERT_NO_CQE(&self->ring);
}

/* CQEs of a program neither overflow nor overtake overflowed ones. */
TEST_F(cqe, overflow_pending)
{
	self->link = IOU_ATTACH(self->skel->progs.cqe_post_at_start,
				&self->ring, 0);
	self->skel->bss->nr_posts = 1;
	ASSERT_EQ(CQ_ENTRIES, cqe_fill(&self->ring, CQ_ENTRIES));
	ASSERT_EQ(1, cqe_fill(&self->ring, 1));
	ASSERT_TRUE(io_uring_cq_has_overflow(&self->ring));
	/* room that overflowed CQEs wait for */
	io_uring_cq_advance(&self->ring, 1);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (unsigned int i = 1; i < CQ_ENTRIES; i++)
		ASSERT_CQE(&self->ring, NOP + i, 0);
	ASSERT_CQE(&self->ring, NOP, 0);
	ASSERT_CQE(&self->ring, FLOW, -EBUSY);
	ASSERT_NO_CQE(&self->ring);
	EXPECT_EQ(1, self->skel->bss->nr_events);
	EXPECT_EQ(-EBUSY, self->skel->bss->post_rets[0]);
}

/*
 * With far too little room and no reaping, no CQE is lost. Flows of a ring with
 * DEFER_TASKRUN run at the same time.
 */
TEST_F(cqe, overflow_loses_nothing)
{
	const unsigned int nr = 4;
	unsigned int markers = 0, flows = 0;
	unsigned int children[CQ_ENTRIES] = {};
	struct io_uring_cqe cqe;

	self->link = IOU_ATTACH(self->skel->progs.cqe_post, &self->ring, 0);
	self->skel->bss->nr_posts = 1;
	self->skel->bss->nr_sqes = CQ_ENTRIES;
	for (unsigned int i = 0; i < CQ_ENTRIES; i++)
		iou_prep_nop(&self->skel->bss->sqes[i], i, IORING_NOP_TW,
			     CHILD + i);
	for (unsigned int i = 0; i < nr; i++) {
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
	}
	ASSERT_TRUE(iou_until(&self->ring, io_uring_cq_has_overflow(&self->ring)));
	/* the CQEs of a flow precede the CQE of its end */
	while (flows < nr) {
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		if (cqe.user_data == FLOW) {
			flows++;
		} else if (cqe.user_data >= MARKER) {
			ASSERT_EQ(MARKER + markers++, cqe.user_data);
		} else {
			ASSERT_GT(CQ_ENTRIES, cqe.user_data - CHILD);
			ASSERT_EQ(cqe.user_data - CHILD, cqe.res);
			children[cqe.user_data - CHILD]++;
		}
	}
	ASSERT_EQ(nr, flows);
	for (unsigned int i = 0; i < CQ_ENTRIES; i++)
		ASSERT_EQ(nr, children[i]);
	ASSERT_EQ(self->skel->bss->nr_posted, markers);
	ASSERT_LT(0, markers);
	ASSERT_NO_CQE(&self->ring);
}

TEST_HARNESS_MAIN
