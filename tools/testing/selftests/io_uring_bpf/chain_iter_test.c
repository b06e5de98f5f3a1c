// SPDX-License-Identifier: GPL-2.0
/* Iteration over the chain behind a flow, or behind a watched request */
#include "edit.h"
#include "iou_caps.h"
#include "iou_insn.h"

static struct edit_member *member(FIXTURE_DATA(edit) *self, int n)
{
	return &self->skel->bss->members[n];
}

#define ASSERT_MEMBER(n, _event, _index, _user_data, _opcode, _flags) do {	\
	struct edit_member *__m = member(self, n);				\
										\
	ASSERT_EQ((__u64)(_user_data), __m->user_data);				\
	ASSERT_EQ((__u32)(_event), __m->event);					\
	ASSERT_EQ((__u32)(_index), __m->index);					\
	ASSERT_EQ((__u32)(_opcode), __m->opcode);				\
	ASSERT_EQ((__u32)(_flags), __m->flags);					\
} while (0)

TEST_F(edit, nothing_behind)
{
	edit_queue_flow(self, 0, 0);
	EDIT_SUBMIT(1);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_EQ(0, self->skel->bss->nr_members);
}

TEST_F(edit, members)
{
	unsigned int last = IOSQE_CQE_SKIP_SUCCESS;

	ASSERT_TRUE(edit_let_go(self));
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_nop(self, MEMBER, 0, IOSQE_IO_LINK);
	edit_queue_nop(self, MEMBER + 1, 1, IOSQE_IO_HARDLINK | IOSQE_ASYNC);
	edit_queue_read(self, MEMBER + 2, IOSQE_IO_HARDLINK);
	edit_queue_nop(self, MEMBER + 3, 3, last);
	EDIT_SUBMIT(5);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 2);
	ASSERT_CQE(&self->ring, MEMBER + 2, EDIT_READ_RES);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(4, self->skel->bss->nr_members);
	ASSERT_MEMBER(0, 0, 0, MEMBER, IORING_OP_NOP, IOSQE_IO_LINK);
	ASSERT_MEMBER(1, 0, 1, MEMBER + 1, IORING_OP_NOP,
		      IOSQE_IO_HARDLINK | IOSQE_ASYNC);
	ASSERT_MEMBER(2, 0, 2, MEMBER + 2, IORING_OP_READ, IOSQE_IO_HARDLINK);
	ASSERT_MEMBER(3, 0, 3, MEMBER + 3, IORING_OP_NOP, last);
}

/*
 * A linked timeout belongs to the request before it, and that of the flow to
 * the flow.
 */
TEST_F(edit, timeout_is_no_member)
{
	struct io_uring_cqe cqes[5];

	EDIT_NEEDS_WAITING();
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_timeout(self, false, TIMEOUT, IOSQE_IO_LINK);
	edit_queue_nop(self, MEMBER, 0, IOSQE_IO_LINK);
	edit_queue_timeout(self, false, TIMEOUT + 1, IOSQE_IO_LINK);
	edit_queue_nop(self, MEMBER + 1, 1, 0);
	EDIT_SUBMIT(5);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 5));
	EDIT_ASSERT_DONE();
	ASSERT_EQ(2, self->skel->bss->nr_members);
	ASSERT_MEMBER(0, 0, 0, MEMBER, IORING_OP_NOP,
		      IOSQE_IO_LINK | BPF_IO_URING_MEMBER_TIMEOUT);
	ASSERT_MEMBER(1, 0, 1, MEMBER + 1, IORING_OP_NOP, 0);
}

/* The flow behind it sees the rest, on the completion of the member before. */
TEST_F(edit, flow_is_a_member)
{
	edit_queue_nop(self, HEAD, 0, IOSQE_IO_LINK);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_flow(self, 1, IOSQE_IO_LINK);
	edit_queue_members(self, 1);
	EDIT_SUBMIT(4);
	ASSERT_CQE(&self->ring, HEAD, 0);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, FLOW + 1, 0);
	ASSERT_MEMBERS(0, 1);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(3, self->skel->bss->nr_members);
	ASSERT_MEMBER(0, 0, 0, FLOW + 1, IORING_OP_BPF, IOSQE_IO_LINK);
	ASSERT_MEMBER(1, 0, 1, MEMBER, IORING_OP_NOP, 0);
	ASSERT_MEMBER(2, 1, 0, MEMBER, IORING_OP_NOP, 0);
}

/* The chain is constant during a run, and edited for the next one. */
TEST_F(edit, edits_come_after_the_run)
{
	edit_step(self, 0, EDIT_DROP, 0, 0);
	edit_step(self, 0, EDIT_ISSUE, 0, 0);
	edit_sqe(self, 0, CHILD, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 2);
	EDIT_SUBMIT(3);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(1, 1);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(3, self->skel->bss->nr_members);
	ASSERT_MEMBER(1, 0, 1, MEMBER + 1, IORING_OP_NOP, 0);
	ASSERT_MEMBER(2, 1, 0, MEMBER + 1, IORING_OP_NOP, 0);
}

