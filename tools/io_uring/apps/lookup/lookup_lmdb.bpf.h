/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A lookup in a file of LMDB, step by step, for programs of different types. Requires the
 * types, bpf_helpers.h, the error numbers, and lmdb_ctx, the context of the program. The
 * program defines the functions that are declared here.
 *
 * Pages 0 and 1 are meta pages. The one with the larger transaction number has the root of
 * the main database. Its records can be other databases, which have names. A page has a
 * header, then the offsets of its nodes in the order of their keys, then the nodes. A node
 * of a branch leads to the page with the keys that are not smaller, up to the next node.
 * A value that is too long for a page lies in consecutive pages of its own.
 *
 * Nothing in the file can be relied on: each offset is checked before it is used, and the
 * number of reads is limited. What is wrong with the file ends the lookup with -EUCLEAN.
 */
#ifndef LOOKUP_LMDB_BPF_H
#define LOOKUP_LMDB_BPF_H

#include "lookup_area.h"
#include "lookup_lmdb.h"

enum { META, TREE, VALUE };

/* A lookup, for example in the memory of a flow */
struct walk {
	__u64	root, room;
	__u64	page;		/* that is being read, the first one */
	__u64	off, size;	/* of the value */
	__u32	len;		/* of the read */
	__u32	reads;
	__u32	depth;
	__u32	step;
	__u32	key_len;
	__u32	rest_len;	/* of the key, while the name is looked up */
	__u8	key[LOOKUP_MAX_KEY + 1];
};

/* Read @len bytes at @off of the file to @to in the memory of the lookup. */
static __always_inline int lmdb_read(lmdb_ctx *ctx, __u64 off, __u32 to, __u32 len);
/* Return the page at @off in the memory of the lookup, or NULL. */
static __always_inline const __u8 *lmdb_data(lmdb_ctx *ctx, __u32 off);
/* Copy @size bytes at @off in the memory of the lookup. */
static __always_inline int lmdb_copy(lmdb_ctx *ctx, __u32 off, void *to, __u32 size);
/* End the lookup: the value has w->size bytes at w->off in the memory of the lookup. */
static __always_inline void lmdb_found(lmdb_ctx *ctx, struct walk *w);

/* The offset is even. */
static __always_inline __u32 at(const __u8 *p, __u32 off)
{
	return *(const __u16 *)(p + (off & (PAGE - 2)));
}

/* Read @len bytes at a page to @to in the memory of the lookup. */
static __always_inline int read_pages(lmdb_ctx *ctx, struct walk *w, __u64 page, __u32 to,
				      __u32 len)
{
	w->page = page;
	w->len = len;
	w->reads++;
	return lmdb_read(ctx, page * PAGE, to, len);
}

/* The value is at @off in the memory of the lookup. */
static __always_inline int found(lmdb_ctx *ctx, struct walk *w, __u64 off)
{
	w->off = off;
	lmdb_found(ctx, w);
	return 0;
}

static __always_inline int read_node_page(lmdb_ctx *ctx, struct walk *w, __u64 page)
{
	if (page < NR_META || page >= MAX_PAGES || w->depth++ >= LOOKUP_MAX_DEPTH)
		return -EUCLEAN;
	w->step = TREE;
	return read_pages(ctx, w, page, 0, PAGE);
}

/* Begin at the root of a database. */
static __always_inline int read_root(lmdb_ctx *ctx, struct walk *w, __u64 root)
{
	if (root == NO_PAGE)
		return w->rest_len ? -ENXIO : -ENOENT;
	w->depth = 0;
	return read_node_page(ctx, w, root);
}

/* Get the key, or the name of the database that comes first. */
static __always_inline int get_key(lmdb_ctx *ctx, struct walk *w, __u32 off, __u32 len)
{
	if (!len)
		return -EINVAL;
	if (len > LOOKUP_MAX_KEY)
		return -ENAMETOOLONG;
	w->key_len = len;
	return lmdb_copy(ctx, LOOKUP_REQ + off, w->key, sizeof(w->key));
}

static __always_inline int check_meta(const struct mdb_meta *m)
{
	if (m->magic != META_MAGIC)
		return -EUCLEAN;
	/* a format of the future, or pages of another size than programs are made for */
	if (m->version != META_VERSION || m->free.page_size != PAGE)
		return -EOPNOTSUPP;
	return 0;
}

/* Both meta pages are there. Begin with the main database of the newer one. */
static int meta_step(lmdb_ctx *ctx, struct walk *w)
{
	const struct mdb_meta *m, *n;
	int ret;

	m = (const struct mdb_meta *)lmdb_data(ctx, 0);
	n = (const struct mdb_meta *)lmdb_data(ctx, PAGE);
	if (!m || !n)
		return -EFAULT;
	ret = check_meta(m) ?: check_meta(n);
	if (ret)
		return ret;
	if (m->txnid > n->txnid)
		n = m;
	/* the keys are integers, or in reverse order, or have several values */
	if (n->main.flags)
		return -EOPNOTSUPP;
	return read_root(ctx, w, n->main.root);
}

/* Return the offset of a node, or 0 if the node is not in the page. */
static __always_inline __u32 get_node(const __u8 *p, __u32 i)
{
	__u32 off = at(p, sizeof(struct mdb_page) + 2 * i);

	if (off % 2 || off < sizeof(struct mdb_page) || off > PAGE - NODE_HEADER ||
	    off + NODE_HEADER + at(p, off + 6) > PAGE)
		return 0;
	return off;
}

