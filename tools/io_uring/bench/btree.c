// SPDX-License-Identifier: GPL-2.0
/*
 * The way down a tree, to a value: 7 reads of 512 bytes, each of which depends
 * on what the one before it has read. An operation is one way down.
 *
 * The tree is on a null_blk device, see nullb.c.
 */
#include "loop.h"

static struct {
	__u64		key;
	__u64		off;
	unsigned int	levels;
} op[BENCH_BATCH];
static unsigned int next;

/* The number of the first block of a level. */
static __u64 level_base(unsigned int level)
{
	__u64 base = 0, width = 1;

	for (; level; level--, width *= BENCH_FANOUT)
		base += width;
	return base;
}

static void fill_level(__u8 *tree, unsigned int level, __u64 keys)
{
	__u64 base = level_base(level), below = level_base(level + 1);
	__u64 nr = BENCH_KEYS / keys, n;
	struct bench_node *node;
	int i;

	for (n = 0; n < nr; n++) {
		node = (void *)(tree + (base + n) * BENCH_NODE);
		for (i = 0; i < BENCH_FANOUT; i++) {
			if (i)
				node->key[i - 1] = n * keys +
						   i * keys / BENCH_FANOUT;
			node->child[i] = (below + n * BENCH_FANOUT + i) *
					 BENCH_NODE;
		}
	}
}

static void write_tree(struct bench *b)
{
	__u64 base = level_base(BENCH_DEPTH), keys = BENCH_KEYS, i;
	size_t size = (base + BENCH_KEYS) * BENCH_NODE;
	__u8 *tree = aligned_alloc(4096, (size + 4095) & -4096);

	bench_check(b, tree);
	memset(tree, 0, size);
	for (i = 0; i < BENCH_DEPTH; i++, keys /= BENCH_FANOUT)
		fill_level(tree, i, keys);
	for (i = 0; i < BENCH_KEYS; i++)
		*(__u64 *)(tree + (base + i) * BENCH_NODE) = bench_value(i);
	bench_check(b, pwrite(b->fd[0], tree, size, 0) == size);
	free(tree);
}

static void btree_open(struct bench *b)
{
	bench_nullb(b, "4");
	write_tree(b);
	bench_alloc(b, BENCH_BATCH * BENCH_NODE);
	bench_register(b, BENCH_BATCH * BENCH_NODE);
}

static void node_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_read_fixed(sqe, b->fd[0], b->buf, BENCH_NODE, 0, 0);
}

static void walk_begin(struct bench *b, unsigned int slot)
{
	op[slot].key = bench_key(next);
	op[slot].off = 0;
	op[slot].levels = BENCH_DEPTH;
	next++;
}

static void walk_prep(struct bench *b, unsigned int slot,
		      struct io_uring_sqe *sqe)
{
	sqe->addr = (unsigned long)b->buf + slot * BENCH_NODE;
	sqe->off = op[slot].off;
}

static void check_value(struct bench *b, unsigned int slot, __u64 key)
{
	bench_check(b, *(__u64 *)(b->buf + slot * BENCH_NODE) ==
		       bench_value(key));
}

static bool walk_step(struct bench *b, unsigned int slot, int res)
{
	bench_check(b, res == BENCH_NODE);
	if (!op[slot].levels) {
		check_value(b, slot, op[slot].key);
		return false;
	}
	op[slot].levels--;
	op[slot].off = bench_child((void *)(b->buf + slot * BENCH_NODE),
				   op[slot].key);
	return true;
}

BENCH_KEPT_LOOPS(walk)

static void walk_pread(struct bench *b, unsigned int ops)
{
	for (; ops; ops--) {
		walk_begin(b, 0);
		while (walk_step(b, 0, pread(b->fd[0], b->buf, BENCH_NODE,
					     op[0].off)))
			;
	}
}

/* @batch ways down in flight, each with a buffer of its own */
static __always_inline void walk_flows(struct bench *b, unsigned int ops,
				       unsigned int batch)
{
	struct io_uring_sqe *sqe;
	unsigned int i;

	b->want = 0;
	for (; ops; ops -= batch) {
		for (i = 0; i < batch; i++) {
			sqe = bench_sqe(b);
			iou_prep_bpf(sqe, 0, bench_key(next + i), BENCH_DEPTH,
				     i * BENCH_NODE,
				     (unsigned long)b->buf + i * BENCH_NODE);
		}
		bench_reap(b, batch);
		for (i = 0; i < batch; i++)
			check_value(b, i, bench_key(next + i));
		next += batch;
	}
}

static void walk_flow(struct bench *b, unsigned int ops)
{
	walk_flows(b, ops, 1);
}

static void walk_flow_b32(struct bench *b, unsigned int ops)
{
	walk_flows(b, ops, BENCH_BATCH);
}

static const struct bench_arm walk_arms[] = {
	BENCH_SYSCALL(walk_pread),
	BENCH_LOOP_KEPT("loop-qd1", walk_qd1),
	BENCH_LOOP_KEPT("loop-b32", walk_b32),
	BENCH_LOOP_STEP("loop_step-qd1", "walk_qd1"),
	BENCH_LOOP_STEP("loop_step-b32", "walk_b32"),
	BENCH_FLOW("flow", "flow_walk", walk_flow),
	BENCH_FLOW("flow-again", "flow_walk_again", walk_flow),
	BENCH_FLOW("flow-b32", "flow_walk", walk_flow_b32),
	BENCH_FLOW("flow-again-b32", "flow_walk_again", walk_flow_b32),
	{}
};

const struct bench_workload bench_btree_workloads[] = {
	{ "btree", .ops = BENCH_OPS_BTREE, .need = NEED_NULL_BLK,
	  .arms = walk_arms, .open = btree_open, .prep = node_prep,
	  .exit = bench_nullb_exit },
	{}
};
