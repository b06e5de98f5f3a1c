// SPDX-License-Identifier: GPL-2.0
/* Cancellation of flows by the application */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cancel.h"
#include "futex.h"

/* The chain behind the flow is cancelled at once. */
TEST_F(cancel, flow_with_chain)
{
	struct io_uring_cqe cqes[4];
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, 0, 0, OTHER);
	sqe->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER + 1);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);

	cancel_queue(self, FLOW, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	ASSERT_HAS_CQE(cqes, 4, CANCEL, 0);
	ASSERT_HAS_CQE(cqes, 4, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, OTHER, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 4, OTHER + 1, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(cancel_pipe_unused(self));
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[1].event);
}

/* A flow is found once. */
TEST_F(cancel, twice)
{
	struct io_uring_cqe cqes[3];
	struct io_uring_cqe *second;

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	cancel_queue(self, FLOW, 0);
	cancel_queue(self, FLOW, 0)->user_data = CANCEL + 1;
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, CANCEL, 0);
	ASSERT_HAS_CQE(cqes, 3, FLOW, -ECANCELED);
	second = iou_find_cqe(cqes, 3, CANCEL + 1);
	ASSERT_NE(NULL, second);
	ASSERT_TRUE(second->res == -ENOENT || second->res == -EALREADY) {
		TH_LOG("res %d", second->res);
	}
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(cancel, unknown)
{
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	cancel_queue(self, FLOW + 1, 0);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, CANCEL, -ENOENT);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
}

/* With equal user_data, the flow is found before its child. */
TEST_F(cancel, child_of_the_same_name)
{
	struct io_uring_cqe cqes[2];

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	self->skel->bss->sqes[0].user_data = FLOW;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	cancel_queue(self, FLOW, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, CANCEL, 0);
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[1].event);
	ASSERT_TRUE(cancel_pipe_unused(self));
}

/* Cancel @nr of three flows and a read of the application, which is last. */
static void cancel_many(struct __test_metadata *_metadata,
			FIXTURE_DATA(cancel) *self, unsigned int flags,
			int nr)
{
	struct io_uring_cqe cqes[5], *cqe;
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	for (int i = 0; i < 3; i++)
		iou_queue_bpf(&self->ring, 0, FLOW);
	iou_prep_read(iou_get_sqe(&self->ring), self->pipe[0], self->buf, LEN,
		      0, OTHER);
	ASSERT_EQ(4, iou_submit(&self->ring));

	sqe = cancel_queue(self, FLOW, flags);
	if (flags & IORING_ASYNC_CANCEL_OP)
		sqe->len = IORING_OP_BPF;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, nr + 1));
	cqe = iou_find_cqe(cqes, nr + 1, CANCEL);
	ASSERT_NE(NULL, cqe);
	ASSERT_LT(0, cqe->res);
	for (int i = 0; i < nr + 1; i++) {
		if (&cqes[i] == cqe)
			continue;
		ASSERT_EQ(-ECANCELED, cqes[i].res);
	}
	ASSERT_EQ(nr == 4, !!iou_find_cqe(cqes, nr + 1, OTHER));
	ASSERT_NO_CQE(&self->ring);
	/* three STARTs, and the CANCEL events */
	ASSERT_EQ(6, self->skel->bss->nr_events);
	if (nr == 4)
		return;

	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, OTHER, 4);
}

TEST_F(cancel, all)
{
	cancel_many(_metadata, self, IORING_ASYNC_CANCEL_ALL, 3);
}

TEST_F(cancel, any)
{
	cancel_many(_metadata, self, IORING_ASYNC_CANCEL_ANY, 4);
	ASSERT_TRUE(cancel_pipe_unused(self));
}

TEST_F(cancel, all_and_any)
{
	cancel_many(_metadata, self,
		    IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY, 4);
	ASSERT_TRUE(cancel_pipe_unused(self));
}

TEST_F(cancel, opcode)
{
	cancel_many(_metadata, self,
		    IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_OP, 3);
}

TEST_F(cancel, sync)
{
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, FLOW, 0, -1, 0));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(cancel_pipe_unused(self));
	ASSERT_EQ(-ENOENT, iou_sync_cancel(&self->ring, FLOW, 0, -1, 0));
}

TEST_F(cancel, sync_all)
{
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	for (int i = 0; i < 3; i++)
		iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_LE(0, iou_sync_cancel(&self->ring, 0, IORING_ASYNC_CANCEL_ANY,
				     -1, 0));
	for (int i = 0; i < 3; i++)
		ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(6, self->skel->bss->nr_events);
}

#define ALL		IORING_ASYNC_CANCEL_ALL
#define ANY		IORING_ASYNC_CANCEL_ANY
#define USER_DATA	IORING_ASYNC_CANCEL_USERDATA
#define OPCODE		IORING_ASYNC_CANCEL_OP

static const struct cancel_case flow_cases[] = {
	{ "user_data", 0, FLOW + 1, .nr = 1 },
	{ "all of that user_data", ALL, FLOW, .ret = 2, .nr = 2 },
	{ "opcode", OPCODE, 0, IORING_OP_BPF, .nr = 1 },
	{ "all of that opcode", OPCODE | ALL, 0, IORING_OP_BPF,
	  .ret = 3, .nr = 3 },
	{ "both", OPCODE | USER_DATA, FLOW + 1, IORING_OP_BPF, .nr = 1 },
	{ "all of both", OPCODE | USER_DATA | ALL, FLOW, IORING_OP_BPF,
	  .ret = 2, .nr = 2 },
	{ "another opcode", OPCODE | USER_DATA, FLOW, IORING_OP_NOP,
	  .ret = -ENOENT },
	/* each flow has a child */
	{ "any", ANY, .ret = 6, .nr = 3 },
	{ "all and any", ALL | ANY, .ret = 6, .nr = 3 },
};

