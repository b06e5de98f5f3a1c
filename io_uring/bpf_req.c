// SPDX-License-Identifier: GPL-2.0
/*
 * Arguments of the completed request: bpf_io_uring_req()
 *
 * Nothing is stored for this: the request still has its arguments when its program
 * runs. The file descriptor is gone, the flags of the CQE have overwritten it.
 */
#include <linux/btf.h>

#include "bpf_int.h"
#include "net.h"
#include "opdef.h"
#include "rw.h"

static int io_bpf_fill_req(struct io_kiocb *req, struct bpf_io_uring_req *out)
{
	/* without a file, a failed preparation can have left the arguments of another */
	if (!req->file && io_issue_defs[req->opcode].needs_file)
		return -EINVAL;
	switch (req->opcode) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
	case IORING_OP_READ_FIXED:
	case IORING_OP_WRITE_FIXED:
	case IORING_OP_READV_FIXED:
	case IORING_OP_WRITEV_FIXED:
		io_rw_bpf_req(req, out);
		break;
#if defined(CONFIG_NET)
	case IORING_OP_SEND:
	case IORING_OP_RECV:
		io_sendrecv_bpf_req(req, out);
		break;
#endif
	default:
		return -EOPNOTSUPP;
	}
	if (req->flags & REQ_F_BUF_NODE) {
		out->buf_index = req->buf_index;
		out->flags = BPF_IO_URING_REQ_FIXED_BUF;
	}
	return 0;
}

__bpf_kfunc_start_defs();

/**
 * bpf_io_uring_req - return the arguments of the completed request
 * @ctx: context of the program
 * @req: receives the arguments, or zeroes on failure
 * @req__sz: size of @req in bytes
 *
 * Supported opcodes: IORING_OP_READ, WRITE, READV, WRITEV, READ_FIXED, WRITE_FIXED,
 * READV_FIXED, WRITEV_FIXED, SEND and RECV.
 *
 * Context: BPF_IO_URING_COMPLETE, in flows and in watching programs. Called with the
 * lock of the ring held; takes no lock and does not sleep.
 * Return: 0, or
 * -EINVAL: wrong @req__sz, no request has completed, or the request was never issued,
 * because its preparation failed, its file is not open, or it was cancelled before;
 * -EOPNOTSUPP: the opcode is not supported.
 */
__bpf_kfunc int bpf_io_uring_req(struct bpf_io_uring_ctx *ctx,
				 struct bpf_io_uring_req *req, u32 req__sz)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);
	int ret = -EINVAL;

	memset(req, 0, req__sz);
	/* the request of a CQE that is not the last one has no arguments */
	if (req__sz == sizeof(*req) && ctx->event == BPF_IO_URING_COMPLETE)
		ret = io_bpf_fill_req(flow->ctx->bpf_ring->run.req, req);
	return io_bpf_failed(flow, __func__, ret);
}

__bpf_kfunc_end_defs();
