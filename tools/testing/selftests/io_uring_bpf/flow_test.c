// SPDX-License-Identifier: GPL-2.0
/* The life of a flow: its events, state and end */
#include "iou_bpf.h"

#include <sys/socket.h>

#include "kselftest_harness.h"
#include "flow.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL

FIXTURE(flow) {
	struct io_uring ring;
	struct flow *skel;
	struct bpf_link *link;
	int pipe[2];
	char buf[16];
};

IOU_MODE_VARIANTS(flow);
IOU_LOAD_ONCE(flow);

FIXTURE_SETUP(flow)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = flow_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(flow)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
}

static void flow_add_nop(struct flow *skel, int res, unsigned int nop_flags)
{
	struct io_uring_sqe *sqe = &skel->bss->sqes[skel->bss->nr_sqes];

	iou_prep_nop(sqe, res, nop_flags, CHILD + skel->bss->nr_sqes++);
}

/* Add a child that stays in flight until the test writes to the pipe. */
static void flow_add_read(struct flow *skel, int fd, void *buf, unsigned int len)
{
	struct io_uring_sqe *sqe = &skel->bss->sqes[skel->bss->nr_sqes];

	iou_prep_read(sqe, fd, buf, len, 0, CHILD + skel->bss->nr_sqes++);
}

TEST_F(flow, start_event)
{
	struct iou_event *ev = &self->skel->bss->events[0];
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.flow_log, &self->ring, 0);
	sqe = iou_queue_bpf(&self->ring, 0, FLOW);
	iou_prep_bpf(sqe, 0, 1, ~0ULL, 0x123456789abcdefULL, 4);
	sqe->user_data = FLOW;
	ASSERT_EQ(1, iou_submit(&self->ring));
	/* no child is in flight after the run, so the flow ends */
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);

	ASSERT_EQ(1, self->skel->bss->nr_events);
	EXPECT_EQ(BPF_IO_URING_START, ev->event);
	EXPECT_EQ(FLOW, ev->user_data);
	EXPECT_EQ(FLOW, ev->flow_user_data);
	EXPECT_EQ(IORING_OP_BPF, ev->opcode);
	EXPECT_EQ(0, ev->res);
	EXPECT_EQ(0, ev->cflags);
	EXPECT_EQ(0, ev->flags);
	EXPECT_EQ(0, ev->nr_children);
	EXPECT_EQ(1, ev->state[0]);
	EXPECT_EQ(~0ULL, ev->state[1]);
	EXPECT_EQ(0x123456789abcdefULL, ev->state[2]);
	EXPECT_EQ(4, ev->state[3]);
}

TEST_F(flow, start_verdict_is_ignored)
{
	self->link = IOU_ATTACH(self->skel->progs.flow_issue, &self->ring, 0);
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->start_verdict = i;
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
	}
}

TEST_F(flow, start_result_is_ignored)
{
	self->link = IOU_ATTACH(self->skel->progs.flow_write_res, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(flow, sleepable_program)
{
	self->link = IOU_ATTACH(self->skel->progs.flow_issue_sleepable,
				&self->ring, 0);
	flow_add_nop(self->skel, 0, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
}

TEST_F(flow, children_are_counted)
{
	struct iou_event *ev = self->skel->bss->events;
	const int nr = 3;

	self->link = IOU_ATTACH(self->skel->progs.flow_issue, &self->ring, 0);
	for (int i = 0; i < nr; i++)
		flow_add_nop(self->skel, 10 + i, i == 1 ? IORING_NOP_TW : 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);

	ASSERT_EQ(1 + nr, self->skel->bss->nr_events);
	EXPECT_EQ(0, ev[0].nr_children);
	for (int i = 0; i < nr; i++) {
		EXPECT_EQ(0, self->skel->bss->rets[i]);
		EXPECT_EQ(BPF_IO_URING_COMPLETE, ev[1 + i].event);
		EXPECT_EQ(BPF_IO_URING_F_CHILD, ev[1 + i].flags);
		EXPECT_EQ(IORING_OP_NOP, ev[1 + i].opcode);
		EXPECT_EQ(FLOW, ev[1 + i].flow_user_data);
		EXPECT_EQ(ev[1 + i].user_data - CHILD, ev[1 + i].res - 10);
		EXPECT_EQ(nr - 1 - i, ev[1 + i].nr_children);
	}
	/* the child with task work completed last */
	EXPECT_EQ(11, ev[nr].res);
}

TEST_F(flow, state_survives_events)
{
	struct iou_event *ev = self->skel->bss->events;
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.flow_state, &self->ring, 0);
	flow_add_nop(self->skel, 0, IORING_NOP_TW);
	sqe = iou_queue_bpf(&self->ring, 0, FLOW);
	iou_prep_bpf(sqe, 0, 5, 1, 2, 3);
	sqe->user_data = FLOW;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);

	ASSERT_EQ(6, self->skel->bss->nr_events);
	for (int i = 0; i < 6; i++) {
		EXPECT_EQ(5 - i, ev[i].state[0]);
		EXPECT_EQ(1 + 10 * i, ev[i].state[1]);
		EXPECT_EQ(2 + 100 * i, ev[i].state[2]);
		EXPECT_EQ(3 + 1000 * i, ev[i].state[3]);
	}
}

/* A child whose memory the next one reuses does not keep its file. */
TEST_F(flow, files_are_released)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.flow_state, &self->ring, 0);
	flow_add_read(self->skel, self->pipe[0], self->buf, 1);
	ASSERT_EQ(5, write(self->pipe[1], "12345", 5));
	sqe = iou_queue_bpf(&self->ring, 0, FLOW);
	iou_prep_bpf(sqe, 0, 5, 0, 0, 0);
	sqe->user_data = FLOW;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(6, self->skel->bss->nr_events);

	ASSERT_EQ(0, close(self->pipe[0]));
	self->pipe[0] = -1;
	ASSERT_TRUE(iou_fd_gets(self->pipe[1], POLLERR, IOU_WAIT_MS));
}

