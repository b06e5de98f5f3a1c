/* SPDX-License-Identifier: GPL-2.0 */
/* Flows whose program reissues the same child */
#ifndef IOU_AGAIN_H
#define IOU_AGAIN_H

#include "iou_until.h"

#include <sys/socket.h>

#include "progs/again_step.h"
#include "kselftest_harness.h"
#include "again.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define OTHER	0x07e4ULL
#define CANCEL	0xca4cULL

#define BLOCK	4096
#define BLOCKS	16
#define SIZE	(BLOCK * BLOCKS)

FIXTURE(again) {
	struct io_uring ring;
	struct again *skel;
	struct bpf_link *link;
	struct bpf_link *watch;
	int pipe[2];
	int sock[2];
	/* has SIZE bytes, which are also in data */
	int fd;
	char path[128];
	char *data;
	char *got;
};

IOU_MODE_VARIANTS(again);

static inline int again_make_file(FIXTURE_DATA(again) *self)
{
	const char *dir = getenv("TMPDIR") ?: "/tmp";

	snprintf(self->path, sizeof(self->path), "%s/iou_bpf.XXXXXX", dir);
	self->fd = mkstemp(self->path);
	if (self->fd < 0)
		return -errno;
	for (int i = 0; i < SIZE; i++)
		self->data[i] = (i * 2654435761U) >> 13;
	if (pwrite(self->fd, self->data, SIZE, 0) != SIZE)
		return -EIO;
	return fsync(self->fd);
}

IOU_LOAD_ONCE(again);

FIXTURE_SETUP(again)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->sock));
	/* O_DIRECT requires alignment */
	self->data = aligned_alloc(BLOCK, SIZE);
	self->got = aligned_alloc(BLOCK, SIZE);
	ASSERT_TRUE(self->data && self->got);
	memset(self->got, 0, SIZE);
	ASSERT_EQ(0, again_make_file(self));
	self->skel = again_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(again)
{
	bpf_link__destroy(self->link);
	bpf_link__destroy(self->watch);
	for (int i = 0; i < 2; i++) {
		close(self->pipe[i]);
		close(self->sock[i]);
	}
	close(self->fd);
	unlink(self->path);
	if (self->ring.ring_fd >= 0)
		io_uring_queue_exit(&self->ring);
	free(self->data);
	free(self->got);
}

/* Return the SQE that the program issues next, for the caller to fill in. */
static inline struct io_uring_sqe *again_add_child(FIXTURE_DATA(again) *self)
{
	__u32 n = self->skel->bss->nr_sqes++;
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[n];

	memset(sqe, 0, sizeof(*sqe));
	sqe->user_data = CHILD + n;
	return sqe;
}

static inline void again_add_nop(FIXTURE_DATA(again) *self, int res,
				 unsigned int nop_flags)
{
	struct io_uring_sqe *sqe = again_add_child(self);

	iou_prep_nop(sqe, res, nop_flags, sqe->user_data);
}

static inline struct io_uring_sqe *again_add_read(FIXTURE_DATA(again) *self,
						  int fd, void *buf,
						  unsigned int len, __u64 off)
{
	struct io_uring_sqe *sqe = again_add_child(self);

	iou_prep_read(sqe, fd, buf, len, off, sqe->user_data);
	return sqe;
}

/* Add the arguments of bpf_io_uring_again() for one more completion. */
static inline struct again_step *again_add_step(FIXTURE_DATA(again) *self,
						__u64 off, const void *addr,
						__u32 len)
{
	struct again_step *step;

	step = &self->skel->bss->steps[self->skel->bss->nr_steps++];
	*step = (struct again_step) {
		.off	= off,
		.addr	= (unsigned long)addr,
		.len	= len,
		/* not called yet */
		.ret	= 1,
	};
	return step;
}

static inline void again_reset(FIXTURE_DATA(again) *self)
{
	self->skel->bss->nr_sqes = 0;
	self->skel->bss->nr_steps = 0;
	self->skel->bss->nr_events = 0;
	memset(self->got, 0, SIZE);
}

static inline __u32 again_nr_events(FIXTURE_DATA(again) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_events);
}

/* Let the kernel work until the program has run @nr times. */
static inline bool again_until(FIXTURE_DATA(again) *self, __u32 nr)
{
	return iou_until(&self->ring, again_nr_events(self) >= nr) &&
	       again_nr_events(self) == nr;
}

/* Return the event of child completion @n, counted from 0 and without START. */
static inline struct iou_event *again_event(FIXTURE_DATA(again) *self, int n)
{
	return &self->skel->bss->events[1 + n];
}

#define again_attach(prog)						\
	(self->link = IOU_ATTACH(self->skel->progs.prog, &self->ring, 0))

/* Start a flow, and return its SQE for arguments. */
#define again_start()							\
	iou_queue_bpf(&self->ring, 0, FLOW)

/* Run a flow to its end. */
#define again_run(_res) do {						\
	again_start();							\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_CQE(&self->ring, FLOW, _res);				\
} while (0)

/*
 * Check that all steps were performed, and that the last child was not
 * reissued.
 */
#define again_expect_steps() do {					\
	int __nr = self->skel->bss->nr_steps;				\
									\
	ASSERT_EQ(2 + __nr, self->skel->bss->nr_events);		\
	for (int __i = 0; __i < __nr; __i++) {				\
		ASSERT_EQ(0, self->skel->bss->steps[__i].ret) {		\
			TH_LOG("step %d", __i);				\
		}							\
	}								\
} while (0)

#define again_expect_res(_n, _res) do {					\
	int __n = (_n);							\
									\
	ASSERT_EQ((__s32)(_res), again_event(self, __n)->res) {		\
		TH_LOG("completion %d", __n);				\
	}								\
} while (0)

#endif
