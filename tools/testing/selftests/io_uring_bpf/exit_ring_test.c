// SPDX-License-Identifier: GPL-2.0
/* The ring of a killed process is freed as soon with flows as without. */
#include "process.h"

#include "kselftest_harness.h"
#include "exit.skel.h"

#define FLOW		0xf10aULL
#define NR_FLOWS	16
/* the exit work of a ring waits for a multiple of 50 ms */
#define SLACK_MS	1000

FIXTURE(exit_ring) {
	struct exit *skel;
	unsigned int setup;
	unsigned int nr_flows;
	/* the ring has the write end in its file table */
	int pipe[2];
	bool *ready;
};

IOU_RING_VARIANTS(exit_ring);
IOU_MODE(exit_ring, coop, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
IOU_MODE(exit_ring, sqpoll, IORING_SETUP_SQPOLL);
IOU_MODE(exit_ring, iopoll, IORING_SETUP_IOPOLL);
IOU_MODE(exit_ring, sqpoll_iopoll, IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL);
IOU_MODE(exit_ring, defer_iopoll, IOU_DEFER | IORING_SETUP_IOPOLL);
IOU_LOAD_ONCE(exit);

FIXTURE_SETUP(exit_ring)
{
	IOU_REQUIRE();
	self->setup = variant->setup;
	self->skel = exit_get();
	ASSERT_NE(NULL, self->skel);
	self->ready = shared_alloc(sizeof(*self->ready));
	ASSERT_NE(MAP_FAILED, self->ready);
}

FIXTURE_TEARDOWN(exit_ring)
{
	munmap(self->ready, sizeof(*self->ready));
}

/* Start the flows, and use the ring until SIGKILL comes. */
static void run_flows(FIXTURE_DATA(exit_ring) *self)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(self->pipe[0]);
	if (iou_ring_init_size(&ring, self->setup, NR_FLOWS, 2 * NR_FLOWS) ||
	    io_uring_register_files(&ring, &self->pipe[1], 1) ||
	    !bpf_program__attach_iouring(self->skel->progs.exit_spin, ring.ring_fd, NULL))
		_exit(GONE_WRONG);
	close(self->pipe[1]);
	for (unsigned int i = 0; i < self->nr_flows; i++)
		iou_queue_bpf(&ring, 0, FLOW);
	if (self->nr_flows && iou_submit(&ring) != (int)self->nr_flows)
		_exit(GONE_WRONG);
	IO_URING_WRITE_ONCE(*self->ready, true);
	for (;;) {
		/* a ring that polls returns at once */
		if (self->setup & IORING_SETUP_IOPOLL)
			io_uring_get_events(&ring);
		else
			io_uring_wait_cqe(&ring, &cqe);
	}
}

/* Return how many ms after SIGKILL the ring is freed, or a negative error. */
static long time_exit(FIXTURE_DATA(exit_ring) *self, unsigned int nr_flows)
{
	__u64 start;
	pid_t pid;

	if (pipe(self->pipe))
		return -errno;
	self->nr_flows = nr_flows;
	IO_URING_WRITE_ONCE(*self->ready, false);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		run_flows(self);
	close(self->pipe[1]);
	if (!until_ms(IO_URING_READ_ONCE(*self->ready), IOU_WAIT_MS))
		return -ETIME;
	usleep(IOU_IDLE_MS * 1000);
	start = iou_now_ms();
	kill(pid, SIGKILL);
	if (!iou_fd_gets(self->pipe[0], POLLHUP, IOU_WAIT_MS))
		return -ETIMEDOUT;
	close(self->pipe[0]);
	if (waitpid(pid, NULL, 0) != pid)
		return -errno;
	return iou_now_ms() - start;
}

TEST_F_TIMEOUT(exit_ring, killed, 120)
{
	long without, with;

	without = time_exit(self, 0);
	ASSERT_LE(0, without);
	with = time_exit(self, NR_FLOWS);
	ASSERT_LE(0, with);
	TH_LOG("freed after %ld ms without flows, %ld ms with %d", without, with, NR_FLOWS);
	ASSERT_GT(without + SLACK_MS, with);
}

TEST_HARNESS_MAIN
