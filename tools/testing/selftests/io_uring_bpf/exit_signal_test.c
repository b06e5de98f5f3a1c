// SPDX-License-Identifier: GPL-2.0
/* Signals, and user code of the task, while a flow is in flight */
#include "exit.h"

static struct exit_shared *handler_shared;

static void handler(int sig)
{
	IO_URING_WRITE_ONCE(handler_shared->handled,
			    handler_shared->handled + 1);
}

static void before_handler(FIXTURE_DATA(exit_flow) *self)
{
	struct sigaction sa = { .sa_handler = handler };

	handler_shared = self->shared;
	if (sigaction(SIGUSR1, &sa, NULL))
		_exit(GONE_WRONG);
}

static void before_masked(FIXTURE_DATA(exit_flow) *self)
{
	sigset_t set;

	before_handler(self);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		_exit(GONE_WRONG);
}

static struct exit *signal_skel;

/* Signal handler: record how often the program has run. */
static void on_pipe(int sig)
{
	IO_URING_WRITE_ONCE(handler_shared->handled, signal_skel->bss->nr_runs);
}

/* Body of the process: the first request of the flow causes the signal. */
static void break_pipe(FIXTURE_DATA(exit_flow) *self, unsigned int setup)
{
	struct sigaction sa = { .sa_handler = on_pipe };
	struct io_uring ring;
	int fds[2];

	handler_shared = self->shared;
	signal_skel = self->skel;
	/*
	 * avoid page faults before the handler, during which the flow could
	 * continue
	 */
	mlockall(MCL_CURRENT | MCL_FUTURE);
	on_pipe(SIGPIPE);
	if (sigaction(SIGPIPE, &sa, NULL) || pipe(fds) || close(fds[0]) ||
	    iou_ring_init(&ring, setup) ||
	    !bpf_program__attach_iouring(self->skel->progs.exit_then_spin,
					 ring.ring_fd, NULL))
		_exit(GONE_WRONG);
	iou_prep_write(&self->skel->bss->sqes[0], fds[1], "x", 1, 0, FLOW);
	iou_queue_bpf(&ring, 0, FLOW);
	iou_submit(&ring);
	exit_act_wait(self, &ring);
}

/* Without system calls */
static void act_compute(FIXTURE_DATA(exit_flow) *self, struct io_uring *ring)
{
	for (int i = 0;; i++)
		IO_URING_WRITE_ONCE(self->shared->user_ran, i);
}

/* Unblock the signal only during the wait. */
static void act_wait_unmasked(FIXTURE_DATA(exit_flow) *self,
			      struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	sigset_t none;
	int ret;

	sigemptyset(&none);
	do {
		ret = io_uring_wait_cqes(ring, &cqe, 1, NULL, &none);
	} while (ret == -EINTR);
	_exit(GOT_CQE);
}

static bool user_runs(FIXTURE_DATA(exit_flow) *self)
{
	int ran = exit_told(self, user_ran);

	return until(exit_told(self, user_ran) != ran);
}

TEST_F_TIMEOUT(exit_flow, signal_is_handled, EXIT_LIMIT)
{
	exit_start(before_handler, exit_act_wait);
	for (int i = 1; i <= 3; i++) {
		ASSERT_EQ(0, kill(self->pid, SIGUSR1));
		ASSERT_TRUE(until(exit_told(self, handled) == i));
		ASSERT_TRUE(exit_goes_on(self, variant));
	}
	exit_kill(SIGTERM);
}

/* Run once. Return the number of runs before the handler. */
static int runs_before_signal(FIXTURE_DATA(exit_flow) *self, unsigned int setup)
{
	IO_URING_WRITE_ONCE(self->shared->handled, 0);
	IO_URING_WRITE_ONCE(self->skel->bss->nr_runs, 0);
	self->pid = fork();
	if (!self->pid)
		break_pipe(self, setup);
	if (self->pid < 0 || !until(exit_told(self, handled)))
		return -1;
	return exit_told(self, handled);
}

