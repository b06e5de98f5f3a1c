// SPDX-License-Identifier: GPL-2.0
/* Invalid SQEs of IORING_OP_BPF */
#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "flow.skel.h"

#define FLOW	0xf10aULL

FIXTURE(flow_prep) {
	struct io_uring ring;
	struct flow *skel;
	struct bpf_link *link;
};

FIXTURE_VARIANT(flow_prep) {
	/* modifies a valid SQE for slot 0 */
	void (*spoil)(struct io_uring_sqe *sqe);
	int res;
};

#define VARIANT(name, change, _res)					\
static void spoil_##name(struct io_uring_sqe *sqe)			\
{									\
	change;								\
}									\
FIXTURE_VARIANT_ADD(flow_prep, name) {					\
	.spoil = spoil_##name,						\
	.res = _res,							\
}

VARIANT(nothing, (void)sqe, 0);
VARIANT(fd_zero, sqe->fd = 0, -EINVAL);
VARIANT(fd_other, sqe->fd = -2, -EINVAL);
VARIANT(slot_empty, sqe->len = 1, -ENOENT);
VARIANT(slot_last, sqe->len = IOU_MAX_SLOTS - 1, -ENOENT);
VARIANT(slot_beyond, sqe->len = IOU_MAX_SLOTS, -EINVAL);
VARIANT(slot_huge, sqe->len = ~0U, -EINVAL);
VARIANT(bpf_flags, sqe->bpf_flags = 1, -EINVAL);
VARIANT(bpf_flags_high, sqe->bpf_flags = 1U << 31, -EINVAL);
VARIANT(ioprio, sqe->ioprio = 1, -EINVAL);
VARIANT(buf_index, sqe->buf_index = 1, -EINVAL);
VARIANT(file_index, sqe->file_index = 1, -EINVAL);
VARIANT(splice_fd_in, sqe->splice_fd_in = -1, -EINVAL);
VARIANT(personality, sqe->personality = 77, -EINVAL);
VARIANT(async, sqe->flags = IOSQE_ASYNC, -EINVAL);
VARIANT(fixed_file, sqe->flags = IOSQE_FIXED_FILE, -EINVAL);
VARIANT(buffer_select, sqe->flags = IOSQE_BUFFER_SELECT, -EOPNOTSUPP);
VARIANT(drain, sqe->flags = IOSQE_IO_DRAIN, 0);

IOU_LOAD_ONCE(flow);

FIXTURE_SETUP(flow_prep)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, IOU_DEFER));
	self->skel = flow_get();
	ASSERT_NE(NULL, self->skel);
	self->link = IOU_ATTACH(self->skel->progs.flow_log, &self->ring, 0);
}

FIXTURE_TEARDOWN(flow_prep)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
}

TEST_F(flow_prep, sqe)
{
	struct io_uring_sqe *sqe = iou_queue_bpf(&self->ring, 0, FLOW);

	variant->spoil(sqe);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, variant->res);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(variant->res ? 0 : 1, self->skel->bss->nr_events);
}

/* The same on a ring that never had a program. */
TEST_F(flow_prep, fresh_ring)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ASSERT_EQ(0, iou_ring_init(&ring, 0));
	sqe = iou_queue_bpf(&ring, 0, FLOW);
	variant->spoil(sqe);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_CQE(&ring, FLOW, variant->res ?: -ENOENT);
	io_uring_queue_exit(&ring);
}

TEST_HARNESS_MAIN
