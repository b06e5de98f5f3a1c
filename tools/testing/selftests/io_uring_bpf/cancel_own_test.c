// SPDX-License-Identifier: GPL-2.0
/* bpf_io_uring_cancel(): children of the flow, and nothing else */
#include "futex.h"
#include "iou_until.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "cancel_own.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define NOP	0x0909ULL
#define APP	0xa99ULL
#define LATE	0x1a7eULL
#define OTHER	0x07e4ULL

#define NR	4

FIXTURE(own) {
	struct io_uring ring;
	struct cancel_own *skel;
	struct bpf_link *link;
	int socks[NR][2];
	char buf[NR];
	struct __kernel_timespec ts;
};

IOU_MODE_VARIANTS(own);
IOU_LOAD_ONCE(cancel_own);

FIXTURE_SETUP(own)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	self->skel = cancel_own_get();
	ASSERT_NE(NULL, self->skel);
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->socks[i]));
}

FIXTURE_TEARDOWN(own)
{
	bpf_link__destroy(self->link);
	for (int i = 0; i < NR; i++) {
		close(self->socks[i][0]);
		close(self->socks[i][1]);
	}
	io_uring_queue_exit(&self->ring);
}

static struct io_uring_sqe *own_add(FIXTURE_DATA(own) *self, __u64 user_data)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[self->skel->bss->nr_sqes++];

	memset(sqe, 0, sizeof(*sqe));
	sqe->user_data = user_data;
	return sqe;
}

static void own_prep_recv(FIXTURE_DATA(own) *self, struct io_uring_sqe *sqe, int i,
			  __u64 user_data)
{
	io_uring_prep_recv(sqe, self->socks[i][0], &self->buf[i], 1, 0);
	sqe->user_data = user_data;
}

static void own_add_recv(FIXTURE_DATA(own) *self, int i, __u64 user_data)
{
	own_prep_recv(self, own_add(self, user_data), i, user_data);
}

/* Cancel at the completion of a NOP, when all other children are in flight. */
static void own_add_nop(FIXTURE_DATA(own) *self)
{
	iou_prep_nop(own_add(self, NOP), 0, IORING_NOP_TW, NOP);
	self->skel->bss->cancel_at = NOP;
}

static void own_cancel(FIXTURE_DATA(own) *self, __u64 target, __u64 flags)
{
	self->skel->bss->targets[self->skel->bss->nr_targets++] = target;
	self->skel->bss->flags = flags;
}

#define own_start(prog) do {						\
	self->link = IOU_ATTACH(self->skel->progs.prog, &self->ring, 0);\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

#define own_wait_events(nr)						\
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events >= (nr)))

/* The request is in flight: it takes what is written to its socket. */
#define own_in_flight(i, event) do {					\
	ASSERT_EQ(1, write(self->socks[i][1], "x", 1));			\
	event;								\
	ASSERT_EQ('x', self->buf[i]);					\
} while (0)

TEST_F(own, by_user_data)
{
	struct iou_event *ev = self->skel->bss->events;

	own_add_recv(self, 0, CHILD);
	own_add_recv(self, 1, CHILD + 1);
	own_add_recv(self, 2, CHILD + 1);
	own_add_nop(self);
	own_cancel(self, CHILD + 1, 0);
	own_start(cancel_as_told);
	own_wait_events(4);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, self->skel->bss->nr_events);
	ASSERT_EQ(0, self->skel->bss->cancel_rets[0]);
	for (int i = 2; i < 4; i++) {
		ASSERT_EQ(CHILD + 1, ev[i].user_data);
		ASSERT_EQ(-ECANCELED, ev[i].res);
		ASSERT_EQ(BPF_IO_URING_F_CHILD, ev[i].flags);
	}
	own_in_flight(0, ASSERT_CQE(&self->ring, FLOW, 0));
}

TEST_F(own, all)
{
	for (int i = 0; i < NR; i++)
		own_add_recv(self, i, CHILD + i);
	own_add_nop(self);
	own_cancel(self, 0, BPF_IO_URING_CANCEL_ALL);
	/* not the request that the same run issues */
	iou_prep_nop(&self->skel->bss->late, 9, IORING_NOP_TW, LATE);
	own_start(cancel_as_told);
	own_wait_events(3 + NR);
	ASSERT_EQ(3 + NR, self->skel->bss->nr_events);
	for (int i = 2; i < 3 + NR; i++) {
		struct iou_event *ev = &self->skel->bss->events[i];

		ASSERT_EQ(ev->user_data == LATE ? 9 : -ECANCELED, ev->res);
	}
}

/* The child that has completed is issued again, and only the others are cancelled. */
TEST_F(own, again)
{
	for (int i = 0; i < NR; i++)
		own_add_recv(self, i, CHILD + i);
	self->skel->bss->cancel_at = CHILD + 1;
	self->skel->bss->again_addr = (unsigned long)&self->buf[1];
	own_cancel(self, 0, BPF_IO_URING_CANCEL_ALL);
	own_start(cancel_as_told);
	own_wait_events(1);
	ASSERT_EQ(1, write(self->socks[1][1], "w", 1));
	own_wait_events(1 + NR);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1 + NR, self->skel->bss->nr_events);
	self->skel->bss->cancel_at = OTHER;
	own_in_flight(1, ASSERT_CQE(&self->ring, FLOW, 0));
}

