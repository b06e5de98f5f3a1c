/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_BPF_BPF_H
#define IOU_BPF_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "iou_bpf_event.h"

/* macros are not in BTF */
#define EIO			5
#define ENOENT			2
#define EBUSY			16
#define ENOBUFS			105
#define ECANCELED		125

#define IOSQE_IO_LINK		(1U << 2)
#define IORING_NOP_INJECT_RESULT	(1U << 0)
#define IORING_NOP_TW		(1U << 4)
#define IORING_CQE_F_BUFFER	(1U << 0)
#define IORING_CQE_F_SKIP	(1U << 5)
#define IORING_CQE_F_32		(1U << 15)

extern int bpf_io_uring_issue(struct bpf_io_uring_ctx *ctx, const void *sqe,
			      __u32 sqe__sz, __u64 flags) __ksym;
extern int bpf_io_uring_post_cqe(struct bpf_io_uring_ctx *ctx, const void *cqe,
				 __u32 cqe__sz) __ksym;
extern int bpf_io_uring_complete(struct bpf_io_uring_ctx *ctx, __s32 res) __ksym;
extern int bpf_io_uring_again(struct bpf_io_uring_ctx *ctx, __u64 off,
			      __u64 addr, __u32 len) __ksym;
extern const __u8 *bpf_io_uring_buf_data(struct bpf_io_uring_ctx *ctx,
					 __u32 index, __u64 offset,
					 const __u32 rdonly_buf_size) __ksym;
extern __u8 *bpf_io_uring_buf_data_rw(struct bpf_io_uring_ctx *ctx,
				      __u32 index, __u64 offset,
				      const __u32 rdwr_buf_size) __ksym;
extern int bpf_io_uring_buf_read(struct bpf_io_uring_ctx *ctx, __u32 index,
				 __u64 offset, void *dst, __u32 dst__sz) __ksym;
extern int bpf_io_uring_buf_write(struct bpf_io_uring_ctx *ctx, __u32 index,
				  __u64 offset, const void *src,
				  __u32 src__sz) __ksym;
extern int bpf_io_uring_drop(struct bpf_io_uring_ctx *ctx, __u32 index,
			     __u64 flags) __ksym;
extern int bpf_io_uring_unlink(struct bpf_io_uring_ctx *ctx, __u32 index,
			       __u64 flags) __ksym;
extern int bpf_io_uring_link(struct bpf_io_uring_ctx *ctx, const void *sqe,
			     __u32 sqe__sz, __u64 flags) __ksym;
extern int
bpf_iter_io_uring_chain_new(struct bpf_iter_io_uring_chain *it,
			    struct bpf_io_uring_ctx *ctx) __ksym;
extern union bpf_io_uring_member *
bpf_iter_io_uring_chain_next(struct bpf_iter_io_uring_chain *it) __ksym;
extern void
bpf_iter_io_uring_chain_destroy(struct bpf_iter_io_uring_chain *it) __ksym;

/* Bound the verdict for the verifier. */
static __always_inline __u32 iou_verdict(__u32 verdict)
{
	return verdict > (BPF_IO_URING_CUT | BPF_IO_URING_DROP_BUF) ?
		BPF_IO_URING_DEFAULT : verdict;
}

static __always_inline bool iou_is_start(struct bpf_io_uring_ctx *ctx)
{
	return ctx->event == BPF_IO_URING_START;
}

static __always_inline bool iou_is_child(struct bpf_io_uring_ctx *ctx)
{
	return ctx->flags & BPF_IO_URING_F_CHILD;
}

static __always_inline void iou_prep_nop(struct io_uring_sqe *sqe,
					 __u64 user_data)
{
	__builtin_memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_NOP;
	sqe->fd = -1;
	sqe->user_data = user_data;
}

/* Prepare IORING_OP_READ or IORING_OP_WRITE. */
static __always_inline void iou_prep_rw(struct io_uring_sqe *sqe, __u8 opcode,
					__s32 fd, __u64 addr, __u32 len,
					__u64 off, __u64 user_data)
{
	__builtin_memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->fd = fd;
	sqe->addr = addr;
	sqe->len = len;
	sqe->off = off;
	sqe->user_data = user_data;
}

static __always_inline int iou_issue(struct bpf_io_uring_ctx *ctx,
				     const struct io_uring_sqe *sqe)
{
	return bpf_io_uring_issue(ctx, sqe, sizeof(*sqe), 0);
}

static __always_inline int iou_post_cqe(struct bpf_io_uring_ctx *ctx,
					__u64 user_data, __s32 res, __u32 flags)
{
	struct io_uring_cqe cqe = {
		.user_data	= user_data,
		.res		= res,
		.flags		= flags,
	};

	return bpf_io_uring_post_cqe(ctx, &cqe, sizeof(cqe));
}

#endif
