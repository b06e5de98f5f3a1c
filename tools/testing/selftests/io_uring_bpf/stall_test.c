// SPDX-License-Identifier: GPL-2.0
/*
 * Cases that must not wait: children for a drain, a chain for a request that
 * cannot be cancelled, and rings for each other
 */
#include <dirent.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cancel.h"

/* Return an unlinked file in TMPDIR. */
static int stall_file(void)
{
	const char *dir = getenv("TMPDIR");
	char name[256];
	int fd;

	snprintf(name, sizeof(name), "%s/stall.XXXXXX", dir ?: "/tmp");
	fd = mkstemp(name);
	if (fd >= 0)
		unlink(name);
	return fd;
}

/*
 * A drain waits for the flow. Children that the flow issues do not wait for the
 * drain, whether in place, in task work or in a worker, which executes a sync.
 */
TEST_F(cancel, drain_passes)
{
	struct io_uring_sqe *sqes = self->skel->bss->sqes;
	struct io_uring_sqe *sqe;
	int fd = stall_file();

	ASSERT_LE(0, fd);
	self->link = IOU_ATTACH(self->skel->progs.cancel_later, &self->ring, 0);
	iou_prep_nop(&sqes[1], 1, 0, CHILD + 1);
	iou_prep_nop(&sqes[2], 2, IORING_NOP_TW, CHILD + 2);
	iou_prep_nop(&sqes[3], 3, 0, CHILD + 3);
	sqes[3].flags = IOSQE_ASYNC;
	io_uring_prep_fsync(&sqes[4], fd, 0);
	sqes[4].user_data = CHILD + 4;
	iou_prep_write(&sqes[5], fd, "data", 4, 0, CHILD + 5);
	self->skel->bss->nr_sqes = 6;

	iou_queue_bpf(&self->ring, 0, FLOW);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, 7, 0, OTHER);
	sqe->flags = IOSQE_IO_DRAIN;
	iou_prep_nop(iou_get_sqe(&self->ring), 8, 0, OTHER + 1);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, self->skel->bss->nr_events);

	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, OTHER, 7);
	ASSERT_CQE(&self->ring, OTHER + 1, 8);
	ASSERT_EQ(7, self->skel->bss->nr_events);
	for (int i = 2; i < 7; i++) {
		struct iou_event *ev = &self->skel->bss->events[i];
		const int res[] = { 4, 1, 2, 3, 0, 4 };

		EXPECT_EQ(res[ev->user_data - CHILD], ev->res);
	}
	close(fd);
}

static unsigned int nr_workers(void)
{
	DIR *dir = opendir("/proc/self/task");
	char name[300], comm[32];
	unsigned int nr = 0;
	struct dirent *d;
	FILE *f;

	while (dir && (d = readdir(dir))) {
		snprintf(name, sizeof(name), "/proc/self/task/%s/comm", d->d_name);
		f = fopen(name, "r");
		if (!f)
			continue;
		nr += fgets(comm, sizeof(comm), f) && !strncmp(comm, "iou-wrk", 7);
		fclose(f);
	}
	closedir(dir);
	return nr;
}

