// SPDX-License-Identifier: GPL-2.0
/*
 * A task with any program can be killed, its ring can be closed, and other
 * tasks get their share of the CPU.
 */
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <poll.h>

#include "termination.h"

#include "kselftest_harness.h"
#include "termination.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL

IOU_LOAD_ONCE(termination);

#define SQ_ENTRIES	2048
/* room for messages to the other ring until the process handles them */
#define CQ_ENTRIES	4096
/*
 * time in which the neighbour's requests are counted, and the number of tries
 */
#define WINDOW_MS	100
#define WINDOWS		10
/* time limit for a kill */
#define KILL_MS		1000

FIXTURE(term) {
	struct termination *skel;
	struct term_shared *shared;
	struct __kernel_timespec ts;
	int sock[2];
	int pipes[MAX_FLOWS][2];
	int evfd;
	__u64 one;
	char buf[256];
	pid_t pid;
	pid_t neighbour;
};

enum {
	NOP, MSG_RING, TIMEOUT, MULTISHOT, EVENT, SEND, TOKEN,
};

FIXTURE_VARIANT(term) {
	unsigned int setup;
	const char *prog;
	/* number of requests that a run issues */
	int child;
	unsigned int flags;
	unsigned int nr_sqes;
	unsigned int nr_flows;
	bool two_rings;
	/* all requests wait until the peer reads from the socket */
	bool waits;
	/* watch requests of the application instead of children */
	bool watch;
};

#define TERM_VARIANT(mode, _setup, name, _prog, ...)			\
FIXTURE_VARIANT_ADD(term, mode##_##name) {				\
	.setup = _setup, .prog = _prog, .nr_sqes = 1, .nr_flows = 1,	\
	__VA_ARGS__							\
}

/* variants that also apply to a ring that polls */
#define TERM_POLLED(mode, setup)					\
TERM_VARIANT(mode, setup, nop, "term_issue");				\
TERM_VARIANT(mode, setup, nop_tw, "term_issue",				\
	     .flags = IORING_NOP_TW);					\
TERM_VARIANT(mode, setup, two_rings, "term_issue", .nr_flows = 2,	\
	     .two_rings = true);					\
TERM_VARIANT(mode, setup, msg_ring, "term_msg_ring", .child = MSG_RING,	\
	     .nr_flows = 2, .two_rings = true);				\
TERM_VARIANT(mode, setup, flood, "term_issue", .nr_sqes = IOU_RUN_SQES);	\
TERM_VARIANT(mode, setup, cqes, "term_post");				\
TERM_VARIANT(mode, setup, again, "term_again");				\
TERM_VARIANT(mode, setup, watch_again, "term_again", .watch = true);	\
TERM_VARIANT(mode, setup, watch_fail, "term_again_fails", .watch = true)

#define TERM_MODE(mode, setup)						\
TERM_POLLED(mode, setup);						\
TERM_VARIANT(mode, setup, ping_pong, "term_ping_pong", .child = TOKEN,	\
	     .nr_flows = 2);						\
TERM_VARIANT(mode, setup, timeout, "term_issue", .child = TIMEOUT);	\
TERM_VARIANT(mode, setup, multishot, "term_look_on",			\
	     .child = MULTISHOT);					\
TERM_VARIANT(mode, setup, event, "term_trigger", .child = EVENT);	\
TERM_VARIANT(mode, setup, watch, "term_watch", .child = EVENT,		\
	     .watch = true);						\
TERM_VARIANT(mode, setup, send, "term_issue", .child = SEND,		\
	     .waits = true);						\
TERM_VARIANT(mode, setup, send_retry, "term_issue", .child = SEND,	\
	     .flags = MSG_DONTWAIT);					\
TERM_VARIANT(mode, setup, send_again, "term_again", .child = SEND,	\
	     .flags = MSG_DONTWAIT)

