// SPDX-License-Identifier: GPL-2.0
/* A flow that accepts connections with one request */
#include <poll.h>

#include "aux.h"

/* Check that event @n has an fd, and close it. */
#define ASSERT_ACCEPTED(n) do {						\
	int __fd = aux_event(self, n)->res;				\
									\
	ASSERT_AUX(n, IORING_OP_ACCEPT, __fd);				\
	ASSERT_TRUE(aux_event(self, n)->cflags & IORING_CQE_F_MORE);	\
	ASSERT_EQ(1, aux_event(self, n)->nr_children);			\
	ASSERT_EQ(0, close(__fd));					\
} while (0)

/* The same for a CQE */
static bool close_cqe_fd(const struct io_uring_cqe *cqe)
{
	return cqe->user_data == CHILD && cqe->res >= 0 && !close(cqe->res);
}

static void connect_each(struct __test_metadata *_metadata,
			 FIXTURE_DATA(aux) *self, int nr)
{
	for (int i = 0; i < nr; i++) {
		int fd = aux_connect(self);

		ASSERT_LE(0, fd);
		ASSERT_TRUE(aux_until(self, 2 + i));
		ASSERT_ACCEPTED(1 + i);
		close(fd);
	}
}

TEST_F(aux, accept)
{
	aux_prep_accept(self);
	aux_start();
	connect_each(_metadata, self, 3);
	ASSERT_NO_CQE(&self->ring);

	aux_queue_cancel(self, CHILD);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, CANCEL, 0);
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(5, aux_nr_events(self));
	ASSERT_LAST(4, -ECANCELED);
	ASSERT_EQ(0, aux_event(self, 4)->nr_children);
}

TEST_F(aux, accept_sleepable)
{
	aux_prep_accept(self);
	aux_start_prog(aux_flow_s);
	connect_each(_metadata, self, 3);
	aux_cancel_flow();
	ASSERT_EQ(1, self->skel->bss->nr_cancel);
}

/* CQEs of the program precede the CQE of the event. */
TEST_F(aux, accept_posted)
{
	struct io_uring_cqe cqe;

	aux_prep_accept(self);
	self->skel->bss->verdict = BPF_IO_URING_POST;
	aux_step(self, 2)->cqes = 2;
	aux_step(self, 3)->verdict = BPF_IO_URING_DROP;
	aux_step(self, 3)->cqes = 1;
	aux_start();
	for (int i = 0; i < 3; i++) {
		int fd = aux_connect(self);

		ASSERT_LE(0, fd);
		ASSERT_TRUE(aux_until(self, 2 + i));
		for (int j = 0; j < aux_step(self, 1 + i)->cqes; j++)
			ASSERT_CQE(&self->ring, AUX_MARKER + j, j);
		if (i < 2) {
			ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
			ASSERT_EQ(CHILD, cqe.user_data);
			ASSERT_EQ(aux_event(self, 1 + i)->res, cqe.res);
			ASSERT_EQ(aux_event(self, 1 + i)->cflags, cqe.flags);
		}
		ASSERT_ACCEPTED(1 + i);
		close(fd);
	}
	ASSERT_NO_CQE(&self->ring);
	self->skel->bss->verdict = 0;
	aux_cancel_flow();
}

/* All connections at once, during the issue */
TEST_F(aux, accept_from_backlog)
{
	int fds[5];

	for (int i = 0; i < 5; i++)
		ASSERT_LE(0, fds[i] = aux_connect(self));
	aux_prep_accept(self);
	aux_start();
	ASSERT_TRUE(aux_until(self, 6));
	for (int i = 0; i < 5; i++) {
		ASSERT_ACCEPTED(1 + i);
		close(fds[i]);
	}
	ASSERT_NO_CQE(&self->ring);
	aux_cancel_flow();
}

/*
 * The handler accepts all connections before the program ends the flow with the
 * second one.
 */
