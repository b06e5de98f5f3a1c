// SPDX-License-Identifier: GPL-2.0
/*
 * IOSQE_IO_DRAIN before, behind and on flows: a drain waits for a flow and its
 * children, and these do not wait for a drain.
 */
#include "drain.h"

/* A flow behind a drain waits like any request, and can itself be a drain. */
TEST_F(drain, flows_and_drains)
{
	drain_prep_read(self, 0, self->pipe[0]);
	drain_prep_read(self, 1, self->other[0]);
	drain_prep_nop(self, 2);
	drain_queue_flow(self, FLOW, 0, 1, 0);
	drain_queue_flow(self, FLOW + 1, 1, 1, 0);
	drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);
	drain_queue_flow(self, FLOW + 2, 0, 1, 0);
	drain_queue_flow(self, FLOW + 3, 2, 1, 0)->flags = IOSQE_IO_DRAIN;
	drain_queue_nop(self, OTHER, 0);
	ASSERT_EQ(6, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, drain_nr_events(self));

	ASSERT_TRUE(drain_let_go(self->pipe));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, drain_nr_events(self));
	ASSERT_TRUE(drain_let_go(self->other));
	ASSERT_CQE(&self->ring, FLOW + 1, 0);
	ASSERT_CQE(&self->ring, DRAIN, RES);
	ASSERT_EVENTS(5);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(5, drain_nr_events(self));
	ASSERT_TRUE(drain_let_go(self->pipe));
	ASSERT_CQE(&self->ring, FLOW + 2, 0);
	ASSERT_CQE(&self->ring, FLOW + 3, 0);
	ASSERT_CQE(&self->ring, OTHER, RES);
	ASSERT_EQ(8, drain_nr_events(self));
}

/*
 * A flow that is a drain runs alone. Its children pass, all other requests
 * wait.
 */
TEST_F(drain, flow_is_drain)
{
	drain_prep_nop(self, 0)->nop_flags |= IORING_NOP_TW;
	drain_prep_nop(self, 1)->flags = IOSQE_ASYNC;
	drain_prep_nop(self, 2)->flags = IOSQE_IO_LINK;
	drain_prep_nop(self, 3);
	drain_prep_nop(self, 4)->user_data = APP;
	self->skel->bss->flags[4] = BPF_IO_URING_ISSUE_APP;
	drain_prep_read(self, 5, self->other[0]);
	drain_queue_read(self, OTHER, self->pipe[0]);
	drain_queue_flow(self, FLOW, 0, 6, 0)->flags = IOSQE_IO_DRAIN;
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, drain_nr_events(self));

	ASSERT_TRUE(drain_let_go(self->pipe));
	ASSERT_CQE(&self->ring, OTHER, LEN);
	ASSERT_CQE(&self->ring, APP, RES);
	/* START, and the children except for the read */
	ASSERT_EVENTS(5);
	drain_queue_nop(self, OTHER + 1, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(5, drain_nr_events(self));
	ASSERT_TRUE(drain_let_go(self->other));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, OTHER + 1, RES);
	ASSERT_NO_CQE(&self->ring);
}

/* A request for the application precedes the requests that wait. */
TEST_F(drain, issued_for_application)
{
	drain_prep_read(self, 0, self->pipe[0]);
	drain_prep_read(self, 1, self->other[0])->user_data = APP;
	self->skel->bss->flags[1] = BPF_IO_URING_ISSUE_APP;
	drain_queue_flow(self, FLOW, 0, 1, 1);
	drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(drain_let_go(self->pipe));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(drain_let_go(self->other));
	ASSERT_CQE(&self->ring, APP, LEN);
	ASSERT_CQE(&self->ring, DRAIN, RES);
	ASSERT_NO_CQE(&self->ring);
}

/* A drain within a chain delays the whole chain, and all requests behind it. */
TEST_F(drain, flow_in_chain_is_drain)
{
	drain_prep_read(self, 0, self->pipe[0]);
	drain_queue_read(self, APP, self->other[0]);
	drain_queue_nop(self, OTHER, IOSQE_IO_LINK);
	drain_queue_flow(self, FLOW, 0, 1, 0)->flags =
		IOSQE_IO_LINK | IOSQE_IO_DRAIN;
	drain_queue_nop(self, OTHER + 1, 0);
	drain_queue_nop(self, OTHER + 2, 0);
	ASSERT_EQ(5, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, drain_nr_events(self));

	ASSERT_TRUE(drain_let_go(self->other));
	ASSERT_CQE(&self->ring, APP, LEN);
	ASSERT_CQE(&self->ring, OTHER, RES);
	ASSERT_EVENTS(1);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(drain_let_go(self->pipe));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, OTHER + 1, RES);
	ASSERT_CQE(&self->ring, OTHER + 2, RES);
	ASSERT_NO_CQE(&self->ring);
}

