// SPDX-License-Identifier: GPL-2.0
/* Requests that wait for a pipe or a socket, and wait again after a reissue */
#include "again.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/un.h>

/* above the limit of poll retries without progress */
#define HOPS	300

#define LARGE	(1 << 20)

static void add_recv(FIXTURE_DATA(again) *self, unsigned int len, int flags,
		     unsigned int ioprio)
{
	struct io_uring_sqe *sqe = again_add_child(self);

	io_uring_prep_recv(sqe, self->sock[1], self->got, len, flags);
	sqe->ioprio = ioprio;
	sqe->user_data = CHILD;
	self->skel->bss->stream = 1;
}

/* Start a flow that reads @total bytes, @len at a time. */
static void start_read_all(struct __test_metadata *_metadata,
			   FIXTURE_DATA(again) *self, unsigned int len,
			   unsigned int total)
{
	struct io_uring_sqe *sqe;

	again_attach(again_read_all);
	sqe = again_start();
	sqe->addr = len;
	sqe->addr3 = (unsigned long)self->got;
	sqe->bpf_arg = total;
	ASSERT_EQ(1, iou_submit(&self->ring));
}

/*
 * One byte at a time, with an empty pipe at each reissue. The test writes the
 * next byte when the program has seen the last one.
 */
static void hop_and_wait(struct __test_metadata *_metadata,
			 FIXTURE_DATA(again) *self, int fd)
{
	start_read_all(_metadata, self, 1, HOPS);
	for (int i = 0; i < HOPS; i++) {
		ASSERT_EQ(1 + i, again_nr_events(self));
		ASSERT_EQ(1, write(fd, self->data + i, 1));
		ASSERT_TRUE(again_until(self, 2 + i));
	}
	ASSERT_CQE(&self->ring, FLOW, HOPS);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, memcmp(self->got, self->data, HOPS));
}

TEST_F_TIMEOUT(again, pipe, 120)
{
	again_add_read(self, self->pipe[0], self->got, 1, 0);
	hop_and_wait(_metadata, self, self->pipe[1]);
}

TEST_F_TIMEOUT(again, socket, 120)
{
	add_recv(self, 1, 0, 0);
	hop_and_wait(_metadata, self, self->sock[0]);
}

TEST_F_TIMEOUT(again, socket_poll_first, 120)
{
	add_recv(self, 1, 0, IORING_RECVSEND_POLL_FIRST);
	hop_and_wait(_metadata, self, self->sock[0]);
}

static void attach_watcher(struct __test_metadata *_metadata,
			   FIXTURE_DATA(again) *self)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = 1,
		    .flags = BPF_F_IOURING_MATCH);

	self->watch = bpf_program__attach_iouring(self->skel->progs.again_watch,
						  self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->watch);
}

/* The state of a wait is freed, which watching programs do not see. */
TEST_F(again, unwatched)
{
	attach_watcher(_metadata, self);
	again_attach(again_steps);
	add_recv(self, 1, 0, 0);
	for (int i = 0; i < 3; i++)
		again_add_step(self, 0, self->got, 1);
	again_start();
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(1, write(self->sock[0], "x", 1));
		ASSERT_TRUE(again_until(self, 2 + i));
	}
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
	again_expect_steps();
	ASSERT_EQ(0, self->skel->bss->nr_watched);
}

