/* SPDX-License-Identifier: GPL-2.0 */
/* The memory of flows: zero at the start, then as the flow has written it */
#ifndef FUZZ_MEM_BPF_H
#define FUZZ_MEM_BPF_H

#include "fuzz_books.bpf.h"

enum how {
	/* check three words, check all, check all and write all */
	ACCESS_SOME, ACCESS_ALL, ACCESS_WRITE,
};

/* Return how many words of its memory a flow uses. */
static __always_inline __u32 mem_words(const struct fz_flow *f)
{
	return f->mem_size >= 4096 ? 512 : f->mem_size >= 64 ? 8 : f->mem_size >= 8;
}

/* Return the contents of word @i: no two flows of a case write the same. */
static __always_inline __u64 mem_word(const struct fz_flow *f, __u32 i)
{
	if (!f->mem_writes)
		return 0;
	return (f->state[0] + ((__u64)f->mem_writes << 32)) * 0x9e3779b97f4a7c15ULL + i;
}

/* @words: a power of two, a constant */
static __always_inline void mem_access(struct bpf_io_uring_ctx *ctx, struct fz_flow *f,
				       __u32 ring, __u32 how, __u32 words)
{
	__u64 *mem = (__u64 *)bpf_io_uring_flow_mem(ctx, 8 * words);
	__u32 i, at;

	if (!mem != (f->mem_size < 8 * words))
		complain(ctx, FZ_MEM_SIZE, ring, f->mem_size, 8 * words);
	if (!mem || mem_words(f) != words)
		return;
	bpf_for(i, 0, how == ACCESS_SOME ? 3 : words) {
		at = how != ACCESS_SOME ? i : !i ? 0 : i == 1 ? words - 1 : f->runs;
		at &= words - 1;
		if (mem[at] != mem_word(f, at))
			complain(ctx, FZ_MEM_WRONG, ring, mem[at], at);
	}
	if (how != ACCESS_WRITE)
		return;
	f->mem_writes++;
	bpf_for(i, 0, words)
		mem[i & (words - 1)] = mem_word(f, i);
}

/* Global functions: the verifier follows them once, not for each state of their callers. */
#define MEM_ACCESS(words)						\
__noinline int mem_access_##words(struct bpf_io_uring_ctx *ctx,		\
				  struct fz_flow *f, __u32 ring,	\
				  __u32 how)				\
{									\
	if (f)								\
		mem_access(ctx, f, ring, how, words);			\
	return 0;							\
}

MEM_ACCESS(1)
MEM_ACCESS(8)
MEM_ACCESS(512)

/* A flow is given what its link promises, and a watching program nothing. */
static __always_inline void access_mem(struct bpf_io_uring_ctx *ctx, struct fz_flow *f,
				       __u32 ring, __u32 how)
{
	__u32 words;

	if (!f) {
		if (bpf_io_uring_flow_mem(ctx, 8))
			complain(ctx, FZ_MEM_SIZE, ring, 0, 8);
		return;
	}
	words = mem_words(f);
	if (how != ACCESS_SOME || words == 1)
		mem_access_1(ctx, f, ring, how);
	if (how != ACCESS_SOME || words == 8)
		mem_access_8(ctx, f, ring, how);
	if (how != ACCESS_SOME || words == 512)
		mem_access_512(ctx, f, ring, how);
}

#endif
