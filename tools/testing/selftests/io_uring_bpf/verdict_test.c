// SPDX-License-Identifier: GPL-2.0
/* Effects of the return value and of changes in the context on the CQE */
#include <sys/mman.h>

#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "verdict.skel.h"

#define FLOW	0xf10aULL
#define WATCHED	0x3a7c4ULL
#define CHILD	0xc41dULL
#define CHANGED	0xc4a26edULL

#define GROUP	5
#define BUF_ID	9

FIXTURE(verdict) {
	struct io_uring ring;
	struct verdict *skel;
	struct bpf_link *link;
	int pipe[2];
	char buf[64];
};

IOU_MODE_VARIANTS(verdict);
IOU_LOAD_ONCE(verdict);

FIXTURE_SETUP(verdict)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = verdict_get();
	ASSERT_NE(NULL, self->skel);
	self->link = IOU_ATTACH(self->skel->progs.verdict_as_told,
				&self->ring, 0);
}

FIXTURE_TEARDOWN(verdict)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
}

/* Submit a NOP, and the flow that sees its completion. */
static void verdict_queue_watched(FIXTURE_DATA(verdict) *self, int res,
				  unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_nop(sqe, res, 0, WATCHED);
	sqe->flags = IOSQE_IO_LINK | flags;
	iou_queue_bpf(&self->ring, 0, FLOW);
}

/* Submit a flow that issues a NOP. */
static void verdict_queue_child(FIXTURE_DATA(verdict) *self, int res)
{
	iou_prep_nop(&self->skel->bss->sqes[0], res, 0, CHILD);
	self->skel->bss->nr_sqes = 1;
	iou_queue_bpf(&self->ring, 0, FLOW);
}

static void verdict_change(FIXTURE_DATA(verdict) *self, int res, __u32 cflags)
{
	self->skel->bss->change = 1;
	self->skel->bss->new_user_data = CHANGED;
	self->skel->bss->new_res = res;
	self->skel->bss->new_cflags = cflags;
}

TEST_F(verdict, watched)
{
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		verdict_queue_watched(self, 3, 0);
		ASSERT_EQ(2, iou_submit(&self->ring));
		if (i < BPF_IO_URING_DROP)
			ASSERT_CQE(&self->ring, WATCHED, 3);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
	}
}

/* IOSQE_CQE_SKIP_SUCCESS determines the default of the application. */
TEST_F(verdict, watched_skips_success)
{
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		verdict_queue_watched(self, 3, IOSQE_CQE_SKIP_SUCCESS);
		ASSERT_EQ(2, iou_submit(&self->ring));
		if (i == BPF_IO_URING_POST)
			ASSERT_CQE(&self->ring, WATCHED, 3);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
	}
}

TEST_F(verdict, watched_failed)
{
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		verdict_queue_watched(self, -EDOM, 0);
		ASSERT_EQ(2, iou_submit(&self->ring));
		if (i < BPF_IO_URING_DROP)
			ASSERT_CQE(&self->ring, WATCHED, -EDOM);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
	}
}

TEST_F(verdict, child)
{
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		verdict_queue_child(self, 3);
		ASSERT_EQ(1, iou_submit(&self->ring));
		if (i == BPF_IO_URING_POST)
			ASSERT_CQE(&self->ring, CHILD, 3);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
	}
}

TEST_F(verdict, child_failed)
{
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		verdict_queue_child(self, -EDOM);
		ASSERT_EQ(1, iou_submit(&self->ring));
		if (i == BPF_IO_URING_POST)
			ASSERT_CQE(&self->ring, CHILD, -EDOM);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
	}
}

TEST_F(verdict, watched_changed)
{
	verdict_change(self, 77, 0xabcd0000);
	for (int i = 0; i <= BPF_IO_URING_POST; i++) {
		self->skel->bss->verdict = i;
		verdict_queue_watched(self, 3, 0);
		ASSERT_EQ(2, iou_submit(&self->ring));
		ASSERT_CQE_FLAGS(&self->ring, CHANGED, 77, 0xabcd0000);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
	}
}

