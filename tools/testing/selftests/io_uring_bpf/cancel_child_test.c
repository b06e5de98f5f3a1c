// SPDX-License-Identifier: GPL-2.0
/* Cancellation of a single child, by the application or by the flow */
#include "cancel.h"
#include "iou_until.h"

static struct iou_event *find_event(FIXTURE_DATA(cancel) *self, __u64 user_data)
{
	for (int i = 1; i < self->skel->bss->nr_events; i++) {
		if (self->skel->bss->events[i].user_data == user_data)
			return &self->skel->bss->events[i];
	}
	return NULL;
}

/* The program sees the cancellation, and the flow can continue. */
TEST_F(cancel, program_goes_on)
{
	struct iou_event *ev = self->skel->bss->events;

	self->link = IOU_ATTACH(self->skel->progs.cancel_retry, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 1; i <= 3; i++) {
		cancel_queue(self, CHILD, 0);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, CANCEL, 0);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(1 + i, self->skel->bss->nr_events);
		ASSERT_EQ(BPF_IO_URING_COMPLETE, ev[i].event);
		ASSERT_EQ(BPF_IO_URING_F_CHILD, ev[i].flags);
		ASSERT_EQ(CHILD, ev[i].user_data);
		ASSERT_EQ(-ECANCELED, ev[i].res);
	}

	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, ev[4].res);
}

/* A cancellation by file matches the child: a flow has no file. */
TEST_F(cancel, child_by_fd)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.cancel_retry, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));

	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_cancel_fd(sqe, self->pipe[0], 0);
	sqe->user_data = CANCEL;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, CANCEL, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(-ECANCELED, self->skel->bss->events[1].res);

	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
}

TEST_F(cancel, child_sync)
{
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, CHILD, 0, -1, 0));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
}

#define ALL		IORING_ASYNC_CANCEL_ALL
#define ANY		IORING_ASYNC_CANCEL_ANY
#define FD		IORING_ASYNC_CANCEL_FD
#define FIXED		(FD | IORING_ASYNC_CANCEL_FD_FIXED)
#define USER_DATA	IORING_ASYNC_CANCEL_USERDATA
#define OPCODE		IORING_ASYNC_CANCEL_OP

/* expected children, as a mask */
#define READ_ONE	1U
#define POLL_ONE	2U
#define READ_TWO	4U
#define TIMER		8U
#define NR_CHILDREN	4

/* no file, the two pipes, and fixed file 0 */
enum { NO_FILE, PIPE_ONE, PIPE_TWO, SLOT };

static const struct cancel_case child_cases[] = {
	{ "user_data", 0, CHILD + 1, .nr = 1, .of = READ_TWO },
	{ "user_data of two", 0, CHILD, .nr = 1, .of = READ_ONE | POLL_ONE },
	{ "all of that user_data", ALL, CHILD, .ret = 2,
	  .nr = 2, .of = READ_ONE | POLL_ONE },
	{ "fd", FD, .fd = PIPE_TWO, .nr = 1, .of = READ_TWO },
	{ "fd of two", FD, .fd = PIPE_ONE, .nr = 1, .of = READ_ONE | POLL_ONE },
	{ "all of that fd", FD | ALL, .fd = PIPE_ONE, .ret = 2,
	  .nr = 2, .of = READ_ONE | POLL_ONE },
	{ "all of a registered file", FIXED | ALL, .fd = SLOT, .ret = 2,
	  .nr = 2, .of = READ_ONE | POLL_ONE },
	{ "opcode", OPCODE, .opcode = IORING_OP_POLL_ADD,
	  .nr = 1, .of = POLL_ONE },
	{ "opcode without a file", OPCODE, .opcode = IORING_OP_TIMEOUT,
	  .nr = 1, .of = TIMER },
	{ "all of that opcode", OPCODE | ALL, .opcode = IORING_OP_READ,
	  .ret = 2, .nr = 2, .of = READ_ONE | READ_TWO },
	{ "fd and opcode", FD | OPCODE, .opcode = IORING_OP_READ,
	  .fd = PIPE_ONE, .nr = 1, .of = READ_ONE },
	{ "fd and user_data", FD | USER_DATA, CHILD + 1, .fd = PIPE_TWO,
	  .nr = 1, .of = READ_TWO },
	{ "opcode and user_data", OPCODE | USER_DATA, CHILD, IORING_OP_READ,
	  .nr = 1, .of = READ_ONE },
	{ "user_data of another file", FD | USER_DATA, CHILD, .fd = PIPE_TWO,
	  .ret = -ENOENT },
	{ "no such user_data", 0, CHILD + 3, .ret = -ENOENT },
	{ "no such opcode", OPCODE, .opcode = IORING_OP_WRITE, .ret = -ENOENT },
	{ "none of that opcode", OPCODE | ALL, .opcode = IORING_OP_WRITE },
	/* the unused fields of a flow's SQE must not match */
	{ "no fd", FD, .fd = NO_FILE, .ret = -EBADF },
	{ "fd of a flow", FD | OPCODE, .opcode = IORING_OP_BPF, .fd = PIPE_ONE,
	  .ret = -ENOENT },
	{ "fd of that flow", FD | USER_DATA, FLOW, .fd = PIPE_ONE,
	  .ret = -ENOENT },
};

