// SPDX-License-Identifier: GPL-2.0
/*
 * Exit of a process, or the end of its ring, with multishot children: none of
 * them keeps its file open.
 */
#include <signal.h>
#include <sys/wait.h>

#include "aux.h"

/* time limit for the cleanup */
#define LIMIT_MS	5000

/* Return true if the other end of the pipe or socket is closed. */
static bool is_hung_up(int fd)
{
	return iou_fd_gets(fd, POLLERR | POLLHUP, LIMIT_MS);
}

/* Body of the process: wait for CQEs that never arrive. */
static void child_run(FIXTURE_DATA(aux) *self, unsigned int setup)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	if (iou_ring_init(&ring, setup) ||
	    !bpf_program__attach_iouring(self->skel->progs.aux_flow,
					 ring.ring_fd, NULL))
		_exit(1);
	close(self->pair[1]);
	close(self->pipe[1]);
	iou_queue_bpf(&ring, 0, FLOW);
	if (iou_submit(&ring) != 1)
		_exit(2);
	for (;;)
		io_uring_wait_cqe(&ring, &cqe);
}

/* Start the process, and let it see one event. */
static pid_t child_start(FIXTURE_DATA(aux) *self, unsigned int setup, int fd)
{
	__u64 end = iou_now_ms() + LIMIT_MS;
	pid_t pid = fork();

	if (!pid)
		child_run(self, setup);
	close(self->pair[0]);
	close(self->pipe[0]);
	self->pair[0] = -1;
	self->pipe[0] = -1;
	while (aux_nr_events(self) < 1 && iou_now_ms() < end)
		usleep(1000);
	if (pid < 0 || write(fd, "x", 1) != 1)
		return -1;
	while (aux_nr_events(self) < 2 && iou_now_ms() < end)
		usleep(1000);
	return pid;
}

#define child_kill(pid) do {						\
	int __status = 0;						\
									\
	ASSERT_EQ(0, kill(pid, SIGKILL));				\
	ASSERT_EQ(pid, waitpid(pid, &__status, 0));			\
	ASSERT_TRUE(WIFSIGNALED(__status)) {				\
		TH_LOG("status %#x", __status);				\
	}								\
} while (0)

TEST_F(aux, kill_poll)
{
	pid_t pid;

	aux_prep_poll(self, self->pipe[0]);
	pid = child_start(self, variant->setup, self->pipe[1]);
	ASSERT_LT(0, pid);
	ASSERT_AUX(1, IORING_OP_POLL_ADD, POLLIN);
	child_kill(pid);
	ASSERT_TRUE(is_hung_up(self->pipe[1]));
	/* no program sees the end */
	ASSERT_EQ(2, aux_nr_events(self));
}

/*
 * Without buffers, each receive ends at once, and the program issues it again.
 */
TEST_F(aux, kill_receiver)
{
	struct io_uring_sqe *sqe = aux_sqe(self, 0, CHILD);
	__u32 nr;
	pid_t pid;

	sqe->opcode = IORING_OP_RECV;
	sqe->fd = self->pair[0];
	sqe->ioprio = IORING_RECV_MULTISHOT;
	sqe->flags = IOSQE_BUFFER_SELECT;
	self->skel->bss->sqes[1] = *sqe;
	for (int i = 1; i < IOU_MAX_EVENTS; i++)
		aux_step(self, i)->issue = 1;
	pid = child_start(self, variant->setup, self->pair[1]);
	ASSERT_LT(0, pid);
	ASSERT_LAST(1, -ENOBUFS);
	child_kill(pid);
	ASSERT_TRUE(is_hung_up(self->pair[1]));
	nr = aux_nr_events(self);
	usleep(IOU_IDLE_MS * 1000);
	ASSERT_EQ(nr, aux_nr_events(self));
}

/* Many requests, one of which has just posted */
TEST_F(aux, kill_many)
{
	pid_t pid;

	for (int i = 0; i < 8; i++) {
		struct io_uring_sqe *sqe = aux_sqe(self, i, 0);

		io_uring_prep_poll_multishot(sqe, self->pipe[0], POLLIN);
		sqe->user_data = CHILD;
	}
	io_uring_prep_multishot_accept(aux_sqe(self, 8, 0), self->listen, NULL,
				       NULL, 0);
	self->skel->bss->nr_sqes = 9;
	pid = child_start(self, variant->setup, self->pipe[1]);
	ASSERT_LT(0, pid);
	child_kill(pid);
	ASSERT_TRUE(is_hung_up(self->pipe[1]));
	close(self->listen);
	self->listen = -1;
	/* the socket is closed as well */
	for (int i = 0; i < LIMIT_MS && aux_connect(self) >= 0; i++)
		usleep(1000);
	ASSERT_GT(0, aux_connect(self));
	ASSERT_EQ(ECONNREFUSED, errno);
}

/* The program issues a request in each run, and is kept busy. */
TEST_F(aux, kill_while_busy)
{
	__u64 end;
	pid_t pid;

	aux_prep_poll(self, self->pipe[0]);
	iou_prep_nop(aux_sqe(self, 1, 0), 0, 0, OTHER);
	for (int i = 1; i < IOU_MAX_EVENTS; i++)
		aux_step(self, i)->issue = 1;
	self->skel->bss->renew = 1;
	pid = child_start(self, variant->setup, self->pipe[1]);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, fcntl(self->pipe[1], F_SETFL, O_NONBLOCK));
	end = iou_now_ms() + IOU_IDLE_MS;
	while (iou_now_ms() < end) {
		if (write(self->pipe[1], "x", 1) != 1)
			break;
	}
	child_kill(pid);
	ASSERT_TRUE(is_hung_up(self->pipe[1]));
}

TEST_F(aux, close_ring)
{
	aux_prep_poll(self, self->pipe[0]);
	aux_start();
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_TRUE(aux_until(self, 2));
	ASSERT_AUX(1, IORING_OP_POLL_ADD, POLLIN);
	close(self->pipe[0]);
	self->pipe[0] = -1;
	io_uring_queue_exit(&self->ring);
	self->ring.ring_fd = -1;
	ASSERT_TRUE(is_hung_up(self->pipe[1]));
	ASSERT_EQ(2, aux_nr_events(self));
}

/* Detaching the program cancels the flow and its children. */
TEST_F(aux, detach)
{
	aux_prep_poll(self, self->pipe[0]);
	aux_start();
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_TRUE(aux_until(self, 2));
	close(self->pipe[0]);
	self->pipe[0] = -1;
	ASSERT_EQ(0, bpf_link__detach(self->link));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(is_hung_up(self->pipe[1]));
	ASSERT_EQ(2, aux_nr_events(self));
}

TEST_HARNESS_MAIN
