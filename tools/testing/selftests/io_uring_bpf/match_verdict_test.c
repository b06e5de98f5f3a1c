// SPDX-License-Identifier: GPL-2.0
/* Verdicts of a watching program on the CQE, and kfuncs that fail */
#include <sys/eventfd.h>

#include "match.h"

#define GROUP	5
#define BUF_ID	9
#define BUF_CFLAGS	(IORING_CQE_F_BUFFER | BUF_ID << IORING_CQE_BUFFER_SHIFT)

#define CQ_ENTRIES	32U

TEST_F(match, verdict)
{
	self->link = MATCH_ALL(match_as_told);
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		match_queue_nop(self, 3, APP);
		MATCH_SUBMIT(1);
		if (i < BPF_IO_URING_DROP)
			ASSERT_CQE(&self->ring, APP, 3);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(1 + i, match_nr_events(self));
	}
}

TEST_F(match, verdict_on_failure)
{
	self->link = MATCH_ALL(match_as_told);
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		match_queue_nop(self, -EIO, APP)->flags =
			IOSQE_CQE_SKIP_SUCCESS;
		MATCH_SUBMIT(1);
		if (i < BPF_IO_URING_DROP)
			ASSERT_CQE(&self->ring, APP, -EIO);
		ASSERT_NO_CQE(&self->ring);
	}
}

/* IOSQE_CQE_SKIP_SUCCESS determines the default of the application. */
TEST_F(match, skip_success)
{
	self->link = MATCH_ALL(match_as_told);
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		match_queue_nop(self, 3, APP)->flags = IOSQE_CQE_SKIP_SUCCESS;
		MATCH_SUBMIT(1);
		if (i == BPF_IO_URING_POST)
			ASSERT_CQE(&self->ring, APP, 3);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(1 + i, match_nr_events(self));
	}
}

TEST_F(match, changed)
{
	self->link = MATCH_ALL(match_as_told);
	match_change(self, -ENXIO, 0xabcd0000);
	for (int i = 0; i <= BPF_IO_URING_POST; i++) {
		self->skel->bss->verdict = i;
		match_queue_nop(self, 3, APP);
		MATCH_SUBMIT(1);
		ASSERT_CQE_FLAGS(&self->ring, CHANGED, -ENXIO, 0xabcd0000);
		ASSERT_NO_CQE(&self->ring);
	}
}

TEST_F(match, reserved_cflags)
{
	self->link = MATCH_ALL(match_as_told);
	match_change(self, 1, IORING_CQE_F_32 | IORING_CQE_F_SKIP);
	match_queue_nop(self, 3, APP);
	MATCH_SUBMIT(1);
	ASSERT_CQE(&self->ring, CHANGED, 1);
}

/*
 * CQEs of the program precede the CQE of the request, others keep their order.
 */
TEST_F(match, post_cqe)
{
	self->link = MATCH_ATTACH(match_as_told, .slot = 0, .user_data = APP,
				  .user_data_mask = ~0ULL);
	self->skel->bss->nr_posts = 2;
	match_queue_nop(self, 1, APP + 1);
	match_queue_nop(self, 2, APP);
	match_queue_nop(self, 3, APP + 3);
	MATCH_SUBMIT(3);
	ASSERT_CQE(&self->ring, APP + 1, 1);
	ASSERT_CQE_FLAGS(&self->ring, MARKER, 0, 0);
	ASSERT_CQE_FLAGS(&self->ring, MARKER + 1, 1, 1 << 16);
	ASSERT_CQE(&self->ring, APP, 2);
	ASSERT_CQE(&self->ring, APP + 3, 3);

	/* also if that CQE is dropped */
	self->skel->bss->verdict = BPF_IO_URING_DROP;
	match_queue_nop(self, 2, APP);
	MATCH_SUBMIT(1);
	ASSERT_CQE_FLAGS(&self->ring, MARKER + 2, 0, 0);
	ASSERT_CQE_FLAGS(&self->ring, MARKER + 3, 1, 1 << 16);
	ASSERT_NO_CQE(&self->ring);
}

/* More requests at once than a batch of the flush */
TEST_F(match, post_cqe_many)
{
	self->link = MATCH_ALL(match_as_told);
	match_expect_posts(_metadata, self, 40);
}

