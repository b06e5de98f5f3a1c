// SPDX-License-Identifier: GPL-2.0
/*
 * Each opcode as a child: it is refused, or has the completions that the
 * application gets for the same request.
 */
#include "opcode.h"

#define APP		0xa44ULL
#define MAX_CQES	4

IOU_MODE_VARIANTS(opcode);
IOU_LOAD_ONCE(flow);

/* as documented */
static const bool op_refused[IORING_OP_LAST] = {
	[IORING_OP_LINK_TIMEOUT]	= true,
	[IORING_OP_RECV_ZC]		= true,
	[IORING_OP_NOP128]		= true,
	[IORING_OP_URING_CMD128]	= true,
	[IORING_OP_BPF]			= true,
};

/* The results of a request, and the number of its completions */
struct op_outcome {
	unsigned int nr;
	unsigned int completions;
	int res[MAX_CQES];
	__u32 cflags[MAX_CQES];
};

static void op_make_files(struct __test_metadata *_metadata,
			  FIXTURE_DATA(opcode) *self)
{
	const char *dir = getenv("TMPDIR") ?: "/tmp";
	int eof[2];

	snprintf(self->dir, sizeof(self->dir), "%s/iou_bpf.XXXXXX", dir);
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->a, sizeof(self->a), "%s/a", self->dir);
	snprintf(self->b, sizeof(self->b), "%s/b", self->dir);
	self->file = memfd_create("iou_bpf", 0);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, ftruncate(self->file, SIZE));
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ(0, pipe(self->out));
	ASSERT_EQ(0, pipe(eof));
	close(eof[1]);
	self->eof = eof[0];
	self->epoll = epoll_create1(0);
	ASSERT_LE(0, self->epoll);
	ASSERT_EQ(0, epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->eof,
			       &op_event));
	self->fd = -1;
}

static void op_make_sockets(struct __test_metadata *_metadata,
			    FIXTURE_DATA(opcode) *self)
{
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->sock));
	self->listen = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_LE(0, self->listen);
	/* the kernel chooses the name */
	ASSERT_EQ(0, bind(self->listen, (void *)&op_any,
			  sizeof(op_any.sun_family)));
	op_addr_len = sizeof(op_addr);
	ASSERT_EQ(0, getsockname(self->listen, (void *)&op_addr, &op_addr_len));
	ASSERT_EQ(0, listen(self->listen, LEN));
}

FIXTURE_SETUP(opcode)
{
	int files[NR_SLOTS] = { [0 ... NR_SLOTS - 1] = -1 };
	struct iovec iov = { .iov_len = SIZE };

	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, iou_ring_init(&self->target, 0));
	self->flow = flow_get();
	self->mode = mode_get();
	ASSERT_TRUE(self->flow && self->mode);
	op_make_files(_metadata, self);
	op_make_sockets(_metadata, self);
	self->buf = aligned_alloc(SIZE, SIZE);
	ASSERT_NE(NULL, self->buf);
	memset(self->buf, 0, SIZE);
	op_iov = (struct iovec) { self->buf, LEN };
	op_waitv.uaddr = (unsigned long)&op_word;
	iov.iov_base = self->buf;
	files[SLOT_FILE] = self->file;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, io_uring_register_files(&self->ring, files, NR_SLOTS));
}

FIXTURE_TEARDOWN(opcode)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
	io_uring_queue_exit(&self->target);
	for (int i = 0; i < 2; i++) {
		close(self->pipe[i]);
		close(self->out[i]);
		close(self->sock[i]);
	}
	close(self->eof);
	close(self->epoll);
	close(self->listen);
	close(self->file);
	unlink(self->a);
	rmdir(self->dir);
	free(self->buf);
}

static int nr_open_fds(void)
{
	int nr = 0;

	for (int fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

/* The number of a new file depends on other files. */
static int op_result(int op, int res)
{
	switch (op) {
	case IORING_OP_ACCEPT:
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2:
	case IORING_OP_SOCKET:
	case IORING_OP_FIXED_FD_INSTALL:
		if (res < 0)
			return res;
		close(res);
		return 0;
	case IORING_OP_PIPE:
		if (!res) {
			close(op_fds[0]);
			close(op_fds[1]);
		}
		return res;
	}
	return res;
}

static void op_run_child(struct __test_metadata *_metadata,
			 FIXTURE_DATA(opcode) *self, int op,
			 struct op_outcome *out)
{
	struct iou_event *ev = &self->flow->bss->events[1];
	struct io_uring_sqe *sqe = &self->flow->bss->sqes[0];

	ASSERT_TRUE(op_prep(self, sqe, op) || op_refused[op]) {
		TH_LOG("unknown opcode %d", op);
	}
	sqe->opcode = op;
	sqe->user_data = CHILD;
	self->flow->bss->nr_sqes = 1;
	self->flow->bss->nr_events = 0;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, op_refused[op] ? -EOPNOTSUPP : 0);
	ASSERT_LE(1, self->flow->bss->nr_events);
	out->nr = self->flow->bss->nr_events - 1;
	ASSERT_LE(out->nr, MAX_CQES);
	for (unsigned int i = 0; i < out->nr; i++, ev++) {
		ASSERT_EQ(CHILD, ev->user_data);
		ASSERT_EQ(op, ev->opcode);
		ASSERT_EQ(BPF_IO_URING_F_CHILD, ev->flags);
		out->completions += ev->event == BPF_IO_URING_COMPLETE;
		out->res[i] = op_result(op, ev->res);
		out->cflags[i] = ev->cflags;
	}
}

static void op_run_app(struct __test_metadata *_metadata,
		       FIXTURE_DATA(opcode) *self, int op,
		       struct op_outcome *out)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);
	struct io_uring_cqe cqe;

	ASSERT_TRUE(op_prep(self, sqe, op));
	sqe->user_data = APP;
	ASSERT_EQ(1, iou_submit(&self->ring));
	do {
		ASSERT_GT(MAX_CQES, out->nr);
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(APP, cqe.user_data);
		out->res[out->nr] = op_result(op, cqe.res);
		out->cflags[out->nr++] = cqe.flags;
	} while (cqe.flags & IORING_CQE_F_MORE);
}

