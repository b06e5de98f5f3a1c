// SPDX-License-Identifier: GPL-2.0
/*
 * Flows and their children are charged to the cgroup of the submitting task,
 * like all requests, with privileges or without. The state of a ring for its
 * programs is charged to the attaching task. With an SQ thread, this thread
 * submits.
 */
#include "iou_count.h"
#include "process.h"

#include <grp.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "exit.skel.h"

/*
 * Enough to distinguish a charged group from others. Each flow consists of two
 * requests, the flow and its child, and of memory.
 */
#define NR_FLOWS	2048
#define FLOW_BYTES	2000
#define BATCH		64
/* lower limit for the size of a struct io_kiocb */
#define REQ_BYTES	200
#define FLOWS_BYTES	(NR_FLOWS * (2L * REQ_BYTES + FLOW_BYTES))

#define NR_RINGS	64
/* lower limit for the state of a ring with programs */
#define RING_BYTES	4096

/* thousands of flows, in an emulator */
#define SLOW_MS		60000

struct memcg_shared {
	/* slab of the groups before the flows */
	long ring;
	long peer_ring;
	long flows;
	int submitted;
	int done;
	pid_t peer;
};

FIXTURE(memcg) {
	struct memcg_shared *shared;
	struct exit *skel;
	char root[64];
	/* of the owner of the ring, and of another process */
	char group[128];
	char peer[128];
	int pipe[2];
	char buf[16];
	pid_t pid;
	uid_t uid;
};

FIXTURE_VARIANT(memcg) {
	unsigned int setup;
	/* of the submitter of flows, after it has attached the program */
	uid_t uid;
};

IOU_MODE(memcg, plain, 0);
IOU_MODE(memcg, defer, IOU_DEFER);
IOU_MODE(memcg, sqpoll, IORING_SETUP_SQPOLL);

FIXTURE_VARIANT_ADD(memcg, nobody) {
	.uid = 65534,
};

static bool memcg_write(const char *dir, const char *file, const char *text)
{
	char path[256];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

/* Return the slab memory of the group, in bytes. */
static long memcg_slab(const char *group)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/memory.stat", group);
	return iou_scan(path, "slab %ld");
}

FIXTURE_SETUP(memcg)
{
	IOU_REQUIRE();
	self->uid = variant->uid;
	snprintf(self->root, sizeof(self->root), "/tmp/iou_memcg.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->root));
	snprintf(self->group, sizeof(self->group), "%s/iou_%d", self->root,
		 getpid());
	snprintf(self->peer, sizeof(self->peer), "%s/iou_peer_%d", self->root,
		 getpid());
	ASSERT_EQ(0, mount("none", self->root, "cgroup2", 0, NULL));
	if (!memcg_write(self->root, "cgroup.subtree_control", "+memory"))
		SKIP(return, "no memory controller");
	ASSERT_EQ(0, mkdir(self->group, 0755));
	ASSERT_EQ(0, mkdir(self->peer, 0755));
	ASSERT_EQ(0, pipe(self->pipe));
	/* time limit for the cleanup of a killed process */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	self->shared = shared_alloc(sizeof(*self->shared));
	ASSERT_NE(MAP_FAILED, self->shared);
	self->skel = exit__open_and_load();
	ASSERT_NE(NULL, self->skel);
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], self->buf,
		      sizeof(self->buf), 0, 0);
	self->skel->bss->nr_sqes = 1;
}

FIXTURE_TEARDOWN(memcg)
{
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
	if (self->shared->peer > 0)
		kill(self->shared->peer, SIGKILL);
	while (wait(NULL) > 0)
		;
	exit__destroy(self->skel);
	/* the group is busy until the cleanup has finished */
	until(!rmdir(self->group) || errno == ENOENT);
	until(!rmdir(self->peer) || errno == ENOENT);
	umount(self->root);
	rmdir(self->root);
}

/* Return 0 or an error. */
static int memcg_submit_flows(struct io_uring *ring, int nr)
{
	for (int i = 0; i < nr; i += BATCH) {
		int ret;

		for (int n = 0; n < BATCH; n++)
			iou_prep_bpf(iou_get_sqe(ring), 0, 0, 0, 0, 0);
		ret = iou_submit(ring);
		if (ret != BATCH)
			return ret < 0 ? ret : -EAGAIN;
	}
	return 0;
}

static bool memcg_flows_run(FIXTURE_DATA(memcg) *self, __u64 nr)
{
	return until_ms(IO_URING_READ_ONCE(self->skel->bss->nr_runs) == nr,
			SLOW_MS);
}

/* Become a user without capabilities, unless @uid is root. */
static bool memcg_drop(uid_t uid)
{
	return !uid || (!setgroups(0, NULL) && !setresgid(uid, uid, uid) &&
			!setresuid(uid, uid, uid));
}

/* Run in a process of its own, the only one in the group. */
static int memcg_run(FIXTURE_DATA(memcg) *self, unsigned int setup)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flow_size = FLOW_BYTES);
	struct memcg_shared *shared = self->shared;
	struct bpf_link *link;
	struct io_uring ring;

	if (!memcg_write(self->group, "cgroup.procs", "0") ||
	    iou_ring_init_size(&ring, setup, BATCH, NR_FLOWS))
		return GONE_WRONG;
	link = bpf_program__attach_iouring(self->skel->progs.exit_wait,
					   ring.ring_fd, &opts);
	if (!link)
		return GONE_WRONG;
	shared->ring = memcg_slab(self->group);
	if (!memcg_drop(self->uid) || memcg_submit_flows(&ring, NR_FLOWS) ||
	    !memcg_flows_run(self, NR_FLOWS))
		return GONE_WRONG;
	/* the counter can be two seconds old */
	until((shared->flows = memcg_slab(self->group)) - shared->ring >=
	      FLOWS_BYTES);
	IO_URING_WRITE_ONCE(shared->done, 1);
	pause();
	return 0;
}

