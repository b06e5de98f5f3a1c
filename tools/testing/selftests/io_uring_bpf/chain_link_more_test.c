// SPDX-License-Identifier: GPL-2.0
/*
 * Requests linked behind a flow: limits, errors, checks, workers, drains, many
 * flows
 */
#include "edit.h"

#include <sys/poll.h>

TEST_F(edit, errors)
{
	struct io_uring_sqe *sqes = self->skel->bss->sqes;
	static const int ret[] = {
		-EINVAL, -EINVAL, -EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP,
		-EOPNOTSUPP, -EOPNOTSUPP,
	};
	struct edit_step *s[9];
	int i;

	for (i = 0; i < 7; i++)
		edit_sqe(self, i, LINKED, 0);
	sqes[1].opcode = IORING_OP_LAST;
	sqes[2].opcode = IORING_OP_BPF;
	sqes[3].opcode = IORING_OP_LINK_TIMEOUT;
	sqes[4].opcode = IORING_OP_NOP128;
	sqes[5].opcode = IORING_OP_URING_CMD128;
	sqes[6].flags = IOSQE_IO_DRAIN;
	for (i = 0; i < 7; i++)
		s[i] = edit_step(self, 0, EDIT_LINK, i, i ? 0 : 1);
	s[7] = edit_step(self, 0, EDIT_LINK, 0, 1ULL << 32);
	edit_step(self, 0, EDIT_COMPLETE, 0, 0);
	s[8] = edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	EDIT_SUBMIT(2);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 1);
	ASSERT_NO_CQE(&self->ring);
	for (i = 0; i < 7; i++)
		EXPECT_EQ(ret[i], s[i]->ret) TH_LOG("SQE %d", i);
	EXPECT_EQ(-EINVAL, s[7]->ret);
	EXPECT_EQ(-ECANCELED, s[8]->ret);
}

TEST_F(edit, size)
{
	bpf_link__destroy(self->link);
	self->link = IOU_ATTACH(self->skel->progs.edit_link_size, &self->ring, 0);
	edit_queue_flow(self, 0, 0);
	EDIT_SUBMIT(1);
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(-EINVAL, self->skel->bss->rets[0]);
	ASSERT_EQ(-EINVAL, self->skel->bss->rets[1]);
}

/* Eight requests per run, and 128 behind a flow. All of them run. */
TEST_F(edit, limits)
{
	int i, nr;

	EDIT_NEEDS_WAITING();
	bpf_link__destroy(self->link);
	self->link = IOU_ATTACH(self->skel->progs.edit_link_many, &self->ring, 0);
	edit_sqe(self, 0, LINKED, 10);
	iou_prep_read(&self->skel->bss->sqes[1], self->pipe[0], self->buf, LEN,
		      0, CHILD);
	edit_sqe(self, 2, CHILD, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	EDIT_SUBMIT(2);
	ASSERT_NO_CQE(&self->ring);
	nr = self->skel->bss->nr_sqes;
	ASSERT_EQ(128, nr);
	ASSERT_EQ(128 / 8 + 1, self->skel->bss->nr_events);
	ASSERT_EQ(-ENOBUFS, self->skel->bss->rets[0]);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	for (i = 0; i < nr; i++)
		ASSERT_CQE(&self->ring, LINKED, 10);
	ASSERT_MEMBERS(0, 1);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(edit, limit_together)
{
	bpf_link__destroy(self->link);
	self->link = IOU_ATTACH(self->skel->progs.edit_link_together,
				&self->ring, 0);
	edit_sqe(self, 0, LINKED, 10);
	edit_sqe(self, 1, CHILD, 0)->nop_flags |= IORING_NOP_TW;
	edit_queue_flow(self, 0, 0);
	EDIT_SUBMIT(1);
	ASSERT_CQE(&self->ring, FLOW, 0);
	for (int i = 0; i < 128; i++)
		ASSERT_CQE(&self->ring, LINKED, 10);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1 + EDIT_MAX_STEPS, self->skel->bss->nr_events);
	ASSERT_EQ(128, self->skel->bss->nr_sqes);
	ASSERT_EQ(-ENOBUFS, self->skel->bss->rets[0]);
}

/* The memory of a request with extra words is reused for another one. */
TEST_F(edit, no_words_of_others)
{
	struct io_uring_sqe *sqe;
	struct iou_cqe cqe;

	if (!(variant->setup & IOU_WIDE_CQES))
		SKIP(return, "CQEs have 16 bytes");
	for (int bad = 0; bad < 2; bad++) {
		edit_next_round(self);
		for (int i = 0; i < 2; i++) {
			sqe = edit_sqe(self, i, CHILD, 0);
			/* both are allocated before the first one is freed */
			sqe->nop_flags |= IORING_NOP_CQE32 | IORING_NOP_TW;
			sqe->off = 0x1111;
			sqe->addr = 0x2222;
			edit_step(self, 0, EDIT_ISSUE, i, 0);
			edit_sqe(self, 3 + i, LINKED + i, 10);
			edit_step(self, 3, EDIT_LINK, 3 + i, 0);
		}
		edit_sqe(self, 2, CHILD, 0)->nop_flags |= IORING_NOP_TW;
		edit_step(self, 0, EDIT_ISSUE, 2, 0);
		/* fails its preparation, so the other one is cancelled */
		if (bad)
			self->skel->bss->sqes[3].nop_flags = 1U << 31;
		edit_queue_flow(self, 0, 0);
		EDIT_SUBMIT(1);
		for (int i = 0; i < 3; i++) {
			ASSERT_EQ(0, iou_wait_big_cqe(&self->ring, &cqe,
						      IOU_WAIT_MS));
			if (cqe.cqe.user_data == LINKED + 1)
				ASSERT_EQ(bad ? -ECANCELED : 10, cqe.cqe.res);
			ASSERT_EQ(0, cqe.extra[0]);
			ASSERT_EQ(0, cqe.extra[1]);
		}
		EDIT_ASSERT_STEPS();
	}
	EDIT_ASSERT_DONE();
}

/* A linked request undergoes the checks of the application's requests. */
TEST_F(edit, restricted)
{
	const __u8 ops[] = { IORING_OP_BPF, IORING_OP_READ };
	struct io_uring ring;
	struct bpf_link *link;

	ASSERT_EQ(0, iou_ring_init_only(&ring, variant->setup, ops, 2));
	link = IOU_ATTACH(self->skel->progs.edit, &ring, 0);
	edit_sqe(self, 0, LINKED, 10);
	edit_step(self, 0, EDIT_LINK, 0, 0);
	iou_prep_read(&self->skel->bss->sqes[1], self->pipe[0], self->buf, LEN,
		      0, LINKED + 1);
	edit_step(self, 1, EDIT_LINK, 1, 0);
	ASSERT_TRUE(edit_let_go(self));
	iou_queue_bpf(&ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&ring));
	ASSERT_CQE(&ring, LINKED, -EACCES);
	ASSERT_CQE(&ring, FLOW, 0);
	iou_queue_bpf(&ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&ring));
	ASSERT_CQE(&ring, FLOW, 0);
	ASSERT_CQE(&ring, LINKED + 1, EDIT_READ_RES);
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

