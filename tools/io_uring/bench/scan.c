// SPDX-License-Identifier: GPL-2.0
/*
 * Looks through a file, of which one block in a hundred is wanted. The file is
 * in the page cache, and each block is read into a registered buffer. An
 * operation is one block.
 */
#include "loop.h"

static __u64 begun[BENCH_BATCH];
static __u64 next;
static unsigned int found;

static void scan_open(struct bench *b)
{
	unsigned int i;

	b->fd[0] = bench_file(b, "scan");
	bench_alloc(b, BENCH_BATCH * BENCH_BLOCK);
	bench_register(b, BENCH_BATCH * BENCH_BLOCK);
	for (i = 0; i < BENCH_OPS_HEAVY; i++) {
		*(__u64 *)b->buf = i % BENCH_SPARSE ? i : BENCH_WANTED;
		bench_check(b, pwrite(b->fd[0], b->buf, BENCH_BLOCK,
				      (off_t)i * BENCH_BLOCK) == BENCH_BLOCK);
	}
	bench_check(b, !fsync(b->fd[0]));
	/* the page cache takes some time to see that it is in use */
	for (i = 0; i < 4 * BENCH_OPS_HEAVY; i++)
		bench_check(b, pread(b->fd[0], b->buf, BENCH_BLOCK,
				     (off_t)(i % BENCH_OPS_HEAVY) *
				     BENCH_BLOCK) == BENCH_BLOCK);
}

static void scan_before(struct bench *b)
{
	next = 0;
	found = 0;
	bench_loop_reset(b);
}

static void scan_after(struct bench *b)
{
	unsigned int wanted = (BENCH_OPS_HEAVY + BENCH_SPARSE - 1) /
			      BENCH_SPARSE;

	bench_check(b, (b->loop ? bench_loop_sum(b) : found) == wanted);
}

static void block_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_read_fixed(sqe, b->fd[0], b->buf, BENCH_BLOCK, 0, 0);
}

static void scan_begin(struct bench *b, unsigned int slot)
{
	begun[slot] = next;
	next += BENCH_BLOCK;
}

static void scan_prep(struct bench *b, unsigned int slot,
		      struct io_uring_sqe *sqe)
{
	sqe->addr = (unsigned long)b->buf + slot * BENCH_BLOCK;
	sqe->off = begun[slot];
}

static bool scan_step(struct bench *b, unsigned int slot, int res)
{
	bench_check(b, res == BENCH_BLOCK);
	found += *(__u64 *)(b->buf + slot * BENCH_BLOCK) == BENCH_WANTED;
	return false;
}

BENCH_KEPT_LOOPS(scan)

static void scan_pread(struct bench *b, unsigned int ops)
{
	for (; ops; ops--) {
		scan_begin(b, 0);
		scan_step(b, 0, pread(b->fd[0], b->buf, BENCH_BLOCK, begun[0]));
	}
}

/* The flow's own CQE is the last one, and each of the others is a hit. */
static void scan_flow(struct bench *b, unsigned int ops)
{
	struct io_uring_sqe *sqe = bench_sqe(b);
	struct io_uring_cqe *cqe;
	unsigned int head, seen;
	bool done = false;

	iou_prep_bpf(sqe, 0, 0, (__u64)ops * BENCH_BLOCK, 0, 0);
	sqe->user_data = -1;
	while (!done) {
		bench_check(b, io_uring_submit_and_wait(&b->ring, 1) >= 0);
		seen = 0;
		io_uring_for_each_cqe(&b->ring, head, cqe) {
			seen++;
			if (cqe->user_data == -1) {
				bench_check(b, !cqe->res);
				done = true;
				continue;
			}
			bench_check(b, cqe->res == BENCH_BLOCK);
			bench_check(b, !(cqe->user_data / BENCH_BLOCK %
					 BENCH_SPARSE));
			found++;
		}
		io_uring_cq_advance(&b->ring, seen);
	}
}

static const struct bench_arm scan_arms[] = {
	BENCH_SYSCALL(scan_pread),
	BENCH_LOOP_KEPT("loop-qd1", scan_qd1),
	BENCH_LOOP_KEPT("loop-b32", scan_b32),
	BENCH_LOOP_STEP("loop_step-qd1", "scan_qd1"),
	BENCH_LOOP_STEP("loop_step-b32", "scan_b32"),
	BENCH_FLOW("flow", "flow_scan", scan_flow),
	BENCH_FLOW("flow-again", "flow_scan_again", scan_flow),
	{}
};

const struct bench_workload bench_scan_workloads[] = {
	{ "scan", .ops = BENCH_OPS_HEAVY, .arms = scan_arms,
	  .open = scan_open, .prep = block_prep,
	  .before = scan_before, .after = scan_after },
	{}
};
