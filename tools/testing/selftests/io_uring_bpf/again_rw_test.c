// SPDX-License-Identifier: GPL-2.0
/* Reissued reads and writes at other places of a file */
#include "again.h"

static bool same(FIXTURE_DATA(again) *self, int at, int from, int len)
{
	return !memcmp(self->got + at, self->data + from, len);
}

/* Return the current contents of the file. */
static bool file_has(FIXTURE_DATA(again) *self, const void *data, int len,
		     off_t off)
{
	char buf[BLOCK];

	return pread(self->fd, buf, len, off) == len && !memcmp(buf, data, len);
}

/*
 * Read the file to its end: to a result of 0, or with a registered buffer,
 * whose end must not be exceeded, until all data was read.
 */
static void read_all(struct __test_metadata *_metadata,
		     FIXTURE_DATA(again) *self, struct io_uring_sqe *sqe,
		     unsigned int len)
{
	bool fixed = sqe->opcode == IORING_OP_READ_FIXED;
	struct io_uring_sqe *flow;

	again_attach(again_read_all);
	flow = again_start();
	flow->addr = len;
	flow->addr3 = (unsigned long)self->got;
	flow->bpf_arg = fixed ? SIZE : 0;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, SIZE);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(same(self, 0, 0, SIZE));
	ASSERT_EQ(2 - fixed + (SIZE + len - 1) / len,
		  self->skel->bss->nr_events);
	bpf_link__destroy(self->link);
	self->link = NULL;
}

TEST_F(again, read)
{
	static const unsigned int lens[] = { BLOCK, 5000, SIZE - 1, SIZE };

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		again_reset(self);
		read_all(_metadata, self,
			 again_add_read(self, self->fd, self->got, lens[i], 0),
			 lens[i]);
	}
}

/* Each reissue uses a worker. */
TEST_F(again, read_in_io_wq)
{
	struct io_uring_sqe *sqe;

	sqe = again_add_read(self, self->fd, self->got, 2000, 0);
	sqe->flags = IOSQE_ASYNC;
	read_all(_metadata, self, sqe, 2000);
}

/* Completes in interrupt context on most file systems. */
TEST_F(again, read_direct)
{
	int fd = open(self->path, O_RDONLY | O_DIRECT);

	if (fd < 0)
		SKIP(return, "%s: no O_DIRECT", self->path);
	read_all(_metadata, self,
		 again_add_read(self, fd, self->got, BLOCK, 0), BLOCK);
	close(fd);
}

TEST_F(again, read_fixed)
{
	struct iovec iov = { self->got, SIZE };
	struct io_uring_sqe *sqe;
	__u64 tag = OTHER;

	ASSERT_EQ(0, io_uring_register_buffers_tags(&self->ring, &iov, &tag,
						    1));
	for (int i = 0; i < 2; i++) {
		again_reset(self);
		sqe = again_add_child(self);
		io_uring_prep_read_fixed(sqe, self->fd, self->got, BLOCK, 0, 0);
		sqe->flags = i ? IOSQE_ASYNC : 0;
		read_all(_metadata, self, sqe, BLOCK);
	}
	/* the slot was the last other reference */
	ASSERT_EQ(0, io_uring_unregister_buffers(&self->ring));
	ASSERT_CQE(&self->ring, OTHER, 0);
}

/* The end of the buffer limits each range, whatever the first range was. */
TEST_F(again, read_fixed_out_of_range)
{
	struct iovec iov = { self->got, BLOCK };
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	again_attach(again_steps);
	sqe = again_add_child(self);
	io_uring_prep_read_fixed(sqe, self->fd, self->got, 16, 0, 0);
	again_add_step(self, 0, self->got + BLOCK - 16, 16);
	again_add_step(self, 0, self->got + BLOCK - 15, 16);
	/* the failed reissue has left no iterator */
	again_add_step(self, 0, self->got + BLOCK - 15, 16);
	again_add_step(self, 0, self->got - 1, 16);
	again_add_step(self, 0, self->got, BLOCK + 1);
	again_add_step(self, 0, (void *)-16L, 32);
	again_add_step(self, BLOCK, self->got, 16);
	again_run(0);
	again_expect_steps();
	again_expect_res(0, 16);
	again_expect_res(1, 16);
	for (int i = 2; i < 7; i++)
		again_expect_res(i, -EFAULT);
	again_expect_res(7, 16);
	ASSERT_TRUE(same(self, 0, BLOCK, 16));
	ASSERT_TRUE(same(self, BLOCK - 16, 0, 16));
	ASSERT_EQ(0, self->got[BLOCK]);
}

/*
 * A reissue uses the original buffer after another one has replaced it in the
 * table.
 */
