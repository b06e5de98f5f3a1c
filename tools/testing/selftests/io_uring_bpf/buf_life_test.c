// SPDX-License-Identifier: GPL-2.0
/* Buffers that are replaced or removed between two runs */
#include "buf.h"

/* Attach a program that reads bytes 5 to 20 of buffer @index at each event. */
#define attach_look(index) do {						\
	buf_attach("buf_look_16");					\
	buf_add_case(self, index, 5);					\
} while (0)

/* Check that the child is in flight and that the program has run once. */
#define start_flow() do {						\
	buf_add_read(self);						\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, io_uring_submit(&self->ring));			\
	ASSERT_EQ(1, self->skel->bss->nr_events);			\
} while (0)

/* Let the child complete, and check the second run. */
#define end_flow() do {							\
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));			\
	ASSERT_CQE(&self->ring, FLOW, 0);				\
	ASSERT_EQ(2, self->skel->bss->nr_events);			\
} while (0)

TEST_F(buf, replaced_between_runs)
{
	ASSERT_EQ(0, buf_register(self, self->mem, PAGE));
	attach_look(0);
	buf_run();
	buf_expect(0, buf_byte(5), buf_byte(20));
	ASSERT_EQ(1, buf_update(self, 0, self->mem + PAGE, PAGE));
	buf_run();
	buf_expect(0, buf_byte(PAGE + 5), buf_byte(PAGE + 20));
	/* by a buffer that is too small, by none, and by the first one */
	ASSERT_EQ(1, buf_update(self, 0, self->mem, 20));
	buf_run();
	buf_expect_null(0);
	ASSERT_EQ(1, buf_update(self, 0, NULL, 0));
	buf_run();
	buf_expect_null(0);
	ASSERT_EQ(1, buf_update(self, 0, self->mem, PAGE));
	buf_run();
	buf_expect(0, buf_byte(5), buf_byte(20));
}

TEST_F(buf, unregistered_while_flow_runs)
{
	ASSERT_EQ(0, buf_register(self, self->mem, PAGE));
	attach_look(0);
	start_flow();
	buf_expect(0, buf_byte(5), buf_byte(20));
	ASSERT_EQ(0, io_uring_unregister_buffers(&self->ring));
	end_flow();
	buf_expect_null(0);
}

TEST_F(buf, registered_while_flow_runs)
{
	attach_look(SPARSE);
	start_flow();
	buf_expect_null(0);
	ASSERT_EQ(0, buf_register(self, self->mem, PAGE));
	ASSERT_EQ(1, buf_update(self, SPARSE, self->mem + PAGE, PAGE));
	end_flow();
	buf_expect(0, buf_byte(PAGE + 5), buf_byte(PAGE + 20));
}

TEST_F(buf, copy_of_unregistered)
{
	ASSERT_EQ(0, buf_register(self, self->mem, PAGE));
	buf_attach("buf_copy_out");
	buf_add_copy(self, 0, 5, 16);
	start_flow();
	ASSERT_EQ(0, self->skel->bss->copies[0].ret);
	ASSERT_EQ(1, buf_update(self, 0, NULL, 0));
	end_flow();
	ASSERT_EQ(-ENOENT, self->skel->bss->copies[0].ret);
}

/* The buffer is the pinned memory, not the current mapping of its address. */
TEST_F(buf, unmapped)
{
	ASSERT_EQ(0, buf_register(self, self->mem, PAGE));
	attach_look(0);
	ASSERT_EQ(0, munmap(self->mem, PAGE));
	buf_run();
	buf_expect(0, buf_byte(5), buf_byte(20));
	buf_attach("buf_put_16");
	self->skel->bss->cases[0].put = 0x99;
	buf_run();
	buf_run();
	buf_expect(0, 0x99, 0x99);
}

