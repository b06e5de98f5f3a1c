// SPDX-License-Identifier: GPL-2.0
/* bpf_io_uring_req(): the arguments of a request that has completed */
#include "iou_until.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include "kselftest_harness.h"
#include "progs/req_got.h"
#include "req.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define APP	0xa99ULL

#define FILE_SIZE	8192
#define BUF_SIZE	4096
/* registered buffers: none, and the memory of the test */
#define BUF_INDEX	1
#define GROUP		7
#define BUF_ID		3

/* BPF_IO_URING_REQ_FIXED_BUF */
#define FIXED_BUF	1

FIXTURE(req) {
	struct io_uring ring;
	struct req *skel;
	struct bpf_link *link;
	int fd;
	int pair[2];
	char *mem;
	struct iovec iovs[2];
};

IOU_MODE_VARIANTS(req);
IOU_LOAD_ONCE(req);

FIXTURE_SETUP(req)
{
	struct iovec bufs[2] = {};
	char path[128];

	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	self->skel = req_get();
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->pair));
	snprintf(path, sizeof(path), "%s/iou_bpf.XXXXXX", getenv("TMPDIR") ?: "/tmp");
	self->fd = mkstemp(path);
	ASSERT_LE(0, self->fd);
	unlink(path);
	ASSERT_EQ(0, ftruncate(self->fd, FILE_SIZE));
	self->mem = mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	bufs[BUF_INDEX] = (struct iovec){ self->mem, BUF_SIZE };
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, bufs, 2));
	self->iovs[0] = (struct iovec){ self->mem, 10 };
	self->iovs[1] = (struct iovec){ self->mem + 50, 30 };
}

FIXTURE_TEARDOWN(req)
{
	bpf_link__destroy(self->link);
	for (int i = 0; i < 2; i++)
		close(self->pair[i]);
	close(self->fd);
	io_uring_queue_exit(&self->ring);
	munmap(self->mem, BUF_SIZE);
}

/* Return the SQE of the only child. */
static struct io_uring_sqe *req_child(FIXTURE_DATA(req) *self)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[0];

	memset(sqe, 0, sizeof(*sqe));
	self->skel->bss->nr_sqes = 1;
	memset(self->skel->bss->agains, 0, sizeof(self->skel->bss->agains));
	return sqe;
}

static void req_again(FIXTURE_DATA(req) *self, int n, __u64 off, void *addr, __u32 len)
{
	self->skel->bss->agains[n] = (struct req_again) {
		.off = off, .addr = (unsigned long)addr, .len = len, .ret = 1,
	};
}

#define req_start(prog) do {						\
	bpf_link__destroy(self->link);					\
	self->link = IOU_ATTACH(self->skel->progs.prog, &self->ring, 0);\
	self->skel->bss->nr_events = 0;					\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

#define req_until(nr)							\
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events >= (nr)))

/* Check the result of event @n, and what the program has got. */
#define ASSERT_REQ(n, _res, _addr, _len, _pos, _flags) do {		\
	const struct req_got *__got = &self->skel->bss->got[n];	\
									\
	ASSERT_EQ((__s32)(_res), self->skel->bss->events[n].res) {	\
		TH_LOG("event %d", n);					\
	}								\
	ASSERT_EQ(0, __got->ret) {					\
		TH_LOG("event %d", n);					\
	}								\
	ASSERT_EQ((unsigned long)(_addr), __got->addr);			\
	ASSERT_EQ((__u32)(_len), __got->len);				\
	ASSERT_EQ((__u64)(_pos), __got->pos);				\
	ASSERT_EQ(_flags, __got->flags);				\
	ASSERT_EQ((_flags) ? BUF_INDEX : 0, __got->buf_index);		\
} while (0)

/* Check that the kfunc has failed at event @n. */
#define ASSERT_NO_REQ(n, _ret)						\
	ASSERT_EQ(_ret, self->skel->bss->got[n].ret) {			\
		TH_LOG("event %d, opcode %u", n,			\
		       self->skel->bss->events[n].opcode);		\
	}

