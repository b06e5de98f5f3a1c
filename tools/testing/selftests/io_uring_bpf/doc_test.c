// SPDX-License-Identifier: GPL-2.0
/* The listings of Documentation/bpf/prog_io_uring.rst do what the text says. */
#include "process.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "kselftest_harness.h"
#include "doc/acceptor.skel.h"
#include "doc/append.skel.h"
#include "doc/at_eof.skel.h"
#include "doc/count_again.skel.h"
#include "doc/count_errors.skel.h"
#include "doc/count_messages.skel.h"
#include "doc/echo.skel.h"
#include "doc/first_message.skel.h"
#include "doc/first_of_n.skel.h"
#include "doc/only_large.skel.h"
#include "doc/proxy.skel.h"
#include "doc/read_rest.skel.h"
#include "doc/rest.skel.h"
#include "doc/walk.skel.h"
#include "doc/write_sync.skel.h"

/* the loader of the first program */
#define main	count_main
#include "doc/main.inc"
#undef main

#define FLOW	0xf10aULL
#define READ	0x4eadULL
#define WRITE	0x3417eULL
#define LAST	0x1a57ULL

#define NR_CONNS	1024
#define CONN_SIZE	512

/* of the application, for all programs */
static char *mem;

FIXTURE(doc) {
	struct io_uring ring;
	struct bpf_link *link;
	int fd;
};

FIXTURE_SETUP(doc)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, 0));
	self->fd = memfd_create("doc", 0);
	ASSERT_LE(0, self->fd);
	mem = mmap(NULL, NR_CONNS * CONN_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
}

FIXTURE_TEARDOWN(doc)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
	close(self->fd);
}

/* Load a listing, and attach it to slot 0. */
#define ATTACH(name) do {						\
	struct name *__skel = name##__open_and_load();			\
									\
	ASSERT_NE(NULL, __skel);					\
	self->link = IOU_ATTACH(__skel->progs.name, &self->ring, 0);	\
} while (0)

/* Submit a flow whose state begins with these words. */
#define START(a0, a1, a2, a3) do {					\
	struct io_uring_sqe *__sqe = iou_queue_bpf(&self->ring, 0, FLOW);	\
									\
	iou_prep_bpf(__sqe, 0, a0, (unsigned long)(a1), a2, a3);	\
	__sqe->user_data = FLOW;					\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

static off_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

/* Return a socket that listens, with its address. */
static int listening(struct sockaddr_un *addr, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	*len = sizeof(*addr);
	addr->sun_family = AF_UNIX;
	/* the kernel chooses an abstract name */
	if (bind(fd, (void *)addr, sizeof(addr->sun_family)) || listen(fd, 8) ||
	    getsockname(fd, (void *)addr, len))
		return -1;
	return fd;
}

static int connected(const struct sockaddr_un *addr, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return connect(fd, (const void *)addr, len) ? -1 : fd;
}

TEST_F(doc, count)
{
	char *argv[3] = { "count", "/proc/self/exe" };
	struct stat st;
	int pipes[2], status;
	char text[20] = {};
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	if (!pid) {
		dup2(pipes[1], 1);
		exit(count_main(2, argv));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_LT(0, read(pipes[0], text, sizeof(text) - 1));
	ASSERT_EQ(0, stat("/proc/self/exe", &st));
	ASSERT_EQ(st.st_size, atoi(text));
}

TEST_F(doc, count_again)
{
	ATTACH(count_again);
	ASSERT_EQ(0, ftruncate(self->fd, 10000));
	START(self->fd, mem, 0, 0);
	ASSERT_CQE(&self->ring, FLOW, 10000);
}

TEST_F(doc, write_sync)
{
	int full = open("/dev/full", O_WRONLY);

	ATTACH(write_sync);
	START(self->fd, mem, 0, 0);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(4096, size_of(self->fd));

	START(full, mem, 0, 0);
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
}

/* READ -> BPF -> WRITE -> NOP; the WRITE posts a CQE if it runs. */
static int chain(struct io_uring *ring, int fd, __u64 off)
{
	struct io_uring_sqe *sqe = iou_get_sqe(ring);

	iou_prep_read(sqe, fd, mem, 10, off, READ);
	sqe->flags = IOSQE_IO_LINK;
	iou_queue_bpf(ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	sqe = iou_get_sqe(ring);
	iou_prep_write(sqe, fd, mem, 10, 10, WRITE);
	sqe->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(ring), 0, 0, LAST);
	return iou_submit(ring);
}

TEST_F(doc, at_eof)
{
	ATTACH(at_eof);
	ASSERT_EQ(0, ftruncate(self->fd, 10));

	ASSERT_EQ(4, chain(&self->ring, self->fd, 0));
	ASSERT_CQE(&self->ring, READ, 10);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, WRITE, 10);
	ASSERT_CQE(&self->ring, LAST, 0);

	ASSERT_EQ(4, chain(&self->ring, self->fd, 20));
	ASSERT_CQE(&self->ring, READ, 0);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, LAST, 0);
	ASSERT_EQ(20, size_of(self->fd));
}

