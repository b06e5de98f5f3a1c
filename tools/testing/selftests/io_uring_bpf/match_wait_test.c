// SPDX-License-Identifier: GPL-2.0
/*
 * Waits for CQEs in all modes of a ring, with a program that drops some: these
 * neither end a wait nor let it last forever.
 */
#include "iou_until.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "kselftest_harness.h"
#include "match.skel.h"

#define APP	0xa00ULL
/* user_data of posted CQEs */
#define MARKER	0x3a24e4ULL
/* requests per round, every other CQE is dropped */
#define NR	20

FIXTURE(match_wait) {
	struct io_uring ring;
	struct match *skel;
	struct bpf_link *link;
	pthread_t thread;
	int pipe[2];
	/* delay between two writes */
	unsigned int pause_us;
	int nr_writes;
	char buf[NR];
};

IOU_MODE_VARIANTS(match_wait);
IOU_MODE(match_wait, coop, IORING_SETUP_COOP_TASKRUN);
IOU_MODE(match_wait, defer_flag, IOU_DEFER | IORING_SETUP_TASKRUN_FLAG);
IOU_LOAD_ONCE(match);

FIXTURE_SETUP(match_wait)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = BPF_F_IOURING_MATCH);
	struct bpf_program *prog;

	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = match_get();
	ASSERT_NE(NULL, self->skel);
	prog = self->skel->progs.match_drop_odd;
	self->link = bpf_program__attach_iouring(prog, self->ring.ring_fd,
						 &opts);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(match_wait)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
}

/* Let task work run until the program has seen @nr requests. */
static bool all_seen(FIXTURE_DATA(match_wait) *self, __u32 nr)
{
	__u32 *seen = &self->skel->bss->nr_events;

	return iou_until(&self->ring, IO_URING_READ_ONCE(*seen) >= nr) &&
	       *seen == nr;
}

/* Submit requests that wait for a byte each, in order of their user_data. */
static void queue_reads(FIXTURE_DATA(match_wait) *self, int nr)
{
	for (int i = 0; i < nr; i++)
		iou_prep_read(iou_get_sqe(&self->ring), self->pipe[0],
			      &self->buf[i], 1, 0, APP + i);
}

static void *write_fn(void *data)
{
	FIXTURE_DATA(match_wait) *self = data;

	for (int i = 0; i < self->nr_writes; i++) {
		usleep(self->pause_us);
		if (write(self->pipe[1], "x", 1) != 1)
			return self;
	}
	return NULL;
}

#define start_writing(nr, us) do {					\
	self->nr_writes = nr;						\
	self->pause_us = us;						\
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, write_fn,	\
				    self));				\
} while (0)

#define join_writer() do {						\
	void *__ret;							\
									\
	ASSERT_EQ(0, pthread_join(self->thread, &__ret));		\
	ASSERT_EQ(NULL, __ret);						\
} while (0)

#define expect_even_cqes(nr) do {					\
	struct io_uring_cqe __cqes[NR];					\
									\
	ASSERT_TRUE(all_seen(self, nr));				\
	ASSERT_EQ((nr) / 2, io_uring_cq_ready(&self->ring));		\
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, __cqes, (nr) / 2));	\
	for (int __i = 0; __i < (nr); __i += 2)				\
		ASSERT_HAS_CQE(__cqes, (nr) / 2, APP + __i, 1);		\
	ASSERT_NO_CQE(&self->ring);					\
	ASSERT_EQ(nr, self->skel->bss->nr_events);			\
} while (0)

/* Wait for all CQEs: the last completion is dropped. */
TEST_F(match_wait, for_half)
{
	queue_reads(self, NR);
	ASSERT_EQ(NR, iou_submit(&self->ring));
	start_writing(NR, 1000);
	ASSERT_EQ(0, iou_wait_nr(&self->ring, NR / 2));
	join_writer();
	expect_even_cqes(NR);
}

/* In bursts, so that a batch has several completions */
TEST_F(match_wait, for_half_in_bursts)
{
	for (int round = 0; round < 20; round++) {
		self->skel->bss->nr_events = 0;
		queue_reads(self, NR);
		ASSERT_EQ(NR, iou_submit(&self->ring));
		start_writing(NR, 0);
		ASSERT_EQ(0, iou_wait_nr(&self->ring, NR / 2));
		join_writer();
		expect_even_cqes(NR);
	}
}

