// SPDX-License-Identifier: GPL-2.0
/* Things happen while a thread runs a flow, or has thousands of them. */
#include "process.h"

#include <pthread.h>

#include "kselftest_harness.h"
#include "exit.skel.h"

#define FLOW		0xf10aULL
#define MANY		4096
/* for the thread, as long as a test takes */
#define WAIT_MS		60000

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
	/* by the thread: an error, or what the flows have ended with */
	bool ready;
	int err;
	unsigned int nr_cqes;
	int res;
};

IOU_RING_VARIANTS(running);

FIXTURE_SETUP(running)
{
	IOU_REQUIRE();
	self->setup = variant->setup;
	self->nr_flows = 1;
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = exit__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->prog = self->skel->progs.exit_spin;
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], self->buf,
		      sizeof(self->buf), 0, FLOW);
	self->skel->bss->nr_sqes = 1;
}

FIXTURE_TEARDOWN(running)
{
	bpf_link__destroy(self->link);
	exit__destroy(self->skel);
	close(self->pipe[0]);
	close(self->pipe[1]);
}

static __u64 nr_runs(FIXTURE_DATA(running) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_runs);
}

static bool goes_on(FIXTURE_DATA(running) *self)
{
	__u64 runs = nr_runs(self);

	return until(nr_runs(self) > runs + 1000);
}

/* Returns 0 or an error. */
static int start_flows(FIXTURE_DATA(running) *self)
{
	int ret;

	ret = iou_ring_init_size(&self->ring, self->setup, IOU_ENTRIES,
				 IOU_ENTRIES + self->nr_flows);
	if (ret)
		return ret;
	self->link = bpf_program__attach_iouring(self->prog,
						 self->ring.ring_fd, NULL);
	if (!self->link)
		return -errno;
	for (unsigned int i = 0; i < self->nr_flows; i++)
		iou_queue_bpf(&self->ring, 0, FLOW);
	ret = io_uring_submit(&self->ring);
	return ret < 0 ? ret : 0;
}

/* Starts flows, and waits until they are all over. */
static void *thread_fn(void *data)
{
	FIXTURE_DATA(running) *self = data;
	struct io_uring_cqe cqe;

	self->err = start_flows(self);
	IO_URING_WRITE_ONCE(self->ready, true);
	while (!self->err && self->nr_cqes < self->nr_flows) {
		self->err = iou_wait_cqe_ms(&self->ring, &cqe, WAIT_MS);
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

/* All flows are over, with that result. */
#define end_thread(_res) do {						\
	ASSERT_EQ(0, pthread_join(self->thread, NULL));			\
	ASSERT_EQ(0, self->err);					\
	ASSERT_EQ(self->nr_flows, self->nr_cqes);			\
	ASSERT_EQ(_res, self->res);					\
} while (0)

TEST_F(running, detach)
{
	start_thread();
	ASSERT_TRUE(goes_on(self));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	end_thread(-ECANCELED);
}

TEST_F(running, update)
{
	start_thread();
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(0, bpf_link__update_program(self->link, self->prog));
		ASSERT_TRUE(goes_on(self));
	}
	/* that one leaves nothing to be waited for */
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.exit_wait));
	end_thread(0);
}

TEST_F(running, fork)
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

TEST_F_TIMEOUT(running, detach_many, 120)
{
	self->prog = self->skel->progs.exit_wait;
	self->nr_flows = MANY;
	start_thread();
	ASSERT_EQ(0, bpf_link__detach(self->link));
	end_thread(-ECANCELED);
	ASSERT_EQ(MANY, nr_runs(self));
}

static void exit_with_many(FIXTURE_DATA(running) *self, int how)
{
	struct io_uring_cqe cqe;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (start_flows(self))
		_exit(GONE_WRONG);
	if (how == 1)
		iou_wait_cqe(&self->ring, &cqe);
	if (how == 2)
		execl("/bin/sh", "sh", "-c", "exit 2", NULL);
	_exit(0);
}

/* By itself, killed, and by what takes its place. */
TEST_F_TIMEOUT(running, exit_with_many, 120)
{
	for (int how = 0; how < 3; how++) {
		int status = -1;
		pid_t pid;

		self->prog = self->skel->progs.exit_wait;
		self->nr_flows = MANY;
		self->skel->bss->nr_runs = 0;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			exit_with_many(self, how);
		ASSERT_TRUE(until_ms(nr_runs(self) == MANY, IOU_WAIT_MS));
		if (how == 1)
			kill(pid, SIGKILL);
		ASSERT_TRUE(wait_for(pid, &status, 0));
		ASSERT_EQ(how == 1 ? SIGKILL : how << 8, status);
		ASSERT_EQ(MANY, nr_runs(self));
	}
}

TEST_HARNESS_MAIN
