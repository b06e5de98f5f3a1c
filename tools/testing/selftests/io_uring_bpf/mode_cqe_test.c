// SPDX-License-Identifier: GPL-2.0
/* CQEs of 32 bytes that a program posts or changes */
#include "mode.h"

#define CQ_ENTRIES	32U

FIXTURE(mode_cqe) {
	struct io_uring ring;
	struct mode *skel;
	struct bpf_link *link;
	/* flag of a CQE with extra words */
	__u32 f_32;
	/* CQ entries of such a CQE */
	unsigned int size;
};

FIXTURE_VARIANT(mode_cqe) {
	unsigned int setup;
};

IOU_MODE(mode_cqe, cqe32, IORING_SETUP_CQE32);
IOU_MODE(mode_cqe, cqe32_defer, IORING_SETUP_CQE32 | IOU_DEFER);
IOU_MODE(mode_cqe, mixed, IORING_SETUP_CQE_MIXED);
IOU_MODE(mode_cqe, mixed_defer, IORING_SETUP_CQE_MIXED | IOU_DEFER);

FIXTURE_SETUP(mode_cqe)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init_size(&self->ring, variant->setup, CQ_ENTRIES,
					CQ_ENTRIES));
	self->skel = mode_get();
	ASSERT_NE(NULL, self->skel);
	if (variant->setup & IORING_SETUP_CQE_MIXED)
		self->f_32 = IORING_CQE_F_32;
	self->size = self->f_32 ? 2 : 1;
}

FIXTURE_TEARDOWN(mode_cqe)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
}

static void mode_add_post(struct mode *skel, unsigned int size)
{
	unsigned int i = skel->bss->nr_posts++;

	skel->bss->posts[i].user_data = MARKER + i;
	skel->bss->posts[i].res = i;
	skel->bss->posts[i].flags = i << 16;
	skel->bss->posts[i].extra[0] = EXTRA1 + i;
	skel->bss->posts[i].extra[1] = EXTRA2 + i;
	skel->bss->post_sizes[i] = size;
}

/* NOPs of the application, whose CQEs are reaped or not */
static void mode_run_nops(struct __test_metadata *_metadata,
			  FIXTURE_DATA(mode_cqe) *self, unsigned int nr,
			  bool take)
{
	for (unsigned int i = 0; i < nr; i++)
		iou_prep_nop(iou_get_sqe(&self->ring), i, 0, NOP);
	ASSERT_EQ(nr, io_uring_submit(&self->ring));
	for (unsigned int i = 0; take && i < nr; i++)
		ASSERT_BIG_CQE(&self->ring, NOP, i, 0, 0, 0);
}

