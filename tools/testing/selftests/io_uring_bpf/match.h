/* SPDX-License-Identifier: GPL-2.0 */
/* Programs that watch requests of the application */
#ifndef IOU_MATCH_H
#define IOU_MATCH_H

#include "iou_until.h"
#include "kselftest_harness.h"
#include "match.skel.h"

#define APP	0xa44ULL
#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define CANCEL	0xca4cULL
#define CHANGED	0xc4a26edULL
#define MARKER	0x3a24e4ULL

/* mark that match_other leaves in the CQE */
#define OTHER_MARK	(0xbbU << 16)

FIXTURE(match) {
	struct io_uring ring;
	struct match *skel;
	struct bpf_link *link;
	struct bpf_link *other;
	int pipe[2];
	char buf[64];
};

IOU_MODE_VARIANTS(match);
IOU_MODE(match, iopoll, IORING_SETUP_IOPOLL);
IOU_LOAD_ONCE(match);

/* For tests with waiting requests or other opcodes than NOP */
#define MATCH_TAKES_MORE_THAN_NOPS() do {				\
	if (variant->setup & IORING_SETUP_IOPOLL)			\
		SKIP(return, "IOPOLL does not support these opcodes");	\
} while (0)

FIXTURE_SETUP(match)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = match_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(match)
{
	bpf_link__destroy(self->link);
	bpf_link__destroy(self->other);
	close(self->pipe[0]);
	close(self->pipe[1]);
	if (self->ring.ring_fd >= 0)
		io_uring_queue_exit(&self->ring);
}

/* Let @_prog watch the requests that the options select. */
#define MATCH_ATTACH(_prog, ...) ({					\
	LIBBPF_OPTS(bpf_iouring_opts, __opts,				\
		    .flags = BPF_F_IOURING_MATCH, __VA_ARGS__);		\
	struct bpf_link *__link;					\
									\
	__link = bpf_program__attach_iouring(self->skel->progs._prog,	\
					     self->ring.ring_fd,	\
					     &__opts);			\
	ASSERT_NE(NULL, __link) TH_LOG("attach: %s", strerror(errno));	\
	__link;								\
})

#define MATCH_ALL(_prog)	MATCH_ATTACH(_prog, .slot = 0)

#define MATCH_OP(op)							\
	.opcodes = { (op) < 64 ? 1ULL << ((op) & 63) : 0,		\
		     (op) < 64 ? 0 : 1ULL << ((op) & 63) }

static inline struct iou_event *match_event(FIXTURE_DATA(match) *self, int n)
{
	return &self->skel->bss->events[n];
}

static inline __u32 match_nr_events(FIXTURE_DATA(match) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_events);
}

/* Let task work run until the programs have seen @nr events. */
static inline bool match_until(FIXTURE_DATA(match) *self, __u32 nr)
{
	return iou_until(&self->ring, match_nr_events(self) >= nr) &&
	       match_nr_events(self) == nr;
}

static inline struct io_uring_sqe *match_queue_nop(FIXTURE_DATA(match) *self,
						   int res, __u64 user_data)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_nop(sqe, res, 0, user_data);
	return sqe;
}

/* Queue a request that the test can let complete. */
static inline struct io_uring_sqe *match_queue_read(FIXTURE_DATA(match) *self,
						    __u64 user_data)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_read(sqe, self->pipe[0], self->buf, 4, 0, user_data);
	return sqe;
}

static inline void match_change(FIXTURE_DATA(match) *self, int res, __u32 cflags)
{
	self->skel->bss->change = 1;
	self->skel->bss->new_user_data = CHANGED;
	self->skel->bss->new_res = res;
	self->skel->bss->new_cflags = cflags;
}

#define MATCH_SUBMIT(nr)						\
	ASSERT_EQ(nr, iou_submit(&self->ring))

/* Run @nr NOPs at once. The program posts two CQEs before each CQE. */
static inline void match_expect_posts(struct __test_metadata *_metadata,
				      FIXTURE_DATA(match) *self, int nr)
{
	__u64 markers = 0;

	self->skel->bss->nr_posts = 2;
	for (int i = 0; i < nr; i++)
		match_queue_nop(self, i, APP + i);
	MATCH_SUBMIT(nr);
	for (int i = 0; i < nr; i++) {
		for (int n = 0; n < 2; n++)
			ASSERT_CQE_FLAGS(&self->ring, MARKER + markers++, n,
					 n << 16);
		ASSERT_CQE(&self->ring, APP + i, i);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* Run a NOP, and check whether a program has @seen it. */
#define match_run_nop(_user_data, _seen) do {				\
	__u32 __nr = match_nr_events(self);				\
									\
	match_queue_nop(self, 3, _user_data);				\
	MATCH_SUBMIT(1);						\
	ASSERT_CQE(&self->ring, _user_data, 3);				\
	ASSERT_EQ(__nr + (_seen), match_nr_events(self)) {		\
		TH_LOG("user_data %#llx",				\
		       (unsigned long long)(_user_data));		\
	}								\
} while (0)

#endif