/* Two flows with the same user_data, and one with another. All of them end. */
static void cancel_flows(struct __test_metadata *_metadata,
			 FIXTURE_DATA(cancel) *self,
			 const struct cancel_case *c, bool sync)
{
	struct io_uring_cqe cqe = {};

	self->skel->bss->nr_events = 0;
	for (int i = 0; i < 3; i++)
		iou_queue_bpf(&self->ring, 0, i ? FLOW : FLOW + 1);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_EQ(c->ret, cancel_now(self, c, -1, sync)) {
		TH_LOG("%s", c->name);
	}
	for (int i = 0; i < 3; i++) {
		if (i >= c->nr)
			ASSERT_EQ(4, write(self->pipe[1], "data", 4));
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(i < c->nr ? -ECANCELED : 0, cqe.res) {
			TH_LOG("%s: %d", c->name, i);
		}
		if (c->user_data && c->nr)
			ASSERT_EQ(i < c->nr, cqe.user_data == c->user_data);
	}
	ASSERT_EQ(6, self->skel->bss->nr_events);
}

/*
 * Cancellation by each attribute except the file, by request and by system call
 */
TEST_F(cancel, flows_found)
{
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	for (size_t i = 0; i < ARRAY_SIZE(flow_cases); i++) {
		for (int sync = 0; sync < 2; sync++)
			cancel_flows(_metadata, self, &flow_cases[i], sync);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(cancel_pipe_unused(self));
}

/* A linked timeout limits the whole flow. */
TEST_F(cancel, linked_timeout)
{
	struct io_uring_cqe cqes[3];

	self->link = IOU_ATTACH(self->skel->progs.cancel_retry, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	cancel_queue_timeout(self, 50)->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 3, TIMEOUT, -ETIME);
	ASSERT_HAS_CQE(cqes, 3, OTHER, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(cancel_pipe_unused(self));
	/* the program would have issued the read again */
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[1].event);
	ASSERT_EQ(-ECANCELED, self->skel->bss->rets[0]);
}

TEST_F(cancel, linked_timeout_in_time)
{
	struct io_uring_cqe cqes[3];

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	cancel_queue_timeout(self, 60000)->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, FLOW, 0);
	ASSERT_HAS_CQE(cqes, 3, TIMEOUT, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 3, OTHER, 0);
	ASSERT_NO_CQE(&self->ring);
}

/*
 * A linked timeout cancels its flow, and no other flow with the same user_data.
 */
TEST_F(cancel, linked_timeout_same_user_data)
{
	struct io_uring_cqe cqes[2];

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	cancel_queue_timeout(self, 300);
	ASSERT_EQ(2, iou_submit(&self->ring));
	/*
	 * the user_data of the request behind the second flow distinguishes the
	 * flows
	 */
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));

	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, TIMEOUT, -ETIME);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, OTHER, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* A request behind the head of a chain is not found, as without BPF. */
TEST_F(cancel, flow_that_waits_in_a_chain)
{
	struct io_uring_cqe cqes[3];
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_read(sqe, self->pipe[0], self->buf, LEN, 0, OTHER);
	sqe->flags = IOSQE_IO_LINK;
	iou_queue_bpf(&self->ring, 0, FLOW);
	cancel_queue(self, FLOW, 0);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, CANCEL, -ENOENT);

	/* the completion of the request before the flow is its first event */
	cancel_queue(self, OTHER, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, CANCEL, 0);
	ASSERT_HAS_CQE(cqes, 3, OTHER, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 3, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_EQ(BPF_IO_URING_COMPLETE, self->skel->bss->events[0].event);
	ASSERT_EQ(-ECANCELED, self->skel->bss->events[0].res);
	ASSERT_EQ(0, self->skel->bss->events[0].flags);
}

/* Children that wait for data, time, a futex, a process, and in a worker */
static void children_of_all_kinds(FIXTURE_DATA(cancel) *self, const char *fifo,
				  pid_t pid, __u32 *futex)
{
	struct io_uring_sqe *sqes = self->skel->bss->sqes;

	self->ts.tv_sec = 3600;
	io_uring_prep_timeout(&sqes[1], &self->ts, 0, 0);
	iou_prep_futex_wait(&sqes[2], futex, 0);
	memset(&sqes[3], 0, sizeof(sqes[3]));
	sqes[3].opcode = IORING_OP_WAITID;
	sqes[3].fd = pid;
	sqes[3].len = P_PID;
	sqes[3].file_index = WEXITED;
	io_uring_prep_openat(&sqes[4], AT_FDCWD, fifo, O_RDONLY, 0);
	sqes[4].flags = IOSQE_ASYNC;
	self->skel->bss->nr_sqes = 5;
}

TEST_F(cancel, wherever_children_wait)
{
	char fifo[64];
	__u32 futex = 0;
	pid_t pid;

	snprintf(fifo, sizeof(fifo), "/tmp/iou_bpf.%d", getpid());
	ASSERT_EQ(0, mkfifo(fifo, 0600));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	children_of_all_kinds(self, fifo, pid, &futex);
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	for (int i = 0; i < 2; i++) {
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
		/* all of them are in flight and wait */
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(1 + 2 * i, self->skel->bss->nr_events);
		IOU_CANCEL_FLOW(&self->ring, FLOW, CANCEL);
	}
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	unlink(fifo);
}

TEST_HARNESS_MAIN
