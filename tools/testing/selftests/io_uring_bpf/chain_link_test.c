// SPDX-License-Identifier: GPL-2.0
/* Requests that a program links behind its flow */
#include "edit.h"

TEST_F(edit, before_the_rest)
{
	edit_sqe(self, 0, LINKED, 10);
	edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 2);
	EDIT_SUBMIT(3);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, LINKED, 10);
	ASSERT_MEMBERS(0, 2);
	EDIT_ASSERT_DONE();
	/* the request is no child */
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

TEST_F(edit, nothing_behind)
{
	edit_sqe(self, 0, LINKED, 10);
	edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_queue_flow(self, 0, 0);
	EDIT_SUBMIT(1);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, LINKED, 10);
	EDIT_ASSERT_DONE();
}

/* A linked request is no child, even on events before it is linked. */
TEST_F(edit, linked_is_no_child)
{
	edit_sqe(self, 0, LINKED, 10);
	for (int i = 1; i < 3; i++)
		edit_sqe(self, i, CHILD + i, 0)->nop_flags |= IORING_NOP_TW;
	edit_step(self, 0, EDIT_ISSUE, 1, 0);
	edit_step(self, 0, EDIT_ISSUE, 2, 0);
	edit_step(self, 1, EDIT_LINK, 0, 0);
	edit_queue_flow(self, 0, 0);
	EDIT_SUBMIT(1);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, LINKED, 10);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(3, self->skel->bss->nr_events);
	ASSERT_EQ(1, self->skel->bss->events[1].nr_children);
	ASSERT_EQ(0, self->skel->bss->events[2].nr_children);
}

/* Linked requests run in order of the calls, after the end of the flow. */
TEST_F(edit, order)
{
	EDIT_NEEDS_WAITING();
	for (int tw = 0; tw < 2; tw++) {
		edit_next_round(self);
		for (int i = 0; i < 4; i++)
			edit_sqe(self, i, LINKED + i, 10 + i);
		edit_sqe(self, 4, CHILD, 0)->nop_flags |= tw ? IORING_NOP_TW : 0;
		edit_step(self, 0, EDIT_LINK, 0, 0);
		edit_step(self, 0, EDIT_ISSUE, 4, 0);
		edit_step(self, 0, EDIT_LINK, 1, 0);
		edit_step(self, 1, EDIT_ISSUE, 4, 0);
		edit_step(self, 1, EDIT_LINK, 2, 0);
		edit_step(self, 2, EDIT_LINK, 3, 0);
		edit_wait_in(self, 2, 5);
		edit_step(self, 3, EDIT_COMPLETE, 7, 0);
		edit_queue_nop(self, HEAD, 0, IOSQE_IO_LINK);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		edit_queue_members(self, 1);
		EDIT_SUBMIT(3);
		ASSERT_CQE(&self->ring, HEAD, 0);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_TRUE(edit_let_go(self));
		ASSERT_CQE(&self->ring, FLOW, 7);
		for (int i = 0; i < 4; i++)
			ASSERT_CQE(&self->ring, LINKED + i, 10 + i);
		ASSERT_MEMBERS(0, 1);
		EDIT_ASSERT_STEPS();
		ASSERT_EQ(4, self->skel->bss->nr_events);
		ASSERT_EQ(1 + 3 + 4 + 5, self->skel->bss->nr_members);
	}
	EDIT_ASSERT_DONE();
}

/*
 * Edits of the same run apply to the chain before the run, later ones do not.
 */
TEST_F(edit, with_other_edits)
{
	for (int i = 0; i < 4; i++)
		edit_sqe(self, i, LINKED + i, 10 + i);
	edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_step(self, 0, EDIT_LINK, 1, 0);
	edit_step(self, 0, EDIT_DROP, 0, BPF_IO_URING_REST);
	edit_step(self, 0, EDIT_LINK, 2, 0);
	edit_sqe(self, 4, CHILD, 0);
	edit_step(self, 0, EDIT_ISSUE, 4, 0);
	edit_step(self, 1, EDIT_DROP, 1, 0);
	edit_step(self, 1, EDIT_LINK, 3, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 3);
	EDIT_SUBMIT(4);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, LINKED, 10);
	ASSERT_CQE(&self->ring, LINKED + 2, 12);
	ASSERT_CQE(&self->ring, LINKED + 3, 13);
	EDIT_ASSERT_DONE();
}

/*
 * The first linked request stays, or none. One is removed by its index, and the
 * others as the rest from an index. A request that is linked next runs behind
 * those that stay.
 */
TEST_F(edit, rest_and_named)
{
	for (__u32 stay = 0; stay < 2; stay++) {
		edit_next_round(self);
		for (int i = 0; i < 5; i++)
			edit_sqe(self, i, LINKED + i, 10 + i);
		edit_sqe(self, 5, CHILD, 0);
		for (int i = 0; i < 4; i++)
			edit_step(self, 0, EDIT_LINK, i, 0);
		edit_step(self, 0, EDIT_ISSUE, 5, 0);
		edit_step(self, 1, EDIT_DROP, 2, 0);
		edit_step(self, 1, EDIT_DROP, stay, BPF_IO_URING_REST);
		edit_step(self, 1, EDIT_ISSUE, 5, 0);
		edit_step(self, 2, EDIT_LINK, 4, 0);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		edit_queue_members(self, 1);
		EDIT_SUBMIT(2);
		ASSERT_CQE(&self->ring, FLOW, 0);
		if (stay)
			ASSERT_CQE(&self->ring, LINKED, 10);
		ASSERT_CQE(&self->ring, LINKED + 4, 14);
		EDIT_ASSERT_STEPS();
	}
	EDIT_ASSERT_DONE();
}