/* completions between two checks for signals */
#define SLICE		128

/*
 * No request is issued after a signal was noticed, so the number of runs is far
 * below the budget. The flow can continue after the signal was taken and before
 * its handler starts, so a single try is not reliable on a busy machine.
 */
TEST_F_TIMEOUT(exit_flow, signal_comes_first, EXIT_LIMIT)
{
	int tries = 5, runs;

	if (!variant->spins)
		SKIP(return, "the flow waits");
	if (variant->setup & (IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL))
		SKIP(return, "no request sends a signal to the task itself");
	while ((runs = runs_before_signal(self, variant->setup)) >= 4 * SLICE && --tries)
		exit_kill(SIGKILL);
	ASSERT_LT(0, runs);
	ASSERT_GT(4 * SLICE, runs);
	ASSERT_TRUE(exit_goes_on(self, variant));
	exit_kill(SIGKILL);
}

TEST_F_TIMEOUT(exit_flow, handler_while_waiting_only, EXIT_LIMIT)
{
	if (variant->setup & IORING_SETUP_IOPOLL)
		SKIP(return, "a polling wait ignores signals");
	exit_start(before_masked, act_wait_unmasked);
	for (int i = 1; i <= 3; i++) {
		ASSERT_EQ(0, kill(self->pid, SIGUSR1));
		ASSERT_TRUE(until(exit_told(self, handled) == i));
		ASSERT_TRUE(exit_goes_on(self, variant));
	}
	exit_kill(SIGTERM);
}

/* A flow runs while a blocked signal is pending, and the task can be killed. */
TEST_F_TIMEOUT(exit_flow, signal_blocked, EXIT_LIMIT)
{
	exit_start(before_masked, exit_act_wait);
	ASSERT_EQ(0, kill(self->pid, SIGUSR1));
	ASSERT_TRUE(exit_goes_on(self, variant));
	ASSERT_EQ(0, exit_told(self, handled));
	exit_kill(SIGKILL);
}

TEST_F_TIMEOUT(exit_flow, stop, EXIT_LIMIT)
{
	int status;

	exit_start(NULL, exit_act_wait);
	ASSERT_EQ(0, kill(self->pid, SIGSTOP));
	ASSERT_TRUE(wait_for(self->pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_TRUE(exit_is_quiet(self));

	ASSERT_EQ(0, kill(self->pid, SIGCONT));
	ASSERT_TRUE(wait_for(self->pid, &status, WCONTINUED));
	ASSERT_TRUE(WIFCONTINUED(status));
	ASSERT_TRUE(exit_goes_on(self, variant));
	exit_kill(SIGKILL);
}

TEST_F_TIMEOUT(exit_flow, kill_while_stopped, EXIT_LIMIT)
{
	int status;

	exit_start(NULL, exit_act_wait);
	ASSERT_EQ(0, kill(self->pid, SIGSTOP));
	ASSERT_TRUE(wait_for(self->pid, &status, WUNTRACED));
	exit_kill(SIGKILL);
	ASSERT_TRUE(exit_is_gone(self, variant));
}

/* The task returns to user space, and makes progress there. */
TEST_F_TIMEOUT(exit_flow, user_code, EXIT_LIMIT)
{
	exit_start(before_handler, act_compute);
	for (int i = 1; i <= 3; i++) {
		ASSERT_TRUE(user_runs(self));
		ASSERT_EQ(0, kill(self->pid, SIGUSR1));
		ASSERT_TRUE(until(exit_told(self, handled) == i));
	}
	ASSERT_TRUE(user_runs(self));
	/* such a ring runs its work only if the task asks for it */
	ASSERT_TRUE((variant->setup & IORING_SETUP_DEFER_TASKRUN) ||
		    exit_goes_on(self, variant));
	exit_kill(SIGKILL);
	ASSERT_TRUE(exit_is_gone(self, variant));
}

TEST_HARNESS_MAIN
