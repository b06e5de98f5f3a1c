// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark by programs that stand in for the wait loop: they look at the
 * CQ, fill the SQ and submit, once for each turn of the loop.
 */
#include "bench_loop.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * What all requests have in common, which user space has put into all SQEs as
 * well, or the first and the second kind of them.
 */
struct io_uring_sqe sqe;
struct io_uring_sqe sqe2;
const volatile __s32 want;

/* operations under way */
struct {
	__u64	pos;
	__u64	count;
	__u64	off;
} ops[BENCH_BATCH];

/* of all operations together */
__u64 next;
__u64 sum;

/* Copies the request to the first SQEs. */
static __always_inline bool hop_fill(struct iou_ctx *ring, __u32 nr)
{
	struct io_uring_sqe *sqes;
	__u32 i;

	sqes = (void *)bpf_io_uring_get_region(ring, IOU_REGION_SQ,
					       BENCH_BATCH * sizeof(*sqes));
	if (!sqes)
		return false;
	for (i = 0; i < BENCH_BATCH && i < nr; i++)
		sqes[i] = sqe;
	return true;
}

/* a request that stays the same, one at a time; keep: it is in the SQ already */
static __always_inline int hop_one(struct iou_ctx *ring,
				   struct iou_loop_params *lp, bool keep)
{
	struct loop_cq cq;

	if (!loop_get_cq(ring, &cq))
		return loop_fail();
	if (*cq.head != *cq.tail) {
		if (cq.cqes[*cq.head & (cq_entries - 1)].res != want)
			return loop_fail();
		*cq.head += 1;
		if (!--left)
			return IOU_LOOP_STOP;
	}
	if (!keep && !hop_fill(ring, 1))
		return loop_fail();
	if (bpf_io_uring_submit_sqes(ring, 1) != 1)
		return loop_fail();
	lp->cq_wait_idx = *cq.head + 1;
	return IOU_LOOP_CONTINUE;
}

/* the same with a batch at a time */
static __always_inline int hop_batch(struct iou_ctx *ring,
				     struct iou_loop_params *lp, bool keep)
{
	struct loop_cq cq;
	__u32 i, pos, nr;

	if (!loop_get_cq(ring, &cq))
		return loop_fail();
	pos = *cq.head;
	nr = *cq.tail - pos;
	if (nr) {
		for (i = 0; i < BENCH_BATCH && i < nr; i++) {
			if (cq.cqes[(pos + i) & (cq_entries - 1)].res != want)
				return loop_fail();
		}
		pos += nr;
		*cq.head = pos;
		left -= nr;
		if (!left)
			return IOU_LOOP_STOP;
	}
	/* as many again, or all of them at first */
	nr = nr ?: BENCH_BATCH;
	if (nr > todo)
		nr = todo;
	todo -= nr;
	if (nr && !keep && !hop_fill(ring, nr))
		return loop_fail();
	if (nr && bpf_io_uring_submit_sqes(ring, nr) != nr)
		return loop_fail();
	lp->cq_wait_idx = pos + left - todo;
	return IOU_LOOP_CONTINUE;
}

#define LOOP_HOPS(name, hop, keep)					\
SEC("struct_ops.s")							\
int BPF_PROG(name, struct iou_ctx *ring, struct iou_loop_params *lp)	\
{									\
	return hop(ring, lp, keep);					\
}

LOOP_HOPS(hop_qd1, hop_one, false)
LOOP_HOPS(hop_qd1_kept, hop_one, true)
LOOP_HOPS(hop_b32, hop_batch, false)
LOOP_HOPS(hop_b32_kept, hop_batch, true)

/* a message in pieces */
static __always_inline void pieces_begin(__u32 slot)
{
	ops[slot].pos = 0;
}

static __always_inline void pieces_prep(__u32 slot, struct io_uring_sqe *to)
{
}

static __always_inline int pieces_step(struct iou_ctx *ring, __u32 slot,
				       __s32 res)
{
	if (res <= 0)
		return -1;
	ops[slot].pos += res;
	return ops[slot].pos < BENCH_MESSAGE;
}

LOOP_STEPS(pieces_qd1, 1, pieces_begin, pieces_prep, pieces_step)
LOOP_STEPS(pieces_b32, BENCH_BATCH, pieces_begin, pieces_prep, pieces_step)

/* one that fails, and one that doesn't after some tries */
static __always_inline void retry_begin(__u32 slot)
{
	ops[slot].count = BENCH_RETRIES;
}

static __always_inline void retry_prep(__u32 slot, struct io_uring_sqe *to)
{
	to->len = ops[slot].count ? -EAGAIN : 0;
}

static __always_inline int retry_step(struct iou_ctx *ring, __u32 slot,
				      __s32 res)
{
	if (!res)
		return 0;
	if (res != -EAGAIN || !ops[slot].count)
		return -1;
	ops[slot].count--;
	return 1;
}

LOOP_STEPS(retry_qd1, 1, retry_begin, retry_prep, retry_step)
LOOP_STEPS(retry_b32, BENCH_BATCH, retry_begin, retry_prep, retry_step)

