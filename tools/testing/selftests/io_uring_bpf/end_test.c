// SPDX-License-Identifier: GPL-2.0
/* Completions of a flow that is ending: none of them is lost */
#include "end.h"
#include "process.h"

#define LATE	0x1a7eULL

/* of provided buffers, and the only buffer in the group */
#define GROUP	3
#define BUFFER	5

#define NR_FILES	32
/* completions, and a program that takes seconds for them in an emulator */
#define NR_SLOW		32
#define SLOW		1000000

/* more than a ms, which is the time of a task between two pauses */
#define MS		20000

/* Replace the sockets by pipes. */
static bool end_use_pipes(FIXTURE_DATA(end) *self)
{
	self->opcode = IORING_OP_READ;
	for (int i = 0; i < NR; i++) {
		close(self->ends[i][0]);
		close(self->ends[i][1]);
		if (pipe(self->ends[i]))
			return false;
	}
	return true;
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

/* Add a receive into a provided buffer, the only one of its group. */
static void end_add_select(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	io_uring_prep_provide_buffers(sqe, self->buf, NR, 1, GROUP, BUFFER);
	sqe->user_data = LATE;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, LATE, 0);
	sqe = end_add(self);
	io_uring_prep_recv(sqe, self->ends[0][0], NULL, 1, 0);
	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	end_added(self, sqe);
}

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
		ASSERT_EQ(self->opcode, __ev[i].opcode);		\
		ASSERT_EQ(1, __ev[i].res);				\
		ASSERT_EQ(__first + __nr - 1 - i, __ev[i].nr_children);	\
	}								\
} while (0)

/* The data is there when the requests are issued. */
static void data_in_place(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self)
{
	ASSERT_TRUE(end_feed(self, NR));
	end_add_recvs(self, NR);
	self->skel->bss->stop_at = CHILD;
	end_submit();
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	end_all_seen(2, NR - 1);
}

TEST_F(end, data_in_place)
{
	data_in_place(_metadata, self);
}

TEST_F(end, data_in_place_of_pipes)
{
	ASSERT_TRUE(end_use_pipes(self));
	data_in_place(_metadata, self);
}

/* The data arrives later, and all of it before the task handles any. */
static void data_in_task_work(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self)
{
	end_add_recvs(self, NR);
	self->skel->bss->stop_at = CHILD;
	end_submit();
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events == 1));
	ASSERT_TRUE(end_feed(self, NR));
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	/* a request that was not ready yet was cancelled, and has read nothing */
	ASSERT_EQ(1 + NR, self->skel->bss->nr_events);
	for (int i = 0; i < NR; i++) {
		struct iou_event *ev = &self->skel->bss->events[1 + i];
		unsigned int nr = ev->user_data - CHILD;

		ASSERT_LT(nr, NR);
		ASSERT_EQ(self->opcode, ev->opcode);
		if (ev->res != 1) {
			ASSERT_EQ(-ECANCELED, ev->res);
			ASSERT_TRUE(end_has_byte(self, nr));
		}
		ASSERT_EQ('x', self->buf[nr]);
	}
}

TEST_F(end, data_in_task_work)
{
	data_in_task_work(_metadata, self);
}

