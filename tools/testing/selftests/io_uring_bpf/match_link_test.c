// SPDX-License-Identifier: GPL-2.0
/* Chains with watched members, which continue as usual */
#include "match.h"

#define NR	4

/* Chain NR NOPs. The one with index @failing fails, none if -1. */
static void queue_chain(FIXTURE_DATA(match) *self, int failing,
			unsigned int flags)
{
	for (int i = 0; i < NR; i++) {
		struct io_uring_sqe *sqe;

		sqe = match_queue_nop(self, i == failing ? -EIO : i, APP + i);
		sqe->flags = i < NR - 1 ? flags : 0;
	}
}

/* The result of a member */
static int member_res(int i, int failing, unsigned int flags)
{
	if (i == failing)
		return -EIO;
	if (failing < 0 || i < failing || (flags & IOSQE_IO_HARDLINK))
		return i;
	return -ECANCELED;
}

static void run_chain(struct __test_metadata *_metadata,
		      FIXTURE_DATA(match) *self, int failing,
		      unsigned int flags)
{
	self->skel->bss->nr_events = 0;
	queue_chain(self, failing, flags);
	MATCH_SUBMIT(NR);
	for (int i = 0; i < NR; i++)
		ASSERT_CQE(&self->ring, APP + i,
			   member_res(i, failing, flags));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(NR, match_nr_events(self));
	for (int i = 0; i < NR; i++) {
		ASSERT_EQ(APP + i, match_event(self, i)->user_data);
		ASSERT_EQ(member_res(i, failing, flags),
			  match_event(self, i)->res);
		ASSERT_EQ(BPF_IO_URING_F_MATCH, match_event(self, i)->flags);
	}
}

/* Members that are cancelled with their chain complete like others. */
TEST_F(match, chain)
{
	static const unsigned int flags[] = {
		IOSQE_IO_LINK, IOSQE_IO_HARDLINK, IOSQE_IO_LINK | IOSQE_ASYNC,
	};

	self->link = MATCH_ALL(match_as_told);
	for (size_t f = 0; f < ARRAY_SIZE(flags); f++) {
		for (int failing = -1; failing < NR; failing++)
			run_chain(_metadata, self, failing, flags[f]);
	}
}

/* A dropped CQE is not a failure. */
TEST_F(match, dropped)
{
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  .user_data = APP + 1,
				  .user_data_mask = ~0ULL);
	self->skel->bss->verdict = BPF_IO_URING_DROP;
	queue_chain(self, -1, IOSQE_IO_LINK);
	MATCH_SUBMIT(NR);
	for (int i = 0; i < NR; i++) {
		if (i != 1)
			ASSERT_CQE(&self->ring, APP + i, i);
	}
	ASSERT_NO_CQE(&self->ring);

	/* a dropped CQE does not undo a failure */
	queue_chain(self, 1, IOSQE_IO_LINK);
	MATCH_SUBMIT(NR);
	ASSERT_CQE(&self->ring, APP, 0);
	ASSERT_CQE(&self->ring, APP + 2, -ECANCELED);
	ASSERT_CQE(&self->ring, APP + 3, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
}

/* Changes of the CQE are for the application, not for the chain. */
TEST_F(match, changed_res)
{
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  .user_data = APP + 1,
				  .user_data_mask = ~0ULL);
	match_change(self, -EIO, 0);
	queue_chain(self, -1, IOSQE_IO_LINK);
	MATCH_SUBMIT(NR);
	ASSERT_CQE(&self->ring, APP, 0);
	ASSERT_CQE(&self->ring, CHANGED, -EIO);
	ASSERT_CQE(&self->ring, APP + 2, 2);
	ASSERT_CQE(&self->ring, APP + 3, 3);

	match_change(self, 77, 0);
	queue_chain(self, 1, IOSQE_IO_LINK);
	MATCH_SUBMIT(NR);
	ASSERT_CQE(&self->ring, APP, 0);
	ASSERT_CQE(&self->ring, CHANGED, 77);
	ASSERT_CQE(&self->ring, APP + 2, -ECANCELED);
	ASSERT_CQE(&self->ring, APP + 3, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
}

