// SPDX-License-Identifier: GPL-2.0
/*
 * Looks up a key in a file of LMDB: one read for each level of the tree, and one CQE. See
 * lookup_lmdb.bpf.h for the steps.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <iou/iou.bpf.h>
#include "lookup.bpf.h"

#define lmdb_ctx struct bpf_io_uring_ctx
#include "lookup_lmdb.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline int lmdb_read(struct bpf_io_uring_ctx *ctx, __u64 off, __u32 to,
				     __u32 len)
{
	struct lookup *l = iou_state(ctx, struct lookup);
	struct io_uring_sqe sqe;

	if (!iou_is_start(ctx))
		return bpf_io_uring_again(ctx, off, l->addr + to, len);
	io_uring_prep_read_fixed(&sqe, l->fd, l->addr + to, len, off, l->buf);
	return iou_issue(ctx, &sqe);
}

static __always_inline const __u8 *lmdb_data(struct bpf_io_uring_ctx *ctx, __u32 off)
{
	return bpf_io_uring_buf_data(ctx, iou_state(ctx, struct lookup)->buf, off, PAGE);
}

static __always_inline int lmdb_copy(struct bpf_io_uring_ctx *ctx, __u32 off, void *to,
				     __u32 size)
{
	return bpf_io_uring_buf_read(ctx, iou_state(ctx, struct lookup)->buf, off, to, size);
}

static __always_inline int finish(struct bpf_io_uring_ctx *ctx, struct walk *w, int res)
{
	return lookup_end(ctx, w->off, w->size, w->reads, res);
}

static __always_inline void lmdb_found(struct bpf_io_uring_ctx *ctx, struct walk *w)
{
	finish(ctx, w, w->size);
}

static int start(struct bpf_io_uring_ctx *ctx, struct walk *w)
{
	struct lookup *l = iou_state(ctx, struct lookup);
	/* the first members of struct lookup_req */
	struct { __u64 root, room; __u32 key_len, name_len; } req = {};
	int ret;

	ret = bpf_io_uring_buf_read(ctx, l->buf, LOOKUP_REQ, &req, sizeof(req));
	if (ret)
		return ret;
	w->room = req.room;
	if (!req.key_len)
		return -EINVAL;
	if (req.name_len) {
		w->rest_len = req.key_len;
		ret = get_key(ctx, w, __builtin_offsetof(struct lookup_req, name),
			      req.name_len);
	} else {
		ret = get_key(ctx, w, __builtin_offsetof(struct lookup_req, key),
			      req.key_len);
	}
	if (ret)
		return ret;
	if (req.root)
		return read_root(ctx, w, req.root);
	return read_pages(ctx, w, 0, 0, NR_META * PAGE);
}

SEC("iouring")
int lookup_lmdb(struct bpf_io_uring_ctx *ctx)
{
	struct walk *w = iou_mem(ctx, struct walk);
	int ret;

	if (iou_is_ending(ctx))
		return BPF_IO_URING_DEFAULT;
	if (!w)
		return iou_end(ctx, -ENOMEM);
	if (iou_is_start(ctx))
		ret = start(ctx, w);
	else if (iou_is_child(ctx))
		ret = step(ctx, w, ctx->res);
	else
		ret = -EINVAL;
	return ret < 0 ? finish(ctx, w, ret) : BPF_IO_URING_DEFAULT;
}
