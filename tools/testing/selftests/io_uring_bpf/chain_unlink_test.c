// SPDX-License-Identifier: GPL-2.0
/* Members that leave the chain behind a flow, and run at once */
#include "edit.h"

TEST_F(edit, one)
{
	EDIT_NEEDS_WAITING();
	edit_wait_in(self, 0, 0);
	edit_step(self, 0, EDIT_UNLINK, 1, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 3);
	EDIT_SUBMIT(4);
	ASSERT_MEMBERS(1, 1);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 1);
	ASSERT_MEMBERS(2, 1);
	EDIT_ASSERT_DONE();
}

/* The rest becomes a chain of its own, which is cut by its own failures. */
TEST_F(edit, rest)
{
	EDIT_NEEDS_WAITING();
	edit_wait_in(self, 0, 0);
	edit_step(self, 0, EDIT_DROP, 2, 0);
	edit_step(self, 0, EDIT_UNLINK, 1, BPF_IO_URING_REST);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	for (int i = 0; i < 6; i++)
		edit_queue_nop(self, MEMBER + i, i == 4 ? -EIO : i,
			       i < 5 ? IOSQE_IO_LINK : 0);
	EDIT_SUBMIT(7);
	ASSERT_MEMBERS(1, 1);
	ASSERT_MEMBERS(3, 1);
	ASSERT_CQE(&self->ring, MEMBER + 4, -EIO);
	ASSERT_CQE(&self->ring, MEMBER + 5, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 1);
	EDIT_ASSERT_DONE();
}

TEST_F(edit, all_of_several)
{
	EDIT_NEEDS_WAITING();
	edit_wait_in(self, 0, 0);
	for (int i = 0; i < 4; i++)
		edit_step(self, 0, EDIT_UNLINK, i, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 4);
	EDIT_SUBMIT(5);
	ASSERT_MEMBERS(0, 4);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	EDIT_ASSERT_DONE();
}

/* A failure of an unlinked member affects no other member. */
TEST_F(edit, failure_cuts_nothing)
{
	edit_step(self, 0, EDIT_UNLINK, 0, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_nop(self, OTHER, -EIO, IOSQE_IO_LINK);
	edit_queue_members(self, 2);
	EDIT_SUBMIT(4);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, OTHER, -EIO);
	ASSERT_MEMBERS(0, 2);
	EDIT_ASSERT_DONE();
}

/* A failure of the flow does not affect an unlinked member. */
TEST_F(edit, failed_flow)
{
	struct io_uring_cqe cqes[4];

	edit_step(self, 0, EDIT_UNLINK, 1, 0);
	edit_step(self, 0, EDIT_COMPLETE, -EIO, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 3);
	EDIT_SUBMIT(4);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	ASSERT_HAS_CQE(cqes, 4, FLOW, -EIO);
	ASSERT_HAS_CQE(cqes, 4, MEMBER, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, MEMBER + 1, 1);
	ASSERT_HAS_CQE(cqes, 4, MEMBER + 2, -ECANCELED);
	EDIT_ASSERT_DONE();
}

TEST_F(edit, by_io_wq)
{
	EDIT_NEEDS_WAITING();
	edit_wait_in(self, 0, 0);
	edit_step(self, 0, EDIT_UNLINK, 0, BPF_IO_URING_REST);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	for (int i = 0; i < 3; i++)
		edit_queue_nop(self, MEMBER + i, i,
			       IOSQE_ASYNC | (i < 2 ? IOSQE_IO_HARDLINK : 0));
	EDIT_SUBMIT(4);
	ASSERT_MEMBERS(0, 3);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	EDIT_ASSERT_DONE();
}

/* An unlinked flow has no predecessor. */
TEST_F(edit, flow)
{
	EDIT_NEEDS_WAITING();
	for (int rest = 0; rest < 2; rest++) {
		struct iou_event *ev = &self->skel->bss->events[1];

		edit_next_round(self);
		edit_wait_in(self, 0, 0);
		edit_step(self, 0, EDIT_UNLINK, 0, rest ? BPF_IO_URING_REST : 0);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		edit_queue_flow(self, 1, IOSQE_IO_LINK);
		edit_queue_members(self, 1);
		EDIT_SUBMIT(3);
		ASSERT_CQE(&self->ring, FLOW + 1, 0);
		if (rest)
			ASSERT_MEMBERS(0, 1);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_TRUE(edit_let_go(self));
		ASSERT_CQE(&self->ring, FLOW, 0);
		if (!rest)
			ASSERT_MEMBERS(0, 1);
		EDIT_ASSERT_STEPS();
		ASSERT_EQ(3, self->skel->bss->nr_events);
		EXPECT_EQ(BPF_IO_URING_START, ev->event);
		EXPECT_EQ(FLOW + 1, ev->flow_user_data);
		EXPECT_EQ(rest ? BPF_IO_URING_F_NEXT : 0, ev->flags);
	}
	EDIT_ASSERT_DONE();
}

