// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that io-wq executes. Their completions run the program in the task
 * that has submitted the flow, like all others.
 */
#include "iou_bpf.h"

#include <sys/stat.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "iowq.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define READ	0x4eadULL
#define AFTER	0xaf7e4ULL

#define LEN	16

FIXTURE(iowq) {
	struct io_uring ring;
	struct iowq *skel;
	struct bpf_link *link;
	/* has LEN bytes */
	char path[32];
	int fd;
	char buf[LEN];
	struct statx statx;
};

IOU_MODE_VARIANTS(iowq);
IOU_LOAD_ONCE(iowq);

/* Programs run where the flow was submitted, which can be an SQ thread. */
static void learn_thread(struct __test_metadata *_metadata,
			 FIXTURE_DATA(iowq) *self)
{
	struct iowq__bss *bss = self->skel->bss;
	struct bpf_link *link;

	link = IOU_ATTACH(self->skel->progs.iowq_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	bpf_link__destroy(link);
	ASSERT_EQ(getpid(), bss->expected_pid_tgid >> 32);
	ASSERT_NE(syscall(SYS_gettid), (__u32)bss->expected_pid_tgid);
	bss->nr_events = 0;
}

FIXTURE_SETUP(iowq)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	strcpy(self->path, "/tmp/io_uring_bpf.XXXXXX");
	self->fd = mkstemp(self->path);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(LEN, write(self->fd, "0123456789abcdef", LEN));
	self->skel = iowq_get();
	ASSERT_NE(NULL, self->skel);
	if (variant->setup & IORING_SETUP_SQPOLL)
		learn_thread(_metadata, self);
	else
		self->skel->bss->expected_pid_tgid =
			(__u64)getpid() << 32 | syscall(SYS_gettid);
}

FIXTURE_TEARDOWN(iowq)
{
	bpf_link__destroy(self->link);
	close(self->fd);
	unlink(self->path);
	io_uring_queue_exit(&self->ring);
}

/* Return an SQE of the program, for the caller to prepare. */
static struct io_uring_sqe *next_child(FIXTURE_DATA(iowq) *self)
{
	return &self->skel->bss->sqes[self->skel->bss->nr_sqes];
}

static void add_child(FIXTURE_DATA(iowq) *self, unsigned int flags)
{
	struct io_uring_sqe *sqe = next_child(self);

	sqe->flags = flags;
	sqe->user_data = CHILD + self->skel->bss->nr_sqes++;
}

static void add_read(FIXTURE_DATA(iowq) *self)
{
	io_uring_prep_read(next_child(self), self->fd, self->buf, LEN, 0);
	add_child(self, IOSQE_ASYNC);
}

/* Add children that io-wq executes by their opcode, or by IOSQE_ASYNC. */
static void add_all(FIXTURE_DATA(iowq) *self)
{
	add_read(self);
	io_uring_prep_write(next_child(self), self->fd, self->buf, LEN, LEN);
	add_child(self, IOSQE_ASYNC);
	io_uring_prep_nop(next_child(self));
	add_child(self, IOSQE_ASYNC);
	io_uring_prep_fsync(next_child(self), self->fd, 0);
	add_child(self, 0);
	io_uring_prep_statx(next_child(self), AT_FDCWD, self->path, 0,
			    STATX_SIZE, &self->statx);
	add_child(self, 0);
	io_uring_prep_fallocate(next_child(self), self->fd, 0, 0, LEN);
	add_child(self, 0);
	/* fails in the worker */
	io_uring_prep_unlink(next_child(self), "/no/such/file", 0);
	add_child(self, 0);
}

static int child_res(FIXTURE_DATA(iowq) *self, unsigned int n)
{
	for (int i = 1; i < self->skel->bss->nr_events; i++) {
		struct iou_event *ev = &self->skel->bss->events[i];

		if (ev->user_data == CHILD + n &&
		    ev->event == BPF_IO_URING_COMPLETE &&
		    (ev->flags & BPF_IO_URING_F_CHILD))
			return ev->res;
	}
	return -ENOMSG;
}

/* Check the results of the children of add_all(). */
static const int all_res[] = { LEN, LEN, 0, 0, 0, 0, -ENOENT };

TEST_F(iowq, children)
{
	const int nr = ARRAY_SIZE(all_res);

	self->link = IOU_ATTACH(self->skel->progs.iowq_issue, &self->ring, 0);
	add_all(self);
	ASSERT_EQ(nr, self->skel->bss->nr_sqes);
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_HARDLINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, AFTER);
	ASSERT_EQ(2, iou_submit(&self->ring));

	/* the result is that of the last child */
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(i ? AFTER : FLOW, cqe.user_data);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1 + nr, self->skel->bss->nr_events);
	for (int i = 0; i < nr; i++) {
		int res = child_res(self, i);

		ASSERT_EQ(all_res[i], res) TH_LOG("child %d", i);
	}
	ASSERT_EQ(0, self->skel->bss->nr_elsewhere);
}