static void prep_children(FIXTURE_DATA(cancel) *self, int fd)
{
	struct io_uring_sqe *sqes = self->skel->bss->sqes;

	/* the first child is in flight */
	io_uring_prep_poll_add(&sqes[1], self->pipe[0], POLLIN);
	sqes[1].user_data = CHILD;
	iou_prep_read(&sqes[2], fd, self->buf, LEN, 0, CHILD + 1);
	self->ts.tv_sec = 3600;
	io_uring_prep_timeout(&sqes[3], &self->ts, 0, 0);
	sqes[3].user_data = CHILD + 2;
	self->skel->bss->nr_sqes = NR_CHILDREN;
}

static void start_children(struct __test_metadata *_metadata,
			   FIXTURE_DATA(cancel) *self)
{
	self->skel->bss->nr_events = 0;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
}

/* Return the children among the first @nr events that were cancelled. */
static unsigned int cancelled_children(FIXTURE_DATA(cancel) *self, int nr)
{
	const struct io_uring_sqe *sqe = self->skel->bss->sqes;
	unsigned int found = 0;

	for (int i = 1; i <= nr; i++) {
		const struct iou_event *ev = &self->skel->bss->events[i];

		for (int j = 0; j < NR_CHILDREN; j++) {
			if (ev->user_data == sqe[j].user_data &&
			    ev->opcode == sqe[j].opcode &&
			    ev->res == -ECANCELED)
				found |= 1U << j;
		}
	}
	return found;
}

/*
 * A cancelled child is an event of the flow, which continues with the others.
 */
static void cancel_children(struct __test_metadata *_metadata,
			    FIXTURE_DATA(cancel) *self,
			    const struct cancel_case *c, int fd, bool sync)
{
	struct iou_event *ev;
	unsigned int found;

	start_children(_metadata, self);
	ASSERT_EQ(c->ret, cancel_now(self, c, fd, sync)) {
		TH_LOG("%s", c->name);
	}
	ASSERT_TRUE(iou_until(&self->ring,
			      IO_URING_READ_ONCE(self->skel->bss->nr_events) >
			      (__u32)c->nr)) {
		TH_LOG("%s", c->name);
	}
	found = cancelled_children(self, c->nr);
	ASSERT_EQ(c->nr, __builtin_popcount(found & c->of)) {
		TH_LOG("%s: %#x", c->name, found);
	}

	IOU_CANCEL_FLOW(&self->ring, FLOW, CANCEL);
	ASSERT_EQ(c->nr + 2, self->skel->bss->nr_events);
	ev = &self->skel->bss->events[c->nr + 1];
	ASSERT_EQ(BPF_IO_URING_CANCEL, ev->event);
	ASSERT_EQ(NR_CHILDREN - c->nr, ev->nr_children);
}

/*
 * Cancellation by each attribute of a request. An SQ thread issues this number
 * of children at once, so they are in flight after the submission.
 */
static void find_children(struct __test_metadata *_metadata,
			  FIXTURE_DATA(cancel) *self, bool sync)
{
	int other[2];

	ASSERT_EQ(0, pipe(other));
	ASSERT_EQ(0, io_uring_register_files(&self->ring, self->pipe, 1));
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	prep_children(self, other[0]);
	for (size_t i = 0; i < ARRAY_SIZE(child_cases); i++) {
		const struct cancel_case *c = &child_cases[i];
		const int fds[] = { -1, self->pipe[0], other[0], 0 };

		cancel_children(_metadata, self, c, fds[c->fd], sync);
	}
	ASSERT_NO_CQE(&self->ring);
	close(other[0]);
	close(other[1]);
}

