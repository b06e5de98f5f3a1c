// SPDX-License-Identifier: GPL-2.0
/* Requests of the application that a program issues */
#include "group.h"

#define LINK	IOSQE_IO_LINK
#define AS_APP	BPF_IO_URING_ISSUE_APP

/* Check for these CQEs in any order. */
#define expect_two(user_data1, res1, user_data2, res2) do {		\
	struct io_uring_cqe __cqes[2];					\
									\
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, __cqes, 2));		\
	ASSERT_HAS_CQE(__cqes, 2, user_data1, res1);			\
	ASSERT_HAS_CQE(__cqes, 2, user_data2, res2);			\
	ASSERT_NO_CQE(&self->ring);					\
} while (0)

/* Its CQE is posted, it causes no event, and the flow does not wait for it. */
TEST_F(group, ordinary)
{
	group_read(self, AS_APP, 0, APP);
	group_nop(self, AS_APP, 5, 0, APP + 1);
	group_nop(self, 0, 6, 0, CHILD);
	group_start();
	ASSERT_CQE(&self->ring, APP + 1, 5);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	group_rets(0, 0, 0);
	ASSERT_EQ(2, group_nr_events(self));
	ASSERT_EQ(0, self->skel->bss->events[1].nr_children);
	group_expect(1, CHILD, 6);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, APP, 4);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, group_nr_events(self));
	ASSERT_EQ(0, memcmp(self->buf, "data", 4));
}

/* A flow without children has ended. */
TEST_F(group, alone)
{
	group_nop(self, AS_APP, 5, 0, APP);
	group_start();
	expect_two(FLOW, 0, APP, 5);
	ASSERT_EQ(1, group_nr_events(self));
}

/* Issued in a hop, after which the flow continues. */
TEST_F(group, in_a_hop)
{
	group_nop(self, 0, 0, 0, CHILD);
	self->skel->bss->nr_first = 1;
	group_nop(self, AS_APP, 5, 0, APP);
	group_nop(self, 0, 1, 0, CHILD + 1);
	group_nop(self, AS_APP, 6, 0, APP + 1);
	group_start();
	ASSERT_CQE(&self->ring, APP, 5);
	ASSERT_CQE(&self->ring, APP + 1, 6);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(3, group_nr_events(self));
	group_expect(1, CHILD, 0);
	group_expect(2, CHILD + 1, 1);
}

/* Errors are reported by its CQE, as for any SQE. */
TEST_F(group, failed)
{
	group_nop(self, AS_APP, 0, 0, APP)->nop_flags = ~0U;
	group_nop(self, AS_APP, 0, 0, APP + 1)->personality = 77;
	group_read(self, AS_APP, 0, APP + 2)->fd = 123456;
	group_nop(self, AS_APP, -EIO, 0, APP + 3);
	group_start();
	for (int i = 0; i < 5; i++) {
		static const int res[] = { -EINVAL, -EINVAL, -EBADF, -EIO };
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		if (cqe.user_data == FLOW)
			continue;
		ASSERT_EQ(res[cqe.user_data - APP], cqe.res);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, group_nr_events(self));
}

TEST_F(group, skip_success)
{
	group_nop(self, AS_APP, 5, IOSQE_CQE_SKIP_SUCCESS, APP);
	group_nop(self, AS_APP, -EIO, IOSQE_CQE_SKIP_SUCCESS, APP + 1);
	group_nop(self, AS_APP, 0, IOSQE_IO_DRAIN, APP + 2);
	group_sqe(self, AS_APP)->opcode = IORING_OP_BPF;
	self->skel->bss->sqes[3].fd = -1;
	group_start();
	ASSERT_CQE(&self->ring, APP + 1, -EIO);
	ASSERT_CQE(&self->ring, FLOW, -EOPNOTSUPP);
	ASSERT_NO_CQE(&self->ring);
	group_rets(0, 0, -EOPNOTSUPP, -EOPNOTSUPP);
}

/* A chain, a chain that is cut, and a chain that a timeout ends */
TEST_F(group, chain)
{
	group_nop(self, AS_APP, -EIO, LINK, APP);
	group_nop(self, AS_APP, 1, 0, APP + 1);
	group_read(self, AS_APP, LINK, APP + 2)->fd = self->other[0];
	group_timeout(self, AS_APP, 10, TIMEOUT);
	group_read(self, AS_APP, LINK, APP + 3);
	group_nop(self, AS_APP, 4, 0, APP + 4);
	group_start();
	for (int i = 0; i < 5; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		switch (cqe.user_data) {
		case FLOW:
			ASSERT_EQ(0, cqe.res);
			break;
		case APP:
			ASSERT_EQ(-EIO, cqe.res);
			break;
		case TIMEOUT:
			ASSERT_EQ(-ETIME, cqe.res);
			break;
		case APP + 1:
		case APP + 2:
			ASSERT_EQ(-ECANCELED, cqe.res);
			break;
		default:
			ASSERT_EQ(0, cqe.user_data);
		}
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, APP + 3, 4);
	ASSERT_CQE(&self->ring, APP + 4, 4);
	ASSERT_EQ(1, group_nr_events(self));
}

/* The request is issued, even if the flow ends in the same run. */
TEST_F(group, flow_ends)
{
	group_nop(self, AS_APP, 5, 0, APP);
	group_read(self, 0, 0, CHILD);
	self->skel->bss->stop_at_start = 1;
	group_start();
	expect_two(FLOW, 7, APP, 5);
	ASSERT_EQ(-ECANCELED, self->skel->bss->late_ret);
}

/* A chain that is incomplete at the end of the run is no chain. */
TEST_F(group, flow_ends_in_chain)
{
	group_nop(self, AS_APP, 5, LINK, APP);
	self->skel->bss->stop_at_start = 1;
	group_start();
	expect_two(FLOW, 7, APP, -ECANCELED);
}

TEST_F(group, restricted)
{
	const __u8 op = IORING_OP_BPF;
	struct bpf_link *link;
	struct io_uring ring;

	ASSERT_EQ(0, iou_ring_init_only(&ring, variant->setup, &op, 1));
	link = IOU_ATTACH(self->skel->progs.group_as_told, &ring, 0);
	group_nop(self, AS_APP, 1, 0, APP);
	iou_queue_bpf(&ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&ring));
	ASSERT_CQE(&ring, APP, -EACCES);
	ASSERT_CQE(&ring, FLOW, 0);
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

/* A drain that waits for the flow delays neither the request nor children. */
TEST_F(group, drain)
{
	struct io_uring_sqe *sqe;

	group_read(self, 0, 0, CHILD);
	self->skel->bss->nr_first = 1;
	group_nop(self, AS_APP, 5, 0, APP);
	group_read(self, 0, LINK, CHILD + 1);
	group_nop(self, 0, 2, 0, CHILD + 2);
	group_start();
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, 1, 0, CANCEL);
	sqe->flags = IOSQE_IO_DRAIN;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, APP, 5);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, CANCEL, 1);
	ASSERT_EQ(4, group_nr_events(self));
}

TEST_HARNESS_MAIN
