// SPDX-License-Identifier: GPL-2.0
/* Many flows on one ring, and all of them edit their chains. */
#include "edit.h"

#define NR_FLOWS	1000
#define NR_SQES		4
/* what has a CQE: the flow, and the members from the second on */
#define NR_CQES		4

#define KIND_FLOW	0
#define KIND_UNLINKED	1
#define KIND_LAST	2
#define KIND_LINKED	3

static void queue_chain(struct io_uring *ring, __u64 i)
{
	struct io_uring_sqe *sqe = iou_queue_bpf(ring, 0, i * 8 + KIND_FLOW);

	sqe->flags = IOSQE_IO_LINK;
	for (int kind = 0; kind < 3; kind++) {
		sqe = iou_get_sqe(ring);
		/* the first one is dropped, no matter what */
		iou_prep_nop(sqe, 0, 0, kind ? i * 8 + kind : ~0ULL);
		sqe->flags = kind < 2 ? IOSQE_IO_LINK : 0;
	}
}

/* Each chain: drops one, lets one run, puts one before what is left. */
TEST_F(edit, flows)
{
	unsigned int last[NR_FLOWS] = {}, linked = 0, n;
	struct io_uring_cqe cqe;
	struct bpf_link *link;
	struct io_uring ring;

	ASSERT_EQ(0, iou_ring_init_size(&ring, variant->setup,
					4096, 2 * 4096));
	link = IOU_ATTACH(self->skel->progs.edit_each, &ring, 0);
	edit_sqe(self, 0, KIND_LINKED, 0);
	for (n = 0; n < NR_FLOWS; n++)
		queue_chain(&ring, n);
	ASSERT_EQ(NR_FLOWS * NR_SQES, io_uring_submit(&ring));
	for (n = 0; n < NR_FLOWS * NR_CQES; n++) {
		unsigned int kind;

		ASSERT_EQ(0, iou_wait_cqe(&ring, &cqe)) TH_LOG("%u CQEs", n);
		ASSERT_EQ(0, cqe.res);
		ASSERT_NE(~0ULL, cqe.user_data);
		kind = cqe.user_data % 8;
		if (kind == KIND_LINKED) {
			linked++;
			continue;
		}
		ASSERT_GT(NR_FLOWS, cqe.user_data / 8);
		/* each one once, and what is left after the flow */
		ASSERT_FALSE(last[cqe.user_data / 8] & 1 << kind);
		last[cqe.user_data / 8] |= 1 << kind;
		if (kind == KIND_LAST)
			ASSERT_TRUE(last[cqe.user_data / 8] & 1 << KIND_FLOW);
	}
	ASSERT_NO_CQE(&ring);
	ASSERT_EQ(NR_FLOWS, linked);
	ASSERT_EQ(NR_FLOWS, self->skel->bss->nr_events);
	ASSERT_EQ(0, self->skel->bss->nr_wrong);
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

/* The ring goes while all of that waits. */
TEST_F(edit, exit)
{
	struct io_uring ring;
	struct bpf_link *link;

	ASSERT_EQ(0, iou_ring_init(&ring, variant->setup));
	link = IOU_ATTACH(self->skel->progs.edit, &ring, 0);
	edit_sqe(self, 0, LINKED, 0);
	for (int i = 0; i < 4; i++) {
		struct io_uring_sqe *sqe;

		edit_step(self, i, EDIT_LINK, 0, 0);
		edit_step(self, i, EDIT_LINK, 0, 0);
		edit_step(self, i, EDIT_DROP, 0, 0);
		edit_wait_in(self, i, 1);
		queue_chain(&ring, i);
		sqe = iou_get_sqe(&ring);
		iou_prep_nop(sqe, 0, 0, OTHER);
	}
	ASSERT_EQ(4 * (NR_SQES + 1), io_uring_submit(&ring));
	ASSERT_EQ(4, self->skel->bss->nr_events);
	io_uring_queue_exit(&ring);
	bpf_link__destroy(link);
	for (int i = 0; i < self->skel->bss->nr_steps; i++)
		ASSERT_EQ(0, self->skel->bss->steps[i].ret);
}

TEST_HARNESS_MAIN
