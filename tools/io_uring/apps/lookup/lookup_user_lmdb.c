// SPDX-License-Identifier: GPL-2.0
/* What lookup_lmdb.bpf.c does, by the application */
#include <errno.h>
#include <string.h>
#include <linux/types.h>

#include "lookup_lmdb.h"
#include "lookup_user.h"

enum { META, TREE, VALUE };

static unsigned int get_u16(const char *p)
{
	__u16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Of the children of a branch, 48 bits, and of the size of a value */
static uint64_t get_number(const char *node, unsigned int nr)
{
	uint64_t v = 0;

	while (nr--)
		v = v << 16 | get_u16(node + 2 * nr);
	return v;
}

static int read_tree(struct user_walk *w, uint64_t page)
{
	if (page < NR_META || page >= MAX_PAGES || w->depth++ >= LOOKUP_MAX_DEPTH)
		return -EUCLEAN;
	w->step = TREE;
	w->page = page;
	return user_read(w, page * PAGE, 0, PAGE);
}

static int read_root(struct user_walk *w, uint64_t root)
{
	if (root == NO_PAGE)
		return w->in_names ? -ENXIO : -ENOENT;
	w->depth = 0;
	return read_tree(w, root);
}

int user_lmdb_begin(struct user_walk *w)
{
	if (!w->req->key_len)
		return -EINVAL;
	w->in_names = w->req->name_len;
	if (w->req->root)
		return read_root(w, w->req->root);
	w->step = META;
	return user_read(w, 0, 0, NR_META * PAGE);
}

static int meta_step(struct user_walk *w)
{
	const struct mdb_meta *newer = NULL;

	for (int i = 0; i < NR_META; i++) {
		const struct mdb_meta *m = (const struct mdb_meta *)(w->mem + i * PAGE);

		if (m->magic != META_MAGIC)
			return -EUCLEAN;
		if (m->version != META_VERSION || m->free.page_size != PAGE)
			return -EOPNOTSUPP;
		if (!newer || m->txnid >= newer->txnid)
			newer = m;
	}
	if (newer->main.flags)
		return -EOPNOTSUPP;
	return read_root(w, newer->main.root);
}

/* Return node @i, or NULL if it is not in the page. */
static const char *get_node(const char *p, unsigned int i)
{
	unsigned int off = get_u16(p + sizeof(struct mdb_page) + 2 * i);

	if (off % 2 || off < sizeof(struct mdb_page) || off > PAGE - NODE_HEADER ||
	    off + NODE_HEADER + get_u16(p + off + 6) > PAGE)
		return NULL;
	return p + off;
}

static int compare(const struct user_walk *w, const char *node)
{
	unsigned int len = w->in_names ? w->req->name_len : w->req->key_len;
	unsigned int node_len = get_u16(node + 6);
	int diff = memcmp(w->in_names ? w->req->name : w->req->key, node + NODE_HEADER,
			  len < node_len ? len : node_len);

	return diff ?: len - node_len;
}

/* Return the index after the last node whose key is not larger, or an error. */
static int search(const struct user_walk *w, const char *p, unsigned int first,
		  unsigned int end)
{
	while (first < end) {
		unsigned int mid = (first + end) / 2;
		const char *node = get_node(p, mid);

		if (!node)
			return -EUCLEAN;
		if (compare(w, node) < 0)
			end = mid;
		else
			first = mid + 1;
	}
	return first;
}

/* The key is in this node of a leaf. */
static int get_value(struct user_walk *w, const char *node)
{
	unsigned int flags = get_u16(node + 4);
	const char *data = node + NODE_HEADER + get_u16(node + 6);
	uint64_t size = get_number(node, 2), page, len;
	struct mdb_db db;

	if (data - w->mem + (flags & NODE_OVERFLOW ? sizeof(page) : size) > PAGE)
		return -EUCLEAN;
	if (flags & NODE_DUPLICATES)
		return -EOPNOTSUPP;
	if (w->in_names) {
		if (flags != NODE_DATABASE || size != sizeof(db))
			return -EOPNOTSUPP;
		memcpy(&db, data, sizeof(db));
		w->in_names = false;
		return db.flags ? -EOPNOTSUPP : read_root(w, db.root);
	}
	if (!(flags & NODE_OVERFLOW))
		return user_found(w, data - w->mem, size);
	memcpy(&page, data, sizeof(page));
	if (page < NR_META || page >= MAX_PAGES)
		return -EUCLEAN;
	w->req->size = size;
	len = (size + sizeof(struct mdb_page) + PAGE - 1) & -PAGE;
	if (len > w->req->room || len > 0x7ffff000)
		return -EMSGSIZE;
	w->step = VALUE;
	w->page = page;
	return user_read(w, page * PAGE, LOOKUP_VALUE, len);
}

static int tree_step(struct user_walk *w)
{
	const struct mdb_page *h = (const struct mdb_page *)w->mem;
	bool branch = h->flags & PAGE_BRANCH;
	const char *node;
	unsigned int nr;
	int i;

	if (h->page != w->page || h->lower < sizeof(*h) || h->lower > PAGE ||
	    (h->flags & (PAGE_OVERFLOW | PAGE_LEAF2)) || branch == !!(h->flags & PAGE_LEAF))
		return -EUCLEAN;
	nr = (h->lower - sizeof(*h)) / 2;
	i = search(w, w->mem, branch, nr);
	if (i < 0)
		return i;
	node = i ? get_node(w->mem, i - 1) : NULL;
	if (branch)
		return nr && node ? read_tree(w, get_number(node, 3)) : -EUCLEAN;
	if (!node || compare(w, node))
		return w->in_names ? -ENXIO : -ENOENT;
	return get_value(w, node);
}

static int value_step(struct user_walk *w)
{
	const struct mdb_page *h = (const struct mdb_page *)(w->mem + LOOKUP_VALUE);

	if (h->page != w->page || !(h->flags & PAGE_OVERFLOW) || h->nr_pages < w->len / PAGE)
		return -EUCLEAN;
	return user_found(w, LOOKUP_VALUE + sizeof(*h), w->req->size);
}

int user_lmdb_step(struct user_walk *w)
{
	if (w->step == META)
		return meta_step(w);
	return w->step == TREE ? tree_step(w) : value_step(w);
}
