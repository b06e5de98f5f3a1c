/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * For BPF programs of type BPF_PROG_TYPE_IOURING: the kfuncs, constants that are not in
 * BTF because they are macros, and helpers to fill in SQEs. The functions that fill in an
 * SQE have the names and arguments of those of liburing. Addresses are those of the
 * application, as integers.
 *
 * Include vmlinux.h, of a kernel with CONFIG_IO_URING_BPF_PROG, and bpf_helpers.h first.
 */
#ifndef IOU_BPF_H_
#define IOU_BPF_H_

#include <asm-generic/errno.h>

/* flags of io_uring_sqe */
#ifndef IOSQE_FIXED_FILE
#define IOSQE_FIXED_FILE		(1U << 0)
#define IOSQE_IO_DRAIN			(1U << 1)
#define IOSQE_IO_LINK			(1U << 2)
#define IOSQE_IO_HARDLINK		(1U << 3)
#define IOSQE_ASYNC			(1U << 4)
#define IOSQE_BUFFER_SELECT		(1U << 5)
#define IOSQE_CQE_SKIP_SUCCESS		(1U << 6)
#endif

#ifndef IORING_FILE_INDEX_ALLOC
#define IORING_FILE_INDEX_ALLOC		(~0U)
#endif

/* flags of io_uring_cqe */
#ifndef IORING_CQE_F_BUFFER
#define IORING_CQE_F_BUFFER		(1U << 0)
#define IORING_CQE_F_MORE		(1U << 1)
#define IORING_CQE_F_SOCK_NONEMPTY	(1U << 2)
#define IORING_CQE_F_NOTIF		(1U << 3)
#define IORING_CQE_F_BUF_MORE		(1U << 4)
#define IORING_CQE_F_SKIP		(1U << 5)
#define IORING_CQE_F_32			(1U << 15)
#define IORING_CQE_BUFFER_SHIFT		16
#endif
/* of SOCKET_URING_OP_TX_TIMESTAMP */
#ifndef IORING_CQE_F_TSTAMP_HW
#define IORING_CQE_F_TSTAMP_HW		(1U << 16)
#endif

/* result of a notification, with IORING_SEND_ZC_REPORT_USAGE */
#ifndef IORING_NOTIF_USAGE_ZC_COPIED
#define IORING_NOTIF_USAGE_ZC_COPIED	(1U << 31)
#endif

/* flags of opcodes */
#ifndef IORING_NOP_INJECT_RESULT
#define IORING_NOP_INJECT_RESULT	(1U << 0)
#define IORING_NOP_FILE			(1U << 1)
#define IORING_NOP_FIXED_FILE		(1U << 2)
#define IORING_NOP_FIXED_BUFFER		(1U << 3)
#define IORING_NOP_TW			(1U << 4)
#define IORING_NOP_CQE32		(1U << 5)
#endif

#ifndef IORING_FSYNC_DATASYNC
#define IORING_FSYNC_DATASYNC		(1U << 0)
#endif

#ifndef IORING_TIMEOUT_ABS
#define IORING_TIMEOUT_ABS		(1U << 0)
#define IORING_TIMEOUT_UPDATE		(1U << 1)
#define IORING_TIMEOUT_BOOTTIME		(1U << 2)
#define IORING_TIMEOUT_REALTIME		(1U << 3)
#define IORING_LINK_TIMEOUT_UPDATE	(1U << 4)
#define IORING_TIMEOUT_ETIME_SUCCESS	(1U << 5)
#define IORING_TIMEOUT_MULTISHOT	(1U << 6)
#define IORING_TIMEOUT_IMMEDIATE_ARG	(1U << 7)
#endif

#ifndef IORING_POLL_ADD_MULTI
#define IORING_POLL_ADD_MULTI		(1U << 0)
#define IORING_POLL_UPDATE_EVENTS	(1U << 1)
#define IORING_POLL_UPDATE_USER_DATA	(1U << 2)
#define IORING_POLL_ADD_LEVEL		(1U << 3)
#endif

#ifndef IORING_ASYNC_CANCEL_ALL
#define IORING_ASYNC_CANCEL_ALL		(1U << 0)
#define IORING_ASYNC_CANCEL_FD		(1U << 1)
#define IORING_ASYNC_CANCEL_ANY		(1U << 2)
#define IORING_ASYNC_CANCEL_FD_FIXED	(1U << 3)
#define IORING_ASYNC_CANCEL_USERDATA	(1U << 4)
#define IORING_ASYNC_CANCEL_OP		(1U << 5)
#endif

