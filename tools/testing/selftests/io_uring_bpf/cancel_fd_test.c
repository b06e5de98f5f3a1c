// SPDX-License-Identifier: GPL-2.0
/*
 * A flow is cancelled after its child has opened a file: the file is not lost.
 */
#include <sys/socket.h>

#include "cancel.h"

/* EOF when all writers are closed */
static int other_end;

static void prep_openat(struct io_uring_sqe *sqe)
{
	memset(sqe, 0, sizeof(*sqe));
	io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	sqe->user_data = CHILD;
}

static void prep_socket(struct io_uring_sqe *sqe)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_SOCKET;
	sqe->fd = AF_UNIX;
	sqe->off = SOCK_STREAM;
	sqe->user_data = CHILD;
}

/*
 * The child completes in a worker. The task does not handle the completion
 * before the flow is cancelled, since the same task requests events.
 */
static void run(struct __test_metadata *_metadata, FIXTURE_DATA(cancel) *self,
		struct io_uring_cqe *cqes, int nr)
{
	self->skel->bss->sqes[0].flags = IOSQE_ASYNC;
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	usleep(IOU_IDLE_MS * 1000);
	cancel_queue(self, FLOW, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, nr));
	ASSERT_HAS_CQE(cqes, nr, FLOW, -ECANCELED);
	ASSERT_HAS_CQE(cqes, nr, CANCEL, 0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	ASSERT_EQ(BPF_IO_URING_CANCEL, self->skel->bss->events[1].event);
}

static void run_fd(struct __test_metadata *_metadata, FIXTURE_DATA(cancel) *self)
{
	struct io_uring_cqe cqes[3], *cqe;

	run(_metadata, self, cqes, 3);
	cqe = iou_find_cqe(cqes, 3, CHILD);
	ASSERT_NE(NULL, cqe);
	ASSERT_LE(0, cqe->res);
	ASSERT_EQ(0, close(cqe->res));
}

#define NEEDS_DEFER() do {						\
	if (!(variant->setup & IORING_SETUP_DEFER_TASKRUN))		\
		SKIP(return, "requires IORING_SETUP_DEFER_TASKRUN");	\
} while (0)

TEST_F(cancel, openat)
{
	NEEDS_DEFER();
	prep_openat(&self->skel->bss->sqes[0]);
	run_fd(_metadata, self);
}

TEST_F(cancel, socket)
{
	NEEDS_DEFER();
	prep_socket(&self->skel->bss->sqes[0]);
	run_fd(_metadata, self);
}

TEST_F(cancel, accept)
{
	struct sockaddr any = { .sa_family = AF_UNIX }, addr[8];
	socklen_t len = sizeof(addr);
	int fd;

	NEEDS_DEFER();
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	other_end = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_EQ(0, bind(fd, &any, sizeof(any.sa_family)));
	ASSERT_EQ(0, getsockname(fd, addr, &len));
	ASSERT_EQ(0, listen(fd, 1));
	ASSERT_EQ(0, connect(other_end, addr, len));
	io_uring_prep_accept(&self->skel->bss->sqes[0], fd, NULL, NULL, 0);
	self->skel->bss->sqes[0].user_data = CHILD;
	run_fd(_metadata, self);
	close(other_end);
	close(fd);
}

/* A direct descriptor, in a slot that the application has chosen, or the kernel. */
TEST_F(cancel, direct_descriptor)
{
	struct io_uring_cqe cqes[3];
	int fds[2] = { -1, -1 };

	NEEDS_DEFER();
	ASSERT_EQ(0, io_uring_register_files(&self->ring, fds, 2));
	prep_socket(&self->skel->bss->sqes[0]);
	self->skel->bss->sqes[0].file_index = 1;
	run(_metadata, self, cqes, 3);
	ASSERT_HAS_CQE(cqes, 3, CHILD, 0);

	bpf_link__destroy(self->link);
	self->skel->bss->nr_events = 0;
	self->skel->bss->sqes[0].file_index = IORING_FILE_INDEX_ALLOC;
	run(_metadata, self, cqes, 3);
	ASSERT_HAS_CQE(cqes, 3, CHILD, 1);
}

/* A failed request has opened nothing. */
TEST_F(cancel, failed)
{
	struct io_uring_cqe cqes[2];

	NEEDS_DEFER();
	prep_socket(&self->skel->bss->sqes[0]);
	self->skel->bss->sqes[0].fd = 12345;
	run(_metadata, self, cqes, 2);
}

TEST_HARNESS_MAIN
