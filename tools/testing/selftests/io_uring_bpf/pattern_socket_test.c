// SPDX-License-Identifier: GPL-2.0
/* Patterns for sockets, as a user without privileges */
#define PATTERNS "send_file recv_file forward recv_msg finish"
#include "pattern.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "loopback.h"

#define SIZE	(256 * 1024)
#define MS	1000000ULL

FIXTURE(pattern_socket) {
	struct io_uring ring;
	char *data;
	char *buf;
	int file;
	int pipe[2];
	int a[2], b[2];		/* two connections, the patterns use a[1] and b[1] */
	int link;
};

IOU_RING_VARIANTS(pattern_socket);

/* Connect two TCP sockets. Return 0 or an error. */
static int tcp_pair(int *fds)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int ret, listener = socket(AF_INET, SOCK_STREAM, 0);

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	ret = loopback_up(listener);
	if (ret)
		return ret;
	if (bind(listener, (void *)&addr, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&addr, &len) ||
	    connect(fds[0], (void *)&addr, len))
		return -errno;
	fds[1] = accept(listener, NULL, NULL);
	close(listener);
	return fds[1] < 0 ? -errno : 0;
}

FIXTURE_SETUP(pattern_socket)
{
	PATTERN_REQUIRE();
	self->file = pattern_file();
	self->data = malloc(SIZE);
	self->buf = calloc(2, SIZE);
	ASSERT_NE(NULL, self->data);
	ASSERT_NE(NULL, self->buf);
	pattern_fill(self->data, SIZE);
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ(0, tcp_pair(self->a));
	ASSERT_EQ(0, tcp_pair(self->b));
	ASSERT_EQ(0, pattern_drop(NOBODY));
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(pattern_socket)
{
	close(self->link);
	io_uring_queue_exit(&self->ring);
	free(self->data);
	free(self->buf);
}

/* Receive @len bytes that have to be @data, while requests of the ring go on. */
static bool receives(struct io_uring *ring, int fd, const char *data, size_t len)
{
	__u64 end = iou_now_ms() + IOU_WAIT_MS;
	char buf[4096];
	ssize_t n;

	while (len && iou_now_ms() < end) {
		io_uring_get_events(ring);
		n = recv(fd, buf, len < sizeof(buf) ? len : sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			usleep(100);
			continue;
		}
		if (n <= 0 || memcmp(buf, data, n))
			return false;
		data += n;
		len -= n;
	}
	return !len;
}

/* Return true if the stream ends. */
static bool ends(struct io_uring *ring, int fd)
{
	__u64 end = iou_now_ms() + IOU_WAIT_MS;
	char byte;
	ssize_t n;

	do {
		io_uring_get_events(ring);
		n = recv(fd, &byte, 1, MSG_DONTWAIT);
	} while (n < 0 && errno == EAGAIN && iou_now_ms() < end);
	return !n;
}

/* More than pipe and socket hold */
TEST_F(pattern_socket, send_file)
{
	ASSERT_EQ(SIZE, pwrite(self->file, self->data, SIZE, 0));
	PATTERN_ATTACH("send_file");
	PATTERN_START(send_file, self->a[1], self->file, 0, SIZE, self->pipe);
	ASSERT_TRUE(receives(&self->ring, self->a[0], self->data, SIZE));
	ASSERT_CQE(&self->ring, FLOW, SIZE);
	/* a range, and one that exceeds the file */
	PATTERN_RUN(100, send_file, self->a[1], self->file, 7, 100, self->pipe);
	ASSERT_TRUE(receives(&self->ring, self->a[0], self->data + 7, 100));
	PATTERN_RUN(9, send_file, self->a[1], self->file, SIZE - 9, 100, self->pipe);
	ASSERT_TRUE(receives(&self->ring, self->a[0], self->data + SIZE - 9, 9));
	PATTERN_RUN(0, send_file, self->a[1], self->file, SIZE, 100, self->pipe);
}

/* A socket that does not block, of a peer that reads late */
TEST_F(pattern_socket, send_file_again)
{
	int size = 4096, i;

	ASSERT_EQ(0, fcntl(self->a[1], F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, setsockopt(self->a[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	for (i = 0; i < 16; i++)
		ASSERT_EQ(SIZE, pwrite(self->file, self->data, SIZE, i * SIZE));
	PATTERN_ATTACH("send_file");
	PATTERN_START(send_file, self->a[1], self->file, 0, 16 * SIZE, self->pipe);
	ASSERT_NO_CQE(&self->ring);
	for (i = 0; i < 16; i++)
		ASSERT_TRUE(receives(&self->ring, self->a[0], self->data, SIZE));
	ASSERT_CQE(&self->ring, FLOW, 16 * SIZE);
}

TEST_F(pattern_socket, send_file_errors)
{
	const int none[2] = { -1, -1 };

	ASSERT_EQ(SIZE, pwrite(self->file, self->data, SIZE, 0));
	PATTERN_ATTACH("send_file");
	PATTERN_RUN(-EBADF, send_file, self->a[1], -1, 0, SIZE, self->pipe);
	PATTERN_RUN(-EBADF, send_file, self->a[1], self->file, 0, SIZE, none);
	PATTERN_RUN(-EINVAL, send_file, self->a[1], self->file, 0, SIZE, self->a);
	PATTERN_REFUSES({ { self->file, 0, 0, 0 } },
			{ { self->file, 0, 0, 0x80000000 } },
			{ { self->file, 0, INT64_MAX, 1 } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

TEST_F(pattern_socket, recv_file)
{
	PATTERN_ATTACH("recv_file");
	PATTERN_START(recv_file, self->a[1], self->file, 100, 30000, self->buf, 4096);
	for (int i = 0; i < 3; i++) {
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(10000, send(self->a[0], self->data + i * 10000, 10000, 0));
	}
	ASSERT_CQE(&self->ring, FLOW, 30000);
	ASSERT_EQ(30000, pread(self->file, self->buf, SIZE, 100));
	ASSERT_EQ(0, memcmp(self->buf, self->data, 30000));
	/* the rest of the stream stays there, and then the stream ends */
	ASSERT_EQ(10, send(self->a[0], self->data, 10, 0));
	PATTERN_RUN(4, recv_file, self->a[1], self->file, 0, 4, self->buf, 4096);
	ASSERT_EQ(0, shutdown(self->a[0], SHUT_WR));
	PATTERN_RUN(6, recv_file, self->a[1], self->file, 4, INT_MAX, self->buf, 4096);
	ASSERT_EQ(10, pread(self->file, self->buf, 10, 0));
	ASSERT_EQ(0, memcmp(self->buf, self->data, 10));
}

TEST_F(pattern_socket, recv_file_errors)
{
	__u64 fds = WORD(self->a[1], self->file);

	PATTERN_ATTACH("recv_file");
	PATTERN_RUN(-ENOTSOCK, recv_file, self->file, self->file, 0, 1, self->buf, 1);
	ASSERT_EQ(10, send(self->a[0], self->data, 10, 0));
	PATTERN_RUN(-EBADF, recv_file, self->a[1], -1, 0, 1, self->buf, 1);
	PATTERN_RUN(-EFAULT, recv_file, self->a[1], self->file, 0, 1, NULL, 1);
	PATTERN_REFUSES({ { fds, 0, 0, WORD(0, 1) } },
			{ { fds, 0, 0, WORD(1, 0) } },
			{ { fds, 0, 0, WORD(0x80000000, 1) } },
			{ { fds, 0, 0, WORD(1, 0x80000000) } },
			{ { fds, 0, INT64_MAX, WORD(1, 1) } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

/* Both directions, and the end of one before that of the other */
TEST_F(pattern_socket, forward)
{
	PATTERN_ATTACH("forward");
	PATTERN_START(forward, self->a[1], self->b[1], self->buf, 4096, 0);
	ASSERT_EQ(20000, send(self->a[0], self->data, 20000, 0));
	ASSERT_EQ(10000, send(self->b[0], self->data + 5, 10000, 0));
	ASSERT_TRUE(receives(&self->ring, self->b[0], self->data, 20000));
	ASSERT_TRUE(receives(&self->ring, self->a[0], self->data + 5, 10000));

	ASSERT_EQ(0, shutdown(self->a[0], SHUT_WR));
	ASSERT_TRUE(ends(&self->ring, self->b[0]));
	ASSERT_EQ(100, send(self->b[0], self->data, 100, 0));
	ASSERT_TRUE(receives(&self->ring, self->a[0], self->data, 100));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, shutdown(self->b[0], SHUT_WR));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_TRUE(ends(&self->ring, self->a[0]));
}

/* Send in pieces of SIZE until the peers take nothing more. Return the number of bytes. */
static size_t fill(struct io_uring *ring, int fd, const char *data)
{
	size_t sent = 0;
	ssize_t n;

	for (int idle = 0; idle < 100; idle++) {
		io_uring_get_events(ring);
		n = send(fd, data + sent % SIZE, SIZE - sent % SIZE, MSG_DONTWAIT);
		if (n > 0) {
			sent += n;
			idle = 0;
		}
		usleep(1000);
	}
	return sent;
}

/* Receive @len bytes, pieces of SIZE, as fill() has sent them. */
static bool drains(struct io_uring *ring, int fd, const char *data, size_t len)
{
	for (; len > SIZE; len -= SIZE) {
		if (!receives(ring, fd, data, SIZE))
			return false;
	}
	return receives(ring, fd, data, len);
}

/* A peer that does not read stops the other one, and nothing is lost. */
TEST_F(pattern_socket, forward_back_pressure)
{
	size_t sent;

	PATTERN_ATTACH("forward");
	PATTERN_START(forward, self->a[1], self->b[1], self->buf, 4096, 0);
	sent = fill(&self->ring, self->a[0], self->data);
	ASSERT_LT(0, sent);
	ASSERT_EQ(0, shutdown(self->a[0], SHUT_WR));
	ASSERT_TRUE(drains(&self->ring, self->b[0], self->data, sent));
	ASSERT_TRUE(ends(&self->ring, self->b[0]));
}

/* Reset the connection. */
static int reset(int fd)
{
	struct linger now = { .l_onoff = 1 };

	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) ?: close(fd);
}

TEST_F(pattern_socket, forward_reset)
{
	PATTERN_ATTACH("forward");
	PATTERN_START(forward, self->a[1], self->b[1], self->buf, 4096, 0);
	ASSERT_EQ(1000, send(self->a[0], self->data, 1000, 0));
	ASSERT_TRUE(receives(&self->ring, self->b[0], self->data, 1000));
	ASSERT_EQ(0, reset(self->a[0]));
	ASSERT_CQE(&self->ring, FLOW, -ECONNRESET);
}

/*
 * One peer has reset the connection, and data cannot be sent to it any more. The other one,
 * which has not read yet, gets what was received for it.
 */
TEST_F(pattern_socket, forward_reset_drains)
{
	int unsent, unread;
	size_t sent;

	PATTERN_ATTACH("forward");
	PATTERN_START(forward, self->a[1], self->b[1], self->buf, 4096, 0);
	sent = fill(&self->ring, self->a[0], self->data);
	ASSERT_EQ(0, ioctl(self->a[0], SIOCOUTQ, &unsent));
	ASSERT_EQ(0, ioctl(self->a[1], SIOCINQ, &unread));
	ASSERT_LT(0, unread);
	ASSERT_EQ(0, reset(self->a[0]));
	ASSERT_EQ(100, send(self->b[0], self->data, 100, 0));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_TRUE(drains(&self->ring, self->b[0], self->data, sent - unsent - unread));
	ASSERT_CQE(&self->ring, FLOW, -ECONNRESET);
}

TEST_F(pattern_socket, forward_idle)
{
	PATTERN_ATTACH("forward");
	/* before the start, as the flow ends if nothing comes in time */
	ASSERT_EQ(10, send(self->a[0], self->data, 10, 0));
	PATTERN_START(forward, self->a[1], self->b[1], self->buf, 4096, 300 * MS);
	ASSERT_TRUE(receives(&self->ring, self->b[0], self->data, 10));
	ASSERT_CQE(&self->ring, FLOW, -ETIME);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(pattern_socket, forward_errors)
{
	__u64 fds = WORD(self->a[1], self->b[1]);

	PATTERN_ATTACH("forward");
	PATTERN_RUN(-ENOTSOCK, forward, self->a[1], self->file, self->buf, 1, 0);
	PATTERN_RUN(-EBADF, forward, -1, self->b[1], self->buf, 1, 0);
	ASSERT_EQ(1, send(self->a[0], self->data, 1, 0));
	PATTERN_RUN(-EFAULT, forward, self->a[1], self->b[1], NULL, 1, 0);
	PATTERN_REFUSES({ { fds, 0, 0, 0 } },
			{ { fds, 0, 0x80000000, 0 } },
			{ { fds, 0, WORD(1, 1), 0 } },
			{ { fds, 0, 1, 1ULL << 63 } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

/* The buffer is in a registered one, not at its beginning. */
#define OFFSET	64
#define register_buf() do {						\
	struct iovec __iov = { self->buf, SIZE };			\
									\
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &__iov, 1));\
} while (0)

#define run_msg(_res, max, width, little)				\
	PATTERN_RUN(_res, recv_msg, self->a[1], self->buf + OFFSET, max, width, little, 0,\
		    OFFSET)

TEST_F(pattern_socket, recv_msg)
{
	register_buf();
	PATTERN_ATTACH("recv_msg");
	for (int width = 1; width <= 8; width *= 2) {
		for (int little = 0; little < 2; little++) {
			char head[8] = {};

			head[little ? 0 : width - 1] = 100;
			/* in three parts, and with the next message behind it */
			ASSERT_EQ(width, send(self->a[0], head, width, 0));
			ASSERT_EQ(60, send(self->a[0], self->data, 60, 0));
			PATTERN_START(recv_msg, self->a[1], self->buf + OFFSET, SIZE / 2,
				      width, little, 0, OFFSET);
			ASSERT_NO_CQE(&self->ring);
			ASSERT_EQ(41, send(self->a[0], self->data + 60, 41, 0));
			ASSERT_CQE(&self->ring, FLOW, width + 100);
			ASSERT_EQ(0, memcmp(self->buf + OFFSET, head, width));
			ASSERT_EQ(0, memcmp(self->buf + OFFSET + width, self->data, 100));
			ASSERT_EQ(1, recv(self->a[1], head, 8, MSG_DONTWAIT));
		}
	}
}

/* Messages without contents, messages that are too long, and the end of the stream */
TEST_F(pattern_socket, recv_msg_ends)
{
	register_buf();
	PATTERN_ATTACH("recv_msg");
	ASSERT_EQ(2, send(self->a[0], "\0\0", 2, 0));
	run_msg(2, 2, 2, 0);
	ASSERT_EQ(4, send(self->a[0], "\0\144ab", 4, 0));
	run_msg(-EMSGSIZE, 101, 2, 0);
	ASSERT_EQ(2, recv(self->a[1], self->buf, 8, MSG_DONTWAIT));
	ASSERT_EQ(8, send(self->a[0], "\377\377\377\377\377\377\377\377", 8, 0));
	run_msg(-EMSGSIZE, SIZE / 2, 8, 0);
	ASSERT_EQ(4, send(self->a[0], "\0\144ab", 4, 0));
	ASSERT_EQ(0, shutdown(self->a[0], SHUT_WR));
	run_msg(-ENODATA, SIZE / 2, 2, 0);
	run_msg(0, SIZE / 2, 2, 0);
}

TEST_F(pattern_socket, recv_msg_errors)
{
	__u64 fd = self->a[1];

	PATTERN_ATTACH("recv_msg");
	ASSERT_EQ(4, send(self->a[0], "\0\144\0\144", 4, 0));
	run_msg(-ENOENT, 200, 2, 0);
	register_buf();
	PATTERN_RUN(-EFAULT, recv_msg, self->a[1], self->buf, 200, 2, 0, 0, SIZE - 1);
	PATTERN_RUN(-EBADF, recv_msg, -1, self->buf, 200, 2, 0, 0, 0);
	ASSERT_EQ(2, send(self->a[0], "\0\1", 2, 0));
	PATTERN_RUN(-EFAULT, recv_msg, self->a[1], NULL, 200, 2, 0, 0, 0);
	PATTERN_REFUSES({ { WORD(fd, 0), 0, 0, 100 } },
			{ { WORD(fd, 3 << 16), 0, 0, 100 } },
			{ { WORD(fd, 16 << 16), 0, 0, 100 } },
			{ { WORD(fd, 2 << 24 | 2 << 16), 0, 0, 100 } },
			{ { WORD(fd, 4 << 16), 0, 0, 3 } },
			{ { WORD(fd, 4 << 16), 0, 0, 0x80000000 } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

/* Behind a receive, and behind a send that the socket does not take at once */
TEST_F(pattern_socket, finish)
{
	int size = 4096;

	PATTERN_ATTACH("finish");
	for (int sends = 0; sends < 2; sends++) {
		struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

		if (sends)
			io_uring_prep_send(sqe, self->a[1], self->data, SIZE, 0);
		else
			io_uring_prep_recv(sqe, self->a[1], self->buf, 3000, 0);
		sqe->user_data = APP;
		sqe->flags = IOSQE_IO_LINK;
		PATTERN_PREP(finish, self->a[1], 0);
		if (sends) {
			ASSERT_EQ(0, fcntl(self->a[1], F_SETFL, O_NONBLOCK));
			ASSERT_EQ(0, setsockopt(self->a[1], SOL_SOCKET, SO_SNDBUF, &size,
						sizeof(size)));
		}
		ASSERT_EQ(2, iou_submit(&self->ring));
		ASSERT_NO_CQE(&self->ring);
		if (sends) {
			ASSERT_TRUE(receives(&self->ring, self->a[0], self->data, SIZE));
			ASSERT_CQE(&self->ring, FLOW, SIZE);
			continue;
		}
		for (int i = 0; i < 3; i++) {
			ASSERT_NO_CQE(&self->ring);
			ASSERT_EQ(1000, send(self->a[0], self->data + i * 1000, 1000, 0));
		}
		ASSERT_CQE(&self->ring, FLOW, 3000);
		ASSERT_EQ(0, memcmp(self->buf, self->data, 3000));
	}
}

TEST_HARNESS_MAIN
