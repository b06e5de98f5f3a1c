/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_CHAIN_H
#define IOU_BPF_CHAIN_H

#include <linux/io_uring_types.h>
#include <linux/bpf_io_uring.h>

struct io_bpf_ring;

/*
 * Members of the chain behind a flow that a program can name. The chain is walked
 * to each of them, under ->uring_lock, and each run has a note of each.
 */
#define IO_BPF_MAX_MEMBERS	64
/* requests that one run may link, there is memory for as many when it starts */
#define IO_BPF_MAX_LINKS	8
/* and that may wait there: the next one has to be led past them to its place */
#define IO_BPF_MAX_LINKED	128

/* the parts of what a program returns */
#define IO_BPF_VERDICT_CQE	BPF_IO_URING_DROP_BUF
#define IO_BPF_VERDICT_CHAIN	(BPF_IO_URING_GO_ON | BPF_IO_URING_CUT)

/* What is to become of a member of the chain. */
enum {
	IO_BPF_EDIT_NONE,
	/* cancelled, without a CQE or with one */
	IO_BPF_EDIT_DROP,
	IO_BPF_EDIT_CANCEL,
	/* runs now, on its own */
	IO_BPF_EDIT_UNLINK,
};

/* What a run wants done to the chain, by index as the run has found it. */
struct io_bpf_edit {
	u8	nr_links;
	/* all from this index on that ->ops says nothing of */
	u8	rest;
	u8	rest_op;
	u8	ops[IO_BPF_MAX_MEMBERS];
};

/* Where the next member is linked: a timeout belongs to the one before it. */
static inline struct io_kiocb **io_bpf_tail(struct io_kiocb *req)
{
	struct io_kiocb *nxt = req->link;

	if (nxt && nxt->opcode == IORING_OP_LINK_TIMEOUT)
		return &nxt->link;
	return &req->link;
}

/* bpf_chain.c */
void io_bpf_cut_chain(struct io_kiocb *req);
void io_bpf_edit_chain(struct io_bpf_ring *br, struct io_kiocb *flow);
void io_bpf_apply_links(struct io_bpf_ring *br);
void io_bpf_cancel_staged(struct io_bpf_ring *br, struct io_kiocb *req);
u32 io_bpf_flow_verdict(struct io_kiocb *flow, u32 verdict);
u32 io_bpf_watch_verdict(struct io_kiocb *req, u32 verdict);

/* io_uring.c */
int io_bpf_prep_linked(struct io_kiocb *req, struct io_ring_ctx *ctx,
		       const struct io_uring_sqe *sqe, bool iowq);

#endif