#ifndef IORING_RECVSEND_POLL_FIRST
#define IORING_RECVSEND_POLL_FIRST	(1U << 0)
#define IORING_RECV_MULTISHOT		(1U << 1)
#define IORING_RECVSEND_FIXED_BUF	(1U << 2)
#define IORING_SEND_ZC_REPORT_USAGE	(1U << 3)
#define IORING_RECVSEND_BUNDLE		(1U << 4)
#define IORING_SEND_VECTORIZED		(1U << 5)
#endif

#ifndef IORING_ACCEPT_MULTISHOT
#define IORING_ACCEPT_MULTISHOT		(1U << 0)
#define IORING_ACCEPT_DONTWAIT		(1U << 1)
#define IORING_ACCEPT_POLL_FIRST	(1U << 2)
#endif

#ifndef IORING_MSG_RING_CQE_SKIP
#define IORING_MSG_RING_CQE_SKIP	(1U << 0)
#define IORING_MSG_RING_FLAGS_PASS	(1U << 1)
#endif

#ifndef IORING_FIXED_FD_NO_CLOEXEC
#define IORING_FIXED_FD_NO_CLOEXEC	(1U << 0)
#endif

#ifndef SPLICE_F_FD_IN_FIXED
#define SPLICE_F_FD_IN_FIXED		(1U << 31)
#endif

/* of system calls, the same on all architectures */
#ifndef POLLIN
#define POLLIN				0x0001
#define POLLOUT				0x0004
#define POLLERR				0x0008
#define POLLHUP				0x0010
#endif
#ifndef MSG_DONTWAIT
#define MSG_DONTWAIT			0x40
#endif
#ifndef MSG_WAITALL
#define MSG_WAITALL			0x100
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL			0x4000
#endif
#ifndef SHUT_RD
#define SHUT_RD				0
#define SHUT_WR				1
#define SHUT_RDWR			2
#endif
#ifndef AT_FDCWD
#define AT_FDCWD			(-100)
#endif
#ifndef FUTEX2_SIZE_U32
#define FUTEX2_SIZE_U32			0x02
#define FUTEX2_PRIVATE			128
#endif
#ifndef FUTEX_BITSET_MATCH_ANY
#define FUTEX_BITSET_MATCH_ANY		0xffffffff
#endif

/* the same on most architectures, but not on mips, parisc and sparc */
#ifndef POLLRDHUP
#define POLLRDHUP			0x2000
#endif
#ifndef O_RDONLY
#define O_RDONLY			00000000
#define O_WRONLY			00000001
#define O_RDWR				00000002
#define O_CREAT				00000100
#define O_EXCL				00000200
#define O_TRUNC				00001000
#define O_APPEND			00002000
#define O_NONBLOCK			00004000
#define O_DSYNC				00010000
#define O_CLOEXEC			02000000
#endif

/* kfuncs, see Documentation/bpf/prog_io_uring.rst */
extern int bpf_io_uring_issue(struct bpf_io_uring_ctx *ctx, const void *sqe,
			      __u32 sqe__sz, __u64 flags) __ksym __weak;
extern int bpf_io_uring_again(struct bpf_io_uring_ctx *ctx, __u64 off, __u64 addr,
			      __u32 len) __ksym __weak;
extern int bpf_io_uring_cancel(struct bpf_io_uring_ctx *ctx, __u64 user_data,
			       __u64 flags) __ksym __weak;
extern int bpf_io_uring_post_cqe(struct bpf_io_uring_ctx *ctx, const void *cqe,
				 __u32 cqe__sz) __ksym __weak;
extern int bpf_io_uring_complete(struct bpf_io_uring_ctx *ctx, __s32 res) __ksym __weak;
extern int bpf_io_uring_drop(struct bpf_io_uring_ctx *ctx, __u32 index,
			     __u64 flags) __ksym __weak;
extern int bpf_io_uring_unlink(struct bpf_io_uring_ctx *ctx, __u32 index,
			       __u64 flags) __ksym __weak;
extern int bpf_io_uring_link(struct bpf_io_uring_ctx *ctx, const void *sqe,
			     __u32 sqe__sz, __u64 flags) __ksym __weak;
