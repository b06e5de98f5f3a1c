// SPDX-License-Identifier: GPL-2.0
/* Removal of requests from the chain behind a flow */
#include "edit.h"
#include "futex.h"
#include "process.h"

TEST_F(edit, one_in_silence)
{
	edit_step(self, 0, EDIT_DROP, 1, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 3);
	EDIT_SUBMIT(4);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 1);
	ASSERT_MEMBERS(2, 1);
	EDIT_ASSERT_DONE();
}

TEST_F(edit, one_with_cqe)
{
	edit_step(self, 0, EDIT_DROP, 1, BPF_IO_URING_POST_CANCELED);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 3);
	EDIT_SUBMIT(4);
	ASSERT_CQE(&self->ring, MEMBER + 1, -ECANCELED);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 1);
	ASSERT_MEMBERS(2, 1);
	EDIT_ASSERT_DONE();
}

TEST_F(edit, all_in_silence)
{
	edit_step(self, 0, EDIT_DROP, 0, BPF_IO_URING_REST);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 3);
	EDIT_SUBMIT(4);
	ASSERT_CQE(&self->ring, FLOW, 0);
	EDIT_ASSERT_DONE();
}

/* The result of the flow does not depend on the chain. */
TEST_F(edit, rest_with_cqe)
{
	edit_step(self, 0, EDIT_DROP, 1,
		  BPF_IO_URING_REST | BPF_IO_URING_POST_CANCELED);
	edit_step(self, 0, EDIT_COMPLETE, 7, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_nop(self, MEMBER, 0, IOSQE_IO_LINK);
	edit_queue_nop(self, MEMBER + 1, 1, IOSQE_IO_LINK);
	/* a failure overrides IOSQE_CQE_SKIP_SUCCESS */
	edit_queue_nop(self, MEMBER + 2, 2, IOSQE_CQE_SKIP_SUCCESS);
	EDIT_SUBMIT(4);
	ASSERT_CQE(&self->ring, MEMBER + 1, -ECANCELED);
	ASSERT_CQE(&self->ring, MEMBER + 2, -ECANCELED);
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_MEMBERS(0, 1);
	EDIT_ASSERT_DONE();
}

/*
 * Requests that are named are not part of the rest, and the first call counts.
 */
TEST_F(edit, combined)
{
	struct edit_step *s[6];

	EDIT_NEEDS_WAITING();
	s[0] = edit_step(self, 0, EDIT_DROP, 2, BPF_IO_URING_POST_CANCELED);
	s[1] = edit_step(self, 0, EDIT_UNLINK, 3, 0);
	s[2] = edit_step(self, 0, EDIT_DROP, 1, BPF_IO_URING_REST);
	s[3] = edit_step(self, 0, EDIT_DROP, 2, 0);
	s[4] = edit_step(self, 0, EDIT_UNLINK, 4, 0);
	s[5] = edit_step(self, 0, EDIT_UNLINK, 0, BPF_IO_URING_REST);
	edit_wait_in(self, 0, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 5);
	EDIT_SUBMIT(6);
	ASSERT_CQE(&self->ring, MEMBER + 2, -ECANCELED);
	ASSERT_MEMBERS(3, 1);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 1);
	ASSERT_NO_CQE(&self->ring);
	for (int i = 0; i < 6; i++)
		ASSERT_EQ(i < 3 ? 0 : -EALREADY, s[i]->ret);
}

TEST_F(edit, errors)
{
	struct edit_step *s[6];

	s[0] = edit_step(self, 0, EDIT_DROP, 2, 0);
	s[1] = edit_step(self, 0, EDIT_DROP, 64, 0);
	s[2] = edit_step(self, 0, EDIT_DROP, ~0U, BPF_IO_URING_REST);
	s[3] = edit_step(self, 0, EDIT_DROP, 0, 4);
	s[4] = edit_step(self, 0, EDIT_DROP, 0, 1ULL << 32);
	edit_step(self, 0, EDIT_COMPLETE, 0, 0);
	s[5] = edit_step(self, 0, EDIT_DROP, 0, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 2);
	EDIT_SUBMIT(3);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 2);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(-ENOENT, s[0]->ret);
	ASSERT_EQ(-ERANGE, s[1]->ret);
	ASSERT_EQ(-ERANGE, s[2]->ret);
	ASSERT_EQ(-EINVAL, s[3]->ret);
	ASSERT_EQ(-EINVAL, s[4]->ret);
	ASSERT_EQ(-ECANCELED, s[5]->ret);
}

