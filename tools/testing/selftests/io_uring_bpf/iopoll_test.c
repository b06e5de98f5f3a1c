// SPDX-License-Identifier: GPL-2.0
/* Programs on rings that poll for completions, using null_blk */
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "iou_file.h"
#include "mode.h"

#define BLOCK		4096
#define NR_BLOCKS	64
#define SIZE		(NR_BLOCKS * BLOCK)

#define NAME		"iou_bpf"
#define CONFIGFS	"/sys/kernel/config"
#define NULLB		CONFIGFS "/nullb/" NAME

FIXTURE(iopoll) {
	struct io_uring ring;
	struct mode *skel;
	struct bpf_link *link;
	char *buf;
	int fd;
};

FIXTURE_VARIANT(iopoll) {
	unsigned int setup;
};

IOU_MODE(iopoll, plain, IORING_SETUP_IOPOLL);
IOU_MODE(iopoll, defer, IORING_SETUP_IOPOLL | IOU_DEFER);
IOU_MODE(iopoll, hybrid, IORING_SETUP_IOPOLL | IORING_SETUP_HYBRID_IOPOLL);
IOU_MODE(iopoll, sqpoll, IORING_SETUP_IOPOLL | IORING_SETUP_SQPOLL);

static int iopoll_set(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), NULLB "/%s", name);
	return iou_write_file(path, value);
}

/* The device node can appear later. */
static int iopoll_open(void)
{
	int fd = -1;

	for (int i = 0; i < 100 && fd < 0; i++) {
		if (i)
			usleep(10000);
		fd = open("/dev/" NAME, O_RDWR | O_DIRECT);
	}
	return fd < 0 ? -errno : fd;
}

static void iopoll_remove(void)
{
	iopoll_set("power", "0");
	rmdir(NULLB);
}

/* Return a null_blk device with poll queues and memory, or an error. */
static int iopoll_create(void)
{
	static const char * const attrs[][2] = {
		{ "submit_queues", "1" }, { "poll_queues", "1" },
		{ "size", "16" }, { "memory_backed", "1" }, { "power", "1" },
	};
	int ret;

	mount("none", CONFIGFS, "configfs", 0, NULL);
	iopoll_remove();
	if (mkdir(NULLB, 0700))
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++) {
		ret = iopoll_set(attrs[i][0], attrs[i][1]);
		if (ret)
			return ret;
	}
	return iopoll_open();
}

FIXTURE_SETUP(iopoll)
{
	IOU_REQUIRE();
	self->skel = mode_get();
	ASSERT_NE(NULL, self->skel);
	self->fd = iopoll_create();
	if (self->fd < 0)
		SKIP(return, "no null_blk: %s", strerror(-self->fd));
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, posix_memalign((void **)&self->buf, BLOCK, 2 * SIZE));
	for (int i = 0; i < SIZE; i++)
		self->buf[i] = (i * 2654435761U) >> 13;
	memset(self->buf + SIZE, 0, SIZE);
	ASSERT_EQ(SIZE, pwrite(self->fd, self->buf, SIZE, 0));
}

FIXTURE_TEARDOWN(iopoll)
{
	if (self->fd < 0)
		return;
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
	close(self->fd);
	iopoll_remove();
	free(self->buf);
}

/* Add a child that reads the first block into part @i of the buffer. */
static void iopoll_add_read(FIXTURE_DATA(iopoll) *self, int i)
{
	iou_prep_read(mode_add_sqe(self->skel), self->fd,
		      self->buf + SIZE + i * BLOCK, BLOCK, 0, CHILD + i);
}

static void iopoll_read_all(struct __test_metadata *_metadata,
			    FIXTURE_DATA(iopoll) *self,
			    struct bpf_program *prog)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(prog, &self->ring, 0);
	sqe = iou_queue_bpf(&self->ring, 0, FLOW);
	sqe->off = self->fd;
	sqe->addr = (unsigned long)self->buf + SIZE;
	sqe->addr3 = SIZE;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, SIZE);
	ASSERT_EQ(1 + NR_BLOCKS, self->skel->bss->nr_events);
	ASSERT_EQ(0, self->skel->bss->again_ret);
	ASSERT_EQ(0, memcmp(self->buf, self->buf + SIZE, SIZE));
}

