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

static void io_bpf_unwatch(struct io_bpf_match *m, unsigned int opcode)
{
	m->opcodes[opcode / 64] &= ~BIT_ULL(opcode % 64);
}

/* @match is NULL for a slot that gets empty, or that flows name. */
void io_bpf_set_match(struct io_bpf_ring *br, u32 slot,
		      const struct io_bpf_match *match)
{
	unsigned int nr = hweight32(br->match_slots & (BIT(slot) - 1));
	struct io_bpf_match *m = &br->matches[nr];

	lockdep_assert_held(&br->ctx->uring_lock);

	if (br->match_slots & BIT(slot)) {
		br->match_slots &= ~BIT(slot);
		br->nr_matches--;
		memmove(m, m + 1, (br->nr_matches - nr) * sizeof(*m));
	}
	if (match) {
		memmove(m + 1, m, (br->nr_matches - nr) * sizeof(*m));
		br->match_slots |= BIT(slot);
		br->nr_matches++;
		*m = *match;
		m->id = IO_BPF_ID_MATCH | slot;
		if (mem_is_zero(m->opcodes, sizeof(m->opcodes)))
			memset(m->opcodes, 0xff, sizeof(m->opcodes));
		io_bpf_unwatch(m, IORING_OP_BPF);
		/* its CQEs pass by here */
		io_bpf_unwatch(m, IORING_OP_RECV_ZC);
		/* ends a wait for CQEs by firing, be there a CQE or not */
		io_bpf_unwatch(m, IORING_OP_TIMEOUT);
	}
	if (br->nr_matches)
		br->ctx->int_flags |= IO_RING_F_BPF_MATCH;
	else
		br->ctx->int_flags &= ~IO_RING_F_BPF_MATCH;
}
