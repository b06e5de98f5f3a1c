// SPDX-License-Identifier: GPL-2.0
/* Errors of bpf_io_uring_issue(), and errors that are events */
#include "issue.h"

/* A refused SQE. All other fields are 0, and fd is -1. */
struct issue_case {
	const char	*name;
	int		ret;
	__u8		opcode;
	__u8		flags;
};

static const struct issue_case issue_cases[] = {
	{ "no such opcode", -EINVAL, .opcode = 255 },
	{ "opcode beyond the last", -EINVAL, .opcode = IORING_OP_LAST },
	{ "flow", -EOPNOTSUPP, .opcode = IORING_OP_BPF },
	{ "link timeout", -EOPNOTSUPP, .opcode = IORING_OP_LINK_TIMEOUT },
	{ "recv_zc", -EOPNOTSUPP, .opcode = IORING_OP_RECV_ZC },
	{ "nop128", -EOPNOTSUPP, .opcode = IORING_OP_NOP128 },
	{ "uring_cmd128", -EOPNOTSUPP, .opcode = IORING_OP_URING_CMD128 },
	{ "skip success", -EINVAL, .flags = IOSQE_CQE_SKIP_SUCCESS },
	{ "drain", -EOPNOTSUPP, .flags = IOSQE_IO_DRAIN },
	{ "no such opcode any more", -EINVAL, .opcode = 255 },
	{ "flow any more", -EOPNOTSUPP, .opcode = IORING_OP_BPF },
};

#define NR_CASES	((int)ARRAY_SIZE(issue_cases))

TEST_F(issue, refused)
{
	self->link = IOU_ATTACH(self->skel->progs.issue_table, &self->ring, 0);
	for (int i = 0; i < NR_CASES; i++) {
		struct io_uring_sqe *sqe = &self->skel->bss->sqes[i];
		const struct issue_case *c = &issue_cases[i];

		sqe->opcode = c->opcode;
		sqe->flags = c->flags;
		sqe->fd = -1;
	}
	self->skel->bss->nr_sqes = NR_CASES;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
	ASSERT_NO_CQE(&self->ring);
	for (int i = 0; i < NR_CASES; i++) {
		EXPECT_EQ(issue_cases[i].ret, self->skel->bss->rets[i]) {
			TH_LOG("%s", issue_cases[i].name);
		}
	}
	/* nothing was issued, so there was no completion */
	EXPECT_EQ(1, self->skel->bss->nr_events);
}

