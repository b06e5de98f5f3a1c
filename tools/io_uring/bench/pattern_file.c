// SPDX-License-Identifier: GPL-2.0
/*
 * Patterns for files, on XFS, which does cached reads and writes in place
 *
 * read_file: opens, reads and closes a file of 512 bytes. copy: 64 KiB in blocks of
 * 4 KiB, four at a time; also past the page cache. append: 16 records of 512 bytes,
 * synced after every four, over those of a log that is there. A worker does each sync,
 * so the figures of append vary from run to run.
 */
#include "pattern.h"

#define NAME		"iou_bench.small"
#define SMALL		512

#define DEPTH		4	/* blocks of a copy that are under way */

#define RECORDS		16
#define GROUP		4
#define GROUP_BYTES	(GROUP * BENCH_ENTRY)

/* Not by a path from the root, which other file systems take part in. */
static void read_file_open(struct bench *b)
{
	int fd, none = -1;

	pattern_alloc(b);
	b->fd[0] = open(b->xfs, O_PATH | O_DIRECTORY);
	fd = openat(b->fd[0], NAME, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	bench_check(b, fd >= 0);
	bench_check(b, write(fd, pattern_data, SMALL) == SMALL && !fsync(fd));
	close(fd);
	if (!b->ring.cq.ktail)
		return;
	errno = -io_uring_register_files(&b->ring, &none, 1);
	if (errno)
		bench_die(b, "cannot register files");
}

static void read_file_exit(struct bench *b)
{
	bench_check(b, !unlinkat(b->fd[0], NAME, 0));
	bench_check(b, !memcmp(b->buf, pattern_data, SMALL));
}

static void read_file_pattern(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		PATTERN_RUN(b, SMALL, read_file, b->fd[0], NAME, O_RDONLY, b->buf,
			    SMALL);
}

/* The descriptor is known before the file is open. */
static void read_file_liburing(struct bench *b, unsigned int ops)
{
	struct io_uring_sqe *sqe;

	for (; ops; ops--) {
		sqe = bench_sqe(b);
		io_uring_prep_openat_direct(sqe, b->fd[0], NAME, O_RDONLY, 0, 0);
		sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
		sqe = bench_sqe(b);
		io_uring_prep_read(sqe, 0, b->buf, SMALL, 0);
		sqe->flags |= IOSQE_FIXED_FILE | IOSQE_IO_LINK;
		sqe = bench_sqe(b);
		io_uring_prep_close_direct(sqe, 0);
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
		pattern_reap(b, 3, 1, SMALL);
	}
}

static void read_file_syscalls(struct bench *b, unsigned int ops)
{
	int fd;

	for (; ops; ops--) {
		fd = openat(b->fd[0], NAME, O_RDONLY);
		bench_check(b, fd >= 0);
		bench_check(b, read(fd, b->buf, SMALL) == SMALL);
		bench_check(b, !close(fd));
	}
}

static void copy_open(struct bench *b)
{
	pattern_alloc(b);
	pattern_file(b, 0);
	pattern_file(b, 1);
}

static void copy_open_direct(struct bench *b)
{
	int i;

	copy_open(b);
	for (i = 0; i < 2; i++)
		bench_check(b, !fcntl(b->fd[i], F_SETFL, O_DIRECT));
}

static void copy_before(struct bench *b)
{
	memset(b->buf, 0, PATTERN_BUF);
	bench_check(b, pwrite(b->fd[1], b->buf, PATTERN_BUF, 0) == PATTERN_BUF);
	bench_check(b, !fsync(b->fd[1]));
}

static void copy_after(struct bench *b)
{
	bench_check(b, pread(b->fd[1], b->buf, PATTERN_BUF, 0) == PATTERN_BUF);
	bench_check(b, !memcmp(b->buf, pattern_data, PATTERN_BUF));
}

static void copy_pattern(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		PATTERN_RUN(b, PATTERN_BUF, copy, b->fd[0], b->fd[1], 0,
			    PATTERN_BUF, b->buf, BENCH_BLOCK, DEPTH);
}

/*
 * Four reads, and four writes. All requests complete in place or while they are
 * submitted, so nothing is gained by a write that comes before the other reads.
 */
static void copy_liburing(struct bench *b, unsigned int ops)
{
	unsigned int i, pos;

	for (; ops; ops--) {
		for (pos = 0; pos < PATTERN_BUF; pos += DEPTH * BENCH_BLOCK) {
			for (i = 0; i < DEPTH; i++)
				io_uring_prep_read(bench_sqe(b), b->fd[0],
						   b->buf + i * BENCH_BLOCK, BENCH_BLOCK,
						   pos + i * BENCH_BLOCK);
			pattern_reap(b, DEPTH, DEPTH, BENCH_BLOCK);
			for (i = 0; i < DEPTH; i++)
				io_uring_prep_write(bench_sqe(b), b->fd[1],
						    b->buf + i * BENCH_BLOCK, BENCH_BLOCK,
						    pos + i * BENCH_BLOCK);
			pattern_reap(b, DEPTH, DEPTH, BENCH_BLOCK);
		}
	}
}

static void copy_syscalls(struct bench *b, unsigned int ops)
{
	unsigned int pos;

	for (; ops; ops--) {
		for (pos = 0; pos < PATTERN_BUF; pos += BENCH_BLOCK) {
			bench_check(b, pread(b->fd[0], b->buf, BENCH_BLOCK, pos) ==
				       BENCH_BLOCK);
			bench_check(b, pwrite(b->fd[1], b->buf, BENCH_BLOCK, pos) ==
				       BENCH_BLOCK);
		}
	}
}

static void append_open(struct bench *b)
{
	pattern_alloc(b);
	pattern_file(b, 1);
}

static void append_before(struct bench *b)
{
	copy_before(b);
	memcpy(b->buf, pattern_data, PATTERN_BUF);
}

static void append_after(struct bench *b)
{
	bench_check(b, pread(b->fd[1], b->buf, RECORDS * BENCH_ENTRY, 0) ==
		       RECORDS * BENCH_ENTRY);
	bench_check(b, !memcmp(b->buf, pattern_data, RECORDS * BENCH_ENTRY));
}

/* A CQE for each group: the number of records that are durable */
static void append_pattern(struct bench *b, unsigned int ops)
{
	struct io_uring_cqe *cqe;
	unsigned int head;
	int done, seen;

	for (; ops; ops--) {
		iou_prep_append(bench_sqe(b), 0, b->fd[1], b->buf, BENCH_ENTRY, RECORDS,
				GROUP, 0);
		for (done = 0; done < RECORDS; ) {
			bench_check(b, io_uring_submit_and_wait(&b->ring, 1) >= 0);
			seen = 0;
			io_uring_for_each_cqe(&b->ring, head, cqe) {
				done += GROUP;
				bench_check(b, cqe->res == done);
				seen++;
			}
			io_uring_cq_advance(&b->ring, seen);
		}
	}
}

static void append_liburing(struct bench *b, unsigned int ops)
{
	unsigned int pos;

	for (; ops; ops--) {
		for (pos = 0; pos < RECORDS * BENCH_ENTRY; pos += GROUP_BYTES) {
			io_uring_prep_write(bench_sqe(b), b->fd[1], b->buf + pos,
					    GROUP_BYTES, pos);
			pattern_reap(b, 1, 1, GROUP_BYTES);
			io_uring_prep_fsync(bench_sqe(b), b->fd[1],
					    IORING_FSYNC_DATASYNC);
			pattern_reap(b, 1, 1, 0);
		}
	}
}

static void append_syscalls(struct bench *b, unsigned int ops)
{
	unsigned int pos;

	for (; ops; ops--) {
		for (pos = 0; pos < RECORDS * BENCH_ENTRY; pos += GROUP_BYTES) {
			bench_check(b, pwrite(b->fd[1], b->buf + pos, GROUP_BYTES,
					      pos) == GROUP_BYTES);
			bench_check(b, !fdatasync(b->fd[1]));
		}
	}
}

PATTERN_ARMS(read_file);
PATTERN_ARMS(copy);
PATTERN_ARMS(append);

#define FILES(name, _ops, _arms)					\
	"pattern-" name, .ops = _ops, .need = NEED_PATTERN | NEED_XFS,	\
	.arms = _arms

const struct bench_workload bench_pattern_file_workloads[] = {
	{ FILES("read_file", BENCH_OPS_HEAVY / 8, read_file_arms),
	  .open = read_file_open, .exit = read_file_exit },
	{ FILES("copy", 60, copy_arms), .open = copy_open,
	  .before = copy_before, .after = copy_after },
	{ FILES("copy-direct", 60, copy_arms), .open = copy_open_direct,
	  .before = copy_before, .after = copy_after },
	{ FILES("append", 60, append_arms), .open = append_open,
	  .before = append_before, .after = append_after },
	{}
};