TEST_F(flow, failed_child_fails_the_flow)
{
	self->link = IOU_ATTACH(self->skel->progs.flow_issue, &self->ring, 0);
	flow_add_nop(self->skel, -EIO, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, -EIO);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(flow, last_completion_counts)
{
	self->link = IOU_ATTACH(self->skel->progs.flow_issue, &self->ring, 0);
	flow_add_nop(self->skel, -EIO, 0);
	flow_add_nop(self->skel, 7, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(flow, program_forgives_failed_child)
{
	self->link = IOU_ATTACH(self->skel->progs.flow_forgive, &self->ring, 0);
	flow_add_nop(self->skel, -EIO, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(-EIO, self->skel->bss->events[1].res);
}

TEST_F(flow, complete_at_start)
{
	self->link = IOU_ATTACH(self->skel->progs.flow_end_at_start,
				&self->ring, 0);
	flow_add_nop(self->skel, 0, 0);
	self->skel->bss->end_res = 42;
	self->skel->bss->log_ending = 1;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 42);
	ASSERT_NO_CQE(&self->ring);

	EXPECT_EQ(0, self->skel->bss->rets[0]);
	EXPECT_EQ(0, self->skel->bss->end_rets[0]);
	EXPECT_EQ(-EALREADY, self->skel->bss->end_rets[1]);
	EXPECT_EQ(-ECANCELED, self->skel->bss->issue_after_end);
	/* the child was issued nevertheless, and the program sees its result */
	ASSERT_EQ(2, self->skel->bss->nr_events);
	EXPECT_EQ(CHILD, self->skel->bss->events[1].user_data);
	EXPECT_EQ(0, self->skel->bss->events[1].res);
	EXPECT_EQ(BPF_IO_URING_F_CHILD | BPF_IO_URING_F_ENDING,
		  self->skel->bss->events[1].flags);
}

TEST_F(flow, complete_cancels_children)
{
	self->link = IOU_ATTACH(self->skel->progs.flow_end_at_first,
				&self->ring, 0);
	flow_add_read(self->skel, self->pipe[0], self->buf, sizeof(self->buf));
	flow_add_nop(self->skel, 0, IORING_NOP_TW);
	self->skel->bss->end_res = -ENOSPC;
	self->skel->bss->log_ending = 1;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, -ENOSPC);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	EXPECT_EQ(-ECANCELED, self->skel->bss->events[2].res);

	/* no request reads from the pipe any more */
	ASSERT_EQ(4, write(self->pipe[1], "left", 4));
	ASSERT_EQ(4, read(self->pipe[0], self->buf, sizeof(self->buf)));
}

/*
 * The poll of the receive is ready, so the receive is in task work when the
 * other child ends the flow, and no cancellation finds it there. Only one of
 * four bytes is available, so the receive would wait forever afterwards.
 */
TEST_F(flow, complete_with_child_in_task_work)
{
	struct io_uring_sqe *sqe;
	int sock[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	ASSERT_EQ(1, write(sock[1], "x", 1));
	self->link = IOU_ATTACH(self->skel->progs.flow_end_at_first,
				&self->ring, 0);
	sqe = &self->skel->bss->sqes[self->skel->bss->nr_sqes++];
	io_uring_prep_recv(sqe, sock[0], self->buf, 4, MSG_WAITALL);
	sqe->ioprio = IORING_RECVSEND_POLL_FIRST;
	flow_add_nop(self->skel, 0, 0);
	self->skel->bss->end_res = 7;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	close(sock[0]);
	close(sock[1]);
}

TEST_F(flow, skip_success)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.flow_end_at_start,
				&self->ring, 0);
	sqe = iou_queue_bpf(&self->ring, 0, FLOW);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, self->skel->bss->nr_events);

	self->skel->bss->end_res = -EIO;
	sqe = iou_queue_bpf(&self->ring, 0, FLOW);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, -EIO);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(flow, flows_in_parallel)
{
	const int nr = 24;
	struct io_uring_cqe cqes[nr];
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.flow_count, &self->ring, 0);
	for (int i = 0; i < nr; i++) {
		sqe = iou_queue_bpf(&self->ring, 0, FLOW + i);
		sqe->off = i * 3;
	}
	ASSERT_EQ(nr, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, nr));
	for (int i = 0; i < nr; i++)
		ASSERT_HAS_CQE(cqes, nr, FLOW + i, i * 3);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(flow, cancelled)
{
	struct io_uring_cqe cqes[2];
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.flow_issue, &self->ring, 0);
	self->skel->bss->log_ending = 1;
	flow_add_read(self->skel, self->pipe[0], self->buf, sizeof(self->buf));
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);

	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_cancel64(sqe, FLOW, 0);
	sqe->user_data = 1;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, 1, 0);
	ASSERT_NO_CQE(&self->ring);
	/* CANCEL, and then the child that was cancelled with its flow */
	ASSERT_EQ(3, self->skel->bss->nr_events);
	EXPECT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[1].event);
	EXPECT_EQ(CHILD, self->skel->bss->events[2].user_data);
	EXPECT_EQ(-ECANCELED, self->skel->bss->events[2].res);
}