extern __u8 *bpf_io_uring_flow_mem(struct bpf_io_uring_ctx *ctx,
				   const __u32 rdwr_buf_size) __ksym __weak;
extern const __u8 *bpf_io_uring_buf_data(struct bpf_io_uring_ctx *ctx, __u32 index,
					 __u64 offset,
					 const __u32 rdonly_buf_size) __ksym __weak;
extern __u8 *bpf_io_uring_buf_data_rw(struct bpf_io_uring_ctx *ctx, __u32 index,
				      __u64 offset,
				      const __u32 rdwr_buf_size) __ksym __weak;
extern int bpf_io_uring_buf_read(struct bpf_io_uring_ctx *ctx, __u32 index, __u64 offset,
				 void *dst, __u32 dst__sz) __ksym __weak;
extern int bpf_io_uring_buf_write(struct bpf_io_uring_ctx *ctx, __u32 index, __u64 offset,
				  const void *src, __u32 src__sz) __ksym __weak;
extern int bpf_io_uring_buf_copy(struct bpf_io_uring_ctx *ctx,
				 const struct bpf_io_uring_buf_pos *dst,
				 const struct bpf_io_uring_buf_pos *src,
				 __u32 len) __ksym __weak;
extern int bpf_io_uring_buf_give(struct bpf_io_uring_ctx *ctx, __u32 bgid, __u32 bid,
				 __u64 addr, __u32 len) __ksym __weak;
extern int bpf_io_uring_req(struct bpf_io_uring_ctx *ctx, struct bpf_io_uring_req *req,
			    __u32 req__sz) __ksym __weak;
extern int bpf_iter_io_uring_chain_new(struct bpf_iter_io_uring_chain *it,
				       struct bpf_io_uring_ctx *ctx) __ksym __weak;
extern union bpf_io_uring_member *
bpf_iter_io_uring_chain_next(struct bpf_iter_io_uring_chain *it) __ksym __weak;
extern void
bpf_iter_io_uring_chain_destroy(struct bpf_iter_io_uring_chain *it) __ksym __weak;

/* The event */

/* Return true for the first event of a flow that no request precedes. */
static __always_inline bool iou_is_start(const struct bpf_io_uring_ctx *ctx)
{
	return ctx->event == BPF_IO_URING_START;
}

/* Return true if a child has completed, or has posted a CQE. */
static __always_inline bool iou_is_child(const struct bpf_io_uring_ctx *ctx)
{
	return ctx->flags & BPF_IO_URING_F_CHILD;
}

/* Return true if the flow is ending, so that only releasing and reporting is possible. */
static __always_inline bool iou_is_ending(const struct bpf_io_uring_ctx *ctx)
{
	return ctx->flags & BPF_IO_URING_F_ENDING;
}

/* Return the id of the provided buffer that the completion carries. */
static __always_inline __u32 iou_buf_id(const struct bpf_io_uring_ctx *ctx)
{
	return ctx->cflags >> IORING_CQE_BUFFER_SHIFT;
}

/*
 * Return the state of the flow as a pointer to @type, of at most 32 bytes. The first four
 * words are those of the SQE: off, addr, addr3 and bpf_arg.
 */
#define iou_state(ctx, type) ({							\
	_Static_assert(sizeof(type) <= sizeof((ctx)->state), "state is too small");	\
	/* not &ctx->state: a relocated offset would be pointer arithmetic */	\
	(type *)((char *)(ctx) + 24);						\
})

/*
 * Return the memory of the flow as a pointer to @type, or NULL if the link gives flows
 * less memory than @type has. The memory is zero when the flow starts.
 */
#define iou_mem(ctx, type)	((type *)bpf_io_uring_flow_mem(ctx, sizeof(type)))

/*
 * Return @val, or @max if @val is larger. For indexes and lengths whose bound the compiler
 * knows, and therefore does not tell the verifier. @max is a constant. Without
 * CAP_PERFMON, the verifier wants a mask for the index of an array: array[i & (size - 1)].
 */
#define iou_bound(val, max) ({						\
	__u64 __iou_val = (val);					\
									\
	asm volatile ("if %[v] <= %[m] goto +1\n"			\
		      "%[v] = %[m]\n"					\
		      : [v]"+r"(__iou_val) : [m]"i"(max));		\
	__iou_val;							\
})

/* What a program does */

