/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_MODE_H
#define IOU_BPF_MODE_H

#include "bpf.h"

/*
 * Requests that are issued until others have had a go, see io_bpf_must_park(). So
 * many that the way around is a small part of the cost, and so few that nobody
 * notices: a NOP and its program take some 300 instructions.
 */
#define IO_BPF_BUDGET		1024
/* the same in an SQ thread, whose other rings wait with their SQEs meanwhile */
#define IO_BPF_SQ_BUDGET	128

static inline unsigned int io_bpf_budget(const struct io_ring_ctx *ctx)
{
	return ctx->flags & IORING_SETUP_SQPOLL ? IO_BPF_SQ_BUDGET :
						  IO_BPF_BUDGET;
}

void io_bpf_set_mode(struct io_ring_ctx *ctx);
const struct io_uring_sqe *io_bpf_mode_sqe(struct io_bpf_ring *br,
					   const struct io_uring_sqe *sqe);
void io_bpf_stage_creds(struct io_kiocb *flow, struct io_kiocb *req);
void io_bpf_unstage_creds(struct io_kiocb *req);
void io_bpf_mode_child(struct io_kiocb *req);
void io_bpf_again_creds(struct io_kiocb *req);
bool io_bpf_mode_parks(const struct io_ring_ctx *ctx);
void io_bpf_send_home(struct io_bpf_ring *br);

#endif
