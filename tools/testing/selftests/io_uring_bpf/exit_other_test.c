// SPDX-License-Identifier: GPL-2.0
/*
 * A process exits, and another one keeps its ring. No program runs any more. Its flows
 * end with -ECANCELED, and the CQEs are there for the other process: at once if the
 * link goes with the process, otherwise at the next completion, or by a cancellation.
 */
#include "process.h"

#include <sys/pidfd.h>

#include "kselftest_harness.h"
#include "exit.skel.h"

#define FLOW	0xf10aULL

/* what the process tells the test */
struct other_shared {
	struct io_uring_params params;
	int ring_fd;
	int link_fd;
	int submitted;
};

FIXTURE(exit_other) {
	struct exit *skel;
	struct other_shared *shared;
	/* the ring of the process, and a reference to its link */
	struct io_uring ring;
	int link_fd;
	/* the children of the flow read from this pipe */
	int pipe[2];
	char buf[4];
};

/* with IORING_SETUP_DEFER_TASKRUN, only the process could run the completion */
FIXTURE_VARIANT(exit_other) {
	unsigned int setup;
};

IOU_MODE(exit_other, plain, 0);
IOU_MODE(exit_other, coop, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
IOU_MODE(exit_other, sqpoll, IORING_SETUP_SQPOLL);
IOU_LOAD_ONCE(exit);

FIXTURE_SETUP(exit_other)
{
	IOU_REQUIRE();
	self->shared = shared_alloc(sizeof(*self->shared));
	ASSERT_NE(MAP_FAILED, self->shared);
	ASSERT_EQ(0, pipe2(self->pipe, O_NONBLOCK));
	self->skel = exit_get();
	ASSERT_NE(NULL, self->skel);
	/* two that wait, and that are ready at different times */
	for (int i = 0; i < 2; i++)
		iou_prep_read(&self->skel->bss->sqes[i], self->pipe[0], self->buf,
			      1, 0, 0);
	self->skel->bss->sqes[1].opcode = IORING_OP_POLL_ADD;
	self->skel->bss->sqes[1].addr = 0;
	self->skel->bss->sqes[1].len = 0;
	self->skel->bss->sqes[1].fd = self->pipe[1];
	self->skel->bss->sqes[1].poll32_events = POLLERR;
	self->skel->bss->nr_sqes = 2;
}

FIXTURE_TEARDOWN(exit_other)
{
	munmap(self->shared, sizeof(*self->shared));
	close(self->pipe[0]);
	close(self->pipe[1]);
}

/* The process that goes */
static void run_process(FIXTURE_DATA(exit_other) *self, struct bpf_program *prog,
			unsigned int setup)
{
	struct bpf_link *link;
	struct io_uring ring;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	self->shared->params.flags = setup;
	if (io_uring_queue_init_params(8, &ring, &self->shared->params))
		_exit(GONE_WRONG);
	link = bpf_program__attach_iouring(prog, ring.ring_fd, NULL);
	if (!link)
		_exit(GONE_WRONG);
	iou_queue_bpf(&ring, 0, FLOW);
	if (iou_submit(&ring) != 1)
		_exit(GONE_WRONG);
	self->shared->ring_fd = ring.ring_fd;
	self->shared->link_fd = bpf_link__fd(link);
	IO_URING_WRITE_ONCE(self->shared->submitted, 1);
	for (;;)
		pause();
}

/*
 * Take the ring over from a process with a flow of @_prog, and the link if @keep_link,
 * and let the process exit.
 */
#define TAKE_RING(_prog, keep_link) do {				\
	int __pidfd, __fd, __status = 0;				\
	pid_t __pid = fork();						\
									\
	ASSERT_LE(0, __pid);						\
	if (!__pid)							\
		run_process(self, self->skel->progs._prog, variant->setup);\
	ASSERT_TRUE(until(IO_URING_READ_ONCE(self->shared->submitted) &&\
			  IO_URING_READ_ONCE(self->skel->bss->nr_runs)));\
	__pidfd = pidfd_open(__pid, 0);					\
	ASSERT_LE(0, __pidfd);						\
	__fd = pidfd_getfd(__pidfd, self->shared->ring_fd, 0);		\
	ASSERT_LE(0, __fd);						\
	ASSERT_EQ(0, io_uring_queue_mmap(__fd, &self->shared->params,	\
					 &self->ring));			\
	self->link_fd = keep_link ?					\
		pidfd_getfd(__pidfd, self->shared->link_fd, 0) : -1;	\
	ASSERT_EQ(keep_link, self->link_fd >= 0);			\
	close(__pidfd);							\
	ASSERT_EQ(0, kill(__pid, SIGKILL));				\
	ASSERT_TRUE(wait_for(__pid, &__status, 0));			\
	ASSERT_TRUE(WIFSIGNALED(__status));				\
} while (0)

