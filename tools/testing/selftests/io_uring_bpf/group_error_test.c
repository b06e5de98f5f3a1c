// SPDX-License-Identifier: GPL-2.0
/* Invalid chains of children, which do not run in part */
#include "group.h"

#define LINK	IOSQE_IO_LINK

/* A refused member fails the members before and after it. */
TEST_F(group, refused_member)
{
	group_read(self, 0, LINK, CHILD);
	group_nop(self, 0, 1, LINK | IOSQE_IO_DRAIN, CHILD + 1);
	group_nop(self, 0, 2, LINK, CHILD + 2);
	group_nop(self, 0, 3, 0, CHILD + 3);
	/* the next chain is not affected */
	group_nop(self, 0, 4, 0, CHILD + 4);
	group_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	group_rets(0, -EOPNOTSUPP, -ECANCELED, -ECANCELED, 0);
	ASSERT_EQ(3, group_nr_events(self));
	group_has(CHILD, -ECANCELED);
	group_has(CHILD + 4, 4);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(group, refused_head)
{
	group_nop(self, 0, 0, LINK, CHILD)->opcode = 255;
	group_nop(self, 0, 1, 0, CHILD + 1);
	group_nop(self, 0, 2, LINK, CHILD + 2);
	group_nop(self, 0, 3, 0, CHILD + 3);
	group_nop(self, 0, 4, LINK, CHILD + 4)->opcode = IORING_OP_BPF;
	group_nop(self, 0, 5, LINK, CHILD + 5);
	group_nop(self, 0, 6, 0, CHILD + 6);
	group_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	group_rets(-EINVAL, -ECANCELED, 0, 0, -EOPNOTSUPP, -ECANCELED,
		   -ECANCELED);
	ASSERT_EQ(3, group_nr_events(self));
	group_expect(1, CHILD + 2, 2);
	group_expect(2, CHILD + 3, 3);
}

/* Stage the last member of a chain, so that the next SQE starts a new one. */
TEST_F(group, refused_end)
{
	group_read(self, 0, LINK, CHILD);
	group_nop(self, 0, 1, IOSQE_CQE_SKIP_SUCCESS, CHILD + 1);
	group_nop(self, 0, 2, LINK, CHILD + 2);
	group_sqe(self, 0)->opcode = 255;
	group_nop(self, 0, 4, 0, CHILD + 4);
	group_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	group_rets(0, -EINVAL, 0, -EINVAL, 0);
	ASSERT_EQ(4, group_nr_events(self));
	group_has(CHILD, -ECANCELED);
	group_has(CHILD + 2, -ECANCELED);
	group_has(CHILD + 4, 4);
}

/* A chain consists either of children or of requests of the application. */
TEST_F(group, not_of_a_kind)
{
	group_read(self, 0, LINK, CHILD);
	group_nop(self, BPF_IO_URING_ISSUE_APP, 1, 0, APP);
	group_read(self, BPF_IO_URING_ISSUE_APP, LINK, APP + 1);
	group_nop(self, 0, 3, 0, CHILD + 3);
	group_start();
	ASSERT_CQE(&self->ring, APP + 1, -ECANCELED);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	group_rets(0, -EINVAL, 0, -EINVAL);
	ASSERT_EQ(2, group_nr_events(self));
	group_expect(1, CHILD, -ECANCELED);
}

TEST_F(group, timeout_of_nothing)
{
	group_timeout(self, 0, 10, TIMEOUT);
	group_nop(self, 0, 1, LINK, CHILD + 1);
	group_timeout(self, 0, 10, TIMEOUT)->flags = LINK;
	/* a request of the application exists already */
	group_timeout(self, 0, 10, TIMEOUT + 1);
	group_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	group_rets(-EOPNOTSUPP, 0, 0, 0);
	ASSERT_EQ(4, group_nr_events(self));
	group_has(CHILD + 1, -ECANCELED);
	group_has(TIMEOUT, -ECANCELED);
	group_has(TIMEOUT + 1, -EINVAL);
}

/* A chain that exceeds the limit of a run is not truncated. */
TEST_F(group, too_long)
{
	group_read(self, 0, LINK, CHILD);
	for (int i = 1; i <= IOU_RUN_SQES; i++)
		group_nop(self, 0, i, LINK, CHILD + i);
	group_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	for (int i = 0; i < IOU_RUN_SQES; i++) {
		ASSERT_EQ(0, self->skel->bss->rets[i]);
		group_expect(1 + i, CHILD + i, -ECANCELED);
	}
	ASSERT_EQ(-ENOBUFS, self->skel->bss->rets[IOU_RUN_SQES]);
	ASSERT_EQ(1 + IOU_RUN_SQES, group_nr_events(self));
}

/* A chain that fits exactly */
TEST_F(group, long_enough)
{
	for (int i = 0; i < IOU_RUN_SQES; i++)
		group_nop(self, 0, i, LINK, CHILD + i);
	group_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(1 + IOU_RUN_SQES, group_nr_events(self));
	for (int i = 0; i < IOU_RUN_SQES; i++)
		group_expect(1 + i, CHILD + i, i);
}

/* Each member counts as a child. */
TEST_F(group, too_many_children)
{
	const unsigned int nr = 8;
	struct bpf_link *link;
	struct io_uring ring;

	ASSERT_EQ(0, iou_ring_init_size(&ring, variant->setup, nr, nr));
	link = IOU_ATTACH(self->skel->progs.group_as_told, &ring, 0);
	for (unsigned int i = 0; i <= nr; i++)
		group_read(self, 0, i < nr - 1 ? LINK : 0, CHILD + i);
	iou_queue_bpf(&ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&ring));
	ASSERT_NO_CQE(&ring);
	for (unsigned int i = 0; i < nr; i++)
		ASSERT_EQ(0, self->skel->bss->rets[i]);
	ASSERT_EQ(-EAGAIN, self->skel->bss->rets[nr]);
	for (unsigned int i = 0; i < nr; i++)
		ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&ring, FLOW, 0);
	ASSERT_EQ(1 + nr, group_nr_events(self));
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

