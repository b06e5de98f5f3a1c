// SPDX-License-Identifier: GPL-2.0
/* IOSQE_CQE_SKIP_SUCCESS disables IOSQE_IO_DRAIN on the ring */
#include "drain.h"

/* After a request that skips its CQE, drains are refused. */
#define ASSERT_NO_DRAIN() do {						\
	__u32 __nr = drain_nr_events(self);				\
									\
	drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);			\
	drain_queue_flow(self, FLOW, 0, 0, 0)->flags = IOSQE_IO_DRAIN;	\
	ASSERT_EQ(2, iou_submit(&self->ring));				\
	ASSERT_CQE(&self->ring, DRAIN, -EOPNOTSUPP);			\
	ASSERT_CQE(&self->ring, FLOW, -EOPNOTSUPP);			\
	ASSERT_NO_CQE(&self->ring);					\
	ASSERT_EQ(__nr, drain_nr_events(self));				\
} while (0)

TEST_F(drain, flow_skips_success)
{
	drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);
	drain_queue_flow(self, FLOW, 0, 0, 0)->flags = IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, DRAIN, RES);
	ASSERT_EVENTS(1);
	ASSERT_NO_DRAIN();
}

TEST_F(drain, drain_skips_success)
{
	drain_queue_flow(self, FLOW, 0, 0, 0)->flags = IOSQE_IO_DRAIN |
						 IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, -EOPNOTSUPP);
	ASSERT_NO_DRAIN();
}

TEST_F(drain, issued_skips_success)
{
	drain_prep_nop(self, 0)->flags = IOSQE_CQE_SKIP_SUCCESS;
	self->skel->bss->flags[0] = BPF_IO_URING_ISSUE_APP;
	drain_queue_flow(self, FLOW, 0, 1, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(0, self->skel->bss->rets[0]);
	ASSERT_NO_DRAIN();
}

/* Linking such a request while a drain waits does not affect this drain. */
TEST_F(drain, linked_skips_success)
{
	drain_prep_read(self, 0, self->pipe[0]);
	iou_prep_nop(&self->skel->bss->linked, RES, 0, OTHER);
	self->skel->bss->linked.flags = IOSQE_CQE_SKIP_SUCCESS;
	self->skel->bss->do_link = 1;
	drain_queue_flow(self, FLOW, 0, 1, 0);
	drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(drain_let_go(self->pipe));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, DRAIN, RES);
	ASSERT_EQ(0, self->skel->bss->link_ret);
	ASSERT_NO_DRAIN();
}

/* CQEs that a program drops do not count, nor do those of its children. */
TEST_F(drain, program_skips_success)
{
	drain_prep_nop(self, 0);
	self->skel->bss->verdict = BPF_IO_URING_DROP;
	drain_queue_nop(self, OTHER, IOSQE_IO_LINK);
	drain_queue_flow(self, FLOW, 0, 1, 0);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);
	drain_queue_flow(self, FLOW, 0, 1, 0)->flags = IOSQE_IO_DRAIN;
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, DRAIN, RES);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
}

TEST_HARNESS_MAIN