TEST_F(req, read_full_and_short)
{
	io_uring_prep_read(req_child(self), self->fd, self->mem, BUF_SIZE, 100);
	/* at the end of the file */
	req_again(self, 1, FILE_SIZE - 92, self->mem + 8, 1000);
	req_again(self, 2, FILE_SIZE, self->mem, 77);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_REQ(0, -EINVAL);
	ASSERT_REQ(1, BUF_SIZE, self->mem, BUF_SIZE, 100 + BUF_SIZE, 0);
	ASSERT_REQ(2, 92, self->mem + 8, 1000, FILE_SIZE, 0);
	ASSERT_REQ(3, 0, self->mem, 77, FILE_SIZE, 0);
}

/* The SQE does not say where the transfer begins. */
TEST_F(req, position_of_file)
{
	ASSERT_EQ(50, lseek(self->fd, 50, SEEK_SET));
	io_uring_prep_read(req_child(self), self->fd, self->mem, 20, -1);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, 20, self->mem, 20, 70, 0);

	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_APPEND));
	io_uring_prep_write(req_child(self), self->fd, self->mem, 10, 0);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, 10, self->mem, 10, FILE_SIZE + 10, 0);
}

/* A socket has no position. */
TEST_F(req, stream)
{
	io_uring_prep_write(req_child(self), self->pair[0], self->mem, 10, 0);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, 10, self->mem, 10, 0, 0);
	io_uring_prep_read(req_child(self), self->pair[1], self->mem, 20, -1);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, 10, self->mem, 20, 0, 0);
}

TEST_F(req, registered_buffer)
{
	io_uring_prep_read_fixed(req_child(self), self->fd, self->mem + 16, 200, 300,
				 BUF_INDEX);
	/* the same arguments, and others */
	req_again(self, 1, 500, self->mem + 16, 200);
	req_again(self, 2, FILE_SIZE - 5, self->mem + 32, 100);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, 200, self->mem + 16, 200, 500, FIXED_BUF);
	ASSERT_REQ(2, 200, self->mem + 16, 200, 700, FIXED_BUF);
	ASSERT_REQ(3, 5, self->mem + 32, 100, FILE_SIZE, FIXED_BUF);

	io_uring_prep_write_fixed(req_child(self), self->fd, self->mem, 7, 0, BUF_INDEX);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, 7, self->mem, 7, 7, FIXED_BUF);
}

TEST_F(req, vectored)
{
	io_uring_prep_readv(req_child(self), self->fd, self->iovs, 2, 60);
	req_again(self, 1, FILE_SIZE - 25, &self->iovs[1], 1);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, 40, self->iovs, 2, 100, 0);
	ASSERT_REQ(2, 25, &self->iovs[1], 1, FILE_SIZE, 0);

	io_uring_prep_writev(req_child(self), self->fd, self->iovs, 2, 60);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, 40, self->iovs, 2, 100, 0);

	io_uring_prep_readv(req_child(self), self->fd, self->iovs, 2, 10);
	self->skel->bss->sqes[0].opcode = IORING_OP_READV_FIXED;
	self->skel->bss->sqes[0].buf_index = BUF_INDEX;
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, 40, self->iovs, 2, 50, FIXED_BUF);
}

/* A file that knows no iterators: the end of the buffer stays the same. */
TEST_F(req, without_iterator)
{
	char from[64] = "data", *end = self->mem + 64;
	const struct req_got *got = &self->skel->bss->got[1];
	int fd = open("/proc/self/mem", O_RDONLY);

	ASSERT_LE(0, fd);
	io_uring_prep_read_fixed(req_child(self), fd, self->mem + 4, 60,
				 (unsigned long)from, BUF_INDEX);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(60, self->skel->bss->events[1].res);
	ASSERT_STREQ("data", self->mem + 4);
	ASSERT_EQ(0, got->ret);
	ASSERT_EQ((unsigned long)end, got->addr + got->len);
	ASSERT_EQ((unsigned long)from + 60, got->pos);
	close(fd);
}

