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
#include "bpf_match.h"

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

/* Puts @prog into the slot, and it watches @match; NULL takes it out. */
void io_bpf_set_watcher(struct io_bpf_ring *br, u32 slot, struct bpf_prog *prog,
			const struct io_bpf_match *match)
{
	unsigned int op;

	lockdep_assert_held(&br->ctx->uring_lock);

	br->watchers[slot] = prog;
	br->matches[slot] = *match;
	for (op = 0; op < IORING_OP_LAST; op++) {
		if (prog && io_bpf_wants(match, op))
			br->match_ops[op] |= BIT(slot);
		else
			br->match_ops[op] &= ~BIT(slot);
	}
	if (mem_is_zero(br->match_ops, sizeof(br->match_ops)))
		br->ctx->int_flags &= ~IO_RING_F_BPF_MATCH;
	else
		br->ctx->int_flags |= IO_RING_F_BPF_MATCH;
}
