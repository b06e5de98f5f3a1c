// SPDX-License-Identifier: GPL-2.0
/* What the arms of most workloads begin with. */
#include "bench.h"
#include "bench_flow.skel.h"
#include "bench_loop.skel.h"

void bench_init_syscall(struct bench *b)
{
	b->workload->open(b);
}

void bench_init_loop(struct bench *b)
{
	bench_ring(b, 0);
	b->workload->open(b);
}

/* The same with SQEs of which only what changes is written later. */
void bench_init_loop_kept(struct bench *b)
{
	unsigned int i;

	bench_init_loop(b);
	for (i = 0; i < b->ring.sq.ring_entries; i++)
		b->workload->prep(b, &b->ring.sq.sqes[i]);
}

/* The kernel's loop: it rewinds the SQ, so what is in there can stay. */
void bench_init_step(struct bench *b)
{
	unsigned int i;

	bench_ring(b, IORING_SETUP_SQ_REWIND);
	b->workload->open(b);
	bench_open_loop(b, b->arm->prog);
	b->loop->rodata->want = b->want;
	b->workload->prep(b, &b->loop->bss->sqe);
	if (b->workload->prep2)
		b->workload->prep2(b, &b->loop->bss->sqe2);
	for (i = 0; i < BENCH_BATCH; i++)
		b->ring.sq.sqes[i] = b->loop->bss->sqe;
	bench_attach_loop(b);
}

void bench_init_flow(struct bench *b)
{
	bench_ring(b, 0);
	b->workload->open(b);
	bench_open_flow(b, b->arm->prog);
	b->flow->rodata->want = b->want;
	b->workload->prep(b, &b->flow->bss->sqe);
	if (b->workload->prep2)
		b->workload->prep2(b, &b->flow->bss->sqe2);
	bench_attach_flow(b);
}