/* Parts of a receive that is to be complete: the arguments are those of the whole. */
TEST_F(req, recv_in_parts)
{
	io_uring_prep_recv(req_child(self), self->pair[0], self->mem + 4, 10, MSG_WAITALL);
	req_again(self, 1, 0, self->mem + 100, 20);
	req_start(req_flow);
	req_until(1);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(5, write(self->pair[1], "parts", 5));
		if (!i)
			ASSERT_NO_CQE(&self->ring);
	}
	req_until(2);
	ASSERT_REQ(1, 10, self->mem + 4, 10, 0, 0);
	/* the end of the stream comes too early */
	ASSERT_EQ(7, write(self->pair[1], "too few", 7));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, shutdown(self->pair[1], SHUT_WR));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(2, 7, self->mem + 100, 20, 0, 0);
}

TEST_F(req, send_in_parts)
{
	const int size = 1 << 20;
	char *large = calloc(1, size), *got = malloc(size);
	int left = size;

	ASSERT_NE(NULL, large);
	ASSERT_NE(NULL, got);
	io_uring_prep_send(req_child(self), self->pair[0], large, size, MSG_WAITALL);
	req_start(req_flow);
	while (left) {
		ssize_t n;

		io_uring_get_events(&self->ring);
		n = recv(self->pair[1], got, left, MSG_DONTWAIT);
		if (n > 0)
			left -= n;
		else
			usleep(1000);
	}
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, size, large, size, 0, 0);
	free(large);
	free(got);
}

TEST_F(req, recv_into_registered_buffer)
{
	struct io_uring_sqe *sqe = req_child(self);

	ASSERT_EQ(4, write(self->pair[1], "data", 4));
	io_uring_prep_recv(sqe, self->pair[0], self->mem + 8, 100, 0);
	sqe->ioprio = IORING_RECVSEND_FIXED_BUF;
	sqe->buf_index = BUF_INDEX;
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, 4, self->mem + 8, 100, 0, FIXED_BUF);
}

static void provide(FIXTURE_DATA(req) *self)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	io_uring_prep_provide_buffers(sqe, self->mem + 256, 64, 1, GROUP, BUF_ID);
	sqe->user_data = APP;
	iou_submit(&self->ring);
}

/* A read has the address of the selected buffer, a receive has none. */
TEST_F(req, provided_buffer)
{
	for (int i = 0; i < 2; i++) {
		struct io_uring_sqe *sqe = req_child(self);

		provide(self);
		ASSERT_CQE(&self->ring, APP, 0);
		ASSERT_EQ(4, write(self->pair[1], "data", 4));
		if (i)
			io_uring_prep_recv(sqe, self->pair[0], NULL, 100, 0);
		else
			io_uring_prep_read(sqe, self->pair[0], NULL, 100, 0);
		sqe->flags = IOSQE_BUFFER_SELECT;
		sqe->buf_group = GROUP;
		req_start(req_drop);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_EQ(BUF_ID, self->skel->bss->events[1].cflags >> 16);
		if (i)
			ASSERT_REQ(1, 4, 0, 0, 0, 0);
		else
			ASSERT_REQ(1, 4, self->mem + 256, 64, 0, 0);
	}
}

/* A CQE of a request that continues, and a flow that is cancelled */
TEST_F(req, multishot)
{
	struct io_uring_sqe *sqe = req_child(self);
	struct io_uring_cqe cqes[2];

	provide(self);
	ASSERT_CQE(&self->ring, APP, 0);
	io_uring_prep_recv_multishot(sqe, self->pair[0], NULL, 0, 0);
	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	req_start(req_drop);
	req_until(1);
	ASSERT_EQ(4, write(self->pair[1], "data", 4));
	req_until(2);
	ASSERT_EQ(BPF_IO_URING_AUX, self->skel->bss->events[1].event);
	ASSERT_NO_REQ(1, -EINVAL);

	self->skel->bss->log_ending = 1;
	iou_queue_cancel(&self->ring, FLOW, APP);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, -ECANCELED);
	ASSERT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[2].event);
	ASSERT_NO_REQ(2, -EINVAL);
	/* the cancelled receive was issued */
	ASSERT_REQ(3, -ECANCELED, 0, 0, 0, 0);
}