TEST_F(cancel, children_found)
{
	find_children(_metadata, self, false);
}

TEST_F(cancel, children_found_sync)
{
	find_children(_metadata, self, true);
}

/*
 * IORING_ASYNC_CANCEL_ANY matches the flow first, so its children are no
 * events.
 */
TEST_F(cancel, any_child_is_any_flow)
{
	static const struct cancel_case cases[] = {
		{ "any", ANY }, { "all and any", ALL | ANY },
	};
	struct iou_event *ev = &self->skel->bss->events[1];
	int other[2];

	ASSERT_EQ(0, pipe(other));
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	prep_children(self, other[0]);
	for (int i = 0; i < 4; i++) {
		const struct cancel_case *c = &cases[i / 2];

		start_children(_metadata, self);
		ASSERT_EQ(1 + NR_CHILDREN, cancel_now(self, c, -1, i % 2));
		ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
		ASSERT_EQ(2, self->skel->bss->nr_events);
		ASSERT_EQ(BPF_IO_URING_CANCEL, ev->event);
		ASSERT_EQ(NR_CHILDREN, ev->nr_children);
	}
	ASSERT_NO_CQE(&self->ring);
	close(other[0]);
	close(other[1]);
}

/* One child cancels another, without any CQE. */
TEST_F(cancel, child_by_child)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[1];
	struct iou_event *ev;

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	io_uring_prep_cancel64(sqe, CHILD, 0);
	sqe->user_data = CANCEL;
	self->skel->bss->nr_sqes = 2;
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_HARDLINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));

	/* the result of the flow depends on the order of the two */
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(i ? OTHER : FLOW, cqe.user_data);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	ev = find_event(self, CHILD);
	ASSERT_NE(NULL, ev);
	ASSERT_EQ(-ECANCELED, ev->res);
	ev = find_event(self, CANCEL);
	ASSERT_NE(NULL, ev);
	ASSERT_EQ(0, ev->res);
}

/* A child cancels its own flow. */
TEST_F(cancel, flow_by_child)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[1];
	struct io_uring_cqe cqes[2];

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	io_uring_prep_cancel64(sqe, FLOW, 0);
	sqe->user_data = CANCEL;
	self->skel->bss->nr_sqes = 2;
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, OTHER, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[1].event);
	ASSERT_TRUE(cancel_pipe_unused(self));
}

/* One flow cancels another one. */
TEST_F(cancel, flow_by_other_flow)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[0];

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));

	io_uring_prep_cancel64(sqe, FLOW, 0);
	sqe->user_data = CANCEL;
	iou_queue_bpf(&self->ring, 0, OTHER);
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(cqe.user_data == FLOW ? -ECANCELED : 0, cqe.res);
	}
	ASSERT_NO_CQE(&self->ring);
	/* START of both, the completion of the child, and CANCEL */
	ASSERT_EQ(4, self->skel->bss->nr_events);
}

/* A cancelled flow issues nothing. */
TEST_F(cancel, nothing_is_issued_afterwards)
{
	struct io_uring_cqe cqes[2];

	self->link = IOU_ATTACH(self->skel->progs.cancel_later, &self->ring, 0);
	iou_prep_nop(&self->skel->bss->sqes[1], 0, 0, CHILD + 1);
	self->skel->bss->nr_sqes = 2;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));

	cancel_queue(self, FLOW, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[1].event);
}

/* The ring is usable afterwards. */
TEST_F(cancel, again_and_again)
{
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	for (int i = 0; i < 200; i++) {
		struct io_uring_cqe cqes[2];

		iou_queue_bpf(&self->ring, 0, FLOW);
		cancel_queue(self, FLOW, 0);
		ASSERT_EQ(2, iou_submit(&self->ring));
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
		ASSERT_HAS_CQE(cqes, 2, CANCEL, 0);
		ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	}
	ASSERT_TRUE(cancel_pipe_unused(self));
}

TEST_HARNESS_MAIN
