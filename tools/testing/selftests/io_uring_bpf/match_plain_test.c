// SPDX-License-Identifier: GPL-2.0
/* A watching program without stores to its context and without state */
#include "match.h"
#include "match_ext.skel.h"

#define WATCH_ONE(prog, _user_data)					\
	MATCH_ATTACH(prog, .slot = 0, .user_data = _user_data,		\
		     .user_data_mask = ~0ULL)

TEST_F(match, plain_event)
{
	struct iou_event *ev;

	self->link = MATCH_ALL(match_plain);
	for (int i = 0; i < 3; i++) {
		match_queue_nop(self, i - 1, APP + i);
		MATCH_SUBMIT(1);
		ASSERT_CQE(&self->ring, APP + i, i - 1);
		ASSERT_EQ(1 + i, match_nr_events(self));
		ev = match_event(self, i);
		ASSERT_EQ(APP + i, ev->user_data);
		ASSERT_EQ(i - 1, ev->res);
		ASSERT_EQ(BPF_IO_URING_COMPLETE, ev->event);
		ASSERT_EQ(IORING_OP_NOP, ev->opcode);
		ASSERT_EQ(BPF_IO_URING_F_MATCH, ev->flags);
	}
}

TEST_F(match, verdict)
{
	self->link = MATCH_ALL(match_plain);
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->verdict = i;
		match_queue_nop(self, 3, APP);
		match_queue_nop(self, 4, APP + 1)->flags =
			IOSQE_CQE_SKIP_SUCCESS;
		MATCH_SUBMIT(2);
		if (i < BPF_IO_URING_DROP)
			ASSERT_CQE(&self->ring, APP, 3);
		if (i == BPF_IO_URING_POST)
			ASSERT_CQE(&self->ring, APP + 1, 4);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(2 + 2 * i, match_nr_events(self));
	}
}

/*
 * Any request of a batch can cause further CQEs or requests. The first batch
 * after attaching takes another path.
 */
TEST_F(match, post_cqe)
{
	const int nr = 5;
	int markers = 0;

	self->skel->bss->nr_posts = 2;
	for (int which = 0; which < nr; which++) {
		self->link = WATCH_ONE(match_plain, APP + which);
		match_run_nop(APP + nr, 0);
		for (int i = 0; i < nr; i++)
			match_queue_nop(self, i, APP + i);
		MATCH_SUBMIT(nr);
		for (int i = 0; i < nr; i++) {
			for (int n = 0; i == which && n < 2; n++)
				ASSERT_CQE_FLAGS(&self->ring,
						 MARKER + markers++, n, n << 16);
			ASSERT_CQE(&self->ring, APP + i, i);
		}
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(1 + which, match_nr_events(self));
		bpf_link__destroy(self->link);
		self->link = NULL;
	}
}

/* More requests than a batch of the flush, each seen once */
TEST_F(match, post_cqe_many)
{
	const int nr = 40;

	self->link = MATCH_ALL(match_plain);
	match_run_nop(APP, 1);
	match_expect_posts(_metadata, self, nr);
	ASSERT_EQ(1 + nr, match_nr_events(self));
}

/* Run @nr NOPs at once, and as many that their program issues. */
static void expect_issued(struct __test_metadata *_metadata,
			  FIXTURE_DATA(match) *self, int nr)
{
	__u32 nr_events = match_nr_events(self);
	int own = 0;

	for (int i = 0; i < nr; i++)
		match_queue_nop(self, i, APP);
	MATCH_SUBMIT(nr);
	ASSERT_EQ(0, self->skel->bss->ret_issue);
	for (int i = 0; i < 2 * nr; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		own += cqe.user_data == MARKER && cqe.res == 5;
	}
	ASSERT_EQ(nr, own);
	ASSERT_EQ(nr_events + nr, match_nr_events(self));
}

/* Issued requests reuse memory, for any number of runs. */
TEST_F(match, issue)
{
	self->link = MATCH_ALL(match_plain);
	iou_prep_nop(&self->skel->bss->sqes[0], 5, 0, MARKER);
	self->skel->bss->nr_sqes = 1;
	for (int round = 0; round < 20; round++) {
		expect_issued(_metadata, self, 32);
		ASSERT_NO_CQE(&self->ring);
	}
	/* with no request in the batch that the second program watches */
	for (int round = 0; round < 100; round++)
		expect_issued(_metadata, self, 1);
	ASSERT_NO_CQE(&self->ring);
}

