// SPDX-License-Identifier: GPL-2.0
/*
 * Two processes submit to one ring, and a third one ends their flows at once. A child
 * that is cancelled may write to the memory of its process, so each process has to cancel
 * its own children: the addresses of one mean something else in the other.
 */
#include "iou_bpf.h"
#include "process.h"
#include "kselftest_harness.h"
#include "cancel.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL

#define NR	2
#define PATTERN	0xaa

/* exit codes of the processes */
#define NOT_SUBMITTED	1
#define NOT_CANCELLED	2
#define OVERWRITTEN	3

FIXTURE(cancel_shared) {
	struct io_uring ring;
	struct cancel *skel;
	struct bpf_link *link;
	/* private memory: where the child of each process may write, in its own copy */
	siginfo_t *infos;
	/* whose flows are in flight */
	int *submitted;
	pid_t pids[NR];
};

FIXTURE_VARIANT(cancel_shared) {
	unsigned int setup;
};

/* modes of a ring that several processes can submit to */
IOU_MODE(cancel_shared, plain, 0);
IOU_MODE(cancel_shared, coop, IORING_SETUP_COOP_TASKRUN);

IOU_LOAD_ONCE(cancel);

FIXTURE_SETUP(cancel_shared)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	self->infos = mmap(NULL, NR * sizeof(*self->infos), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->infos);
	memset(self->infos, PATTERN, NR * sizeof(*self->infos));
	self->submitted = shared_alloc(NR * sizeof(*self->submitted));
	ASSERT_NE(MAP_FAILED, self->submitted);
	self->skel = cancel_get();
	ASSERT_NE(NULL, self->skel);
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
}

FIXTURE_TEARDOWN(cancel_shared)
{
	for (int i = 0; i < NR; i++) {
		if (self->pids[i] > 0)
			kill(self->pids[i], SIGKILL);
	}
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
}

/* Return true if @info still has the pattern. */
static bool is_untouched(const siginfo_t *info)
{
	const unsigned char *p = (const void *)info;

	for (size_t i = 0; i < sizeof(*info); i++) {
		if (p[i] != PATTERN)
			return false;
	}
	return true;
}

/* Start a process that does not exit on its own. Return its pid, or -1. */
static pid_t fork_sleeper(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

/* Submit a flow whose child waits for the exit of @pid. Return true on success. */
static bool submit(FIXTURE_DATA(cancel_shared) *self, int n, pid_t pid)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[0];
	struct io_uring *ring = &self->ring;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_WAITID;
	sqe->fd = pid;
	sqe->len = P_PID;
	sqe->addr2 = (unsigned long)&self->infos[n];
	sqe->file_index = WEXITED;
	sqe->user_data = CHILD + n;
	self->skel->bss->nr_sqes = 1;
	/* the other process can have moved the tail */
	ring->sq.sqe_tail = *ring->sq.ktail;
	ring->sq.sqe_head = ring->sq.sqe_tail;
	iou_queue_bpf(ring, 0, FLOW + n);
	return iou_submit(ring) == 1 && !self->skel->bss->rets[0];
}

/* Run process @n, which lives until the flows of both processes have completed. */
static void run_process(FIXTURE_DATA(cancel_shared) *self, int n)
{
	int code = 0;
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* so that the process has a copy of the memory, with the same contents */
	memset(self->infos, PATTERN, NR * sizeof(*self->infos));
	pid = fork_sleeper();
	if (pid < 0 || !submit(self, n, pid))
		_exit(NOT_SUBMITTED);
	IO_URING_WRITE_ONCE(self->submitted[n], 1);
	if (!until_ms(io_uring_cq_ready(&self->ring) == NR, IOU_WAIT_MS))
		code = NOT_CANCELLED;
	else if (!is_untouched(&self->infos[!n]))
		code = OVERWRITTEN;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	_exit(code);
}

TEST_F_TIMEOUT(cancel_shared, detach, 120)
{
	struct io_uring_cqe cqes[NR];

	for (int i = 0; i < NR; i++) {
		self->pids[i] = fork();
		ASSERT_LE(0, self->pids[i]);
		if (!self->pids[i])
			run_process(self, i);
		ASSERT_TRUE(until(IO_URING_READ_ONCE(self->submitted[i])));
	}
	ASSERT_EQ(0, io_uring_cq_ready(&self->ring));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	for (int i = 0; i < NR; i++) {
		int status = 0;

		ASSERT_TRUE(until_ms(waitpid(self->pids[i], &status, WNOHANG) ==
				     self->pids[i], 2 * IOU_WAIT_MS));
		self->pids[i] = 0;
		ASSERT_TRUE(WIFEXITED(status)) TH_LOG("status %#x", status);
		EXPECT_NE(OVERWRITTEN, WEXITSTATUS(status)) {
			TH_LOG("process %d has written for the other one", i);
		}
		EXPECT_EQ(0, WEXITSTATUS(status));
	}
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, NR));
	for (int i = 0; i < NR; i++)
		ASSERT_HAS_CQE(cqes, NR, FLOW + i, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	/* the process that has detached the program does not write either */
	for (int i = 0; i < NR; i++)
		ASSERT_TRUE(is_untouched(&self->infos[i]));
	ASSERT_EQ(NR, self->skel->bss->nr_events);
}

TEST_HARNESS_MAIN