/* A linked child cannot be reissued. The last one of the chain can. */
TEST_F(group, again)
{
	for (int i = 0; i < 2; i++) {
		self->skel->bss->nr_sqes = 0;
		self->skel->bss->nr_events = 0;
		group_nop(self, 0, 1, LINK, CHILD);
		group_nop(self, 0, 2, 0, CHILD + 1);
		self->skel->bss->again_at = CHILD + i;
		self->skel->bss->again_ret = 1;
		group_start();
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_EQ(i ? 0 : -EOPNOTSUPP, self->skel->bss->again_ret);
		ASSERT_EQ(3 + i, group_nr_events(self));
		group_expect(1, CHILD, 1);
		group_expect(2, CHILD + 1, 2);
		if (i)
			group_expect(3, CHILD + 1, 42);
	}
}

/* A refused child cannot be reissued either. */
TEST_F(group, again_refused)
{
	group_nop(self, 0, 1, LINK, CHILD);
	group_nop(self, 0, 2, 0, CHILD + 1)->nop_flags = ~0U;
	self->skel->bss->again_at = CHILD + 1;
	group_start();
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
	ASSERT_EQ(-EINVAL, self->skel->bss->again_ret);
	ASSERT_EQ(3, group_nr_events(self));
}

/* Restrictions of the ring apply to each member. */
TEST_F(group, restricted)
{
	/* permitted alone, but not with IOSQE_IO_LINK */
	const __u8 ops[] = { IORING_OP_BPF, IORING_OP_NOP };
	struct bpf_link *link;
	struct io_uring ring;

	ASSERT_EQ(0, iou_ring_init_only(&ring, variant->setup, ops, 2));
	link = IOU_ATTACH(self->skel->progs.group_as_told, &ring, 0);
	group_nop(self, 0, 1, LINK, CHILD);
	group_nop(self, 0, 2, 0, CHILD + 1);
	group_nop(self, 0, 3, 0, CHILD + 2);
	iou_queue_bpf(&ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&ring));
	ASSERT_CQE(&ring, FLOW, 0);
	ASSERT_EQ(4, group_nr_events(self));
	group_has(CHILD, -EACCES);
	group_has(CHILD + 1, -ECANCELED);
	group_has(CHILD + 2, 3);
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

TEST_HARNESS_MAIN