/* A flow that stays starts with the completion of its new predecessor. */
TEST_F(edit, member_before_flow)
{
	EDIT_NEEDS_WAITING();
	edit_wait_in(self, 0, 0);
	edit_step(self, 0, EDIT_UNLINK, 0, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_nop(self, MEMBER, 0, IOSQE_IO_LINK);
	edit_queue_flow(self, 1, 0);
	EDIT_SUBMIT(3);
	ASSERT_MEMBERS(0, 1);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, FLOW + 1, 0);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(3, self->skel->bss->nr_events);
	EXPECT_EQ(FLOW, self->skel->bss->events[2].user_data);
	EXPECT_EQ(BPF_IO_URING_COMPLETE, self->skel->bss->events[2].event);
}

/* A flow in a chain that leaves has its own predecessor. */
TEST_F(edit, flow_in_the_rest)
{
	EDIT_NEEDS_WAITING();
	edit_wait_in(self, 0, 0);
	edit_step(self, 0, EDIT_UNLINK, 0, BPF_IO_URING_REST);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_nop(self, MEMBER, -EIO, IOSQE_IO_LINK);
	edit_queue_flow(self, 1, 0);
	EDIT_SUBMIT(3);
	ASSERT_CQE(&self->ring, MEMBER, -EIO);
	ASSERT_CQE(&self->ring, FLOW + 1, -EIO);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	EDIT_ASSERT_DONE();
	EXPECT_EQ(MEMBER, self->skel->bss->events[1].user_data);
}

/*
 * Linked timeouts of the flow, of a member that leaves, and of one that stays
 */
TEST_F(edit, linked_timeout)
{
	struct io_uring_cqe cqes[3];
	int other[2];

	EDIT_NEEDS_WAITING();
	ASSERT_EQ(0, pipe(other));
	edit_wait_in(self, 0, 0);
	edit_step(self, 0, EDIT_UNLINK, 0, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_timeout(self, false, TIMEOUT, IOSQE_IO_LINK);
	for (int i = 0; i < 2; i++) {
		edit_queue_read(self, MEMBER + i, IOSQE_IO_LINK)->fd = other[0];
		edit_queue_timeout(self, true, TIMEOUT + 1 + i,
				   i ? 0 : IOSQE_IO_LINK);
	}
	EDIT_SUBMIT(6);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, MEMBER, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, TIMEOUT + 1, -ETIME);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, TIMEOUT, -ECANCELED);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, MEMBER + 1, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, TIMEOUT + 2, -ETIME);
	EDIT_ASSERT_DONE();
	close(other[0]);
	close(other[1]);
}

/* The time limit of the flow does not apply to an unlinked member. */
TEST_F(edit, timeout_of_the_flow)
{
	struct io_uring_cqe cqes[4];

	EDIT_NEEDS_WAITING();
	edit_wait_in(self, 0, 0);
	edit_step(self, 0, EDIT_UNLINK, 1, BPF_IO_URING_REST);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_timeout(self, true, TIMEOUT, IOSQE_IO_LINK);
	edit_queue_members(self, 2);
	EDIT_SUBMIT(4);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	ASSERT_HAS_CQE(cqes, 4, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, TIMEOUT, -ETIME);
	ASSERT_HAS_CQE(cqes, 4, MEMBER, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, MEMBER + 1, 1);
	EDIT_ASSERT_DONE();
}

TEST_F(edit, errors)
{
	struct edit_step *s[5];

	s[0] = edit_step(self, 0, EDIT_UNLINK, 2, 0);
	s[1] = edit_step(self, 0, EDIT_UNLINK, 64, 0);
	s[2] = edit_step(self, 0, EDIT_UNLINK, 0, BPF_IO_URING_POST_CANCELED);
	s[3] = edit_step(self, 0, EDIT_UNLINK, 0, 1ULL << 32);
	edit_step(self, 0, EDIT_COMPLETE, 0, 0);
	s[4] = edit_step(self, 0, EDIT_UNLINK, 0, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 2);
	EDIT_SUBMIT(3);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 2);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(-ENOENT, s[0]->ret);
	ASSERT_EQ(-ERANGE, s[1]->ret);
	ASSERT_EQ(-EINVAL, s[2]->ret);
	ASSERT_EQ(-EINVAL, s[3]->ret);
	ASSERT_EQ(-ECANCELED, s[4]->ret);
}

TEST_HARNESS_MAIN
