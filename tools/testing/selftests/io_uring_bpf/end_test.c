// SPDX-License-Identifier: GPL-2.0
/* Completions of a flow that is ending: none of them is lost */
#include "iou_until.h"
#include "process.h"

#include <sys/socket.h>

#include "kselftest_harness.h"
#include "end.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define CLOSE	0xc105ULL
#define CANCEL	0xca4cULL

#define NR	8
#define NR_FILES	32
/* completions, and a program that takes seconds for them in an emulator */
#define NR_SLOW		32
#define SLOW		1000000

FIXTURE(end) {
	struct io_uring ring;
	struct end *skel;
	struct bpf_link *link;
	/* reads from socks[i][0] have a byte to read after end_feed() */
	int socks[NR][2];
	char buf[NR];
};

IOU_MODE_VARIANTS(end);
IOU_LOAD_ONCE(end);

FIXTURE_SETUP(end)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	self->skel = end_get();
	ASSERT_NE(NULL, self->skel);
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->socks[i]));
	self->skel->bss->log_ending = 1;
	self->link = IOU_ATTACH(self->skel->progs.end_as_told, &self->ring, 0);
}

FIXTURE_TEARDOWN(end)
{
	bpf_link__destroy(self->link);
	for (int i = 0; i < NR; i++) {
		close(self->socks[i][0]);
		close(self->socks[i][1]);
	}
	io_uring_queue_exit(&self->ring);
}

static struct io_uring_sqe *end_add(FIXTURE_DATA(end) *self)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[self->skel->bss->nr_sqes];

	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

static void end_added(FIXTURE_DATA(end) *self, struct io_uring_sqe *sqe)
{
	sqe->user_data = CHILD + self->skel->bss->nr_sqes++;
}

static void end_add_recvs(FIXTURE_DATA(end) *self, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct io_uring_sqe *sqe = end_add(self);

		io_uring_prep_recv(sqe, self->socks[i][0], &self->buf[i], 1, 0);
		end_added(self, sqe);
	}
}

static void end_add_nop(FIXTURE_DATA(end) *self, unsigned int nop_flags)
{
	struct io_uring_sqe *sqe = end_add(self);

	iou_prep_nop(sqe, 0, nop_flags, 0);
	end_added(self, sqe);
}

/* Open a file in io-wq, so that the child is in flight when the flow ends. */
static void end_add_socket(FIXTURE_DATA(end) *self)
{
	struct io_uring_sqe *sqe = end_add(self);

	io_uring_prep_socket(sqe, AF_UNIX, SOCK_STREAM, 0, 0);
	end_added(self, sqe);
}

static bool end_feed(FIXTURE_DATA(end) *self, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (write(self->socks[i][1], "x", 1) != 1)
			return false;
	}
	return true;
}

#define end_submit() do {						\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

/* Events of children with data from @first on, all with F_ENDING. */
#define end_all_seen(first, nr) do {					\
	struct iou_event *__ev = self->skel->bss->events;		\
	unsigned int __first = (first), __nr = (nr);			\
									\
	ASSERT_EQ(__first + __nr, self->skel->bss->nr_events);		\
	for (unsigned int i = __first; i < __first + __nr; i++) {	\
		ASSERT_EQ(BPF_IO_URING_COMPLETE, __ev[i].event);	\
		ASSERT_EQ(BPF_IO_URING_F_CHILD | BPF_IO_URING_F_ENDING,	\
			  __ev[i].flags);				\
		ASSERT_EQ(IORING_OP_RECV, __ev[i].opcode);		\
		ASSERT_EQ(1, __ev[i].res);				\
		ASSERT_EQ(__first + __nr - 1 - i, __ev[i].nr_children);	\
	}								\
} while (0)

/* The data is there when the requests are issued. */
TEST_F(end, data_in_place)
{
	ASSERT_TRUE(end_feed(self, NR));
	end_add_recvs(self, NR);
	self->skel->bss->stop_at = CHILD;
	end_submit();
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	end_all_seen(2, NR - 1);
}