/* A watching program has no flow, so kfuncs for flows fail. */
TEST_F(match, no_flow)
{
	iou_prep_nop(&self->skel->bss->sqes[0], 7, 0, CHILD);
	self->link = MATCH_ALL(match_verbs);
	match_run_nop(APP, 1);
	ASSERT_EQ(-EOPNOTSUPP, self->skel->bss->ret_issue);
	ASSERT_EQ(-EOPNOTSUPP, self->skel->bss->ret_complete);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, match_nr_events(self));
}

static int provide(FIXTURE_DATA(match) *self)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);
	struct io_uring_cqe cqe;
	int ret;

	io_uring_prep_provide_buffers(sqe, self->buf, sizeof(self->buf), 1,
				      GROUP, BUF_ID);
	iou_submit(&self->ring);
	ret = iou_wait_cqe(&self->ring, &cqe);
	return ret ?: cqe.res;
}

/* Only the CQE has the id of the buffer. */
TEST_F(match, provided_buffer)
{
	struct io_uring_sqe *sqe;

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  MATCH_OP(IORING_OP_READ));
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		ASSERT_EQ(0, provide(self));
		sqe = match_queue_read(self, APP);
		sqe->addr = 0;
		sqe->flags = IOSQE_BUFFER_SELECT;
		sqe->buf_group = GROUP;
		MATCH_SUBMIT(1);
		ASSERT_EQ(4, write(self->pipe[1], "data", 4));
		if (i != BPF_IO_URING_DROP_BUF)
			ASSERT_CQE_FLAGS(&self->ring, APP, 4, BUF_CFLAGS);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(BUF_CFLAGS, match_event(self, i)->cflags);
		ASSERT_EQ(1 + i, match_nr_events(self));
	}
}

/* The program takes the buffer over. */
TEST_F(match, provided_buffer_skip_success)
{
	struct io_uring_sqe *sqe;

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  MATCH_OP(IORING_OP_READ));
	ASSERT_EQ(0, provide(self));
	sqe = match_queue_read(self, APP);
	sqe->addr = 0;
	sqe->flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
	sqe->buf_group = GROUP;
	MATCH_SUBMIT(1);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(BUF_CFLAGS, match_event(self, 0)->cflags);
}

/* Write a byte, wait for event @n, and read the byte. */
static void poll_once(struct __test_metadata *_metadata,
		      FIXTURE_DATA(match) *self, int n)
{
	struct iou_event *ev = match_event(self, n);

	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_TRUE(match_until(self, 1 + n));
	ASSERT_EQ(BPF_IO_URING_AUX, ev->event);
	ASSERT_EQ(BPF_IO_URING_F_MATCH, ev->flags);
	ASSERT_EQ(APP, ev->user_data);
	ASSERT_EQ(POLLIN, ev->res);
	ASSERT_EQ(IORING_CQE_F_MORE, ev->cflags);
	ASSERT_EQ(1, read(self->pipe[0], self->buf, 1));
}

/* Each CQE of a multishot poll is an event, including the last one. */
TEST_F(match, multishot)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  MATCH_OP(IORING_OP_POLL_ADD));
	io_uring_prep_poll_multishot(sqe, self->pipe[0], POLLIN);
	sqe->user_data = APP;
	MATCH_SUBMIT(1);
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		poll_once(_metadata, self, i);
		if (i < BPF_IO_URING_DROP)
			ASSERT_CQE_FLAGS(&self->ring, APP, POLLIN,
					 IORING_CQE_F_MORE);
		ASSERT_NO_CQE(&self->ring);
	}
	self->skel->bss->verdict = BPF_IO_URING_DEFAULT;
	self->skel->bss->nr_posts = 1;
	match_change(self, 5, 0xab0000);
	poll_once(_metadata, self, 4);
	ASSERT_CQE(&self->ring, MARKER, 0);
	ASSERT_CQE_FLAGS(&self->ring, CHANGED, 5, 0xab0000);

	self->skel->bss->verdict = BPF_IO_URING_DROP;
	self->skel->bss->nr_posts = 0;
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_cancel64(sqe, APP, 0);
	sqe->user_data = CANCEL;
	MATCH_SUBMIT(1);
	ASSERT_CQE(&self->ring, CANCEL, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(6, match_nr_events(self));
	ASSERT_EQ(BPF_IO_URING_COMPLETE, match_event(self, 5)->event);
	ASSERT_EQ(-ECANCELED, match_event(self, 5)->res);
}