TEST_F(edit, nothing_to_drop)
{
	struct edit_step *s = edit_step(self, 0, EDIT_DROP, 0, BPF_IO_URING_REST);

	EDIT_NEEDS_WAITING();
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_timeout(self, false, TIMEOUT, 0);
	EDIT_SUBMIT(2);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, TIMEOUT, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(-ENOENT, s->ret);
}

/* On events of a child, in place and by task work, and of the request before */
TEST_F(edit, later_events)
{
	for (int tw = 0; tw < 2; tw++) {
		edit_next_round(self);
		edit_sqe(self, 0, CHILD, 0)->nop_flags |= tw ? IORING_NOP_TW : 0;
		edit_step(self, 0, EDIT_DROP, 0, 0);
		edit_step(self, 0, EDIT_ISSUE, 0, 0);
		edit_step(self, 1, EDIT_ISSUE, 0, 0);
		edit_step(self, 1, EDIT_DROP, 0, BPF_IO_URING_POST_CANCELED);
		edit_step(self, 2, EDIT_DROP, 1, 0);
		edit_step(self, 2, EDIT_POST, OTHER, 0);
		edit_queue_nop(self, HEAD, 0, IOSQE_IO_LINK);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		edit_queue_members(self, 4);
		EDIT_SUBMIT(6);
		ASSERT_CQE(&self->ring, HEAD, 0);
		ASSERT_CQE(&self->ring, MEMBER + 1, -ECANCELED);
		ASSERT_CQE(&self->ring, OTHER, 0);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_MEMBERS(2, 1);
		EDIT_ASSERT_STEPS();
		ASSERT_EQ(3, self->skel->bss->nr_events);
	}
	EDIT_ASSERT_DONE();
}

TEST_F(edit, flow)
{
	edit_step(self, 0, EDIT_DROP, 0, BPF_IO_URING_POST_CANCELED);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_flow(self, 1, IOSQE_IO_LINK);
	edit_queue_members(self, 2);
	EDIT_SUBMIT(4);
	ASSERT_CQE(&self->ring, FLOW + 1, -ECANCELED);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 2);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

/* The flow behind it starts with the completion of its new predecessor. */
TEST_F(edit, member_before_flow)
{
	for (int before = 0; before < 2; before++) {
		struct iou_event *ev = &self->skel->bss->events[1];

		edit_next_round(self);
		edit_step(self, 0, EDIT_DROP, before, 0);
		edit_step(self, 0, EDIT_COMPLETE, 7, 0);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		if (before)
			edit_queue_nop(self, OTHER, 7, IOSQE_IO_LINK);
		edit_queue_nop(self, OTHER, 0, IOSQE_IO_LINK);
		edit_queue_flow(self, 1, IOSQE_IO_LINK);
		edit_queue_members(self, 1);
		EDIT_SUBMIT(4 + before);
		ASSERT_CQE(&self->ring, FLOW, 7);
		if (before)
			ASSERT_CQE(&self->ring, OTHER, 7);
		ASSERT_CQE(&self->ring, FLOW + 1, 0);
		ASSERT_MEMBERS(0, 1);
		EDIT_ASSERT_STEPS();
		ASSERT_EQ(2, self->skel->bss->nr_events);
		EXPECT_EQ(before ? OTHER : FLOW, ev->user_data);
		EXPECT_EQ(BPF_IO_URING_COMPLETE, ev->event);
		EXPECT_EQ(7, ev->res);
	}
	EDIT_ASSERT_DONE();
}