TEST_F(iopoll, reads)
{
	iopoll_read_all(_metadata, self, self->skel->progs.mode_read);
}

TEST_F(iopoll, reads_again)
{
	iopoll_read_all(_metadata, self, self->skel->progs.mode_read_again);
}

TEST_F(iopoll, many_in_flight)
{
	const int nr = 16;

	self->link = IOU_ATTACH(self->skel->progs.mode_batch, &self->ring, 0);
	for (int i = 0; i < nr; i++) {
		iopoll_add_read(self, i);
		self->skel->bss->verdicts[i] = i & 1 ? BPF_IO_URING_POST : 0;
	}
	for (int i = 0; i < 2; i++)
		iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(2, iou_submit(&self->ring));
	for (int i = 0; i < 2 + nr; i++) {
		struct io_uring_cqe cqe;

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(cqe.user_data == FLOW ? 0 : BLOCK, cqe.res);
	}
	ASSERT_EQ(2 * (1 + nr), self->skel->bss->nr_events);
	for (int i = 0; i < nr; i++)
		ASSERT_EQ(0, memcmp(self->buf, self->buf + SIZE + i * BLOCK,
				    BLOCK));
}

TEST_F(iopoll, chain)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.mode_steps, &self->ring, 0);
	iopoll_add_read(self, 1);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_read(sqe, self->fd, self->buf + SIZE, BLOCK, 0, NOP);
	sqe->flags = IOSQE_IO_LINK;
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	/* state[0] includes the read before the flow */
	self->skel->bss->sqes[1] = self->skel->bss->sqes[0];
	self->skel->bss->nr_sqes = 2;
	/* memory for a new block cannot be allocated while polling */
	iou_prep_write(iou_get_sqe(&self->ring), self->fd, self->buf, BLOCK,
		       SIZE - BLOCK, NOP + 1);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, NOP, BLOCK);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, NOP + 1, BLOCK);
	ASSERT_EQ(2, self->skel->bss->nr_events);
}

/* Each one is polled for after the previous one has completed. */
TEST_F(iopoll, linked)
{
	const int nr = 4;

	self->link = IOU_ATTACH(self->skel->progs.mode_batch, &self->ring, 0);
	for (int i = 0; i < nr; i++) {
		iopoll_add_read(self, i);
		self->skel->bss->sqes[i].flags = i < nr - 1 ? IOSQE_IO_LINK : 0;
	}
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(1 + nr, self->skel->bss->nr_events);
	for (int i = 0; i < nr; i++) {
		ASSERT_EQ(CHILD + i, self->skel->bss->events[1 + i].user_data);
		ASSERT_EQ(BLOCK, self->skel->bss->events[1 + i].res);
		ASSERT_EQ(nr - 1 - i, self->skel->bss->events[1 + i].nr_children);
	}
}

/* io_uring refuses opcodes and files that it cannot poll for. */
TEST_F(iopoll, not_to_be_polled)
{
	struct io_uring_sqe *sqe;
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	self->link = IOU_ATTACH(self->skel->progs.mode_batch, &self->ring, 0);
	iou_prep_read(mode_add_sqe(self->skel), fds[0], self->buf, BLOCK, 0,
		      CHILD);
	sqe = mode_add_sqe(self->skel);
	io_uring_prep_fsync(sqe, self->fd, 0);
	sqe->user_data = CHILD + 1;
	mode_add_nop(self->skel, 5, 0);
	mode_add_nop(self->skel, 6, IORING_NOP_TW);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(5, self->skel->bss->nr_events);
	for (int i = 1; i < 5; i++) {
		static const int res[] = { -EOPNOTSUPP, -EINVAL, 5, 6 };
		int n = self->skel->bss->events[i].user_data - CHILD;

		ASSERT_EQ(res[n], self->skel->bss->events[i].res);
	}
	close(fds[0]);
	close(fds[1]);
}

