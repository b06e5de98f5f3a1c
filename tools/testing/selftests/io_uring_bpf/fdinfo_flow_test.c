// SPDX-License-Identifier: GPL-2.0
/* Flows and their children in the fdinfo of a ring */
#include "fdinfo.h"
#include "futex.h"

#include <sys/stat.h>

/* lines of a section */
#define MAX_SHOWN	1024
#define MORE		3

#define ASSERT_FLOW(id, data, state, waits, children)			\
	ASSERT_SHOWN("%5u: slot:0, user_data:%llu, state:%s, waits:%s, children:%u\n",\
		     id, data, state, waits, children)

#define ASSERT_CHILD(id, op, data, where)				\
	ASSERT_SHOWN("%5u: opcode:%s, user_data:%llu, in:%s\n",		\
		     id, op, data, where)

TEST_F_TIMEOUT(fdinfo, active, FDINFO_LIMIT)
{
	fdinfo_attach(self, 0);
	fdinfo_add_read(self);
	fdinfo_add_read(self);
	ASSERT_TRUE(fdinfo_start(self, 2));
	ASSERT_SHOWN("BpfFlows:\t2\n");
	ASSERT_FLOW(0, FLOW, "active", "no", 2);
	ASSERT_FLOW(1, FLOW + 1, "active", "no", 2);
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, FLOW, 0, -1, 0));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_SHOWN("BpfFlows:\t1\n    1: slot");
}

TEST_F_TIMEOUT(fdinfo, prepared, FDINFO_LIMIT)
{
	struct io_uring_sqe *sqe;

	fdinfo_attach(self, 0);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_read(sqe, self->pipe[0], self->buf, 1, 0, 1);
	sqe->flags = IOSQE_IO_LINK;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(2, iou_submit(&self->ring));
	iou_settle(&self->ring);
	ASSERT_FLOW(0, FLOW, "prepared", "no", 0);
	/* the read is no child */
	ASSERT_NOT_SHOWN("opcode:READ,");
}

/* A cancelled flow ends in its task work, which the task does not run yet. */
TEST_F_TIMEOUT(fdinfo, ending, FDINFO_LIMIT)
{
	if (!(variant->setup & IORING_SETUP_DEFER_TASKRUN))
		SKIP(return, "task work runs at any time");
	fdinfo_attach(self, 0);
	fdinfo_add_read(self);
	ASSERT_TRUE(fdinfo_start(self, 1));
	iou_queue_cancel(&self->ring, FLOW, 1);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_FLOW(0, FLOW, "ending", "no", 1);
}

/* The flow goes on until its time is used up, or the CQ is full. */
static void start_endless(FIXTURE_DATA(fdinfo) *self, __u32 verdict)
{
	fdinfo_attach(self, 0);
	fdinfo_add(self);
	self->skel->bss->hops = ~0U;
	self->skel->bss->verdict = verdict;
	fdinfo_start(self, 1);
}

TEST_F_TIMEOUT(fdinfo, waits_for_time, FDINFO_LIMIT)
{
	if (!(variant->setup & IORING_SETUP_DEFER_TASKRUN))
		SKIP(return, "the flow continues at any time");
	start_endless(self, BPF_IO_URING_DEFAULT);
	ASSERT_FLOW(0, FLOW, "active", "time", 1);
	ASSERT_CHILD(0, "NOP", CHILD, "flow");
}

TEST_F_TIMEOUT(fdinfo, waits_for_room, FDINFO_LIMIT)
{
	start_endless(self, BPF_IO_URING_POST);
	ASSERT_TRUE(iou_until(&self->ring, io_uring_cq_has_overflow(&self->ring)));
	/* the flow can have waited for time when the CQ became full */
	for (int i = 0; i < 20; i++) {
		usleep(5000);
		io_uring_get_events(&self->ring);
	}
	ASSERT_FLOW(0, FLOW, "active", "room", 1);
	ASSERT_CHILD(0, "NOP", CHILD, "flow");
}

