// SPDX-License-Identifier: GPL-2.0
/*
 * Whatever a program does, its task can be killed, its ring can be closed, and
 * others get their share of the CPU.
 */
#include "process.h"

#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "termination.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL

#define MAX_FLOWS	2
#define MAX_SQES	32
/* how long the neighbour's requests are counted, and how often at most */
#define WINDOW_MS	200
#define WINDOWS		5

/* what the processes tell each other */
struct term_shared {
	int submitted;
	int close;
	int closed;
	/* by the neighbour */
	__u64 nops;
};

FIXTURE(term) {
	struct termination *skel;
	struct term_shared *shared;
	struct __kernel_timespec ts;
	int sock[2];
	char buf[256];
	pid_t pid;
	pid_t neighbour;
};

enum {
	NOP, MSG_RING, TIMEOUT, SEND,
};

FIXTURE_VARIANT(term) {
	unsigned int setup;
	const char *prog;
	/* what it issues, so many at a time */
	int child;
	unsigned int flags;
	unsigned int nr_sqes;
	unsigned int nr_flows;
	bool two_rings;
	/* there is nothing to do until somebody reads from the socket */
	bool waits;
};

#define TERM_VARIANT(mode, _setup, name, _prog, ...)			\
FIXTURE_VARIANT_ADD(term, mode##_##name) {				\
	.setup = _setup, .prog = _prog, .nr_sqes = 1, .nr_flows = 1,	\
	__VA_ARGS__							\
}

/* a line for each kind of ring: what no program may make of it */
#define TERM_MODE(mode, setup)						\
TERM_VARIANT(mode, setup, nop, "term_issue");				\
TERM_VARIANT(mode, setup, nop_tw, "term_issue",				\
	     .flags = IORING_NOP_TW);					\
TERM_VARIANT(mode, setup, again, "term_again");				\
TERM_VARIANT(mode, setup, ping_pong, "term_ping_pong", .nr_flows = 2);	\
TERM_VARIANT(mode, setup, msg_ring, "term_msg_ring", .child = MSG_RING,	\
	     .nr_flows = 2, .two_rings = true);				\
TERM_VARIANT(mode, setup, flood, "term_issue", .nr_sqes = MAX_SQES);		\
TERM_VARIANT(mode, setup, cqes, "term_post");				\
TERM_VARIANT(mode, setup, timeout, "term_issue", .child = TIMEOUT);	\
TERM_VARIANT(mode, setup, send, "term_issue", .child = SEND,		\
	     .waits = true);						\
TERM_VARIANT(mode, setup, send_retry, "term_issue", .child = SEND,	\
	     .flags = MSG_DONTWAIT);					\
TERM_VARIANT(mode, setup, send_again, "term_again", .child = SEND,	\
	     .flags = MSG_DONTWAIT)

TERM_MODE(plain, 0);
TERM_MODE(coop, IORING_SETUP_COOP_TASKRUN);
TERM_MODE(defer, IOU_DEFER);

static void term_prep(FIXTURE_DATA(term) *self,
		      const FIXTURE_VARIANT(term) *variant,
		      struct io_uring_sqe *sqe)
{
	memset(sqe, 0, sizeof(*sqe));
	switch (variant->child) {
	case NOP:
		iou_prep_nop(sqe, 0, variant->flags, CHILD);
		break;
	case MSG_RING:
		/* the fd is filled in by the process */
		io_uring_prep_msg_ring(sqe, -1, 0, CHILD, 0);
		break;
	case TIMEOUT:
		io_uring_prep_timeout(sqe, &self->ts, 0, 0);
		break;
	case SEND:
		io_uring_prep_send(sqe, self->sock[0], self->buf,
				   sizeof(self->buf), variant->flags);
		break;
	}
	sqe->user_data = CHILD;
}

