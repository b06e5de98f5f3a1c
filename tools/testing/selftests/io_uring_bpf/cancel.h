/* SPDX-License-Identifier: GPL-2.0 */
/* A flow that waits for a pipe, for the tests of cancellation */
#ifndef IOU_CANCEL_H
#define IOU_CANCEL_H

#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "cancel.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define CANCEL	0xca4cULL
#define OTHER	0x07e4ULL
#define TIMEOUT	0x71e0ULL

#define LEN	16

FIXTURE(cancel) {
	struct io_uring ring;
	struct cancel *skel;
	struct bpf_link *link;
	/* sqes[0] reads from this pipe */
	int pipe[2];
	char buf[LEN];
	struct __kernel_timespec ts;
};

IOU_MODE_VARIANTS(cancel);
IOU_LOAD_ONCE(cancel);

FIXTURE_SETUP(cancel)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe2(self->pipe, O_NONBLOCK));
	/*
	 * the file must not be non-blocking, or reads fail instead of waiting
	 */
	ASSERT_EQ(0, fcntl(self->pipe[0], F_SETFL, 0));
	self->skel = cancel_get();
	ASSERT_NE(NULL, self->skel);
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], self->buf, LEN,
		      0, CHILD);
	self->skel->bss->nr_sqes = 1;
}

FIXTURE_TEARDOWN(cancel)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
}

static inline struct io_uring_sqe *
cancel_queue(FIXTURE_DATA(cancel) *self, __u64 user_data, unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	io_uring_prep_cancel64(sqe, user_data, flags);
	sqe->user_data = CANCEL;
	return sqe;
}

static inline struct io_uring_sqe *
cancel_queue_timeout(FIXTURE_DATA(cancel) *self, unsigned int ms)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	self->ts.tv_sec = ms / 1000;
	self->ts.tv_nsec = ms % 1000 * 1000000;
	io_uring_prep_link_timeout(sqe, &self->ts, 0);
	sqe->user_data = TIMEOUT;
	return sqe;
}

/* What a cancellation searches for, and its expected effect */
struct cancel_case {
	const char	*name;
	unsigned int	flags;
	__u64		user_data;
	__u8		opcode;
	/* index into a table of the test */
	unsigned int	fd;
	/* result of the cancellation */
	int		ret;
	/* number of matching requests, returned or not */
	int		nr;
	unsigned int	of;
};

/*
 * Cancel by a system call, or by a request, whose CQE is the first one: the CQE
 * of a flow requires its task work. Return the result of the cancellation.
 */
static inline int cancel_now(FIXTURE_DATA(cancel) *self,
			     const struct cancel_case *c, int fd, bool sync)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	int ret;

	if (sync)
		return iou_sync_cancel(&self->ring, c->user_data, c->flags, fd,
				       c->opcode);
	sqe = cancel_queue(self, c->user_data, c->flags);
	sqe->fd = fd;
	sqe->len = c->opcode;
	iou_submit(&self->ring);
	ret = iou_wait_cqe(&self->ring, &cqe);
	if (ret)
		return ret;
	return cqe.user_data == CANCEL ? cqe.res : -EPROTO;
}

/* Return true if no request reads from the pipe: written data stays there. */
static inline bool cancel_pipe_unused(FIXTURE_DATA(cancel) *self)
{
	char buf[LEN];

	if (write(self->pipe[1], "left", 4) != 4)
		return false;
	return read(self->pipe[0], buf, LEN) == 4 && !memcmp(buf, "left", 4);
}

#endif
