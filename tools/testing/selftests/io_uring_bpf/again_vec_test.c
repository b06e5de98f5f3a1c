// SPDX-License-Identifier: GPL-2.0
/* Reissues with arrays of buffers, and the state that a request keeps */
#include "again.h"

#include <poll.h>

/* segments that need no allocation, and the limit */
#define FAST_IOV	8
#define MAX_IOV		1024

static struct iovec iovs[MAX_IOV + 1];

/* Fill in @nr segments of @buf, one after the other, each @len long. */
static struct iovec *slices(struct iovec *iov, char *buf, int nr, int len)
{
	for (int i = 0; i < nr; i++)
		iov[i] = (struct iovec) { buf + i * len, len };
	return iov;
}

static const int counts[] = {
	1, 2, FAST_IOV, FAST_IOV + 1, 3, 64, MAX_IOV, 1, 0, FAST_IOV + 1,
};

#define NR_COUNTS	((int)ARRAY_SIZE(counts))

/* Store @iov for call @n, which has counts[n] segments. */
static struct iovec **make_vecs(char *buf, int len)
{
	struct iovec **vecs = calloc(NR_COUNTS, sizeof(*vecs));

	for (int n = 0; vecs && n < NR_COUNTS; n++) {
		vecs[n] = calloc(counts[n] + 1, sizeof(struct iovec));
		slices(vecs[n], buf, counts[n], len);
	}
	return vecs;
}

static void free_vecs(struct iovec **vecs)
{
	for (int n = 0; n < NR_COUNTS; n++)
		free(vecs[n]);
	free(vecs);
}

/* Each call reads another part of the file, into counts[] segments. */
TEST_F(again, readv)
{
	const int len = 16;
	struct iovec **vecs;

	again_attach(again_steps);
	for (unsigned int flags = 0; flags <= IOSQE_ASYNC;
	     flags += IOSQE_ASYNC) {
		struct io_uring_sqe *sqe;

		again_reset(self);
		vecs = make_vecs(self->got, len);
		ASSERT_NE(NULL, vecs);
		sqe = again_add_child(self);
		io_uring_prep_readv(sqe, self->fd, vecs[0], counts[0], 0);
		sqe->flags = flags;
		for (int n = 1; n < NR_COUNTS; n++)
			again_add_step(self, 100 * n, vecs[n], counts[n]);
		again_run(0);
		again_expect_steps();
		for (int n = 0; n < NR_COUNTS; n++)
			again_expect_res(n, counts[n] * len);
		ASSERT_EQ(0, memcmp(self->got, self->data +
				    100 * (NR_COUNTS - 1),
				    counts[NR_COUNTS - 1] * len));
		/* the remainder is that of the longest call */
		ASSERT_EQ(0, memcmp(self->got + 200, self->data + 600 + 200,
				    MAX_IOV * len - 200));
		free_vecs(vecs);
	}
}

TEST_F(again, writev)
{
	const int len = 16;
	struct iovec **vecs;

	again_attach(again_steps);
	/* each segment differs */
	memcpy(self->got, self->data, SIZE);
	vecs = make_vecs(self->data, len);
	ASSERT_NE(NULL, vecs);
	io_uring_prep_writev(again_add_child(self), self->fd, vecs[0],
			     counts[0], 0);
	for (int n = 1; n < NR_COUNTS; n++)
		again_add_step(self, 100 * n, vecs[n], counts[n]);
	again_run(0);
	again_expect_steps();
	for (int n = 0; n < NR_COUNTS; n++) {
		again_expect_res(n, counts[n] * len);
		memcpy(self->got + 100 * n, self->data, counts[n] * len);
	}
	ASSERT_EQ(SIZE, pread(self->fd, self->data, SIZE, 0));
	ASSERT_EQ(0, memcmp(self->got, self->data, SIZE));
	free_vecs(vecs);
}

