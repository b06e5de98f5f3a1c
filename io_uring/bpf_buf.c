// SPDX-License-Identifier: GPL-2.0
/*
 * What programs access: buffers of the ring, memory of flows, and completed requests
 *
 * ->uring_lock keeps a registered buffer in its slot while a program runs, so the returned
 * memory is valid until the program returns. User space and devices can write to
 * the memory concurrently.
 *
 * The link of a slot determines the size of the memory of its flows. The memory is
 * allocated with the flow, is its ->async_data, and is freed with its request by
 * io_clean_op().
 *
 * Nothing is stored for bpf_io_uring_req(): a completed request still has its arguments
 * when its program runs. Only the file descriptor is gone, since the flags of the CQE have
 * overwritten it.
 */
#include <linux/bvec.h>
#include <linux/highmem.h>
#include <linux/nospec.h>
#include <linux/btf.h>
#include <linux/iov_iter.h>
#include <linux/slab.h>

#include "bpf_int.h"
#include "kbuf.h"
#include "rsrc.h"
#include "net.h"
#include "opdef.h"
#include "rw.h"

/* bytes of one copy between buffers, which is not limited by memory of the program */
#define IO_BPF_MAX_COPY		SZ_64K

static struct io_mapped_ubuf *io_bpf_buf(struct bpf_io_uring_ctx *bctx,
					 u32 index)
{
	struct io_ring_ctx *ctx = io_bpf_ctx_to_flow(bctx)->ctx;
	struct io_rsrc_node *node;

	node = io_rsrc_node_lookup(&ctx->buf_table, index);
	return node ? node->buf : NULL;
}

/*
 * Return the segment that contains the byte at *@off, and make *@off relative to
 * the segment. In a buffer that user space has registered, all segments but the
 * first and the last have the same size. Those of a driver can have any size.
 */
static __always_inline const struct bio_vec *
io_bpf_buf_seg(const struct io_mapped_ubuf *imu, size_t *off)
{
	const struct bio_vec *bvec = imu->bvec;

	if (imu->flags & IO_REGBUF_F_KBUF) {
		for (; *off >= bvec->bv_len; bvec++)
			*off -= bvec->bv_len;
	} else if (*off >= bvec->bv_len) {
		*off -= bvec->bv_len;
		bvec += 1 + (*off >> imu->folio_shift);
		*off &= (1UL << imu->folio_shift) - 1;
	}
	return bvec;
}

static void *io_bpf_buf_slice(struct bpf_io_uring_ctx *bctx, u32 index,
			      u64 off, u32 len, unsigned int dir)
{
	struct io_mapped_ubuf *imu = io_bpf_buf(bctx, index);
	const struct bio_vec *bvec;
	unsigned long addr;
	size_t seg_off;

	if (unlikely(!imu || (imu->dir & dir) != dir || !len || off >= imu->len ||
		     len > imu->len - off))
		return NULL;
	seg_off = array_index_nospec(off, imu->len);
	bvec = io_bpf_buf_seg(imu, &seg_off);
	if (unlikely(len > bvec->bv_len - seg_off))
		return NULL;
	/* these have no kernel address, or not a permanent one */
	if (unlikely(PageHighMem(bvec->bv_page) ||
		     is_zone_device_page(bvec->bv_page)))
		return NULL;
	addr = (unsigned long)page_address(bvec->bv_page) + bvec->bv_offset + seg_off;
	/* prevent speculative accesses of the program beyond the segment */
	return (void *)(addr & array_index_mask_nospec(len - 1, bvec->bv_len - seg_off));
}