TEST_F(edit, personality)
{
	int id = io_uring_register_personality(&self->ring);

	ASSERT_LT(0, id);
	edit_sqe(self, 0, LINKED, 10)->personality = id;
	edit_sqe(self, 1, LINKED + 1, 11)->personality = id + 1;
	edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_step(self, 1, EDIT_LINK, 1, 0);
	for (int i = 0; i < 2; i++) {
		edit_queue_flow(self, 0, 0);
		EDIT_SUBMIT(1);
		if (i)
			ASSERT_CQE(&self->ring, LINKED + 1, -EINVAL);
		ASSERT_CQE(&self->ring, FLOW, 0);
		if (!i)
			ASSERT_CQE(&self->ring, LINKED, 10);
	}
	EDIT_ASSERT_DONE();
}

/* Let the program watch NOPs as well, which it counts as events. */
static struct bpf_link *watch_nops(FIXTURE_DATA(edit) *self)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = 2,
		    .flags = BPF_F_IOURING_MATCH,
		    .opcodes = { 1ULL << IORING_OP_NOP });

	return bpf_program__attach_iouring(self->skel->progs.edit,
					   self->ring.ring_fd, &opts);
}

/* No program watches a linked request, even if it is never issued. */
TEST_F(edit, unwatched)
{
	struct bpf_link *watch = watch_nops(self);

	ASSERT_NE(NULL, watch);
	edit_sqe(self, 0, LINKED, 10);
	edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_queue_flow(self, 0, 0);
	EDIT_SUBMIT(1);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, LINKED, 10);
	EDIT_ASSERT_STEPS();
	ASSERT_EQ(1, self->skel->bss->nr_events);

	edit_next_round(self);
	edit_sqe(self, 0, LINKED, 10)->nop_flags = 1U << 31;
	edit_sqe(self, 1, LINKED + 1, 11);
	edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_step(self, 0, EDIT_LINK, 1, 0);
	edit_queue_flow(self, 0, 0);
	EDIT_SUBMIT(1);
	ASSERT_CQE(&self->ring, LINKED, -EINVAL);
	ASSERT_CQE(&self->ring, LINKED + 1, -ECANCELED);
	ASSERT_CQE(&self->ring, FLOW, 0);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(1, self->skel->bss->nr_events);
	bpf_link__destroy(watch);
}

/*
 * A linked request is not watched either after the flow behind it, or the
 * request itself, has left the chain.
 */