TERM_MODE(plain, 0);
TERM_MODE(defer, IOU_DEFER);
TERM_MODE(coop, IORING_SETUP_COOP_TASKRUN);
/* on the same CPU as all others */
TERM_MODE(sqpoll, IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF);
/* has no request that another flow could wait for */
TERM_POLLED(iopoll, IORING_SETUP_IOPOLL);
TERM_VARIANT(iopoll, IORING_SETUP_IOPOLL, two_flows, "term_issue",
	     .nr_flows = 2);
/* more requests of each ring than a task issues before it returns */
TERM_VARIANT(plain, 0, many_tw, "term_issue", .flags = IORING_NOP_TW,
	     .nr_flows = 2200, .two_rings = true);

static void term_prep(FIXTURE_DATA(term) *self,
		      const FIXTURE_VARIANT(term) *variant, unsigned int i)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[i];

	memset(sqe, 0, sizeof(*sqe));
	switch (variant->child) {
	case NOP:
		iou_prep_nop(sqe, 0, variant->flags, CHILD);
		break;
	case MSG_RING:
		/* the process fills in the fd */
		io_uring_prep_msg_ring(sqe, -1, 0, CHILD, 0);
		break;
	case TIMEOUT:
		io_uring_prep_timeout(sqe, &self->ts, 0, 0);
		break;
	case MULTISHOT:
		self->ts.tv_nsec = 1;
		io_uring_prep_timeout(sqe, &self->ts, 0, IORING_TIMEOUT_MULTISHOT);
		break;
	case EVENT:
		if (!i)
			io_uring_prep_poll_multishot(sqe, self->evfd, POLLIN);
		else
			iou_prep_write(sqe, self->evfd, &self->one, 8, -1, CHILD);
		break;
	case SEND:
		io_uring_prep_send(sqe, self->sock[0], self->buf,
				   sizeof(self->buf), variant->flags);
		break;
	case TOKEN:
		/*
		 * one SQE per flow that waits for the token, and one that
		 * passes it to each
		 */
		if (i < MAX_FLOWS)
			iou_prep_read(sqe, self->pipes[i][0], self->buf, 1, 0,
				      CHILD);
		else
			iou_prep_write(sqe, self->pipes[i % MAX_FLOWS][1],
				       self->buf, 1, 0, CHILD);
		break;
	}
	sqe->user_data = CHILD;
}

static void fill_socket(struct __test_metadata *_metadata,
			FIXTURE_DATA(term) *self)
{
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->sock));
	while (send(self->sock[0], self->buf, sizeof(self->buf),
		    MSG_DONTWAIT) > 0)
		;
	ASSERT_EQ(EAGAIN, errno);
}

/* The first of the two flows has the token. */
static void place_token(struct __test_metadata *_metadata,
			FIXTURE_DATA(term) *self)
{
	for (int i = 0; i < MAX_FLOWS; i++)
		ASSERT_EQ(0, pipe(self->pipes[i]));
	ASSERT_EQ(1, write(self->pipes[0][1], self->buf, 1));
}

FIXTURE_SETUP(term)
{
	IOU_REQUIRE();
	self->shared = shared_alloc(sizeof(*self->shared));
	ASSERT_NE(MAP_FAILED, self->shared);
	self->skel = termination_get();
	ASSERT_NE(NULL, self->skel);
	self->one = 1;
	self->evfd = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, self->evfd);
	if (variant->child == SEND)
		fill_socket(_metadata, self);
	if (variant->child == TOKEN)
		place_token(_metadata, self);
	for (unsigned int i = 0; i < IOU_RUN_SQES; i++)
		term_prep(self, variant, i);
	self->skel->bss->nr_sqes = variant->nr_sqes;
}

