// SPDX-License-Identifier: GPL-2.0
/* Flows, rings and processes that end while linked requests are in flight */
#include "group.h"
#include "process.h"


#define LINK	IOSQE_IO_LINK
#define ASYNC	IOSQE_ASYNC

/* A read that waits, with a time limit, and two requests behind it */
static void queue_group(FIXTURE_DATA(group) *self, __u64 flags, __u8 sqe_flags)
{
	group_read(self, flags, LINK | sqe_flags, CHILD);
	group_timeout(self, flags, 60000, TIMEOUT)->flags = LINK;
	group_nop(self, flags, 1, LINK, CHILD + 1);
	group_read(self, flags, 0, CHILD + 2);
}

/* Return true if no request reads from the pipe: written data stays there. */
static bool pipe_unused(FIXTURE_DATA(group) *self)
{
	char buf[8];

	return write(self->pipe[1], "left", 4) == 4 &&
	       read(self->pipe[0], buf, sizeof(buf)) == 4;
}

TEST_F(group, flow_cancelled)
{
	queue_group(self, 0, 0);
	for (int i = 0; i < 3; i++) {
		group_start();
		IOU_CANCEL_FLOW(&self->ring, FLOW, CANCEL);
		ASSERT_NO_CQE(&self->ring);
		/* START and CANCEL */
		ASSERT_EQ(2 * (i + 1), group_nr_events(self));
	}
	ASSERT_TRUE(pipe_unused(self));
}

TEST_F(group, program_detached)
{
	queue_group(self, 0, 0);
	group_start();
	ASSERT_EQ(0, bpf_link__destroy(self->link));
	self->link = NULL;
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(pipe_unused(self));
}

/* Cancellation of a member by its user_data cuts its chain. */
TEST_F(group, member_cancelled)
{
	struct io_uring_cqe cqes[2];

	queue_group(self, 0, 0);
	group_start();
	iou_queue_cancel(&self->ring, CHILD, CANCEL);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, CANCEL, 0);
	ASSERT_HAS_CQE(cqes, 2, FLOW, 0);
	ASSERT_EQ(5, group_nr_events(self));
	for (int i = 0; i < 3; i++)
		group_has(CHILD + i, -ECANCELED);
	group_has(TIMEOUT, -ECANCELED);
	ASSERT_TRUE(pipe_unused(self));
}

/*
 * The flow ends with the completion of a member, and the next member would
 * wait.
 */
static void run_ended(struct __test_metadata *_metadata,
		      FIXTURE_DATA(group) *self, __u8 sqe_flags)
{
	self->skel->bss->stop_at = CHILD;
	group_nop(self, 0, 0, LINK | sqe_flags, CHILD);
	group_read(self, 0, LINK | sqe_flags, CHILD + 1);
	group_nop(self, 0, 2, 0, CHILD + 2);
	for (int i = 0; i < 50; i++) {
		group_start();
		ASSERT_CQE(&self->ring, FLOW, 7);
		ASSERT_EQ(2 * (i + 1), group_nr_events(self));
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(pipe_unused(self));
}

TEST_F(group, flow_ended)
{
	run_ended(_metadata, self, 0);
}

/* A worker continues with a chain, but not after the end of the flow. */
TEST_F(group, flow_ended_in_worker)
{
	run_ended(_metadata, self, ASYNC);
}

/* A chain that was staged before the end of the flow is issued, and then cancelled. */
TEST_F(group, ended_as_it_starts)
{
	queue_group(self, 0, 0);
	self->skel->bss->stop_at_start = 1;
	self->skel->bss->log_ending = 1;
	group_start();
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(-ECANCELED, self->skel->bss->late_ret);
	ASSERT_EQ(5, group_nr_events(self));
	for (int i = 1; i < 5; i++) {
		ASSERT_EQ(BPF_IO_URING_F_CHILD | BPF_IO_URING_F_ENDING,
			  self->skel->bss->events[i].flags);
	}
	for (int i = 0; i < 3; i++)
		group_has(CHILD + i, -ECANCELED);
	group_has(TIMEOUT, -ECANCELED);
	ASSERT_TRUE(pipe_unused(self));
}

TEST_F(group, ring_closed)
{
	struct bpf_link *link;
	struct io_uring ring;

	ASSERT_EQ(0, iou_ring_init(&ring, variant->setup));
	link = IOU_ATTACH(self->skel->progs.group_as_told, &ring, 0);
	queue_group(self, 0, 0);
	queue_group(self, BPF_IO_URING_ISSUE_APP, 0);
	iou_queue_bpf(&ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&ring));
	ASSERT_NO_CQE(&ring);
	io_uring_queue_exit(&ring);
	bpf_link__destroy(link);
	/* all requests with the other end are gone */
	close(self->pipe[0]);
	ASSERT_TRUE(iou_fd_gets(self->pipe[1], POLLERR, LIMIT_MS));
	self->pipe[0] = -1;
}

