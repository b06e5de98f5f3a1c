// SPDX-License-Identifier: GPL-2.0
/* Patterns for files and streams, as a user without privileges */
#define PATTERNS "read_full copy append read_file drain finish"
#include "pattern.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define SIZE	(64 * 1024)

FIXTURE(pattern_file) {
	struct io_uring ring;
	char *data;		/* of the file in */
	char *buf;
	int in, out;
	int pipe[2];
	int link;
};

IOU_RING_VARIANTS(pattern_file);

FIXTURE_SETUP(pattern_file)
{
	PATTERN_REQUIRE();
	self->in = pattern_file();
	self->out = pattern_file();
	self->data = malloc(SIZE);
	self->buf = calloc(2, SIZE);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->buf);
	pattern_fill(self->data, SIZE);
	ASSERT_EQ(SIZE, pwrite(self->in, self->data, SIZE, 0));
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ(0, pattern_drop(NOBODY));
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(pattern_file)
{
	close(self->link);
	io_uring_queue_exit(&self->ring);
	free(self->data);
	free(self->buf);
}

TEST_F(pattern_file, read_full)
{
	PATTERN_ATTACH("read_full");
	PATTERN_RUN(SIZE, read_full, self->in, self->buf, SIZE, 0);
	ASSERT_EQ(0, memcmp(self->buf, self->data, SIZE));
	/* to the end of the file, and beyond */
	PATTERN_RUN(10, read_full, self->in, self->buf, 4096, SIZE - 10);
	ASSERT_EQ(0, memcmp(self->buf, self->data + SIZE - 10, 10));
	PATTERN_RUN(0, read_full, self->in, self->buf, 4096, SIZE);
	PATTERN_RUN(-EBADF, read_full, -1, self->buf, 4096, 0);
	PATTERN_RUN(-EFAULT, read_full, self->in, NULL, 4096, 0);
}

TEST_F(pattern_file, attach_ring)
{
	self->link = iou_pattern_attach_ring(&self->ring, SLOT, "read_full");
	ASSERT_LE(0, self->link);
	PATTERN_RUN(SIZE, read_full, self->in, self->buf, SIZE, 0);
	ASSERT_EQ(-EBUSY, iou_pattern_attach_ring(&self->ring, SLOT, "read_full"));
	/* which needs memory */
	close(self->link);
	self->link = iou_pattern_attach_ring(&self->ring, SLOT, "copy");
	ASSERT_LE(0, self->link);
	PATTERN_RUN(SIZE, copy, self->in, self->out, 0, SIZE, self->buf, 4096, 2);
	ASSERT_EQ(-ENOENT, iou_pattern_attach_ring(&self->ring, SLOT, "none"));
}

#ifdef HAVE_IO_URING_BPF
TEST_F(pattern_file, attach_ring_without_fd)
{
	ASSERT_EQ(1, io_uring_register_ring_fd(&self->ring));
	ASSERT_EQ(1, io_uring_close_ring_fd(&self->ring));
	ASSERT_EQ(-EBADF, iou_pattern_attach(self->ring.ring_fd, SLOT, "read_full"));
	self->link = iou_pattern_attach_ring(&self->ring, SLOT, "read_full");
	ASSERT_LE(0, self->link);
	PATTERN_RUN(SIZE, read_full, self->in, self->buf, SIZE, 0);
	ASSERT_EQ(0, memcmp(self->buf, self->data, SIZE));
}
#endif

/* A stream has less than what is asked for at a time. */
TEST_F(pattern_file, read_full_stream)
{
	PATTERN_ATTACH("read_full");
	PATTERN_START(read_full, self->pipe[0], self->buf, 3000, -1);
	for (int i = 0; i < 3; i++) {
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(1000, write(self->pipe[1], self->data + i * 1000, 1000));
	}
	ASSERT_CQE(&self->ring, FLOW, 3000);
	ASSERT_EQ(0, memcmp(self->buf, self->data, 3000));
	ASSERT_EQ(7, write(self->pipe[1], self->data, 7));
	PATTERN_START(read_full, self->pipe[0], self->buf, 3000, -1);
	ASSERT_NO_CQE(&self->ring);
	close(self->pipe[1]);
	ASSERT_CQE(&self->ring, FLOW, 7);
}

