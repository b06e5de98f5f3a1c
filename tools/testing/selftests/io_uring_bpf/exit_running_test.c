// SPDX-License-Identifier: GPL-2.0
/* Events while a thread runs a flow, or has thousands of flows */
#include "process.h"

#include <pthread.h>

#include "kselftest_harness.h"
#include "exit.skel.h"

IOU_LOAD_ONCE(exit);

#define FLOW		0xf10aULL
#define MANY		4096
/* for a slow program, whose flows take seconds in an emulator */
#define HEAVY		1024
/* an emulated CPU that others use as well takes up to a second for it */
#define KILL_MS		2000

FIXTURE(running) {
	struct exit *skel;
	struct bpf_link *link;
	struct bpf_program *prog;
	unsigned int setup;
	unsigned int nr_flows;
	pthread_t thread;
	struct io_uring ring;
	int pipe[2];
	char buf[16];
	/* set by the thread: an error, or the result of the flows */
	bool ready;
	int err;
	unsigned int nr_cqes;
	int res;
};

IOU_RING_VARIANTS(running);
IOU_MODE(running, coop, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
/* not IOU_SHAPED: thousands of SQEs take long with a shared SQ thread */
IOU_MODE(running, sqpoll, IORING_SETUP_SQPOLL);
IOU_MODE(running, iopoll, IORING_SETUP_IOPOLL);

FIXTURE_SETUP(running)
{
	IOU_REQUIRE();
	self->setup = variant->setup;
	self->nr_flows = 1;
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = exit_get();
	ASSERT_NE(NULL, self->skel);
	self->prog = self->skel->progs.exit_spin;
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], self->buf,
		      sizeof(self->buf), 0, FLOW);
	self->skel->bss->nr_sqes = 1;
}

FIXTURE_TEARDOWN(running)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
}

static __u64 nr_runs(FIXTURE_DATA(running) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_runs);
}

/* Such a ring cannot wait for a pipe: its flows spin. */
static bool is_polled(FIXTURE_DATA(running) *self)
{
	return self->setup & IORING_SETUP_IOPOLL;
}

static bool goes_on(FIXTURE_DATA(running) *self)
{
	__u64 runs = nr_runs(self);

	return until(nr_runs(self) > runs + 1000);
}

/* Return 0 or an error. */
static int start_flows(FIXTURE_DATA(running) *self)
{
	int ret;

	ret = iou_ring_init_size(&self->ring, self->setup, self->nr_flows,
				 2 * self->nr_flows);
	if (ret)
		return ret;
	self->link = bpf_program__attach_iouring(self->prog,
						 self->ring.ring_fd, NULL);
	if (!self->link)
		return -errno;
	for (unsigned int i = 0; i < self->nr_flows; i++)
		iou_queue_bpf(&self->ring, 0, FLOW);
	ret = iou_submit(&self->ring);
	return ret < 0 ? ret : 0;
}

/* Start flows, and wait until all have ended. */
static void *thread_fn(void *data)
{
	FIXTURE_DATA(running) *self = data;
	struct io_uring_cqe cqe;

	self->err = start_flows(self);
	IO_URING_WRITE_ONCE(self->ready, true);
	while (!self->err && self->nr_cqes < self->nr_flows) {
		self->err = iou_wait_cqe(&self->ring, &cqe);
		if (self->err)
			break;
		self->res = cqe.res;
		self->nr_cqes++;
	}
	io_uring_queue_exit(&self->ring);
	return NULL;
}

#define start_thread() do {						\
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, thread_fn,	\
				    self));				\
	ASSERT_TRUE(until_ms(IO_URING_READ_ONCE(self->ready) &&		\
			     nr_runs(self) >= self->nr_flows,		\
			     IOU_WAIT_MS));				\
} while (0)

/* Check that all flows have ended with this result. */
#define end_thread(_res) do {						\
	ASSERT_EQ(0, pthread_join(self->thread, NULL));			\
	ASSERT_EQ(0, self->err);					\
	ASSERT_EQ(self->nr_flows, self->nr_cqes);			\
	ASSERT_EQ(_res, self->res);					\
} while (0)

TEST_F_TIMEOUT(running, detach, 60)
{
	start_thread();
	ASSERT_TRUE(goes_on(self));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	end_thread(-ECANCELED);
}

TEST_F_TIMEOUT(running, update, 240)
{
	start_thread();
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(0, bpf_link__update_program(self->link, self->prog));
		ASSERT_TRUE(goes_on(self));
	}
	/* otherwise, nothing is in flight */
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.exit_wait));
	end_thread(0);
}