/* the way down a tree, into a region that the program can look at */
static __always_inline void walk_begin(__u32 slot)
{
	ops[slot].pos = bench_key(next);
	ops[slot].count = BENCH_DEPTH;
	ops[slot].off = 0;
	next++;
}

static __always_inline void walk_prep(__u32 slot, struct io_uring_sqe *to)
{
	to->addr = sqe.addr + slot * BENCH_NODE;
	to->off = ops[slot].off;
}

static __always_inline int walk_step(struct iou_ctx *ring, __u32 slot,
				     __s32 res)
{
	const __u8 *mem;

	mem = bpf_io_uring_get_region(ring, IOU_REGION_MEM,
				      BENCH_BATCH * BENCH_NODE);
	if (!mem || res != BENCH_NODE)
		return -1;
	mem += slot * BENCH_NODE;
	if (!ops[slot].count) {
		if (*(__u64 *)mem != bench_value(ops[slot].pos))
			return -1;
		return 0;
	}
	ops[slot].count--;
	ops[slot].off = bench_child((const void *)mem, ops[slot].pos);
	return 1;
}

LOOP_STEPS(walk_qd1, 1, walk_begin, walk_prep, walk_step)
LOOP_STEPS(walk_b32, BENCH_BATCH, walk_begin, walk_prep, walk_step)

/* blocks of a file; next: offset of the next one, sum: wanted ones */
static __always_inline void scan_begin(__u32 slot)
{
	ops[slot].off = next;
	next += BENCH_BLOCK;
}

static __always_inline void scan_prep(__u32 slot, struct io_uring_sqe *to)
{
	to->addr = sqe.addr + slot * BENCH_BLOCK;
	to->off = ops[slot].off;
}

static __always_inline int scan_step(struct iou_ctx *ring, __u32 slot,
				     __s32 res)
{
	const __u8 *mem;

	mem = bpf_io_uring_get_region(ring, IOU_REGION_MEM,
				      BENCH_BATCH * BENCH_BLOCK);
	if (!mem || res != BENCH_BLOCK)
		return -1;
	sum += *(__u64 *)(mem + slot * BENCH_BLOCK) == BENCH_WANTED;
	return 0;
}

LOOP_STEPS(scan_qd1, 1, scan_begin, scan_prep, scan_step)
LOOP_STEPS(scan_b32, BENCH_BATCH, scan_begin, scan_prep, scan_step)

/* sqe reads, sqe2 writes a block; count: has it been read? */
static __always_inline void copy_begin(__u32 slot)
{
	ops[slot].pos = next;
	ops[slot].count = 0;
	next = (next + BENCH_BLOCK) % BENCH_COPY;
}

static __always_inline void copy_prep(__u32 slot, struct io_uring_sqe *to)
{
	*to = ops[slot].count ? sqe2 : sqe;
	to->off = ops[slot].pos;
}

static __always_inline int copy_step(struct iou_ctx *ring, __u32 slot,
				     __s32 res)
{
	return res == BENCH_BLOCK ? !ops[slot].count++ : -1;
}

LOOP_STEPS(copy_qd1, 1, copy_begin, copy_prep, copy_step)

/* sqe writes, sqe2 syncs; next: offset, sum: what is synced */
static __always_inline bool append_full(void)
{
	return next - sum == BENCH_SYNC * BENCH_ENTRY;
}

static __always_inline void append_begin(__u32 slot)
{
}

static __always_inline void append_prep(__u32 slot, struct io_uring_sqe *to)
{
	*to = append_full() ? sqe2 : sqe;
	to->off = append_full() ? 0 : next;
}

static __always_inline int append_step(struct iou_ctx *ring, __u32 slot,
				       __s32 res)
{
	if (append_full()) {
		sum = next;
		return res ? -1 : 0;
	}
	if (res != BENCH_ENTRY)
		return -1;
	next += BENCH_ENTRY;
	return append_full();
}

LOOP_STEPS(append_qd1, 1, append_begin, append_prep, append_step)

/* sqe receives, sqe2 sends what has come */
static __always_inline void proxy_begin(__u32 slot)
{
	ops[slot].count = 0;
}

static __always_inline void proxy_prep(__u32 slot, struct io_uring_sqe *to)
{
	*to = ops[slot].count ? sqe2 : sqe;
	if (ops[slot].count)
		to->len = ops[slot].count;
}

static __always_inline int proxy_step(struct iou_ctx *ring, __u32 slot,
				      __s32 res)
{
	if (res <= 0)
		return -1;
	if (ops[slot].count)
		return res == ops[slot].count ? 0 : -1;
	ops[slot].count = res;
	return 1;
}

LOOP_STEPS(proxy_qd1, 1, proxy_begin, proxy_prep, proxy_step)

#include "bench_lookup.bpf.h"

LOOP_STEPS(lookup_qd1, 1, lookup_begin, lookup_prep, lookup_step)

SEC(".struct_ops.link")
struct io_uring_bpf_ops loop_ops = {
	.loop_step	= (void *)hop_qd1,
};