/* Without the program, the CQEs are posted as usual. */
TEST_F(match, multishot_detached)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  MATCH_OP(IORING_OP_POLL_ADD));
	self->skel->bss->verdict = BPF_IO_URING_DROP;
	io_uring_prep_poll_multishot(sqe, self->pipe[0], POLLIN);
	sqe->user_data = APP;
	MATCH_SUBMIT(1);
	poll_once(_metadata, self, 0);
	ASSERT_EQ(0, bpf_link__detach(self->link));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(1, write(self->pipe[1], "x", 1));
		ASSERT_CQE_FLAGS(&self->ring, APP, POLLIN, IORING_CQE_F_MORE);
		ASSERT_EQ(1, read(self->pipe[0], self->buf, 1));
	}
	ASSERT_EQ(1, match_nr_events(self));
}

/*
 * Dropped CQEs are counted for the task while it does not sleep, over all
 * requests. The next CQE after the limit is the last one of its request, and is
 * posted.
 */
TEST_F(match, multishot_exhausted)
{
	const int drops = 1024;
	__u64 one = 1;
	int evfds[2];

	MATCH_TAKES_MORE_THAN_NOPS();
	if (variant->setup & IORING_SETUP_SQPOLL)
		SKIP(return, "the SQ thread sleeps");
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  MATCH_OP(IORING_OP_POLL_ADD));
	self->skel->bss->verdict = BPF_IO_URING_DROP;
	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

		evfds[i] = eventfd(0, 0);
		ASSERT_LE(0, evfds[i]);
		io_uring_prep_poll_multishot(sqe, evfds[i], POLLIN);
		sqe->user_data = APP + i;
	}
	MATCH_SUBMIT(2);
	for (int i = 0; i < drops; i++) {
		ASSERT_EQ(8, write(evfds[i % 2], &one, 8));
		ASSERT_TRUE(match_until(self, 1 + i));
	}
	ASSERT_EQ(0, io_uring_cq_ready(&self->ring));
	self->skel->bss->verdict = BPF_IO_URING_DEFAULT;
	/* the next CQE is posted, and is the last one of its request */
	ASSERT_EQ(8, write(evfds[1], &one, 8));
	ASSERT_CQE_FLAGS(&self->ring, APP + 1, POLLIN, 0);
	ASSERT_EQ(drops + 1, match_nr_events(self));
	for (int i = 0; i < 2; i++)
		close(evfds[i]);
}

static void small_ring(struct __test_metadata *_metadata,
		       FIXTURE_DATA(match) *self, unsigned int setup)
{
	io_uring_queue_exit(&self->ring);
	ASSERT_EQ(0, iou_ring_init_size(&self->ring, setup, CQ_ENTRIES,
					CQ_ENTRIES));
	ASSERT_EQ(CQ_ENTRIES, self->ring.cq.ring_entries);
}

/* CQEs that do not fit arrive later, completely and in order. */
TEST_F(match, overflow)
{
	const int nr = 10 * CQ_ENTRIES;

	small_ring(_metadata, self, variant->setup);
	self->link = MATCH_ALL(match_as_told);
	self->skel->bss->verdict = BPF_IO_URING_POST;
	for (int i = 0; i < nr; i++) {
		match_queue_nop(self, i, APP + i)->flags =
			i % 2 ? IOSQE_CQE_SKIP_SUCCESS : 0;
		MATCH_SUBMIT(1);
	}
	ASSERT_EQ(nr, match_nr_events(self));
	for (int i = 0; i < nr; i++)
		ASSERT_CQE(&self->ring, APP + i, i);
	ASSERT_NO_CQE(&self->ring);
}

/* CQEs of the program do not overflow: the kfunc fails. */
TEST_F(match, post_cqe_to_full_cq)
{
	small_ring(_metadata, self, variant->setup);
	self->link = MATCH_ATTACH(match_as_told, .slot = 0, .user_data = APP,
				  .user_data_mask = ~0ULL);
	self->skel->bss->nr_posts = 1;
	for (unsigned int i = 1; i <= CQ_ENTRIES; i++)
		match_queue_nop(self, 0, APP + i);
	MATCH_SUBMIT(CQ_ENTRIES);
	match_queue_nop(self, 3, APP);
	MATCH_SUBMIT(1);
	ASSERT_EQ(-EBUSY, self->skel->bss->post_ret);
	for (unsigned int i = 1; i <= CQ_ENTRIES; i++)
		ASSERT_CQE(&self->ring, APP + i, 0);
	ASSERT_CQE(&self->ring, APP, 3);
	ASSERT_NO_CQE(&self->ring);
}

TEST_HARNESS_MAIN