/* The completed child held the last reference to the buffer. */
TEST_F(buf, unregistered_while_child_waits)
{
	struct iovec iov = { self->mem, SIZE };
	__u64 tag = TAG;

	ASSERT_EQ(0, io_uring_register_buffers_tags(&self->ring, &iov, &tag,
						    1));
	attach_look(0);
	io_uring_prep_read_fixed(&self->skel->bss->sqes[0], self->pipe[0],
				 self->mem, 4, 0, 0);
	self->skel->bss->nr_sqes = 1;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_EQ(0, io_uring_unregister_buffers(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(0, cqe.res);
		ASSERT_TRUE(cqe.user_data == TAG || cqe.user_data == FLOW);
	}
	ASSERT_NO_CQE(&self->ring);
	buf_expect_null(0);
	ASSERT_EQ(0, memcmp(self->mem, "data", 4));
}

/*
 * The table of such a buffer is vmalloc()ed, and its release can sleep. A
 * program that runs for several completions in a row must not sleep.
 */
TEST_F_TIMEOUT(buf, large_unregistered_while_children_wait, 120)
{
	const size_t size = 1UL << 30, piece = 2 << 20;
	__u8 *mem;
	int fd;

	if (!variant->setup || variant->sleepable)
		SKIP(return, "slow, one variant suffices");
	fd = memfd_create("buf", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, piece));
	/* the same number of pages, with less memory */
	mem = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	for (size_t off = 0; off < size; off += piece)
		ASSERT_EQ(mem + off, mmap(mem + off, piece,
					  PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_FIXED, fd, 0));
	ASSERT_EQ(0, buf_register(self, mem, size));
	attach_look(0);
	for (int i = 0; i < 2; i++)
		io_uring_prep_read_fixed(&self->skel->bss->sqes[i],
					 self->pipe[0], mem + i, 1, 0, 0);
	self->skel->bss->nr_sqes = 2;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_EQ(0, io_uring_unregister_buffers(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, write(self->pipe[1], "ab", 2));
	ASSERT_CQE(&self->ring, FLOW, 0);
	munmap(mem, size);
	close(fd);
}

/* A buffer from another ring, which may have been closed. */
TEST_F(buf, cloned)
{
	struct io_uring_clone_buffers clone = {};
	struct io_uring src;
	struct iovec iov = { self->mem, PAGE };

	ASSERT_EQ(0, iou_ring_init(&src, 0));
	ASSERT_EQ(0, io_uring_register_buffers(&src, &iov, 1));
	clone.src_fd = src.ring_fd;
	ASSERT_EQ(0, iou_register(&self->ring, IORING_REGISTER_CLONE_BUFFERS,
				  &clone, 1));
	io_uring_queue_exit(&src);
	attach_look(0);
	buf_run();
	buf_expect(0, buf_byte(5), buf_byte(20));
}

/* The application and the program share the memory, without a copy. */
TEST_F(buf, contents_change)
{
	ASSERT_EQ(0, buf_register(self, self->mem, PAGE));
	attach_look(0);
	for (int i = 0; i < 100; i++) {
		self->mem[5] = i;
		self->mem[20] = i + 1;
		buf_run();
		buf_expect(0, i, i + 1);
	}
}

/* Data that a child reads is there when its completion runs the program. */
TEST_F(buf, child_fills_it)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[0];
	const int pages = 20, words = pages * PAGE / 4;
	char path[128];
	__u64 sum = 0;
	__u32 *data;
	int fd;

	snprintf(path, sizeof(path), "%s/iou_bpf.XXXXXX",
		 getenv("TMPDIR") ?: "/tmp");
	fd = mkstemp(path);
	ASSERT_LE(0, fd);
	unlink(path);
	data = malloc(pages * PAGE);
	ASSERT_NE(NULL, data);
	for (int i = 0; i < words; i++) {
		data[i] = i * 2654435761U;
		sum += data[i];
	}
	ASSERT_EQ(pages * PAGE, write(fd, data, pages * PAGE));

	ASSERT_EQ(0, buf_register(self, self->mem, PAGE));
	buf_attach("buf_sum_file");
	io_uring_prep_read_fixed(sqe, fd, self->mem, PAGE, 0, 0);
	sqe->user_data = CHILD;
	iou_queue_bpf(&self->ring, 0, FLOW)->addr3 = (unsigned long)self->mem;
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(2 + pages, self->skel->bss->nr_events);
	ASSERT_EQ(sum, self->skel->bss->events[1 + pages].state[1]);
	free(data);
	close(fd);
}

TEST_HARNESS_MAIN
