// SPDX-License-Identifier: GPL-2.0
/*
 * Looks up a record in a table of a SQLite file by its rowid: one read for each level of
 * the tree and for each page of the rest of a long record, and one CQE.
 *
 * A page has a header, then the offsets of its cells in the order of their rowids, then
 * the cells. A cell of an interior page leads to the page with the rowids up to its own.
 * A record that is too long for a cell goes on in a list of pages, each of which begins
 * with the number of the next one. Integers are big-endian, or have 1 to 9 bytes. Page 1
 * begins with the header of the file.
 *
 * Nothing in the file can be relied on: each offset is checked before it is used, and the
 * number of reads is limited. What is wrong with the file ends the flow with -EUCLEAN.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <iou/iou.bpf.h>
#include "lookup.bpf.h"
#include "lookup_sqlite.h"

char LICENSE[] SEC("license") = "GPL";

/* The longest begin of a cell: two integers */
#define CELL_SIZE	18

struct page_header {
	__u8	type;
	__u8	free[2];
	__u8	nr_cells[2];
	__u8	rest[3];
	__u8	right[4];	/* of an interior page: behind the last cell */
};

/* the memory of a flow */
struct walk {
	__s64	rowid;
	__u64	room;
	__u64	off, size;	/* of the record */
	__u64	got;		/* bytes of a record that goes on in other pages */
	__u32	page_size, usable;
	__u32	page;		/* that is being read */
	__u32	reads;
	__u32	depth;
	__u32	pad;
	__u8	cell[32];
};

static __always_inline int read_page(struct bpf_io_uring_ctx *ctx, struct walk *w,
				     __u32 page)
{
	struct lookup *l = iou_state(ctx, struct lookup);
	struct io_uring_sqe sqe;
	__u64 off;

	if (!page)
		return -EUCLEAN;
	w->page = page;
	w->reads++;
	off = (__u64)(page - 1) * w->page_size;
	if (!iou_is_start(ctx))
		return bpf_io_uring_again(ctx, off, l->addr, w->page_size);
	io_uring_prep_read_fixed(&sqe, l->fd, l->addr, w->page_size, off, l->buf);
	return iou_issue(ctx, &sqe);
}

static __always_inline int read_tree_page(struct bpf_io_uring_ctx *ctx, struct walk *w,
					  __u32 page)
{
	if (w->depth++ >= LOOKUP_MAX_DEPTH)
		return -EUCLEAN;
	return read_page(ctx, w, page);
}

static __always_inline int finish(struct bpf_io_uring_ctx *ctx, struct walk *w, int res)
{
	return lookup_end(ctx, w->off, w->size, w->reads, res);
}

/* The record is at @off in the memory of the lookup. */
static __always_inline int found(struct bpf_io_uring_ctx *ctx, struct walk *w, __u64 off)
{
	w->off = off;
	finish(ctx, w, w->size);
	return 0;
}

static int start(struct bpf_io_uring_ctx *ctx, struct walk *w)
{
	struct lookup *l = iou_state(ctx, struct lookup);
	/* the first members of struct lookup_req */
	struct {
		__u64 root, room;
		__u32 key_len, name_len, page_size, usable;
	} req = {};
	int ret;

	ret = bpf_io_uring_buf_read(ctx, l->buf, LOOKUP_REQ, &req, sizeof(req)) ?:
	      bpf_io_uring_buf_read(ctx, l->buf, LOOKUP_REQ +
				    __builtin_offsetof(struct lookup_req, key),
				    &w->rowid, sizeof(w->rowid));
	if (ret)
		return ret;
	/* as the format has it */
	if (req.key_len != sizeof(w->rowid) || req.name_len || req.root > ~0U ||
	    req.page_size < 512 || req.page_size > LOOKUP_PAGES ||
	    req.usable < 480 || req.usable > req.page_size)
		return -EINVAL;
	w->room = req.room;
	w->page_size = req.page_size;
	w->usable = req.usable;
	return read_tree_page(ctx, w, req.root);
}

/* Decode the integer at @at of the cell. Return its length. */
static __u32 get_integer(const struct walk *w, __u32 at, __u64 *value)
{
	__u64 v = 0;
	__u32 i;
	__u8 b;

	bpf_for(i, 0, 8) {
		b = w->cell[(at + i) & 31];
		v = v << 7 | (b & 0x7f);
		if (!(b & 0x80)) {
			*value = v;
			return i + 1;
		}
	}
	*value = v << 8 | w->cell[(at + 8) & 31];
	return 9;
}

/*
 * Get the begin of cell @i, the offsets of cells being at @cells. Return the offset of the
 * cell, or an error. A cell that ends before CELL_SIZE is followed by others, or by the
 * memory behind the page.
 */
static __always_inline int get_cell(struct bpf_io_uring_ctx *ctx, struct walk *w,
				    __u32 cells, __u32 i)
{
	struct lookup *l = iou_state(ctx, struct lookup);
	__u16 off = 0;
	int ret;

	ret = bpf_io_uring_buf_read(ctx, l->buf, cells + 2 * i, &off, sizeof(off));
	if (ret)
		return ret;
	off = bpf_ntohs(off);
	if (off < cells || off >= w->usable)
		return -EUCLEAN;
	ret = bpf_io_uring_buf_read(ctx, l->buf, off, w->cell, CELL_SIZE);
	return ret ?: off;
}

