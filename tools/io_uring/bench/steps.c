// SPDX-License-Identifier: GPL-2.0
/*
 * Operations of several steps, by NOPs with an injected result
 *
 * short-read: a message that comes in 8 pieces. retry: a request that fails
 * with -EAGAIN three times, and succeeds then. An operation is all of it.
 *
 * The loops write only what changes from one request to the next, those of user
 * space and the kernel's.
 */
#include "loop.h"

static struct {
	unsigned int	got;
	unsigned int	left;
} op[BENCH_BATCH];

static void nop_open(struct bench *b)
{
}

static void piece_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_nop(sqe);
	sqe->nop_flags = IORING_NOP_INJECT_RESULT;
	sqe->len = BENCH_PIECE;
}

static void pieces_begin(struct bench *b, unsigned int slot)
{
	op[slot].got = 0;
}

static void pieces_prep(struct bench *b, unsigned int slot,
			struct io_uring_sqe *sqe)
{
}

static bool pieces_step(struct bench *b, unsigned int slot, int res)
{
	bench_check(b, res > 0);
	op[slot].got += res;
	return op[slot].got < BENCH_MESSAGE;
}

static void fail_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	piece_prep(b, sqe);
	sqe->len = -EAGAIN;
}

static void success_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	piece_prep(b, sqe);
	sqe->len = 0;
}

static void retry_begin(struct bench *b, unsigned int slot)
{
	op[slot].left = BENCH_RETRIES;
}

static void retry_prep(struct bench *b, unsigned int slot,
		       struct io_uring_sqe *sqe)
{
	sqe->len = op[slot].left ? -EAGAIN : 0;
}

static bool retry_step(struct bench *b, unsigned int slot, int res)
{
	if (!res)
		return false;
	bench_check(b, res == -EAGAIN && op[slot].left);
	op[slot].left--;
	return true;
}

BENCH_KEPT_LOOPS(pieces)
BENCH_KEPT_LOOPS(retry)

static void pieces_flow(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		bench_flow(b, BENCH_MESSAGE, 0, 0, 0, 0);
}

static void retry_flow(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		bench_flow(b, 0, BENCH_RETRIES, 0, 0, 0);
}

static const struct bench_arm pieces_arms[] = {
	BENCH_LOOP_KEPT("loop-qd1", pieces_qd1),
	BENCH_LOOP_KEPT("loop-b32", pieces_b32),
	BENCH_LOOP_STEP("loop_step-qd1", "pieces_qd1"),
	BENCH_LOOP_STEP("loop_step-b32", "pieces_b32"),
	BENCH_FLOW("flow", "flow_pieces", pieces_flow),
	BENCH_FLOW("flow-again", "flow_pieces_again", pieces_flow),
	{}
};

static const struct bench_arm retry_arms[] = {
	BENCH_LOOP_KEPT("loop-qd1", retry_qd1),
	BENCH_LOOP_KEPT("loop-b32", retry_b32),
	BENCH_LOOP_STEP("loop_step-qd1", "retry_qd1"),
	BENCH_LOOP_STEP("loop_step-b32", "retry_b32"),
	BENCH_FLOW("flow", "flow_retry", retry_flow),
	BENCH_FLOW("flow-again", "flow_retry_again", retry_flow),
	{}
};

const struct bench_workload bench_step_workloads[] = {
	{ "short-read", .ops = BENCH_OPS_HEAVY, .arms = pieces_arms,
	  .open = nop_open, .prep = piece_prep },
	{ "retry", .ops = BENCH_OPS_HEAVY, .arms = retry_arms,
	  .open = nop_open, .prep = fail_prep, .prep2 = success_prep },
	{}
};