/* Let @iter iterate over a range of a registered buffer. Return 0 or an error. */
static int io_bpf_buf_iter(const struct io_mapped_ubuf *imu, u64 off, u32 len,
			   int ddir, struct iov_iter *iter)
{
	const struct bio_vec *bvec;
	size_t seg_off;

	if (!imu)
		return -ENOENT;
	if (!(imu->dir & (1 << ddir)) || off > imu->len || len > imu->len - off)
		return -EFAULT;
	if (!len) {
		iov_iter_bvec(iter, ddir, imu->bvec, 0, 0);
		return 0;
	}
	seg_off = array_index_nospec(off, imu->len);
	len &= array_index_mask_nospec(len - 1, imu->len - seg_off);
	bvec = io_bpf_buf_seg(imu, &seg_off);
	iov_iter_bvec(iter, ddir, bvec, imu->bvec + imu->nr_bvecs - bvec,
		      seg_off + len);
	iov_iter_advance(iter, seg_off);
	return 0;
}

static int io_bpf_buf_copy(struct bpf_io_uring_ctx *bctx, u32 index, u64 off,
			   void *mem, u32 len, int ddir)
{
	struct iov_iter iter;
	size_t done;
	int ret;

	ret = io_bpf_buf_iter(io_bpf_buf(bctx, index), off, len, ddir, &iter);
	if (ret)
		return ret;
	if (ddir == ITER_DEST)
		done = copy_to_iter(mem, len, &iter);
	else
		done = copy_from_iter(mem, len, &iter);
	return done == len ? 0 : -EFAULT;
}

/* Copy a piece of the source, which is in one page, to the iterator @dst. */
static size_t io_bpf_copy_step(void *src, size_t progress, size_t len, void *dst,
			       void *unused)
{
	return len - _copy_to_iter(src, len, dst);
}

static int io_bpf_buf_between(struct bpf_io_uring_ctx *ctx,
			      const struct bpf_io_uring_buf_pos *dst,
			      const struct bpf_io_uring_buf_pos *src, u32 len)
{
	u64 dst_off = READ_ONCE(dst->offset), src_off = READ_ONCE(src->offset);
	struct io_mapped_ubuf *to = io_bpf_buf(ctx, READ_ONCE(dst->index));
	struct io_mapped_ubuf *from = io_bpf_buf(ctx, READ_ONCE(src->index));
	struct iov_iter dst_iter, src_iter;
	int ret;

	if (dst->pad || src->pad)
		return -EINVAL;
	if (len > IO_BPF_MAX_COPY)
		return -E2BIG;
	ret = io_bpf_buf_iter(to, dst_off, len, ITER_DEST, &dst_iter) ?:
	      io_bpf_buf_iter(from, src_off, len, ITER_SOURCE, &src_iter);
	if (ret)
		return ret;
	if (to == from && dst_off < src_off + len && src_off < dst_off + len)
		return -EINVAL;
	iterate_and_advance_kernel(&src_iter, len, &dst_iter, NULL,
				   io_bpf_copy_step);
	return 0;
}

struct io_bpf_mem {
	u32	size;
	u8	data[] __aligned(8) __counted_by(size);
};

int io_bpf_alloc_mem(struct io_kiocb *flow, u32 size)
{
	struct io_bpf_mem *mem = kzalloc_flex(*mem, data, size, GFP_KERNEL_ACCOUNT);

	if (!mem)
		return -ENOMEM;
	mem->size = size;
	flow->async_data = mem;
	flow->flags |= REQ_F_ASYNC_DATA;
	return 0;
}

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
 * bpf_io_uring_buf_data - return a read-only pointer into a registered buffer
 * @ctx: context of the program
 * @index: index of the buffer, as in io_uring_sqe::buf_index
 * @offset: offset in the buffer, in bytes
 * @rdonly_buf_size: size of the accessed memory in bytes, a constant, not 0
 *
 * The memory is not copied, so concurrent writes of user space or of a device are
 * visible. The pointer is valid until the program returns.
 *
 * Context: any event, in flows and in watching programs. Called with the lock of
 * the ring held; takes no lock and does not sleep.
 * Return: the memory, or NULL if the buffer does not exist, is too short, is not
 * readable, or if the bytes are not in one segment. A segment is a page, or a
 * larger folio if the whole buffer consists of such folios.
 */
