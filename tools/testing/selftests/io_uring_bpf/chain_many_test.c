// SPDX-License-Identifier: GPL-2.0
/*
 * Many flows on one ring that edit their chains, and chains with many members
 */
#include "edit.h"
#include "process.h"

#define NR_FLOWS	1000
#define NR_SQES		4
/* members with a CQE: the flow, and those from the second one on */
#define NR_CQES		4

#define KIND_FLOW	0
#define KIND_UNLINKED	1
#define KIND_LAST	2
#define KIND_LINKED	3

/* the last valid index, and a longer chain */
#define LAST_INDEX	63
#define NR_MEMBERS	70

static void queue_chain(struct io_uring *ring, __u64 i)
{
	struct io_uring_sqe *sqe = iou_queue_bpf(ring, 0, i * 8 + KIND_FLOW);

	sqe->flags = IOSQE_IO_LINK;
	for (int kind = 0; kind < 3; kind++) {
		sqe = iou_get_sqe(ring);
		/* the first one is dropped in any case */
		iou_prep_nop(sqe, 0, 0, kind ? i * 8 + kind : ~0ULL);
		sqe->flags = kind < 2 ? IOSQE_IO_LINK : 0;
	}
}

/*
 * Each flow drops one member, unlinks one, and links one before the rest.
 * Chains of four SQEs are not split by an SQ thread, which takes eight at a
 * time.
 */
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
	ASSERT_EQ(NR_FLOWS * NR_SQES, iou_submit(&ring));
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
		/* each one once, and the rest after the flow */
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

/* Close the ring while all of this waits. */
TEST_F(edit, exit)
{
	struct io_uring ring;
	struct bpf_link *link;

	EDIT_NEEDS_WAITING();
	ASSERT_EQ(0, iou_ring_init(&ring, variant->setup));
	link = IOU_ATTACH(self->skel->progs.edit, &ring, 0);
	edit_sqe(self, 0, LINKED, 0);
	for (int i = 0; i < 4; i++) {
		edit_step(self, i, EDIT_LINK, 0, 0);
		edit_step(self, i, EDIT_LINK, 0, 0);
		edit_step(self, i, EDIT_DROP, 0, 0);
		edit_wait_in(self, i, 1);
	}
	for (int i = 0; i < 4; i++) {
		queue_chain(&ring, i);
		iou_prep_nop(iou_get_sqe(&ring), 0, 0, OTHER);
		ASSERT_EQ(NR_SQES + 1, iou_submit(&ring));
	}
	ASSERT_TRUE(until(IO_URING_READ_ONCE(self->skel->bss->nr_events) == 4));
	io_uring_queue_exit(&ring);
	bpf_link__destroy(link);
	EDIT_ASSERT_STEPS();
}

/* A flow with more members than valid indexes, one of which may fail. */
static void queue_long_chain(FIXTURE_DATA(edit) *self, int fails)
{
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	for (int i = 0; i < NR_MEMBERS; i++)
		edit_queue_nop(self, MEMBER + i, i == fails ? -EIO : i,
			       i < NR_MEMBERS - 1 ? IOSQE_IO_LINK : 0);
}

/* Members with larger indexes stay. */
TEST_F(edit, last_index)
{
	static const struct {
		unsigned int verb, index, flags;
	} refused[] = {
		{ EDIT_DROP, LAST_INDEX + 1, 0 },
		{ EDIT_UNLINK, LAST_INDEX + 1, 0 },
		{ EDIT_DROP, LAST_INDEX + 1, BPF_IO_URING_REST },
		{ EDIT_UNLINK, LAST_INDEX + 1, BPF_IO_URING_REST },
		{ EDIT_DROP, NR_MEMBERS - 1, BPF_IO_URING_POST_CANCELED },
	};
	struct edit_step *s[ARRAY_SIZE(refused)], *last;
	size_t i;

	edit_new_ring(_metadata, self, variant->setup, 1 + NR_MEMBERS);
	for (i = 0; i < ARRAY_SIZE(refused); i++)
		s[i] = edit_step(self, 0, refused[i].verb, refused[i].index,
				 refused[i].flags);
	last = edit_step(self, 0, EDIT_DROP, LAST_INDEX, 0);
	/* or the flow fails with the first error, and cuts the chain */
	edit_step(self, 0, EDIT_COMPLETE, 0, 0);
	queue_long_chain(self, -1);
	EDIT_SUBMIT(1 + NR_MEMBERS);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, LAST_INDEX);
	ASSERT_MEMBERS(LAST_INDEX + 1, NR_MEMBERS - LAST_INDEX - 1);
	ASSERT_NO_CQE(&self->ring);
	for (i = 0; i < ARRAY_SIZE(refused); i++)
		ASSERT_EQ(-ERANGE, s[i]->ret) TH_LOG("call %zu", i);
	ASSERT_EQ(0, last->ret);
}

/* An unlinked member runs alone, so its failure does not cut the chain. */
TEST_F(edit, last_index_unlinked)
{
	struct io_uring_cqe cqes[1 + NR_MEMBERS];

	edit_new_ring(_metadata, self, variant->setup, 1 + NR_MEMBERS);
	edit_step(self, 0, EDIT_UNLINK, LAST_INDEX, 0);
	queue_long_chain(self, LAST_INDEX);
	EDIT_SUBMIT(1 + NR_MEMBERS);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 1 + NR_MEMBERS));
	ASSERT_HAS_CQE(cqes, 1 + NR_MEMBERS, FLOW, 0);
	for (int i = 0; i < NR_MEMBERS; i++)
		ASSERT_HAS_CQE(cqes, 1 + NR_MEMBERS, MEMBER + i,
			       i == LAST_INDEX ? -EIO : i);
	EDIT_ASSERT_DONE();
}

/*
 * BPF_IO_URING_REST covers all members. Unlinked ones do not fail with the
 * flow.
 */
TEST_F(edit, rest_from_last_index)
{
	struct io_uring_cqe cqes[1 + NR_MEMBERS];

	edit_new_ring(_metadata, self, variant->setup, 1 + NR_MEMBERS);
	for (int unlinks = 0; unlinks < 2; unlinks++) {
		edit_next_round(self);
		edit_step(self, 0, unlinks ? EDIT_UNLINK : EDIT_DROP, LAST_INDEX,
			  BPF_IO_URING_REST |
			  (unlinks ? 0 : BPF_IO_URING_POST_CANCELED));
		edit_step(self, 0, EDIT_COMPLETE, unlinks ? -EIO : 0, 0);
		queue_long_chain(self, -1);
		EDIT_SUBMIT(1 + NR_MEMBERS);
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 1 + NR_MEMBERS));
		ASSERT_HAS_CQE(cqes, 1 + NR_MEMBERS, FLOW, unlinks ? -EIO : 0);
		for (int i = 0; i < NR_MEMBERS; i++) {
			bool runs = unlinks ? i >= LAST_INDEX : i < LAST_INDEX;

			ASSERT_HAS_CQE(cqes, 1 + NR_MEMBERS, MEMBER + i,
				       runs ? i : -ECANCELED);
		}
		EDIT_ASSERT_STEPS();
	}
	EDIT_ASSERT_DONE();
}

TEST_HARNESS_MAIN