/* Loops that poll until no request is left come to an end. */
TEST_F(iopoll, killed)
{
	int status;
	pid_t pid;

	iopoll_add_read(self, 0);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct io_uring_cqe cqe;
		struct io_uring ring;

		/* do not continue after a failure of the test */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (iou_ring_init(&ring, variant->setup) ||
		    !bpf_program__attach_iouring(self->skel->progs.mode_endless,
						 ring.ring_fd, NULL))
			_exit(1);
		iou_queue_bpf(&ring, 0, FLOW);
		iou_submit(&ring);
		for (;;)
			iou_wait_cqe(&ring, &cqe);
	}
	ASSERT_TRUE(mode_until(self->skel->bss->nr_runs > 100));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_TRUE(mode_until(waitpid(pid, &status, WNOHANG) == pid));
	ASSERT_TRUE(WIFSIGNALED(status));
}

struct iopoll_thread {
	FIXTURE_DATA(iopoll) *self;
	pthread_barrier_t barrier;
	pid_t tid;
};

static void *iopoll_thread_fn(void *arg)
{
	struct iopoll_thread *thread = arg;
	FIXTURE_DATA(iopoll) *self = thread->self;
	struct io_uring_sqe *sqe;

	thread->tid = gettid();
	iou_queue_bpf(&self->ring, 0, FLOW);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_read(sqe, self->fd, self->buf + SIZE, BLOCK, 0, NOP);
	sqe->flags = IOSQE_IO_LINK;
	iou_queue_bpf(&self->ring, 0, FLOW + 1);
	iou_prep_read(iou_get_sqe(&self->ring), self->fd,
		      self->buf + SIZE, BLOCK, 0, NOP + 1);
	io_uring_submit(&self->ring);
	pthread_barrier_wait(&thread->barrier);
	pthread_barrier_wait(&thread->barrier);
	return NULL;
}

/*
 * Another thread, which has submitted nothing, polls and finds completions of a
 * child, of a request before a flow, and of a watched request. Their programs
 * run in the task that has submitted them.
 */
TEST_F(iopoll, foreign_context)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = 1,
		    .flags = BPF_F_IOURING_MATCH, .user_data = NOP + 1,
		    .user_data_mask = ~0ULL);
	struct iopoll_thread thread = { .self = self };
	struct io_uring_cqe cqes[4];
	struct bpf_link *watch;
	pthread_t tid;

	if (variant->setup & (IORING_SETUP_SQPOLL | IORING_SETUP_DEFER_TASKRUN))
		SKIP(return, "only the submitter polls");
	self->link = IOU_ATTACH(self->skel->progs.mode_batch, &self->ring, 0);
	watch = bpf_program__attach_iouring(self->skel->progs.mode_watch,
					    self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, watch);
	iopoll_add_read(self, 0);
	ASSERT_EQ(0, pthread_barrier_init(&thread.barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&tid, NULL, iopoll_thread_fn, &thread));
	pthread_barrier_wait(&thread.barrier);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
	ASSERT_HAS_CQE(cqes, 4, FLOW, 0);
	ASSERT_HAS_CQE(cqes, 4, FLOW + 1, 0);
	ASSERT_HAS_CQE(cqes, 4, NOP, BLOCK);
	ASSERT_HAS_CQE(cqes, 4, NOP + 1, BLOCK);
	/* START, two children, the read before the flow, the watched request */
	ASSERT_EQ(5, self->skel->bss->nr_events);
	for (int i = 0; i < 5; i++)
		ASSERT_EQ(thread.tid, self->skel->bss->tids[i]);
	pthread_barrier_wait(&thread.barrier);
	ASSERT_EQ(0, pthread_join(tid, NULL));
	bpf_link__destroy(watch);
}

TEST_HARNESS_MAIN