FIXTURE_TEARDOWN(term)
{
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
	if (self->neighbour > 0)
		kill(self->neighbour, SIGKILL);
	close(self->evfd);
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

static struct bpf_link *attach(const FIXTURE_VARIANT(term) *variant,
			       struct bpf_program *prog, struct io_uring *ring)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts);

	if (variant->watch) {
		opts.flags = BPF_F_IOURING_MATCH;
		opts.opcodes[0] = 1ULL << (variant->child == EVENT ?
					   IORING_OP_POLL_ADD : IORING_OP_NOP);
	}
	return bpf_program__attach_iouring(prog, ring->ring_fd, &opts);
}

/* Start the flows, or the watched requests. */
static void queue_first(FIXTURE_DATA(term) *self,
			const FIXTURE_VARIANT(term) *variant,
			struct io_uring *ring, unsigned int i)
{
	if (!variant->watch) {
		iou_queue_bpf(ring, 0, FLOW)->off = i;
		return;
	}
	for (int j = 0; j < 2; j++)
		*iou_get_sqe(ring) = self->skel->bss->sqes[j];
}

static void make_rings(FIXTURE_DATA(term) *self,
		       const FIXTURE_VARIANT(term) *variant,
		       struct io_uring *rings)
{
	struct bpf_program *prog;

	pin();
	shared = self->shared;
	prog = bpf_object__find_program_by_name(self->skel->obj, variant->prog);
	for (unsigned int i = 0; i < MAX_FLOWS; i++) {
		if (iou_ring_init_size(&rings[i], variant->setup, SQ_ENTRIES,
				       CQ_ENTRIES) ||
		    !attach(variant, prog, &rings[i]))
			_exit(GONE_WRONG);
		if (variant->child == MSG_RING)
			self->skel->bss->sqes[!i].fd = rings[i].ring_fd;
	}
}

static void run_process(FIXTURE_DATA(term) *self,
			const FIXTURE_VARIANT(term) *variant)
{
	unsigned int nr = variant->two_rings ? 2 : 1;
	struct sigaction sa = { .sa_handler = on_usr2 };
	struct io_uring rings[MAX_FLOWS];
	struct closer c = { rings, pthread_self() };
	pthread_t thread;

	signal(SIGUSR1, on_usr1);
	sigaction(SIGUSR2, &sa, NULL);
	make_rings(self, variant, rings);
	if (pthread_create(&thread, NULL, close_fn, &c))
		_exit(GONE_WRONG);
	for (unsigned int i = 0; i < variant->nr_flows; i++)
		queue_first(self, variant, &rings[i % nr], i);
	for (unsigned int i = 0; i < nr; i++) {
		if (iou_submit(&rings[i]) < 1)
			_exit(GONE_WRONG);
	}
	IO_URING_WRITE_ONCE(self->shared->submitted, 1);
	run_rings(rings, nr);
}

/* The twin has the same rings, but no flow. Instead, @nr tasks compute. */
static void run_twin(FIXTURE_DATA(term) *self,
		     const FIXTURE_VARIANT(term) *variant, unsigned int nr)
{
	struct io_uring rings[MAX_FLOWS];

	make_rings(self, variant, rings);
	run_compute(nr);
}

/* Requests of the neighbour in a window of time, and its share of the CPU */
static __u64 neighbour_rate(FIXTURE_DATA(term) *self, unsigned int *percent)
{
	__u64 nops = told(nops), start = iou_now_ms(), cpu, ms;

	cpu = cpu_ms(self->neighbour);
	usleep(WINDOW_MS * 1000);
	ms = iou_now_ms() - start + 1;
	*percent = 100 * (cpu_ms(self->neighbour) - cpu) / ms;
	return (told(nops) - nops) * WINDOW_MS / ms;
}

/* Return the time to kill @pid, in ms. */
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
	ASSERT_TRUE(until_ms(nr_runs(self) > (variant->waits ? 0 : 10),	\
			     4 * IOU_WAIT_MS));				\
} while (0)

/*
 * Measure the neighbour's progress beside such a process, and the time to kill
 * it.
 */