/* Let a process do this, and wait until it has finished. */
#define memcg_start(run) do {						\
	self->pid = fork();						\
	ASSERT_LE(0, self->pid);					\
	if (!self->pid)							\
		_exit(run);						\
	ASSERT_TRUE(until_ms(IO_URING_READ_ONCE(self->shared->done) ||	\
			     waitpid(self->pid, NULL, WNOHANG), SLOW_MS));\
	ASSERT_EQ(1, self->shared->done);				\
} while (0)

TEST_F_TIMEOUT(memcg, flows, 180)
{
	struct memcg_shared *shared = self->shared;
	int status;

	memcg_start(memcg_run(self, variant->setup));
	ASSERT_LE(0, shared->ring);
	ASSERT_LE(FLOWS_BYTES, shared->flows - shared->ring);

	/* the memory is uncharged after the flows have ended */
	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	self->pid = 0;
	ASSERT_TRUE(until_ms(memcg_slab(self->group) <
			     shared->flows - FLOWS_BYTES, SLOW_MS)) {
		TH_LOG("slab: %ld of %ld left", memcg_slab(self->group),
		       shared->flows);
	}
}

/* Another process with the ring moves to its own group, and submits. */
static void memcg_run_peer(FIXTURE_DATA(memcg) *self, struct io_uring *ring)
{
	struct memcg_shared *shared = self->shared;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!memcg_write(self->peer, "cgroup.procs", "0"))
		_exit(GONE_WRONG);
	shared->peer_ring = memcg_slab(self->peer);
	shared->submitted = memcg_submit_flows(ring, NR_FLOWS);
	if (!shared->submitted && !memcg_flows_run(self, NR_FLOWS))
		_exit(GONE_WRONG);
	IO_URING_WRITE_ONCE(shared->done, 1);
	pause();
	_exit(0);
}

static int memcg_run_owner(FIXTURE_DATA(memcg) *self, unsigned int setup)
{
	struct memcg_shared *shared = self->shared;
	struct io_uring ring;
	pid_t peer;

	if (!memcg_write(self->group, "cgroup.procs", "0") ||
	    iou_ring_init_size(&ring, setup, BATCH, NR_FLOWS) ||
	    !bpf_program__attach_iouring(self->skel->progs.exit_wait,
					 ring.ring_fd, NULL))
		return GONE_WRONG;
	shared->ring = memcg_slab(self->group);
	peer = fork();
	if (!peer)
		memcg_run_peer(self, &ring);
	shared->peer = peer;
	/* on success, the test kills the process first */
	waitpid(peer, NULL, 0);
	return GONE_WRONG;
}

/* The owner is charged for submissions of others only with an SQ thread. */
TEST_F_TIMEOUT(memcg, submitter, 180)
{
	const long want = 2L * NR_FLOWS * REQ_BYTES;
	struct memcg_shared *shared = self->shared;
	const char *pays = self->peer, *other = self->group;
	long *base = &shared->peer_ring, *other_base = &shared->ring;

	if (variant->uid)
		SKIP(return, "only for flows");
	memcg_start(memcg_run_owner(self, variant->setup));
	if (variant->setup & IORING_SETUP_SINGLE_ISSUER) {
		ASSERT_EQ(-EEXIST, shared->submitted);
		return;
	}
	ASSERT_EQ(0, shared->submitted);
	if (variant->setup & IORING_SETUP_SQPOLL) {
		pays = self->group;
		other = self->peer;
		base = &shared->ring;
		other_base = &shared->peer_ring;
	}
	ASSERT_TRUE(*base >= 0 && *other_base >= 0);
	/* the counter can be two seconds old */
	ASSERT_TRUE(until_ms(memcg_slab(pays) - *base >= want, SLOW_MS)) {
		TH_LOG("slab: %ld, had %ld", memcg_slab(pays), *base);
	}
	ASSERT_GT(want / 2, memcg_slab(other) - *other_base);
}

/* Move to the group after creating rings, and attach a program to each. */
static int memcg_run_attach(FIXTURE_DATA(memcg) *self, unsigned int setup)
{
	static struct io_uring rings[NR_RINGS];

	for (int i = 0; i < NR_RINGS; i++) {
		if (iou_ring_init_size(&rings[i], setup, 1, 2))
			return GONE_WRONG;
	}
	if (!memcg_write(self->group, "cgroup.procs", "0"))
		return GONE_WRONG;
	for (int i = 0; i < NR_RINGS; i++) {
		if (!bpf_program__attach_iouring(self->skel->progs.exit_wait,
						 rings[i].ring_fd, NULL))
			return GONE_WRONG;
	}
	IO_URING_WRITE_ONCE(self->shared->done, 1);
	pause();
	return 0;
}

TEST_F_TIMEOUT(memcg, attach, 180)
{
	const long want = NR_RINGS * RING_BYTES;

	if (variant->setup & IORING_SETUP_SQPOLL)
		SKIP(return, "not relevant with SQ threads");
	if (variant->uid)
		SKIP(return, "only for flows");
	memcg_start(memcg_run_attach(self, variant->setup));
	ASSERT_TRUE(until_ms(memcg_slab(self->group) >= want, SLOW_MS)) {
		TH_LOG("slab: %ld", memcg_slab(self->group));
	}
}

TEST_HARNESS_MAIN
