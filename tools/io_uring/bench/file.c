// SPDX-License-Identifier: GPL-2.0
/*
 * Files
 *
 * copy: 64 KiB, time and again, in blocks of 4 KiB, an operation is one block.
 * append: 512 bytes to a log, which is synced every 64 of them, an operation is
 * one append with its share of that.
 *
 * These two are on ext4, where a buffered write can sleep, so io_uring gives
 * each write to a worker. append also waits for a disk. So the figures of both
 * vary from run to run.
 *
 * The -xfs ones are on XFS, which does such writes in place. The -direct ones
 * are on XFS as well, past the page cache. A worker does each sync there, as on
 * any file system. The disk is one of null_blk, which is never waited for.
 */
#include "loop.h"

#define LOG_BLOCKS	(BENCH_OPS_HEAVY * BENCH_ENTRY / BENCH_BLOCK)

static unsigned int step;
static __u64 next;
static __u64 synced;

static void copy_open(struct bench *b)
{
	unsigned int i;

	b->fd[0] = bench_file(b, "from");
	b->fd[1] = bench_file(b, "to");
	bench_alloc(b, BENCH_COPY);
	for (i = 0; i < BENCH_COPY; i++)
		b->buf[i] = i * 2654435761U >> 13;
	for (i = 0; i < 2; i++)
		bench_check(b, pwrite(b->fd[i], b->buf + i, BENCH_COPY - i, 0) ==
			       BENCH_COPY - i);
}

/* From here on, past the page cache. */
static void make_direct(struct bench *b, int fd)
{
	bench_check(b, !fsync(fd));
	bench_check(b, !fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_DIRECT));
}

static void copy_open_direct(struct bench *b)
{
	copy_open(b);
	make_direct(b, b->fd[0]);
	make_direct(b, b->fd[1]);
}

static void copy_exit(struct bench *b)
{
	__u8 *copy = aligned_alloc(4096, BENCH_COPY);

	bench_check(b, copy);
	bench_check(b, pread(b->fd[0], b->buf, BENCH_COPY, 0) == BENCH_COPY);
	bench_check(b, pread(b->fd[1], copy, BENCH_COPY, 0) == BENCH_COPY);
	bench_check(b, !memcmp(copy, b->buf, BENCH_COPY));
	free(copy);
}

static void copy_before(struct bench *b)
{
	next = 0;
	bench_loop_reset(b);
}

static void block_read(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_read(sqe, b->fd[0], b->buf, BENCH_BLOCK, next);
}

static void block_write(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_write(sqe, b->fd[1], b->buf, BENCH_BLOCK, next);
}

static void copy_begin(struct bench *b, unsigned int slot)
{
	step = 0;
}

static void copy_prep(struct bench *b, unsigned int slot,
		      struct io_uring_sqe *sqe)
{
	if (step)
		block_write(b, sqe);
	else
		block_read(b, sqe);
}

static bool copy_step(struct bench *b, unsigned int slot, int res)
{
	bench_check(b, res == BENCH_BLOCK);
	if (!step++)
		return true;
	next = (next + BENCH_BLOCK) % BENCH_COPY;
	return false;
}

BENCH_STEP_LOOP(copy)

static void copy_pread(struct bench *b, unsigned int ops)
{
	for (; ops; ops--) {
		copy_step(b, 0, pread(b->fd[0], b->buf, BENCH_BLOCK, next));
		copy_step(b, 0, pwrite(b->fd[1], b->buf, BENCH_BLOCK, next));
		step = 0;
	}
}

/* Three blocks in a chain, which goes well only because no read is short. */
static void copy_link(struct bench *b, unsigned int ops)
{
	struct io_uring_sqe *sqe;
	unsigned int i;

	b->want = BENCH_BLOCK;
	for (; ops; ops -= BENCH_LINK / 2) {
		for (i = 0; i < BENCH_LINK / 2; i++) {
			sqe = bench_sqe(b);
			block_read(b, sqe);
			sqe->flags = IOSQE_IO_LINK;
			sqe = bench_sqe(b);
			block_write(b, sqe);
			if (i + 1 < BENCH_LINK / 2)
				sqe->flags = IOSQE_IO_LINK;
			next = (next + BENCH_BLOCK) % BENCH_COPY;
		}
		bench_reap(b, BENCH_LINK);
	}
}

static void copy_flow(struct bench *b, unsigned int ops)
{
	for (; ops; ops -= BENCH_COPY / BENCH_BLOCK)
		bench_flow(b, 0, 0, BENCH_COPY, 0, 0);
}

static void append_open(struct bench *b)
{
	b->fd[0] = bench_file(b, "log");
	memset(bench_alloc(b, BENCH_BLOCK), 'x', BENCH_BLOCK);
}

static void append_before(struct bench *b)
{
	bench_check(b, !ftruncate(b->fd[0], 0) && !fsync(b->fd[0]));
	next = 0;
	synced = 0;
	bench_loop_reset(b);
}

static void append_after(struct bench *b)
{
	bench_check(b, lseek(b->fd[0], 0, SEEK_END) ==
		       (off_t)BENCH_OPS_HEAVY * BENCH_ENTRY);
}

/*
 * A log that is written anew from its start, as those of databases are: a direct
 * write that makes a file longer sleeps. There is a block behind the last entry,
 * because XFS takes a write to the last block for one of those.
 */
static void append_open_direct(struct bench *b)
{
	off_t i;

	append_open(b);
	for (i = 0; i <= LOG_BLOCKS; i++)
		bench_check(b, pwrite(b->fd[0], b->buf, BENCH_BLOCK,
				      i * BENCH_BLOCK) == BENCH_BLOCK);
	make_direct(b, b->fd[0]);
}