TEST_F(aux, accept_ends_flow)
{
	struct io_uring_cqe cqes[3];
	int nr_accepted = 0;
	int fds[4];

	for (int i = 0; i < 4; i++)
		ASSERT_LE(0, fds[i] = aux_connect(self));
	aux_prep_accept(self);
	aux_step(self, 2)->end = 7;
	aux_start();
	/* the program does not decide about the others, and the application gets them */
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, FLOW, 7);
	for (int i = 0; i < 3; i++) {
		if (cqes[i].user_data == FLOW)
			continue;
		ASSERT_EQ(CHILD, cqes[i].user_data);
		ASSERT_TRUE(close_cqe_fd(&cqes[i]));
		ASSERT_EQ(0, cqes[i].flags & IORING_CQE_F_MORE);
		nr_accepted++;
	}
	ASSERT_EQ(2, nr_accepted);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, aux_nr_events(self));
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	close(aux_event(self, 1)->res);
	close(aux_event(self, 2)->res);
}

TEST_F(aux, accept_ends_flow_from_task_work)
{
	int fd;

	aux_prep_accept(self);
	aux_step(self, 1)->end = 7;
	aux_step(self, 1)->issue = 1;
	iou_prep_nop(aux_sqe(self, 1, 0), 0, 0, OTHER);
	aux_start();
	ASSERT_LE(0, fd = aux_connect(self));
	ASSERT_CQE(&self->ring, FLOW, 7);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, aux_nr_events(self));
	ASSERT_ACCEPTED(1);
	close(fd);
}

/* Only a completed request can be reissued. */
TEST_F(aux, accept_is_not_issued_again)
{
	int fd;

	aux_prep_accept(self);
	aux_step(self, 1)->again = 1;
	aux_start();
	ASSERT_LE(0, fd = aux_connect(self));
	ASSERT_TRUE(aux_until(self, 2));
	ASSERT_ACCEPTED(1);
	close(fd);
	ASSERT_EQ(-EOPNOTSUPP, self->skel->bss->again_ret);
	aux_cancel_flow();
}

/*
 * CQEs that do not fit end the request, as without a program. The flow waits
 * until these are in the CQ. Each connection is reported exactly once.
 */
TEST_F(aux, accept_overflow)
{
	struct pollfd pfd = { .fd = self->listen, .events = POLLIN };
	int fd;

	io_uring_queue_exit(&self->ring);
	ASSERT_EQ(0, iou_ring_init_size(&self->ring, variant->setup, 2, 2));
	aux_prep_accept(self);
	self->skel->bss->renew = 1;
	aux_start();
	for (int i = 0; i < 4; i++)
		iou_prep_nop(iou_get_sqe(&self->ring), i, 0, APP + i);
	ASSERT_LT(0, iou_submit(&self->ring));
	ASSERT_TRUE(iou_until(&self->ring, io_uring_cq_has_overflow(&self->ring)));

	ASSERT_LE(0, fd = aux_connect(self));
	ASSERT_TRUE(iou_until(&self->ring, !poll(&pfd, 1, 0)));
	ASSERT_EQ(1, aux_nr_events(self));

	for (int i = 0; i < 4; i++)
		ASSERT_CQE(&self->ring, APP + i, i);
	ASSERT_TRUE(aux_until(self, 2));
	ASSERT_LAST(1, aux_event(self, 1)->res);
	ASSERT_EQ(0, self->skel->bss->renew_ret);
	ASSERT_EQ(0, close(aux_event(self, 1)->res));
	close(fd);
	ASSERT_LE(0, fd = aux_connect(self));
	ASSERT_TRUE(aux_until(self, 3));
	ASSERT_ACCEPTED(2);
	close(fd);
	ASSERT_NO_CQE(&self->ring);
	close(aux_connect(self));
	ASSERT_TRUE(aux_until(self, 4));
	ASSERT_ACCEPTED(3);
	aux_cancel_flow();
}

TEST_HARNESS_MAIN
