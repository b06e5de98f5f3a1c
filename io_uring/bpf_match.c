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

static bool io_bpf_matches(const struct io_bpf_match *m,
			   const struct io_kiocb *req)
{
	return (m->opcodes[req->opcode / 64] & BIT_ULL(req->opcode % 64)) &&
	       (req->cqe.user_data & m->user_data_mask) == m->user_data;
}

/*
 * Called by io_init_req() before @req is prepared. One program sees it, that of
 * the lowest slot that wants it.
 */
void io_bpf_match_req(struct io_ring_ctx *ctx, struct io_kiocb *req)
{
	struct io_bpf_ring *br = ctx->bpf_ring;
	unsigned int slots, slot;

	lockdep_assert_held(&ctx->uring_lock);

	for (slots = br->match_slots; slots; slots &= slots - 1) {
		slot = __ffs(slots);
		if (io_bpf_matches(&br->matches[slot], req)) {
			req->flags |= REQ_F_BPF;
			req->bpf_id = IO_BPF_ID_MATCH | slot;
			return;
		}
	}
}

static void io_bpf_unwatch(struct io_bpf_match *m, unsigned int opcode)
{
	m->opcodes[opcode / 64] &= ~BIT_ULL(opcode % 64);
}

/* @match is NULL for a slot that gets empty, or that flows name. */
void io_bpf_set_match(struct io_bpf_ring *br, u32 slot,
		      const struct io_bpf_match *match)
{
	struct io_bpf_match *m = &br->matches[slot];

	lockdep_assert_held(&br->ctx->uring_lock);

	if (match) {
		*m = *match;
		if (!m->opcodes[0] && !m->opcodes[1])
			m->opcodes[0] = m->opcodes[1] = ~0ULL;
		io_bpf_unwatch(m, IORING_OP_BPF);
		/* its CQEs pass by here */
		io_bpf_unwatch(m, IORING_OP_RECV_ZC);
		/* ends a wait for CQEs by firing, be there a CQE or not */
		io_bpf_unwatch(m, IORING_OP_TIMEOUT);
		br->match_slots |= BIT(slot);
	} else {
		br->match_slots &= ~BIT(slot);
	}
	if (br->match_slots)
		br->ctx->int_flags |= IO_RING_F_BPF_MATCH;
	else
		br->ctx->int_flags &= ~IO_RING_F_BPF_MATCH;
}