TEST_F(again, read_fixed_buffer_replaced)
{
	struct iovec iov = { self->got, BLOCK };
	struct iovec other = { self->data, BLOCK };
	struct io_uring_sqe *sqe;
	__u64 tag = OTHER;

	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	again_attach(again_steps);
	sqe = again_add_child(self);
	io_uring_prep_read_fixed(sqe, self->pipe[0], self->got, 4, 0, 0);
	again_add_step(self, 0, self->got + 4, 4);
	again_start();
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(1, io_uring_register_buffers_update_tag(&self->ring, 0,
							  &other, &tag, 1));
	ASSERT_EQ(4, write(self->pipe[1], "1234", 4));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, write(self->pipe[1], "5678", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	again_expect_steps();
	ASSERT_EQ(0, memcmp(self->got, "12345678", 8));
}

TEST_F(again, write)
{
	again_attach(again_steps);
	iou_prep_write(again_add_child(self), self->fd, "first", 5, 10, CHILD);
	again_add_step(self, 20, "second", 6);
	again_add_step(self, SIZE, "third", 5);
	again_add_step(self, 11, "I", 1);
	again_run(0);
	again_expect_steps();
	ASSERT_TRUE(file_has(self, "fIrst", 5, 10));
	ASSERT_TRUE(file_has(self, "second", 6, 20));
	ASSERT_TRUE(file_has(self, "third", 5, SIZE));
}

/*
 * The freeze protection that a worker holds for a write is released each time.
 */
TEST_F(again, write_in_io_wq)
{
	struct io_uring_sqe *sqe = again_add_child(self);
	/* the contents of another block */
	const char *data = self->data + BLOCK;

	again_attach(again_steps);
	iou_prep_write(sqe, self->fd, data, 16, 0, CHILD);
	sqe->flags = IOSQE_ASYNC;
	for (int i = 1; i < AGAIN_MAX_STEPS; i++)
		again_add_step(self, 16 * i, data + 16 * i, 16);
	again_run(0);
	again_expect_steps();
	for (int i = 0; i < AGAIN_MAX_STEPS; i++)
		again_expect_res(i, 16);
	ASSERT_TRUE(file_has(self, data, 16 * AGAIN_MAX_STEPS, 0));
}

TEST_F(again, write_fixed)
{
	struct iovec iov = { self->got, SIZE };
	struct io_uring_sqe *sqe = again_add_child(self);

	memset(self->got, 'x', 100);
	memset(self->got + 100, 'y', 100);
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	again_attach(again_steps);
	io_uring_prep_write_fixed(sqe, self->fd, self->got, 100, 0, 0);
	again_add_step(self, 1000, self->got + 50, 100);
	again_add_step(self, 2000, self->got + SIZE, 1);
	again_run(-EFAULT);
	again_expect_steps();
	ASSERT_TRUE(file_has(self, self->got, 100, 0));
	ASSERT_TRUE(file_has(self, self->got + 50, 100, 1000));
}

/* A read across the end of the file is short, and leaves no state behind. */
TEST_F(again, after_short_read)
{
	again_attach(again_steps);
	again_add_read(self, self->fd, self->got, BLOCK, SIZE - 100);
	again_add_step(self, 0, self->got, 50);
	again_add_step(self, SIZE - 10, self->got + 100, BLOCK);
	again_add_step(self, SIZE, self->got + 200, BLOCK);
	again_add_step(self, 7, self->got + 200, BLOCK);
	again_run(0);
	again_expect_steps();
	again_expect_res(0, 100);
	again_expect_res(1, 50);
	again_expect_res(2, 10);
	again_expect_res(3, 0);
	again_expect_res(4, BLOCK);
	ASSERT_TRUE(same(self, 0, 0, 50));
	ASSERT_TRUE(same(self, 100, SIZE - 10, 10));
	ASSERT_TRUE(same(self, 200, 7, BLOCK));
}

/* Offset -1 is the file position. Other offsets do not change it. */
TEST_F(again, file_position)
{
	again_attach(again_steps);
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	again_add_read(self, self->fd, self->got, 10, -1ULL);
	again_add_step(self, -1ULL, self->got + 10, 10);
	again_add_step(self, 500, self->got + 20, 10);
	again_add_step(self, -1ULL, self->got + 30, 10);
	again_add_step(self, 700, self->got + 40, 10);
	again_run(0);
	again_expect_steps();
	ASSERT_TRUE(same(self, 0, 0, 20));
	ASSERT_TRUE(same(self, 20, 500, 10));
	ASSERT_TRUE(same(self, 30, 20, 10));
	ASSERT_TRUE(same(self, 40, 700, 10));
	ASSERT_EQ(30, lseek(self->fd, 0, SEEK_CUR));
}

/* Unmapped memory is an ordinary failure. */
TEST_F(again, bad_address)
{
	again_attach(again_steps);
	again_add_read(self, self->fd, self->got, 16, 0);
	again_add_step(self, 0, (void *)8L, 16);
	again_add_step(self, 0, (void *)-4096L, 16);
	again_add_step(self, 0, NULL, 0);
	again_add_step(self, -2ULL, self->got, 16);
	again_add_step(self, 16, self->got + 16, 16);
	again_run(0);
	again_expect_steps();
	again_expect_res(1, -EFAULT);
	again_expect_res(2, -EFAULT);
	again_expect_res(3, 0);
	again_expect_res(4, -EINVAL);
	again_expect_res(5, 16);
	ASSERT_TRUE(same(self, 0, 0, 32));
}

TEST_HARNESS_MAIN