TEST_F(verdict, child_changed)
{
	self->skel->bss->verdict = BPF_IO_URING_POST;
	verdict_change(self, -ENXIO, IORING_CQE_F_MORE);
	verdict_queue_child(self, 3);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE_FLAGS(&self->ring, CHANGED, -ENXIO, IORING_CQE_F_MORE);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* These flags would report a wrong size, or hide the CQE. */
TEST_F(verdict, reserved_cflags)
{
	self->skel->bss->verdict = BPF_IO_URING_POST;
	verdict_change(self, 1, IORING_CQE_F_32 | IORING_CQE_F_SKIP);
	verdict_queue_child(self, 3);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, CHANGED, 1);
	ASSERT_CQE(&self->ring, FLOW, 0);

	verdict_queue_watched(self, 3, 0);
	self->skel->bss->nr_sqes = 0;
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, CHANGED, 1);
	ASSERT_CQE(&self->ring, FLOW, 0);
}

/* Several children of one flow, each of whose CQEs is posted in order */
TEST_F(verdict, children_keep_their_order)
{
	const int nr = 8;

	for (int i = 0; i < nr; i++)
		iou_prep_nop(&self->skel->bss->sqes[i], i, 0, CHILD + i);
	self->skel->bss->nr_sqes = nr;
	self->skel->bss->verdict = BPF_IO_URING_POST;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < nr; i++)
		ASSERT_CQE(&self->ring, CHILD + i, i);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* Provide one buffer, which the next read selects. */
static int verdict_provide(FIXTURE_DATA(verdict) *self)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);
	struct io_uring_cqe cqe;
	int ret;

	io_uring_prep_provide_buffers(sqe, self->buf, sizeof(self->buf), 1,
				      GROUP, BUF_ID);
	sqe->user_data = 1;
	iou_submit(&self->ring);
	ret = iou_wait_cqe(&self->ring, &cqe);
	return ret ?: cqe.res;
}

static void verdict_prep_select(struct io_uring_sqe *sqe, int fd,
				__u64 user_data)
{
	iou_prep_read(sqe, fd, NULL, 4, 0, user_data);
	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
}

#define BUF_CFLAGS	(IORING_CQE_F_BUFFER | BUF_ID << IORING_CQE_BUFFER_SHIFT)

/* Only the CQE has the id of the buffer. */
TEST_F(verdict, watched_with_buffer)
{
	struct io_uring_sqe *sqe;

	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		ASSERT_EQ(0, verdict_provide(self));
		ASSERT_EQ(4, write(self->pipe[1], "data", 4));
		sqe = iou_get_sqe(&self->ring);
		verdict_prep_select(sqe, self->pipe[0], WATCHED);
		sqe->flags |= IOSQE_IO_LINK;
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(2, iou_submit(&self->ring));
		if (i != BPF_IO_URING_DROP_BUF)
			ASSERT_CQE_FLAGS(&self->ring, WATCHED, 4, BUF_CFLAGS);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(BUF_CFLAGS, self->skel->bss->events[i].cflags);
		ASSERT_EQ(0, memcmp(self->buf, "data", 4));
	}
}

TEST_F(verdict, child_with_buffer)
{
	self->skel->bss->nr_sqes = 1;
	verdict_prep_select(&self->skel->bss->sqes[0], self->pipe[0], CHILD);
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		ASSERT_EQ(0, verdict_provide(self));
		ASSERT_EQ(4, write(self->pipe[1], "data", 4));
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
		if (i != BPF_IO_URING_DROP_BUF)
			ASSERT_CQE_FLAGS(&self->ring, CHILD, 4, BUF_CFLAGS);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
	}
}

/* A program cannot remove the id without taking the buffer over. */
TEST_F(verdict, buffer_id_is_not_changed)
{
	self->skel->bss->nr_sqes = 1;
	verdict_prep_select(&self->skel->bss->sqes[0], self->pipe[0], CHILD);
	self->skel->bss->verdict = BPF_IO_URING_DROP;
	verdict_change(self, 2, 0);
	ASSERT_EQ(0, verdict_provide(self));
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE_FLAGS(&self->ring, CHANGED, 2, BUF_CFLAGS);
	ASSERT_CQE(&self->ring, FLOW, 0);
}

TEST_HARNESS_MAIN