/* Issue a child. Return 0 or an error of bpf_io_uring_issue(). */
static __always_inline int iou_issue(struct bpf_io_uring_ctx *ctx,
				     const struct io_uring_sqe *sqe)
{
	return bpf_io_uring_issue(ctx, sqe, sizeof(*sqe), 0);
}

/* Issue a request of the application. Return 0 or an error of bpf_io_uring_issue(). */
static __always_inline int iou_issue_app(struct bpf_io_uring_ctx *ctx,
					 const struct io_uring_sqe *sqe)
{
	return bpf_io_uring_issue(ctx, sqe, sizeof(*sqe), BPF_IO_URING_ISSUE_APP);
}

/* Insert a request behind the flow. Return 0 or an error of bpf_io_uring_link(). */
static __always_inline int iou_link(struct bpf_io_uring_ctx *ctx,
				    const struct io_uring_sqe *sqe)
{
	return bpf_io_uring_link(ctx, sqe, sizeof(*sqe), 0);
}

/* Post a CQE of 16 bytes. Return 0 or an error of bpf_io_uring_post_cqe(). */
static __always_inline int iou_post_cqe(struct bpf_io_uring_ctx *ctx, __u64 user_data,
					__s32 res, __u32 flags)
{
	struct io_uring_cqe cqe = {
		.user_data	= user_data,
		.res		= res,
		.flags		= flags,
	};

	return bpf_io_uring_post_cqe(ctx, &cqe, sizeof(cqe));
}

/* End the flow with @res. Return the verdict, to be returned by the program. */
static __always_inline int iou_end(struct bpf_io_uring_ctx *ctx, __s32 res)
{
	bpf_io_uring_complete(ctx, res);
	return BPF_IO_URING_DEFAULT;
}

/**
 * iou_end_on_error - end the flow if a call has failed
 * @ctx: context of the program
 * @err: what the call has returned; an error if it is negative
 *
 * For the last call of a run: return iou_end_on_error(ctx, iou_issue(ctx, &sqe));
 *
 * The error becomes the result of the flow, unless the flow is ending already. A watching
 * program has no flow, so there only the verdict is returned.
 *
 * Return: BPF_IO_URING_DEFAULT, to be returned by the program
 */
static __always_inline int iou_end_on_error(struct bpf_io_uring_ctx *ctx, int err)
{
	return err < 0 ? iou_end(ctx, err) : BPF_IO_URING_DEFAULT;
}

/* SQEs */

static __always_inline void iou_set_file_index(struct io_uring_sqe *sqe, __u32 file_index)
{
	/* 0 stands for no direct descriptor, so an index is stored plus 1 */
	sqe->file_index = file_index == IORING_FILE_INDEX_ALLOC ? file_index :
								  file_index + 1;
}

static __always_inline void io_uring_prep_rw(int op, struct io_uring_sqe *sqe, int fd,
					     __u64 addr, __u32 len, __u64 off)
{
	__builtin_memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = fd;
	sqe->off = off;
	sqe->addr = addr;
	sqe->len = len;
}

static __always_inline void io_uring_sqe_set_data64(struct io_uring_sqe *sqe, __u64 data)
{
	sqe->user_data = data;
}

static __always_inline void io_uring_sqe_set_flags(struct io_uring_sqe *sqe, __u32 flags)
{
	sqe->flags = flags;
}

static __always_inline void io_uring_prep_nop(struct io_uring_sqe *sqe)
{
	io_uring_prep_rw(IORING_OP_NOP, sqe, -1, 0, 0, 0);
}

static __always_inline void io_uring_prep_read(struct io_uring_sqe *sqe, int fd, __u64 buf,
					       __u32 nbytes, __u64 offset)
{
	io_uring_prep_rw(IORING_OP_READ, sqe, fd, buf, nbytes, offset);
}

static __always_inline void io_uring_prep_write(struct io_uring_sqe *sqe, int fd,
						__u64 buf, __u32 nbytes, __u64 offset)
{
	io_uring_prep_rw(IORING_OP_WRITE, sqe, fd, buf, nbytes, offset);
}

static __always_inline void io_uring_prep_readv(struct io_uring_sqe *sqe, int fd,
						__u64 iovecs, __u32 nr_vecs, __u64 offset)
{
	io_uring_prep_rw(IORING_OP_READV, sqe, fd, iovecs, nr_vecs, offset);
}

