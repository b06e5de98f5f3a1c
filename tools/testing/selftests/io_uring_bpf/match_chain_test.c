// SPDX-License-Identifier: GPL-2.0
/* Verdicts of a watching program on the chain of the request */
#include "match.h"

#define GO_ON	BPF_IO_URING_GO_ON
#define CUT	BPF_IO_URING_CUT
#define SKIP_SUCCESS	IOSQE_CQE_SKIP_SUCCESS

#define WATCH_HEAD() MATCH_ATTACH(match_as_told, .slot = 0,		\
				  .user_data = APP,			\
				  .user_data_mask = ~0ULL)

/* Submit APP, which is watched, and two requests behind it. */
static void queue_chain(FIXTURE_DATA(match) *self, int res, unsigned int flags)
{
	match_queue_nop(self, res, APP)->flags = flags;
	match_queue_nop(self, 1, APP + 1)->flags = IOSQE_IO_LINK;
	match_queue_nop(self, 2, APP + 2);
}

/* Check the results of these, with or without CQEs. */
#define ASSERT_REST(runs) do {						\
	ASSERT_CQE(&self->ring, APP + 1, (runs) ? 1 : -ECANCELED);	\
	ASSERT_CQE(&self->ring, APP + 2, (runs) ? 2 : -ECANCELED);	\
} while (0)

