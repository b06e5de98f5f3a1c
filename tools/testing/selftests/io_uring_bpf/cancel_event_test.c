// SPDX-License-Identifier: GPL-2.0
/* The last event of a cancelled flow */
#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "cancel_event.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define CANCEL	0xca4cULL
#define OTHER	0x07e4ULL

/* limit of CQEs per run */
#define MAX_CQES	16
#define NR_FLOWS	6

FIXTURE(cancel_event) {
	struct io_uring ring;
	struct cancel_event *skel;
	struct bpf_link *link;
	/* the child of the flow reads from this pipe */
	int pipe[2];
	char buf[4];
};

IOU_MODE_VARIANTS(cancel_event);
IOU_LOAD_ONCE(cancel_event);

FIXTURE_SETUP(cancel_event)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = cancel_event_get();
	ASSERT_NE(NULL, self->skel);
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], self->buf, 4, 0,
		      CHILD);
	self->skel->bss->nr_sqes = 1;
	self->link = IOU_ATTACH(self->skel->progs.cancel_event, &self->ring, 0);
}

FIXTURE_TEARDOWN(cancel_event)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	if (self->ring.ring_fd >= 0)
		io_uring_queue_exit(&self->ring);
}

static struct io_uring_sqe *queue_cancel(FIXTURE_DATA(cancel_event) *self,
					 __u64 user_data, unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	io_uring_prep_cancel64(sqe, user_data, flags);
	sqe->user_data = CANCEL;
	return sqe;
}

static void start(struct __test_metadata *_metadata,
		  FIXTURE_DATA(cancel_event) *self)
{
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

/*
 * Check that event @n belongs to a flow with one child that is not cancelled
 * yet.
 */
#define ASSERT_CANCEL_EVENT(n) do {					\
	struct iou_event *__ev = &self->skel->bss->events[n];		\
									\
	ASSERT_EQ(BPF_IO_URING_CANCEL, __ev->event);			\
	ASSERT_EQ(FLOW, __ev->user_data);				\
	ASSERT_EQ(FLOW, __ev->flow_user_data);				\
	ASSERT_EQ(-ECANCELED, __ev->res);				\
	ASSERT_EQ(0, __ev->cflags);					\
	ASSERT_EQ(IORING_OP_BPF, __ev->opcode);				\
	ASSERT_EQ(BPF_IO_URING_F_ENDING, __ev->flags);			\
	ASSERT_EQ(1, __ev->nr_children);				\
} while (0)

#define ASSERT_CANCELLED() do {						\
	struct io_uring_cqe __cqes[2];					\
									\
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, __cqes, 2));		\
	ASSERT_HAS_CQE(__cqes, 2, FLOW, -ECANCELED);			\
	ASSERT_NE(NULL, iou_find_cqe(__cqes, 2, CANCEL));		\
	ASSERT_NO_CQE(&self->ring);					\
	ASSERT_EQ(2, self->skel->bss->nr_events);			\
	ASSERT_CANCEL_EVENT(1);						\
} while (0)

/* Issuing and ending the flow fail during CANCEL. */
TEST_F(cancel_event, what_is_refused)
{
	self->skel->bss->nr_cqes = 1;
	start(_metadata, self);
	queue_cancel(self, FLOW, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < 3; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		/* the state is preserved: START has set 1 */
		ASSERT_EQ(cqe.user_data == FLOW + 1 ? 2 :
			  cqe.user_data == FLOW ? -ECANCELED : 0, cqe.res);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_CANCEL_EVENT(1);
	ASSERT_EQ(-ECANCELED, self->skel->bss->issue_ret);
	ASSERT_EQ(-ECANCELED, self->skel->bss->again_ret);
	ASSERT_EQ(-EALREADY, self->skel->bss->complete_ret);
	ASSERT_EQ(0, self->skel->bss->post_ret);
}

/* The verdict is ignored, as there is no completion. */
TEST_F(cancel_event, verdict_is_ignored)
{
	for (int i = 0; i <= BPF_IO_URING_DROP_BUF; i++) {
		self->skel->bss->nr_events = 0;
		self->skel->bss->verdict = i;
		start(_metadata, self);
		queue_cancel(self, FLOW, 0);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CANCELLED();
	}
}

TEST_F(cancel_event, any)
{
	start(_metadata, self);
	queue_cancel(self, 0, IORING_ASYNC_CANCEL_ANY);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CANCELLED();
}

TEST_F(cancel_event, opcode)
{
	start(_metadata, self);
	queue_cancel(self, 0, IORING_ASYNC_CANCEL_OP |
		     IORING_ASYNC_CANCEL_ALL)->len = IORING_OP_BPF;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CANCELLED();
}

TEST_F(cancel_event, sync)
{
	start(_metadata, self);
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, FLOW, 0, -1, 0));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_CANCEL_EVENT(1);
}

