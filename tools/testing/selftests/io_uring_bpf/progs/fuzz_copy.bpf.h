/* SPDX-License-Identifier: GPL-2.0 */
/* Copies between registered buffers */
#ifndef FUZZ_COPY_BPF_H
#define FUZZ_COPY_BPF_H

#include "fuzz_books.bpf.h"

#define COPY_MAX	65536

/* Return the length of a registered buffer, 0 if there is none, see fz_ring_buffers(). */
static __always_inline __u64 buf_len(__u32 index)
{
	switch (index) {
	case 0:
		return 8192;
	case 1:
	case 2:
		return 4096;
	case FZ_BUF_KNOWN:
	case FZ_BUF_OWN:
		return FZ_BUF_SIZE;
	}
	return 0;
}

static __always_inline bool buf_holds(const struct bpf_io_uring_buf_pos *pos, __u32 len)
{
	__u64 size = buf_len(pos->index);

	return pos->offset <= size && len <= size - pos->offset;
}

/* Return what bpf_io_uring_buf_copy() must return. */
static __noinline int copy_result(const struct bpf_io_uring_buf_pos *to,
				  const struct bpf_io_uring_buf_pos *from, __u32 len)
{
	if (to->pad || from->pad)
		return -EINVAL;
	if (len > COPY_MAX)
		return -E2BIG;
	if (!buf_len(to->index))
		return -ENOENT;
	if (!buf_holds(to, len))
		return -EFAULT;
	if (!buf_len(from->index))
		return -ENOENT;
	if (!buf_holds(from, len))
		return -EFAULT;
	if (to->index == from->index && to->offset < from->offset + len &&
	    from->offset < to->offset + len)
		return -EINVAL;
	return 0;
}

static __always_inline __u8 buf_byte(struct bpf_io_uring_ctx *ctx, __u32 index,
				     __u64 offset)
{
	__u8 byte = 0;

	bpf_io_uring_buf_read(ctx, index, offset, &byte, 1);
	return byte;
}

/* Return eight bytes of a range, among them the first and the last one. */
static __noinline __u64 buf_sample(struct bpf_io_uring_ctx *ctx,
				   const struct bpf_io_uring_buf_pos *pos, __u32 len)
{
	__u64 bytes = 0;
	__u32 i;

	bpf_for(i, 0, 8) {
		__u32 at = i == 7 ? len - 1 : i * 0x9e3779b1U % len;

		bytes = bytes << 8 | buf_byte(ctx, pos->index, pos->offset + at);
	}
	return bytes;
}

/* Return the bytes before and behind a range, 0 if there is none. */
static __noinline __u32 buf_around(struct bpf_io_uring_ctx *ctx,
				   const struct bpf_io_uring_buf_pos *pos, __u32 len)
{
	__u32 bytes = 0;

	if (pos->offset)
		bytes = buf_byte(ctx, pos->index, pos->offset - 1);
	return bytes << 8 | buf_byte(ctx, pos->index, pos->offset + len);
}

/*
 * Copy, and check the result. Nothing but copies writes to FZ_BUF_OWN, and what is written
 * to FZ_BUF_KNOWN does not change it, so a copy from one of them to FZ_BUF_OWN must arrive.
 */
__noinline int copy(struct bpf_io_uring_ctx *ctx, __u32 ring, const struct fz_act *a)
{
	struct bpf_io_uring_buf_pos from = {}, to = {};
	__u32 len, around;
	__u64 sample;
	int ret;

	if (!a)
		return 0;
	from.index = a->tmpl;
	from.offset = a->off;
	from.pad = a->flags;
	to.index = a->msg;
	to.offset = a->addr;
	len = a->len;
	if (ring >= FZ_RINGS || !rings[ring].buffers)
		return bpf_io_uring_buf_copy(ctx, &to, &from, len);
	if (to.index != FZ_BUF_OWN || from.index < FZ_BUF_KNOWN || !len ||
	    copy_result(&to, &from, len)) {
		ret = bpf_io_uring_buf_copy(ctx, &to, &from, len);
		if (ret != copy_result(&to, &from, len))
			complain(ctx, FZ_COPY_RESULT, ring, ret, len);
		return ret;
	}
	sample = buf_sample(ctx, &from, len);
	around = buf_around(ctx, &to, len);
	ret = bpf_io_uring_buf_copy(ctx, &to, &from, len);
	if (ret)
		complain(ctx, FZ_COPY_RESULT, ring, ret, len);
	else if (buf_sample(ctx, &to, len) != sample || buf_around(ctx, &to, len) != around)
		complain(ctx, FZ_COPY_WRONG, ring, to.offset, len);
	return ret;
}

#endif
