/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests that a program links, and requests that it issues for the
 * application
 */
#ifndef IOU_GROUP_H
#define IOU_GROUP_H

#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "group.skel.h"

#define FLOW		0xf10aULL
#define CHILD		0xc41dULL
#define APP		0xa44ULL
#define CANCEL		0xca4cULL
#define TIMEOUT		0x71e0ULL

FIXTURE(group) {
	struct io_uring ring;
	struct group *skel;
	struct bpf_link *link;
	int pipe[2];
	int other[2];
	char buf[64];
	struct __kernel_timespec ts;
};

IOU_MODE_VARIANTS(group);
IOU_LOAD_ONCE(group);

FIXTURE_SETUP(group)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ(0, pipe(self->other));
	self->skel = group_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(group)
{
	bpf_link__destroy(self->link);
	for (int i = 0; i < 2; i++) {
		close(self->pipe[i]);
		close(self->other[i]);
	}
	io_uring_queue_exit(&self->ring);
}

/* Return the next SQE for the program, issued with @flags of the kfunc. */
static inline struct io_uring_sqe *group_sqe(FIXTURE_DATA(group) *self,
					     __u64 flags)
{
	__u32 n = self->skel->bss->nr_sqes++;

	self->skel->bss->flags[n] = flags;
	return &self->skel->bss->sqes[n];
}

static inline struct io_uring_sqe *
group_nop(FIXTURE_DATA(group) *self, __u64 flags, __s32 res, __u8 sqe_flags,
	  __u64 user_data)
{
	struct io_uring_sqe *sqe = group_sqe(self, flags);

	iou_prep_nop(sqe, res, 0, user_data);
	sqe->flags = sqe_flags;
	return sqe;
}

/* Add a read of four bytes from the empty pipe. */
static inline struct io_uring_sqe *
group_read(FIXTURE_DATA(group) *self, __u64 flags, __u8 sqe_flags,
	   __u64 user_data)
{
	struct io_uring_sqe *sqe = group_sqe(self, flags);

	iou_prep_read(sqe, self->pipe[0], self->buf, 4, 0, user_data);
	sqe->flags = sqe_flags;
	return sqe;
}

static inline struct io_uring_sqe *
group_timeout(FIXTURE_DATA(group) *self, __u64 flags, unsigned int ms,
	      __u64 user_data)
{
	struct io_uring_sqe *sqe = group_sqe(self, flags);

	self->ts.tv_sec = ms / 1000;
	self->ts.tv_nsec = ms % 1000 * 1000000;
	memset(sqe, 0, sizeof(*sqe));
	io_uring_prep_link_timeout(sqe, &self->ts, 0);
	sqe->user_data = user_data;
	return sqe;
}

static inline __u32 group_nr_events(FIXTURE_DATA(group) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_events);
}

/* Start a flow whose program issues all added SQEs. */
#define group_start() do {						\
	if (!self->link)						\
		self->link = IOU_ATTACH(self->skel->progs.group_as_told,\
					&self->ring, 0);		\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

#define group_expect(n, _user_data, _res) do {				\
	struct iou_event *__ev = &self->skel->bss->events[n];		\
									\
	ASSERT_EQ(BPF_IO_URING_COMPLETE, __ev->event);			\
	ASSERT_EQ((__u64)(_user_data), __ev->user_data) {		\
		TH_LOG("event %d, res %d", (int)(n), __ev->res);	\
	}								\
	ASSERT_EQ((__s32)(_res), __ev->res) {				\
		TH_LOG("event %d", (int)(n));				\
	}								\
	ASSERT_EQ(BPF_IO_URING_F_CHILD, __ev->flags);			\
} while (0)

/* Find an event, in any order. */
static inline struct iou_event *group_find(FIXTURE_DATA(group) *self,
					   __u64 user_data)
{
	for (__u32 i = 1; i < group_nr_events(self); i++) {
		if (self->skel->bss->events[i].user_data == user_data)
			return &self->skel->bss->events[i];
	}
	return NULL;
}

#define group_has(_user_data, _res) do {				\
	struct iou_event *__ev = group_find(self, _user_data);		\
									\
	ASSERT_NE(NULL, __ev);						\
	ASSERT_EQ((__s32)(_res), __ev->res);				\
} while (0)

#define group_rets(...) do {						\
	static const int __rets[] = { __VA_ARGS__ };			\
									\
	for (size_t __i = 0; __i < ARRAY_SIZE(__rets); __i++) {		\
		ASSERT_EQ(__rets[__i], self->skel->bss->rets[__i]) {	\
			TH_LOG("call %zu", __i);			\
		}							\
	}								\
} while (0)

#endif