/* Before a member completes, its fd is in place of the result and flags. */
TEST_F(edit, member_cqe_flags)
{
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_read(self, MEMBER, IOSQE_IO_LINK);
	edit_queue_read(self, MEMBER + 1, IOSQE_IO_LINK);
	edit_queue_read(self, MEMBER + 2, 0);
	edit_step(self, 0, EDIT_DROP, 1, BPF_IO_URING_POST_CANCELED);
	edit_step(self, 0, EDIT_COMPLETE, -EIO, 0);
	EDIT_SUBMIT(4);
	ASSERT_CQE_FLAGS(&self->ring, MEMBER + 1, -ECANCELED, 0);
	ASSERT_CQE_FLAGS(&self->ring, FLOW, -EIO, 0);
	ASSERT_CQE_FLAGS(&self->ring, MEMBER, -ECANCELED, 0);
	ASSERT_CQE_FLAGS(&self->ring, MEMBER + 2, -ECANCELED, 0);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(3, self->skel->bss->nr_members);
	ASSERT_MEMBER(0, 0, 0, MEMBER, IORING_OP_READ, IOSQE_IO_LINK);
}

/* All members are shown, including those whose index is too large for edits. */
TEST_F(edit, long_chain)
{
	int nr = 100;

	edit_new_ring(_metadata, self, variant->setup, nr + 1);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, nr);
	EDIT_SUBMIT(nr + 1);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, nr);
	ASSERT_EQ(nr, self->skel->bss->nr_members);
	for (int i = 0; i < nr; i++)
		ASSERT_MEMBER(i, 0, i, MEMBER + i, IORING_OP_NOP,
			      i < nr - 1 ? IOSQE_IO_LINK : 0);
}

/* A watching program can iterate but not edit. */
TEST_F(edit, watching)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = 2,
		    .flags = BPF_F_IOURING_MATCH, .user_data = HEAD,
		    .user_data_mask = ~0ULL);
	struct edit_step *drop, *unlink, *link;
	struct bpf_link *watch;

	watch = bpf_program__attach_iouring(self->skel->progs.edit,
					    self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, watch);
	drop = edit_step(self, 0, EDIT_DROP, 0, 0);
	unlink = edit_step(self, 0, EDIT_UNLINK, 0, 0);
	link = edit_step(self, 0, EDIT_LINK, 0, 0);
	edit_queue_nop(self, HEAD, 0, IOSQE_IO_LINK);
	if (!EDIT_POLLS)
		edit_queue_timeout(self, false, TIMEOUT, IOSQE_IO_LINK);
	edit_queue_members(self, 2);
	EDIT_SUBMIT(EDIT_POLLS ? 3 : 4);
	ASSERT_CQE(&self->ring, HEAD, 0);
	if (!EDIT_POLLS)
		ASSERT_CQE(&self->ring, TIMEOUT, -ECANCELED);
	ASSERT_MEMBERS(0, 2);
	ASSERT_NO_CQE(&self->ring);
	bpf_link__destroy(watch);
	ASSERT_EQ(2, self->skel->bss->nr_members);
	ASSERT_MEMBER(0, 0, 0, MEMBER, IORING_OP_NOP, IOSQE_IO_LINK);
	ASSERT_MEMBER(1, 0, 1, MEMBER + 1, IORING_OP_NOP, 0);
	ASSERT_EQ(-EOPNOTSUPP, drop->ret);
	ASSERT_EQ(-EOPNOTSUPP, unlink->ret);
	ASSERT_EQ(-EOPNOTSUPP, link->ret);
}

TEST_F(edit, sleepable)
{
	bpf_link__destroy(self->link);
	self->link = IOU_ATTACH(self->skel->progs.edit_sleepable, &self->ring, 0);
	edit_step(self, 0, EDIT_DROP, 1, 0);
	edit_queue_flow(self, 0, IOSQE_IO_LINK);
	edit_queue_members(self, 3);
	EDIT_SUBMIT(4);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_MEMBERS(0, 1);
	ASSERT_MEMBERS(2, 1);
	EDIT_ASSERT_DONE();
	ASSERT_EQ(3, self->skel->bss->nr_members);
}

/* The iterator requires no further capability. */
TEST(cap_bpf_is_enough)
{
	struct edit *skel;

	IOU_REQUIRE();
	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF)));
	/* "infinite loop" on a path that only speculation takes, as for other iterators */
	if (iou_mitigates())
		SKIP(return, "requires CAP_PERFMON on a kernel with mitigations");
	skel = edit__open_and_load();
	ASSERT_NE(NULL, skel);
	edit__destroy(skel);
}

TEST_HARNESS_MAIN
