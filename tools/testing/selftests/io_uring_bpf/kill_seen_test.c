// SPDX-License-Identifier: GPL-2.0
/*
 * Once a completion has passed unseen because its task is going away, the programs of
 * that task run no more, whatever has become of the signal.
 */
#include "iou_file.h"
#include "process.h"

#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "kill_seen.skel.h"

IOU_LOAD_ONCE(kill_seen);

#define NR_FLOWS	3
#define CHILD		0xc41dULL
#define CORE_PATTERN	"/proc/sys/kernel/core_pattern"
/* memory that is dumped, which takes some time */
#define DUMPED		(64UL << 20)
/* of the timeouts that expire meanwhile */
#define TIMEOUT_MS	20
/* until a flow that waits for CPU time has been queued */
#define PAUSE_MS	50

struct seen_shared {
	pid_t tid;
	bool go;
};

FIXTURE(seen) {
	struct kill_seen *skel;
	struct seen_shared *shared;
	char pattern[128];
	char dir[32];
	pid_t pid;
	pid_t dumped;
};

static ssize_t pattern_of_cores(char *pattern, size_t size)
{
	int fd = open(CORE_PATTERN, O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, pattern, size - 1);

	close(fd);
	pattern[len > 0 ? len : 0] = 0;
	return len;
}

FIXTURE_SETUP(seen)
{
	struct kill_seen__bss *bss;

	IOU_REQUIRE();
	self->shared = shared_alloc(sizeof(*self->shared));
	ASSERT_NE(MAP_FAILED, self->shared);
	self->skel = kill_seen_get();
	ASSERT_NE(NULL, self->skel);
	bss = self->skel->bss;
	memset(bss->sqes, 0, sizeof(bss->sqes));
	memset(bss->nr_starts, 0, sizeof(bss->nr_starts));
	memset(bss->nr_ends, 0, sizeof(bss->nr_ends));
}

FIXTURE_TEARDOWN(seen)
{
	char path[64];

	if (self->pid > 0)
		kill(self->pid, SIGKILL);
	if (!self->dir[0])
		return;
	iou_write_file(CORE_PATTERN, self->pattern);
	snprintf(path, sizeof(path), "%s/%d", self->dir, self->dumped);
	unlink(path);
	rmdir(self->dir);
}

static void start(struct bpf_program *prog, unsigned int setup, unsigned int nr,
		  struct io_uring *ring)
{
	if (iou_ring_init(ring, setup) ||
	    !bpf_program__attach_iouring(prog, ring->ring_fd, NULL))
		_exit(GONE_WRONG);
	for (unsigned int i = 0; i < nr; i++)
		iou_queue_bpf(ring, 0, i);
	if (iou_submit(ring) != (int)nr)
		_exit(GONE_WRONG);
}

/* Run @fn in a process. Return its status, or -1 if the process has not ended in time. */
static int run_process(FIXTURE_DATA(seen) *self, void (*fn)(FIXTURE_DATA(seen) *))
{
	int status = -1;

	self->pid = fork();
	if (!self->pid)
		fn(self);
	if (self->pid > 0 && wait_for(self->pid, &status, 0))
		self->pid = 0;
	return status;
}

/*
 * Of three flows in one flush, the second writes to a pipe that kills. If the third does
 * not start, the child of the first, which comes after it, is not seen either.
 */
static void run_killed(FIXTURE_DATA(seen) *self)
{
	struct io_uring_sqe *sqes = self->skel->bss->sqes;
	struct io_uring ring;
	int fds[2];

	if (!pipe_that_kills(fds))
		_exit(GONE_WRONG);
	iou_prep_nop(&sqes[0], 1, 0, CHILD);
	iou_prep_write(&sqes[1], fds[1], "", 1, 0, CHILD);
	start(self->skel->progs.seen_once, 0, NR_FLOWS, &ring);
	_exit(GONE_WRONG);
}

TEST_F(seen, by_other_flows)
{
	struct kill_seen__bss *bss = self->skel->bss;
	int status = run_process(self, run_killed);

	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_EQ(1, bss->nr_starts[1]);
	ASSERT_TRUE(bss->nr_starts[2] || !bss->nr_ends[0]);
}