__bpf_kfunc const u8 *bpf_io_uring_buf_data(struct bpf_io_uring_ctx *ctx,
					    u32 index, u64 offset,
					    const u32 rdonly_buf_size)
{
	return io_bpf_buf_slice(ctx, index, offset, rdonly_buf_size,
				IO_BUF_SOURCE);
}

/**
 * bpf_io_uring_buf_data_rw - return a writable pointer into a registered buffer
 * @ctx: context of the program
 * @index: index of the buffer, as in io_uring_sqe::buf_index
 * @offset: offset in the buffer, in bytes
 * @rdwr_buf_size: size of the accessed memory in bytes, a constant, not 0
 *
 * The same as bpf_io_uring_buf_data(), for reading and writing.
 *
 * Context: as bpf_io_uring_buf_data()
 * Return: the memory, or NULL for the reasons of bpf_io_uring_buf_data(), or if
 * the buffer is not writable.
 */
__bpf_kfunc u8 *bpf_io_uring_buf_data_rw(struct bpf_io_uring_ctx *ctx,
					 u32 index, u64 offset,
					 const u32 rdwr_buf_size)
{
	return io_bpf_buf_slice(ctx, index, offset, rdwr_buf_size,
				IO_BUF_SOURCE | IO_BUF_DEST);
}

/**
 * bpf_io_uring_buf_read - copy from a registered buffer
 * @ctx: context of the program
 * @index: index of the buffer, as in io_uring_sqe::buf_index
 * @offset: offset in the buffer, in bytes
 * @dst: memory of the program
 * @dst__sz: number of bytes to copy
 *
 * Context: as bpf_io_uring_buf_data()
 * Return: 0, or
 * -ENOENT: the buffer does not exist;
 * -EFAULT: the buffer is too short or not readable.
 */
__bpf_kfunc int bpf_io_uring_buf_read(struct bpf_io_uring_ctx *ctx, u32 index,
				      u64 offset, void *dst, u32 dst__sz)
{
	return io_bpf_failed(io_bpf_ctx_to_flow(ctx), __func__,
			     io_bpf_buf_copy(ctx, index, offset, dst, dst__sz,
					     ITER_SOURCE));
}

/**
 * bpf_io_uring_buf_write - copy to a registered buffer
 * @ctx: context of the program
 * @index: index of the buffer, as in io_uring_sqe::buf_index
 * @offset: offset in the buffer, in bytes
 * @src: memory of the program
 * @src__sz: number of bytes to copy
 *
 * Context: as bpf_io_uring_buf_data()
 * Return: 0, or
 * -ENOENT: the buffer does not exist;
 * -EFAULT: the buffer is too short or not writable.
 */
__bpf_kfunc int bpf_io_uring_buf_write(struct bpf_io_uring_ctx *ctx, u32 index,
				       u64 offset, const void *src, u32 src__sz)
{
	return io_bpf_failed(io_bpf_ctx_to_flow(ctx), __func__,
			     io_bpf_buf_copy(ctx, index, offset, (void *)src, src__sz,
					     ITER_DEST));
}

/**
 * bpf_io_uring_buf_copy - copy between registered buffers, or within one
 * @ctx: context of the program
 * @dst: where to copy to
 * @src: where to copy from
 * @len: number of bytes to copy, up to 64 KB
 *
 * If two buffers share memory, because the same memory was registered twice, and
 * the ranges overlap there, the result is undefined.
 *
 * Context: as bpf_io_uring_buf_data()
 * Return: 0, or
 * -EINVAL: pad is not 0, or the ranges overlap in one buffer;
 * -E2BIG: @len is larger than 64 KB;
 * -ENOENT: a buffer does not exist;
 * -EFAULT: a buffer is too short, @dst is not writable or @src is not readable.
 */
