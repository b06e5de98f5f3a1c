// SPDX-License-Identifier: GPL-2.0
/* Zero-copy sends of a flow, and their notifications */
#include <pthread.h>
#include <sys/uio.h>

#include "aux_tcp.h"

#define ASSERT_NOTIFIED(n, _opcode) do {				\
	ASSERT_AUX(n, _opcode, 0);					\
	ASSERT_EQ(IORING_CQE_F_NOTIF, aux_event(self, n)->cflags);	\
	ASSERT_EQ(0, aux_event(self, n)->nr_children);			\
} while (0)

/* The flow waits for the notification. Neither completion posts a CQE. */
static void send_and_check(struct __test_metadata *_metadata,
			   FIXTURE_DATA(aux) *self, __u8 opcode, int res)
{
	char got[LEN];

	aux_start();
	ASSERT_CQE(&self->ring, FLOW, res);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, aux_nr_events(self));
	ASSERT_SENT(1, opcode, LEN);
	ASSERT_NOTIFIED(2, opcode);
	ASSERT_EQ(LEN, recv(receiver, got, LEN, MSG_WAITALL));
	ASSERT_EQ(0, memcmp(got, data, LEN));
}

TEST_F(aux, send_zc_notification)
{
	ASSERT_EQ(0, tcp_connect());
	memset(data, 'z', LEN);
	prep_send(self);
	send_and_check(_metadata, self, IORING_OP_SEND_ZC, 0);
}

TEST_F(aux, sendmsg_zc)
{
	struct iovec iov = { data, LEN };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, tcp_connect());
	sqe = prep_send(self);
	sqe->opcode = IORING_OP_SENDMSG_ZC;
	sqe->addr = (unsigned long)&msg;
	sqe->len = 1;
	send_and_check(_metadata, self, IORING_OP_SENDMSG_ZC, 0);
}

/* The uppermost bit, which reports a copy, is not a failure. */
TEST_F(aux, copied_is_no_failure)
{
	ASSERT_EQ(0, tcp_connect());
	prep_send(self)->ioprio = IORING_SEND_ZC_REPORT_USAGE;
	aux_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, aux_nr_events(self));
	ASSERT_SENT(1, IORING_OP_SEND_ZC, LEN);
	ASSERT_AUX(2, IORING_OP_SEND_ZC, (int)IORING_NOTIF_USAGE_ZC_COPIED);
}

/* The chain is cut before the send, so the notification comes at once. */
TEST_F(aux, send_zc_in_cut_chain)
{
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, tcp_connect());
	sqe = aux_sqe(self, 1, CHILD);
	*sqe = *prep_send(self);
	sqe = aux_sqe(self, 0, CHILD);
	iou_prep_nop(sqe, -EIO, 0, CHILD);
	sqe->flags = IOSQE_IO_LINK;
	self->skel->bss->nr_sqes = 2;
	aux_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, aux_nr_events(self));
	ASSERT_LAST(1, -EIO);
	/* the send and the notification */
	ASSERT_EQ(2, aux_event(self, 1)->nr_children);
	ASSERT_LAST(2, -ECANCELED);
	ASSERT_NOTIFIED(3, IORING_OP_SEND_ZC);
}

TEST_F(aux, send_zc_fixed)
{
	struct iovec iov = { data, LEN };
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, tcp_connect());
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	sqe = prep_send(self);
	sqe->ioprio = IORING_RECVSEND_FIXED_BUF;
	send_and_check(_metadata, self, IORING_OP_SEND_ZC, 0);
}

TEST_F(aux, send_zc_in_io_wq)
{
	ASSERT_EQ(0, tcp_connect());
	prep_send(self)->flags = IOSQE_ASYNC;
	send_and_check(_metadata, self, IORING_OP_SEND_ZC, 0);
}