/* Each read returns one packet, and an offset is refused. */
TEST_F(pattern_file, read_full_socket)
{
	int sock[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock));
	PATTERN_ATTACH("read_full");
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(16, write(sock[1], self->data + i * 16, 16));
	PATTERN_RUN(64, read_full, sock[0], self->buf, 64, -1);
	ASSERT_EQ(0, memcmp(self->buf, self->data, 64));
	close(sock[0]);
	close(sock[1]);
}

/* A read at the position of the file moves the position. */
TEST_F(pattern_file, read_full_position)
{
	PATTERN_ATTACH("read_full");
	ASSERT_EQ(SIZE - 100, lseek(self->in, SIZE - 100, SEEK_SET));
	PATTERN_RUN(60, read_full, self->in, self->buf, 60, -1);
	ASSERT_EQ(SIZE - 40, lseek(self->in, 0, SEEK_CUR));
	PATTERN_RUN(40, read_full, self->in, self->buf + 60, 60, -1);
	ASSERT_EQ(0, memcmp(self->buf, self->data + SIZE - 100, 100));
}

TEST_F(pattern_file, read_full_refuses)
{
	PATTERN_ATTACH("read_full");
	PATTERN_REFUSES({ { WORD(self->in, 1), 0, 0, 1 } },
			{ { self->in, 0, 0, 0 } },
			{ { self->in, 0, 0, 0x7ffff001 } },
			{ { self->in, 0, 0, ~0ULL } },
			{ { self->in, 0, ~1ULL, 1 } },
			{ { self->in, 0, INT64_MAX, 1 } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

/* A pattern behind a request of a chain starts if that succeeds. */
TEST_F(pattern_file, read_full_in_chain)
{
	struct io_uring_cqe cqes[2];

	PATTERN_ATTACH("read_full");
	for (int fails = 0; fails < 2; fails++) {
		struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

		iou_prep_nop(sqe, fails ? -EIO : 0, 0, APP);
		sqe->flags = IOSQE_IO_LINK;
		PATTERN_PREP(read_full, self->in, self->buf, SIZE, 0);
		ASSERT_EQ(2, iou_submit(&self->ring));
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
		ASSERT_HAS_CQE(cqes, 2, APP, fails ? -EIO : 0);
		ASSERT_HAS_CQE(cqes, 2, FLOW, fails ? -ECANCELED : SIZE);
	}
}

#define assert_copied(len) do {						\
	struct stat __st;						\
									\
	ASSERT_EQ(0, fstat(self->out, &__st));				\
	ASSERT_EQ(len, __st.st_size);					\
	memset(self->buf, 0, SIZE);					\
	ASSERT_EQ(len, pread(self->out, self->buf, SIZE, 0));		\
	ASSERT_EQ(0, memcmp(self->buf, self->data, len));		\
	ASSERT_EQ(0, ftruncate(self->out, 0));				\
} while (0)

TEST_F(pattern_file, copy)
{
	PATTERN_ATTACH("copy");
	for (int depth = 1; depth <= 16; depth *= 4) {
		PATTERN_RUN(SIZE, copy, self->in, self->out, 0, SIZE, self->buf, 4096,
			    depth);
		assert_copied(SIZE);
	}
	/* the last block is not full; less than depth blocks; a single one */
	PATTERN_RUN(SIZE - 1, copy, self->in, self->out, 0, SIZE - 1, self->buf, 8192, 3);
	assert_copied(SIZE - 1);
	PATTERN_RUN(5000, copy, self->in, self->out, 0, 5000, self->buf, 4096, 8);
	assert_copied(5000);
	PATTERN_RUN(1, copy, self->in, self->out, 0, 1, self->buf, SIZE, 1);
	assert_copied(1);
}

/* The file ends before the range, at the end of a block and elsewhere. */
TEST_F(pattern_file, copy_to_end)
{
	PATTERN_ATTACH("copy");
	PATTERN_RUN(SIZE, copy, self->in, self->out, 0, INT_MAX, self->buf, 8192, 4);
	assert_copied(SIZE);
	ASSERT_EQ(0, ftruncate(self->in, SIZE - 3000));
	PATTERN_RUN(SIZE - 3000, copy, self->in, self->out, 0, INT_MAX, self->buf, 8192, 4);
	assert_copied(SIZE - 3000);
	PATTERN_RUN(0, copy, self->in, self->out, SIZE, 4096, self->buf, 8192, 4);
}

TEST_F(pattern_file, copy_offset)
{
	char byte;

	PATTERN_ATTACH("copy");
	PATTERN_RUN(10000, copy, self->in, self->out, 777, 10000, self->buf, 4096, 2);
	ASSERT_EQ(10000, pread(self->out, self->buf, SIZE, 777));
	ASSERT_EQ(0, memcmp(self->buf, self->data + 777, 10000));
	ASSERT_EQ(1, pread(self->out, &byte, 1, 776));
	ASSERT_EQ(0, byte);
}

TEST_F(pattern_file, copy_errors)
{
	PATTERN_ATTACH("copy");
	PATTERN_RUN(-EBADF, copy, -1, self->out, 0, SIZE, self->buf, 4096, 4);
	PATTERN_RUN(-EBADF, copy, self->in, self->pipe[0], 0, SIZE, self->buf, 4096, 4);
	PATTERN_RUN(-EFAULT, copy, self->in, self->out, 0, SIZE, NULL, 4096, 4);
	PATTERN_RUN(-EINVAL, copy, self->in, self->out, 0, SIZE, self->buf, 4095, 4);
}

TEST_F(pattern_file, copy_refuses)
{
	__u64 fds = WORD(self->in, self->out);

	PATTERN_ATTACH("copy");
	PATTERN_REFUSES({ { fds, 0, 0, WORD(0, 0x10001) } },
			{ { fds, 0, 0, WORD(0x80000000, 0x10001) } },
			{ { fds, 0, 0, WORD(1, 0x10000) } },
			{ { fds, 0, 0, WORD(1, 0x11001) } },
			{ { fds, 0, 0, WORD(1, 1) } },
			{ { fds, 0, 0, WORD(1, 0x410001) } },
			{ { fds, 0, INT64_MAX, WORD(1, 0x10001) } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

/* The link gives flows no memory. */
TEST_F(pattern_file, copy_without_memory)
{
	struct iou_pattern_link link = { .target_fd = self->ring.ring_fd, .slot = SLOT };

	self->link = iou_pattern_link("copy", &link);
	ASSERT_LE(0, self->link);
	PATTERN_RUN(-EINVAL, copy, self->in, self->out, 0, SIZE, self->buf, 4096, 4);
}

TEST_F(pattern_file, append)
{
	PATTERN_ATTACH("append");
	/* 10 records of 1000 bytes, three at a time, at 500 */
	PATTERN_START(append, self->out, self->data, 1000, 10, 3, 500);
	for (int durable = 3; durable < 10; durable += 3)
		ASSERT_CQE_FLAGS(&self->ring, FLOW, durable, IORING_CQE_F_MORE);
	ASSERT_CQE(&self->ring, FLOW, 10);
	ASSERT_EQ(10000, pread(self->out, self->buf, SIZE, 500));
	ASSERT_EQ(0, memcmp(self->buf, self->data, 10000));
	/* one group that is larger than all, and groups of one */
	PATTERN_RUN(4, append, self->out, self->data, 16, 4, UINT_MAX, 0);
	PATTERN_START(append, self->out, self->data, 1, 2, 1, 0);
	ASSERT_CQE_FLAGS(&self->ring, FLOW, 1, IORING_CQE_F_MORE);
	ASSERT_CQE(&self->ring, FLOW, 2);
}

/* A write that is cut short by a limit, and then fails: the group does not count. */
TEST_F(pattern_file, append_short)
{
	const struct rlimit limit = { .rlim_cur = 3500, .rlim_max = 3500 };

	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	PATTERN_ATTACH("append");
	PATTERN_START(append, self->out, self->data, 1000, 4, 2, 0);
	ASSERT_CQE_FLAGS(&self->ring, FLOW, 2, IORING_CQE_F_MORE);
	ASSERT_CQE(&self->ring, FLOW, -EFBIG);
}

TEST_F(pattern_file, append_errors)
{
	PATTERN_ATTACH("append");
	PATTERN_RUN(-EBADF, append, -1, self->data, 16, 4, 1, 0);
	PATTERN_RUN(-EFAULT, append, self->out, NULL, 16, 4, 1, 0);
	/* a pipe cannot be synced, so no record is reported */
	PATTERN_RUN(-EINVAL, append, self->pipe[1], self->data, 16, 4, 1, 0);
}

TEST_F(pattern_file, append_refuses)
{
	__u64 fd = self->out;

	PATTERN_ATTACH("append");
	PATTERN_REFUSES({ { WORD(fd, 0), 0, 0, WORD(1, 1) } },
			{ { WORD(fd, 1), 0, 0, WORD(0, 1) } },
			{ { WORD(fd, 1), 0, 0, WORD(1, 0) } },
			{ { WORD(fd, 1), 0, 0, WORD(0x80000000, 1) } },
			{ { WORD(fd, 0x7ffff001), 0, 0, WORD(1, 1) } },
			{ { WORD(fd, 0x40000000), 0, 0, WORD(4, 4) } },
			{ { WORD(fd, 1), 0, INT64_MAX, WORD(1, 1) } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

/* Return the lowest free file descriptor. */
static int lowest_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

TEST_F(pattern_file, read_file)
{
	int fd, last;

	PATTERN_ATTACH("read_file");
	last = lowest_fd();
	fd = open("/proc/sys/kernel/ostype", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(6, read(fd, self->data, SIZE));
	close(fd);
	PATTERN_RUN(6, read_file, AT_FDCWD, "/proc/sys/kernel/ostype", O_RDONLY, self->buf,
		    SIZE);
	ASSERT_EQ(0, memcmp(self->buf, self->data, 6));
	/* no more than there is room for */
	PATTERN_RUN(3, read_file, AT_FDCWD, "/proc/sys/kernel/ostype", O_RDONLY, self->buf,
		    3);
	PATTERN_RUN(-ENOENT, read_file, AT_FDCWD, "/no/such/file", O_RDONLY, self->buf, 1);
	PATTERN_RUN(-EISDIR, read_file, AT_FDCWD, "/proc", O_RDONLY, self->buf, 1);
	PATTERN_RUN(-EBADF, read_file, -1, "file", O_RDONLY, self->buf, 1);
	PATTERN_RUN(-EFAULT, read_file, AT_FDCWD, "/proc/version", O_RDONLY, NULL, 8);
	PATTERN_RUN(-EFAULT, read_file, AT_FDCWD, NULL, O_RDONLY, self->buf, 8);
	/* nothing is left open */
	ASSERT_EQ(last, lowest_fd());
}

/* The rights are those of the user. */
TEST_F(pattern_file, read_file_of_root)
{
	PATTERN_ATTACH("read_file");
	PATTERN_RUN(-EACCES, read_file, AT_FDCWD, "/proc/1/environ", O_RDONLY, self->buf,
		    8);
}

TEST_F(pattern_file, read_file_refuses)
{
	PATTERN_ATTACH("read_file");
	PATTERN_REFUSES({ { (__u32)AT_FDCWD, 0, 0, 0 } },
			{ { (__u32)AT_FDCWD, 0, 0, 0x7ffff001 } },
			{ { (__u32)AT_FDCWD, 0, 0, WORD(1, 1) } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

/* A flow that waits for data of a FIFO is cancelled, and closes the file. */
TEST_F(pattern_file, read_file_cancel)
{
	char path[64];
	int own[2], last;

	/* those of the fixture belong to root */
	ASSERT_EQ(0, pipe(own));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", own[0]);
	PATTERN_ATTACH("read_file");
	last = lowest_fd();
	PATTERN_START(read_file, AT_FDCWD, path, O_RDONLY, self->buf, SIZE);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_NE(last, lowest_fd());
	IOU_CANCEL_FLOW(&self->ring, FLOW, APP);
	ASSERT_EQ(last, lowest_fd());
}

TEST_F(pattern_file, drain)
{
	PATTERN_ATTACH("drain");
	PATTERN_START(drain, self->pipe[0], self->buf, SIZE, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(5000, write(self->pipe[1], self->data, 5000));
	ASSERT_CQE(&self->ring, FLOW, 5000);
	ASSERT_EQ(0, memcmp(self->buf, self->data, 5000));
	/* more than there is room for */
	ASSERT_EQ(5000, write(self->pipe[1], self->data, 5000));
	PATTERN_RUN(4999, drain, self->pipe[0], self->buf, 4999, 0);
	PATTERN_RUN(1, drain, self->pipe[0], self->buf, 4999, 0);
	close(self->pipe[1]);
	PATTERN_RUN(0, drain, self->pipe[0], self->buf, SIZE, 0);
}

TEST_F(pattern_file, drain_limit)
{
	PATTERN_ATTACH("drain");
	PATTERN_RUN(-ETIME, drain, self->pipe[0], self->buf, SIZE, 10 * 1000 * 1000);
	ASSERT_EQ(9, write(self->pipe[1], self->data, 9));
	/* the limit is not exceeded, and leaves no CQE */
	PATTERN_RUN(9, drain, self->pipe[0], self->buf, SIZE, INT64_MAX);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(pattern_file, drain_counter)
{
	int fd = eventfd(3, 0);
	__u64 nr;

	ASSERT_LE(0, fd);
	PATTERN_ATTACH("drain");
	PATTERN_RUN(8, drain, fd, self->buf, SIZE, 0);
	memcpy(&nr, self->buf, sizeof(nr));
	ASSERT_EQ(3, nr);
	PATTERN_RUN(-EBADF, drain, -1, self->buf, SIZE, 0);
	ASSERT_EQ(9, write(self->pipe[1], self->data, 9));
	PATTERN_RUN(-EFAULT, drain, self->pipe[0], NULL, SIZE, 0);
}

TEST_F(pattern_file, drain_refuses)
{
	PATTERN_ATTACH("drain");
	PATTERN_REFUSES({ { WORD(self->pipe[0], 1), 0, 1, 0 } },
			{ { self->pipe[0], 0, 0, 0 } },
			{ { self->pipe[0], 0, 0x7ffff001, 0 } },
			{ { self->pipe[0], 0, 1, 1ULL << 63 } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

/* Queue a request and the flow that finishes what the request leaves. */
#define queue_finish(opcode, fd, len) do {				\
	struct io_uring_sqe *__sqe = iou_get_sqe(&self->ring);		\
									\
	io_uring_prep_rw(opcode, __sqe, fd, self->buf, len, 0);		\
	__sqe->user_data = APP;						\
	__sqe->flags = IOSQE_IO_LINK;					\
	PATTERN_PREP(finish, fd, 0);					\
} while (0)

TEST_F(pattern_file, finish)
{
	static const __u8 opcodes[] = { IORING_OP_READ, IORING_OP_READ_FIXED };
	struct iovec iov = { self->buf, SIZE };

	PATTERN_ATTACH("finish");
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	for (size_t n = 0; n < ARRAY_SIZE(opcodes); n++) {
		queue_finish(opcodes[n], self->pipe[0], 3000);
		ASSERT_EQ(2, iou_submit(&self->ring));
		for (int i = 0; i < 3; i++) {
			ASSERT_NO_CQE(&self->ring);
			ASSERT_EQ(1000, write(self->pipe[1], self->data + i * 1000, 1000));
		}
		/* the read has no CQE of its own */
		ASSERT_CQE(&self->ring, FLOW, 3000);
		ASSERT_EQ(0, memcmp(self->buf, self->data, 3000));
		memset(self->buf, 0, 3000);
	}
	/* from a file, and nothing to finish */
	queue_finish(IORING_OP_READ, self->in, SIZE);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, SIZE);
	ASSERT_EQ(0, memcmp(self->buf, self->data, SIZE));
	ASSERT_NO_CQE(&self->ring);
}

/* At the end of the stream, the rest of the chain is cancelled. */
TEST_F(pattern_file, finish_at_end)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqes[2];

	PATTERN_ATTACH("finish");
	ASSERT_EQ(10, write(self->pipe[1], self->data, 10));
	close(self->pipe[1]);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_read(sqe, self->pipe[0], self->buf, 3000, 0, APP);
	sqe->flags = IOSQE_IO_LINK;
	sqe = iou_get_sqe(&self->ring);
	iou_prep_finish(sqe, SLOT, self->pipe[0], 0);
	sqe->user_data = FLOW;
	sqe->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, APP);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, 10);
	ASSERT_HAS_CQE(cqes, 2, APP, -ECANCELED);
}

/* The same with a file that only the ring has */
TEST_F(pattern_file, finish_fixed_file)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	PATTERN_ATTACH("finish");
	ASSERT_EQ(0, io_uring_register_files(&self->ring, self->pipe, 1));
	iou_prep_read(sqe, 0, self->buf, 20, 0, APP);
	sqe->flags = IOSQE_IO_LINK | IOSQE_FIXED_FILE;
	PATTERN_PREP(finish, 0, 1);
	ASSERT_EQ(2, iou_submit(&self->ring));
	for (int i = 0; i < 2; i++) {
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(10, write(self->pipe[1], self->data + i * 10, 10));
	}
	ASSERT_CQE(&self->ring, FLOW, 20);
	ASSERT_EQ(0, memcmp(self->buf, self->data, 20));
}

/* A read that must not wait returns EAGAIN, and what continues the read waits. */
TEST_F(pattern_file, finish_again)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	PATTERN_ATTACH("finish");
	iou_prep_read(sqe, self->pipe[0], self->buf, 20, 0, APP);
	sqe->rw_flags = RWF_NOWAIT;
	sqe->flags = IOSQE_IO_LINK;
	PATTERN_PREP(finish, self->pipe[0], 0);
	ASSERT_EQ(2, iou_submit(&self->ring));
	for (int i = 0; i < 2; i++) {
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(10, write(self->pipe[1], self->data + i * 10, 10));
	}
	ASSERT_CQE(&self->ring, FLOW, 20);
	ASSERT_EQ(0, memcmp(self->buf, self->data, 20));
}

TEST_F(pattern_file, finish_errors)
{
	struct io_uring_cqe cqes[2];
	struct io_uring_sqe *sqe;

	PATTERN_ATTACH("finish");
	queue_finish(IORING_OP_WRITE, self->pipe[0], 20);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, -EBADF);
	ASSERT_EQ(9, write(self->pipe[1], self->data, 9));
	sqe = iou_get_sqe(&self->ring);
	iou_prep_read(sqe, self->pipe[0], NULL, 20, 0, APP);
	sqe->flags = IOSQE_IO_LINK;
	PATTERN_PREP(finish, self->pipe[0], 0);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, -EFAULT);
	/* nothing that could be finished */
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, 0, 0, APP);
	sqe->flags = IOSQE_IO_LINK;
	PATTERN_PREP(finish, self->in, 0);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, APP, 0);
	ASSERT_HAS_CQE(cqes, 2, FLOW, -EINVAL);
	PATTERN_REFUSES({ { 0, 0, 0, 0 } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

TEST_HARNESS_MAIN
