/* SPDX-License-Identifier: GPL-2.0 */
/* Flows with given children, for the tests of IOSQE_IO_DRAIN */
#ifndef IOU_DRAIN_H
#define IOU_DRAIN_H

#include "iou_until.h"
#include "kselftest_harness.h"
#include "drain.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define APP	0xa44ULL
#define DRAIN	0xd4a1ULL
#define OTHER	0x07e4ULL
#define CANCEL	0xca4cULL
#define TIMEOUT	0x71e0ULL

#define LEN	4
/* result of a NOP */
#define RES	7

FIXTURE(drain) {
	struct io_uring ring;
	struct drain *skel;
	struct bpf_link *link;
	/* for requests that wait until the test writes */
	int pipe[2];
	int other[2];
	char buf[LEN];
};

IOU_MODE_VARIANTS(drain);
IOU_LOAD_ONCE(drain);

FIXTURE_SETUP(drain)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ(0, pipe(self->other));
	self->skel = drain_get();
	ASSERT_NE(NULL, self->skel);
	self->link = IOU_ATTACH(self->skel->progs.drain_flow, &self->ring, 0);
}

FIXTURE_TEARDOWN(drain)
{
	bpf_link__destroy(self->link);
	for (int i = 0; i < 2; i++) {
		close(self->pipe[i]);
		close(self->other[i]);
	}
	if (self->ring.ring_fd >= 0)
		io_uring_queue_exit(&self->ring);
}

/* Fill in sqes[n], as a NOP or as a read from an empty pipe. */
static inline struct io_uring_sqe *drain_prep_nop(FIXTURE_DATA(drain) *self,
						  unsigned int n)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[n];

	iou_prep_nop(sqe, RES, 0, CHILD + n);
	return sqe;
}

static inline struct io_uring_sqe *drain_prep_read(FIXTURE_DATA(drain) *self,
						   unsigned int n, int fd)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[n];

	iou_prep_read(sqe, fd, self->buf, LEN, 0, CHILD + n);
	return sqe;
}

/*
 * Queue a flow that issues @nr SQEs from @from on, and @more after a
 * completion.
 */
static inline struct io_uring_sqe *
drain_queue_flow(FIXTURE_DATA(drain) *self, __u64 user_data, unsigned int from,
		 unsigned int nr, unsigned int more)
{
	struct io_uring_sqe *sqe = iou_queue_bpf(&self->ring, 0, user_data);

	sqe->off = from;
	sqe->addr = nr;
	sqe->addr3 = more;
	return sqe;
}

static inline void drain_queue_nop(FIXTURE_DATA(drain) *self, __u64 user_data,
				   unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_nop(sqe, RES, 0, user_data);
	sqe->flags = flags;
}

static inline void drain_queue_read(FIXTURE_DATA(drain) *self, __u64 user_data,
				    int fd)
{
	iou_prep_read(iou_get_sqe(&self->ring), fd, self->buf, LEN, 0,
		      user_data);
}

static inline bool drain_let_go(int fds[2])
{
	return write(fds[1], "data", LEN) == LEN;
}

static inline __u32 drain_nr_events(FIXTURE_DATA(drain) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_events);
}

/* Check that programs have run this number of times. */
#define ASSERT_EVENTS(nr)						\
	ASSERT_TRUE(iou_until(&self->ring, drain_nr_events(self) >= (nr)))

#endif