/* Post both, like an application's send. */
TEST_F(aux, send_zc_posted)
{
	ASSERT_EQ(0, tcp_connect());
	prep_send(self)->addr3 = OTHER;
	self->skel->bss->verdict = BPF_IO_URING_POST;
	aux_step(self, 2)->cqes = 1;
	aux_start();
	ASSERT_CQE_FLAGS(&self->ring, CHILD, LEN, IORING_CQE_F_MORE);
	ASSERT_CQE(&self->ring, AUX_MARKER, 0);
	ASSERT_CQE_FLAGS(&self->ring, OTHER, 0, IORING_CQE_F_NOTIF);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
}

/*
 * The preparation has allocated a notification, which completes without the
 * send.
 */
TEST_F(aux, send_zc_refused)
{
	ASSERT_EQ(0, tcp_connect());
	prep_send(self)->ioprio = 1U << 15;
	aux_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, aux_nr_events(self));
	ASSERT_SENT(1, IORING_OP_SEND_ZC, -EINVAL);
	ASSERT_NOTIFIED(2, IORING_OP_SEND_ZC);
}

/* The preparation failed before the allocation. */
TEST_F(aux, send_zc_not_prepared)
{
	prep_send(self)->flags = 1U << 7;
	aux_start();
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, aux_nr_events(self));
	ASSERT_LAST(1, -EINVAL);
}

TEST_F(aux, send_zc_without_file)
{
	prep_send(self)->fd = -1;
	aux_start();
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, aux_nr_events(self));
	ASSERT_SENT(1, IORING_OP_SEND_ZC, -EBADF);
	ASSERT_NOTIFIED(2, IORING_OP_SEND_ZC);
}

/* A notification cannot be reissued. */
TEST_F(aux, notification_is_not_issued_again)
{
	ASSERT_EQ(0, tcp_connect());
	prep_send(self);
	aux_step(self, 2)->again = 1;
	send_and_check(_metadata, self, IORING_OP_SEND_ZC, -EOPNOTSUPP);
	ASSERT_EQ(-EOPNOTSUPP, self->skel->bss->again_ret);
}

static void *drain_fn(void *arg)
{
	char buf[LEN];

	usleep(IOU_IDLE_MS * 2000);
	while (recv(receiver, buf, LEN, 0) > 0)
		;
	return NULL;
}

/*
 * A wait for several CQEs sleeps until as many completions are possible. Here
 * the program posts all of them, after the notification.
 */
TEST_F(aux, lazy_wake)
{
	pthread_t thread;

	ASSERT_EQ(0, tcp_connect());
	ASSERT_TRUE(tcp_fill());
	prep_send(self);
	aux_step(self, 2)->cqes = 3;
	aux_start();
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, aux_nr_events(self));
	ASSERT_EQ(0, pthread_create(&thread, NULL, drain_fn, NULL));
	ASSERT_EQ(0, iou_wait_nr(&self->ring, 4));
	for (int i = 0; i < 3; i++)
		ASSERT_CQE(&self->ring, AUX_MARKER + i, i);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(0, shutdown(sender, SHUT_RDWR));
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

/* The kernel uses the memory until the notification, however the flow ends. */
static void end_early(struct __test_metadata *_metadata,
		      FIXTURE_DATA(aux) *self, bool cancel)
{
	pthread_t thread;

	ASSERT_EQ(0, tcp_connect());
	ASSERT_TRUE(tcp_fill());
	prep_send(self);
	aux_step(self, 1)->end = cancel ? 0 : 7;
	aux_start();
	if (cancel) {
		ASSERT_TRUE(aux_until(self, 2));
		aux_queue_cancel(self, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, CANCEL, 0);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, pthread_create(&thread, NULL, drain_fn, NULL));
	ASSERT_CQE(&self->ring, FLOW, cancel ? -ECANCELED : 7);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(cancel ? 3 : 2, aux_nr_events(self));
	ASSERT_EQ(0, shutdown(sender, SHUT_RDWR));
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

TEST_F(aux, flow_waits_for_notification)
{
	end_early(_metadata, self, false);
}

TEST_F(aux, cancelled_flow_waits_for_notification)
{
	end_early(_metadata, self, true);
}

TEST_HARNESS_MAIN