/* Another program that does store has no effect on this one, and vice versa. */
TEST_F(match, beside_one_that_writes)
{
	self->link = WATCH_ONE(match_plain, APP);
	self->other = MATCH_ATTACH(match_as_told, .slot = 1);
	match_change(self, 7, 0xcc0000);
	for (int round = 0; round < 3; round++) {
		struct iou_event *ev = match_event(self, 3 * round + 1);

		match_queue_nop(self, 1, APP);
		match_queue_nop(self, 2, APP + 1);
		match_queue_nop(self, 3, APP);
		MATCH_SUBMIT(3);
		ASSERT_CQE_FLAGS(&self->ring, APP, 1, 0);
		ASSERT_CQE_FLAGS(&self->ring, CHANGED, 7, 0xcc0000);
		ASSERT_CQE_FLAGS(&self->ring, APP, 3, 0);
		ASSERT_EQ(3 + 3 * round, match_nr_events(self));
		ASSERT_EQ(APP + 1, ev->user_data);
		for (int i = 0; i < 4; i++)
			ASSERT_EQ(0, ev->state[i]);
	}
}

TEST_F(match, tail_call)
{
	int fd = bpf_program__fd(self->skel->progs.match_as_told);
	__u32 key = 0;

	ASSERT_EQ(0, bpf_map__update_elem(self->skel->maps.tail, &key,
					  sizeof(key), &fd, sizeof(fd), 0));
	self->link = MATCH_ALL(match_tail);
	match_change(self, 7, 0xcc0000);
	for (int i = 0; i < 2; i++) {
		match_queue_nop(self, 3, APP);
		MATCH_SUBMIT(1);
		ASSERT_CQE_FLAGS(&self->ring, CHANGED, 7, 0xcc0000);
		ASSERT_EQ(1 + i, match_nr_events(self));
		ASSERT_EQ(0, match_event(self, i)->state[3]);
	}
}

/* Workers, polls and timeouts take references: such requests are seen once. */
TEST_F(match, seen_once)
{
	struct __kernel_timespec ts = { .tv_sec = 100 };
	struct io_uring_sqe *sqe;

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ALL(match_plain);
	match_queue_nop(self, 3, APP)->flags = IOSQE_ASYNC;
	match_queue_read(self, APP + 1)->flags = IOSQE_IO_LINK;
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_link_timeout(sqe, &ts, 0);
	sqe->user_data = APP + 2;
	MATCH_SUBMIT(3);
	ASSERT_CQE(&self->ring, APP, 3);
	ASSERT_EQ(1, match_nr_events(self));
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(cqe.user_data == APP + 1 ? 4 : -ECANCELED, cqe.res);
	}
	match_run_nop(APP + 4, 1);
	/* two NOPs, the read, its timeout, in any order */
	ASSERT_EQ(4, match_nr_events(self));
	for (int i = 0; i < 4; i++) {
		for (int n = 0; n < i; n++)
			ASSERT_NE(match_event(self, i)->user_data,
				  match_event(self, n)->user_data);
	}
}

static struct bpf_link *extend(struct match_ext *ext, struct bpf_program *prog,
			       struct bpf_program *by)
{
	if (bpf_program__set_attach_target(by, bpf_program__fd(prog),
					   bpf_program__name(prog)))
		return NULL;
	bpf_program__set_autoload(by, true);
	if (match_ext__load(ext))
		return NULL;
	return bpf_program__attach_freplace(by, 0, NULL);
}

#define EXTEND(prog, by) ({						\
	ext = match_ext__open();					\
	ASSERT_NE(NULL, ext);						\
	extend(ext, self->skel->progs.prog, ext->progs.by);		\
})

/* An extension cannot access more of the context than its target. */
TEST_F(match, extension)
{
	struct bpf_link *link;
	struct match_ext *ext;

	self->link = MATCH_ALL(match_plain);
	ASSERT_EQ(NULL, EXTEND(match_plain, ext_writes));
	match_ext__destroy(ext);
	ASSERT_EQ(NULL, EXTEND(match_plain, ext_has_state));
	match_ext__destroy(ext);
	match_run_nop(APP, 1);

	link = EXTEND(match_plain, ext_looks);
	ASSERT_NE(NULL, link) TH_LOG("%s", strerror(errno));
	match_queue_nop(self, 3, APP + 1);
	MATCH_SUBMIT(1);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(APP + 1, ext->bss->seen);
	bpf_link__destroy(link);
	match_ext__destroy(ext);
	match_run_nop(APP, 1);
}

TEST_F(match, extension_of_one_that_writes)
{
	struct bpf_link *link;
	struct match_ext *ext;

	self->link = MATCH_ALL(match_other);
	link = EXTEND(match_other, ext_writes);
	ASSERT_NE(NULL, link) TH_LOG("%s", strerror(errno));
	match_queue_nop(self, 3, APP);
	MATCH_SUBMIT(1);
	ASSERT_CQE(&self->ring, APP, 77);
	ASSERT_EQ(APP, ext->bss->seen);
	bpf_link__destroy(link);
	match_ext__destroy(ext);
}

TEST_HARNESS_MAIN
