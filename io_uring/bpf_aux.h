/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_AUX_H
#define IOU_BPF_AUX_H

#include "bpf.h"

#ifdef CONFIG_IO_URING_BPF_PROG
bool io_bpf_aux(struct io_kiocb *req, s32 res, u32 cflags, bool *more);
void io_bpf_adopt_notif(struct io_kiocb *req);
bool io_bpf_notif_complete(struct io_bpf_ring *br, struct io_kiocb *req);

/* bpf.c */
void io_bpf_forget_cancel(struct io_bpf_ring *br, u32 slot);

/* bpf_cancel.c */
void io_bpf_run_cancel(struct io_bpf_ring *br, struct io_kiocb *flow);
bool io_bpf_must_post(struct io_kiocb *req);

/* io_uring.c */
void io_bpf_post_aux(struct io_ring_ctx *ctx, struct io_bpf_cqe *cqe,
		     unsigned int nr);
#else
static inline bool io_bpf_aux(struct io_kiocb *req, s32 res, u32 cflags,
			      bool *more)
{
	return false;
}
#endif

#endif