/* A cancel request waits for the drain, a system call does not. */
TEST_F(drain, endless_flow)
{
	bpf_link__destroy(self->link);
	self->link = IOU_ATTACH(self->skel->progs.drain_endless, &self->ring,
				0);
	drain_prep_read(self, 0, self->pipe[0]);
	drain_queue_flow(self, FLOW, 0, 0, 0);
	drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);
	iou_queue_cancel(&self->ring, FLOW, CANCEL);
	ASSERT_EQ(3, iou_submit(&self->ring));
	for (int i = 0; i < 5; i++) {
		ASSERT_TRUE(drain_let_go(self->pipe));
		ASSERT_EVENTS(2 + i);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(6, drain_nr_events(self));
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, FLOW, 0, -1, 0));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_CQE(&self->ring, DRAIN, RES);
	ASSERT_CQE(&self->ring, CANCEL, -ENOENT);
	ASSERT_EQ(7, drain_nr_events(self));
}

/*
 * A cancellation does not find requests that wait for a drain, as without BPF.
 */
TEST_F(drain, held_back_is_not_found)
{
	drain_prep_read(self, 0, self->pipe[0]);
	drain_queue_flow(self, FLOW, 0, 1, 0);
	drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);
	drain_queue_flow(self, FLOW + 1, 0, 0, 0);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(-ENOENT, iou_sync_cancel(&self->ring, DRAIN, 0, -1, 0));
	ASSERT_EQ(-ENOENT, iou_sync_cancel(&self->ring, FLOW + 1, 0, -1, 0));
	ASSERT_EQ(1, iou_sync_cancel(&self->ring, 0, IORING_ASYNC_CANCEL_OP |
				     IORING_ASYNC_CANCEL_ALL, -1,
				     IORING_OP_BPF));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_CQE(&self->ring, DRAIN, RES);
	ASSERT_CQE(&self->ring, FLOW + 1, 0);
	/* two STARTs, and one CANCEL */
	ASSERT_EQ(3, drain_nr_events(self));
}

/* A cancel request of a program passes the drain. */
TEST_F(drain, child_cancels_flow)
{
	struct io_uring_cqe cqes[3];

	drain_prep_read(self, 0, self->pipe[0]);
	drain_prep_read(self, 1, self->other[0]);
	io_uring_prep_cancel64(&self->skel->bss->sqes[2], FLOW, 0);
	drain_queue_flow(self, FLOW, 0, 1, 0);
	drain_queue_flow(self, FLOW + 1, 1, 1, 1);
	drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(drain_let_go(self->other));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, FLOW + 1, 0);
	ASSERT_EQ(DRAIN, cqes[2].user_data);
}

/* A time limit of the flow also ends the wait of the drain. */
TEST_F(drain, time_limit)
{
	struct __kernel_timespec ts = { .tv_nsec = 20000000 };
	struct io_uring_cqe cqes[3];
	struct io_uring_sqe *sqe;

	drain_prep_read(self, 0, self->pipe[0]);
	for (int i = 0; i < 2; i++) {
		/* which can itself be a drain */
		drain_queue_flow(self, FLOW, 0, 1, 0)->flags =
			IOSQE_IO_LINK | (i ? IOSQE_IO_DRAIN : 0);
		sqe = iou_get_sqe(&self->ring);
		io_uring_prep_link_timeout(sqe, &ts, 0);
		sqe->user_data = TIMEOUT;
		drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);
		ASSERT_EQ(3, iou_submit(&self->ring));
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
		ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
		ASSERT_HAS_CQE(cqes, 2, TIMEOUT, -ETIME);
		ASSERT_EQ(DRAIN, cqes[2].user_data);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* The program is detached before the drain lets the flow start. */
TEST_F(drain, detached)
{
	drain_prep_read(self, 0, self->pipe[0]);
	drain_queue_flow(self, FLOW, 0, 1, 0);
	drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);
	drain_queue_flow(self, FLOW + 1, 0, 1, 0);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, bpf_link__detach(self->link));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_CQE(&self->ring, DRAIN, RES);
	ASSERT_CQE(&self->ring, FLOW + 1, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, drain_nr_events(self));
}

TEST_F(drain, ring_closed)
{
	drain_prep_read(self, 0, self->pipe[0]);
	drain_queue_flow(self, FLOW, 0, 1, 0);
	drain_queue_nop(self, DRAIN, IOSQE_IO_DRAIN);
	drain_queue_flow(self, FLOW + 1, 0, 1, 0)->flags = IOSQE_IO_DRAIN;
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	io_uring_queue_exit(&self->ring);
	self->ring.ring_fd = -1;
	/* all requests with the other end are gone */
	close(self->pipe[0]);
	self->pipe[0] = -1;
	ASSERT_TRUE(iou_fd_gets(self->pipe[1], POLLERR, IOU_WAIT_MS));
	ASSERT_EQ(1, drain_nr_events(self));
}

TEST_HARNESS_MAIN
