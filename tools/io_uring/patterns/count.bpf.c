// SPDX-License-Identifier: GPL-2.0
#include "pattern.bpf.h"

PATTERN(KIND("watcher")
ABOUT("count the completions of all users, by opcode and class of the result")
ARG("opcodes, user_data", "filter of the link", "the requests to count")
RESULT("nothing for the user. The counts are in the pinned map count_map, which only the "
	"administrator can open: iou-patterns counts")
ERROR("EINVAL", "result of a flow of the slot: the program has to be attached with "
	"BPF_F_IOURING_MATCH")
WINS("what the rings of a service do, without tracing: errors and sizes by opcode")
LOSES("latencies: io_uring keeps no time of submission. Tracepoints do, see Latencies in "
	"Documentation/bpf/io_uring_debug.rst"));

/*
 * The only pattern with a map. Its values are counters that users can increase and not
 * read, so the rule that users share nothing holds for what they can see. Nothing reads
 * the counters but the administrator.
 */
#define NR_OPCODES	128
/* 0: 0 bytes or success; 1 to 31: results from 2^(n - 1); 32 and more: errors */
#define NR_CLASSES	64

enum { CLASS_ZERO, CLASS_AGAIN = 32, CLASS_INTR, CLASS_CANCELED, CLASS_ERROR };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NR_OPCODES * NR_CLASSES);
	__type(key, __u32);
	__type(value, __u64);
} count_map SEC(".maps");

/* Return the number of bits of @val, by bisection. */
static __always_inline __u32 nr_bits(__u32 val)
{
	__u32 n = 0;

	if (val >> 16) {
		n += 16;
		val >>= 16;
	}
	if (val >> 8) {
		n += 8;
		val >>= 8;
	}
	if (val >> 4) {
		n += 4;
		val >>= 4;
	}
	if (val >> 2) {
		n += 2;
		val >>= 2;
	}
	return n + (val >> 1 ? 2 : val);
}

static __always_inline __u32 class_of(__s32 res)
{
	switch (res) {
	case -EAGAIN:
		return CLASS_AGAIN;
	case -EINTR:
		return CLASS_INTR;
	case -ECANCELED:
		return CLASS_CANCELED;
	}
	return res < 0 ? CLASS_ERROR : nr_bits(res);
}

SEC("iouring")
int count(struct bpf_io_uring_ctx *ctx)
{
	__u32 key = (ctx->opcode & (NR_OPCODES - 1)) * NR_CLASSES + class_of(ctx->res);
	__u64 *nr;

	if (!(ctx->flags & BPF_IO_URING_F_MATCH))
		return iou_end(ctx, -EINVAL);
	nr = bpf_map_lookup_elem(&count_map, &key);
	if (nr)
		(*nr)++;
	return BPF_IO_URING_NEXT;
}
