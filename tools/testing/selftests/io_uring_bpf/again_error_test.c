// SPDX-License-Identifier: GPL-2.0
/* Children that cannot be reissued */
#include "again.h"

#include <sys/stat.h>

#define GROUP	5

/* number of runs if the child completes once */
#define CHILD_DONE	2

/* Run a flow that ends with the result of its last child. */
#define again_run_any() do {						\
	struct io_uring_cqe __cqe = {};					\
									\
	again_start();							\
	ASSERT_EQ(1, iou_submit(&self->ring));			\
	ASSERT_EQ(0, iou_wait_cqe(&self->ring, &__cqe));		\
	ASSERT_EQ(FLOW, __cqe.user_data);				\
} while (0)

static void again_prep_buffers(FIXTURE_DATA(again) *self)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	io_uring_prep_provide_buffers(sqe, self->got, BLOCK, 2, GROUP, 0);
	sqe->user_data = OTHER;
}

TEST_F(again, at_start)
{
	again_attach(again_at_first);
	again_add_step(self, 0, NULL, 0);
	again_run(-EINVAL);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(-EINVAL, self->skel->bss->steps[0].ret);
	ASSERT_EQ(BPF_IO_URING_START, self->skel->bss->events[0].event);
}

/* The request before the flow is not a child. */
TEST_F(again, request_before)
{
	struct io_uring_sqe *sqe;

	again_attach(again_at_first);
	again_add_step(self, 0, NULL, 0);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, 3, 0, OTHER);
	sqe->flags = IOSQE_IO_LINK;
	again_start();
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, OTHER, 3);
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(-EINVAL, self->skel->bss->steps[0].ret);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_EQ(0, self->skel->bss->events[0].flags);
}

enum { NOP, NOP_PLAIN, SEND, RECV, NR_KINDS };

static const struct {
	int kind;
	__u64 off;
	__u64 addr;
	__u32 len;
} bad_arguments[] = {
	{ NOP, 1, 0, 0 }, { NOP, 1ULL << 63, 0, 0 },
	{ NOP, 0, 1, 0 }, { NOP, 0, 1ULL << 63, 0 },
	{ NOP_PLAIN, 0, 0, 1 }, { NOP_PLAIN, 0, 1, 0 }, { NOP_PLAIN, 1, 0, 0 },
	{ SEND, 1, 0, 1 }, { SEND, ~0ULL, 0, 1 }, { SEND, 0, 0, 1U << 31 },
	{ SEND, 0, 0, ~0U },
	{ RECV, 1, 0, 1 }, { RECV, ~0ULL, 0, 1 }, { RECV, 0, 0, 1U << 31 },
	{ RECV, 0, 0, ~0U },
};

static void prep_kind(FIXTURE_DATA(again) *self, struct io_uring_sqe *sqe,
		      int kind)
{
	if (kind <= NOP_PLAIN)
		sqe->opcode = IORING_OP_NOP;
	if (kind == NOP)
		sqe->nop_flags = IORING_NOP_INJECT_RESULT;
	if (kind == SEND)
		io_uring_prep_send(sqe, self->sock[0], self->data, 1, 0);
	if (kind == RECV)
		io_uring_prep_recv(sqe, self->sock[1], self->got, 1, 0);
}

/*
 * Arguments that the opcode does not use or does not accept. The failure is an
 * ordinary completion, and the child can be reissued afterwards.
 */
TEST_F(again, bad_arguments)
{
	again_attach(again_steps);
	for (int kind = 0; kind < NR_KINDS; kind++) {
		const bool nop = kind <= NOP_PLAIN;
		int nr = 0;

		again_reset(self);
		prep_kind(self, again_add_child(self), kind);
		for (size_t i = 0; i < ARRAY_SIZE(bad_arguments); i++) {
			if (bad_arguments[i].kind != kind)
				continue;
			again_add_step(self, bad_arguments[i].off, NULL,
				       bad_arguments[i].len)->addr =
				bad_arguments[i].addr;
			nr++;
		}
		again_add_step(self, 0, nop ? NULL : kind == SEND ? self->data :
			       self->got, !!nr && kind != NOP_PLAIN);
		again_run(0);
		ASSERT_NO_CQE(&self->ring);
		again_expect_steps();
		again_expect_res(0, !nop);
		for (int i = 1; i <= nr; i++)
			again_expect_res(i, -EINVAL);
		again_expect_res(1 + nr, kind != NOP_PLAIN);
	}
}

static struct __kernel_timespec ts = { .tv_nsec = 1000 };
static struct iovec iov;
static struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
static struct statx statx_buf;

