/* SPDX-License-Identifier: GPL-2.0 */
/* The arguments of completed requests */
#ifndef FUZZ_REQ_BPF_H
#define FUZZ_REQ_BPF_H

#include "fuzz_books.bpf.h"

/* What has completed */
struct fz_done {
	/* before the program has changed them */
	__u64 user_data;
	__s32 res;
};

static __always_inline bool is_fixed(__u8 opcode)
{
	return opcode == IORING_OP_READ_FIXED || opcode == IORING_OP_WRITE_FIXED;
}

/* Return true if bpf_io_uring_req() supports the opcode. */
static __always_inline bool has_args(__u8 opcode)
{
	return is_fixed(opcode) || opcode == IORING_OP_READ || opcode == IORING_OP_WRITE ||
	       opcode == IORING_OP_READV || opcode == IORING_OP_WRITEV ||
	       opcode == IORING_OP_READV_FIXED || opcode == IORING_OP_WRITEV_FIXED ||
	       opcode == IORING_OP_SEND || opcode == IORING_OP_RECV;
}

/* Compare the arguments of a child with its template, if these are known. */
static __always_inline void check_args(struct bpf_io_uring_ctx *ctx, __u32 ring,
				       const struct fz_done *c,
				       const struct bpf_io_uring_req *req)
{
	__u32 id = c->user_data & (FZ_IDS - 1), t = id - ID_TMPL;
	const struct io_uring_sqe *sqe = &sqes[t & (FZ_TMPLS_SIZE - 1)];

	/* a request with slack can select a provided buffer, or have random arguments */
	if (!unique_ids || t >= FZ_TMPLS || !(ctx->flags & BPF_IO_URING_F_CHILD) ||
	    (id_flags[id] & FZ_ID_AGAIN) || sqe->opcode != ctx->opcode ||
	    (sqe_flags[t & (FZ_TMPLS_SIZE - 1)] & (FZ_T_SLACK | FZ_T_MSG)))
		return;
	/* a driver without iterators advances the address within a registered buffer */
	if (req->addr + req->len != sqe->addr + sqe->len)
		complain(ctx, FZ_REQ_ARGS, ring, req->addr + req->len,
			 sqe->addr + sqe->len);
	if (!is_fixed(ctx->opcode) && req->len != sqe->len)
		complain(ctx, FZ_REQ_ARGS, ring, req->len, sqe->len);
	if (c->res < 0)
		return;
	if (is_fixed(ctx->opcode) && (req->flags != BPF_IO_URING_REQ_FIXED_BUF ||
				      req->buf_index != sqe->buf_index))
		complain(ctx, FZ_REQ_ARGS, ring, req->flags, req->buf_index);
	if ((sqe_flags[t & (FZ_TMPLS_SIZE - 1)] & FZ_T_POS) &&
	    req->pos != sqe->off + c->res)
		complain(ctx, FZ_REQ_ARGS, ring, req->pos, sqe->off + c->res);
}

/* Call bpf_io_uring_req(), also with a size that is wrong, and check what it returns. */
__noinline int get_args(struct bpf_io_uring_ctx *ctx, __u32 ring,
			const struct fz_done *c, __u32 size)
{
	struct bpf_io_uring_req req;
	bool right = size == 64;
	int ret;

	if (!c)
		return 0;
	__builtin_memset(&req, 0xff, sizeof(req));
	ret = right ? bpf_io_uring_req(ctx, &req, sizeof(req)) :
		      bpf_io_uring_req(ctx, &req, sizeof(req) - 8);
	if (ret && (req.addr || req.pos || (right && (req.len || req.flags))))
		complain(ctx, FZ_REQ_RESULT, ring, ret, req.len);
	if (!right || ctx->event != BPF_IO_URING_COMPLETE) {
		if (ret != -EINVAL)
			complain(ctx, FZ_REQ_RESULT, ring, ret, ctx->event);
		return ret;
	}
	/* -EINVAL: the request was never issued, so it has failed */
	if (ret == -EINVAL ? c->res >= 0 : !ret != has_args(ctx->opcode))
		complain(ctx, FZ_REQ_RESULT, ring, ret, c->res);
	if (!ret)
		check_args(ctx, ring, c, &req);
	return ret;
}

#endif