TEST_F(doc, acceptor)
{
	struct io_uring_cqe cqe;
	struct sockaddr_un addr;
	socklen_t len;
	int i, fd;

	ATTACH(acceptor);
	fd = listening(&addr, &len);
	ASSERT_LE(0, fd);
	START(fd, 0, 0, 0);
	for (i = 0; i < 3; i++) {
		ASSERT_LE(0, connected(&addr, len));
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(0, cqe.user_data);
		ASSERT_LE(0, cqe.res);
		ASSERT_EQ(0, close(cqe.res));
	}
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, FLOW, 0, -1, 0));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(doc, walk)
{
	struct iovec iov = { mem, 4096 };
	__u64 next[] = { 1024, 512, 0 };
	int i;

	ATTACH(walk);
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, ftruncate(self->fd, 1536));
	/* block 0, block 2, block 1 */
	for (i = 0; i < 3; i++)
		ASSERT_EQ(8, pwrite(self->fd, &next[i], 8, i ? next[i - 1] : 0));
	START(self->fd, mem, 0, 0);
	ASSERT_CQE(&self->ring, FLOW, 3);

	/* the last block is beyond the end of the file */
	ASSERT_EQ(8, pwrite(self->fd, &(__u64){ 2048 }, 8, 512));
	START(self->fd, mem, 0, 0);
	ASSERT_CQE(&self->ring, FLOW, -EIO);
}

TEST_F(doc, count_messages)
{
	struct iovec iov = { mem, 2 * 4096 };
	__u32 header[2] = {};
	struct io_uring_sqe *sqe;
	int socks[2];

	ATTACH(count_messages);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks));
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_provide_buffers(sqe, mem, 4096, 2, 0, 0);
	sqe->user_data = LAST;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, LAST, 0);

	START(socks[0], mem, 0, 0);
	/* more messages than buffers */
	for (int i = 0; i < 9; i++) {
		header[0] = i % 2;
		ASSERT_EQ(sizeof(header), write(socks[1], header, sizeof(header)));
	}
	ASSERT_EQ(0, close(socks[1]));
	ASSERT_CQE(&self->ring, FLOW, 4);
	ASSERT_NO_CQE(&self->ring);
}

/* Attach the program, and queue the SQE of a flow. */
static struct bpf_link *queue_proxy(struct proxy *skel, struct io_uring *pring, int left,
				    int right, char *buf)
{
	struct io_uring ring = *pring;
	struct io_uring_sqe *sqe;
	struct bpf_link *link;

#include "doc/attach_proxy.inc"
	sqe->user_data = FLOW;
	*pring = ring;
	return link;
}

TEST_F_TIMEOUT(doc, proxy, 120)
{
	struct proxy *skel = proxy__open_and_load();
	int left[2], right[2];
	char buf[10];

	ASSERT_NE(NULL, skel);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, left));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, right));
	self->link = queue_proxy(skel, &self->ring, left[1], right[1], mem);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(4, write(left[0], "ping", 4));
		ASSERT_EQ(5, write(right[0], "hello", 5));
		ASSERT_TRUE(until((io_uring_get_events(&self->ring),
				   iou_fd_gets(right[0], POLLIN, 0))));
		ASSERT_EQ(4, read(right[0], buf, sizeof(buf)));
		ASSERT_TRUE(until((io_uring_get_events(&self->ring),
				   iou_fd_gets(left[0], POLLIN, 0))));
		ASSERT_EQ(5, read(left[0], buf, sizeof(buf)));
		ASSERT_EQ(0, memcmp(buf, "hello", 5));
	}
	ASSERT_EQ(0, shutdown(left[0], SHUT_WR));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, read(right[0], buf, sizeof(buf)));
	ASSERT_EQ(0, shutdown(right[0], SHUT_WR));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(0, read(left[0], buf, sizeof(buf)));
}

static struct bpf_link *attach_watcher(struct only_large *skel, struct io_uring ring)
{
	struct bpf_link *link;

#include "doc/attach_only_large.inc"
	return link;
}