/* Add a child that a worker executes, until the test opens the FIFO as well. */
static bool add_open(FIXTURE_DATA(fdinfo) *self, char *fifo, size_t size)
{
	struct io_uring_sqe *sqe = fdinfo_add(self);
	__u64 user_data = sqe->user_data;

	snprintf(fifo, size, "/tmp/iou_bpf.%d", getpid());
	io_uring_prep_openat(sqe, AT_FDCWD, fifo, O_RDONLY, 0);
	sqe->user_data = user_data;
	return !mkfifo(fifo, 0600);
}

static void open_writer(const char *fifo)
{
	close(open(fifo, O_WRONLY));
	unlink(fifo);
}

TEST_F_TIMEOUT(fdinfo, children, FDINFO_LIMIT)
{
	struct __kernel_timespec ts = { .tv_sec = 1000 };
	struct io_uring_sqe *sqe;
	__u32 futex = 1;
	char fifo[64];

	fdinfo_attach(self, 0);
	fdinfo_add_read(self);
	sqe = fdinfo_add(self);
	io_uring_prep_timeout(sqe, &ts, 0, 0);
	sqe->user_data = CHILD + 1;
	sqe = fdinfo_add(self);
	iou_prep_futex_wait(sqe, &futex, CHILD + 2);
	ASSERT_TRUE(add_open(self, fifo, sizeof(fifo)));
	ASSERT_TRUE(fdinfo_start(self, 1));
	ASSERT_FLOW(0, FLOW, "active", "no", 4);
	ASSERT_CHILD(0, "READ", CHILD, "poll");
	ASSERT_CHILD(0, "TIMEOUT", CHILD + 1, "timeout");
	ASSERT_CHILD(0, "FUTEX_WAIT", CHILD + 2, "wait");
	ASSERT_CHILD(0, "OPENAT", CHILD + 3, "io-wq");

	/* the next flow has one child */
	self->skel->bss->nr_sqes = 1;
	self->skel->bss->sqes[0].user_data = CHILD + 4;
	ASSERT_TRUE(fdinfo_start(self, 1));
	ASSERT_FLOW(1, FLOW, "active", "no", 1);
	ASSERT_CHILD(1, "READ", CHILD + 4, "poll");
	open_writer(fifo);
}

/* Rings of a task share its workers. */
TEST_F_TIMEOUT(fdinfo, other_ring, FDINFO_LIMIT)
{
	struct io_uring other;
	char fifo[64];

	ASSERT_EQ(0, iou_ring_init(&other, variant->setup));
	IOU_ATTACH(self->skel->progs.fdinfo_flow, &other, 0);
	fdinfo_attach(self, 0);
	ASSERT_TRUE(add_open(self, fifo, sizeof(fifo)));
	ASSERT_TRUE(fdinfo_start(self, 1));
	ASSERT_CHILD(0, "OPENAT", CHILD, "io-wq");
	ASSERT_TRUE(fdinfo_of(self, other.ring_fd));
	ASSERT_NE(NULL, strstr(self->text, "\nBpfFlows:\t0\nBpfChildren:\n"));
	ASSERT_EQ(NULL, strstr(self->text, "in:io-wq"));
	open_writer(fifo);
	io_uring_queue_exit(&other);
}

TEST_F_TIMEOUT(fdinfo, many, FDINFO_LIMIT)
{
	fdinfo_attach(self, 0);
	fdinfo_add_read(self);
	for (int i = 0; i < MAX_SHOWN + MORE; i++) {
		iou_queue_bpf(&self->ring, 0, FLOW + i);
		if (i % 32 == 31)
			ASSERT_EQ(32, iou_submit(&self->ring));
	}
	ASSERT_LE(0, iou_submit(&self->ring));
	iou_settle(&self->ring);
	ASSERT_SHOWN("BpfFlows:\t%u\n", MAX_SHOWN + MORE);
	ASSERT_FLOW(MAX_SHOWN - 1, FLOW + MAX_SHOWN - 1, "active", "no", 1);
	ASSERT_SHOWN("  ... %u more\nBpfChildren:\n", MORE);
	ASSERT_NE(NULL, strstr(strstr(self->text, "\nBpfChildren"), "\n  ... 3 more\n"));
}

TEST_HARNESS_MAIN