TEST_F(end, data_in_task_work_of_pipes)
{
	ASSERT_TRUE(end_use_pipes(self));
	data_in_task_work(_metadata, self);
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
static void data_of_staged(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self)
{
	ASSERT_TRUE(end_feed(self, NR));
	end_add_recvs(self, NR);
	self->skel->bss->stop_at_start = 1;
	end_submit();
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	end_all_seen(1, NR);
}

TEST_F(end, data_of_staged)
{
	data_of_staged(_metadata, self);
}

TEST_F(end, data_of_staged_of_pipes)
{
	ASSERT_TRUE(end_use_pipes(self));
	data_of_staged(_metadata, self);
}

static void close_staged(struct __test_metadata *_metadata,
			 FIXTURE_DATA(end) *self, unsigned int sqe_flags)
{
	int fds[NR_FILES];

	for (int i = 0; i < NR_FILES; i++) {
		struct io_uring_sqe *sqe = end_add(self);

		fds[i] = dup(self->ends[0][0]);
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

/*
 * The completion of a child, which is the second event, has issued a request that
 * releases something, which is the third event. It issues nothing, or the flow need not
 * end.
 */
static void late_has_run(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self)
{
	struct end__bss *bss = self->skel->bss;

	ASSERT_EQ(3, bss->nr_events);
	ASSERT_EQ(CHILD, bss->events[1].user_data);
	ASSERT_EQ(LATE, bss->events[2].user_data);
	ASSERT_EQ(0, bss->events[2].res);
	ASSERT_EQ(0, bss->late_rets[0]);
	ASSERT_EQ(-ECANCELED, bss->late_rets[1]);
	ASSERT_EQ(-ECANCELED, bss->again_ret);
}

/* The program closes a file that a child has opened after the flow has begun to end. */
TEST_F(end, close_opened)
{
	int fd = dup(self->ends[0][0]);

	ASSERT_LE(0, fd);
	close(fd);
	end_add_socket(self);
	self->skel->bss->stop_at_start = 1;
	io_uring_prep_close(&self->skel->bss->late, -1);
	self->skel->bss->late.user_data = LATE;
	self->skel->bss->end_verdict = BPF_IO_URING_DROP;
	end_submit();
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	late_has_run(_metadata, self);
	ASSERT_EQ(fd, self->skel->bss->events[1].res);
	ASSERT_EQ(-1, fcntl(fd, F_GETFD));
}

/* The program shuts a connection down. A worker does this, and is not cancelled. */
TEST_F(end, shutdown_late)
{
	ASSERT_TRUE(end_feed(self, 1));
	end_add_recvs(self, 1);
	self->skel->bss->stop_at_start = 1;
	io_uring_prep_shutdown(&self->skel->bss->late, self->ends[0][0], SHUT_WR);
	self->skel->bss->late.user_data = LATE;
	end_submit();
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	late_has_run(_metadata, self);
	ASSERT_EQ(1, self->skel->bss->events[1].res);
	/* the peer finds the end of the stream */
	ASSERT_EQ(0, recv(self->ends[0][1], self->buf, 1, MSG_DONTWAIT));
}

/* The program gives back the buffer of a receive. */
TEST_F(end, buffer_given_back)
{
	struct io_uring_sqe *sqe;

	ASSERT_TRUE(end_feed(self, 1));
	end_add_select(_metadata, self);
	self->skel->bss->stop_at_start = 1;
	io_uring_prep_provide_buffers(&self->skel->bss->late, self->buf, NR, 1, GROUP,
				      BUFFER);
	self->skel->bss->late.user_data = LATE;
	self->skel->bss->end_verdict = BPF_IO_URING_DROP_BUF;
	end_submit();
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	late_has_run(_metadata, self);
	ASSERT_EQ(1, self->skel->bss->events[1].res);
	/* the number of buffers in the group */
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_remove_buffers(sqe, 2, GROUP);
	sqe->user_data = LATE;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, LATE, 1);
}

/* Unless the program takes the buffer over, the application learns of the buffer. */
TEST_F(end, buffer_is_posted)
{
	static const __u32 verdicts[] = { BPF_IO_URING_DEFAULT, BPF_IO_URING_DROP };

	for (int i = 0; i < 2; i++) {
		struct iou_event *ev = &self->skel->bss->events[1];

		self->skel->bss->nr_sqes = 0;
		self->skel->bss->nr_events = 0;
		self->skel->bss->end_verdict = verdicts[i];
		ASSERT_TRUE(end_feed(self, 1));
		end_add_select(_metadata, self);
		self->skel->bss->stop_at_start = 1;
		end_submit();
		ASSERT_CQE_FLAGS(&self->ring, CHILD, 1, IORING_CQE_F_BUFFER |
				 BUFFER << IORING_CQE_BUFFER_SHIFT);
		ASSERT_CQE(&self->ring, FLOW, 7);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(2, self->skel->bss->nr_events);
		ASSERT_EQ(BPF_IO_URING_F_CHILD | BPF_IO_URING_F_ENDING, ev->flags);
	}
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

/* The application also learns of a pipe, whose descriptors are in its memory. */
TEST_F(end, pipe_is_posted)
{
	struct io_uring_sqe *sqe = end_add(self);
	int fds[2] = { -1, -1 };

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_PIPE;
	sqe->addr = (unsigned long)fds;
	sqe->user_data = CHILD;
	end_added(self, sqe);
	self->skel->bss->stop_at_start = 1;
	end_submit();
	ASSERT_CQE(&self->ring, CHILD, 0);
	ASSERT_EQ(0, close(fds[0]));
	ASSERT_EQ(0, close(fds[1]));
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
}

/* An ending flow issues nothing that could keep it alive. */
TEST_F(end, issue_refused)
{
	ASSERT_TRUE(end_feed(self, 2));
	end_add_recvs(self, 2);
	self->skel->bss->stop_at = CHILD;
	iou_prep_nop(&self->skel->bss->late, 0, 0, LATE);
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
	int fd = dup(self->ends[0][0]);

	ASSERT_LE(0, fd);
	end_add_recvs(self, 2);
	io_uring_prep_close(&self->skel->bss->late, fd);
	self->skel->bss->late.user_data = LATE;
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
		ASSERT_EQ(ev[i].user_data == LATE ? 0 : -ECANCELED, ev[i].res);
	}
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

/*
 * Two flows that have ended wait for time. Their program is detached, and then another
 * child of the second one completes.
 */
TEST_F(end, detached_while_waiting)
{
	bpf_link__destroy(self->link);
	self->link = IOU_ATTACH(self->skel->progs.end_slowly, &self->ring, 0);
	for (int i = 0; i < 4; i++)
		end_add_nop(self, IORING_NOP_TW);
	io_uring_prep_shutdown(&self->skel->bss->late, self->ends[0][0], SHUT_WR);
	self->skel->bss->late.user_data = LATE;
	self->skel->bss->spin = MS;
	for (int i = 0; i < 2; i++)
		iou_queue_bpf(&self->ring, 0, FLOW)->off = i;
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_late));
	usleep(IOU_IDLE_MS * 1000);
	ASSERT_EQ(0, bpf_link__detach(self->link));
	for (int i = 0; i < 2; i++)
		ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
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
