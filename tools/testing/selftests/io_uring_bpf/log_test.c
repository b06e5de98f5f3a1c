// SPDX-License-Identifier: GPL-2.0
/* A log writer as a program: one CQE for 100 records and their FSYNC */
#include "iou_bpf.h"

#include <signal.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "progs/log_head.h"
#include "log.skel.h"

#define FLOW	0xf10aULL

#define GROUPS	4
/* of the records of a group, at most */
#define MAX_LEN	200

struct group {
	struct log_head head;
	char records[LOG_RECORDS * MAX_LEN];
	unsigned int size;
};

FIXTURE(log) {
	struct io_uring ring;
	struct log *skel;
	struct bpf_link *link;
	struct group *groups;
	int fd;
};

IOU_MODE_VARIANTS(log);
IOU_LOAD_ONCE(log);

static void log_fill(struct group *g, unsigned int seed)
{
	g->head.nr = LOG_RECORDS;
	for (unsigned int i = 0; i < LOG_RECORDS; i++) {
		g->head.len[i] = 1 + (i * 37 + seed * 11) % MAX_LEN;
		memset(g->records + g->size, 'a' + (i + seed) % 26, g->head.len[i]);
		g->size += g->head.len[i];
	}
}

FIXTURE_SETUP(log)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flow_size = sizeof(struct log_head));
	char path[] = "/tmp/iou_log.XXXXXX";
	struct iovec iov;

	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	self->fd = mkstemp(path);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, unlink(path));
	iov.iov_len = GROUPS * sizeof(struct group);
	iov.iov_base = calloc(1, iov.iov_len);
	ASSERT_NE(NULL, iov.iov_base);
	self->groups = iov.iov_base;
	for (int i = 0; i < GROUPS; i++)
		log_fill(&self->groups[i], i);
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	self->skel = log_get();
	ASSERT_NE(NULL, self->skel);
	self->link = bpf_program__attach_iouring(self->skel->progs.log_append,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(log)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
	close(self->fd);
}

/* Append group @n at @off. */
static void log_queue(FIXTURE_DATA(log) *self, int fd, unsigned int n, __u64 off)
{
	struct io_uring_sqe *sqe = iou_queue_bpf(&self->ring, 0, FLOW + n);

	sqe->off = off;
	sqe->addr = (unsigned long)self->groups[n].records;
	sqe->addr3 = fd;
	sqe->bpf_arg = n * sizeof(struct group);
}

#define log_result(fd, res) do {					\
	log_queue(self, fd, 0, 0);					\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_CQE(&self->ring, FLOW, res);				\
	ASSERT_NO_CQE(&self->ring);					\
} while (0)

/* All groups at once, each at its place */
TEST_F(log, append)
{
	static char buf[LOG_RECORDS * MAX_LEN];
	struct io_uring_cqe cqes[GROUPS];
	__u64 off = 0;

	for (int i = 0; i < GROUPS; i++) {
		log_queue(self, self->fd, i, off);
		off += self->groups[i].size;
	}
	ASSERT_EQ(GROUPS, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, GROUPS));
	for (int i = 0; i < GROUPS; i++)
		ASSERT_HAS_CQE(cqes, GROUPS, FLOW + i, LOG_RECORDS);
	ASSERT_NO_CQE(&self->ring);
	/* START, the records, and FSYNC */
	ASSERT_EQ(GROUPS * (1 + LOG_RECORDS + 1), self->skel->bss->nr_runs);
	off = 0;
	for (int i = 0; i < GROUPS; i++) {
		struct group *g = &self->groups[i];

		ASSERT_EQ(g->size, pread(self->fd, buf, g->size, off));
		ASSERT_EQ(0, memcmp(g->records, buf, g->size));
		off += g->size;
	}
	ASSERT_EQ(0, pread(self->fd, buf, 1, off));
}

/* The last record does not fit. */
TEST_F(log, short_write)
{
	struct rlimit limit = { self->groups[0].size - 1, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	log_result(self->fd, -EIO);
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
}

TEST_F(log, failed_write)
{
	int fd = open("/dev/full", O_WRONLY);

	ASSERT_LE(0, fd);
	log_result(fd, -ENOSPC);
	close(fd);
}

/* A pipe takes the records. */
TEST_F(log, failed_fsync)
{
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	log_result(fds[1], -EINVAL);
	ASSERT_EQ(1 + LOG_RECORDS + 1, self->skel->bss->nr_runs);
	close(fds[0]);
	close(fds[1]);
}

TEST_HARNESS_MAIN