/* The member that failed its preparation is not watched, the others are. */
TEST_F(match, failed_preparation)
{
	struct io_uring_sqe *sqe;

	self->link = MATCH_ALL(match_as_told);
	match_queue_nop(self, 0, APP)->flags = IOSQE_IO_LINK;
	sqe = match_queue_nop(self, 0, APP + 1);
	sqe->nop_flags = ~0U;
	sqe->flags = IOSQE_IO_LINK;
	match_queue_nop(self, 0, APP + 2);
	MATCH_SUBMIT(3);
	ASSERT_CQE(&self->ring, APP, -ECANCELED);
	ASSERT_CQE(&self->ring, APP + 1, -EINVAL);
	ASSERT_CQE(&self->ring, APP + 2, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	for (int i = 0; i < match_nr_events(self); i++) {
		ASSERT_NE(APP + 1, match_event(self, i)->user_data);
		ASSERT_EQ(-ECANCELED, match_event(self, i)->res);
	}
}

/* One read that its timeout ends, and one that ends before */
TEST_F(match, link_timeout)
{
	struct __kernel_timespec ts[] = {
		{ .tv_nsec = 10000000 }, { .tv_sec = 60 },
	};
	struct io_uring_cqe cqes[2];
	struct io_uring_sqe *sqe;

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  MATCH_OP(IORING_OP_READ));
	for (int i = 0; i < 2; i++) {
		match_queue_read(self, APP + i)->flags = IOSQE_IO_LINK;
		sqe = iou_get_sqe(&self->ring);
		io_uring_prep_link_timeout(sqe, &ts[i], 0);
		sqe->user_data = CANCEL;
		MATCH_SUBMIT(2);
		if (i)
			ASSERT_EQ(4, write(self->pipe[1], "data", 4));
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
		ASSERT_HAS_CQE(cqes, 2, APP + i, i ? 4 : -ECANCELED);
		ASSERT_HAS_CQE(cqes, 2, CANCEL, i ? -ECANCELED : -ETIME);
		ASSERT_EQ(1 + i, match_nr_events(self));
		ASSERT_EQ(i ? 4 : -ECANCELED, match_event(self, i)->res);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* The same with a watched timeout, which is a request as well */
TEST_F(match, link_timeout_watched)
{
	struct __kernel_timespec ts = { .tv_nsec = 10000000 };
	struct io_uring_cqe cqes[2];
	struct io_uring_sqe *sqe;

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ALL(match_as_told);
	match_queue_read(self, APP)->flags = IOSQE_IO_LINK;
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_link_timeout(sqe, &ts, 0);
	sqe->user_data = CANCEL;
	MATCH_SUBMIT(2);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, APP, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, CANCEL, -ETIME);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, match_nr_events(self));
}

/*
 * Requests with IOSQE_IO_DRAIN wait for earlier ones, and then run their
 * program.
 */
TEST_F(match, drain)
{
	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ALL(match_as_told);
	match_queue_read(self, APP);
	match_queue_nop(self, 1, APP + 1)->flags = IOSQE_IO_DRAIN;
	match_queue_nop(self, 2, APP + 2);
	MATCH_SUBMIT(3);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, match_nr_events(self));
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, APP, 4);
	ASSERT_CQE(&self->ring, APP + 1, 1);
	ASSERT_CQE(&self->ring, APP + 2, 2);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(APP + i, match_event(self, i)->user_data);
}

/*
 * NOP -> flow -> NOP: the flow's program sees the first one, the last one is
 * watched. Neither the flow nor its child is.
 */
TEST_F(match, flow)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = 1);

	self->link = MATCH_ALL(match_as_told);
	self->other = bpf_program__attach_iouring(self->skel->progs.match_flow,
						  self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->other);
	iou_prep_nop(&self->skel->bss->sqes[0], 7, IORING_NOP_TW, CHILD);
	self->skel->bss->nr_sqes = 1;
	for (int i = 1; i <= 3; i++) {
		match_queue_nop(self, 1, APP)->flags = IOSQE_IO_LINK;
		iou_queue_bpf(&self->ring, 1, FLOW)->flags = IOSQE_IO_LINK;
		match_queue_nop(self, 2, APP + 2);
		MATCH_SUBMIT(3);
		ASSERT_CQE(&self->ring, APP, 1);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_CQE(&self->ring, APP + 2, 2);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(2 * i, self->skel->bss->nr_flow);
		ASSERT_EQ(0, self->skel->bss->nr_wrong);
		ASSERT_EQ(i, match_nr_events(self));
		ASSERT_EQ(APP + 2, match_event(self, i - 1)->user_data);
	}
}

TEST_HARNESS_MAIN
