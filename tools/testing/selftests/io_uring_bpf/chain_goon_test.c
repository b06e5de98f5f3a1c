// SPDX-License-Identifier: GPL-2.0
/* Verdicts on the chain: a failure does not cut it, or a success does. */
#include "edit.h"

#define SKIP_SUCCESS	IOSQE_CQE_SKIP_SUCCESS

TEST_F(edit, flow_goes_on)
{
	edit_step(self, 0, EDIT_COMPLETE, -EIO, 0);
	edit_step(self, 0, EDIT_VERDICT, BPF_IO_URING_GO_ON, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 2);
	EDIT_SUBMIT(3);
	ASSERT_CQE(&self->ring, FLOW, -EIO);
	ASSERT_MEMBERS(0, 2);
	EDIT_ASSERT_DONE();
}

TEST_F(edit, flow_cuts)
{
	for (int hard = 0; hard < 2; hard++) {
		edit_next_round(self);
		edit_step(self, 0, EDIT_COMPLETE, 7, 0);
		edit_step(self, 0, EDIT_VERDICT, BPF_IO_URING_CUT, 0);
		edit_queue_flow(self, 0, hard ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK);
		edit_queue_members(self, 2);
		EDIT_SUBMIT(3);
		ASSERT_CQE(&self->ring, FLOW, 7);
		ASSERT_CQE(&self->ring, MEMBER, -ECANCELED);
		ASSERT_CQE(&self->ring, MEMBER + 1, -ECANCELED);
		EDIT_ASSERT_STEPS();
	}
	EDIT_ASSERT_DONE();
}

/* On any event, including those of children. The last verdict counts. */
TEST_F(edit, last_word)
{
	static const unsigned int said[][3] = {
		{ BPF_IO_URING_GO_ON, 0, 0 },
		{ BPF_IO_URING_CUT, BPF_IO_URING_GO_ON | BPF_IO_URING_POST, 0 },
		{ BPF_IO_URING_GO_ON, 0, BPF_IO_URING_CUT },
		{ 0, BPF_IO_URING_CUT | BPF_IO_URING_POST, BPF_IO_URING_GO_ON },
	};

	for (int i = 0; i < 4; i++) {
		bool go_on = i != 2;

		edit_next_round(self);
		edit_sqe(self, 0, CHILD, 5);
		for (int n = 0; n < 3; n++)
			edit_step(self, n, EDIT_VERDICT, said[i][n], 0);
		edit_step(self, 0, EDIT_ISSUE, 0, 0);
		edit_step(self, 1, EDIT_ISSUE, 0, 0);
		edit_step(self, 2, EDIT_COMPLETE, -EIO, 0);
		edit_queue_nop(self, HEAD, 0, IOSQE_IO_LINK);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		edit_queue_members(self, 1);
		EDIT_SUBMIT(3);
		ASSERT_CQE(&self->ring, HEAD, 0);
		if (said[i][1])
			ASSERT_CQE(&self->ring, CHILD, 5);
		ASSERT_CQE(&self->ring, FLOW, -EIO);
		ASSERT_CQE(&self->ring, MEMBER, go_on ? 0 : -ECANCELED);
		EDIT_ASSERT_STEPS();
	}
	EDIT_ASSERT_DONE();
}

/*
 * Without a verdict, the result decides, including that of
 * bpf_io_uring_complete().
 */
TEST_F(edit, child_failed)
{
	for (int go_on = 0; go_on < 2; go_on++) {
		edit_next_round(self);
		edit_sqe(self, 0, CHILD, -EIO);
		edit_step(self, 0, EDIT_ISSUE, 0, 0);
		if (go_on)
			edit_step(self, 1, EDIT_VERDICT, BPF_IO_URING_GO_ON, 0);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		edit_queue_members(self, 1);
		EDIT_SUBMIT(2);
		ASSERT_CQE(&self->ring, FLOW, -EIO);
		ASSERT_CQE(&self->ring, MEMBER, go_on ? 0 : -ECANCELED);
		EDIT_ASSERT_STEPS();
	}
	EDIT_ASSERT_DONE();
}

/* A verdict has no effect on a cancelled flow. */
TEST_F(edit, cancelled_flow)
{
	struct io_uring_cqe cqes[3];

	EDIT_NEEDS_WAITING();
	edit_wait_in(self, 0, 0);
	edit_step(self, 0, EDIT_VERDICT, BPF_IO_URING_GO_ON, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	EDIT_SUBMIT(2);
	ASSERT_NO_CQE(&self->ring);
	iou_queue_cancel(&self->ring, FLOW, OTHER);
	EDIT_SUBMIT(1);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 3, MEMBER, -ECANCELED);
	EDIT_ASSERT_DONE();
}

/* The flow has left the chain of the request before, whatever its result. */
TEST_F(edit, leaves_chain)
{
	static const unsigned int flags[] = {
		IOSQE_IO_LINK, IOSQE_IO_HARDLINK, IOSQE_IO_LINK | IOSQE_ASYNC,
		IOSQE_IO_LINK | SKIP_SUCCESS,
	};

	for (int i = 0; i < 8; i++) {
		int res = i < 4 ? -EIO : 0;

		edit_next_round(self);
		edit_step(self, 0, EDIT_COMPLETE, i < 4 ? 0 : -EIO, 0);
		edit_queue_nop(self, HEAD, res, flags[i % 4]);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		edit_queue_members(self, 2);
		EDIT_SUBMIT(4);
		if (i != 7)
			ASSERT_CQE(&self->ring, HEAD, res);
		ASSERT_CQE(&self->ring, FLOW, i < 4 ? 0 : -EIO);
		ASSERT_CQE(&self->ring, MEMBER, i < 4 ? 0 : -ECANCELED);
		ASSERT_CQE(&self->ring, MEMBER + 1, i < 4 ? 1 : -ECANCELED);
		EDIT_ASSERT_STEPS();
	}
	EDIT_ASSERT_DONE();
}

/*
 * IOSQE_CQE_SKIP_SUCCESS: a flow that fails or cuts posts its CQE, others do
 * not.
 */
TEST_F(edit, fail_skip)
{
	static const struct {
		int res;
		unsigned int verdict;
		bool flow, rest;
	} cases[] = {
		{ 0, 0, false, true },
		{ -EIO, 0, true, false },
		{ 5, BPF_IO_URING_CUT, true, false },
		{ -EIO, BPF_IO_URING_GO_ON, true, true },
		{ 5, BPF_IO_URING_GO_ON, false, true },
	};

	for (int i = 0; i < 5; i++) {
		edit_next_round(self);
		edit_step(self, 0, EDIT_COMPLETE, cases[i].res, 0);
		edit_step(self, 0, EDIT_VERDICT, cases[i].verdict, 0);
		edit_queue_flow(self, 0, IOSQE_IO_LINK | SKIP_SUCCESS);
		edit_queue_members(self, 2);
		EDIT_SUBMIT(3);
		if (cases[i].flow)
			ASSERT_CQE(&self->ring, FLOW, cases[i].res);
		if (cases[i].rest)
			ASSERT_MEMBERS(0, 2);
		EDIT_ASSERT_STEPS();
	}
	EDIT_ASSERT_DONE();
}

TEST_HARNESS_MAIN
