// SPDX-License-Identifier: GPL-2.0
/* Programs that issue many requests */
#include <sys/mman.h>

#include "issue.h"

/* a multiple of the slice after which others run */
#define NR_NOPS		5000

#define BLOCK		4096
#define NR_BLOCKS	64
#define WINDOW		8

static void issue_run_sequence(struct __test_metadata *_metadata,
			       FIXTURE_DATA(issue) *self, unsigned int nop_flags,
			       unsigned int nr)
{
	struct io_uring_cqe cqes[2];
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.issue_sequence,
				&self->ring, 0);
	iou_prep_nop(&self->skel->bss->sqes[0], 0, nop_flags, CHILD);
	sqe = iou_queue_bpf(&self->ring, 0, FLOW);
	sqe->off = nr;
	iou_prep_nop(iou_get_sqe(&self->ring), 5, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, nr);
	ASSERT_HAS_CQE(cqes, 2, OTHER, 5);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(issue, sequence)
{
	issue_run_sequence(_metadata, self, 0, NR_NOPS);
}

TEST_F(issue, sequence_of_task_work)
{
	issue_run_sequence(_metadata, self, IORING_NOP_TW, NR_NOPS / 2);
}

/* Each child is executed by a worker. */
TEST_F(issue, sequence_of_io_wq)
{
	self->link = IOU_ATTACH(self->skel->progs.issue_sequence,
				&self->ring, 0);
	iou_prep_nop(&self->skel->bss->sqes[0], 0, 0, CHILD);
	self->skel->bss->sqes[0].flags = IOSQE_ASYNC;
	iou_queue_bpf(&self->ring, 0, FLOW)->off = 100;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 100);
	ASSERT_NO_CQE(&self->ring);
}

/* A flow continues after its budget without a system call. */
TEST_F(issue, many_sequences)
{
	const int nr = 20;
	struct io_uring_cqe cqes[nr];

	self->link = IOU_ATTACH(self->skel->progs.issue_sequence,
				&self->ring, 0);
	iou_prep_nop(&self->skel->bss->sqes[0], 0, 0, CHILD);
	for (int i = 0; i < nr; i++)
		iou_queue_bpf(&self->ring, 0, FLOW + i)->off = 100 * i;
	ASSERT_EQ(nr, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, nr));
	for (int i = 0; i < nr; i++)
		ASSERT_HAS_CQE(cqes, nr, FLOW + i, 100 * i);
	ASSERT_NO_CQE(&self->ring);
}

static void issue_run_window(struct __test_metadata *_metadata,
			     FIXTURE_DATA(issue) *self, int fd)
{
	size_t size = BLOCK * NR_BLOCKS;
	char *data, *got;

	data = malloc(size);
	got = calloc(1, size);
	ASSERT_TRUE(data && got);
	for (size_t i = 0; i < size; i++)
		data[i] = (i * 2654435761U) >> 13;
	ASSERT_EQ(size, write(fd, data, size));

	self->skel->bss->file_fd = fd;
	self->skel->bss->file_addr = (unsigned long)got;
	self->skel->bss->file_size = size;
	self->skel->bss->block_size = BLOCK;
	self->skel->bss->window = WINDOW;
	self->link = IOU_ATTACH(self->skel->progs.issue_window, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, size);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, memcmp(data, got, size));
	ASSERT_EQ(WINDOW, self->skel->bss->max_children);
	free(data);
	free(got);
}

TEST_F(issue, window_of_reads_memfd)
{
	int fd = memfd_create("iou_bpf", 0);

	ASSERT_LE(0, fd);
	issue_run_window(_metadata, self, fd);
	close(fd);
}

TEST_F(issue, window_of_reads_file)
{
	char name[] = "/tmp/iou_bpf.XXXXXX";
	int fd = mkstemp(name);

	ASSERT_LE(0, fd);
	unlink(name);
	issue_run_window(_metadata, self, fd);
	close(fd);
}

/* A child can use registered files and buffers. */
TEST_F(issue, fixed_file_and_buffer)
{
	struct iovec iov = { self->buf, sizeof(self->buf) };
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[0];

	ASSERT_EQ(0, io_uring_register_files(&self->ring, self->pipe, 1));
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	self->link = IOU_ATTACH(self->skel->progs.issue_table, &self->ring, 0);
	io_uring_prep_read_fixed(sqe, 0, self->buf, 5, 0, 0);
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->user_data = CHILD;
	self->skel->bss->nr_sqes = 1;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(5, write(self->pipe[1], "hello", 5));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	EXPECT_EQ(5, self->skel->bss->events[1].res);
	EXPECT_EQ(IORING_OP_READ_FIXED, self->skel->bss->events[1].opcode);
	EXPECT_EQ(0, memcmp(self->buf, "hello", 5));
}

TEST_HARNESS_MAIN