FIXTURE_SETUP(term)
{
	IOU_REQUIRE();
	self->shared = shared_alloc(sizeof(*self->shared));
	ASSERT_NE(MAP_FAILED, self->shared);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->sock));
	while (send(self->sock[0], self->buf, sizeof(self->buf),
		    MSG_DONTWAIT) > 0)
		;
	ASSERT_EQ(EAGAIN, errno);
	self->skel = termination__open_and_load();
	ASSERT_NE(NULL, self->skel);
	for (unsigned int i = 0; i < MAX_SQES; i++)
		term_prep(self, variant, &self->skel->bss->sqes[i]);
	self->skel->bss->nr_sqes = variant->nr_sqes;
}

FIXTURE_TEARDOWN(term)
{
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
	if (self->neighbour > 0)
		kill(self->neighbour, SIGKILL);
	termination__destroy(self->skel);
}

#define told(field)	IO_URING_READ_ONCE(self->shared->field)

static __u64 nr_runs(FIXTURE_DATA(term) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_runs);
}

static bool is_quiet(FIXTURE_DATA(term) *self)
{
	__u64 runs = nr_runs(self);

	usleep(IOU_IDLE_MS * 1000);
	return runs == nr_runs(self);
}

/* Processes that compete for the same CPU. */
static void pin(void)
{
	cpu_set_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void on_usr1(int sig)
{
	_exit(7);
}

static void on_usr2(int sig)
{
}

/* Runs whatever there is to run, reads no CQE, and sleeps when that's possible. */
static void run_rings(FIXTURE_DATA(term) *self, struct io_uring *rings,
		      unsigned int nr)
{
	int ret = 0;

	do {
		for (unsigned int i = 0; i < nr; i++)
			ret = io_uring_enter(rings[i].ring_fd, 0, nr == 1,
					     IORING_ENTER_GETEVENTS, NULL);
	} while (ret != -EBADF);
	IO_URING_WRITE_ONCE(self->shared->closed, 1);
	for (;;)
		pause();
}

struct closer {
	FIXTURE_DATA(term) *self;
	struct io_uring *rings;
	pthread_t main;
};

/* Closes the rings under the hands of the thread that uses them. */
static void *close_fn(void *arg)
{
	struct closer *c = arg;
	FIXTURE_DATA(term) *self = c->self;

	while (!told(close))
		usleep(1000);
	for (int i = 0; i < MAX_FLOWS; i++)
		close(c->rings[i].ring_fd);
	while (!told(closed)) {
		pthread_kill(c->main, SIGUSR2);
		usleep(1000);
	}
	return NULL;
}

static void run_process(FIXTURE_DATA(term) *self,
			const FIXTURE_VARIANT(term) *variant)
{
	unsigned int nr = variant->two_rings ? 2 : 1;
	struct sigaction sa = { .sa_handler = on_usr2 };
	struct io_uring rings[MAX_FLOWS];
	struct closer c = { self, rings, pthread_self() };
	struct bpf_program *prog;
	pthread_t thread;

	pin();
	signal(SIGUSR1, on_usr1);
	sigaction(SIGUSR2, &sa, NULL);
	prog = bpf_object__find_program_by_name(self->skel->obj, variant->prog);
	for (unsigned int i = 0; i < MAX_FLOWS; i++) {
		if (iou_ring_init(&rings[i], variant->setup) ||
		    !bpf_program__attach_iouring(prog, rings[i].ring_fd, NULL))
			_exit(GONE_WRONG);
		if (variant->child == MSG_RING)
			self->skel->bss->sqes[!i].fd = rings[i].ring_fd;
	}
	if (pthread_create(&thread, NULL, close_fn, &c))
		_exit(GONE_WRONG);
	for (unsigned int i = 0; i < variant->nr_flows; i++)
		iou_queue_bpf(&rings[i % nr], 0, FLOW)->off = i;
	for (unsigned int i = 0; i < nr; i++) {
		if (io_uring_submit(&rings[i]) < 1)
			_exit(GONE_WRONG);
	}
	IO_URING_WRITE_ONCE(self->shared->submitted, 1);
	run_rings(self, rings, nr);
}

/* Does NOPs on a ring of its own, and counts them. */
static void run_neighbour(struct term_shared *shared)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	pin();
	if (iou_ring_init(&ring, 0))
		_exit(GONE_WRONG);
	for (;;) {
		iou_prep_nop(iou_get_sqe(&ring), 0, 0, 0);
		if (io_uring_submit_and_wait(&ring, 1) != 1 ||
		    io_uring_peek_cqe(&ring, &cqe))
			_exit(GONE_WRONG);
		io_uring_cqe_seen(&ring, cqe);
		IO_URING_WRITE_ONCE(shared->nops, shared->nops + 1);
	}
}