/* A process with its own ring, for the test to kill */
static void process(FIXTURE_DATA(group) *self, struct bpf_program *prog,
		    unsigned int setup, bool wait)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	/* do not continue after a failure of the test */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (iou_ring_init(&ring, setup) ||
	    !bpf_program__attach_iouring(prog, ring.ring_fd, NULL))
		_exit(GONE_WRONG);
	iou_queue_bpf(&ring, 0, FLOW);
	if (iou_submit(&ring) != 1)
		_exit(GONE_WRONG);
	until(group_nr_events(self) > 0);
	while (wait && !io_uring_wait_cqe(&ring, &cqe))
		io_uring_cqe_seen(&ring, cqe);
	_exit(7);
}

#define run_process(prog, _wait, _kill, expect) do {			\
	int __status = 0;						\
	pid_t __pid;							\
									\
	__pid = fork();							\
	ASSERT_LE(0, __pid);						\
	if (!__pid)							\
		process(self, self->skel->progs.prog, variant->setup, _wait);\
	close(self->pipe[0]);						\
	self->pipe[0] = -1;						\
	ASSERT_TRUE(until(group_nr_events(self) >= (expect)));		\
	if (_kill)							\
		ASSERT_EQ(0, kill(__pid, SIGKILL));			\
	ASSERT_TRUE(wait_for(__pid, &__status, 0));			\
	ASSERT_EQ((_kill) ? SIGKILL : 7 << 8, __status);		\
	ASSERT_TRUE(iou_fd_gets(self->pipe[1], POLLERR, LIMIT_MS));	\
} while (0)

/* With a chain in flight, and requests of the application */
TEST_F_TIMEOUT(group, killed, 60)
{
	queue_group(self, 0, 0);
	queue_group(self, BPF_IO_URING_ISSUE_APP, 0);
	run_process(group_as_told, true, true, 1);
}

TEST_F_TIMEOUT(group, killed_in_worker, 60)
{
	queue_group(self, 0, ASYNC);
	queue_group(self, BPF_IO_URING_ISSUE_APP, ASYNC);
	run_process(group_as_told, true, true, 1);
}

TEST_F_TIMEOUT(group, exits, 60)
{
	queue_group(self, 0, 0);
	queue_group(self, BPF_IO_URING_ISSUE_APP, 0);
	run_process(group_as_told, false, false, 1);
}

/* A flow that issues chains endlessly, and requests of the application */
TEST_F_TIMEOUT(group, endless_killed, 60)
{
	group_nop(self, 0, 0, LINK, CHILD);
	group_nop(self, 0, 0, 0, CHILD);
	for (int i = 0; i < 4; i++)
		group_nop(self, BPF_IO_URING_ISSUE_APP, 0, 0, APP);
	run_process(group_endless, true, true, 2000);
}

TEST_HARNESS_MAIN
