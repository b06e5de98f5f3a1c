/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_MATCH_H
#define IOU_BPF_MATCH_H

#include "bpf.h"

#ifdef CONFIG_IO_URING_BPF_PROG
void io_bpf_set_watcher(struct io_bpf_ring *br, u32 slot, struct bpf_prog *prog,
			const struct io_bpf_match *match);

/*
 * Called by io_init_req() before @req is prepared. One program sees it, that of
 * the lowest slot that wants it.
 */
static inline void io_bpf_match_req(struct io_ring_ctx *ctx,
				    struct io_kiocb *req)
{
	struct io_bpf_ring *br = ctx->bpf_ring;
	u32 slots = br->match_ops[req->opcode];

	while (slots) {
		u32 slot = __ffs(slots);
		const struct io_bpf_match *m = &br->matches[slot];

		if ((req->cqe.user_data & m->user_data_mask) == m->user_data) {
			req->flags |= REQ_F_BPF;
			req->bpf_id = IO_BPF_ID_MATCH | slot;
			return;
		}
		slots &= slots - 1;
	}
}

#else
static inline void io_bpf_match_req(struct io_ring_ctx *ctx,
				    struct io_kiocb *req)
{
}

#endif
#endif