TEST_F(edit, unwatched_after_edit)
{
	struct bpf_link *watch = watch_nops(self);

	ASSERT_NE(NULL, watch);
	for (int unlink = 0; unlink < 2; unlink++) {
		struct io_uring_cqe cqes[3];

		edit_next_round(self);
		edit_sqe(self, 0, LINKED, 10);
		edit_sqe(self, 1, CHILD, 0)->nop_flags |= IORING_NOP_TW;
		edit_step(self, 0, EDIT_ISSUE, 1, 0);
		edit_step(self, 0, EDIT_LINK, 0, 0);
		if (unlink)
			edit_step(self, 1, EDIT_UNLINK, 0, 0);
		else
			edit_step(self, 1, EDIT_DROP, 1, BPF_IO_URING_POST_CANCELED);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		edit_queue_flow(self, 1, 0);
		EDIT_SUBMIT(2);
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
		ASSERT_HAS_CQE(cqes, 3, FLOW, 0);
		ASSERT_HAS_CQE(cqes, 3, FLOW + 1, unlink ? 0 : -ECANCELED);
		ASSERT_HAS_CQE(cqes, 3, LINKED, 10);
		ASSERT_NO_CQE(&self->ring);
		EDIT_ASSERT_STEPS();
		/* of the first flow, and with "unlink" of the second one */
		ASSERT_EQ(2 + unlink, self->skel->bss->nr_events);
	}
	bpf_link__destroy(watch);
}

/*
 * A drain waits for the flow and its chain, and these do not wait for the
 * drain.
 */
TEST_F(edit, drain)
{
	EDIT_NEEDS_WAITING();
	edit_wait_in(self, 0, 1);
	edit_sqe(self, 0, LINKED, 10);
	edit_step(self, 1, EDIT_LINK, 0, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	edit_queue_nop(self, OTHER, 0, IOSQE_IO_DRAIN);
	EDIT_SUBMIT(3);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(edit_let_go(self));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, LINKED, 10);
	ASSERT_MEMBERS(0, 1);
	ASSERT_CQE(&self->ring, OTHER, 0);
	EDIT_ASSERT_DONE();
}

/*
 * A worker has issued the flow, because of a drain before it. If the worker
 * holds the last reference, it runs the request behind the flow, which was
 * linked later.
 */
TEST_F_TIMEOUT(edit, iowq_successor, 120)
{
	for (int i = 0; i < 40; i++) {
		edit_next_round(self);
		edit_sqe(self, 0, LINKED, 10);
		edit_sqe(self, 1, LINKED + 1, 11)->flags = IOSQE_ASYNC;
		edit_step(self, 0, EDIT_LINK, 0, 0);
		edit_step(self, 0, EDIT_LINK, 1, 0);
		edit_step(self, 0, EDIT_DROP, 0, 0);
		edit_queue_flow(self, 0, IOSQE_IO_LINK | IOSQE_IO_DRAIN);
		edit_queue_members(self, 2);
		EDIT_SUBMIT(3);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_CQE(&self->ring, LINKED, 10);
		ASSERT_CQE(&self->ring, LINKED + 1, 11);
		ASSERT_MEMBERS(1, 1);
	}
	EDIT_ASSERT_DONE();
}

/*
 * On one of the rings, the flush runs within the handler of another request.
 * The edits apply to the chain that the run has seen.
 */
TEST_F(edit, nested)
{
	struct io_uring_cqe cqes[6];
	struct io_uring_sqe *sqe;
	int other[2];
	char byte;

	EDIT_NEEDS_WAITING();
	ASSERT_EQ(0, pipe(other));
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_poll_multishot(sqe, other[0], POLLIN);
	sqe->user_data = OTHER;
	EDIT_SUBMIT(1);
	for (int fails = 0; fails < 2; fails++) {
		edit_next_round(self);
		edit_wait_in(self, 0, 2);
		for (int i = 0; i < 2; i++) {
			edit_sqe(self, i, LINKED + i, 10 + i);
			edit_step(self, 1, EDIT_LINK, i, 0);
		}
		edit_step(self, 1, EDIT_UNLINK, 0, 0);
		if (fails)
			edit_step(self, 1, EDIT_COMPLETE, -EIO, 0);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		edit_queue_members(self, 2);
		EDIT_SUBMIT(3);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_TRUE(edit_let_go(self));
		ASSERT_EQ(1, write(other[1], "", 1));
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 6));
		ASSERT_EQ(1, read(other[0], &byte, 1));
		ASSERT_HAS_CQE(cqes, 6, OTHER, POLLIN);
		ASSERT_HAS_CQE(cqes, 6, FLOW, fails ? -EIO : 0);
		ASSERT_HAS_CQE(cqes, 6, MEMBER, 0);
		ASSERT_HAS_CQE(cqes, 6, MEMBER + 1, fails ? -ECANCELED : 1);
		for (int i = 0; i < 2; i++)
			ASSERT_HAS_CQE(cqes, 6, LINKED + i,
				       fails ? -ECANCELED : 10 + i);
		EDIT_ASSERT_STEPS();
	}
	EDIT_ASSERT_DONE();
	close(other[0]);
	close(other[1]);
}

TEST_HARNESS_MAIN