static __u64 neighbour_rate(FIXTURE_DATA(term) *self)
{
	__u64 nops = told(nops), start = iou_now_ms();

	usleep(WINDOW_MS * 1000);
	return (told(nops) - nops) * WINDOW_MS / (iou_now_ms() - start + 1);
}

/* Returns the milliseconds that it takes to kill @pid. */
static unsigned int time_to_kill(pid_t pid)
{
	__u64 start = iou_now_ms();
	int status;

	kill(pid, SIGKILL);
	wait_for(pid, &status, 0);
	return iou_now_ms() - start;
}

#define start_process() do {						\
	self->pid = fork();						\
	ASSERT_LE(0, self->pid);					\
	if (!self->pid)							\
		run_process(self, variant);				\
	ASSERT_TRUE(until_ms(told(submitted), IOU_WAIT_MS));		\
	ASSERT_TRUE(until_ms(nr_runs(self) > (variant->waits ? 0 : 500),\
			     IOU_WAIT_MS));				\
} while (0)

/*
 * Two on a CPU: half of it would be the neighbour's share, and a third of that
 * is the least it has to get. Where there is an emulation that does not keep the
 * time, killing may take ten times as long as it does for the neighbour.
 */
TEST_F_TIMEOUT(term, kill, 90)
{
	unsigned int ms, limit, i;
	__u64 alone, rate;

	self->neighbour = fork();
	ASSERT_LE(0, self->neighbour);
	if (!self->neighbour)
		run_neighbour(self->shared);
	ASSERT_TRUE(until_ms(told(nops) > 100, IOU_WAIT_MS));
	alone = neighbour_rate(self);
	start_process();
	for (i = 0; i < WINDOWS; i++) {
		rate = neighbour_rate(self);
		if (rate >= alone / 2 / 3)
			break;
		TH_LOG("%llu requests instead of %llu",
		       (unsigned long long)rate, (unsigned long long)alone);
	}
	ASSERT_GT(WINDOWS, i);

	ms = time_to_kill(self->neighbour);
	self->neighbour = 0;
	limit = ms < 100 ? 1000 : 10 * ms;
	ms = time_to_kill(self->pid);
	ASSERT_GE(limit, ms) TH_LOG("%u ms", ms);
	self->pid = 0;
	ASSERT_TRUE(until(is_quiet(self)));
}

TEST_F_TIMEOUT(term, close_and_exit, 90)
{
	int status;

	start_process();
	IO_URING_WRITE_ONCE(self->shared->close, 1);
	ASSERT_TRUE(until(told(closed)));
	ASSERT_TRUE(until(is_quiet(self)));
	ASSERT_EQ(0, kill(self->pid, SIGUSR1));
	ASSERT_TRUE(wait_for(self->pid, &status, 0));
	self->pid = 0;
	ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

TEST_F_TIMEOUT(term, exit, 90)
{
	int status;

	start_process();
	ASSERT_EQ(0, kill(self->pid, SIGUSR1));
	ASSERT_TRUE(wait_for(self->pid, &status, 0));
	self->pid = 0;
	ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	ASSERT_TRUE(until(is_quiet(self)));
}

TEST_HARNESS_MAIN