struct reference {
	__u64 rate;
	unsigned int kill_ms;
};

/* With @nr tasks on the CPU, including the neighbour */
static struct reference try_twin(struct __test_metadata *_metadata,
				 FIXTURE_DATA(term) *self,
				 const FIXTURE_VARIANT(term) *variant,
				 unsigned int nr)
{
	struct reference ref;
	unsigned int percent;

	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid)
		run_twin(self, variant, nr - 1);
	ASSERT_TRUE(until_ms(told(computing) == nr - 1, IOU_WAIT_MS));
	ref.rate = neighbour_rate(self, &percent);
	ref.kill_ms = time_to_kill(self->pid);
	self->pid = 0;
	return ref;
}

/*
 * A program costs the neighbour of its task no more than a computing task does:
 * the neighbour gets one of @nr shares of the CPU, and performs requests at
 * @rate. Require half of the share, because a window has few turns and
 * interrupts take a part of them. Require a sixteenth of the rate, because an
 * emulated CPU is slow after each switch, some programs cause a switch per
 * request, and other guests share the machine. A program that starves the
 * neighbour does so in all windows, unlike a pause of the emulator.
 */
static bool neighbour_lives(struct __test_metadata *_metadata,
			    FIXTURE_DATA(term) *self, unsigned int nr,
			    __u64 rate)
{
	unsigned int percent;
	__u64 got;

	for (int i = 0; i < WINDOWS; i++) {
		got = neighbour_rate(self, &percent);
		if (percent >= 100 / nr / 2 && got >= rate / 16)
			return true;
		TH_LOG("%u%% of the CPU, %llu requests instead of %llu",
		       percent, (unsigned long long)got,
		       (unsigned long long)rate);
	}
	return false;
}

/*
 * The exit of a process takes time, in an emulator up to a second. Measure the
 * time of the twin, which has no requests, and allow twice this time plus a
 * second.
 */
TEST_F_TIMEOUT(term, kill, 180)
{
	unsigned int ms, nr = 2;
	struct reference ref;
	int handled, returns;

	if (variant->setup & IORING_SETUP_SQPOLL)
		nr += variant->two_rings ? 2 : 1;
	self->neighbour = fork();
	ASSERT_LE(0, self->neighbour);
	if (!self->neighbour)
		run_neighbour(self->shared);
	ASSERT_TRUE(until_ms(told(nops) > 100, IOU_WAIT_MS));
	ref = try_twin(_metadata, self, variant, nr);
	start_process();
	ASSERT_TRUE(neighbour_lives(_metadata, self, nr, ref.rate));

	/* and so does user code of the task, unless it waits for a CQE */
	returns = told(returns);
	if (variant->two_rings)
		ASSERT_TRUE(until_ms(told(returns) > returns, IOU_WAIT_MS));
	handled = told(handled);
	ASSERT_EQ(0, kill(self->pid, SIGUSR2));
	ASSERT_TRUE(until(told(handled) > handled));

	time_to_kill(self->neighbour);
	self->neighbour = 0;
	ms = time_to_kill(self->pid);
	TH_LOG("dead after %u ms, its twin after %u ms", ms, ref.kill_ms);
	ASSERT_GE(KILL_MS + 2 * ref.kill_ms, ms);
	self->pid = 0;
	ASSERT_TRUE(until(is_quiet(self)));
}

TEST_F_TIMEOUT(term, close_and_exit, 90)
{
	int status;

	start_process();
	IO_URING_WRITE_ONCE(self->shared->close, 1);
	ASSERT_TRUE(until_ms(told(closed), IOU_WAIT_MS));
	ASSERT_TRUE(until(is_quiet(self)));
	ASSERT_EQ(0, kill(self->pid, SIGUSR1));
	ASSERT_TRUE(wait_for(self->pid, &status, 0));
	self->pid = 0;
	ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

TEST_HARNESS_MAIN