__bpf_kfunc int bpf_io_uring_buf_copy(struct bpf_io_uring_ctx *ctx,
				      const struct bpf_io_uring_buf_pos *dst,
				      const struct bpf_io_uring_buf_pos *src,
				      u32 len)
{
	return io_bpf_failed(io_bpf_ctx_to_flow(ctx), __func__,
			     io_bpf_buf_between(ctx, dst, src, len));
}

/**
 * bpf_io_uring_buf_give - give a provided buffer back to its group
 * @ctx: context of the program
 * @bgid: id of the buffer group, as in io_uring_sqe::buf_group
 * @bid: id of the buffer, as in the flags of the CQE
 * @addr: address of the buffer
 * @len: length of the buffer in bytes, not 0
 *
 * For a buffer that the program has taken over with BPF_IO_URING_DROP_BUF, in this run or
 * before, and that the application therefore does not provide again. The next request
 * that selects a buffer of the group gets this one. Of several buffers that are given back
 * in a row, the last one is selected first.
 *
 * A ring of provided buffers must have a free entry for the buffer. The kernel relies on
 * an application that adds a buffer only after it has seen a CQE for one, or has not
 * filled the ring. An application that looks at the head of the ring instead, with
 * IORING_REGISTER_PBUF_STATUS, and a program can overwrite an entry of each other.
 *
 * Context: any event, in flows and in watching programs. Called with the lock of
 * the ring held; takes no lock and does not sleep.
 * Return: 0, or
 * -EINVAL: @bgid or @bid is larger than 65535, @len is 0, or the buffer is the next one of
 * an incremental ring, which keeps the rest of a buffer (IORING_CQE_F_BUF_MORE);
 * -EFAULT: the range is not one of user space;
 * -ENOENT: the group does not exist;
 * -ENOSPC: the group is full;
 * -ENOMEM: the group is not a ring, and no memory is available right now, or ever on
 * architectures without a cmpxchg of two words. The program can issue
 * IORING_OP_PROVIDE_BUFFERS instead.
 */
__bpf_kfunc int bpf_io_uring_buf_give(struct bpf_io_uring_ctx *ctx, u32 bgid,
				      u32 bid, u64 addr, u32 len)
{
	struct io_ring_ctx *ring = io_bpf_ctx_to_flow(ctx)->ctx;
	int ret = -EINVAL;

	if (bgid <= U16_MAX && bid <= U16_MAX && len)
		ret = io_kbuf_give(ring, bgid, addr, len, bid);
	return io_bpf_refused(io_bpf_ctx_to_flow(ctx), __func__, ret);
}

/**
 * bpf_io_uring_flow_mem - return the memory of the flow
 * @ctx: context of the program
 * @rdwr_buf_size: size of the accessed memory in bytes, a constant
 *
 * The memory is zero when the flow starts, and is preserved between events until the flow
 * ends. Its size is iouring.flow_size of BPF_LINK_CREATE. BPF_LINK_UPDATE does not change
 * the size. The pointer is aligned to 8 bytes, and valid until the program returns.
 *
 * Context: any event, in flows and in watching programs. Called with ->uring_lock held,
 * takes no lock, does not sleep.
 * Return: the memory, or NULL if @rdwr_buf_size is larger than the memory of the flow,
 * the flow has no memory, or the program watches.
 */
__bpf_kfunc u8 *bpf_io_uring_flow_mem(struct bpf_io_uring_ctx *ctx,
				      const u32 rdwr_buf_size)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);
	struct io_bpf_mem *mem = flow->async_data;
	unsigned long fits;

	if (!req_has_async_data(flow))
		return NULL;
	/* all ones or 0, also for speculative accesses of the program */
	fits = array_index_mask_nospec(rdwr_buf_size, mem->size + 1UL);
	return (u8 *)((unsigned long)mem->data & fits);
}

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
