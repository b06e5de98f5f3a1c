// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that watch the application's own requests
 */
#include <linux/kernel.h>
#include <linux/bitops.h>
#include <linux/io_uring.h>

#include <uapi/linux/io_uring.h>

#include "io_uring.h"
#include "bpf.h"

static bool io_bpf_wants(const struct io_bpf_match *match, unsigned int opcode)
{
	switch (opcode) {
	case IORING_OP_BPF:
		/* its CQEs pass by here */
	case IORING_OP_RECV_ZC:
		/* ends a wait for CQEs by firing, be there a CQE or not */
	case IORING_OP_TIMEOUT:
		return false;
	}
	return mem_is_zero(match->opcodes, sizeof(match->opcodes)) ||
	       (match->opcodes[opcode / 64] & BIT_ULL(opcode % 64));
}

/* @match is NULL for a slot that gets empty, or that flows name. */
void io_bpf_set_match(struct io_bpf_ring *br, u32 slot,
		      const struct io_bpf_match *match)
{
	unsigned int op;

	lockdep_assert_held(&br->ctx->uring_lock);

	br->match_slots &= ~BIT(slot);
	if (match) {
		br->match_slots |= BIT(slot);
		br->matches[slot] = *match;
	}
	for (op = 0; op < IORING_OP_LAST; op++) {
		br->match_ops[op] &= ~BIT(slot);
		if (match && io_bpf_wants(match, op))
			br->match_ops[op] |= BIT(slot);
	}
	if (br->match_slots)
		br->ctx->int_flags |= IO_RING_F_BPF_MATCH;
	else
		br->ctx->int_flags &= ~IO_RING_F_BPF_MATCH;
}