TEST_F(issue, sizes_and_flags)
{
	self->link = IOU_ATTACH(self->skel->progs.issue_sizes, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
	EXPECT_EQ(-EINVAL, self->skel->bss->ret_short);
	EXPECT_EQ(-EINVAL, self->skel->bss->ret_long);
	EXPECT_EQ(-EINVAL, self->skel->bss->ret_zero);
	EXPECT_EQ(-EINVAL, self->skel->bss->ret_flags);
}

TEST_F(issue, too_many_in_one_run)
{
	self->link = IOU_ATTACH(self->skel->progs.issue_table, &self->ring, 0);
	for (int i = 0; i < IOU_RUN_SQES + 2; i++)
		iou_prep_nop(&self->skel->bss->sqes[i], i, 0, CHILD + i);
	self->skel->bss->nr_sqes = IOU_RUN_SQES + 2;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	for (int i = 0; i < IOU_RUN_SQES; i++) {
		EXPECT_EQ(0, self->skel->bss->rets[i]);
		EXPECT_EQ(i, self->skel->bss->events[1 + i].res);
	}
	EXPECT_EQ(-ENOBUFS, self->skel->bss->rets[IOU_RUN_SQES]);
	EXPECT_EQ(-ENOBUFS, self->skel->bss->rets[IOU_RUN_SQES + 1]);
	EXPECT_EQ(1 + IOU_RUN_SQES, self->skel->bss->nr_events);
}

/* The number of children of a flow is limited to the CQ size. */
TEST_F(issue, too_many_children)
{
	const unsigned int nr = 8;
	struct bpf_link *link;
	struct io_uring ring;

	ASSERT_EQ(0, iou_ring_init_size(&ring, variant->setup, nr, nr));
	link = IOU_ATTACH(self->skel->progs.issue_table, &ring, 0);
	for (unsigned int i = 0; i <= nr; i++)
		iou_prep_read(&self->skel->bss->sqes[i], self->pipe[0],
			      self->buf, 1, 0, CHILD + i);
	self->skel->bss->nr_sqes = nr + 1;
	iou_queue_bpf(&ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&ring));
	ASSERT_NO_CQE(&ring);
	for (unsigned int i = 0; i < nr; i++)
		EXPECT_EQ(0, self->skel->bss->rets[i]);
	EXPECT_EQ(-EAGAIN, self->skel->bss->rets[nr]);
	ASSERT_EQ(nr, write(self->pipe[1], "12345678", nr));
	ASSERT_CQE(&ring, FLOW, 0);
	EXPECT_EQ(1 + nr, self->skel->bss->nr_events);
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

TEST_F(issue, failed_preparation_is_an_event)
{
	struct iou_event *ev = &self->skel->bss->events[1];

	self->link = IOU_ATTACH(self->skel->progs.issue_table, &self->ring, 0);
	iou_prep_nop(&self->skel->bss->sqes[0], 0, 1U << 31, CHILD);
	/* flags and personality are checked before the opcode's preparation */
	iou_prep_nop(&self->skel->bss->sqes[1], 0, 0, CHILD + 1);
	self->skel->bss->sqes[1].personality = 77;
	iou_prep_nop(&self->skel->bss->sqes[2], 0, 0, CHILD + 2);
	self->skel->bss->sqes[2].flags = 1U << 7;
	self->skel->bss->nr_sqes = 3;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, self->skel->bss->nr_events);
	for (int i = 0; i < 3; i++, ev++) {
		EXPECT_EQ(0, self->skel->bss->rets[i]);
		EXPECT_EQ(BPF_IO_URING_COMPLETE, ev->event);
		EXPECT_EQ(BPF_IO_URING_F_CHILD, ev->flags);
		EXPECT_EQ(IORING_OP_NOP, ev->opcode);
		EXPECT_EQ(CHILD + i, ev->user_data);
		EXPECT_EQ(-EINVAL, ev->res);
	}
}

TEST_F(issue, unknown_fd_is_an_event)
{
	struct iou_event *ev = &self->skel->bss->events[1];

	self->link = IOU_ATTACH(self->skel->progs.issue_table, &self->ring, 0);
	iou_prep_read(&self->skel->bss->sqes[0], 123456, self->buf, 1, 0, CHILD);
	/* no files are registered */
	iou_prep_read(&self->skel->bss->sqes[1], 0, self->buf, 1, 0, CHILD + 1);
	self->skel->bss->sqes[1].flags = IOSQE_FIXED_FILE;
	self->skel->bss->nr_sqes = 2;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	for (int i = 0; i < 2; i++, ev++) {
		EXPECT_EQ(0, self->skel->bss->rets[i]);
		EXPECT_EQ(IORING_OP_READ, ev->opcode);
		EXPECT_EQ(-EBADF, ev->res);
	}
}

/* Restrictions of the ring apply to its programs. */
TEST_F(issue, restricted_opcode_is_an_event)
{
	const __u8 ops[] = { IORING_OP_BPF, IORING_OP_NOP };
	struct bpf_link *link;
	struct io_uring ring;

	ASSERT_EQ(0, iou_ring_init_only(&ring, variant->setup, ops, 2));
	link = IOU_ATTACH(self->skel->progs.issue_table, &ring, 0);

	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	iou_prep_nop(&self->skel->bss->sqes[0], 5, 0, CHILD);
	iou_prep_read(&self->skel->bss->sqes[1], self->pipe[0], self->buf, 1, 0,
		      CHILD + 1);
	self->skel->bss->nr_sqes = 2;
	iou_queue_bpf(&ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&ring));
	ASSERT_CQE(&ring, FLOW, 0);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	EXPECT_EQ(5, self->skel->bss->events[1].res);
	EXPECT_EQ(-EACCES, self->skel->bss->events[2].res);
	ASSERT_EQ(0, self->buf[0]);
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

TEST_HARNESS_MAIN
