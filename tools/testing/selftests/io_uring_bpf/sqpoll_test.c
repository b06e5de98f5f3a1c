// SPDX-License-Identifier: GPL-2.0
/* Programs in an SQ thread, which other rings can share */
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "mode.h"

#define LINKED	0x114cedULL

FIXTURE(sqpoll) {
	struct io_uring ring;
	struct io_uring other;
	struct mode *skel;
	struct bpf_link *link;
	struct bpf_link *link1;
	bool shared;
};

FIXTURE_SETUP(sqpoll)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, IORING_SETUP_SQPOLL));
	self->skel = mode_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(sqpoll)
{
	bpf_link__destroy(self->link);
	bpf_link__destroy(self->link1);
	if (self->shared)
		io_uring_queue_exit(&self->other);
	io_uring_queue_exit(&self->ring);
}

/* A second ring on the thread of the first one */
static int sqpoll_share(FIXTURE_DATA(sqpoll) *self)
{
	struct io_uring_params p = {
		.flags		= IORING_SETUP_SQPOLL | IORING_SETUP_ATTACH_WQ,
		.wq_fd		= self->ring.ring_fd,
		.sq_thread_idle	= 1,
	};
	int ret = io_uring_queue_init_params(8, &self->other, &p);

	self->shared = !ret;
	return ret;
}

static int sqpoll_thread(struct io_uring *ring)
{
	char name[64], line[128];
	int tid = -1;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", ring->ring_fd);
	f = fopen(name, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "SqThread: %d", &tid);
	if (f)
		fclose(f);
	return tid;
}

static void sqpoll_add_endless(FIXTURE_DATA(sqpoll) *self, unsigned int flags)
{
	mode_add_nop(self->skel, 0, flags);
	self->link = bpf_program__attach_iouring(self->skel->progs.mode_endless,
						 self->ring.ring_fd, NULL);
	iou_queue_bpf(&self->ring, 0, FLOW);
}

static bool sqpoll_runs(FIXTURE_DATA(sqpoll) *self)
{
	__u64 before = IO_URING_READ_ONCE(self->skel->bss->nr_runs);

	return mode_until(IO_URING_READ_ONCE(self->skel->bss->nr_runs) >
			  before + 300);
}

static bool sqpoll_is_quiet(FIXTURE_DATA(sqpoll) *self)
{
	__u64 before = IO_URING_READ_ONCE(self->skel->bss->nr_runs);

	usleep(IOU_IDLE_MS * 1000);
	return IO_URING_READ_ONCE(self->skel->bss->nr_runs) == before;
}

static void sqpoll_run_steps(struct __test_metadata *_metadata,
			     FIXTURE_DATA(sqpoll) *self,
			     struct bpf_program *prog)
{
	int tid;