TEST_F_TIMEOUT(running, fork, 360)
{
	int status;
	pid_t pid;

	start_thread();
	for (int i = 0; i < 10; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(i);
		ASSERT_TRUE(wait_for(pid, &status, 0));
		ASSERT_EQ(i, WEXITSTATUS(status));
		ASSERT_TRUE(goes_on(self));
	}
	ASSERT_EQ(0, bpf_link__detach(self->link));
	end_thread(-ECANCELED);
}

/*
 * The children of thousands of flows are found by one search, not one for each
 * flow.
 */
static void detach_many(struct __test_metadata *_metadata,
			FIXTURE_DATA(running) *self)
{
	__u64 start;

	self->nr_flows = MANY;
	start_thread();
	start = iou_now_ms();
	ASSERT_EQ(0, bpf_link__detach(self->link));
	end_thread(-ECANCELED);
	TH_LOG("%d flows have ended after %llu ms", MANY,
	       (unsigned long long)(iou_now_ms() - start));
}

TEST_F_TIMEOUT(running, detach_many, 60)
{
	if (is_polled(self))
		SKIP(return, "IORING_SETUP_IOPOLL does not support pipes");
	self->prog = self->skel->progs.exit_wait;
	detach_many(_metadata, self);
	ASSERT_EQ(MANY, nr_runs(self));
}

TEST_F_TIMEOUT(running, detach_many_spinning, 60)
{
	detach_many(_metadata, self);
}

static void exit_process(FIXTURE_DATA(running) *self, int how)
{
	struct io_uring_cqe cqe;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (start_flows(self) ||
	    !until_ms(nr_runs(self) >= self->nr_flows, IOU_WAIT_MS))
		_exit(GONE_WRONG);
	if (how == SIGKILL)
		iou_wait_cqe(&self->ring, &cqe);
	if (how)
		execl("/bin/sh", "sh", "-c", "exit 1", NULL);
	_exit(0);
}

/* Return true if no program has run for IOU_IDLE_MS. */
static bool is_quiet(FIXTURE_DATA(running) *self)
{
	__u64 runs = nr_runs(self);

	usleep(IOU_IDLE_MS * 1000);
	return runs == nr_runs(self);
}

/*
 * A process with thousands of flows. @how is a signal, or an action of the
 * process.
 */
static void exit_with_many(struct __test_metadata *_metadata,
			   FIXTURE_DATA(running) *self, int how)
{
	int status = -1;
	__u64 start;
	pid_t pid;

	if (!is_polled(self))
		self->prog = self->skel->progs.exit_wait;
	self->nr_flows = MANY;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		exit_process(self, how);
	ASSERT_TRUE(until_ms(nr_runs(self) >= MANY, IOU_WAIT_MS));
	start = iou_now_ms();
	if (how == SIGKILL)
		kill(pid, SIGKILL);
	ASSERT_TRUE(until_ms(waitpid(pid, &status, WNOHANG) == pid,
			     IOU_WAIT_MS));
	TH_LOG("gone after %llu ms",
	       (unsigned long long)(iou_now_ms() - start));
	ASSERT_EQ(how == SIGKILL ? SIGKILL : how << 8, status);
	/* the children end as well, and no program sees that */
	close(self->pipe[0]);
	self->pipe[0] = -1;
	ASSERT_TRUE(iou_fd_gets(self->pipe[1], POLLERR, IOU_WAIT_MS));
	ASSERT_TRUE(is_polled(self) ? is_quiet(self) : nr_runs(self) == MANY);
}

TEST_F_TIMEOUT(running, exit_with_many, 60)
{
	exit_with_many(_metadata, self, 0);
}

TEST_F_TIMEOUT(running, exec_with_many, 60)
{
	exit_with_many(_metadata, self, 1);
}

TEST_F_TIMEOUT(running, kill_with_many, 60)
{
	exit_with_many(_metadata, self, SIGKILL);
}

/* All children complete at once, and their programs take long. */
TEST_F_TIMEOUT(running, kill_heavy, 60)
{
	__u64 start;
	pid_t pid;
	int status;

	self->prog = self->skel->progs.exit_heavy;
	self->skel->bss->nop_flags = IORING_NOP_TW;
	self->nr_flows = HEAVY;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		exit_process(self, SIGKILL);
	/* the process runs the programs */
	ASSERT_TRUE(until_ms(nr_runs(self) >= HEAVY + 10, IOU_WAIT_MS));
	start = iou_now_ms();
	kill(pid, SIGKILL);
	ASSERT_TRUE(wait_for(pid, &status, 0));
	TH_LOG("gone after %llu ms",
	       (unsigned long long)(iou_now_ms() - start));
	ASSERT_GT(KILL_MS, iou_now_ms() - start);
}

TEST_HARNESS_MAIN
