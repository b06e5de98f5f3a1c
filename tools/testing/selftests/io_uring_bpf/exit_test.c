// SPDX-License-Identifier: GPL-2.0
/* A process exits, or closes the ring, while a flow is in flight. */
#include "exit.h"

#define FORKS	3

static void act_exit(FIXTURE_DATA(exit_flow) *self, struct io_uring *ring)
{
	_exit(7);
}

static void act_exec(FIXTURE_DATA(exit_flow) *self, struct io_uring *ring)
{
	/* the child process would keep the pipe open */
	close(self->pipe[0]);
	execl("/bin/sh", "sh", "-c", "exit 9", NULL);
	_exit(GONE_WRONG);
}

static void act_close(FIXTURE_DATA(exit_flow) *self, struct io_uring *ring)
{
	close(self->pipe[0]);
	io_uring_queue_exit(ring);
	/* the test checks whether the flow is gone, and kills the process */
	for (;;)
		pause();
}

/* Close nothing, and exit while the ring is in use. */
static void act_return(FIXTURE_DATA(exit_flow) *self, struct io_uring *ring)
{
	struct __kernel_timespec ts = { .tv_nsec = 50000000 };
	struct io_uring_cqe *cqe;

	if (io_uring_wait_cqe_timeout(ring, &cqe, &ts) != -ETIME)
		_exit(GOT_CQE);
	exit(8);
}

/* Continue as the parent of processes that have the ring and exit. */
static void act_fork(FIXTURE_DATA(exit_flow) *self, struct io_uring *ring)
{
	for (int i = 1; i <= FORKS; i++) {
		int status;
		pid_t pid = fork();

		if (!pid)
			_exit(i);
		if (pid < 0 || waitpid(pid, &status, 0) != pid ||
		    !WIFEXITED(status) || WEXITSTATUS(status) != i)
			_exit(GONE_WRONG);
		IO_URING_WRITE_ONCE(self->shared->user_ran, i);
	}
	exit_act_wait(self, ring);
}

/* Fork a process that has all fds, and does nothing with them. */
static void before_share(FIXTURE_DATA(exit_flow) *self)
{
	pid_t pid = fork();

	if (pid < 0)
		_exit(GONE_WRONG);
	if (!pid) {
		close(self->pipe[0]);
		for (;;)
			pause();
	}
	IO_URING_WRITE_ONCE(self->shared->other, pid);
}

TEST_F_TIMEOUT(exit_flow, kill, EXIT_LIMIT)
{
	exit_start(NULL, exit_act_wait);
	ASSERT_TRUE(!variant->spins || until(exit_runs(self) > 2000));
	exit_kill(SIGKILL);
	ASSERT_TRUE(exit_is_gone(self, variant));
}

/* Signals other than SIGKILL also kill. */
TEST_F_TIMEOUT(exit_flow, terminate, EXIT_LIMIT)
{
	exit_start(NULL, exit_act_wait);
	exit_kill(SIGTERM);
	ASSERT_TRUE(exit_is_gone(self, variant));
}

TEST_F_TIMEOUT(exit_flow, exit, EXIT_LIMIT)
{
	exit_start(NULL, act_exit);
	exit_expect(7);
	ASSERT_TRUE(exit_is_gone(self, variant));
}

TEST_F_TIMEOUT(exit_flow, exit_after_wait, EXIT_LIMIT)
{
	exit_start(NULL, act_return);
	exit_expect(8);
	ASSERT_TRUE(exit_is_gone(self, variant));
}

/* exec closes the ring, and the process has closed the pipe before. */
TEST_F_TIMEOUT(exit_flow, exec, EXIT_LIMIT)
{
	exit_start(NULL, act_exec);
	exit_expect(9);
	ASSERT_TRUE(exit_is_gone(self, variant));
}

/* The flow belongs to the task that has submitted it. */
TEST_F_TIMEOUT(exit_flow, fork, EXIT_LIMIT)
{
	exit_start(NULL, act_fork);
	ASSERT_TRUE(until(exit_told(self, user_ran) == FORKS));
	ASSERT_TRUE(exit_goes_on(self, variant));
	exit_kill(SIGKILL);
	ASSERT_TRUE(exit_is_gone(self, variant));
}

TEST_F_TIMEOUT(exit_flow, close_ring, EXIT_LIMIT)
{
	exit_start(NULL, act_close);
	ASSERT_TRUE(exit_is_gone(self, variant));
	exit_kill(SIGKILL);
}

/*
 * No program runs after the exit of the process that has submitted the flow. A
 * request that waits remains until the ring is closed, like any request.
 */
TEST_F_TIMEOUT(exit_flow, other_process_keeps_ring, EXIT_LIMIT)
{
	pid_t other;

	exit_start(before_share, exit_act_wait);
	other = exit_told(self, other);
	exit_kill(SIGKILL);
	ASSERT_TRUE(until(exit_is_quiet(self)));

	ASSERT_EQ(0, waitpid(other, NULL, WNOHANG));
	self->pid = other;
	exit_kill(SIGKILL);
	ASSERT_TRUE(exit_is_gone(self, variant));
}

TEST_HARNESS_MAIN
