// SPDX-License-Identifier: GPL-2.0
/* Children that are linked to each other */
#include "group.h"

#define LINK	IOSQE_IO_LINK
#define HARD	IOSQE_IO_HARDLINK

/* Later members wait, even if they could run at once. */
TEST_F(group, one_after_the_other)
{
	group_read(self, 0, LINK, CHILD);
	group_nop(self, 0, 1, LINK, CHILD + 1);
	group_nop(self, 0, 2, 0, CHILD + 2);
	/* not linked */
	group_nop(self, 0, 3, 0, CHILD + 3);
	group_start();
	ASSERT_NO_CQE(&self->ring);
	group_rets(0, 0, 0, 0);
	ASSERT_EQ(2, group_nr_events(self));
	group_expect(1, CHILD + 3, 3);
	ASSERT_EQ(3, self->skel->bss->events[1].nr_children);

	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(5, group_nr_events(self));
	group_expect(2, CHILD, 4);
	group_expect(3, CHILD + 1, 1);
	group_expect(4, CHILD + 2, 2);
	ASSERT_EQ(0, memcmp(self->buf, "data", 4));
}

/* A chain is staged by a hop, alone or beside other requests. */
TEST_F(group, in_a_hop)
{
	group_nop(self, 0, 0, 0, CHILD);
	self->skel->bss->nr_first = 1;
	group_nop(self, 0, 1, 0, CHILD + 1);
	group_read(self, 0, LINK, CHILD + 2);
	group_nop(self, 0, 3, 0, CHILD + 3);
	group_nop(self, 0, 4, 0, CHILD + 4);
	group_start();
	ASSERT_NO_CQE(&self->ring);
	group_rets(0, 0, 0, 0, 0);
	ASSERT_EQ(4, group_nr_events(self));
	group_has(CHILD + 1, 1);
	group_has(CHILD + 4, 4);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(6, group_nr_events(self));
	group_expect(4, CHILD + 2, 4);
	group_expect(5, CHILD + 3, 3);
}

/* Run three NOPs as a chain. The one with index @failing fails. */
static void run_chain(struct __test_metadata *_metadata,
		      FIXTURE_DATA(group) *self, unsigned int link, int failing)
{
	bool cut = false;

	self->skel->bss->nr_sqes = 0;
	self->skel->bss->nr_events = 0;
	for (int i = 0; i < 3; i++)
		group_nop(self, 0, i == failing ? -EIO : i, i < 2 ? link : 0,
			  CHILD + i);
	group_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, group_nr_events(self));
	for (int i = 0; i < 3; i++) {
		group_expect(1 + i, CHILD + i,
			     cut ? -ECANCELED : i == failing ? -EIO : i);
		cut |= i == failing && !(link & HARD);
	}
}

TEST_F(group, failure_cuts)
{
	static const unsigned int links[] = { LINK, HARD, LINK | IOSQE_ASYNC };

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		for (int failing = -1; failing < 3; failing++)
			run_chain(_metadata, self, links[i], failing);
	}
}

/* None of them runs, as for a chain of the application. */
TEST_F(group, failed_preparation)
{
	group_read(self, 0, LINK, CHILD);
	group_nop(self, 0, 0, LINK, CHILD + 1)->nop_flags = ~0U;
	group_nop(self, 0, 2, HARD, CHILD + 2);
	group_nop(self, 0, 3, 0, CHILD + 3);
	group_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	group_rets(0, 0, 0, 0);
	ASSERT_EQ(5, group_nr_events(self));
	group_expect(1, CHILD, -ECANCELED);
	group_expect(2, CHILD + 1, -EINVAL);
	group_expect(3, CHILD + 2, -ECANCELED);
	group_expect(4, CHILD + 3, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
}

/* The first member is handled like a single child. */
TEST_F(group, failed_head)
{
	group_nop(self, 0, 0, HARD, CHILD)->personality = 77;
	group_nop(self, 0, 1, 0, CHILD + 1);
	group_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(3, group_nr_events(self));
	group_expect(1, CHILD, -EINVAL);
	group_expect(2, CHILD + 1, -ECANCELED);
}

/* A chain ends with the run. */
TEST_F(group, open_end)
{
	group_read(self, 0, LINK, CHILD);
	group_nop(self, 0, 1, 0, CHILD + 1);
	/* START issues the first of the two */
	self->skel->bss->nr_first = 1;
	group_start();
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, group_nr_events(self));
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(3, group_nr_events(self));
	group_expect(1, CHILD, 4);
	group_expect(2, CHILD + 1, 1);
}