/* The array is read at the time of the reissue. */
TEST_F(again, readv_same_array_changes)
{
	again_attach(again_steps);
	io_uring_prep_readv(again_add_child(self), self->pipe[0],
			    slices(iovs, self->got, 1, 4), 1, 0);
	again_add_step(self, 0, iovs, 2);
	again_start();
	ASSERT_EQ(1, iou_submit(&self->ring));
	slices(iovs, self->got + 100, 2, 2);
	ASSERT_EQ(4, write(self->pipe[1], "1234", 4));
	ASSERT_TRUE(again_until(self, 2));
	ASSERT_NO_CQE(&self->ring);
	/* the array has been copied */
	slices(iovs, self->got + 200, 2, 2);
	ASSERT_EQ(4, write(self->pipe[1], "5678", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	again_expect_steps();
	ASSERT_EQ(0, memcmp(self->got, "1234", 4));
	ASSERT_EQ(0, memcmp(self->got + 100, "5678", 4));
	ASSERT_EQ(0, self->got[200]);
}

TEST_F(again, readv_errors)
{
	again_attach(again_steps);
	slices(iovs, self->got, MAX_IOV + 1, 1);
	io_uring_prep_readv(again_add_child(self), self->fd, iovs, 9, 0);
	again_add_step(self, 0, iovs, MAX_IOV + 1);
	again_add_step(self, 0, iovs, ~0U);
	again_add_step(self, 0, (void *)8L, 4);
	again_add_step(self, 0, (void *)8L, 20);
	again_add_step(self, 9, iovs + 9, 20);
	again_run(0);
	again_expect_steps();
	again_expect_res(0, 9);
	again_expect_res(1, -EINVAL);
	again_expect_res(2, -EINVAL);
	again_expect_res(3, -EFAULT);
	again_expect_res(4, -EFAULT);
	again_expect_res(5, 20);
	ASSERT_EQ(0, memcmp(self->got, self->data, 29));
}

/*
 * A reissue uses the original file after another one has replaced it in the
 * table.
 */
TEST_F(again, fixed_file_replaced)
{
	int other[2];

	ASSERT_EQ(0, pipe(other));
	ASSERT_EQ(0, io_uring_register_files(&self->ring, self->pipe, 1));
	again_attach(again_steps);
	again_add_read(self, 0, self->got, 4, 0)->flags = IOSQE_FIXED_FILE;
	for (int i = 1; i < 4; i++)
		again_add_step(self, 0, self->got + 4 * i, 4);
	again_start();
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(1, io_uring_register_files_update(&self->ring, 0, other, 1));
	ASSERT_EQ(16, write(other[1], "another sixteen!", 16));
	ASSERT_EQ(16, write(self->pipe[1], "0123456789abcdef", 16));
	ASSERT_CQE(&self->ring, FLOW, 0);
	again_expect_steps();
	ASSERT_EQ(0, memcmp(self->got, "0123456789abcdef", 16));
	close(other[0]);
	close(other[1]);
}

TEST_F(again, fixed_file_in_io_wq)
{
	ASSERT_EQ(0, io_uring_register_files(&self->ring, &self->fd, 1));
	again_attach(again_steps);
	again_add_read(self, 0, self->got, 4, 0)->flags =
		IOSQE_FIXED_FILE | IOSQE_ASYNC;
	for (int i = 1; i < 20; i++)
		again_add_step(self, 4 * i, self->got + 4 * i, 4);
	again_run(0);
	again_expect_steps();
	ASSERT_EQ(0, memcmp(self->got, self->data, 80));
	ASSERT_EQ(0, io_uring_unregister_files(&self->ring));
}

/* A reissue uses the original file after its fd was closed or reused. */
TEST_F(again, fd_closed)
{
	int copy = dup(self->pipe[0]);

	ASSERT_LE(0, copy);
	again_attach(again_steps);
	again_add_read(self, copy, self->got, 4, 0);
	again_add_step(self, 0, self->got + 4, 4);
	again_start();
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(copy, dup2(self->fd, copy));
	ASSERT_EQ(8, write(self->pipe[1], "12345678", 8));
	ASSERT_CQE(&self->ring, FLOW, 0);
	again_expect_steps();
	ASSERT_EQ(0, memcmp(self->got, "12345678", 8));
	close(copy);
}

/* Return true if a file without an fd is released. */
static bool writer_is_gone(FIXTURE_DATA(again) *self)
{
	struct pollfd pfd = { .fd = self->pipe[0] };

	return poll(&pfd, 1, IOU_WAIT_MS) == 1 && (pfd.revents & POLLHUP);
}

/* A NOP with a file takes the file once, and puts it. */
TEST_F(again, nop_with_file)
{
	again_attach(again_steps);
	again_add_nop(self, 0, IORING_NOP_FILE);
	self->skel->bss->sqes[0].fd = self->pipe[1];
	again_add_step(self, 0, NULL, 5);
	again_run(-EOPNOTSUPP);
	again_expect_steps();
	again_expect_res(0, 0);
	again_expect_res(1, -EOPNOTSUPP);
	close(self->pipe[1]);
	self->pipe[1] = -1;
	ASSERT_TRUE(writer_is_gone(self));
}

TEST_F(again, nop_with_fixed_buffer)
{
	struct iovec iov = { self->got, BLOCK };
	__u64 tag = OTHER;

	ASSERT_EQ(0, io_uring_register_buffers_tags(&self->ring, &iov, &tag,
						    1));
	again_attach(again_steps);
	again_add_nop(self, 100, IORING_NOP_FIXED_BUFFER | IORING_NOP_TW);
	for (int i = 0; i < 10; i++)
		again_add_step(self, 0, NULL, 101 + i);
	again_run(0);
	again_expect_steps();
	for (int i = 0; i < 11; i++)
		again_expect_res(i, 100 + i);
	ASSERT_EQ(0, io_uring_unregister_buffers(&self->ring));
	ASSERT_CQE(&self->ring, OTHER, 0);
}

/* Segments within a registered buffer */
TEST_F(again, readv_fixed)
{
	struct iovec iov = { self->got, BLOCK };
	struct io_uring_sqe *sqe;
	struct iovec far[2];

	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	again_attach(again_steps);
	slices(iovs, self->got, 100, 10);
	slices(far, self->got + BLOCK - 10, 2, 10);
	sqe = again_add_child(self);
	io_uring_prep_readv(sqe, self->fd, iovs, 3, 0);
	sqe->opcode = IORING_OP_READV_FIXED;
	again_add_step(self, 1000, iovs + 3, 20);
	again_add_step(self, 2000, far, 2);
	again_add_step(self, 2000, far, 1);
	again_add_step(self, 3000, iovs + 23, 2);
	again_run(0);
	again_expect_steps();
	again_expect_res(0, 30);
	again_expect_res(1, 200);
	again_expect_res(2, -EFAULT);
	again_expect_res(3, 10);
	again_expect_res(4, 20);
	ASSERT_EQ(0, memcmp(self->got, self->data, 30));
	ASSERT_EQ(0, memcmp(self->got + 30, self->data + 1000, 200));
	ASSERT_EQ(0, memcmp(self->got + 230, self->data + 3000, 20));
	ASSERT_EQ(0, memcmp(self->got + BLOCK - 10, self->data + 2000, 10));
}

TEST_F(again, writev_fixed)
{
	struct iovec iov = { self->data, BLOCK };
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	again_attach(again_steps);
	slices(iovs, self->data, 100, 10);
	sqe = again_add_child(self);
	io_uring_prep_writev(sqe, self->fd, iovs, 3, 5000);
	sqe->opcode = IORING_OP_WRITEV_FIXED;
	again_add_step(self, 6000, iovs + 3, 20);
	again_add_step(self, 7000, iovs, 1);
	again_run(0);
	again_expect_steps();
	again_expect_res(0, 30);
	again_expect_res(1, 200);
	again_expect_res(2, 10);
	ASSERT_EQ(SIZE, pread(self->fd, self->got, SIZE, 0));
	ASSERT_EQ(0, memcmp(self->got + 5000, self->data, 30));
	ASSERT_EQ(0, memcmp(self->got + 6000, self->data + 30, 200));
	ASSERT_EQ(0, memcmp(self->got + 7000, self->data, 10));
}

TEST_HARNESS_MAIN