TEST_F(cancel_event, link_timeout)
{
	struct __kernel_timespec ts = { .tv_nsec = 20000000 };
	struct io_uring_sqe *sqe;

	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_link_timeout(sqe, &ts, 0);
	sqe->user_data = CANCEL;
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CANCELLED();
}

/*
 * The flow is found once, its chain fails at once, and it ends after CANCEL,
 * when nothing of it is in flight.
 */
TEST_F(cancel_event, cancel_in_three_steps)
{
	struct io_uring_cqe cqes[4];

	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_HARDLINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));
	queue_cancel(self, FLOW, 0);
	queue_cancel(self, FLOW, 0)->user_data = CANCEL + 1;
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	ASSERT_HAS_CQE(cqes, 4, CANCEL, 0);
	ASSERT_HAS_CQE(cqes, 4, CANCEL + 1, -ENOENT);
	ASSERT_HAS_CQE(cqes, 4, OTHER, -ECANCELED);
	ASSERT_EQ(FLOW, cqes[3].user_data);
	ASSERT_EQ(-ECANCELED, cqes[3].res);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_CANCEL_EVENT(1);
	/* no request reads from the pipe any more */
	ASSERT_EQ(4, write(self->pipe[1], "left", 4));
	ASSERT_EQ(4, read(self->pipe[0], self->buf, 4));
}

/* There is no CANCEL for a flow whose program has not run. */
TEST_F(cancel_event, not_started)
{
	struct io_uring_cqe cqes[2];

	iou_queue_bpf(&self->ring, 0, FLOW);
	queue_cancel(self, FLOW, 0);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_EQ(0, self->skel->bss->nr_events);
}

/*
 * The child is ready before the cancellation. With DEFER_TASKRUN, it has read nothing by
 * then, and its completion is an event of the ending flow. Otherwise, the flow has ended
 * by then. An SQ thread handles these in any order.
 */
TEST_F(cancel_event, child_has_completed)
{
	bool defer = variant->setup & IORING_SETUP_DEFER_TASKRUN;
	struct cancel_event__bss *bss = self->skel->bss;
	struct io_uring_cqe cqes[2];
	unsigned int nr_cancel;

	bss->log_ending = 1;
	start(_metadata, self);
	queue_cancel(self, FLOW, 0);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_NO_CQE(&self->ring);
	nr_cancel = bss->nr_cancel;
	if (!(variant->setup & IORING_SETUP_SQPOLL))
		ASSERT_EQ(defer ? 1 : 0, nr_cancel);
	ASSERT_HAS_CQE(cqes, 2, FLOW, nr_cancel ? -ECANCELED : 0);
	ASSERT_HAS_CQE(cqes, 2, CANCEL, nr_cancel ? 0 : -ENOENT);
	/* START, the child, and CANCEL */
	ASSERT_EQ(2 + nr_cancel, bss->nr_events);
	for (unsigned int i = 1; i < bss->nr_events; i++) {
		struct iou_event *ev = &bss->events[i];

		if (ev->event == BPF_IO_URING_CANCEL)
			continue;
		ASSERT_EQ(CHILD, ev->user_data);
		ASSERT_EQ(nr_cancel ? -ECANCELED : 4, ev->res);
		ASSERT_EQ(BPF_IO_URING_F_CHILD | (nr_cancel ? BPF_IO_URING_F_ENDING : 0),
			  ev->flags);
	}
	if (nr_cancel)
		ASSERT_EQ(4, read(self->pipe[0], self->buf, 4));
	ASSERT_EQ(0, memcmp(self->buf, "data", 4));
}

/*
 * Let the program end the flow at @event, and cancel the flow in the same run, by a
 * request of the application. The flow keeps its result, and there is no CANCEL. The
 * last event is the completion of the child that reads, if there is one.
 */