/* A child alone is found like any request. */
TEST_F(flow, child_cancelled)
{
	struct io_uring_cqe cqes[2];
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.flow_issue, &self->ring, 0);
	flow_add_read(self->skel, self->pipe[0], self->buf, sizeof(self->buf));
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));

	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_cancel64(sqe, CHILD, 0);
	sqe->user_data = 1;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, 1, 0);
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	EXPECT_EQ(BPF_IO_URING_COMPLETE, self->skel->bss->events[1].event);
	EXPECT_EQ(-ECANCELED, self->skel->bss->events[1].res);
}

/*
 * A drain waits for the flow and its children, and these do not wait for the
 * drain.
 */
TEST_F(flow, drain)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.flow_count, &self->ring, 0);
	sqe = iou_queue_bpf(&self->ring, 0, FLOW);
	sqe->off = 100;
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, 0, 0, 1);
	sqe->flags = IOSQE_IO_DRAIN;
	/* the flow itself waits for the requests before it */
	sqe = iou_queue_bpf(&self->ring, 0, FLOW + 1);
	sqe->off = 2;
	sqe->flags = IOSQE_IO_DRAIN;
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 100);
	ASSERT_CQE(&self->ring, 1, 0);
	ASSERT_CQE(&self->ring, FLOW + 1, 2);
	ASSERT_NO_CQE(&self->ring);
}

/* Flows in flight have different, small numbers, and a new flow that of an ended one. */
TEST_F(flow, number)
{
	__u32 *ids = self->skel->bss->flow_ids;
	struct io_uring_cqe cqe;

	self->link = IOU_ATTACH(self->skel->progs.flow_number, &self->ring, 0);
	flow_add_read(self->skel, self->pipe[0], self->buf, 1);
	for (int i = 0; i < 3; i++)
		iou_queue_bpf(&self->ring, 0, i);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	for (int i = 0; i < 3; i++) {
		ASSERT_GE(3, ids[i]);
		ASSERT_NE(ids[i], ids[(i + 1) % 3]);
	}
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	iou_queue_bpf(&self->ring, 0, 7);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(ids[cqe.user_data], ids[7]);
	ASSERT_EQ(0, self->skel->bss->nr_other_ids);
}

TEST_HARNESS_MAIN