/* Failed after the issue, or not issued at all: no arguments of other requests */
TEST_F(req, failed)
{
	static const __u8 ops[] = { IORING_OP_READ, IORING_OP_RECV };
	int dir = open("/tmp", O_RDONLY | O_DIRECTORY);

	ASSERT_LE(0, dir);
	io_uring_prep_read(req_child(self), dir, self->mem, 50, 20);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, -EISDIR);
	ASSERT_REQ(1, -EISDIR, self->mem, 50, 20, 0);
	close(dir);

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		/* no such file */
		io_uring_prep_rw(ops[i], req_child(self), -1, self->mem, 50, 0);
		req_start(req_flow);
		ASSERT_CQE(&self->ring, FLOW, -EBADF);
		ASSERT_NO_REQ(1, -EINVAL);
		ASSERT_EQ(0, self->skel->bss->got[1].addr);
		/* not prepared */
		io_uring_prep_rw(ops[i], req_child(self), self->fd, self->mem, 50, 0);
		self->skel->bss->sqes[0].ioprio = 0xffff;
		req_start(req_flow);
		ASSERT_CQE(&self->ring, FLOW, -EINVAL);
		ASSERT_NO_REQ(1, -EINVAL);
		ASSERT_EQ(0, self->skel->bss->got[1].addr);
	}
}

TEST_F(req, other_opcodes)
{
	struct __kernel_timespec ts = {};

	iou_prep_nop(req_child(self), 0, 0, CHILD);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_REQ(1, -EOPNOTSUPP);
	io_uring_prep_fsync(req_child(self), self->fd, 0);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_REQ(1, -EOPNOTSUPP);
	io_uring_prep_poll_add(req_child(self), self->pair[0], POLLOUT);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_REQ(1, -EOPNOTSUPP);
	io_uring_prep_timeout(req_child(self), &ts, 0, IORING_TIMEOUT_ETIME_SUCCESS);
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, -ETIME);
	ASSERT_NO_REQ(1, -EOPNOTSUPP);
}

/* Issued by io-wq */
TEST_F(req, worker)
{
	io_uring_prep_read(req_child(self), self->fd, self->mem, 30, 10);
	self->skel->bss->sqes[0].flags = IOSQE_ASYNC;
	req_start(req_flow);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(1, 30, self->mem, 30, 40, 0);
}

TEST_F(req, before_flow)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	io_uring_prep_read_fixed(sqe, self->fd, self->mem, 30, 10, BUF_INDEX);
	sqe->flags = IOSQE_IO_LINK;
	sqe->user_data = APP;
	self->link = IOU_ATTACH(self->skel->progs.req_flow, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 30);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_REQ(0, 30, self->mem, 30, 40, FIXED_BUF);
}

TEST_F(req, watching)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = BPF_F_IOURING_MATCH);
	struct io_uring_sqe *sqe;

	self->link = bpf_program__attach_iouring(self->skel->progs.req_flow,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	for (int i = 0; i < 3; i++) {
		sqe = iou_get_sqe(&self->ring);
		io_uring_prep_read(sqe, self->fd, self->mem + i, 30 + i, 10);
		sqe->user_data = APP + i;
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, APP + i, 30 + i);
	}
	/* in task work */
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_recv(sqe, self->pair[0], self->mem, 9, 0);
	sqe->user_data = APP + 3;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(4, write(self->pair[1], "data", 4));
	ASSERT_CQE(&self->ring, APP + 3, 4);
	for (int i = 0; i < 3; i++)
		ASSERT_REQ(i, 30 + i, self->mem + i, 30 + i, 40 + i, 0);
	ASSERT_REQ(3, 4, self->mem, 9, 0, 0);
}

TEST_F(req, sizes)
{
	io_uring_prep_read(req_child(self), self->fd, self->mem, 30, 10);
	req_start(req_sizes);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(-EINVAL, self->skel->bss->small_ret);
	ASSERT_EQ(-EINVAL, self->skel->bss->large_ret);
}

TEST_HARNESS_MAIN