TEST_F(doc, only_large)
{
	struct only_large *skel = only_large__open_and_load();

	ASSERT_NE(NULL, skel);
	self->link = attach_watcher(skel, self->ring);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, ftruncate(self->fd, 4096));
	iou_prep_read(iou_get_sqe(&self->ring), self->fd, mem, 511, 0, READ);
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, LAST);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, LAST, 0);
	ASSERT_NO_CQE(&self->ring);
	iou_prep_read(iou_get_sqe(&self->ring), self->fd, mem, 512, 0, READ);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, READ, 512);
}

TEST_F(doc, count_errors)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = BPF_F_IOURING_MATCH);
	struct count_errors *first = count_errors__open_and_load();
	struct only_large *second = only_large__open_and_load();
	struct bpf_link *link;

	ASSERT_NE(NULL, first);
	ASSERT_NE(NULL, second);
	self->link = bpf_program__attach_iouring(first->progs.count_errors,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	opts.slot = 1;
	link = bpf_program__attach_iouring(second->progs.only_large, self->ring.ring_fd,
					   &opts);
	ASSERT_NE(NULL, link);
	iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, LAST);
	iou_prep_nop(iou_get_sqe(&self->ring), -EIO, 0, READ);
	ASSERT_EQ(2, iou_submit(&self->ring));
	/* the second program has dropped the other one */
	ASSERT_CQE(&self->ring, READ, -EIO);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, first->bss->nr_errors);
	ASSERT_EQ(0, bpf_link__destroy(link));
}

TEST_F(doc, rest)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = BPF_F_IOURING_MATCH,
		    .opcodes[0] = 1ULL << IORING_OP_READ);
	struct rest *skel = rest__open_and_load();
	int fds[2];

	ASSERT_NE(NULL, skel);
	self->link = bpf_program__attach_iouring(skel->progs.rest, self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0, pipe(fds));
	iou_prep_read(iou_get_sqe(&self->ring), fds[0], mem, 7, 0, READ);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(3, write(fds[1], "one", 3));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, write(fds[1], " two", 4));
	ASSERT_CQE(&self->ring, READ, 7);
	ASSERT_EQ(0, memcmp(mem, "one two", 7));
	close(fds[0]);
	close(fds[1]);
}

TEST_F(doc, first_of_n)
{
	int pipes[4][2], fds[4], i;

	ATTACH(first_of_n);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, pipe(pipes[i]));
		fds[i] = pipes[i][0];
	}
	ASSERT_EQ(0, io_uring_register_files(&self->ring, fds, 4));
	START(4, mem, 0, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(5, write(pipes[2][1], "hello", 5));
	ASSERT_CQE(&self->ring, FLOW, 2);
	ASSERT_EQ(0, memcmp(mem + 2 * 4096, "hello", 5));

	/* no file is registered: each of them fails */
	ASSERT_EQ(0, io_uring_unregister_files(&self->ring));
	START(4, mem, 0, 0);
	ASSERT_CQE(&self->ring, FLOW, -EBADF);
}

TEST_F(doc, first_message)
{
	struct io_uring_cqe cqes[4];
	int socks[3][2], fds[3], i;

	ATTACH(first_message);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks[i]));
		fds[i] = socks[i][0];
		ASSERT_EQ(5, write(socks[i][1], "hello", 5));
	}
	ASSERT_EQ(0, io_uring_register_files(&self->ring, fds, 3));
	/* all have data, and the CQE of the flow is the last one */
	START(3, mem, 0, 0);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	for (i = 0; i < 3; i++) {
		ASSERT_HAS_CQE(cqes, 3, i, 5);
		ASSERT_EQ(0, memcmp(mem + i * 4096, "hello", 5));
	}
	ASSERT_EQ(FLOW, cqes[3].user_data);
	ASSERT_EQ(0, cqes[3].res);

	/* the others are cancelled */
	START(3, mem, 0, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, write(socks[1][1], "hi", 2));
	ASSERT_CQE(&self->ring, 1, 2);
	ASSERT_CQE(&self->ring, FLOW, 1);
	ASSERT_NO_CQE(&self->ring);
}