/* A waiting drain does not send children that complete in place to workers. */
TEST_F(cancel, drain_takes_no_worker)
{
	struct io_uring_sqe *sqes = self->skel->bss->sqes;
	struct io_uring_sqe *sqe;
	int other[2];

	ASSERT_EQ(0, pipe(other));
	self->link = IOU_ATTACH(self->skel->progs.cancel_later, &self->ring, 0);
	iou_prep_nop(&sqes[1], 1, 0, CHILD + 1);
	iou_prep_read(&sqes[2], other[0], self->buf, LEN, 0, CHILD + 2);
	self->skel->bss->nr_sqes = 3;
	iou_queue_bpf(&self->ring, 0, FLOW);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, 7, 0, OTHER);
	sqe->flags = IOSQE_IO_DRAIN;
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	ASSERT_EQ(0, nr_workers());

	ASSERT_EQ(4, write(other[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, OTHER, 7);
	close(other[0]);
	close(other[1]);
}

/* Chains behind a drain, or with a drain as their head */
TEST_F(cancel, chain_behind_drain)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	self->skel->bss->nr_sqes = 0;
	for (int i = 0; i < 2; i++) {
		self->skel->bss->nr_events = 0;
		iou_prep_read(iou_get_sqe(&self->ring), self->pipe[0],
			      self->buf, LEN, 0, OTHER);
		if (i) {
			sqe = iou_get_sqe(&self->ring);
			iou_prep_nop(sqe, 1, 0, CANCEL);
			sqe->flags = IOSQE_IO_DRAIN;
		}
		sqe = iou_get_sqe(&self->ring);
		iou_prep_nop(sqe, 2, 0, CHILD);
		sqe->flags = IOSQE_IO_LINK | (i ? 0 : IOSQE_IO_DRAIN);
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(3 + i, iou_submit(&self->ring));
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(0, self->skel->bss->nr_events);

		ASSERT_EQ(4, write(self->pipe[1], "data", 4));
		ASSERT_CQE(&self->ring, OTHER, 4);
		if (i)
			ASSERT_CQE(&self->ring, CANCEL, 1);
		ASSERT_CQE(&self->ring, CHILD, 2);
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(1, self->skel->bss->nr_events);
		EXPECT_EQ(CHILD, self->skel->bss->events[0].user_data);
		EXPECT_EQ(2, self->skel->bss->events[0].res);
	}
}

/* Return a file system of its own, which can be frozen without harm, or -1. */
static int freezable(void)
{
	const char *dir = getenv("TMPDIR");
	struct stat st, root;
	int fd;

	if (!dir || stat(dir, &st) || stat("/", &root) ||
	    st.st_dev == root.st_dev)
		return -1;
	fd = open(dir, O_RDONLY);
	if (fd < 0 || ioctl(fd, FIFREEZE, 0))
		return -1;
	return fd;
}

/* Thaw the file system at the end of the test, including failures. */
static void start_guard(int fs, int *guard)
{
	char c;

	if (fork())
		return;
	/* survive signals to the process group of the test */
	setsid();
	close(guard[1]);
	while (read(guard[0], &c, 1) > 0)
		;
	ioctl(fs, FITHAW, 0);
	_exit(0);
}

/*
 * The flow is cancelled, but its child cannot be: a write to a frozen file. The
 * flow has to wait, the chain behind it does not.
 */
TEST_F(cancel, chain_of_killed_flow)
{
	int fs, fd = stall_file(), guard[2];
	struct io_uring_cqe cqes[2];

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe2(guard, O_CLOEXEC));
	fs = freezable();
	if (fs < 0)
		SKIP(return, "the file system of TMPDIR cannot be frozen");
	start_guard(fs, guard);
	self->link = IOU_ATTACH(self->skel->progs.cancel_issue, &self->ring, 0);
	iou_prep_write(&self->skel->bss->sqes[0], fd, "data", 4, 0, CHILD);
	self->skel->bss->sqes[0].flags = IOSQE_ASYNC;
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);

	iou_queue_cancel(&self->ring, FLOW, CANCEL);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, CANCEL, 0);
	ASSERT_HAS_CQE(cqes, 2, OTHER, -ECANCELED);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, ioctl(fs, FITHAW, 0));
	ASSERT_CQE(&self->ring, FLOW, -ECANCELED);
	close(guard[1]);
	close(fs);
	close(fd);
}

/*
 * Return true if the task waits uninterruptibly. Also called by a thread of
 * that process, where it must not allocate memory.
 */
static bool is_stalled(pid_t pid)
{
	char name[32], line[256];
	const char *p;
	ssize_t len;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	fd = open(name, O_RDONLY);
	len = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (len <= 0)
		return false;
	line[len] = 0;
	p = strrchr(line, ')');
	return p && p[2] == 'D';
}