/* The same if a worker holds the last reference. */
TEST_F(again, unwatched_in_worker)
{
	attach_watcher(_metadata, self);
	again_attach(again_steps);
	for (int i = 0; i < 16; i++)
		again_add_nop(self, 0, 0);
	for (int i = 0; i < 16; i++)
		self->skel->bss->sqes[i].flags = IOSQE_ASYNC;
	for (int i = 0; i < 10; i++)
		again_run(0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(10 * 17, again_nr_events(self));
	ASSERT_EQ(0, self->skel->bss->nr_watched);
}

/* A non-blocking request does not wait. */
TEST_F(again, nonblocking)
{
	again_attach(again_steps);
	add_recv(self, 4, MSG_DONTWAIT, 0);
	again_add_step(self, 0, self->got, 4);
	again_add_step(self, 0, self->got, 4);
	again_run(-EAGAIN);
	again_expect_steps();
	for (int i = 0; i < 3; i++)
		again_expect_res(i, -EAGAIN);
}

/* A worker waits, or passes the request to poll. */
TEST_F(again, pipe_in_io_wq)
{
	again_add_read(self, self->pipe[0], self->got, 4, 0)->flags =
		IOSQE_ASYNC;
	start_read_all(_metadata, self, 4, 40);
	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(1 + i, again_nr_events(self));
		ASSERT_EQ(4, write(self->pipe[1], self->data + 4 * i, 4));
		ASSERT_TRUE(again_until(self, 2 + i));
	}
	ASSERT_CQE(&self->ring, FLOW, 40);
	ASSERT_EQ(0, memcmp(self->got, self->data, 40));
}

/* With all data available, nothing waits, and the flow runs to its end. */
TEST_F(again, data_is_there)
{
	ASSERT_EQ(1000, write(self->sock[0], self->data, 1000));
	add_recv(self, 10, 0, 0);
	start_read_all(_metadata, self, 10, 1000);
	ASSERT_CQE(&self->ring, FLOW, 1000);
	ASSERT_EQ(101, again_nr_events(self));
	ASSERT_EQ(0, memcmp(self->got, self->data, 1000));
}

/* Return true if the request has read the available data. */
static bool all_taken(FIXTURE_DATA(again) *self)
{
	int left = 1;

	return !ioctl(self->sock[1], FIONREAD, &left) && !left;
}

/*
 * Each message arrives in two halves. A partial result does not affect the next
 * request.
 */
TEST_F(again, recv_waitall)
{
	add_recv(self, 8, MSG_WAITALL, 0);
	start_read_all(_metadata, self, 8, 40);
	for (int i = 0; i < 10; i++) {
		ASSERT_TRUE(again_until(self, 1 + i / 2));
		if (i >= 2)
			again_expect_res(i / 2 - 1, 8);
		ASSERT_EQ(4, write(self->sock[0], self->data + 4 * i, 4));
		ASSERT_TRUE(iou_until(&self->ring, all_taken(self)));
	}
	ASSERT_CQE(&self->ring, FLOW, 40);
	ASSERT_EQ(6, again_nr_events(self));
	for (int i = 0; i < 5; i++)
		again_expect_res(i, 8);
	ASSERT_EQ(0, memcmp(self->got, self->data, 40));
}

/* The other end is closed: an ordinary end of data. */
TEST_F(again, recv_end)
{
	ASSERT_EQ(10, write(self->sock[0], self->data, 10));
	add_recv(self, 8, 0, 0);
	start_read_all(_metadata, self, 8, 0);
	ASSERT_NO_CQE(&self->ring);
	close(self->sock[0]);
	self->sock[0] = -1;
	ASSERT_CQE(&self->ring, FLOW, 10);
	ASSERT_EQ(0, memcmp(self->got, self->data, 10));
}

struct sink {
	pthread_t thread;
	int fd;
	const char *want;
	size_t left;
};

/* Read the data in pieces, with delays. */
static void *sink_fn(void *arg)
{
	struct sink *sink = arg;
	char buf[20000];

	while (sink->left) {
		ssize_t len;

		usleep(1000);
		len = read(sink->fd, buf, sizeof(buf));
		if (len <= 0 || len > sink->left ||
		    memcmp(buf, sink->want, len))
			break;
		sink->want += len;
		sink->left -= len;
	}
	return NULL;
}

/* The receiver has less room than requested, so each send is partial. */
static void send_all(struct __test_metadata *_metadata,
		     FIXTURE_DATA(again) *self, struct io_uring_sqe *sqe,
		     int reader)
{
	struct sink sink = { .fd = reader, .left = LARGE };
	char *large = malloc(LARGE);

	ASSERT_NE(NULL, large);
	for (int i = 0; i < LARGE; i++)
		large[i] = (i * 2654435761U) >> 13;
	sink.want = large;
	sqe->addr = (unsigned long)large;
	sqe->len = LARGE;
	again_attach(again_send_all);
	sqe = again_start();
	sqe->off = LARGE;
	sqe->addr = (unsigned long)large;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, pthread_create(&sink.thread, NULL, sink_fn, &sink));
	ASSERT_CQE(&self->ring, FLOW, LARGE);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, pthread_join(sink.thread, NULL));
	ASSERT_EQ(0, sink.left);
	/* there was more than one piece */
	ASSERT_LT(2, again_nr_events(self));
	free(large);
}