/* A flow whose predecessor was dropped */
TEST_F(edit, flow_behind_member)
{
	edit_step(self, 0, EDIT_DROP, 1, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_nop(self, OTHER, -EIO, IOSQE_IO_LINK);
	edit_queue_flow(self, 1, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	EDIT_SUBMIT(4);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, OTHER, -EIO);
	ASSERT_CQE(&self->ring, MEMBER, -ECANCELED);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

/*
 * The timeout of the flow still limits it, those of members are dropped with
 * them.
 */
TEST_F(edit, timeouts)
{
	EDIT_NEEDS_WAITING();
	edit_wait_in(self, 0, 0);
	edit_step(self, 0, EDIT_DROP, 0, 0);
	edit_step(self, 0, EDIT_DROP, 1, BPF_IO_URING_POST_CANCELED);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_timeout(self, false, TIMEOUT, IOSQE_IO_LINK);
	for (int i = 0; i < 2; i++) {
		edit_queue_read(self, MEMBER + i, IOSQE_IO_LINK);
		edit_queue_timeout(self, true, TIMEOUT + 1 + i, IOSQE_IO_LINK);
	}
	edit_queue_nop(self, MEMBER + 2, 2, 0);
	EDIT_SUBMIT(7);
	ASSERT_CQE(&self->ring, MEMBER + 1, -ECANCELED);
	ASSERT_CQE(&self->ring, TIMEOUT + 2, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, TIMEOUT, -ECANCELED);
	ASSERT_MEMBERS(2, 1);
	EDIT_ASSERT_DONE();
}

/* Dropped flows release their indexes, of which there are fewer. */
TEST_F_TIMEOUT(edit, flows_are_no_more, 300)
{
	unsigned int i, n, nr = 1023, chains = 65536 / nr + 2;

	edit_new_ring(_metadata, self, variant->setup, nr + 1);
	bpf_link__destroy(self->link);
	self->link = IOU_ATTACH(self->skel->progs.edit_drop_all, &self->ring, 0);
	for (n = 0; n < chains; n++) {
		for (i = 0; i <= nr; i++)
			edit_queue_flow(self, 0, i < nr ? IOSQE_IO_LINK : 0);
		EDIT_SUBMIT(nr + 1);
		ASSERT_CQE(&self->ring, FLOW, 0);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(chains, self->skel->bss->nr_events);
	ASSERT_EQ(0, self->skel->bss->nr_wrong);
}

/*
 * A wait for a private futex is tracked from its preparation to its end. An
 * exiting task waits for tracked requests only.
 */
TEST_F_TIMEOUT(edit, tracked_member_and_exit, 60)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	unsigned int futex = 0;
	struct io_uring ring;
	int status = 0;
	pid_t pid;
	bool gone;

	EDIT_NEEDS_WAITING();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		LIBBPF_OPTS(bpf_iouring_opts, opts);

		if (iou_ring_init(&ring, variant->setup) ||
		    !bpf_program__attach_iouring(self->skel->progs.edit_drop_all,
						 ring.ring_fd, &opts))
			_exit(1);
		sqe = iou_get_sqe(&ring);
		iou_prep_read(sqe, self->pipe[0], self->buf, LEN, 0, OTHER);
		sqe = iou_queue_bpf(&ring, 0, FLOW);
		sqe->flags = IOSQE_IO_LINK;
		iou_prep_futex_wait(iou_get_sqe(&ring), &futex, 0);
		_exit(iou_submit(&ring) != 3 || iou_wait_cqe(&ring, &cqe));
	}
	gone = wait_for(pid, &status, 0);
	/*
	 * without the read, the process cannot be killed but waits for nothing
	 */
	ASSERT_TRUE(gone || edit_let_go(self));
	ASSERT_TRUE(gone);
	ASSERT_EQ(0, status);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_EQ(0, self->skel->bss->nr_wrong);
}

TEST_HARNESS_MAIN