TEST_F(edit, linked_and_unlinked)
{
	EDIT_NEEDS_WAITING();
	for (int i = 0; i < 2; i++)
		edit_sqe(self, i, LINKED + i, 10 + i);
	edit_sqe(self, 2, CHILD, 0);
	edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_step(self, 0, EDIT_ISSUE, 2, 0);
	edit_step(self, 1, EDIT_UNLINK, 0, 0);
	edit_step(self, 1, EDIT_LINK, 1, 0);
	edit_wait_in(self, 1, 3);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	EDIT_SUBMIT(2);
	ASSERT_CQE(&self->ring, LINKED, 10);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, LINKED + 1, 11);
	ASSERT_MEMBERS(0, 1);
	EDIT_ASSERT_DONE();
}

/* A failure cuts the chain, except with IOSQE_IO_HARDLINK. */
TEST_F(edit, failure)
{
	for (int hard = 0; hard < 2; hard++) {
		edit_next_round(self);
		edit_sqe(self, 0, LINKED, -EIO)->flags = hard ? IOSQE_IO_HARDLINK :
								IOSQE_IO_LINK;
		edit_step(self, 0, EDIT_LINK, 0, 0);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		edit_queue_members(self, 1);
		EDIT_SUBMIT(2);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_CQE(&self->ring, LINKED, -EIO);
		ASSERT_CQE(&self->ring, MEMBER, hard ? 0 : -ECANCELED);
		EDIT_ASSERT_STEPS();
	}
	EDIT_ASSERT_DONE();
}

TEST_F(edit, failed_flow)
{
	for (int hard = 0; hard < 2; hard++) {
		edit_next_round(self);
		edit_sqe(self, 0, LINKED, 10);
		edit_step(self, 0, EDIT_LINK, 0, 0);
		edit_step(self, 0, EDIT_COMPLETE, -EIO, 0);
		edit_queue_flow(self, 0, hard ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK);
		edit_queue_members(self, 1);
		EDIT_SUBMIT(2);
		ASSERT_CQE(&self->ring, FLOW, -EIO);
		ASSERT_CQE(&self->ring, LINKED, hard ? 10 : -ECANCELED);
		ASSERT_CQE(&self->ring, MEMBER, hard ? 0 : -ECANCELED);
		EDIT_ASSERT_STEPS();
	}
	EDIT_ASSERT_DONE();
}

TEST_F(edit, silent)
{
	edit_sqe(self, 0, LINKED, 10)->flags = IOSQE_CQE_SKIP_SUCCESS;
	edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	EDIT_SUBMIT(2);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 1);
	EDIT_ASSERT_DONE();
}

/* The chain is cut at once, including requests linked by the same run. */
TEST_F(edit, failed_prep)
{
	EDIT_NEEDS_WAITING();
	for (int i = 0; i < 3; i++) {
		edit_sqe(self, i, LINKED + i, 10 + i);
		edit_step(self, 0, EDIT_LINK, i, 0);
	}
	self->skel->bss->sqes[1].nop_flags = 1U << 31;
	edit_wait_in(self, 0, 3);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_flow(self, 1, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	EDIT_SUBMIT(3);
	ASSERT_CQE(&self->ring, LINKED, -ECANCELED);
	ASSERT_CQE(&self->ring, LINKED + 1, -EINVAL);
	ASSERT_CQE(&self->ring, FLOW + 1, -ECANCELED);
	ASSERT_CQE(&self->ring, MEMBER, -ECANCELED);
	ASSERT_CQE(&self->ring, LINKED + 2, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(2, self->skel->bss->nr_events);
}

/* The flow behind it starts with its completion. */
TEST_F(edit, before_a_flow)
{
	edit_sqe(self, 0, LINKED, -EIO);
	edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_step(self, 1, EDIT_COMPLETE, 7, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_flow(self, 1, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	EDIT_SUBMIT(3);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, LINKED, -EIO);
	ASSERT_CQE(&self->ring, FLOW + 1, 7);
	ASSERT_MEMBERS(0, 1);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(2, self->skel->bss->nr_events);
	EXPECT_EQ(LINKED, self->skel->bss->events[1].user_data);
	EXPECT_EQ(-EIO, self->skel->bss->events[1].res);
}

/* Behind the linked timeout of the flow */
TEST_F(edit, timeout_of_the_flow)
{
	EDIT_NEEDS_WAITING();
	edit_sqe(self, 0, LINKED, 10);
	edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_wait_in(self, 0, 1);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_timeout(self, false, TIMEOUT, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	EDIT_SUBMIT(3);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, TIMEOUT, -ECANCELED);
	ASSERT_CQE(&self->ring, LINKED, 10);
	ASSERT_MEMBERS(0, 1);
	EDIT_ASSERT_DONE();
}

TEST_F(edit, cancelled_flow)
{
	struct io_uring_cqe cqes[4];

	EDIT_NEEDS_WAITING();
	edit_sqe(self, 0, LINKED, 10);
	edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_wait_in(self, 0, 1);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	EDIT_SUBMIT(2);
	ASSERT_NO_CQE(&self->ring);
	iou_queue_cancel(&self->ring, FLOW, OTHER);
	EDIT_SUBMIT(1);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	ASSERT_HAS_CQE(cqes, 4, OTHER, 0);
	ASSERT_HAS_CQE(cqes, 4, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, LINKED, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, MEMBER, -ECANCELED);
	EDIT_ASSERT_DONE();
}

TEST_HARNESS_MAIN
