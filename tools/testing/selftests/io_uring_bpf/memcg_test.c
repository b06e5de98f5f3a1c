// SPDX-License-Identifier: GPL-2.0
/* What flows take is charged to the cgroup of the task that has the ring. */
#include "process.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "exit.skel.h"

/* each is two requests, its own and that of its child */
#define NR_FLOWS	8192
#define BATCH		64
/* of a struct io_kiocb, less than it takes in any configuration */
#define REQ_BYTES	200

/* thousands of flows, under emulation */
#define SLOW_MS		60000

struct memcg_shared {
	long ring;
	long flows;
	int done;
};

FIXTURE(memcg) {
	struct memcg_shared *shared;
	struct exit *skel;
	char root[64];
	char group[128];
	int pipe[2];
	char buf[16];
	pid_t pid;
};

FIXTURE_VARIANT(memcg) {
	unsigned int setup;
};

IOU_MODE(memcg, plain, 0);
IOU_MODE(memcg, defer, IOU_DEFER);
IOU_MODE(memcg, sqpoll, IORING_SETUP_SQPOLL);

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

/* What the group has of slab, in bytes. */
static long memcg_slab(const char *group)
{
	char path[256], line[128];
	long bytes = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/memory.stat", group);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "slab %ld", &bytes) == 1)
			break;
	}
	if (f)
		fclose(f);
	return bytes;
}

FIXTURE_SETUP(memcg)
{
	IOU_REQUIRE();
	snprintf(self->root, sizeof(self->root), "/tmp/iou_memcg.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->root));
	snprintf(self->group, sizeof(self->group), "%s/iou_%d", self->root,
		 getpid());
	ASSERT_EQ(0, mount("none", self->root, "cgroup2", 0, NULL));
	if (!memcg_write(self->root, "cgroup.subtree_control", "+memory"))
		SKIP(return, "no memory controller");
	ASSERT_EQ(0, mkdir(self->group, 0755));
	ASSERT_EQ(0, pipe(self->pipe));
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
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
	exit__destroy(self->skel);
	/* as long as something is left of it, it is busy */
	until(!rmdir(self->group) || errno == ENOENT);
	umount(self->root);
	rmdir(self->root);
}

static int memcg_submit_flows(struct io_uring *ring)
{
	for (int i = 0; i < NR_FLOWS; i += BATCH) {
		for (int n = 0; n < BATCH; n++)
			iou_prep_bpf(iou_get_sqe(ring), 0, 0, 0, 0, 0);
		if (io_uring_submit(ring) != BATCH)
			return -1;
	}
	return 0;
}

/* Runs in a process of its own, which is all that there is in the group. */
static int memcg_run(FIXTURE_DATA(memcg) *self, unsigned int setup)
{
	struct memcg_shared *shared = self->shared;
	struct bpf_link *link;
	struct io_uring ring;

	if (!memcg_write(self->group, "cgroup.procs", "0") ||
	    iou_ring_init_size(&ring, setup, BATCH, NR_FLOWS))
		return GONE_WRONG;
	link = bpf_program__attach_iouring(self->skel->progs.exit_wait,
					   ring.ring_fd, NULL);
	if (!link)
		return GONE_WRONG;
	shared->ring = memcg_slab(self->group);
	if (memcg_submit_flows(&ring) ||
	    !until_ms(IO_URING_READ_ONCE(self->skel->bss->nr_runs) == NR_FLOWS,
		      SLOW_MS))
		return GONE_WRONG;
	shared->flows = memcg_slab(self->group);
	IO_URING_WRITE_ONCE(shared->done, 1);
	pause();
	return 0;
}

TEST_F_TIMEOUT(memcg, flows, 150)
{
	struct memcg_shared *shared = self->shared;
	const long want = 2L * NR_FLOWS * REQ_BYTES;
	int status;

	self->pid = fork();
	if (!self->pid)
		_exit(memcg_run(self, variant->setup));
	ASSERT_TRUE(until_ms(IO_URING_READ_ONCE(shared->done) ||
			     waitpid(self->pid, &status, WNOHANG), SLOW_MS));
	ASSERT_EQ(1, shared->done);
	ASSERT_LE(0, shared->ring);
	ASSERT_LE(want, shared->flows - shared->ring);

	/* and it has all of that back once they are gone */
	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	self->pid = 0;
	ASSERT_TRUE(until_ms(memcg_slab(self->group) < shared->flows - want,
			     SLOW_MS)) {
		TH_LOG("slab: %ld of %ld left", memcg_slab(self->group),
		       shared->flows);
	}
}

TEST_HARNESS_MAIN