/* Compare the key with that of a node. */
static int compare(const struct walk *w, const __u8 *p, __u32 node)
{
	__u32 i, len = w->key_len, node_len = at(p, node + 6);
	int diff = 0;

	bpf_for(i, 0, LOOKUP_MAX_KEY) {
		if (i >= len || i >= node_len || diff)
			break;
		diff = w->key[i & LOOKUP_MAX_KEY] -
		       p[(node + NODE_HEADER + i) & (PAGE - 1)];
	}
	return diff ?: len - node_len;
}

/* Return the index after the last node whose key is not larger, or an error. */
static int search(const struct walk *w, const __u8 *p, __u32 first, __u32 end)
{
	__u32 i, mid, node;

	/* a page has less than 2048 nodes */
	bpf_for(i, 0, 12) {
		if (first >= end)
			break;
		mid = (first + end) / 2;
		node = get_node(p, mid);
		if (!node)
			return -EUCLEAN;
		if (compare(w, p, node) < 0)
			end = mid;
		else
			first = mid + 1;
	}
	return first;
}

/* The record of a named database is at @off. Begin with its tree and the key. */
static __always_inline int enter_database(lmdb_ctx *ctx, struct walk *w, __u32 off)
{
	__u32 len = w->rest_len;
	struct mdb_db db = {};
	int ret;

	ret = lmdb_copy(ctx, off, &db, sizeof(db));
	if (ret)
		return ret;
	if (db.flags)
		return -EOPNOTSUPP;
	w->rest_len = 0;
	return get_key(ctx, w, __builtin_offsetof(struct lookup_req, key), len) ?:
	       read_root(ctx, w, db.root);
}

/* Read a value that does not lie in the leaf, with all of its pages at once. */
static __always_inline int read_value(lmdb_ctx *ctx, struct walk *w, __u32 off)
{
	__u64 page = 0, len;
	int ret;

	ret = lmdb_copy(ctx, off, &page, sizeof(page));
	if (ret)
		return ret;
	if (page < NR_META || page >= MAX_PAGES)
		return -EUCLEAN;
	len = (w->size + sizeof(struct mdb_page) + PAGE - 1) & -PAGE;
	if (len > w->room || len > 0x7ffff000)
		return -EMSGSIZE;
	w->step = VALUE;
	return read_pages(ctx, w, page, LOOKUP_VALUE, len);
}

/* The key is in this node of a leaf. */
static __always_inline int get_value(lmdb_ctx *ctx, struct walk *w, const __u8 *p,
				     __u32 node)
{
	__u32 flags = at(p, node + 4), data = node + NODE_HEADER + at(p, node + 6);
	__u32 size = at(p, node) | at(p, node + 2) << 16;
	bool elsewhere = flags & NODE_OVERFLOW;

	if (data + (elsewhere ? sizeof(__u64) : (__u64)size) > PAGE)
		return -EUCLEAN;
	if (flags & NODE_DUPLICATES)
		return -EOPNOTSUPP;
	if (w->rest_len) {
		/* a record that is no database has this name */
		if (flags != NODE_DATABASE || size != sizeof(struct mdb_db))
			return -EOPNOTSUPP;
		return enter_database(ctx, w, data);
	}
	w->size = size;
	if (elsewhere)
		return read_value(ctx, w, data);
	return found(ctx, w, data);
}

/* A page of the tree is there. Go on with a child, or with the value. */
static int tree_step(lmdb_ctx *ctx, struct walk *w)
{
	const struct mdb_page *h;
	__u32 lower, branch, nr, node;
	const __u8 *p;
	int i;

	p = lmdb_data(ctx, 0);
	if (!p)
		return -EFAULT;
	h = (const struct mdb_page *)p;
	branch = h->flags & PAGE_BRANCH;
	lower = h->lower;
	if (h->page != w->page || lower < sizeof(*h) || lower > PAGE ||
	    (h->flags & (PAGE_OVERFLOW | PAGE_LEAF2)) || !branch == !(h->flags & PAGE_LEAF))
		return -EUCLEAN;
	nr = (lower - sizeof(*h)) / 2;
	/* the key of the first node of a branch is not used */
	i = search(w, p, branch, nr);
	if (i < 0)
		return i;
	node = i ? get_node(p, i - 1) : 0;
	if (branch) {
		if (!nr || !node)
			return -EUCLEAN;
		return read_node_page(ctx, w, at(p, node) | at(p, node + 2) << 16 |
				      (__u64)at(p, node + 4) << 32);
	}
	if (!i || compare(w, p, node))
		return w->rest_len ? -ENXIO : -ENOENT;
	return get_value(ctx, w, p, node);
}

/* The pages of the value are there. */
static int value_step(lmdb_ctx *ctx, struct walk *w)
{
	struct mdb_page h = {};
	int ret;

	ret = lmdb_copy(ctx, LOOKUP_VALUE, &h, sizeof(h));
	if (ret)
		return ret;
	if (h.page != w->page || !(h.flags & PAGE_OVERFLOW) || h.nr_pages < w->len / PAGE)
		return -EUCLEAN;
	return found(ctx, w, LOOKUP_VALUE + sizeof(h));
}

/* A read has ended with this result. Issue the next one, or end. Return 0 or an error. */
static __always_inline int step(lmdb_ctx *ctx, struct walk *w, __s32 res)
{
	if (res < 0)
		return res;
	/* the file ends before, and the page was not there to be pointed to */
	if (res != w->len)
		return -EUCLEAN;
	if (w->step == META)
		return meta_step(ctx, w);
	if (w->step == TREE)
		return tree_step(ctx, w);
	return value_step(ctx, w);
}

#endif