static __always_inline void io_uring_prep_writev(struct io_uring_sqe *sqe, int fd,
						 __u64 iovecs, __u32 nr_vecs, __u64 offset)
{
	io_uring_prep_rw(IORING_OP_WRITEV, sqe, fd, iovecs, nr_vecs, offset);
}

static __always_inline void io_uring_prep_read_fixed(struct io_uring_sqe *sqe, int fd,
						     __u64 buf, __u32 nbytes, __u64 offset,
						     int buf_index)
{
	io_uring_prep_rw(IORING_OP_READ_FIXED, sqe, fd, buf, nbytes, offset);
	sqe->buf_index = buf_index;
}

static __always_inline void io_uring_prep_write_fixed(struct io_uring_sqe *sqe, int fd,
						      __u64 buf, __u32 nbytes, __u64 offset,
						      int buf_index)
{
	io_uring_prep_rw(IORING_OP_WRITE_FIXED, sqe, fd, buf, nbytes, offset);
	sqe->buf_index = buf_index;
}

/* The buffers come from the group @bgid. */
static __always_inline void io_uring_prep_read_multishot(struct io_uring_sqe *sqe, int fd,
							 __u32 nbytes, __u64 offset,
							 int bgid)
{
	io_uring_prep_rw(IORING_OP_READ_MULTISHOT, sqe, fd, 0, nbytes, offset);
	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = bgid;
}

static __always_inline void io_uring_prep_fsync(struct io_uring_sqe *sqe, int fd,
						__u32 fsync_flags)
{
	io_uring_prep_rw(IORING_OP_FSYNC, sqe, fd, 0, 0, 0);
	sqe->fsync_flags = fsync_flags;
}

static __always_inline void io_uring_prep_sync_file_range(struct io_uring_sqe *sqe, int fd,
							  __u32 len, __u64 offset,
							  int flags)
{
	io_uring_prep_rw(IORING_OP_SYNC_FILE_RANGE, sqe, fd, 0, len, offset);
	sqe->sync_range_flags = flags;
}

static __always_inline void io_uring_prep_fadvise(struct io_uring_sqe *sqe, int fd,
						  __u64 offset, __u32 len, int advice)
{
	io_uring_prep_rw(IORING_OP_FADVISE, sqe, fd, 0, len, offset);
	sqe->fadvise_advice = advice;
}

static __always_inline void io_uring_prep_fallocate(struct io_uring_sqe *sqe, int fd,
						    int mode, __u64 offset, __u64 len)
{
	io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, fd, len, mode, offset);
}

static __always_inline void io_uring_prep_openat(struct io_uring_sqe *sqe, int dfd,
						 __u64 path, int flags, __u32 mode)
{
	io_uring_prep_rw(IORING_OP_OPENAT, sqe, dfd, path, mode, 0);
	sqe->open_flags = flags;
}

static __always_inline void io_uring_prep_openat_direct(struct io_uring_sqe *sqe, int dfd,
							__u64 path, int flags, __u32 mode,
							__u32 file_index)
{
	io_uring_prep_openat(sqe, dfd, path, flags, mode);
	iou_set_file_index(sqe, file_index);
}

/* @how is the address of a struct open_how of the application, of three words. */
static __always_inline void io_uring_prep_openat2(struct io_uring_sqe *sqe, int dfd,
						  __u64 path, __u64 how)
{
	io_uring_prep_rw(IORING_OP_OPENAT2, sqe, dfd, path, 24, how);
}

static __always_inline void io_uring_prep_openat2_direct(struct io_uring_sqe *sqe, int dfd,
							 __u64 path, __u64 how,
							 __u32 file_index)
{
	io_uring_prep_openat2(sqe, dfd, path, how);
	iou_set_file_index(sqe, file_index);
}

static __always_inline void io_uring_prep_statx(struct io_uring_sqe *sqe, int dfd,
						__u64 path, int flags, __u32 mask,
						__u64 statxbuf)
{
	io_uring_prep_rw(IORING_OP_STATX, sqe, dfd, path, mask, statxbuf);
	sqe->statx_flags = flags;
}

static __always_inline void io_uring_prep_unlinkat(struct io_uring_sqe *sqe, int dfd,
						   __u64 path, int flags)
{
	io_uring_prep_rw(IORING_OP_UNLINKAT, sqe, dfd, path, 0, 0);
	sqe->unlink_flags = flags;
}

