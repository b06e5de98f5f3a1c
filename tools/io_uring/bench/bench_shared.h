/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What programs and user space of the benchmark have to do alike. Include the
 * types it needs first.
 */
#ifndef BENCH_SHARED_H
#define BENCH_SHARED_H

/* requests at once, where there is more than one */
#define BENCH_BATCH	32

/* a message that comes in pieces */
#define BENCH_PIECE	64
#define BENCH_MESSAGE	(8 * BENCH_PIECE)

/* tries that fail before one that doesn't */
#define BENCH_RETRIES	3

/* a tree with this many levels of nodes, and a block of 512 bytes for each */
#define BENCH_DEPTH	6
#define BENCH_FANOUT	4
#define BENCH_NODE	512

#define BENCH_KEYS	4096	/* BENCH_FANOUT to the power of BENCH_DEPTH */

/* some key, and the value that belongs to one */
#define bench_key(nr)		((nr) * 2654435761ULL % BENCH_KEYS)
#define bench_value(key)	((key) * 0x9e3779b97f4a7c15ULL)

struct bench_node {
	__u64	key[BENCH_FANOUT - 1];
	/* where the next node is, or the value */
	__u64	child[BENCH_FANOUT];
};

static __always_inline __u64 bench_child(const struct bench_node *node,
					 __u64 key)
{
	int i;

	for (i = 0; i < BENCH_FANOUT - 1; i++) {
		if (key < node->key[i])
			break;
	}
	return node->child[i];
}

/* a file of LMDB: a key is a number, at both ends and with zeroes between */
#define BENCH_LOOKUPS		4000
#define BENCH_LOOKUP_KEY	510
/* the memory of a lookup, see lookup_area.h, with a page for a value */
#define BENCH_LOOKUP_AREA	(72 * 1024)

/* some number */
#define bench_lookup(nr)	((nr) * 2654435761ULL % BENCH_LOOKUPS)

static __always_inline void bench_lookup_key(__u8 *key, __u32 nr)
{
	int i;

	for (i = 4; i >= 0; i--) {
		key[i] = '0' + nr % 10;
		key[BENCH_LOOKUP_KEY - 5 + i] = key[i];
		nr /= 10;
	}
}

/* blocks to be looked through, and the word at the start of a wanted one */
#define BENCH_BLOCK	4096
#define BENCH_WANTED	0x5ca11ab1e0ddba11ULL
#define BENCH_SPARSE	100

/* a copy in blocks of that size */
#define BENCH_COPY	(64 * 1024)

/* a log, and how often it is synced */
#define BENCH_ENTRY	512
#define BENCH_SYNC	64

/* bytes of a message that is passed on */
#define BENCH_PROXY	64

#endif