/* Return the first cell with this rowid or a larger one, @nr if there is none, or an error. */
static int search(struct bpf_io_uring_ctx *ctx, struct walk *w, __u32 cells, __u32 nr,
		  __u32 leaf)
{
	__u32 i, mid, len, first = 0, end = nr;
	__u64 rowid, size;
	int ret;

	/* a page has less than 65536 cells */
	bpf_for(i, 0, 17) {
		if (first >= end)
			break;
		mid = (first + end) / 2;
		ret = get_cell(ctx, w, cells, mid);
		if (ret < 0)
			return ret;
		/* behind the size of the record, or the number of a page */
		len = leaf ? get_integer(w, 0, &size) : 4;
		len += get_integer(w, len, &rowid);
		if (ret + len > w->usable)
			return -EUCLEAN;
		if ((__s64)rowid < w->rowid)
			first = mid + 1;
		else
			end = mid;
	}
	return first;
}

static __always_inline __u32 get_u32(const __u8 *p)
{
	return (__u32)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* Copy a part of the record from @from in the page. */
static int copy(struct bpf_io_uring_ctx *ctx, struct walk *w, __u32 from, __u32 len)
{
	struct lookup *l = iou_state(ctx, struct lookup);
	struct bpf_io_uring_buf_pos src = { .offset = from, .index = l->buf };
	struct bpf_io_uring_buf_pos dst = {
		.offset = LOOKUP_VALUE + w->got,
		.index = l->buf,
	};

	w->got += len;
	return bpf_io_uring_buf_copy(ctx, &dst, &src, len);
}

/* Return how many bytes of the record are in the cell. */
static __always_inline __u32 local_size(const struct walk *w)
{
	__u32 usable = w->usable, max = usable - 35;
	__u32 min = (usable - 12) * 32 / 255 - 23;
	__u32 size;

	if (w->size <= max)
		return w->size;
	/* so that the last page is full */
	size = min + (w->size - min) % (usable - 4);
	return size <= max ? size : min;
}

/* The rowid may be that of the cell at @cell, which was read. */
static __always_inline int get_record(struct bpf_io_uring_ctx *ctx, struct walk *w,
				      __u32 cell)
{
	struct lookup *l = iou_state(ctx, struct lookup);
	__u64 rowid = 0, size = 0;
	__u32 at, len;
	__u8 next[4] = {};
	int ret;

	at = get_integer(w, 0, &size);
	at += get_integer(w, at, &rowid);
	if ((__s64)rowid != w->rowid)
		return -ENOENT;
	w->size = size;
	at += cell;
	len = local_size(w);
	/* a record has less than 2 GiB */
	if (size > 0x7fffffff || at + len + (len < size ? sizeof(next) : 0) > w->usable)
		return -EUCLEAN;
	if (len == size)
		return found(ctx, w, at);
	if (size > w->room)
		return -EMSGSIZE;
	ret = copy(ctx, w, at, len) ?:
	      bpf_io_uring_buf_read(ctx, l->buf, at + len, next, sizeof(next));
	return ret ?: read_page(ctx, w, get_u32(next));
}

/* A page of the tree is there. Go on with a child, or with the record. */
static int tree_step(struct bpf_io_uring_ctx *ctx, struct walk *w)
{
	struct lookup *l = iou_state(ctx, struct lookup);
	__u32 header = w->page == 1 ? FILE_HEADER : 0, leaf, cells, nr;
	struct page_header h = {};
	int i, ret;

	ret = bpf_io_uring_buf_read(ctx, l->buf, header, &h, sizeof(h));
	if (ret)
		return ret;
	leaf = h.type == TABLE_LEAF;
	/* a table without rowids, or an index */
	if (w->depth == 1 && (h.type == INDEX_INTERIOR || h.type == INDEX_LEAF))
		return -EOPNOTSUPP;
	if (!leaf && h.type != TABLE_INTERIOR)
		return -EUCLEAN;
	cells = header + (leaf ? LEAF_HEADER : INTERIOR_HEADER);
	nr = h.nr_cells[0] << 8 | h.nr_cells[1];
	if (cells + 2 * nr > w->usable)
		return -EUCLEAN;
	i = search(ctx, w, cells, nr, leaf);
	if (i < 0)
		return i;
	if (i == nr)
		return leaf ? -ENOENT : read_tree_page(ctx, w, get_u32(h.right));
	/* the search may have ended with another one */
	ret = get_cell(ctx, w, cells, i);
	if (ret < 0)
		return ret;
	if (leaf)
		return get_record(ctx, w, ret);
	return read_tree_page(ctx, w, get_u32(w->cell));
}

/* A page with more of the record is there. */
static int record_step(struct bpf_io_uring_ctx *ctx, struct walk *w)
{
	struct lookup *l = iou_state(ctx, struct lookup);
	__u64 left = w->size - w->got, len = w->usable - 4;
	__u8 next[4] = {};
	int ret;

	ret = bpf_io_uring_buf_read(ctx, l->buf, 0, next, sizeof(next)) ?:
	      copy(ctx, w, sizeof(next), left < len ? left : len);
	if (ret)
		return ret;
	if (w->got == w->size)
		return found(ctx, w, LOOKUP_VALUE);
	return read_page(ctx, w, get_u32(next));
}

static __always_inline int step(struct bpf_io_uring_ctx *ctx, struct walk *w)
{
	if (ctx->res < 0)
		return ctx->res;
	/* the file ends before, and the page was not there to be pointed to */
	if (ctx->res != w->page_size)
		return -EUCLEAN;
	/* of a record that goes on, the cell has a part */
	return w->got ? record_step(ctx, w) : tree_step(ctx, w);
}

SEC("iouring")
int lookup_sqlite(struct bpf_io_uring_ctx *ctx)
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
		ret = step(ctx, w);
	else
		ret = -EINVAL;
	return ret < 0 ? finish(ctx, w, ret) : BPF_IO_URING_DEFAULT;
}
