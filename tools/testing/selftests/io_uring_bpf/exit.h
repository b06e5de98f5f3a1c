/* SPDX-License-Identifier: GPL-2.0 */
/* A process with an endless flow, for the tests of process exit */
#ifndef IOU_EXIT_H
#define IOU_EXIT_H

#include "process.h"

#include "kselftest_harness.h"
#include "exit.skel.h"

#define FLOW		0xf10aULL
/* seconds, more than all waits of a test together */
#define EXIT_LIMIT	240

/* what the process reports to the test */
struct exit_shared {
	int submitted;
	int handled;
	int user_ran;
	pid_t other;
};

FIXTURE(exit_flow) {
	struct exit *skel;
	struct exit_shared *shared;
	/* the child of the flow reads from this pipe, and waits forever */
	int pipe[2];
	char buf[16];
	pid_t pid;
};

FIXTURE_VARIANT(exit_flow) {
	unsigned int setup;
	/* the flow spins if set, otherwise it waits for the pipe */
	bool spins;
	unsigned int nop_flags;
};

#define EXIT_VARIANT(mode, _setup, name, ...)				\
FIXTURE_VARIANT_ADD(exit_flow, mode##_##name) {				\
	.setup = _setup,						\
	__VA_ARGS__							\
}

/* variants that also apply to a ring that polls */
#define EXIT_POLLED(mode, setup)					\
EXIT_VARIANT(mode, setup, spin, .spins = true);				\
EXIT_VARIANT(mode, setup, spin_tw, .spins = true,			\
	     .nop_flags = IORING_NOP_TW)

#define EXIT_MODE(mode, setup)						\
EXIT_POLLED(mode, setup);						\
EXIT_VARIANT(mode, setup, wait)

EXIT_MODE(plain, 0);
EXIT_MODE(defer, IOU_DEFER);
EXIT_MODE(coop, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
/* the SQ thread continues with another ring when this one is closed */
EXIT_MODE(sqpoll, IORING_SETUP_SQPOLL | IOU_SHAPED);
EXIT_POLLED(iopoll, IORING_SETUP_IOPOLL);

IOU_LOAD_ONCE(exit);

FIXTURE_SETUP(exit_flow)
{
	IOU_REQUIRE();
	self->shared = shared_alloc(sizeof(*self->shared));
	ASSERT_NE(MAP_FAILED, self->shared);
	ASSERT_EQ(0, pipe(self->pipe));
	/* become the parent of the children of killed processes */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	self->skel = exit_get();
	ASSERT_NE(NULL, self->skel);

	self->skel->bss->nop_flags = variant->nop_flags;
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], self->buf,
		      sizeof(self->buf), 0, FLOW);
	self->skel->bss->nr_sqes = 1;
}

FIXTURE_TEARDOWN(exit_flow)
{
	/* after a failure: a spinning flow would slow down the next test */
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
	munmap(self->shared, sizeof(*self->shared));
}

static inline __u64 exit_runs(FIXTURE_DATA(exit_flow) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_runs);
}

/* What the process has reported so far */
#define exit_told(self, field)	IO_URING_READ_ONCE((self)->shared->field)

/* Return true if no program has run for IOU_IDLE_MS. */
static inline bool exit_is_quiet(FIXTURE_DATA(exit_flow) *self)
{
	__u64 runs = exit_runs(self);

	usleep(IOU_IDLE_MS * 1000);
	return runs == exit_runs(self);
}

/* Return true if the flow continues after the event for its task. */
static inline bool exit_goes_on(FIXTURE_DATA(exit_flow) *self,
				const FIXTURE_VARIANT(exit_flow) *variant)
{
	__u64 runs = exit_runs(self);

	return !variant->spins || until(exit_runs(self) > runs + 1000);
}

/*
 * Return true if the child of the flow is gone: no request reads from the pipe.
 */
static inline bool exit_pipe_released(FIXTURE_DATA(exit_flow) *self)
{
	return iou_fd_gets(self->pipe[1], POLLERR, 0);
}

/* Return true if nothing of the flow is left, or will be left soon. */
static inline bool exit_is_gone(FIXTURE_DATA(exit_flow) *self,
				const FIXTURE_VARIANT(exit_flow) *variant)
{
	if (variant->spins)
		return until(exit_is_quiet(self));
	return until(exit_pipe_released(self));
}

/* Body of the process: start a flow on a ring, then call @act. */
static inline void exit_child(FIXTURE_DATA(exit_flow) *self,
			      const FIXTURE_VARIANT(exit_flow) *variant,
			      void (*before)(FIXTURE_DATA(exit_flow) *self),
			      void (*act)(FIXTURE_DATA(exit_flow) *self,
					  struct io_uring *ring))
{
	struct bpf_program *prog = variant->spins ?
				   self->skel->progs.exit_spin :
				   self->skel->progs.exit_wait;
	struct io_uring ring;

	if (iou_ring_init(&ring, variant->setup))
		_exit(GONE_WRONG);
	if (!bpf_program__attach_iouring(prog, ring.ring_fd, NULL))
		_exit(GONE_WRONG);
	if (before)
		before(self);
	iou_queue_bpf(&ring, 0, FLOW);
	if (iou_submit(&ring) != 1)
		_exit(GONE_WRONG);
	IO_URING_WRITE_ONCE(self->shared->submitted, 1);
	act(self, &ring);
	_exit(0);
}

/* Wait for a CQE that never arrives, in spite of interruptions. */
static inline void exit_act_wait(FIXTURE_DATA(exit_flow) *self,
				 struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int ret;

	do {
		ret = io_uring_wait_cqe(ring, &cqe);
	} while (ret == -EINTR);
	_exit(GOT_CQE);
}

/* Fork the process, and wait until its flow runs. */
#define exit_start(before, act) do {					\
	self->pid = fork();						\
	ASSERT_LE(0, self->pid);					\
	if (!self->pid)							\
		exit_child(self, variant, before, act);			\
	/* the flow's child is to hold the last reference */		\
	close(self->pipe[0]);						\
	ASSERT_TRUE(until(exit_told(self, submitted)));			\
	ASSERT_TRUE(until(exit_runs(self) > 0));			\
} while (0)

/* Check that the process is dead by @sig within the limit. */
#define exit_kill(sig) do {						\
	int __status = 0;						\
									\
	ASSERT_EQ(0, kill(self->pid, sig));				\
	ASSERT_TRUE(wait_for(self->pid, &__status, 0)) {		\
		TH_LOG("process %d cannot be killed", self->pid);	\
	}								\
	ASSERT_TRUE(WIFSIGNALED(__status)) {				\
		TH_LOG("status %#x", __status);				\
	}								\
	ASSERT_EQ(sig, WTERMSIG(__status));				\
} while (0)

/* Check that the process exits by itself within the limit. */
#define exit_expect(code) do {						\
	int __status = 0;						\
									\
	ASSERT_TRUE(wait_for(self->pid, &__status, 0)) {		\
		TH_LOG("process %d does not end", self->pid);		\
	}								\
	ASSERT_TRUE(WIFEXITED(__status)) {				\
		TH_LOG("status %#x", __status);				\
	}								\
	ASSERT_EQ(code, WEXITSTATUS(__status));				\
} while (0)

#endif
