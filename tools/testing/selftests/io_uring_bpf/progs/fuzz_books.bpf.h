/* SPDX-License-Identifier: GPL-2.0 */
/* The state of the programs, which user space fills in and reads */
#ifndef FUZZ_BOOKS_BPF_H
#define FUZZ_BOOKS_BPF_H

#include "iou_bpf.bpf.h"
#include "fuzz_shared.h"

struct fz_table tables[FZ_TABLES_SIZE];
struct io_uring_sqe sqes[FZ_TMPLS_SIZE];
__u8 sqe_flags[FZ_TMPLS_SIZE];
__u8 id_flags[FZ_IDS];
struct fz_owe owe[FZ_IDS];
struct fz_flow flows[FZ_FLOWS];
struct fz_ring_state rings[FZ_RINGS];
struct fz_thread_state threads[FZ_THREADS];
struct fz_wrong_what wrong;
__u32 nr_wrong;

/* valid uids of each datagram: those of its thread, from this index of uids[] on */
__u32 msg_thread[FZ_MSGS], msg_uid_from[FZ_MSGS];
__u32 nr_msgs;
__u64 msg_base;

/* the worker is cancelling all requests */
__u32 settling;
/* no request or step of the case cancels another request */
__u32 innocent;
/* programs drop members of chains */
__u32 drops;
/* the programs of the rings stay as they are, so that the order of runs is known */
__u32 ordered;
/* no two templates have the same user_data */
__u32 unique_ids;
/* plain watching programs return BPF_IO_URING_NEXT */
__u32 plain_next;

char scratch[64];

/* Record violation @what, unless there is a previous one. */
static void complain(struct bpf_io_uring_ctx *ctx, __u32 what, __u32 ring, __s64 a,
		     __s64 b)
{
	if (__sync_fetch_and_add(&nr_wrong, 1))
		return;
	wrong.event = ctx->event;
	wrong.opcode = ctx->opcode;
	wrong.flags = ctx->flags;
	wrong.res = ctx->res;
	wrong.ring = ring;
	wrong.a = a;
	wrong.b = b;
	barrier();
	wrong.what = what;
}

/* Expect at least @lo and at most @hi more CQEs with @user_data. */
static __always_inline void count_cqe(__u64 user_data, __s64 lo, __s64 hi)
{
	__u32 id = user_data & (FZ_IDS - 1);

	__sync_fetch_and_add(&owe[id].lo, lo);
	__sync_fetch_and_add(&owe[id].hi, hi);
}

#endif