/* Each request alone, so the flow waits for nothing else. */
TEST_F(iowq, one_at_a_time)
{
	const int nr = ARRAY_SIZE(all_res);
	struct io_uring_sqe sqes[nr];

	self->link = IOU_ATTACH(self->skel->progs.iowq_issue, &self->ring, 0);
	add_all(self);
	memcpy(sqes, self->skel->bss->sqes, sizeof(sqes));
	for (int i = 0; i < nr; i++) {
		self->skel->bss->sqes[0] = sqes[i];
		self->skel->bss->nr_sqes = 1;
		self->skel->bss->nr_events = 0;
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, all_res[i] < 0 ? all_res[i] : 0);
		ASSERT_EQ(all_res[i], child_res(self, i));
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, self->skel->bss->nr_elsewhere);
}

TEST_F(iowq, loop)
{
	const int nr = 200;

	self->link = IOU_ATTACH(self->skel->progs.iowq_loop, &self->ring, 0);
	add_read(self);
	io_uring_prep_fsync(next_child(self), self->fd, 0);
	add_child(self, 0);
	iou_queue_bpf(&self->ring, 0, FLOW)->off = nr;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, nr);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1 + nr, self->skel->bss->nr_events);
	ASSERT_EQ(0, self->skel->bss->nr_elsewhere);
}

/* As many requests as a run can issue, all of which complete concurrently. */
TEST_F(iowq, many)
{
	const int nr = 32, rounds = 4;

	self->link = IOU_ATTACH(self->skel->progs.iowq_issue, &self->ring, 0);
	for (int i = 0; i < nr; i++)
		add_read(self);
	for (int i = 0; i < rounds; i++) {
		self->skel->bss->nr_events = 0;
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_EQ(1 + nr, self->skel->bss->nr_events);
		for (int j = 0; j < nr; j++) {
			int res = child_res(self, j);

			ASSERT_EQ(LEN, res);
		}
	}
	ASSERT_EQ(0, self->skel->bss->nr_elsewhere);
}

/* READ -> BPF -> NOP, with the first and the last one in a worker */
TEST_F(iowq, request_before)
{
	struct iou_event *ev = self->skel->bss->events;
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.iowq_issue, &self->ring, 0);
	for (int i = 0; i < 20; i++) {
		self->skel->bss->nr_events = 0;
		sqe = iou_get_sqe(&self->ring);
		iou_prep_read(sqe, self->fd, self->buf, LEN, 0, READ);
		sqe->flags = IOSQE_IO_LINK | IOSQE_ASYNC;
		iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
		sqe = iou_get_sqe(&self->ring);
		iou_prep_nop(sqe, 5, 0, AFTER);
		sqe->flags = IOSQE_ASYNC;
		ASSERT_EQ(3, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, READ, LEN);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_CQE(&self->ring, AFTER, 5);
		ASSERT_EQ(1, self->skel->bss->nr_events);
		ASSERT_EQ(BPF_IO_URING_COMPLETE, ev->event);
		ASSERT_EQ(BPF_IO_URING_F_NEXT, ev->flags);
		ASSERT_EQ(READ, ev->user_data);
		ASSERT_EQ(LEN, ev->res);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, self->skel->bss->nr_elsewhere);
}

/* The worker must not continue with the flow. */
TEST_F(iowq, request_before_fails)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.iowq_issue, &self->ring, 0);
	add_read(self);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, -EIO, 0, READ);
	sqe->flags = IOSQE_IO_LINK | IOSQE_ASYNC;
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 5, 0, AFTER);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, -EIO);
	/* the program has ignored the failure, and issued its own read */
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, AFTER, 5);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(-EIO, self->skel->bss->events[0].res);
	ASSERT_EQ(LEN, child_res(self, 0));
	ASSERT_EQ(0, self->skel->bss->nr_elsewhere);
}

/* Two flows in one chain, each behind a request in a worker */
TEST_F(iowq, two_flows)
{
	struct iou_event *ev = self->skel->bss->events;
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.iowq_issue, &self->ring, 0);
	for (int i = 0; i < 2; i++) {
		sqe = iou_get_sqe(&self->ring);
		iou_prep_read(sqe, self->fd, self->buf, LEN, 0, READ + i);
		sqe->flags = IOSQE_IO_LINK | IOSQE_ASYNC;
		sqe = iou_queue_bpf(&self->ring, 0, FLOW + i);
		sqe->flags = i ? 0 : IOSQE_IO_LINK;
	}
	ASSERT_EQ(4, iou_submit(&self->ring));
	for (int i = 0; i < 2; i++) {
		ASSERT_CQE(&self->ring, READ + i, LEN);
		ASSERT_CQE(&self->ring, FLOW + i, 0);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(READ + i, ev[i].user_data);
		ASSERT_EQ(FLOW + i, ev[i].flow_user_data);
	}
	ASSERT_EQ(0, self->skel->bss->nr_elsewhere);
}

TEST_HARNESS_MAIN
