// SPDX-License-Identifier: GPL-2.0
/*
 * SIGKILL ends a flush: the programs of the completions that are left do not run, and a
 * program that takes long cannot keep its task alive.
 */
#include "process.h"

#include <sys/eventfd.h>

#include "kselftest_harness.h"
#include "kill_runs.skel.h"

IOU_LOAD_ONCE(kill_runs);

/* runs of the programs, which take some seconds in total */
#define NR_RUNS		2048
/* runs before the kill */
#define FIRST_RUNS	8
/* slots of a ring */
#define NR_SLOTS	16

FIXTURE(kill) {
	struct kill_runs *skel;
	pid_t pid;
};

FIXTURE_VARIANT(kill) {
	const char *prog;
	unsigned int setup;
	/* requests that are linked to the flow or watched, instead of flows alone */
	bool nops;
	bool flows;
	unsigned int match;
	/* instead: programs that watch one NOP, or a multishot poll */
	unsigned int nr_watchers;
	bool poll;
};

#define KILL_VARIANTS(mode, _setup)					\
FIXTURE_VARIANT_ADD(kill, mode##_start) {				\
	.prog = "long_flow", .setup = _setup, .flows = true,		\
};									\
FIXTURE_VARIANT_ADD(kill, mode##_linked) {				\
	.prog = "long_flow", .setup = _setup, .flows = true, .nops = true, \
};									\
FIXTURE_VARIANT_ADD(kill, mode##_watched) {				\
	.prog = "long_flow", .setup = _setup, .nops = true,		\
	.match = BPF_F_IOURING_MATCH,					\
};									\
FIXTURE_VARIANT_ADD(kill, mode##_watched_with_state) {			\
	.prog = "long_watch", .setup = _setup, .nops = true,		\
	.match = BPF_F_IOURING_MATCH,					\
};									\
FIXTURE_VARIANT_ADD(kill, mode##_next) {				\
	.prog = "long_next", .setup = _setup,				\
	.nr_watchers = NR_SLOTS,					\
};									\
FIXTURE_VARIANT_ADD(kill, mode##_records) {				\
	.prog = "long_drop", .setup = _setup, .nr_watchers = 1, .poll = true, \
}

KILL_VARIANTS(plain, 0);
KILL_VARIANTS(defer, IOU_DEFER);
KILL_VARIANTS(sqpoll, IORING_SETUP_SQPOLL);

FIXTURE_SETUP(kill)
{
	IOU_REQUIRE();
	self->skel = kill_runs_get();
	ASSERT_NE(NULL, self->skel);
	self->skel->bss->nr_runs = 0;
}

FIXTURE_TEARDOWN(kill)
{
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
}

static void run_process(FIXTURE_DATA(kill) *self, const FIXTURE_VARIANT(kill) *variant)
{
	unsigned int nr = variant->nops && variant->flows ? 2 * NR_RUNS : NR_RUNS;
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = variant->match);
	struct bpf_program *prog;
	struct io_uring ring;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prog = bpf_object__find_program_by_name(self->skel->obj, variant->prog);
	if (iou_ring_init_size(&ring, variant->setup, nr, 2 * nr) ||
	    !bpf_program__attach_iouring(prog, ring.ring_fd, &opts))
		_exit(GONE_WRONG);
	for (unsigned int i = 0; i < NR_RUNS; i++) {
		struct io_uring_sqe *sqe;

		if (variant->nops) {
			sqe = iou_get_sqe(&ring);
			iou_prep_nop(sqe, 0, 0, i);
			if (variant->flows)
				sqe->flags = IOSQE_IO_LINK;
		}
		if (variant->flows)
			iou_queue_bpf(&ring, 0, i);
	}
	io_uring_submit_and_wait(&ring, 2 * nr);
	for (;;)
		pause();
}

/* Let programs watch one NOP, or each event of a poll. */
static void run_watched(FIXTURE_DATA(kill) *self, const FIXTURE_VARIANT(kill) *variant)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = BPF_F_IOURING_MATCH);
	int evfd = eventfd(0, EFD_CLOEXEC);
	struct bpf_program *prog;
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prog = bpf_object__find_program_by_name(self->skel->obj, variant->prog);
	if (iou_ring_init(&ring, variant->setup))
		_exit(GONE_WRONG);
	opts.opcodes[0] = 1ULL << (variant->poll ? IORING_OP_POLL_ADD : IORING_OP_NOP);
	for (opts.slot = 0; opts.slot < variant->nr_watchers; opts.slot++) {
		if (!bpf_program__attach_iouring(prog, ring.ring_fd, &opts))
			_exit(GONE_WRONG);
	}
	sqe = iou_get_sqe(&ring);
	if (variant->poll)
		io_uring_prep_poll_multishot(sqe, evfd, POLLIN);
	else
		iou_prep_nop(sqe, 0, 0, 0);
	iou_submit(&ring);
	for (;;) {
		eventfd_write(evfd, 1);
		io_uring_get_events(&ring);
	}
}

static unsigned int nr_runs(FIXTURE_DATA(kill) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_runs);
}

TEST_F_TIMEOUT(kill, no_more_runs, 120)
{
	unsigned int first = variant->nr_watchers ? 1 : FIRST_RUNS;
	int status;

	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid && variant->nr_watchers)
		run_watched(self, variant);
	if (!self->pid)
		run_process(self, variant);
	ASSERT_TRUE(until_ms(nr_runs(self) >= first, IOU_WAIT_MS));
	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	self->pid = 0;
	ASSERT_TRUE(WIFSIGNALED(status));
	/* the threads of the kernel that are left run no program */
	ASSERT_GT(variant->nr_watchers > 1 ? variant->nr_watchers : NR_RUNS / 2,
		  nr_runs(self));
}

/* flows of a process that calls exec, and completions that an SQ thread takes at a time */
#define NR_CHILDREN	64
#define SQ_ENTRIES	32

/* Call exec while the SQ thread runs programs. Tell the number of runs before in @nr. */
static void run_exec(struct kill_runs *skel, unsigned int *nr)
{
	struct io_uring ring;

	/* the second call of exec need not wait for a disk */
	if (system("/bin/true") ||
	    iou_ring_init_size(&ring, IORING_SETUP_SQPOLL, NR_CHILDREN, NR_CHILDREN) ||
	    !bpf_program__attach_iouring(skel->progs.long_child, ring.ring_fd, NULL))
		_exit(GONE_WRONG);
	for (unsigned int i = 0; i < NR_CHILDREN; i++)
		iou_queue_bpf(&ring, 0, i);
	io_uring_submit(&ring);
	if (!until_ms(IO_URING_READ_ONCE(skel->bss->nr_runs), IOU_WAIT_MS))
		_exit(GONE_WRONG);
	*nr = IO_URING_READ_ONCE(skel->bss->nr_runs);
	execl("/bin/true", "true", NULL);
	_exit(GONE_WRONG);
}

/*
 * exec kills the SQ thread. The thread takes the signal before it handles the completions
 * that are left.
 */
TEST(exec)
{
	unsigned int *nr = shared_alloc(sizeof(*nr));
	struct kill_runs *skel;
	int status;
	pid_t pid;

	IOU_REQUIRE();
	ASSERT_NE(MAP_FAILED, nr);
	skel = kill_runs_get();
	ASSERT_NE(NULL, skel);
	skel->bss->nr_runs = 0;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		run_exec(skel, nr);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(0, WEXITSTATUS(status));
	ASSERT_GT(*nr + SQ_ENTRIES + 1, skel->bss->nr_runs);
}

TEST_HARNESS_MAIN
