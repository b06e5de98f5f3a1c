/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_MATCH_H
#define IOU_BPF_MATCH_H

#include "bpf.h"

void io_bpf_set_watcher(struct io_bpf_ring *br, u32 slot, struct bpf_prog *prog,
			const struct io_bpf_match *match);
void io_bpf_watch(struct io_bpf_ring *br, struct io_kiocb *req);
bool io_bpf_flush_watched(struct io_bpf_ring *br);

/*
 * The slot whose program is to see completions of @req, -1 if there is none. One
 * sees it, that of the lowest slot that wants it.
 */
static __always_inline int io_bpf_watch_slot(struct io_bpf_ring *br,
					     struct io_kiocb *req)
{
	u32 slots = br->match_ops[req->opcode];

	while (slots) {
		u32 slot = __ffs(slots);
		const struct io_bpf_match *m = &br->matches[slot];

		if ((req->cqe.user_data & m->user_data_mask) == m->user_data)
			return slot;
		slots &= slots - 1;
	}
	return -1;
}

#endif