TEST_F_TIMEOUT(again, send_in_pieces, 60)
{
	struct io_uring_sqe *sqe = again_add_child(self);

	io_uring_prep_send(sqe, self->sock[0], NULL, 0, 0);
	send_all(_metadata, self, sqe, self->sock[1]);
}

TEST_F_TIMEOUT(again, write_to_pipe_in_pieces, 60)
{
	struct io_uring_sqe *sqe = again_add_child(self);

	iou_prep_write(sqe, self->pipe[1], NULL, 0, 0, CHILD);
	send_all(_metadata, self, sqe, self->pipe[0]);
}

/* All readers are gone. */
TEST_F(again, send_fails)
{
	again_attach(again_steps);
	io_uring_prep_send(again_add_child(self), self->sock[0], self->data, 4,
			   MSG_NOSIGNAL);
	again_add_step(self, 0, self->data, 4);
	close(self->sock[1]);
	self->sock[1] = -1;
	again_run(-EPIPE);
	again_expect_steps();
	again_expect_res(0, -EPIPE);
	again_expect_res(1, -EPIPE);
}

/* The address is no longer known, and must not be omitted. */
TEST_F(again, send_to_address)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct io_uring_sqe *sqe;
	int from, to;

	snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "iou_bpf.%d",
		 getpid());
	from = socket(AF_UNIX, SOCK_DGRAM, 0);
	to = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ASSERT_LE(0, from);
	ASSERT_EQ(0, bind(to, (struct sockaddr *)&addr, sizeof(addr)));
	again_attach(again_steps);
	sqe = again_add_child(self);
	io_uring_prep_send(sqe, from, self->data, 4, 0);
	sqe->addr2 = (unsigned long)&addr;
	sqe->addr_len = sizeof(addr);
	again_add_step(self, 0, self->data + 4, 4);
	again_run(-EOPNOTSUPP);
	again_expect_steps();
	again_expect_res(0, 4);
	again_expect_res(1, -EOPNOTSUPP);
	ASSERT_EQ(4, read(to, self->got, 16));
	ASSERT_EQ(-1, read(to, self->got, 16));
	close(from);
	close(to);
}

static void fixed_buffer(struct __test_metadata *_metadata,
			 FIXTURE_DATA(again) *self, struct io_uring_sqe *sqe,
			 char *buf)
{
	sqe->ioprio = IORING_RECVSEND_FIXED_BUF;
	sqe->buf_index = 0;
	again_attach(again_steps);
	again_add_step(self, 0, buf + 4, 4);
	again_add_step(self, 0, buf + BLOCK - 2, 4);
	again_add_step(self, 0, buf + 8, 4);
	again_run(0);
	again_expect_steps();
	again_expect_res(0, 4);
	again_expect_res(1, 4);
	again_expect_res(2, -EFAULT);
	again_expect_res(3, 4);
}

TEST_F(again, fixed_buffer_send_recv)
{
	struct iovec iovs[] = { { self->data, BLOCK }, { self->got, BLOCK } };
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, iovs, 1));
	sqe = again_add_child(self);
	io_uring_prep_send(sqe, self->sock[0], self->data, 4, 0);
	fixed_buffer(_metadata, self, sqe, self->data);
	ASSERT_EQ(0, io_uring_unregister_buffers(&self->ring));
	bpf_link__destroy(self->link);

	again_reset(self);
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, iovs + 1, 1));
	sqe = again_add_child(self);
	io_uring_prep_recv(sqe, self->sock[1], self->got, 4, 0);
	fixed_buffer(_metadata, self, sqe, self->got);
	ASSERT_EQ(0, memcmp(self->got, self->data, 12));
}

TEST_HARNESS_MAIN
