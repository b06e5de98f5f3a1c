/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_MATCH_H
#define IOU_BPF_MATCH_H

#include <linux/bpf.h>

#include "bpf.h"

bool io_bpf_match_possible(const struct io_bpf_match *match);
void io_bpf_set_watcher(struct io_bpf_ring *br, u32 slot, struct bpf_prog *prog,
			const struct io_bpf_match *match);
struct io_bpf_watcher *io_bpf_next_watcher(struct io_bpf_ring *br,
					   struct io_bpf_watcher *w,
					   unsigned int opcode);
void io_bpf_watch(struct io_bpf_ring *br, struct io_kiocb *req);
bool io_bpf_flush_watched(struct io_bpf_ring *br);

/* the part of its context that a plain program may look at */
#define IO_BPF_PLAIN_CTX	offsetof(struct bpf_io_uring_ctx, state)

/*
 * Can the context of a program that watches do without ->state, and without a look
 * at it afterwards? What a function of its own does, an extension may do otherwise,
 * and ->cb_access is set if it makes tail calls.
 */
static inline bool io_bpf_is_plain(const struct bpf_prog *prog)
{
	return !prog->sleepable && !prog->cb_access && !prog->aux->func_cnt &&
	       prog->aux->max_ctx_offset <= IO_BPF_PLAIN_CTX;
}

/*
 * Whose program is to see completions of @req, NULL if there is none. One sees it,
 * that of the lowest slot that wants it.
 */
static __always_inline struct io_bpf_watcher *
io_bpf_find_watcher(struct io_bpf_ring *br, struct io_kiocb *req)
{
	struct io_bpf_watcher *w = br->first_watcher[req->opcode];

	while (w && unlikely((req->cqe.user_data & w->match.user_data_mask) !=
			     w->match.user_data))
		w = io_bpf_next_watcher(br, w + 1, req->opcode);
	return w;
}

#endif