/* The data arrives later, and all of it before the task handles any. */
TEST_F(end, data_in_task_work)
{
	end_add_recvs(self, NR);
	self->skel->bss->stop_at = CHILD;
	end_submit();
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events == 1));
	ASSERT_TRUE(end_feed(self, NR));
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	/* a receive that was not ready yet was cancelled, and has read nothing */
	ASSERT_EQ(1 + NR, self->skel->bss->nr_events);
	for (int i = 0; i < NR; i++) {
		struct iou_event *ev = &self->skel->bss->events[1 + i];
		unsigned int nr = ev->user_data - CHILD;

		ASSERT_LT(nr, NR);
		if (ev->res != 1) {
			ASSERT_EQ(-ECANCELED, ev->res);
			ASSERT_EQ(1, recv(self->socks[nr][0], &self->buf[nr], 1,
					  MSG_DONTWAIT));
		}
		ASSERT_EQ('x', self->buf[nr]);
	}
}

TEST_F(end, cqes_posted)
{
	struct io_uring_cqe cqes[NR];

	ASSERT_TRUE(end_feed(self, NR));
	end_add_recvs(self, NR);
	self->skel->bss->stop_at = CHILD;
	self->skel->bss->end_verdict = BPF_IO_URING_POST;
	end_submit();
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, NR));
	ASSERT_NO_CQE(&self->ring);
	for (int i = 1; i < NR; i++)
		ASSERT_HAS_CQE(cqes, NR, CHILD + i, 1);
	ASSERT_EQ(FLOW, cqes[NR - 1].user_data);
	ASSERT_EQ(7, cqes[NR - 1].res);
}

/* Requests that were issued before complete() have a result as well. */
TEST_F(end, data_of_staged)
{
	ASSERT_TRUE(end_feed(self, NR));
	end_add_recvs(self, NR);
	self->skel->bss->stop_at_start = 1;
	end_submit();
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	end_all_seen(1, NR);
}

static void close_staged(struct __test_metadata *_metadata,
			 FIXTURE_DATA(end) *self, unsigned int sqe_flags)
{
	int fds[NR_FILES];

	for (int i = 0; i < NR_FILES; i++) {
		struct io_uring_sqe *sqe = end_add(self);

		fds[i] = dup(self->socks[0][0]);
		ASSERT_LE(0, fds[i]);
		io_uring_prep_close(sqe, fds[i]);
		sqe->flags = sqe_flags;
		end_added(self, sqe);
	}
	self->skel->bss->stop_at_start = 1;
	end_submit();
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1 + NR_FILES, self->skel->bss->nr_events);
	for (int i = 0; i < NR_FILES; i++) {
		ASSERT_EQ(0, self->skel->bss->events[1 + i].res);
		ASSERT_EQ(-1, fcntl(fds[i], F_GETFD));
	}
}

TEST_F(end, close_staged)
{
	close_staged(_metadata, self, 0);
}

/* A request that closes a file is not cancelled with its flow. */
TEST_F(end, close_staged_for_worker)
{
	close_staged(_metadata, self, IOSQE_ASYNC);
}

/* The program closes a file that a child has opened after the flow has begun to end. */
TEST_F(end, close_opened)
{
	int fd = dup(self->socks[0][0]);

	ASSERT_LE(0, fd);
	close(fd);
	end_add_socket(self);
	self->skel->bss->stop_at_start = 1;
	io_uring_prep_close(&self->skel->bss->late, -1);
	self->skel->bss->late.user_data = CLOSE;
	self->skel->bss->end_verdict = BPF_IO_URING_DROP;
	end_submit();
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	ASSERT_EQ(fd, self->skel->bss->events[1].res);
	ASSERT_EQ(CLOSE, self->skel->bss->events[2].user_data);
	ASSERT_EQ(0, self->skel->bss->events[2].res);
	ASSERT_EQ(-1, fcntl(fd, F_GETFD));
	/* the completion of the close issues nothing, or the flow need not end */
	ASSERT_EQ(0, self->skel->bss->late_rets[0]);
	ASSERT_EQ(-ECANCELED, self->skel->bss->late_rets[1]);
	ASSERT_EQ(-ECANCELED, self->skel->bss->again_ret);
}

/* A program that does nothing: the application learns of the file. */
TEST_F(end, opened_is_posted)
{
	struct io_uring_cqe cqe;

	end_add_socket(self);
	self->skel->bss->stop_at_start = 1;
	end_submit();
	ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_EQ(CHILD, cqe.user_data);
	ASSERT_LT(0, cqe.res);
	ASSERT_EQ(0, close(cqe.res));
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
}