static void complete_and_cancel(struct __test_metadata *_metadata,
				FIXTURE_DATA(cancel_event) *self, __u32 event, int res)
{
	struct cancel_event__bss *bss = self->skel->bss;
	struct iou_event *last = &bss->events[bss->nr_sqes];
	struct io_uring_cqe cqes[3];

	bss->log_ending = 1;
	bss->end_at = event;
	bss->end_res = res;
	bss->cancel_ud = CANCEL;
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.cancel_completed));
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_EQ(0, bss->issue_ret);
	ASSERT_EQ(0, bss->complete_ret);
	ASSERT_HAS_CQE(cqes, 3, FLOW, res);
	ASSERT_HAS_CQE(cqes, 3, CANCEL, -ENOENT);
	/* the result decides about the chain */
	ASSERT_HAS_CQE(cqes, 3, OTHER, res < 0 ? -ECANCELED : 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, bss->nr_cancel);
	ASSERT_EQ(1 + bss->nr_sqes, bss->nr_events);
	if (bss->nr_sqes) {
		ASSERT_EQ(CHILD, last->user_data);
		ASSERT_EQ(-ECANCELED, last->res);
		ASSERT_EQ(BPF_IO_URING_F_CHILD | BPF_IO_URING_F_NEXT |
			  BPF_IO_URING_F_ENDING, last->flags);
	}
	/* the pipe has no reader left */
	ASSERT_EQ(4, write(self->pipe[1], "left", 4));
	ASSERT_EQ(4, read(self->pipe[0], self->buf, 4));
}

TEST_F(cancel_event, completed_at_start)
{
	self->skel->bss->nr_sqes = 0;
	complete_and_cancel(_metadata, self, BPF_IO_URING_START, 5);
}

/* The child was staged before the end of the flow: it is issued, and then cancelled. */
TEST_F(cancel_event, completed_at_start_with_child)
{
	complete_and_cancel(_metadata, self, BPF_IO_URING_START, 5);
}

/* The end of the flow cancels the other child, which is in flight. */
TEST_F(cancel_event, completed_with_child_in_flight)
{
	iou_prep_nop(&self->skel->bss->sqes[1], 0, 0, CHILD + 1);
	self->skel->bss->nr_sqes = 2;
	complete_and_cancel(_metadata, self, BPF_IO_URING_COMPLETE, 5);
}

/* The cancellation does not replace an error that the program has chosen. */
TEST_F(cancel_event, completed_with_error)
{
	iou_prep_nop(&self->skel->bss->sqes[1], 0, 0, CHILD + 1);
	self->skel->bss->nr_sqes = 2;
	complete_and_cancel(_metadata, self, BPF_IO_URING_COMPLETE, -EIO);
}

TEST_F(cancel_event, detach)
{
	start(_metadata, self);
	ASSERT_EQ(0, bpf_link__detach(self->link));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

/* The next program of the slot does not see the flow of the previous one. */
TEST_F(cancel_event, replaced_meanwhile)
{
	if (!(variant->setup & IORING_SETUP_DEFER_TASKRUN))
		SKIP(return, "requires IORING_SETUP_DEFER_TASKRUN");
	start(_metadata, self);
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, FLOW, 0, -1, 0));
	bpf_link__destroy(self->link);
	self->link = IOU_ATTACH(self->skel->progs.cancel_event, &self->ring, 0);
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

TEST_F(cancel_event, close_ring)
{
	start(_metadata, self);
	io_uring_queue_exit(&self->ring);
	self->ring.ring_fd = -1;
	/* the pipe has no reader when the child is gone */
	close(self->pipe[0]);
	self->pipe[0] = -1;
	ASSERT_TRUE(iou_fd_gets(self->pipe[1], POLLERR, IOU_WAIT_MS));
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

/*
 * More flows than there is room in the CQ for the CQEs that their programs post
 */
TEST_F(cancel_event, many)
{
	const int nr = NR_FLOWS;
	int found[NR_FLOWS][MAX_CQES + 1] = {};
	struct io_uring_cqe cqe;

	self->skel->bss->nr_cqes = MAX_CQES;
	for (int i = 0; i < nr; i++)
		iou_queue_bpf(&self->ring, 0, FLOW + i * 0x100);
	ASSERT_EQ(nr, iou_submit(&self->ring));
	queue_cancel(self, 0, IORING_ASYNC_CANCEL_OP |
		     IORING_ASYNC_CANCEL_ALL)->len = IORING_OP_BPF;
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < nr * (MAX_CQES + 1) + 1; i++) {
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		if (cqe.user_data == CANCEL) {
			ASSERT_EQ(nr, cqe.res);
			continue;
		}
		ASSERT_GT(nr, (cqe.user_data - FLOW) / 0x100);
		found[(cqe.user_data - FLOW) / 0x100][(cqe.user_data - FLOW) % 0x100]++;
	}
	ASSERT_NO_CQE(&self->ring);
	for (int i = 0; i < nr; i++) {
		for (int j = 0; j <= MAX_CQES; j++)
			ASSERT_EQ(1, found[i][j]);
	}
	ASSERT_EQ(nr, self->skel->bss->nr_cancel);
}

TEST_HARNESS_MAIN