/* shared by the stalled process, its threads and the test */
struct stall {
	int link;
	int detaching;
};

static void *detach_fn(void *arg)
{
	struct stall *st = arg;

	while (!is_stalled(getpid()))
		usleep(1000);
	IO_URING_WRITE_ONCE(st->detaching, 1);
	bpf_link_detach(st->link);
	return NULL;
}

/*
 * A process whose submission stalls at a page of a frozen file, with the ring
 * locked. One of its threads waits for this lock to detach a program.
 */
static void stall(FIXTURE_DATA(cancel) *self, unsigned int setup, int fd,
		  struct stall *st)
{
	struct io_uring_cqe cqe;
	struct io_uring ring;
	pthread_t thread;
	void *mem;
	int zero;

	mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	zero = open("/dev/zero", O_RDONLY);
	if (mem == MAP_FAILED || zero < 0 || iou_ring_init(&ring, setup))
		_exit(1);
	st->link = bpf_link_create(bpf_program__fd(self->skel->progs.cancel_issue),
				   ring.ring_fd, BPF_IOURING, NULL);
	if (st->link < 0 || pthread_create(&thread, NULL, detach_fn, st))
		_exit(2);
	iou_prep_read(iou_get_sqe(&ring), zero, mem, 4096, 0, OTHER);
	iou_submit(&ring);
	pthread_join(thread, NULL);
	_exit(iou_wait_cqe(&ring, &cqe) || cqe.res != 4096);
}

/* Query all links, including those that are being detached. */
static int look_at_links(void)
{
	struct bpf_link_info info = {};
	__u32 id = 0, len, nr = 0;
	int fd;

	while (!bpf_link_get_next_id(id, &id)) {
		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;
		len = sizeof(info);
		memset(&info, 0, sizeof(info));
		if (!bpf_link_get_info_by_fd(fd, &info, &len) &&
		    info.type == BPF_LINK_TYPE_IOURING)
			nr++;
		close(fd);
	}
	return nr;
}

/*
 * User space can keep a ring locked for any time, and attaching requires no
 * capability: this must not affect other processes.
 */
TEST_F(cancel, no_shared_lock)
{
	int fs, fd, status, guard[2];
	struct stall *st;
	pid_t pid;

	if (variant->setup & IORING_SETUP_SQPOLL)
		SKIP(return, "the SQ thread would stall");
	st = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, st);
	fd = stall_file();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 4096));
	ASSERT_EQ(0, pipe2(guard, O_CLOEXEC));
	self->skel->bss->nr_sqes = 0;
	fs = freezable();
	if (fs < 0)
		SKIP(return, "the file system of TMPDIR cannot be frozen");
	start_guard(fs, guard);

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(guard[1]);
		stall(self, variant->setup, fd, st);
	}
	for (int i = 0; !IO_URING_READ_ONCE(st->detaching); i++) {
		ASSERT_GT(IOU_WAIT_MS / 10, i);
		usleep(10000);
	}
	usleep(IOU_IDLE_MS * 1000);

	for (int i = 0; i < 3; i++) {
		struct bpf_program *prog = self->skel->progs.cancel_issue;

		self->link = IOU_ATTACH(prog, &self->ring, i);
		ASSERT_EQ(0, bpf_link__update_program(self->link, prog));
		ASSERT_EQ(2, look_at_links());
		iou_queue_bpf(&self->ring, i, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, 0);
		if (i == 1)
			ASSERT_EQ(0, bpf_link__detach(self->link));
		ASSERT_EQ(0, bpf_link__destroy(self->link));
		self->link = NULL;
	}
	ASSERT_TRUE(is_stalled(pid));
	ASSERT_EQ(0, ioctl(fs, FITHAW, 0));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	close(guard[1]);
	close(fs);
	close(fd);
}

TEST_HARNESS_MAIN