TEST_F(match, result_and_verdict)
{
	static const unsigned int flags[] = {
		IOSQE_IO_LINK, IOSQE_IO_HARDLINK, IOSQE_IO_LINK | IOSQE_ASYNC,
		IOSQE_IO_HARDLINK | IOSQE_ASYNC,
	};
	static const unsigned int verdicts[] = {
		0, GO_ON, CUT, GO_ON | BPF_IO_URING_DROP, CUT | BPF_IO_URING_DROP,
		GO_ON | BPF_IO_URING_POST, CUT | BPF_IO_URING_POST,
	};

	self->link = WATCH_HEAD();
	for (int n = 0; n < ARRAY_SIZE(flags) * ARRAY_SIZE(verdicts) * 2; n++) {
		unsigned int f = flags[n / 2 % ARRAY_SIZE(flags)];
		unsigned int v = verdicts[n / 2 / ARRAY_SIZE(flags)];
		int res = n % 2 ? -EIO : 0;
		bool runs = !res || (f & IOSQE_IO_HARDLINK);

		if (v & (GO_ON | CUT))
			runs = v & GO_ON;
		self->skel->bss->verdict = v;
		queue_chain(self, res, f);
		MATCH_SUBMIT(3);
		if ((v & 3) != BPF_IO_URING_DROP)
			ASSERT_CQE(&self->ring, APP, res);
		ASSERT_REST(runs);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* The chain continues after a short read, and the CQE can report a full one. */
TEST_F(match, short_read)
{
	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = WATCH_HEAD();
	for (int go_on = 0; go_on < 2; go_on++) {
		self->skel->bss->verdict = go_on ? GO_ON : 0;
		match_queue_read(self, APP)->flags = IOSQE_IO_LINK;
		match_queue_nop(self, 1, APP + 1)->flags = IOSQE_IO_LINK;
		match_queue_nop(self, 2, APP + 2);
		ASSERT_EQ(2, write(self->pipe[1], "ab", 2));
		MATCH_SUBMIT(3);
		ASSERT_CQE(&self->ring, APP, 2);
		ASSERT_REST(go_on);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* Changes of the CQE do not affect the chain. */
TEST_F(match, changed_res)
{
	self->link = WATCH_HEAD();
	match_change(self, 77, 0);
	self->skel->bss->verdict = GO_ON;
	queue_chain(self, -EIO, IOSQE_IO_LINK);
	MATCH_SUBMIT(3);
	ASSERT_CQE(&self->ring, CHANGED, 77);
	ASSERT_REST(true);

	match_change(self, -EDOM, 0);
	self->skel->bss->verdict = CUT;
	queue_chain(self, 0, IOSQE_IO_LINK);
	MATCH_SUBMIT(3);
	ASSERT_CQE(&self->ring, CHANGED, -EDOM);
	ASSERT_REST(false);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(match, cancelled)
{
	struct io_uring_cqe cqes[4];
	struct io_uring_sqe *sqe;

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = WATCH_HEAD();
	self->skel->bss->verdict = GO_ON;
	match_queue_read(self, APP)->flags = IOSQE_IO_LINK;
	match_queue_nop(self, 1, APP + 1)->flags = IOSQE_IO_LINK;
	match_queue_nop(self, 2, APP + 2);
	MATCH_SUBMIT(3);
	ASSERT_NO_CQE(&self->ring);
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_cancel64(sqe, APP, 0);
	sqe->user_data = CANCEL;
	MATCH_SUBMIT(1);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	ASSERT_HAS_CQE(cqes, 4, APP, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, APP + 1, 1);
	ASSERT_HAS_CQE(cqes, 4, APP + 2, 2);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(match, linked_timeout)
{
	struct __kernel_timespec ts = { .tv_nsec = 10000000 };
	struct io_uring_cqe cqes[4];
	struct io_uring_sqe *sqe;

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = WATCH_HEAD();
	for (int go_on = 0; go_on < 2; go_on++) {
		self->skel->bss->verdict = go_on ? GO_ON : 0;
		match_queue_read(self, APP)->flags = IOSQE_IO_LINK;
		sqe = iou_get_sqe(&self->ring);
		io_uring_prep_link_timeout(sqe, &ts, 0);
		sqe->user_data = CANCEL;
		sqe->flags = IOSQE_IO_LINK;
		match_queue_nop(self, 1, APP + 1)->flags = IOSQE_IO_LINK;
		match_queue_nop(self, 2, APP + 2);
		MATCH_SUBMIT(4);
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
		ASSERT_HAS_CQE(cqes, 4, APP, -ECANCELED);
		ASSERT_HAS_CQE(cqes, 4, CANCEL, -ETIME);
		ASSERT_HAS_CQE(cqes, 4, APP + 1, go_on ? 1 : -ECANCELED);
		ASSERT_HAS_CQE(cqes, 4, APP + 2, go_on ? 2 : -ECANCELED);
		ASSERT_NO_CQE(&self->ring);
	}
}

/* Verdicts on members in the middle: one continues, and one cuts. */
TEST_F(match, in_the_middle)
{
	self->link = MATCH_ALL(match_as_told);
	self->skel->bss->verdict = GO_ON;
	for (int i = 0; i < 3; i++)
		match_queue_nop(self, -EIO, APP + i)->flags = IOSQE_IO_LINK;
	match_queue_nop(self, 3, APP + 3);
	MATCH_SUBMIT(4);
	for (int i = 0; i < 4; i++)
		ASSERT_CQE(&self->ring, APP + i, i < 3 ? -EIO : 3);
	ASSERT_NO_CQE(&self->ring);
}

/* A member that failed its preparation cannot run, so the chain is cut. */
TEST_F(match, failed_prep)
{
	self->link = MATCH_ALL(match_as_told);
	self->skel->bss->verdict = GO_ON;
	for (int bad = 0; bad < 4; bad++) {
		for (int i = 0; i < 4; i++) {
			struct io_uring_sqe *sqe;

			sqe = match_queue_nop(self, i, APP + i);
			sqe->flags = i < 3 ? IOSQE_IO_LINK : 0;
			if (i == bad)
				sqe->nop_flags = ~0U;
		}
		MATCH_SUBMIT(4);
		for (int i = 0; i < 4; i++)
			ASSERT_CQE(&self->ring, APP + i,
				   i == bad ? -EINVAL : -ECANCELED);
		ASSERT_NO_CQE(&self->ring);
	}
}

/*
 * IOSQE_CQE_SKIP_SUCCESS: a request that fails or cuts posts its CQE, others do
 * not.
 */
TEST_F(match, fail_skip)
{
	static const struct {
		int res;
		unsigned int verdict;
		bool head, rest;
	} cases[] = {
		{ 0, 0, false, true },
		{ -EIO, 0, true, false },
		{ -EIO, BPF_IO_URING_DROP, false, false },
		{ 0, CUT, true, false },
		{ 0, CUT | BPF_IO_URING_DROP, false, false },
		{ -EIO, GO_ON, true, true },
		{ -EIO, GO_ON | BPF_IO_URING_DROP, false, true },
		{ 0, GO_ON | BPF_IO_URING_POST, true, true },
	};

	self->link = WATCH_HEAD();
	for (int i = 0; i < ARRAY_SIZE(cases); i++) {
		self->skel->bss->verdict = cases[i].verdict;
		queue_chain(self, cases[i].res, IOSQE_IO_LINK | SKIP_SUCCESS);
		MATCH_SUBMIT(3);
		if (cases[i].head)
			ASSERT_CQE(&self->ring, APP, cases[i].res);
		if (cases[i].rest)
			ASSERT_REST(true);
		ASSERT_NO_CQE(&self->ring);
	}
}

TEST_HARNESS_MAIN