static void op_compare(struct __test_metadata *_metadata,
		       FIXTURE_DATA(opcode) *self, int op)
{
	struct op_outcome child = {}, app = {};

	ASSERT_EQ(0, op_before(self, op)) TH_LOG("opcode %d", op);
	op_run_child(_metadata, self, op, &child);
	op_after(self, op);
	ASSERT_EQ(op_refused[op] ? -EOPNOTSUPP : 0, self->flow->bss->rets[0]) {
		TH_LOG("opcode %d", op);
	}
	ASSERT_EQ(!op_refused[op], child.completions) TH_LOG("opcode %d", op);
	if (op_refused[op])
		return;

	ASSERT_EQ(0, op_before(self, op)) TH_LOG("opcode %d", op);
	op_run_app(_metadata, self, op, &app);
	op_after(self, op);
	ASSERT_EQ(app.nr, child.nr) TH_LOG("opcode %d", op);
	for (unsigned int i = 0; i < app.nr; i++) {
		ASSERT_EQ(app.res[i], child.res[i]) TH_LOG("opcode %d", op);
		ASSERT_EQ(app.cflags[i], child.cflags[i]) {
			TH_LOG("opcode %d", op);
		}
	}
}

/* Requests that need buffers follow the one that provides them. */
TEST_F(opcode, as_the_application)
{
	int fds;

	self->link = IOU_ATTACH(self->flow->progs.flow_forgive, &self->ring, 0);
	fds = nr_open_fds();
	for (int op = 0; op < IORING_OP_LAST; op++)
		op_compare(_metadata, self, op);
	ASSERT_NO_CQE(&self->ring);
	/* no files are left, nor requests with one */
	ASSERT_EQ(fds, nr_open_fds());
	close(self->pipe[0]);
	ASSERT_TRUE(iou_fd_gets(self->pipe[1], POLLERR, IOU_WAIT_MS));
}

static struct io_uring_sqe *add_step(FIXTURE_DATA(opcode) *self)
{
	return mode_add_nop(self->mode, 0, 0);
}

/* Run the added requests, one after the other. */
#define run_steps(...) do {						\
	const int __want[] = { __VA_ARGS__ };				\
									\
	self->link = IOU_ATTACH(self->mode->progs.mode_steps,		\
				&self->ring, 0);			\
	ASSERT_EQ(ARRAY_SIZE(__want), self->mode->bss->nr_sqes);	\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_CQE(&self->ring, FLOW, 0);				\
	ASSERT_EQ(1 + ARRAY_SIZE(__want), self->mode->bss->nr_events);	\
	for (size_t __i = 0; __i < ARRAY_SIZE(__want); __i++) {		\
		ASSERT_EQ(__want[__i],					\
			  self->mode->bss->events[1 + __i].res) {	\
			TH_LOG("step %d", (int)__i);			\
		}							\
	}								\
} while (0)

/* A child opens a file into a slot, and later ones use the slot. */
TEST_F(opcode, direct_file)
{
	struct io_uring_sqe *sqe;
	int fd;

	fd = open(self->a, O_CREAT | O_WRONLY, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(4, write(fd, "data", 4));
	close(fd);
	io_uring_prep_openat_direct(add_step(self), AT_FDCWD, self->a, O_RDONLY,
				    0, SLOT_FREE);
	for (int i = 0; i < 2; i++) {
		sqe = add_step(self);
		io_uring_prep_read(sqe, SLOT_FREE, self->buf, LEN, 0);
		sqe->flags = IOSQE_FIXED_FILE | (i ? IOSQE_ASYNC : 0);
	}
	io_uring_prep_close_direct(add_step(self), SLOT_FREE);
	sqe = add_step(self);
	io_uring_prep_read(sqe, SLOT_FREE, self->buf, LEN, 0);
	sqe->flags = IOSQE_FIXED_FILE;
	run_steps(0, 4, 4, 0, -EBADF);
	ASSERT_EQ(0, memcmp(self->buf, "data", 4));
}

/* The same for a socket, and a slot that the kernel allocates */
TEST_F(opcode, direct_socket)
{
	socklen_t len = sizeof(int);
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	int accepts = 0;

	io_uring_prep_socket_direct_alloc(add_step(self), AF_UNIX, SOCK_STREAM,
					  0, 0);
	sqe = add_step(self);
	io_uring_prep_rw(IORING_OP_BIND, sqe, SLOT_FREE, &op_any, 0,
			 sizeof(op_any.sun_family));
	sqe->flags = IOSQE_FIXED_FILE;
	sqe = add_step(self);
	io_uring_prep_rw(IORING_OP_LISTEN, sqe, SLOT_FREE, NULL, LEN, 0);
	sqe->flags = IOSQE_FIXED_FILE;
	run_steps(SLOT_FREE, 0, 0);

	/* the application can use the slot as well */
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_rw(IORING_OP_FIXED_FD_INSTALL, sqe, SLOT_FREE, NULL, 0,
			 0);
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->user_data = APP;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_LE(0, cqe.res);
	ASSERT_EQ(0, getsockopt(cqe.res, SOL_SOCKET, SO_ACCEPTCONN, &accepts,
				&len));
	ASSERT_EQ(1, accepts);
	close(cqe.res);
}

TEST_HARNESS_MAIN
