/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The steps of iou-lookup in a file of LMDB, by a program that stands in for the
 * wait loop. Pages are read into a region that the program can look at.
 */
#ifndef BENCH_LOOKUP_BPF_H
#define BENCH_LOOKUP_BPF_H

#include <asm-generic/errno.h>

#define lmdb_ctx struct iou_ctx
#include "apps/lookup/lookup_lmdb.bpf.h"

/* the lookup under way */
static struct walk lookup;

/*
 * Its key, the next read, and whether the value is there. Not static: the compiler
 * would make a variable with two values smaller than its type in BTF.
 */
struct {
	__u64	off;
	__u32	to;
	__u32	nr;
	__u32	found;
} lookup_state;

static __always_inline int lmdb_read(struct iou_ctx *ring, __u64 off, __u32 to,
				     __u32 len)
{
	lookup_state.off = off;
	lookup_state.to = to;
	return 0;
}

static __always_inline const __u8 *lmdb_data(struct iou_ctx *ring, __u32 off)
{
	const __u8 *p = bpf_io_uring_get_region(ring, IOU_REGION_MEM,
						BENCH_LOOKUP_AREA);

	return p ? p + off : p;
}

static __always_inline int lmdb_copy(struct iou_ctx *ring, __u32 off, void *to,
				     __u32 size)
{
	const __u8 *p = lmdb_data(ring, 0);

	if (!p || off > BENCH_LOOKUP_AREA - size)
		return -EFAULT;
	/* only lookup_begin() sets a key, which is larger than what clang copies inline */
	if (size > sizeof(struct mdb_db))
		return -EOPNOTSUPP;
	__builtin_memcpy(to, p + off, size);
	return 0;
}

static __always_inline void lmdb_found(struct iou_ctx *ring, struct walk *w)
{
	lookup_state.found = true;
}

static __always_inline void lookup_begin(__u32 slot)
{
	lookup_state.nr = bench_lookup(next);
	next++;
	bench_lookup_key(lookup.key, lookup_state.nr);
	lookup.key_len = BENCH_LOOKUP_KEY;
	lookup.room = PAGE;
	lookup.step = META;
	lookup_state.found = false;
	read_pages(NULL, &lookup, 0, 0, NR_META * PAGE);
}

static __always_inline void lookup_prep(__u32 slot, struct io_uring_sqe *to)
{
	to->addr = sqe.addr + lookup_state.to;
	to->off = lookup_state.off;
	to->len = lookup.len;
}

static __always_inline int lookup_check(struct iou_ctx *ring)
{
	const __u8 *p = lmdb_data(ring, 0);
	__u32 off = lookup.off;
	__u64 value;

	if (!p || lookup.size != sizeof(value))
		return -1;
	value = at(p, off) | (__u64)at(p, off + 2) << 16 |
		(__u64)at(p, off + 4) << 32 | (__u64)at(p, off + 6) << 48;
	return value == bench_value(lookup_state.nr) ? 0 : -1;
}

static __always_inline int lookup_step(struct iou_ctx *ring, __u32 slot,
				       __s32 res)
{
	if (step(ring, &lookup, res) < 0)
		return -1;
	return lookup_state.found ? lookup_check(ring) : 1;
}

#endif
