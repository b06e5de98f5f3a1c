// SPDX-License-Identifier: GPL-2.0
/*
 * Kfuncs by which BPF programs get at the registered buffers of a ring
 *
 * ->uring_lock keeps a buffer in its slot while a program runs, hence what is
 * returned here lives as long as that run. User space and devices may write to
 * it at the same time.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/bvec.h>
#include <linux/highmem.h>
#include <linux/nospec.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/io_uring.h>
#include <linux/uio.h>

#include "bpf_int.h"
#include "rsrc.h"

static struct io_mapped_ubuf *io_bpf_buf(struct bpf_io_uring_ctx *bctx,
					 u32 index)
{
	struct io_ring_ctx *ctx = io_bpf_ctx_to_flow(bctx)->ctx;
	struct io_rsrc_node *node;

	node = io_rsrc_node_lookup(&ctx->buf_table, index);
	return node ? node->buf : NULL;
}

/*
 * The segment with the byte at @off, which becomes the offset in it. All but the
 * first and the last one of a buffer that user space has registered are of one
 * size, those that a driver has registered may be of any.
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

	if (unlikely(!imu || !(imu->dir & dir) || !len || off >= imu->len ||
		     len > imu->len - off))
		return NULL;
	seg_off = array_index_nospec(off, imu->len);
	bvec = io_bpf_buf_seg(imu, &seg_off);
	if (unlikely(len > bvec->bv_len - seg_off))
		return NULL;
	/* no address, or none that stays */
	if (unlikely(PageHighMem(bvec->bv_page) ||
		     is_zone_device_page(bvec->bv_page)))
		return NULL;
	addr = (unsigned long)page_address(bvec->bv_page) + bvec->bv_offset + seg_off;
	/* the program must not read past the segment in speculation */
	return (void *)(addr & array_index_mask_nospec(len - 1, bvec->bv_len - seg_off));
}

static int io_bpf_buf_copy(struct bpf_io_uring_ctx *bctx, u32 index, u64 off,
			   void *mem, u32 len, int ddir)
{
	struct io_mapped_ubuf *imu = io_bpf_buf(bctx, index);
	const struct bio_vec *bvec;
	struct iov_iter iter;
	size_t seg_off, done;

	if (!imu)
		return -ENOENT;
	if (!(imu->dir & (1 << ddir)) || off > imu->len || len > imu->len - off)
		return -EFAULT;
	if (!len)
		return 0;
	seg_off = array_index_nospec(off, imu->len);
	len &= array_index_mask_nospec(len - 1, imu->len - seg_off);
	bvec = io_bpf_buf_seg(imu, &seg_off);
	iov_iter_bvec(&iter, ddir, bvec, imu->bvec + imu->nr_bvecs - bvec,
		      seg_off + len);
	iov_iter_advance(&iter, seg_off);
	if (ddir == ITER_DEST)
		done = copy_to_iter(mem, len, &iter);
	else
		done = copy_from_iter(mem, len, &iter);
	return done == len ? 0 : -EFAULT;
}

__bpf_kfunc_start_defs();

/**
 * bpf_io_uring_buf_data - look into a registered buffer
 * @ctx: context of the program
 * @index: of the buffer, as in io_uring_sqe::buf_index
 * @offset: bytes from the start of the buffer
 * @rdonly_buf_size: bytes to be looked at, a constant
 *
 * No copy is made: what user space or a device writes meanwhile shows up. May
 * be called from either flavour of program; the result is good until it returns.
 *
 * Context: any event, of flows and of watching programs. Takes no lock, that of
 * the ring is held; doesn't sleep.
 * Return: the bytes, read-only, or NULL if the buffer doesn't exist, isn't that
 * long, may not be read from, or the bytes are not in one piece. That is a page,
 * or a larger folio if the whole buffer consists of such.
 */
__bpf_kfunc const u8 *bpf_io_uring_buf_data(struct bpf_io_uring_ctx *ctx,
					    u32 index, u64 offset,
					    const u32 rdonly_buf_size)
{
	return io_bpf_buf_slice(ctx, index, offset, rdonly_buf_size,
				IO_BUF_SOURCE);
}

/**
 * bpf_io_uring_buf_data_rw - look into a registered buffer, and write to it
 * @ctx: context of the program
 * @index: of the buffer, as in io_uring_sqe::buf_index
 * @offset: bytes from the start of the buffer
 * @rdwr_buf_size: bytes to be looked at or written, a constant
 *
 * As bpf_io_uring_buf_data(), for a buffer that may be written to as well.
 *
 * Context: as bpf_io_uring_buf_data()
 * Return: the bytes, or NULL for the same reasons, or as the buffer may not be
 * written to.
 */
__bpf_kfunc u8 *bpf_io_uring_buf_data_rw(struct bpf_io_uring_ctx *ctx,
					 u32 index, u64 offset,
					 const u32 rdwr_buf_size)
{
	void *data;

	data = io_bpf_buf_slice(ctx, index, offset, rdwr_buf_size, IO_BUF_DEST);
	if (!data || !(io_bpf_buf(ctx, index)->dir & IO_BUF_SOURCE))
		return NULL;
	return data;
}

/**
 * bpf_io_uring_buf_read - copy out of a registered buffer
 * @ctx: context of the program
 * @index: of the buffer, as in io_uring_sqe::buf_index
 * @offset: bytes from the start of the buffer
 * @dst: memory of the program
 * @dst__sz: bytes to copy
 *
 * Context: as bpf_io_uring_buf_data()
 * Return: 0, -ENOENT if the buffer doesn't exist, -EFAULT if it isn't that long
 * or may not be read from.
 */
__bpf_kfunc int bpf_io_uring_buf_read(struct bpf_io_uring_ctx *ctx, u32 index,
				      u64 offset, void *dst, u32 dst__sz)
{
	return io_bpf_buf_copy(ctx, index, offset, dst, dst__sz, ITER_SOURCE);
}

/**
 * bpf_io_uring_buf_write - copy into a registered buffer
 * @ctx: context of the program
 * @index: of the buffer, as in io_uring_sqe::buf_index
 * @offset: bytes from the start of the buffer
 * @src: memory of the program
 * @src__sz: bytes to copy
 *
 * Context: as bpf_io_uring_buf_data()
 * Return: 0, -ENOENT if the buffer doesn't exist, -EFAULT if it isn't that long
 * or may not be written to.
 */
__bpf_kfunc int bpf_io_uring_buf_write(struct bpf_io_uring_ctx *ctx, u32 index,
				       u64 offset, const void *src, u32 src__sz)
{
	return io_bpf_buf_copy(ctx, index, offset, (void *)src, src__sz,
			       ITER_DEST);
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(io_bpf_buf_kfunc_ids)
BTF_ID_FLAGS(func, bpf_io_uring_buf_data, KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_io_uring_buf_data_rw, KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_io_uring_buf_read)
BTF_ID_FLAGS(func, bpf_io_uring_buf_write)
BTF_KFUNCS_END(io_bpf_buf_kfunc_ids)

static const struct btf_kfunc_id_set io_bpf_buf_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &io_bpf_buf_kfunc_ids,
};

static int __init io_bpf_buf_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_IOURING,
					 &io_bpf_buf_kfunc_set);
}
late_initcall(io_bpf_buf_init);