static void mode_run_post(struct __test_metadata *_metadata,
			  FIXTURE_DATA(mode_cqe) *self)
{
	self->link = IOU_ATTACH(self->skel->progs.mode_post, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
}

static void mode_expect_post(struct __test_metadata *_metadata,
			     FIXTURE_DATA(mode_cqe) *self, unsigned int i)
{
	if (self->skel->bss->post_sizes[i] == 32)
		ASSERT_BIG_CQE(&self->ring, MARKER + i, i, i << 16 | self->f_32,
			       EXTRA1 + i, EXTRA2 + i);
	else
		ASSERT_BIG_CQE(&self->ring, MARKER + i, i, i << 16, 0, 0);
}

TEST_F(mode_cqe, both_sizes)
{
	for (int i = 0; i < 8; i++)
		mode_add_post(self->skel, i % 3 ? 32 : 16);
	mode_run_post(_metadata, self);
	for (int i = 0; i < 8; i++) {
		ASSERT_EQ(0, self->skel->bss->post_rets[i]);
		mode_expect_post(_metadata, self, i);
	}
	ASSERT_BIG_CQE(&self->ring, FLOW, 0, 0, 0, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* The kernel sets IORING_CQE_F_32. */
TEST_F(mode_cqe, flags_are_the_kernels)
{
	mode_add_post(self->skel, 16);
	mode_add_post(self->skel, 32);
	mode_add_post(self->skel, 32);
	self->skel->bss->posts[0].flags = IORING_CQE_F_32;
	self->skel->bss->posts[1].flags = IORING_CQE_F_32;
	self->skel->bss->posts[2].flags = IORING_CQE_F_SKIP;
	mode_run_post(_metadata, self);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(-EINVAL, self->skel->bss->post_rets[i]);
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
}

/* At any position of the CQ. A CQE does not wrap around the end. */
TEST_F(mode_cqe, at_the_end_of_the_cq)
{
	mode_run_nops(_metadata, self, CQ_ENTRIES - 3, true);
	mode_add_post(self->skel, 32);
	mode_add_post(self->skel, 32);
	mode_add_post(self->skel, 16);
	mode_run_post(_metadata, self);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, self->skel->bss->post_rets[i]);
		mode_expect_post(_metadata, self, i);
	}
	ASSERT_BIG_CQE(&self->ring, FLOW, 0, 0, 0, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* Each accepted CQE has room, up to the last entry. */
TEST_F(mode_cqe, almost_full_cq)
{
	const unsigned int nr = CQ_ENTRIES - 3;

	mode_run_nops(_metadata, self, nr, false);
	mode_add_post(self->skel, 32);
	mode_add_post(self->skel, 32);
	mode_add_post(self->skel, 16);
	mode_add_post(self->skel, 16);
	mode_run_post(_metadata, self);
	for (unsigned int i = 0; i < nr; i++)
		ASSERT_BIG_CQE(&self->ring, NOP, i, 0, 0, 0);
	ASSERT_EQ(0, self->skel->bss->post_rets[0]);
	ASSERT_EQ(self->f_32 ? -EBUSY : 0, self->skel->bss->post_rets[1]);
	ASSERT_EQ(0, self->skel->bss->post_rets[2]);
	ASSERT_EQ(-EBUSY, self->skel->bss->post_rets[3]);
	for (int i = 0; i < 3; i++) {
		if (!self->skel->bss->post_rets[i])
			mode_expect_post(_metadata, self, i);
	}
	ASSERT_BIG_CQE(&self->ring, FLOW, -EBUSY, 0, 0, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* Post a CQE of 32 bytes when the next entry is the last one of the CQ. */
static void mode_post_at_end(struct __test_metadata *_metadata,
			     FIXTURE_DATA(mode_cqe) *self, unsigned int free,
			     int ret)
{
	const unsigned int nr = CQ_ENTRIES - free;

	mode_run_nops(_metadata, self, free - 1, true);
	mode_run_nops(_metadata, self, nr, false);
	mode_add_post(self->skel, 32);
	mode_run_post(_metadata, self);
	ASSERT_EQ(ret, self->skel->bss->post_rets[0]);
	for (unsigned int i = 0; i < nr; i++)
		ASSERT_BIG_CQE(&self->ring, NOP, i, 0, 0, 0);
	if (!ret)
		mode_expect_post(_metadata, self, 0);
	ASSERT_BIG_CQE(&self->ring, FLOW, ret, 0, 0, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* Two entries are free, but one of them could only be padding. */
TEST_F(mode_cqe, no_room_at_the_end)
{
	mode_post_at_end(_metadata, self, 2, self->f_32 ? -EBUSY : 0);
}

TEST_F(mode_cqe, room_at_the_end)
{
	mode_post_at_end(_metadata, self, 3, 0);
}

/* CQEs that find no room overflow with their extra words. */
TEST_F(mode_cqe, overflow)
{
	self->link = IOU_ATTACH(self->skel->progs.mode_post, &self->ring, 0);
	mode_add_post(self->skel, 32);
	mode_add_post(self->skel, 16);
	for (unsigned int i = 0; i < CQ_ENTRIES - 1; i++)
		iou_prep_nop(iou_get_sqe(&self->ring), i, 0, NOP);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(CQ_ENTRIES, io_uring_submit(&self->ring));
	/* there is room until the batch is posted */
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, self->skel->bss->post_rets[i]);
	for (unsigned int i = 0; i < CQ_ENTRIES - 1; i++)
		ASSERT_BIG_CQE(&self->ring, NOP, i, 0, 0, 0);
	mode_expect_post(_metadata, self, 0);
	mode_expect_post(_metadata, self, 1);
	ASSERT_BIG_CQE(&self->ring, FLOW, 0, 0, 0, 0);
	ASSERT_NO_CQE(&self->ring);
}

/*
 * CQEs that the program posts on the last completion of a batch that fills the
 * CQ
 */
TEST_F(mode_cqe, overflow_of_posted)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.mode_post, &self->ring, 0);
	mode_add_post(self->skel, 32);
	mode_add_post(self->skel, 32);
	for (unsigned int i = 0; i < CQ_ENTRIES - 2; i++)
		iou_prep_nop(iou_get_sqe(&self->ring), i, 0, NOP);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, 7, 0, NOP + 1);
	mode_prep_extra(sqe);
	sqe->flags = IOSQE_IO_LINK;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(CQ_ENTRIES, io_uring_submit(&self->ring));
	ASSERT_EQ(0, self->skel->bss->post_rets[0]);
	ASSERT_EQ(0, self->skel->bss->post_rets[1]);
	for (unsigned int i = 0; i < CQ_ENTRIES - 2; i++)
		ASSERT_BIG_CQE(&self->ring, NOP, i, 0, 0, 0);
	mode_expect_post(_metadata, self, 0);
	mode_expect_post(_metadata, self, 1);
	ASSERT_BIG_CQE(&self->ring, NOP + 1, 7, self->f_32, EXTRA1, EXTRA2);
	ASSERT_BIG_CQE(&self->ring, FLOW, 0, 0, 0, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* The extra words belong to the result: a changed result has none. */
TEST_F(mode_cqe, res_override)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.mode_steps, &self->ring, 0);
	for (int i = 0; i < 4; i++)
		mode_prep_extra(mode_add_nop(self->skel, 10 + i,
					     i & 1 ? IORING_NOP_TW : 0));
	for (int i = 0; i < 4; i++)
		self->skel->bss->verdicts[i] = BPF_IO_URING_POST;
	self->skel->bss->new_res[2] = 77;
	self->skel->bss->new_res[3] = 78;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_BIG_CQE(&self->ring, CHILD, 10, self->f_32, EXTRA1, EXTRA2);
	ASSERT_BIG_CQE(&self->ring, CHILD + 1, 11, self->f_32, EXTRA1, EXTRA2);
	ASSERT_BIG_CQE(&self->ring, CHILD + 2, 77, self->f_32, 0, 0);
	ASSERT_BIG_CQE(&self->ring, CHILD + 3, 78, self->f_32, 0, 0);
	ASSERT_BIG_CQE(&self->ring, FLOW, 0, 0, 0, 0);

	/* and of the request before a flow */
	self->skel->bss->nr_sqes = 0;
	for (int i = 0; i < 2; i++) {
		self->skel->bss->new_res[0] = i ? 77 : 0;
		sqe = iou_get_sqe(&self->ring);
		iou_prep_nop(sqe, 5, 0, NOP);
		mode_prep_extra(sqe);
		sqe->flags = IOSQE_IO_LINK;
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(2, io_uring_submit(&self->ring));
		ASSERT_BIG_CQE(&self->ring, NOP, i ? 77 : 5, self->f_32,
			       i ? 0 : EXTRA1, i ? 0 : EXTRA2);
		ASSERT_BIG_CQE(&self->ring, FLOW, 0, 0, 0, 0);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* A CQE without extra words does not have those of an earlier, dropped CQE. */
TEST_F(mode_cqe, dropped_leave_nothing)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.mode_steps, &self->ring, 0);
	for (int i = 0; i < 12; i++) {
		sqe = mode_add_nop(self->skel, i, i & 2 ? IORING_NOP_TW : 0);
		if (!(i & 1))
			mode_prep_extra(sqe);
		else
			self->skel->bss->verdicts[i] = BPF_IO_URING_POST;
	}
	/* nor does a CQE of the application */
	self->skel->bss->verdicts[0] = BPF_IO_URING_DROP;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	for (int i = 1; i < 12; i += 2)
		ASSERT_BIG_CQE(&self->ring, CHILD + i, i, 0, 0, 0);
	ASSERT_BIG_CQE(&self->ring, FLOW, 0, 0, 0, 0);

	self->skel->bss->nr_sqes = 0;
	for (int i = 0; i < 8; i++) {
		sqe = iou_get_sqe(&self->ring);
		iou_prep_nop(sqe, 5, 0, NOP);
		mode_prep_extra(sqe);
		sqe->flags = IOSQE_IO_LINK;
		iou_queue_bpf(&self->ring, 0, FLOW);
	}
	ASSERT_EQ(16, io_uring_submit(&self->ring));
	for (int i = 0; i < 8; i++)
		ASSERT_BIG_CQE(&self->ring, FLOW, 0, 0, 0, 0);
	mode_run_nops(_metadata, self, CQ_ENTRIES, true);
	ASSERT_NO_CQE(&self->ring);
}

/* The same with credentials, with which a request is not retired in place */
TEST_F(mode_cqe, dropped_with_creds_leave_nothing)
{
	int id = io_uring_register_personality(&self->ring);
	struct io_uring_sqe *sqe;

	ASSERT_LT(0, id);
	self->link = IOU_ATTACH(self->skel->progs.mode_steps, &self->ring, 0);
	for (int i = 0; i < 9; i++) {
		sqe = mode_add_nop(self->skel, i, i % 3 == 1 ? IORING_NOP_TW : 0);
		mode_prep_extra(sqe);
		sqe->personality = id;
		if (i % 3 == 2)
			self->skel->bss->verdicts[i] = BPF_IO_URING_DROP;
	}
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_BIG_CQE(&self->ring, FLOW, 0, 0, 0, 0);
	mode_run_nops(_metadata, self, CQ_ENTRIES, true);
}

/* The same with CQEs that a watching program drops */
TEST_F(mode_cqe, watched_leave_nothing)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = BPF_F_IOURING_MATCH,
		    .user_data = MARKER, .user_data_mask = ~0ULL);
	struct io_uring_sqe *sqe;

	self->link = bpf_program__attach_iouring(self->skel->progs.mode_drop,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	for (int i = 0; i < 4; i++) {
		sqe = iou_get_sqe(&self->ring);
		iou_prep_nop(sqe, i, 0, MARKER);
		mode_prep_extra(sqe);
	}
	ASSERT_EQ(4, io_uring_submit(&self->ring));
	mode_run_nops(_metadata, self, CQ_ENTRIES, true);
	ASSERT_NO_CQE(&self->ring);
}

/*
 * A reissued request has its arguments in place of the extra words. Those of a
 * NOP are zero, unlike those of a read.
 */
TEST_F(mode_cqe, again)
{
	int fd = open("/dev/zero", O_RDONLY);
	char buf[9];

	ASSERT_LE(0, fd);
	self->link = IOU_ATTACH(self->skel->progs.mode_steps, &self->ring, 0);
	self->skel->bss->verdicts[0] = BPF_IO_URING_POST;
	self->skel->bss->verdicts[1] = BPF_IO_URING_POST;
	for (int round = 0; round < 2; round++) {
		mode_add_nop(self->skel, 9, IORING_NOP_TW);
		mode_add_nop(self->skel, 8, 0);
		if (round)
			iou_prep_read(&self->skel->bss->sqes[0], fd, buf,
				      sizeof(buf), 0, CHILD);
		self->skel->bss->nr_again = 3;
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, io_uring_submit(&self->ring));
		for (int i = 0; i < 4; i++)
			ASSERT_BIG_CQE(&self->ring, CHILD, 9, 0, 0, 0);
		ASSERT_EQ(0, self->skel->bss->again_ret);
		ASSERT_BIG_CQE(&self->ring, CHILD + 1, 8, 0, 0, 0);
		ASSERT_BIG_CQE(&self->ring, FLOW, 0, 0, 0, 0);
		ASSERT_NO_CQE(&self->ring);
		self->skel->bss->nr_sqes = 0;
	}
	close(fd);
}

/* the posted step has its own words, the failed one has none */
TEST_F(mode_cqe, again_with_extra)
{
	self->link = IOU_ATTACH(self->skel->progs.mode_steps, &self->ring, 0);
	mode_prep_extra(mode_add_nop(self->skel, 9, 0));
	self->skel->bss->verdicts[0] = BPF_IO_URING_POST;
	self->skel->bss->nr_again = 1;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_BIG_CQE(&self->ring, CHILD, 9, self->f_32, EXTRA1, EXTRA2);
	/* a NOP has no offset */
	ASSERT_BIG_CQE(&self->ring, CHILD, -EINVAL, 0, 0, 0);
	ASSERT_BIG_CQE(&self->ring, FLOW, 0, 0, 0, 0);
	ASSERT_NO_CQE(&self->ring);
}

TEST_HARNESS_MAIN