/* The verdict on the CQE applies to linked children as well. */
TEST_F(group, posted)
{
	group_nop(self, 0, 5, LINK, CHILD);
	group_nop(self, 0, -EIO, LINK, CHILD + 1);
	group_nop(self, 0, 6, 0, CHILD + 2);
	self->skel->bss->verdict = BPF_IO_URING_POST;
	group_start();
	ASSERT_CQE(&self->ring, CHILD, 5);
	ASSERT_CQE(&self->ring, CHILD + 1, -EIO);
	ASSERT_CQE(&self->ring, CHILD + 2, -ECANCELED);
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
}

/* Before and after the limit. The timeout is a child like any other. */
TEST_F(group, link_timeout)
{
	for (int late = 0; late < 2; late++) {
		self->skel->bss->nr_sqes = 0;
		self->skel->bss->nr_events = 0;
		group_read(self, 0, LINK, CHILD);
		group_timeout(self, 0, late ? 10 : 60000, TIMEOUT)->flags = LINK;
		group_nop(self, 0, 2, 0, CHILD + 2);
		group_start();
		if (!late) {
			ASSERT_NO_CQE(&self->ring);
			ASSERT_EQ(1, group_nr_events(self));
			ASSERT_EQ(4, write(self->pipe[1], "data", 4));
		}
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
		group_rets(0, 0, 0);
		ASSERT_EQ(4, group_nr_events(self));
		group_has(CHILD, late ? -ECANCELED : 4);
		group_has(TIMEOUT, late ? -ETIME : -ECANCELED);
		group_has(CHILD + 2, late ? -ECANCELED : 2);
	}
}

/*
 * A timeout cancels the request that it is linked to, not others with its
 * user_data.
 */
TEST_F(group, link_timeout_is_exact)
{
	struct io_uring_sqe *sqe;

	group_read(self, 0, 0, CHILD);
	sqe = group_read(self, 0, LINK, CHILD);
	sqe->fd = self->other[0];
	group_timeout(self, 0, 10, TIMEOUT);
	group_read(self, 0, 0, CHILD);
	group_start();
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, group_nr_events(self));
	group_has(CHILD, -ECANCELED);
	group_has(TIMEOUT, -ETIME);
	/* no request waits for the pipe any more, the other two continue */
	ASSERT_EQ(4, write(self->other[1], "left", 4));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, group_nr_events(self));
	ASSERT_EQ(8, write(self->pipe[1], "datadata", 8));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(5, group_nr_events(self));
}

/* Many chains, whose members use task work and workers */
TEST_F(group, many)
{
	const int rounds = 30, nr = 8;

	for (int i = 0; i < nr; i++) {
		unsigned int async = i & 1 ? IOSQE_ASYNC : 0;

		group_nop(self, 0, i, LINK | async, CHILD)->nop_flags |=
			IORING_NOP_TW;
		group_nop(self, 0, i, HARD, CHILD + 1);
		group_nop(self, 0, i, async, CHILD + 2);
	}
	for (int i = 0; i < rounds; i++) {
		int of[8] = {};

		self->skel->bss->nr_events = 0;
		group_start();
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_EQ(1 + 3 * nr, group_nr_events(self));
		for (int j = 1; j <= 3 * nr; j++) {
			int res = self->skel->bss->events[j].res;

			ASSERT_LE(0, res);
			ASSERT_GT(nr, res);
			of[res]++;
		}
		for (int j = 0; j < nr; j++)
			ASSERT_EQ(3, of[j]);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* Each member is charged to the slice, so that the task returns in time. */
TEST_F(group, budget)
{
	if (variant->setup & IORING_SETUP_SQPOLL)
		SKIP(return, "an SQ thread does not return to user space");
	for (int i = 0; i < IOU_RUN_SQES; i++)
		group_nop(self, 0, 0, i < IOU_RUN_SQES - 1 ? IOSQE_IO_LINK : 0, CHILD);
	self->link = IOU_ATTACH(self->skel->progs.group_endless, &self->ring, 0);
	/* per flow, as a completion that comes alone is charged as well */
	iou_queue_bpf(&self->ring, 0, FLOW);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(2, iou_submit(&self->ring));
	/* 1024, plus the completions of resumed flows */
	TH_LOG("%u events", group_nr_events(self));
	ASSERT_GT(10 * 1024, group_nr_events(self));
}

TEST_HARNESS_MAIN