/* The same user_data, of the application and of another flow */
TEST_F(own, nobody_else)
{
	struct io_uring_sqe *sqe;

	/* a flow whose program only waits */
	own_add_recv(self, 0, CHILD);
	own_start(cancel_as_told);
	own_wait_events(1);
	sqe = iou_get_sqe(&self->ring);
	own_prep_recv(self, sqe, 1, CHILD);
	ASSERT_EQ(1, iou_submit(&self->ring));

	own_prep_recv(self, &self->skel->bss->sqes[0], 2, CHILD);
	own_add_nop(self);
	own_cancel(self, CHILD, 0);
	iou_queue_bpf(&self->ring, 0, FLOW + 1);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW + 1, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);

	self->skel->bss->nr_targets = 0;
	own_in_flight(1, ASSERT_CQE(&self->ring, CHILD, 1));
	own_in_flight(0, ASSERT_CQE(&self->ring, FLOW, 0));
}

/* Wherever a request can wait */
TEST_F(own, wherever_children_wait)
{
	static __u32 word;
	struct io_uring_sqe *sqe;
	siginfo_t info;
	int nr = 0;
	pid_t pid;

	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	word = 0;
	self->ts = (struct __kernel_timespec){ .tv_sec = 100 };
	io_uring_prep_poll_add(own_add(self, 0), self->socks[0][0], POLLIN);
	io_uring_prep_timeout(own_add(self, 0), &self->ts, 0, 0);
	sqe = own_add(self, 0);
	own_prep_recv(self, sqe, 1, 0);
	sqe->flags = IOSQE_ASYNC;
	iou_prep_futex_wait(own_add(self, 0), &word, 0);
	sqe = own_add(self, 0);
	sqe->opcode = IORING_OP_WAITID;
	sqe->fd = pid;
	sqe->len = P_PID;
	sqe->file_index = WEXITED;
	sqe->addr2 = (unsigned long)&info;
	for (nr = 0; nr < 5; nr++)
		self->skel->bss->sqes[nr].user_data = CHILD + nr;
	/* the worker has time to wait before the NOP completes */
	own_add_recv(self, 2, NOP);
	self->skel->bss->cancel_at = NOP;
	own_cancel(self, 0, BPF_IO_URING_CANCEL_ALL);
	own_start(cancel_as_told);
	own_wait_events(1);
	usleep(IOU_IDLE_MS * 1000);
	ASSERT_EQ(1, write(self->socks[2][1], "x", 1));
	own_wait_events(2 + nr);
	ASSERT_EQ(2 + nr, self->skel->bss->nr_events);
	for (int i = 2; i < 2 + nr; i++)
		ASSERT_EQ(-ECANCELED, self->skel->bss->events[i].res);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F(own, first_of_n)
{
	self->skel->bss->log_ending = 1;
	for (int i = 0; i < NR; i++)
		own_add_recv(self, i, CHILD + i);
	own_start(cancel_first_wins);
	own_wait_events(1);
	ASSERT_EQ(1, write(self->socks[2][1], "x", 1));
	ASSERT_CQE(&self->ring, FLOW, 1);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1 + NR, self->skel->bss->nr_events);
	ASSERT_EQ(CHILD + 2, self->skel->bss->events[1].user_data);
	/* the others wait for nothing any more */
	ASSERT_EQ(1, write(self->socks[1][1], "y", 1));
	ASSERT_EQ(1, recv(self->socks[1][0], &self->buf[1], 1, MSG_DONTWAIT));
}

TEST_F(own, errors)
{
	__s32 *rets = self->skel->bss->cancel_rets;

	/* no child in flight */
	own_cancel(self, CHILD, 0);
	own_start(cancel_as_told);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(-ENOENT, rets[0]);

	/* a child with another user_data */
	iou_prep_nop(own_add(self, 0), 0, IORING_NOP_TW, CHILD + 1);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(0, rets[0]);

	/* flags, and what they go with */
	self->skel->bss->flags = 1U << 1;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(-EINVAL, rets[0]);
	self->skel->bss->flags = BPF_IO_URING_CANCEL_ALL;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(-EINVAL, rets[0]);

	/* more calls than a run has */
	self->skel->bss->flags = 0;
	self->skel->bss->nr_targets = 9;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(0, rets[7]);
	ASSERT_EQ(-ENOBUFS, rets[8]);
}

TEST_F(own, ending)
{
	own_add_recv(self, 0, CHILD);
	own_start(cancel_after_end);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(-ECANCELED, self->skel->bss->cancel_rets[0]);
}

TEST_F(own, watching)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = BPF_F_IOURING_MATCH);

	self->link = bpf_program__attach_iouring(self->skel->progs.cancel_watch,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, APP);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 0);
	ASSERT_EQ(-EOPNOTSUPP, self->skel->bss->cancel_rets[0]);
}

TEST_HARNESS_MAIN