/* Dropped CQEs do not count. */
TEST_F(match_wait, not_for_dropped)
{
	struct __kernel_timespec ts = { .tv_nsec = 200000000 };
	struct io_uring_cqe *cqe;
	__u64 start;
	int ret;

	for (int i = 0; i < 4; i++)
		iou_prep_read(iou_get_sqe(&self->ring), self->pipe[0],
			      &self->buf[i], 1, 0, APP + 2 * i + 1);
	ASSERT_EQ(4, iou_submit(&self->ring));
	start_writing(4, 1000);
	start = iou_now_ms();
	do {
		ret = io_uring_wait_cqe_timeout(&self->ring, &cqe, &ts);
	} while (ret == -EINTR);
	ASSERT_EQ(-ETIME, ret);
	ASSERT_LE(190, iou_now_ms() - start);
	join_writer();
	ASSERT_TRUE(all_seen(self, 4));
	ASSERT_EQ(0, io_uring_cq_ready(&self->ring));
}

/* CQEs that a program posts count. */
TEST_F(match_wait, for_posted)
{
	struct io_uring_cqe cqes[2];

	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.match_as_told));
	self->skel->bss->nr_posts = 1;
	queue_reads(self, 1);
	ASSERT_EQ(1, iou_submit(&self->ring));
	start_writing(1, 100000);
	ASSERT_EQ(0, iou_wait_nr(&self->ring, 2));
	join_writer();
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, APP, 1);
	ASSERT_HAS_CQE(cqes, 2, MARKER, 0);
}

/*
 * One call that submits, completes and drops requests. liburing does not know
 * where a rewound SQ starts.
 */
TEST_F(match_wait, submit_and_wait)
{
	int ret;

	for (int i = 0; i < NR; i++)
		iou_prep_nop(iou_get_sqe(&self->ring), 1,
			     i % 3 ? IORING_NOP_TW : 0, APP + i);
	if (self->ring.flags & IORING_SETUP_SQ_REWIND)
		ret = io_uring_enter(self->ring.ring_fd, NR, NR / 2,
				     IORING_ENTER_GETEVENTS, NULL);
	else
		ret = io_uring_submit_and_wait(&self->ring, NR / 2);
	ASSERT_EQ(NR, ret);
	expect_even_cqes(NR);
}

/* Workers of io-wq complete the requests in any order. */
TEST_F(match_wait, workers)
{
	for (int i = 0; i < NR; i++) {
		struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

		iou_prep_nop(sqe, 1, 0, APP + i);
		sqe->flags = IOSQE_ASYNC;
	}
	ASSERT_EQ(NR, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_nr(&self->ring, NR / 2));
	expect_even_cqes(NR);
}

/* A timeout with a sequence counts only posted CQEs. */
TEST_F(match_wait, timeout_sequence)
{
	struct __kernel_timespec ts = { .tv_sec = 60 };
	struct io_uring_sqe *sqe;

	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_timeout(sqe, &ts, 2, 0);
	sqe->user_data = 0x7000;
	for (int i = 0; i < 2; i++)
		iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, APP + i);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 1);
	/* a dropped CQE does not count */
	ASSERT_NO_CQE(&self->ring);
	for (int i = 2; i < 4; i++)
		iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, APP + i);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP + 2, 1);
	ASSERT_CQE(&self->ring, 0x7000, 0);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(match_wait, eventfd)
{
	int evfd = eventfd(0, EFD_NONBLOCK);
	__u64 count;

	ASSERT_LE(0, evfd);
	ASSERT_EQ(0, io_uring_register_eventfd(&self->ring, evfd));
	/* the first flush after attaching takes another path */
	for (int i = 1; i <= 2; i++) {
		iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, APP + 1);
		iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, APP + 3);
		ASSERT_EQ(2, iou_submit(&self->ring));
		ASSERT_EQ(2 * i, self->skel->bss->nr_events);
		ASSERT_EQ(-1, read(evfd, &count, sizeof(count)));
	}
	iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, APP + 2);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(sizeof(count), read(evfd, &count, sizeof(count)));
	ASSERT_CQE(&self->ring, APP + 2, 1);
	close(evfd);
}

TEST_F(match_wait, poll_ring)
{
	struct pollfd pfd = { .fd = self->ring.ring_fd, .events = POLLIN };

	iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, APP + 1);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_EQ(0, poll(&pfd, 1, IOU_IDLE_MS));
	iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, APP);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(1, poll(&pfd, 1, IOU_IDLE_MS));
	ASSERT_CQE(&self->ring, APP, 1);
}

TEST_HARNESS_MAIN