static __always_inline void io_uring_prep_renameat(struct io_uring_sqe *sqe, int olddfd,
						   __u64 oldpath, int newdfd,
						   __u64 newpath, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_RENAMEAT, sqe, olddfd, oldpath, newdfd, newpath);
	sqe->rename_flags = flags;
}

static __always_inline void io_uring_prep_mkdirat(struct io_uring_sqe *sqe, int dfd,
						  __u64 path, __u32 mode)
{
	io_uring_prep_rw(IORING_OP_MKDIRAT, sqe, dfd, path, mode, 0);
}

static __always_inline void io_uring_prep_close(struct io_uring_sqe *sqe, int fd)
{
	io_uring_prep_rw(IORING_OP_CLOSE, sqe, fd, 0, 0, 0);
}

static __always_inline void io_uring_prep_close_direct(struct io_uring_sqe *sqe,
						       __u32 file_index)
{
	io_uring_prep_rw(IORING_OP_CLOSE, sqe, 0, 0, 0, 0);
	sqe->file_index = file_index + 1;
}

/* @fds is the address of @nr_fds integers of the application. */
static __always_inline void io_uring_prep_files_update(struct io_uring_sqe *sqe, __u64 fds,
						       __u32 nr_fds, int offset)
{
	io_uring_prep_rw(IORING_OP_FILES_UPDATE, sqe, -1, fds, nr_fds, offset);
}

static __always_inline void io_uring_prep_splice(struct io_uring_sqe *sqe, int fd_in,
						 __s64 off_in, int fd_out, __s64 off_out,
						 __u32 nbytes, __u32 splice_flags)
{
	io_uring_prep_rw(IORING_OP_SPLICE, sqe, fd_out, 0, nbytes, off_out);
	sqe->splice_off_in = off_in;
	sqe->splice_fd_in = fd_in;
	sqe->splice_flags = splice_flags;
}

static __always_inline void io_uring_prep_tee(struct io_uring_sqe *sqe, int fd_in,
					      int fd_out, __u32 nbytes,
					      __u32 splice_flags)
{
	io_uring_prep_rw(IORING_OP_TEE, sqe, fd_out, 0, nbytes, 0);
	sqe->splice_fd_in = fd_in;
	sqe->splice_flags = splice_flags;
}

static __always_inline __u32 iou_poll_mask(__u32 poll_mask)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	poll_mask = poll_mask << 16 | poll_mask >> 16;
#endif
	return poll_mask;
}

static __always_inline void io_uring_prep_poll_add(struct io_uring_sqe *sqe, int fd,
						   __u32 poll_mask)
{
	io_uring_prep_rw(IORING_OP_POLL_ADD, sqe, fd, 0, 0, 0);
	sqe->poll32_events = iou_poll_mask(poll_mask);
}

static __always_inline void io_uring_prep_poll_multishot(struct io_uring_sqe *sqe, int fd,
							 __u32 poll_mask)
{
	io_uring_prep_poll_add(sqe, fd, poll_mask);
	sqe->len = IORING_POLL_ADD_MULTI;
}

static __always_inline void io_uring_prep_poll_remove(struct io_uring_sqe *sqe,
						      __u64 user_data)
{
	io_uring_prep_rw(IORING_OP_POLL_REMOVE, sqe, -1, user_data, 0, 0);
}

static __always_inline void io_uring_prep_poll_update(struct io_uring_sqe *sqe,
						      __u64 old_user_data,
						      __u64 new_user_data,
						      __u32 poll_mask, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_POLL_REMOVE, sqe, -1, old_user_data, flags,
			 new_user_data);
	sqe->poll32_events = iou_poll_mask(poll_mask);
}

/* @ts is the address of a struct __kernel_timespec of the application. */
static __always_inline void io_uring_prep_timeout(struct io_uring_sqe *sqe, __u64 ts,
						  __u32 count, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_TIMEOUT, sqe, -1, ts, 1, count);
	sqe->timeout_flags = flags;
}

static __always_inline void io_uring_prep_timeout_remove(struct io_uring_sqe *sqe,
							 __u64 user_data, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_TIMEOUT_REMOVE, sqe, -1, user_data, 0, 0);
	sqe->timeout_flags = flags;
}