/* Prepare request @n with an opcode that does not support a reissue. */
static bool again_prep_other(FIXTURE_DATA(again) *self,
			     struct io_uring_sqe *sqe, int n)
{
	iov = (struct iovec) { self->got, 1 };
	switch (n) {
	case 0:
		io_uring_prep_fsync(sqe, self->fd, 0);
		return true;
	case 1:
		io_uring_prep_openat(sqe, AT_FDCWD, "/no/such/file", 0, 0);
		return true;
	case 2:
		io_uring_prep_timeout(sqe, &ts, 0, 0);
		return true;
	case 3:
		io_uring_prep_poll_add(sqe, self->pipe[1], POLLOUT);
		return true;
	case 4:
		io_uring_prep_cancel64(sqe, 0x404, 0);
		return true;
	case 5:
		io_uring_prep_statx(sqe, AT_FDCWD, "/", 0, STATX_SIZE,
				    &statx_buf);
		return true;
	case 6:
		io_uring_prep_sendmsg(sqe, self->sock[0], &msg, 0);
		return true;
	case 7:
		io_uring_prep_recvmsg(sqe, self->sock[1], &msg, 0);
		return true;
	case 8:
		io_uring_prep_provide_buffers(sqe, self->got, 64, 1, GROUP, 0);
		return true;
	case 9:
		io_uring_prep_fallocate(sqe, self->fd, 0, 0, BLOCK);
		return true;
	case 10:
		io_uring_prep_close(sqe, 12345);
		return true;
	}
	return false;
}

TEST_F(again, other_opcodes)
{
	again_attach(again_at_child);
	for (int n = 0;; n++) {
		struct io_uring_sqe *sqe;

		again_reset(self);
		sqe = again_add_child(self);
		if (!again_prep_other(self, sqe, n))
			break;
		again_add_step(self, 0, NULL, 0);
		again_run_any();
		ASSERT_EQ(CHILD_DONE, self->skel->bss->nr_events)
			TH_LOG("opcode %d", sqe->opcode);
		EXPECT_EQ(-EOPNOTSUPP, self->skel->bss->steps[0].ret)
			TH_LOG("opcode %d", sqe->opcode);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* The kernel selects the buffer, and would have to select another one. */
TEST_F(again, buffer_select)
{
	struct io_uring_sqe *sqe;

	again_prep_buffers(self);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, OTHER, 0);
	again_attach(again_at_child);
	sqe = again_add_read(self, self->fd, NULL, 16, 0);
	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	again_add_step(self, 16, self->got, 16);
	again_start();
	ASSERT_EQ(1, iou_submit(&self->ring));
	/* only the CQE has the id of the buffer */
	ASSERT_CQE_FLAGS(&self->ring, CHILD, 16, IORING_CQE_F_BUFFER |
			 again_event(self, 0)->cflags);
	ASSERT_CQE(&self->ring, FLOW, -EOPNOTSUPP);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(CHILD_DONE, self->skel->bss->nr_events);
	ASSERT_EQ(-EOPNOTSUPP, self->skel->bss->steps[0].ret);
}

/* Refused requests stay refused, and are never issued. */
TEST_F(again, failed_preparation)
{
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	for (int i = 0; i < 5; i++) {
		struct io_uring_sqe *sqe;

		again_reset(self);
		again_attach(again_at_child);
		sqe = again_add_read(self, self->pipe[0], self->got, 16, 0);
		if (i == 0)
			sqe->attr_type_mask = 1ULL << 63;
		if (i == 1)
			sqe->personality = 4711;
		if (i == 2)
			sqe->flags = 0x80;
		if (i == 3)
			sqe->ioprio = 0xffff;
		if (i == 4)
			iou_prep_nop(sqe, 0, 1U << 31, CHILD);
		/* an arbitrary value in place of the fd */
		again_add_step(self, 0, self->got, self->pipe[0]);
		/* a reissue would not end */
		again_run_any();
		ASSERT_EQ(CHILD_DONE, self->skel->bss->nr_events);
		ASSERT_GT(0, again_event(self, 0)->res);
		ASSERT_GT(0, self->skel->bss->steps[0].ret)
			TH_LOG("case %d", i);
		bpf_link__destroy(self->link);
		self->link = NULL;
	}
	ASSERT_EQ(4, read(self->pipe[0], self->got, 16));
}

/* There was no file, and there still is none. */
TEST_F(again, bad_fd)
{
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	again_attach(again_at_child);
	again_add_read(self, 12345, self->got, 16, 0);
	again_add_step(self, 0, self->got, self->pipe[0]);
	again_run(-EBADF);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(CHILD_DONE, self->skel->bss->nr_events);
	again_expect_res(0, -EBADF);
	ASSERT_GT(0, self->skel->bss->steps[0].ret);
	ASSERT_EQ(4, read(self->pipe[0], self->got, 16));
}

TEST_HARNESS_MAIN
