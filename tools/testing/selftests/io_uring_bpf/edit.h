/* SPDX-License-Identifier: GPL-2.0 */
/* Chains of NOPs behind a flow whose program performs given edits */
#ifndef IOU_EDIT_H
#define IOU_EDIT_H

#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "progs/edit_step.h"
#include "edit.skel.h"

#define HEAD	0x4eadULL
#define FLOW	0xf10aULL
#define MEMBER	0x3e3b00ULL
#define LINKED	0x114ced00ULL
#define CHILD	0xc41d00ULL
#define TIMEOUT	0x71e000ULL
#define OTHER	0x07e4ULL

#define LEN	4

FIXTURE(edit) {
	struct io_uring ring;
	struct edit *skel;
	struct bpf_link *link;
	struct bpf_link *link1;
	/* for requests that wait until the test writes */
	int pipe[2];
	char buf[LEN];
	struct __kernel_timespec ts[2];
};

IOU_MODE_VARIANTS(edit);
IOU_MODE(edit, iopoll, IORING_SETUP_IOPOLL);
IOU_LOAD_ONCE(edit);

static inline void edit_attach(struct __test_metadata *_metadata,
			       FIXTURE_DATA(edit) *self)
{
	self->link = IOU_ATTACH(self->skel->progs.edit, &self->ring, 0);
	self->link1 = IOU_ATTACH(self->skel->progs.edit, &self->ring, 1);
}

FIXTURE_SETUP(edit)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->ts[0].tv_nsec = 20000000;
	self->ts[1].tv_sec = 3600;
	self->skel = edit_get();
	ASSERT_NE(NULL, self->skel);
	edit_attach(_metadata, self);
}

FIXTURE_TEARDOWN(edit)
{
	bpf_link__destroy(self->link);
	bpf_link__destroy(self->link1);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
}

/*
 * Replace the ring by one for a chain of @entries SQEs. An SQ thread that
 * serves several rings takes eight SQEs at a time, and a chain ends there. The
 * thread of this ring serves no other ring.
 */
static inline void edit_new_ring(struct __test_metadata *_metadata,
				 FIXTURE_DATA(edit) *self, unsigned int setup,
				 unsigned int entries)
{
	bpf_link__destroy(self->link);
	bpf_link__destroy(self->link1);
	io_uring_queue_exit(&self->ring);
	ASSERT_EQ(0, iou_ring_init_size(&self->ring, setup & ~IOU_SHAPED,
					entries, 2 * entries));
	edit_attach(_metadata, self);
}

/* Reset the log and the steps of the program. */
static inline void edit_next_round(FIXTURE_DATA(edit) *self)
{
	self->skel->bss->nr_events = 0;
	self->skel->bss->nr_steps = 0;
	self->skel->bss->nr_members = 0;
}

/* Add a step for the run with number @event of any flow. Return the step. */
static inline struct edit_step *edit_step(FIXTURE_DATA(edit) *self, __u32 event,
					  __u32 verb, __u32 arg, __u64 flags)
{
	struct edit_step *s = &self->skel->bss->steps[self->skel->bss->nr_steps++];

	*s = (struct edit_step) {
		.event	= event,
		.verb	= verb,
		.arg	= arg,
		.flags	= flags,
		.ret	= 1,
	};
	return s;
}

static inline struct io_uring_sqe *edit_queue_flow(FIXTURE_DATA(edit) *self,
						   unsigned int slot,
						   unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_queue_bpf(&self->ring, slot, FLOW + slot);

	sqe->flags = flags;
	return sqe;
}

static inline struct io_uring_sqe *edit_queue_nop(FIXTURE_DATA(edit) *self,
						  __u64 user_data, int res,
						  unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_nop(sqe, res, 0, user_data);
	sqe->flags = flags;
	return sqe;
}

/* Queue a request that waits until there is data to read. */
static inline struct io_uring_sqe *edit_queue_read(FIXTURE_DATA(edit) *self,
						   __u64 user_data,
						   unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_read(sqe, self->pipe[0], self->buf, LEN, 0, user_data);
	sqe->flags = flags;
	return sqe;
}

/* Queue a timeout that is short, or an hour long. */
static inline struct io_uring_sqe *edit_queue_timeout(FIXTURE_DATA(edit) *self,
						      bool expires,
						      __u64 user_data,
						      unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	io_uring_prep_link_timeout(sqe, &self->ts[!expires], 0);
	sqe->user_data = user_data;
	sqe->flags = flags;
	return sqe;
}

/* Queue the end of a chain: @nr NOPs, whose results are their numbers. */
static inline void edit_queue_members(FIXTURE_DATA(edit) *self, int nr)
{
	for (int i = 0; i < nr; i++)
		edit_queue_nop(self, MEMBER + i, i, i < nr - 1 ? IOSQE_IO_LINK : 0);
}

/* Fill in sqes[n] as a NOP to be linked or issued. */
static inline struct io_uring_sqe *edit_sqe(FIXTURE_DATA(edit) *self, int n,
					    __u64 user_data, int res)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[n];

	iou_prep_nop(sqe, res, 0, user_data);
	return sqe;
}

/* Fill in sqes[n] as a child that makes the flow wait for the pipe. */
static inline void edit_wait_in(FIXTURE_DATA(edit) *self, __u32 event, int n)
{
	iou_prep_read(&self->skel->bss->sqes[n], self->pipe[0], self->buf, LEN,
		      0, CHILD);
	edit_step(self, event, EDIT_ISSUE, n, 0);
}

static inline bool edit_let_go(FIXTURE_DATA(edit) *self)
{
	return write(self->pipe[1], "data", LEN) == LEN;
}

/*
 * Such a ring supports neither timeouts nor files without polling, such as
 * pipes.
 */
#define EDIT_POLLS	(variant->setup & IORING_SETUP_IOPOLL)

#define EDIT_NEEDS_WAITING() do {					\
	if (EDIT_POLLS)							\
		SKIP(return, "IOPOLL does not support waiting requests");\
} while (0)

/* result of edit_queue_read() when there is data */
#define EDIT_READ_RES	(EDIT_POLLS ? -EOPNOTSUPP : LEN)

/* Submit, and check that all SQEs were submitted. */
#define EDIT_SUBMIT(nr) ASSERT_EQ(nr, iou_submit(&self->ring))

/* Check that no step has failed. The next round would find a remaining CQE. */
#define EDIT_ASSERT_STEPS() do {					\
	for (__u32 __i = 0; __i < self->skel->bss->nr_steps; __i++) {	\
		struct edit_step *__s = &self->skel->bss->steps[__i];	\
									\
		if (__s->verb != EDIT_VERDICT)				\
			ASSERT_EQ(0, __s->ret) TH_LOG("step %u", __i);	\
	}								\
} while (0)

/* Check the steps, and that no CQE is left at the end. */
#define EDIT_ASSERT_DONE() do {						\
	ASSERT_NO_CQE(&self->ring);					\
	EDIT_ASSERT_STEPS();						\
} while (0)

#define ASSERT_MEMBERS(_from, _nr) do {					\
	for (int __i = 0; __i < (_nr); __i++)				\
		ASSERT_CQE(&self->ring, MEMBER + (_from) + __i,		\
			   (_from) + __i);				\
} while (0)

#endif