static __always_inline void io_uring_prep_timeout_update(struct io_uring_sqe *sqe,
							 __u64 ts, __u64 user_data,
							 __u32 flags)
{
	io_uring_prep_rw(IORING_OP_TIMEOUT_REMOVE, sqe, -1, user_data, 0, ts);
	sqe->timeout_flags = flags | IORING_TIMEOUT_UPDATE;
}

static __always_inline void io_uring_prep_link_timeout(struct io_uring_sqe *sqe, __u64 ts,
						       __u32 flags)
{
	io_uring_prep_rw(IORING_OP_LINK_TIMEOUT, sqe, -1, ts, 1, 0);
	sqe->timeout_flags = flags;
}

/* bpf_io_uring_cancel() is simpler, but only finds children of the flow. */
static __always_inline void io_uring_prep_cancel64(struct io_uring_sqe *sqe,
						   __u64 user_data, int flags)
{
	io_uring_prep_rw(IORING_OP_ASYNC_CANCEL, sqe, -1, user_data, 0, 0);
	sqe->cancel_flags = flags;
}

static __always_inline void io_uring_prep_cancel_fd(struct io_uring_sqe *sqe, int fd,
						    __u32 flags)
{
	io_uring_prep_rw(IORING_OP_ASYNC_CANCEL, sqe, fd, 0, 0, 0);
	sqe->cancel_flags = flags | IORING_ASYNC_CANCEL_FD;
}

static __always_inline void io_uring_prep_accept(struct io_uring_sqe *sqe, int fd,
						 __u64 addr, __u64 addrlen, int flags)
{
	io_uring_prep_rw(IORING_OP_ACCEPT, sqe, fd, addr, 0, addrlen);
	sqe->accept_flags = flags;
}

static __always_inline void io_uring_prep_multishot_accept(struct io_uring_sqe *sqe,
							   int fd, __u64 addr,
							   __u64 addrlen, int flags)
{
	io_uring_prep_accept(sqe, fd, addr, addrlen, flags);
	sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
}

static __always_inline void io_uring_prep_accept_direct(struct io_uring_sqe *sqe, int fd,
							__u64 addr, __u64 addrlen,
							int flags, __u32 file_index)
{
	io_uring_prep_accept(sqe, fd, addr, addrlen, flags);
	iou_set_file_index(sqe, file_index);
}

static __always_inline void
io_uring_prep_multishot_accept_direct(struct io_uring_sqe *sqe, int fd, __u64 addr,
				      __u64 addrlen, int flags)
{
	io_uring_prep_multishot_accept(sqe, fd, addr, addrlen, flags);
	iou_set_file_index(sqe, IORING_FILE_INDEX_ALLOC);
}

static __always_inline void io_uring_prep_connect(struct io_uring_sqe *sqe, int fd,
						  __u64 addr, __u32 addrlen)
{
	io_uring_prep_rw(IORING_OP_CONNECT, sqe, fd, addr, 0, addrlen);
}

static __always_inline void io_uring_prep_socket(struct io_uring_sqe *sqe, int domain,
						 int type, int protocol, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_SOCKET, sqe, domain, 0, protocol, type);
	sqe->rw_flags = flags;
}

static __always_inline void io_uring_prep_socket_direct(struct io_uring_sqe *sqe,
							int domain, int type, int protocol,
							__u32 file_index, __u32 flags)
{
	io_uring_prep_socket(sqe, domain, type, protocol, flags);
	iou_set_file_index(sqe, file_index);
}

static __always_inline void io_uring_prep_socket_direct_alloc(struct io_uring_sqe *sqe,
							      int domain, int type,
							      int protocol, __u32 flags)
{
	io_uring_prep_socket_direct(sqe, domain, type, protocol, IORING_FILE_INDEX_ALLOC,
				    flags);
}

static __always_inline void io_uring_prep_shutdown(struct io_uring_sqe *sqe, int fd,
						   int how)
{
	io_uring_prep_rw(IORING_OP_SHUTDOWN, sqe, fd, 0, how, 0);
}

static __always_inline void io_uring_prep_send(struct io_uring_sqe *sqe, int fd, __u64 buf,
					       __u32 len, int flags)
{
	io_uring_prep_rw(IORING_OP_SEND, sqe, fd, buf, len, 0);
	sqe->msg_flags = flags;
}

static __always_inline void io_uring_prep_send_zc(struct io_uring_sqe *sqe, int fd,
						  __u64 buf, __u32 len, int flags,
						  __u32 zc_flags)
{
	io_uring_prep_rw(IORING_OP_SEND_ZC, sqe, fd, buf, len, 0);
	sqe->msg_flags = flags;
	sqe->ioprio = zc_flags;
}