/* READ of 5 bytes -> BPF -> WRITE */
static int read_to_file(struct io_uring *ring, int from, int to)
{
	struct io_uring_sqe *sqe = iou_get_sqe(ring);

	iou_prep_read(sqe, from, mem, 5, 0, READ);
	sqe->flags = IOSQE_IO_LINK;
	sqe = iou_queue_bpf(ring, 0, FLOW);
	sqe->off = from;
	sqe->flags = IOSQE_IO_LINK;
	iou_prep_write(iou_get_sqe(ring), to, mem, 5, 0, WRITE);
	return iou_submit(ring);
}

TEST_F(doc, read_rest)
{
	char buf[10];
	int pipes[2];

	ATTACH(read_rest);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(2, write(pipes[1], "he", 2));
	ASSERT_EQ(3, read_to_file(&self->ring, pipes[0], self->fd));
	ASSERT_CQE(&self->ring, READ, 2);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, write(pipes[1], "ll", 2));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, write(pipes[1], "o", 1));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, WRITE, 5);
	ASSERT_EQ(5, pread(self->fd, buf, sizeof(buf), 0));
	ASSERT_EQ(0, memcmp(buf, "hello", 5));

	ASSERT_EQ(2, write(pipes[1], "he", 2));
	ASSERT_EQ(0, close(pipes[1]));
	ASSERT_EQ(3, read_to_file(&self->ring, pipes[0], self->fd));
	ASSERT_CQE(&self->ring, READ, 2);
	ASSERT_CQE(&self->ring, FLOW, -ENODATA);
	ASSERT_CQE(&self->ring, WRITE, -ECANCELED);
}

TEST_F(doc, append)
{
	int full = open("/dev/full", O_WRONLY);

	ATTACH(append);
	START(self->fd, mem, 512, 100);
	ASSERT_CQE(&self->ring, FLOW, 100);
	ASSERT_EQ(101 * 512, size_of(self->fd));

	START(full, mem, 0, 20);
	ASSERT_CQE(&self->ring, FLOW, -ENOSPC);
}

TEST_F_TIMEOUT(doc, echo, 180)
{
	struct sockaddr_un addr;
	socklen_t len;
	char buf[10];
	int conns[3], fd, i, j;

	ATTACH(echo);
	fd = listening(&addr, &len);
	ASSERT_LE(0, fd);
	START(fd, mem, 0, 0);
	for (i = 0; i < 3; i++)
		conns[i] = connected(&addr, len);
	for (j = 0; j < 2; j++) {
		for (i = 0; i < 3; i++)
			ASSERT_EQ(3, write(conns[i], "abc", 3));
		for (i = 0; i < 3; i++) {
			ASSERT_TRUE(until((io_uring_get_events(&self->ring),
					   iou_fd_gets(conns[i], POLLIN, 0))));
			ASSERT_EQ(3, read(conns[i], buf, sizeof(buf)));
			ASSERT_EQ(0, memcmp(buf, "abc", 3));
		}
	}
	/* closed by the client, and by the program at the end of the flow */
	ASSERT_EQ(0, shutdown(conns[0], SHUT_WR));
	ASSERT_TRUE(until((io_uring_get_events(&self->ring),
			   iou_fd_gets(conns[0], POLLHUP, 0))));
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, FLOW, 0, -1, 0));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	ASSERT_EQ(0, read(conns[1], buf, sizeof(buf)));
	ASSERT_EQ(0, read(conns[2], buf, sizeof(buf)));
	ASSERT_NO_CQE(&self->ring);
}

/* The flow can have two children: the accept, and one for the first connection. */
TEST_F(doc, echo_without_room)
{
	struct io_uring_cqe cqe;
	struct sockaddr_un addr;
	socklen_t len;
	char buf[10];
	int conns[2], fd, i;

	io_uring_queue_exit(&self->ring);
	ASSERT_EQ(0, iou_ring_init_size(&self->ring, 0, 1, 2));
	ATTACH(echo);
	fd = listening(&addr, &len);
	ASSERT_LE(0, fd);
	START(fd, mem, 0, 0);
	for (i = 0; i < 2; i++)
		conns[i] = connected(&addr, len);
	ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_EQ(0, cqe.user_data);
	ASSERT_LT(0, cqe.res);
	/* the application serves the second connection, and the flow the first one */
	ASSERT_EQ(2, write(cqe.res, "hi", 2));
	ASSERT_EQ(2, read(conns[1], buf, sizeof(buf)));
	ASSERT_EQ(3, write(conns[0], "abc", 3));
	ASSERT_TRUE(until((io_uring_get_events(&self->ring),
			   iou_fd_gets(conns[0], POLLIN, 0))));
	ASSERT_EQ(3, read(conns[0], buf, sizeof(buf)));
}

TEST_HARNESS_MAIN