static void append_before_direct(struct bench *b)
{
	off_t i;

	memset(b->buf, 0, BENCH_BLOCK);
	for (i = 0; i < LOG_BLOCKS; i++)
		bench_check(b, pwrite(b->fd[0], b->buf, BENCH_BLOCK,
				      i * BENCH_BLOCK) == BENCH_BLOCK);
	memset(b->buf, 'x', BENCH_BLOCK);
	bench_check(b, !fsync(b->fd[0]));
	next = 0;
	synced = 0;
	bench_loop_reset(b);
}

static void append_after_direct(struct bench *b)
{
	off_t i;
	int j;

	for (i = 0; i < LOG_BLOCKS; i++) {
		bench_check(b, pread(b->fd[0], b->buf, BENCH_BLOCK,
				     i * BENCH_BLOCK) == BENCH_BLOCK);
		for (j = 0; j < BENCH_BLOCK; j++)
			bench_check(b, b->buf[j] == 'x');
	}
}

static void entry_write(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_write(sqe, b->fd[0], b->buf, BENCH_ENTRY, next);
}

static void entry_sync(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_fsync(sqe, b->fd[0], 0);
}

static bool append_full(void)
{
	return next - synced == BENCH_SYNC * BENCH_ENTRY;
}

static void append_begin(struct bench *b, unsigned int slot)
{
}

static void append_prep(struct bench *b, unsigned int slot,
			struct io_uring_sqe *sqe)
{
	if (append_full())
		entry_sync(b, sqe);
	else
		entry_write(b, sqe);
}

static bool append_step(struct bench *b, unsigned int slot, int res)
{
	if (append_full()) {
		bench_check(b, !res);
		synced = next;
		return false;
	}
	bench_check(b, res == BENCH_ENTRY);
	next += BENCH_ENTRY;
	return append_full();
}

BENCH_STEP_LOOP(append)

static void append_pwrite(struct bench *b, unsigned int ops)
{
	for (; ops; ops--) {
		if (append_step(b, 0, pwrite(b->fd[0], b->buf, BENCH_ENTRY,
					     next)))
			append_step(b, 0, fsync(b->fd[0]));
	}
}

/* The writes of a chain, and the sync behind them where it is due. */
static void append_link(struct bench *b, unsigned int ops)
{
	struct io_uring_sqe *sqe = NULL;
	unsigned int nr;

	while (ops) {
		for (nr = 0; nr < BENCH_LINK && ops && !append_full(); nr++) {
			sqe = bench_sqe(b);
			entry_write(b, sqe);
			sqe->flags = IOSQE_IO_LINK;
			sqe->user_data = BENCH_ENTRY;
			next += BENCH_ENTRY;
			ops--;
		}
		if (append_full()) {
			sqe = bench_sqe(b);
			entry_sync(b, sqe);
			sqe->user_data = 0;
			synced = next;
			nr++;
		} else {
			sqe->flags = 0;
		}
		bench_reap_each(b, nr);
	}
}

static void append_flow(struct bench *b, unsigned int ops)
{
	bench_flow(b, 0, 0, (__u64)ops * BENCH_ENTRY, 0, 0);
}

static const struct bench_arm copy_arms[] = {
	BENCH_SYSCALL(copy_pread),
	BENCH_LOOP("loop-qd1", copy_qd1),
	BENCH_LOOP("link", copy_link),
	BENCH_LOOP_STEP("loop_step-qd1", "copy_qd1"),
	BENCH_FLOW("flow", "flow_copy", copy_flow),
	{}
};

static const struct bench_arm append_arms[] = {
	BENCH_SYSCALL(append_pwrite),
	BENCH_LOOP("loop-qd1", append_qd1),
	BENCH_LOOP("link", append_link),
	BENCH_LOOP_STEP("loop_step-qd1", "append_qd1"),
	BENCH_FLOW("flow", "flow_append", append_flow),
	BENCH_FLOW("flow-again", "flow_append_again", append_flow),
	{}
};

const struct bench_workload bench_file_workloads[] = {
	{ "copy", .ops = BENCH_OPS_HEAVY, .arms = copy_arms,
	  .open = copy_open, .prep = block_read, .prep2 = block_write,
	  .before = copy_before, .exit = copy_exit },
	{ "append", .ops = BENCH_OPS_HEAVY, .arms = append_arms,
	  .open = append_open, .prep = entry_write, .prep2 = entry_sync,
	  .before = append_before, .after = append_after },
	{ "copy-xfs", .ops = BENCH_OPS_HEAVY, .need = NEED_XFS,
	  .arms = copy_arms, .open = copy_open,
	  .prep = block_read, .prep2 = block_write,
	  .before = copy_before, .exit = copy_exit },
	{ "append-xfs", .ops = BENCH_OPS_HEAVY, .need = NEED_XFS,
	  .arms = append_arms, .open = append_open,
	  .prep = entry_write, .prep2 = entry_sync,
	  .before = append_before, .after = append_after },
	{ "copy-direct", .ops = BENCH_OPS_HEAVY, .need = NEED_XFS,
	  .arms = copy_arms, .open = copy_open_direct,
	  .prep = block_read, .prep2 = block_write,
	  .before = copy_before, .exit = copy_exit },
	{ "append-direct", .ops = BENCH_OPS_HEAVY, .need = NEED_XFS,
	  .arms = append_arms, .open = append_open_direct,
	  .prep = entry_write, .prep2 = entry_sync,
	  .before = append_before_direct, .after = append_after_direct },
	{}
};
