// SPDX-License-Identifier: GPL-2.0
/* Links, rings, programs and flows that end in any order */
#include <pthread.h>
#include <sys/wait.h>

#include "link.h"

static void link_start_flow(FIXTURE_DATA(link) *self)
{
	link_add_read(self);
	iou_queue_bpf(&self->ring, 0, FLOW);
	iou_submit(&self->ring);
}

/* Check that the flow and its read are gone. */
#define ASSERT_FLOW_ENDED() do {					\
	char __buf[4];							\
									\
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);			\
	ASSERT_NO_CQE(&self->ring);					\
	ASSERT_EQ(1, self->skel->bss->nr_events);			\
	ASSERT_EQ(4, write(self->pipe[1], "left", 4));			\
	ASSERT_EQ(4, read(self->pipe[0], __buf, 4));			\
} while (0)

TEST_F(link, closed_with_flow_in_flight)
{
	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 0);
	link_start_flow(self);
	ASSERT_NO_CQE(&self->ring);
	bpf_link__destroy(self->link);
	self->link = NULL;
	ASSERT_FLOW_ENDED();
	ASSERT_EQ(-ENOENT, link_run_flow(&self->ring, 0));
}

static void *link_detach_fn(void *arg)
{
	usleep(IOU_IDLE_MS * 1000);
	return (void *)(long)bpf_link__detach(arg);
}

/*
 * Detach from another thread, as only the waiting task of the ring may post
 * CQEs.
 */
TEST_F(link, detach)
{
	pthread_t thread;
	void *ret;

	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 0);
	link_start_flow(self);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, pthread_create(&thread, NULL, link_detach_fn, self->link));
	ASSERT_FLOW_ENDED();
	ASSERT_EQ(0, pthread_join(thread, &ret));
	ASSERT_EQ(NULL, ret);
}

/* The next program of the slot does not see old flows. */
TEST_F(link, slot_taken_over)
{
	struct io_uring_cqe cqes[2];
	struct bpf_link *link;

	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 0);
	link_start_flow(self);
	ASSERT_NO_CQE(&self->ring);
	bpf_link__destroy(self->link);
	link = IOU_ATTACH(self->skel->progs.link_b, &self->ring, 0);
	self->link = link;
	iou_queue_bpf(&self->ring, 0, OTHER);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, OTHER, 0xb);
	ASSERT_EQ(1, self->skel->bss->nr_a);
	ASSERT_EQ(1, self->skel->bss->nr_b);
}

/* Flows of other slots continue. */
TEST_F(link, other_slot_goes_on)
{
	struct bpf_link *link;

	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 0);
	link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 1);
	link_start_flow(self);
	ASSERT_NO_CQE(&self->ring);
	bpf_link__destroy(link);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(2, self->skel->bss->nr_a);
}

TEST_F(link, many_flows_in_flight)
{
	const int nr = 50;
	struct io_uring_cqe cqes[nr];

	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 0);
	link_add_read(self);
	for (int i = 0; i < nr; i++)
		iou_queue_bpf(&self->ring, 0, FLOW + i);
	ASSERT_EQ(nr, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	bpf_link__destroy(self->link);
	self->link = NULL;
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, nr));
	for (int i = 0; i < nr; i++)
		ASSERT_HAS_CQE(cqes, nr, FLOW + i, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
}

/* The ring is freed asynchronously after its fd was closed. */
static int link_wait_ring_gone(FIXTURE_DATA(link) *self)
{
	__u64 end = iou_now_ms() + IOU_WAIT_MS;
	int ret;

	do {
		ret = bpf_link__update_program(self->link,
					       self->skel->progs.link_b);
		if (ret)
			return ret;
		usleep(20000);
	} while (iou_now_ms() < end);
	return 0;
}

TEST_F(link, ring_goes_first)
{
	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 0);
	ASSERT_EQ(0, link_run_flow(&self->ring, 0));
	link_close_ring(self);
	ASSERT_EQ(-ENOLINK, link_wait_ring_gone(self));
	ASSERT_EQ(0, bpf_link__detach(self->link));
}

TEST_F(link, ring_goes_first_with_flow_in_flight)
{
	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 0);
	link_start_flow(self);
	ASSERT_NO_CQE(&self->ring);
	link_close_ring(self);
	ASSERT_EQ(-ENOLINK, link_wait_ring_gone(self));
	/* no request reads from the pipe any more */
	close(self->pipe[0]);
	self->pipe[0] = -1;
	ASSERT_TRUE(iou_fd_gets(self->pipe[1], POLLERR, IOU_WAIT_MS));
	/* no program sees the end of the children */
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

/* Return true if the child of fork() @pid exits soon. */
static bool link_exits(pid_t pid, int *status)
{
	for (int i = 0; i < IOU_WAIT_MS / 20; i++) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		usleep(20000);
	}
	kill(pid, SIGKILL);
	return false;
}

/* Exit with a link, a ring, a flow and a read that never completes. */
static void link_exit_with_flow(struct link *skel, unsigned int setup,
				const int *pipe, bool by_signal)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char buf[16];

	if (iou_ring_init(&ring, setup))
		_exit(1);
	if (link_create(skel->progs.link_a, ring.ring_fd, 0) < 0)
		_exit(2);
	iou_prep_read(&skel->bss->sqes[0], pipe[0], buf, sizeof(buf), 0, CHILD);
	skel->bss->nr_sqes = 1;
	iou_queue_bpf(&ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	sqe = iou_get_sqe(&ring);
	iou_prep_read(sqe, pipe[0], buf, sizeof(buf), 0, OTHER);
	if (iou_submit(&ring) != 2)
		_exit(3);
	if (by_signal)
		kill(getpid(), SIGKILL);
	_exit(0);
}

TEST_F(link, exit_with_flow_in_flight)
{
	int status = 0;

	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid)
			link_exit_with_flow(self->skel, variant->setup,
					    self->pipe, i);
		ASSERT_TRUE(link_exits(pid, &status));
		ASSERT_EQ(i ? SIGKILL : 0, status);
	}
}

/* Link and ring are in the file table of the same process. */
TEST_F(link, link_and_ring_closed_in_any_order)
{
	/* a shared SQ thread keeps its references */
	const unsigned int setup = variant->setup & ~IOU_SHAPED;

	for (int i = 0; i < 20; i++) {
		struct io_uring ring;
		int fd;

		ASSERT_EQ(0, iou_ring_init(&ring, setup));
		fd = link_create(self->skel->progs.link_a, ring.ring_fd, 0);
		ASSERT_LE(0, fd);
		link_add_read(self);
		iou_queue_bpf(&ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&ring));
		if (i % 2)
			close(fd);
		io_uring_queue_exit(&ring);
		if (!(i % 2))
			close(fd);
	}
}

TEST_HARNESS_MAIN