static __always_inline void io_uring_prep_send_zc_fixed(struct io_uring_sqe *sqe, int fd,
							__u64 buf, __u32 len, int flags,
							__u32 zc_flags, __u32 buf_index)
{
	io_uring_prep_send_zc(sqe, fd, buf, len, flags, zc_flags);
	sqe->ioprio |= IORING_RECVSEND_FIXED_BUF;
	sqe->buf_index = buf_index;
}

/* @msg is the address of a struct msghdr of the application. */
static __always_inline void io_uring_prep_sendmsg(struct io_uring_sqe *sqe, int fd,
						  __u64 msg, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_SENDMSG, sqe, fd, msg, 1, 0);
	sqe->msg_flags = flags;
}

static __always_inline void io_uring_prep_sendmsg_zc(struct io_uring_sqe *sqe, int fd,
						     __u64 msg, __u32 flags)
{
	io_uring_prep_sendmsg(sqe, fd, msg, flags);
	sqe->opcode = IORING_OP_SENDMSG_ZC;
}

static __always_inline void io_uring_prep_recvmsg(struct io_uring_sqe *sqe, int fd,
						  __u64 msg, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_RECVMSG, sqe, fd, msg, 1, 0);
	sqe->msg_flags = flags;
}

/* The buffers come from the group that io_uring_sqe_set_buf_group() names. */
static __always_inline void io_uring_prep_recvmsg_multishot(struct io_uring_sqe *sqe,
							    int fd, __u64 msg, __u32 flags)
{
	io_uring_prep_recvmsg(sqe, fd, msg, flags);
	sqe->ioprio |= IORING_RECV_MULTISHOT;
}

static __always_inline void io_uring_prep_recv(struct io_uring_sqe *sqe, int fd, __u64 buf,
					       __u32 len, int flags)
{
	io_uring_prep_rw(IORING_OP_RECV, sqe, fd, buf, len, 0);
	sqe->msg_flags = flags;
}

/* The buffers come from the group that io_uring_sqe_set_buf_group() names. */
static __always_inline void io_uring_prep_recv_multishot(struct io_uring_sqe *sqe, int fd,
							 __u64 buf, __u32 len, int flags)
{
	io_uring_prep_recv(sqe, fd, buf, len, flags);
	sqe->ioprio |= IORING_RECV_MULTISHOT;
}

static __always_inline void io_uring_sqe_set_buf_group(struct io_uring_sqe *sqe, int bgid)
{
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = bgid;
}

static __always_inline void io_uring_prep_provide_buffers(struct io_uring_sqe *sqe,
							  __u64 addr, __u32 len, int nr,
							  int bgid, int bid)
{
	io_uring_prep_rw(IORING_OP_PROVIDE_BUFFERS, sqe, nr, addr, len, bid);
	sqe->buf_group = bgid;
}

static __always_inline void io_uring_prep_remove_buffers(struct io_uring_sqe *sqe, int nr,
							 int bgid)
{
	io_uring_prep_rw(IORING_OP_REMOVE_BUFFERS, sqe, nr, 0, 0, 0);
	sqe->buf_group = bgid;
}

/* Post a CQE with @len and @data to the ring @fd. */
static __always_inline void io_uring_prep_msg_ring(struct io_uring_sqe *sqe, int fd,
						   __u32 len, __u64 data, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_MSG_RING, sqe, fd, 0, len, data);
	sqe->msg_ring_flags = flags;
}

/* @futex is the address of an integer of the application. */
static __always_inline void io_uring_prep_futex_wake(struct io_uring_sqe *sqe, __u64 futex,
						     __u64 val, __u64 mask,
						     __u32 futex_flags, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_FUTEX_WAKE, sqe, futex_flags, futex, 0, val);
	sqe->futex_flags = flags;
	sqe->addr3 = mask;
}

static __always_inline void io_uring_prep_futex_wait(struct io_uring_sqe *sqe, __u64 futex,
						     __u64 val, __u64 mask,
						     __u32 futex_flags, __u32 flags)
{
	io_uring_prep_rw(IORING_OP_FUTEX_WAIT, sqe, futex_flags, futex, 0, val);
	sqe->futex_flags = flags;
	sqe->addr3 = mask;
}

#endif