/* An ending flow issues nothing that could keep it alive. */
TEST_F(end, issue_refused)
{
	ASSERT_TRUE(end_feed(self, 2));
	end_add_recvs(self, 2);
	self->skel->bss->stop_at = CHILD;
	iou_prep_nop(&self->skel->bss->late, 0, 0, CLOSE);
	end_submit();
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	end_all_seen(2, 1);
	ASSERT_EQ(1, self->skel->bss->nr_late);
	ASSERT_EQ(-ECANCELED, self->skel->bss->late_rets[0]);
	ASSERT_EQ(-ECANCELED, self->skel->bss->again_ret);
}

/* CANCEL comes first, and can close a file. The children follow. */
TEST_F(end, cancelled)
{
	struct iou_event *ev = self->skel->bss->events;
	int fd = dup(self->socks[0][0]);

	ASSERT_LE(0, fd);
	end_add_recvs(self, 2);
	io_uring_prep_close(&self->skel->bss->late, fd);
	self->skel->bss->late.user_data = CLOSE;
	self->skel->bss->late_on_cancel = 1;
	end_submit();
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events == 1));
	IOU_CANCEL_FLOW(&self->ring, FLOW, CANCEL);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(5, self->skel->bss->nr_events);
	ASSERT_EQ(BPF_IO_URING_CANCEL, ev[1].event);
	ASSERT_EQ(0, self->skel->bss->late_rets[0]);
	ASSERT_EQ(-1, fcntl(fd, F_GETFD));
	for (int i = 2; i < 5; i++) {
		ASSERT_EQ(BPF_IO_URING_COMPLETE, ev[i].event);
		ASSERT_EQ(BPF_IO_URING_F_CHILD | BPF_IO_URING_F_ENDING, ev[i].flags);
		ASSERT_EQ(ev[i].user_data == CLOSE ? 0 : -ECANCELED, ev[i].res);
	}
}

/* A read with a deadline: its program sees the read and the timer. */
TEST_F(end, deadline)
{
	struct __kernel_timespec ts = { .tv_sec = 100 };
	struct io_uring_sqe *sqe;

	end_add_recvs(self, 1);
	self->skel->bss->sqes[0].flags = IOSQE_IO_LINK;
	sqe = end_add(self);
	io_uring_prep_link_timeout(sqe, &ts, 0);
	end_added(self, sqe);
	self->skel->bss->stop_at = CHILD;
	end_submit();
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events == 1));
	ASSERT_TRUE(end_feed(self, 1));
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	for (int i = 1; i < 3; i++) {
		struct iou_event *ev = &self->skel->bss->events[i];

		ASSERT_EQ(ev->user_data == CHILD ? 1 : -ECANCELED, ev->res);
	}
	ASSERT_EQ('x', self->buf[0]);
}

/* The next program of the slot knows nothing of the flow. */
TEST_F(end, detached)
{
	end_add_recvs(self, 2);
	end_add_nop(self, 0);
	end_submit();
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events == 2));
	bpf_link__destroy(self->link);
	self->link = IOU_ATTACH(self->skel->progs.end_as_told, &self->ring, 0);
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
}

static void run_slow(struct end *skel, unsigned int setup)
{
	struct io_uring_cqe cqe;
	struct io_uring ring;

	if (iou_ring_init(&ring, setup) ||
	    !bpf_program__attach_iouring(skel->progs.end_as_told, ring.ring_fd, NULL))
		_exit(GONE_WRONG);
	iou_queue_bpf(&ring, 0, FLOW);
	iou_submit(&ring);
	iou_wait_cqe_ms(&ring, &cqe, 100 * LIMIT_MS);
	_exit(GOT_CQE);
}

/* However many completions are left: no program runs for them in a killed task. */
TEST_F_TIMEOUT(end, killed, 60)
{
	int status;
	pid_t pid;

	for (int i = 0; i < NR_SLOW; i++)
		end_add_nop(self, IORING_NOP_TW);
	self->skel->bss->stop_at = CHILD;
	self->skel->bss->spin = SLOW;
	pid = fork();
	if (!pid)
		run_slow(self->skel, variant->setup);
	ASSERT_TRUE(until(IO_URING_READ_ONCE(self->skel->bss->nr_ending)));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_TRUE(wait_for(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_GT(NR_SLOW - 1, self->skel->bss->nr_ending);
}

TEST_HARNESS_MAIN
