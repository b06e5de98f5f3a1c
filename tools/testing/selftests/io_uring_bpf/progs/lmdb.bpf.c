// SPDX-License-Identifier: GPL-2.0
/* Looks up a key in a file of LMDB: one read for each level of the tree, and one CQE. */
#include "iou_bpf.bpf.h"
#include "lmdb_area.h"

char LICENSE[] SEC("license") = "GPL";

struct mdb_meta {
	__u64	header[2];
	__u32	magic, version;
	__u64	address, mapsize;
	struct { __u32 page_size; __u16 flags, depth; __u64 pages[4], root; } db[2];
	__u64	last, txnid;
};

/* ->state[] has the file, the address of registered buffer 0, and the length of the key. */
struct lookup {
	__u64	page, depth;
	__u8	key[512];
	__u8	value[LMDB_MAX_VALUE];
};

static __u32 at(const __u8 *p, __u32 off)
{
	return *(const __u16 *)(p + (off & (LMDB_PAGE - 2)));
}

/* Compare the key with that of a node. */
static int compare(const struct lookup *l, __u32 len, const __u8 *p, __u32 node)
{
	__u32 i, node_len = at(p, node + 6);
	int diff = 0;

	bpf_for(i, 0, LMDB_MAX_KEY) {
		if (i >= len || i >= node_len || diff)
			break;
		diff = l->key[i & 511] - p[(node + 8 + i) & (LMDB_PAGE - 1)];
	}
	return diff ?: len - node_len;
}

/* Return the index after the last node whose key is not larger. */
static __u32 search(const struct lookup *l, __u32 len, const __u8 *p, __u32 first)
{
	__u32 i, mid, end = (at(p, 12) - 16) / 2;

	bpf_for(i, 0, 12) {
		if (first >= end)
			break;
		mid = (first + end) / 2;
		if (compare(l, len, p, at(p, 16 + 2 * mid)) < 0)
			end = mid;
		else
			first = mid + 1;
	}
	return first;
}

static int read_page(struct bpf_io_uring_ctx *ctx, struct lookup *l, __u64 page)
{
	struct io_uring_sqe sqe;

	l->page = page;
	if (l->depth++ > 8 || page == ~0ULL)
		return -ENOENT;
	/* the first read is that of both meta pages */
	io_uring_prep_read(&sqe, ctx->state[0], ctx->state[1],
			   page ? LMDB_PAGE : 2 * LMDB_PAGE, page * LMDB_PAGE);
	return iou_issue(ctx, &sqe);
}

/* Read the next page, or return the size of the value. */
static int step(struct bpf_io_uring_ctx *ctx, struct lookup *l, const __u8 *p, __u32 len)
{
	__u32 branch = at(p, 10) & 1, i = search(l, len, p, branch);
	__u32 node = at(p, 14 + 2 * i), size = at(p, node) | at(p, node + 2) << 16;

	if (!i || *(const __u64 *)p != l->page)
		return -ENOENT;
	if (branch)
		return read_page(ctx, l, size | (__u64)at(p, node + 4) << 32);
	if (compare(l, len, p, node))
		return -ENOENT;
	/* a value elsewhere, a database, or several values */
	if (at(p, node + 4) || size > LMDB_MAX_VALUE)
		return -EOPNOTSUPP;
	return bpf_io_uring_buf_read(ctx, 0, node + 8 + at(p, node + 6), l->value, size) ?:
	       bpf_io_uring_buf_write(ctx, 0, LMDB_VALUE, l->value, size) ?: size;
}

SEC("iouring")
int lmdb_lookup(struct bpf_io_uring_ctx *ctx)
{
	struct mdb_meta *m = (void *)bpf_io_uring_buf_data(ctx, 0, 0, LMDB_PAGE);
	struct mdb_meta *n = (void *)bpf_io_uring_buf_data(ctx, 0, LMDB_PAGE, LMDB_PAGE);
	struct lookup *l = iou_mem(ctx, struct lookup);
	int ret = -EIO;

	if (!m || !n || !l)
		return iou_end(ctx, -EINVAL);
	if (iou_is_start(ctx))
		ret = bpf_io_uring_buf_read(ctx, 0, LMDB_KEY, l->key, sizeof(l->key)) ?:
		      read_page(ctx, l, 0);
	else if (ctx->res == LMDB_PAGE)
		ret = step(ctx, l, (const __u8 *)m, ctx->state[2]);
	else if (ctx->res == 2 * LMDB_PAGE && m->magic == 0xbeefc0de &&
		 m->db[0].page_size == LMDB_PAGE && !m->db[1].flags)
		ret = read_page(ctx, l, m->txnid > n->txnid ? m->db[1].root : n->db[1].root);
	return ctx->nr_children ? BPF_IO_URING_DEFAULT : iou_end(ctx, ret);
}