/* The first flow waits for CPU time, the second for a pipe. */
static void run_exec(FIXTURE_DATA(seen) *self)
{
	struct io_uring_sqe *sqes = self->skel->bss->sqes;
	struct io_uring ring;
	char buf[1];
	int fds[2];

	if (pipe(fds))
		_exit(GONE_WRONG);
	iou_prep_nop(&sqes[0], 0, 0, CHILD);
	iou_prep_read(&sqes[1], fds[0], buf, 1, 0, CHILD);
	start(self->skel->progs.seen_first_goes_on, IOU_DEFER, 2, &ring);
	usleep(PAUSE_MS * 1000);
	if (write(fds[1], "", 1) != 1)
		_exit(GONE_WRONG);
	execl("/bin/true", "true", NULL);
	_exit(GONE_WRONG);
}

/* During exec, the first flow ends, and is not the reason for a new slice. */
TEST_F(seen, by_a_flow_that_waits)
{
	struct kill_seen__bss *bss = self->skel->bss;
	int status = run_process(self, run_exec);

	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(0, WEXITSTATUS(status));
	ASSERT_LT(0, bss->nr_ends[0]);
	ASSERT_EQ(1, bss->nr_starts[1]);
	ASSERT_EQ(0, bss->nr_ends[1]);
}

/* A flow with one timeout after the other */
static void *run_timeouts(void *arg)
{
	struct __kernel_timespec ts = { .tv_nsec = TIMEOUT_MS * 1000000 };
	FIXTURE_DATA(seen) *self = arg;
	struct io_uring ring;

	io_uring_prep_timeout(&self->skel->bss->sqes[0], &ts, 0, 0);
	self->skel->bss->sqes[0].user_data = CHILD;
	start(self->skel->progs.seen_exiting, 0, 1, &ring);
	IO_URING_WRITE_ONCE(self->shared->tid, gettid());
	for (;;)
		pause();
	return NULL;
}

/* A process that dumps its memory, while the other thread has such a flow */
static void run_dumped(FIXTURE_DATA(seen) *self)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	pthread_t thread;
	char *p;

	p = mmap(NULL, DUMPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || setrlimit(RLIMIT_CORE, &unlimited) ||
	    pthread_create(&thread, NULL, run_timeouts, self))
		_exit(GONE_WRONG);
	memset(p, 1, DUMPED);
	if (!until_ms(IO_URING_READ_ONCE(self->shared->go), IOU_WAIT_MS))
		_exit(GONE_WRONG);
	abort();
}

/*
 * With a debugger that wants to know of exits, a thread runs task work on its way out,
 * when it has waited for the dump.
 */
TEST_F_TIMEOUT(seen, by_an_exiting_thread, 120)
{
	struct kill_seen__bss *bss = self->skel->bss;
	char path[128];
	int status;
	pid_t tid;

	if (pattern_of_cores(self->pattern, sizeof(self->pattern)) <= 0)
		SKIP(return, "the kernel has no core dumps");
	strcpy(self->dir, "/tmp/io_uring_bpf.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	/* core_uses_pid does not add a pid to a name that has one */
	snprintf(path, sizeof(path), "%s/%%p", self->dir);
	ASSERT_EQ(0, iou_write_file(CORE_PATTERN, path));
	bss->nr_exiting = 0;
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid)
		run_dumped(self);
	self->dumped = self->pid;
	ASSERT_TRUE(until_ms(bss->nr_ends[0] > 1 && IO_URING_READ_ONCE(self->shared->tid),
			     IOU_WAIT_MS));
	tid = self->shared->tid;
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACEEXIT));
	IO_URING_WRITE_ONCE(self->shared->go, true);
	ASSERT_TRUE(wait_for(tid, &status, __WALL));
	ASSERT_EQ(SIGTRAP | PTRACE_EVENT_EXIT << 8, status >> 8);
	ASSERT_EQ(0, ptrace(PTRACE_CONT, tid, 0, 0));
	ASSERT_TRUE(wait_for(tid, &status, __WALL));
	ASSERT_TRUE(wait_for(self->pid, &status, 0));
	self->pid = 0;
	ASSERT_EQ(SIGABRT, WTERMSIG(status));
	ASSERT_EQ(0, bss->nr_exiting);
	if (!WCOREDUMP(status))
		SKIP(return, "the kernel has no core dumps of ELF programs");
}

TEST_HARNESS_MAIN
