// SPDX-License-Identifier: GPL-2.0
/*
 * Does a hop cost the same, however long a flow is and however many others are
 * under way? Hops are NOPs, as are those of the workload that is no series.
 * What a flow costs once is part of it.
 */
#include "loop.h"

/* a pass of short flows, and the hops of those that are many at once */
#define PASS	20000
#define HOPS	100
#define FLOWS	256

static void nop_open(struct bench *b)
{
	b->want = 0;
}

static void nop_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_nop(sqe);
}

static void run_flows(struct bench *b, unsigned int ops)
{
	const struct bench_workload *w = b->workload;
	unsigned int i;

	for (; ops; ops -= w->length * w->flows) {
		for (i = 0; i < w->flows; i++)
			iou_prep_bpf(bench_sqe(b), 0, w->length, 0, 0, 0);
		bench_reap(b, w->flows);
	}
}

static const struct bench_arm scaling_arms[] = {
	BENCH_FLOW("flow", "flow_hop", run_flows),
	BENCH_FLOW("flow-again", "flow_hop_again", run_flows),
	{}
};

#define SERIES(_length, _flows, _ops)					\
	{ "nop", .ops = _ops, .arms = scaling_arms,			\
	  .length = _length, .flows = _flows,				\
	  .open = nop_open, .prep = nop_prep }
#define BY_LENGTH(nr)							\
	SERIES(nr, 1, (nr) > PASS ? (nr) : PASS)
#define BY_FLOWS(nr)							\
	SERIES(HOPS, nr, HOPS * ((nr) > FLOWS ? (nr) : FLOWS))

const struct bench_workload bench_scaling_workloads[] = {
	BY_LENGTH(10),
	BY_LENGTH(HOPS),
	BY_LENGTH(1000),
	BY_LENGTH(10000),
	BY_LENGTH(100000),
	BY_LENGTH(1000000),
	BY_FLOWS(4),
	BY_FLOWS(16),
	BY_FLOWS(64),
	BY_FLOWS(256),
	BY_FLOWS(1024),
	BY_FLOWS(4096),
	{}
};
