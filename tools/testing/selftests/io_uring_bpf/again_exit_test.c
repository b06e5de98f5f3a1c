// SPDX-License-Identifier: GPL-2.0
/*
 * A process with a child that is reissued endlessly, and the end of the process
 */
#include "process.h"

#include <poll.h>

#include "again.h"

static volatile int *handled;

static void handler(int sig)
{
	++*handled;
}

static __u64 nr_runs(FIXTURE_DATA(again) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_runs);
}

static bool goes_on(FIXTURE_DATA(again) *self)
{
	__u64 runs = nr_runs(self);

	return until(nr_runs(self) > runs + 100);
}

static bool is_quiet(FIXTURE_DATA(again) *self)
{
	__u64 runs = nr_runs(self);

	usleep(IOU_IDLE_MS * 1000);
	return runs == nr_runs(self);
}

static void run_process(FIXTURE_DATA(again) *self,
			const FIXTURE_VARIANT(again) *variant)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	/* do not continue after a failure of the test */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGUSR1, handler);
	if (iou_ring_init(&ring, variant->setup) ||
	    !bpf_program__attach_iouring(self->skel->progs.again_spin,
					 ring.ring_fd, NULL))
		_exit(GONE_WRONG);
	iou_queue_bpf(&ring, 0, FLOW);
	if (iou_submit(&ring) != 1)
		_exit(GONE_WRONG);
	while (io_uring_wait_cqe(&ring, &cqe) == -EINTR)
		;
	_exit(GOT_CQE);
}

/* Run a process, disturb it, and kill it. */
static void kill_process(struct __test_metadata *_metadata,
			 FIXTURE_DATA(again) *self,
			 const FIXTURE_VARIANT(again) *variant, int sig)
{
	int status = 0;
	pid_t pid;

	handled = shared_alloc(sizeof(*handled));
	ASSERT_NE(MAP_FAILED, handled);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		run_process(self, variant);
	ASSERT_TRUE(goes_on(self));
	for (int i = 1; i <= 3; i++) {
		ASSERT_EQ(0, kill(pid, SIGUSR1));
		ASSERT_TRUE(until(*handled == i));
		ASSERT_TRUE(goes_on(self));
	}
	ASSERT_EQ(0, kill(pid, sig));
	ASSERT_TRUE(wait_for(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status)) TH_LOG("status %#x", status);
	ASSERT_EQ(sig, WTERMSIG(status));
	ASSERT_TRUE(until(is_quiet(self)));
}

/* Hops in place, by task work, by reading a file, and by a worker */
TEST_F_TIMEOUT(again, nop, 150)
{
	again_add_nop(self, 0, 0);
	kill_process(_metadata, self, variant, SIGKILL);
}

TEST_F_TIMEOUT(again, nop_sigint, 150)
{
	again_add_nop(self, 0, 0);
	kill_process(_metadata, self, variant, SIGINT);
}

TEST_F_TIMEOUT(again, nop_task_work, 150)
{
	again_add_nop(self, 0, IORING_NOP_TW);
	kill_process(_metadata, self, variant, SIGKILL);
}

TEST_F_TIMEOUT(again, read, 150)
{
	again_add_read(self, self->fd, self->got, 16, 0);
	kill_process(_metadata, self, variant, SIGKILL);
}

TEST_F_TIMEOUT(again, read_in_io_wq, 150)
{
	again_add_read(self, self->fd, self->got, 16, 0)->flags = IOSQE_ASYNC;
	kill_process(_metadata, self, variant, SIGKILL);
}

TEST_F_TIMEOUT(again, read_direct, 150)
{
	int fd = open(self->path, O_RDONLY | O_DIRECT);

	if (fd < 0)
		SKIP(return, "%s: no O_DIRECT", self->path);
	again_add_read(self, fd, self->got, BLOCK, 0);
	kill_process(_metadata, self, variant, SIGTERM);
	close(fd);
}

/* The child was reissued and waits. */
TEST_F_TIMEOUT(again, waiting, 60)
{
	struct pollfd pfd = { .fd = self->pipe[1] };
	int status = 0;
	pid_t pid;

	again_add_read(self, self->pipe[0], self->got, 1, 0);
	ASSERT_EQ(10, write(self->pipe[1], self->data, 10));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		run_process(self, variant);
	close(self->pipe[0]);
	self->pipe[0] = -1;
	ASSERT_TRUE(until(nr_runs(self) == 11));
	ASSERT_EQ(0, poll(&pfd, 1, IOU_IDLE_MS));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_TRUE(wait_for(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status)) TH_LOG("status %#x", status);
	/* no request reads from the pipe any more */
	ASSERT_EQ(1, poll(&pfd, 1, LIMIT_MS));
	ASSERT_TRUE(pfd.revents & POLLERR);
	ASSERT_EQ(11, nr_runs(self));
}

TEST_HARNESS_MAIN