/* Check that the only CQE of the process is the one of the flow. */
#define ASSERT_CANCELED() do {						\
	struct io_uring_cqe *__cqe;					\
									\
	ASSERT_TRUE(until(io_uring_cq_ready(&self->ring)));		\
	ASSERT_EQ(0, io_uring_peek_cqe(&self->ring, &__cqe));		\
	ASSERT_EQ(FLOW, __cqe->user_data);				\
	ASSERT_EQ(-ECANCELED, __cqe->res);				\
	usleep(IOU_IDLE_MS * 1000);					\
	ASSERT_EQ(1, io_uring_cq_ready(&self->ring));			\
	if (self->link_fd >= 0)						\
		close(self->link_fd);					\
	io_uring_queue_exit(&self->ring);				\
} while (0)

/* Check that no request reads from the pipe: written data stays there. */
#define ASSERT_PIPE_UNUSED() do {					\
	char __buf[8];							\
									\
	ASSERT_EQ(4, write(self->pipe[1], "left", 4));			\
	ASSERT_EQ(4, read(self->pipe[0], __buf, sizeof(__buf)));	\
} while (0)

/* Return true if the fdinfo of the ring says that children were issued: @nr of them. */
static bool shows_issued(struct io_uring *ring, int nr)
{
	char path[64], text[4096] = "", line[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring->ring_fd);
	snprintf(line, sizeof(line), ", issued:%d,", nr);
	fd = open(path, O_RDONLY);
	if (read(fd, text, sizeof(text) - 1) < 0)
		return false;
	close(fd);
	return strstr(text, line);
}

TEST_F_TIMEOUT(exit_other, runs, 120)
{
	for (int keep = 0; keep < 2; keep++) {
		TAKE_RING(exit_spin, keep);
		ASSERT_CANCELED();
		self->shared->submitted = 0;
	}
}

TEST_F_TIMEOUT(exit_other, runs_by_task_work, 120)
{
	self->skel->bss->nop_flags = IORING_NOP_TW;
	for (int keep = 0; keep < 2; keep++) {
		TAKE_RING(exit_spin, keep);
		ASSERT_CANCELED();
		self->shared->submitted = 0;
	}
}

TEST_F_TIMEOUT(exit_other, waits_without_link, 120)
{
	TAKE_RING(exit_wait, false);
	ASSERT_CANCELED();
	ASSERT_EQ(1, self->skel->bss->nr_runs);
	ASSERT_PIPE_UNUSED();
}

TEST_F_TIMEOUT(exit_other, waits, 120)
{
	TAKE_RING(exit_wait, true);
	if (!(variant->setup & IORING_SETUP_SQPOLL)) {
		/* as any request that waits */
		usleep(IOU_IDLE_MS * 1000);
		ASSERT_EQ(0, io_uring_cq_ready(&self->ring));
		/* the process has no memory to read to, and the data stays */
		ASSERT_EQ(1, write(self->pipe[1], "x", 1));
		ASSERT_TRUE(until(io_uring_cq_ready(&self->ring)));
		ASSERT_EQ(1, read(self->pipe[0], self->buf, sizeof(self->buf)));
	}
	ASSERT_CANCELED();
	ASSERT_EQ(1, self->skel->bss->nr_runs);
	ASSERT_PIPE_UNUSED();
}

TEST_F_TIMEOUT(exit_other, cancelled, 120)
{
	if (variant->setup & IORING_SETUP_SQPOLL)
		SKIP(return, "the SQ thread has cancelled the flow");
	TAKE_RING(exit_wait, true);
	ASSERT_TRUE(until(shows_issued(&self->ring, 2)));
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, FLOW, 0, -1, 0));
	/* although no program has seen them complete */
	ASSERT_TRUE(until(shows_issued(&self->ring, 2) &&
			  io_uring_cq_ready(&self->ring)));
	ASSERT_CANCELED();
	ASSERT_EQ(1, self->skel->bss->nr_runs);
	ASSERT_PIPE_UNUSED();
}

TEST_HARNESS_MAIN