	self->link = IOU_ATTACH(prog, &self->ring, 0);
	for (int i = 0; i < 3; i++)
		mode_add_nop(self->skel, i, i == 1 ? IORING_NOP_TW : 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	tid = sqpoll_thread(&self->ring);
	ASSERT_LT(0, tid);
	ASSERT_EQ(4, self->skel->bss->nr_events);
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(tid, self->skel->bss->tids[i]);
}

TEST_F(sqpoll, runs_in_the_thread)
{
	sqpoll_run_steps(_metadata, self, self->skel->progs.mode_steps);
}

TEST_F(sqpoll, sleepable)
{
	sqpoll_run_steps(_metadata, self,
			 self->skel->progs.mode_steps_sleepable);
}

static void sqpoll_open(struct __test_metadata *_metadata,
			FIXTURE_DATA(sqpoll) *self, struct io_uring *ring,
			int res)
{
	self->skel->bss->nr_events = 0;
	iou_queue_bpf(ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(ring));
	ASSERT_CQE(ring, FLOW, 0);
	ASSERT_EQ(5, self->skel->bss->nr_events);
	for (int i = 1; i < 5; i += 2) {
		int fd = self->skel->bss->events[1 + i].res;

		ASSERT_EQ(res, fd < 0 ? fd : 0);
		if (fd >= 0)
			close(fd);
	}
}

/*
 * SQEs of a ring are issued with the credentials of its creator. So are
 * requests of its programs, including those from task work of the thread, which
 * has the credentials of the ring that created it.
 */
TEST_F(sqpoll, sqpoll_creds)
{
	char name[] = "/tmp/iou_bpf.XXXXXX";
	struct io_uring_sqe *sqe;
	int fd = mkstemp(name);

	ASSERT_LE(0, fd);
	close(fd);
	setfsuid(1000);
	ASSERT_EQ(0, sqpoll_share(self));
	setfsuid(0);
	ASSERT_EQ(sqpoll_thread(&self->ring), sqpoll_thread(&self->other));
	self->link = IOU_ATTACH(self->skel->progs.mode_steps, &self->ring, 0);
	self->link1 = IOU_ATTACH(self->skel->progs.mode_steps, &self->other, 0);
	for (int i = 0; i < 4; i++) {
		sqe = mode_add_nop(self->skel, 0, IORING_NOP_TW);
		if (!(i & 1))
			continue;
		io_uring_prep_openat(sqe, AT_FDCWD, name, O_RDONLY, 0);
		/* in place if possible, and in a worker */
		sqe->flags = i == 3 ? IOSQE_ASYNC : 0;
	}
	sqpoll_open(_metadata, self, &self->ring, 0);
	sqpoll_open(_metadata, self, &self->other, -EACCES);
	sqpoll_open(_metadata, self, &self->ring, 0);
	unlink(name);
}

static int sqpoll_link(struct __test_metadata *_metadata,
		       FIXTURE_DATA(sqpoll) *self, struct io_uring *ring)
{
	struct io_uring_cqe cqe;

	iou_queue_bpf(ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(ring));
	ASSERT_CQE(ring, FLOW, 0);
	ASSERT_EQ(0, iou_wait_cqe(ring, &cqe));
	ASSERT_EQ(LINKED, cqe.user_data);
	if (cqe.res < 0)
		return cqe.res;
	close(cqe.res);
	return 0;
}

/*
 * Also requests linked behind the flow, which starts with a request by task
 * work
 */
TEST_F(sqpoll, sqpoll_creds_linked)
{
	char name[] = "/tmp/iou_bpf.XXXXXX";
	struct io_uring_sqe *sqe;
	int fd = mkstemp(name);

	ASSERT_LE(0, fd);
	close(fd);
	setfsuid(1000);
	ASSERT_EQ(0, sqpoll_share(self));
	setfsuid(0);
	self->link = IOU_ATTACH(self->skel->progs.mode_link, &self->ring, 0);
	self->link1 = IOU_ATTACH(self->skel->progs.mode_link, &self->other, 0);
	mode_add_nop(self->skel, 0, IORING_NOP_TW);
	sqe = mode_add_nop(self->skel, 0, 0);
	io_uring_prep_openat(sqe, AT_FDCWD, name, O_RDONLY, 0);
	sqe->user_data = LINKED;
	ASSERT_EQ(0, sqpoll_link(_metadata, self, &self->ring));
	ASSERT_EQ(-EACCES, sqpoll_link(_metadata, self, &self->other));
	ASSERT_EQ(0, sqpoll_link(_metadata, self, &self->ring));
	unlink(name);
}

/* One ring has an endless program, and the other one is served nevertheless. */
static void sqpoll_endless(struct __test_metadata *_metadata,
			   FIXTURE_DATA(sqpoll) *self, unsigned int nop_flags)
{
	cpu_set_t mask;

	CPU_ZERO(&mask);
	CPU_SET(0, &mask);
	ASSERT_EQ(0, sqpoll_share(self));
	sqpoll_add_endless(self, nop_flags);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_TRUE(sqpoll_runs(self));
	for (int i = 0; i < 5; i++) {
		iou_prep_nop(iou_get_sqe(&self->other), i, 0, NOP);
		ASSERT_EQ(1, iou_submit(&self->other));
		ASSERT_CQE(&self->other, NOP, i);
		/* the thread pauses */
		ASSERT_EQ(0, iou_register(&self->ring, IORING_REGISTER_IOWQ_AFF,
					  &mask, sizeof(mask)));
	}
	ASSERT_TRUE(sqpoll_runs(self));
	self->skel->bss->stop = 1;
	ASSERT_CQE(&self->ring, FLOW, 0);
}

TEST_F(sqpoll, endless_in_place)
{
	sqpoll_endless(_metadata, self, 0);
}

TEST_F(sqpoll, endless_in_task_work)
{
	sqpoll_endless(_metadata, self, IORING_NOP_TW);
}

/* Both rings have endless programs, and each ring can be closed. */
TEST_F(sqpoll, endless_twice)
{
	ASSERT_EQ(0, sqpoll_share(self));
	sqpoll_add_endless(self, 0);
	self->link1 = IOU_ATTACH(self->skel->progs.mode_endless, &self->other, 0);
	iou_queue_bpf(&self->other, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(1, iou_submit(&self->other));
	ASSERT_TRUE(sqpoll_runs(self));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_TRUE(sqpoll_runs(self));
	io_uring_queue_exit(&self->other);
	self->shared = false;
	ASSERT_TRUE(mode_until(sqpoll_is_quiet(self)));
}

TEST_F(sqpoll, cancelled)
{
	struct io_uring_cqe cqes[2];

	sqpoll_add_endless(self, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_TRUE(sqpoll_runs(self));
	io_uring_prep_cancel64(iou_get_sqe(&self->ring), FLOW, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, 0, 0);
}

/* A process dies with two such rings on one thread. */
TEST_F(sqpoll, killed)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* do not continue after a failure of the test */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		io_uring_queue_exit(&self->ring);
		if (iou_ring_init(&self->ring, IORING_SETUP_SQPOLL) ||
		    sqpoll_share(self))
			_exit(1);
		sqpoll_add_endless(self, 0);
		if (!bpf_program__attach_iouring(self->skel->progs.mode_endless,
						 self->other.ring_fd, NULL))
			_exit(1);
		iou_queue_bpf(&self->other, 0, FLOW);
		io_uring_submit(&self->ring);
		io_uring_submit(&self->other);
		for (;;)
			pause();
	}
	ASSERT_TRUE(sqpoll_runs(self));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_TRUE(mode_until(waitpid(pid, &status, WNOHANG) == pid));
	ASSERT_TRUE(WIFSIGNALED(status));
}

TEST_HARNESS_MAIN
