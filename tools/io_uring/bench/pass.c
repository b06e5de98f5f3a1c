// SPDX-License-Identifier: GPL-2.0
/*
 * A program that watches the application's requests, and leaves all of them as
 * they are. An operation is one request. What the program costs is what the
 * loop takes more than the same loop without it, the arm that base names.
 */
#include "loop.h"

static void pass_open(struct bench *b)
{
	b->want = 0;
}

static void pass_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_nop(sqe);
}

static void pass_qd1(struct bench *b, unsigned int ops)
{
	bench_loop(b, ops, 1, 0, pass_prep);
}

static void pass_b32(struct bench *b, unsigned int ops)
{
	bench_loop(b, ops, BENCH_BATCH, 0, pass_prep);
}

static const struct bench_arm pass_arms[] = {
	BENCH_LOOP("loop-qd1", pass_qd1),
	BENCH_LOOP("loop-b32", pass_b32),
	{ "flow", .base = "loop-qd1", .need = NEED_FLOW,
	  .prog = "flow_watch", .attach_flags = BPF_F_IOURING_MATCH,
	  .init = bench_init_flow, .run = pass_qd1 },
	{ "flow", .base = "loop-b32", .need = NEED_FLOW,
	  .prog = "flow_watch", .attach_flags = BPF_F_IOURING_MATCH,
	  .init = bench_init_flow, .run = pass_b32 },
	{}
};

const struct bench_workload bench_pass_workloads[] = {
	{ "passthrough", .ops = BENCH_OPS, .arms = pass_arms,
	  .open = pass_open, .prep = pass_prep },
	{}
};
