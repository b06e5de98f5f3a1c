// SPDX-License-Identifier: GPL-2.0
/* What the header for programs says, and what its functions fill in */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <iou/iou.bpf.h>

char LICENSE[] SEC("license") = "GPL";

#define X(name) name,
const __u64 constants[] = {
#include "header_list.h"
};

struct io_uring_sqe sqes[64];
__u32 nr_sqes;
__u64 bound_in, bound_out;

/* A struct of all sizes over the state, the first words of which come from the SQE */
struct header_state {
	__u64	word;
	__u32	low;
	__u32	high;
	__u16	half;
	__u8	bytes[6];
	__u64	sum;
};

SEC("iouring")
int header_state(struct bpf_io_uring_ctx *ctx)
{
	struct header_state *s = iou_state(ctx, struct header_state);
	struct io_uring_sqe sqe;

	if (iou_is_start(ctx)) {
		s->half = s->word >> 48;
		s->bytes[5] = s->word;
		s->low++;
		io_uring_prep_nop(&sqe);
		iou_issue(ctx, &sqe);
		return BPF_IO_URING_DEFAULT;
	}
	s->sum = s->low + s->high + s->half + s->bytes[5];
	return iou_end(ctx, s->sum);
}

/* The same calls as in header_test.c, with the same arguments. */
#define SQE		(nr++, &sqes[(nr - 1) % 64])
#define ADDRESS(n)	(0x1000ULL * (n))

SEC("iouring")
int header_prep(struct bpf_io_uring_ctx *ctx)
{
	__u32 nr = 0;

#include "header_calls.h"
	nr_sqes = nr;
	bound_out = iou_bound(bound_in, 39);
	return iou_end(ctx, sqes[bound_out].user_data);
}
