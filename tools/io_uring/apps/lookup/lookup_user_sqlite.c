// SPDX-License-Identifier: GPL-2.0
/* What lookup_sqlite.bpf.c does, by the application */
#include <errno.h>
#include <string.h>

#include "lookup_record.h"
#include "lookup_sqlite.h"
#include "lookup_user.h"

static unsigned int get_u16(const unsigned char *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t get_u32(const unsigned char *p)
{
	return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}

static int read_page(struct user_walk *w, uint32_t page)
{
	unsigned int size = w->req->page_size;

	if (!page)
		return -EUCLEAN;
	w->page = page;
	return user_read(w, (uint64_t)(page - 1) * size, 0, size);
}

static int read_tree(struct user_walk *w, uint32_t page)
{
	if (w->depth++ >= LOOKUP_MAX_DEPTH)
		return -EUCLEAN;
	return read_page(w, page);
}

int user_sqlite_begin(struct user_walk *w)
{
	return read_tree(w, w->req->root);
}

static int64_t wanted(const struct user_walk *w)
{
	int64_t rowid;

	memcpy(&rowid, w->req->key, sizeof(rowid));
	return rowid;
}

/* The begin of a cell: where it ends, and what it has */
struct cell {
	unsigned int	end;
	uint32_t	child;
	uint64_t	size;
	int64_t		rowid;
};

/* Decode cell @i, the offsets of cells being at @cells. */
static int get_cell(const struct user_walk *w, unsigned int cells, unsigned int i, bool leaf,
		    struct cell *cell)
{
	const unsigned char *p = (const unsigned char *)w->mem;
	unsigned int usable = w->req->usable, off = get_u16(p + cells + 2 * i);
	uint64_t rowid;
	size_t len;

	if (off < cells || off >= usable)
		return -EUCLEAN;
	if (leaf) {
		len = lookup_varint(p + off, usable - off, &cell->size);
	} else {
		len = off + 4 > usable ? 0 : 4;
		cell->child = get_u32(p + off);
	}
	if (!len)
		return -EUCLEAN;
	cell->end = off + len;
	len = lookup_varint(p + cell->end, usable - cell->end, &rowid);
	cell->end += len;
	cell->rowid = rowid;
	return len ? 0 : -EUCLEAN;
}

/* Return the first cell with this rowid or a larger one, @nr if there is none, or an error. */
static int search(const struct user_walk *w, unsigned int cells, unsigned int nr, bool leaf)
{
	unsigned int first = 0, end = nr;
	struct cell cell;

	while (first < end) {
		unsigned int mid = (first + end) / 2;

		if (get_cell(w, cells, mid, leaf, &cell))
			return -EUCLEAN;
		if (cell.rowid < wanted(w))
			first = mid + 1;
		else
			end = mid;
	}
	return first;
}

static void copy(struct user_walk *w, unsigned int from, uint64_t len)
{
	memcpy(w->mem + LOOKUP_VALUE + w->got, w->mem + from, len);
	w->got += len;
}

/* Return how many bytes of a record are in its cell. */
static uint64_t local_size(const struct user_walk *w, uint64_t size)
{
	unsigned int usable = w->req->usable, max = usable - 35;
	unsigned int min = (usable - 12) * 32 / 255 - 23;
	uint64_t local = size;

	if (size > max)
		local = min + (size - min) % (usable - 4);
	return local > max ? min : local;
}

static int get_record(struct user_walk *w, const struct cell *cell)
{
	uint64_t len = local_size(w, cell->size);

	if (cell->rowid != wanted(w))
		return -ENOENT;
	if (cell->size > 0x7fffffff ||
	    cell->end + len + (len < cell->size ? 4 : 0) > w->req->usable)
		return -EUCLEAN;
	if (len == cell->size)
		return user_found(w, cell->end, len);
	w->req->size = cell->size;
	if (cell->size > w->req->room)
		return -EMSGSIZE;
	copy(w, cell->end, len);
	return read_page(w, get_u32((unsigned char *)w->mem + cell->end + len));
}

static int tree_step(struct user_walk *w)
{
	unsigned int header = w->page == 1 ? FILE_HEADER : 0, cells, nr;
	const unsigned char *h = (const unsigned char *)w->mem + header;
	bool leaf = h[0] == TABLE_LEAF;
	struct cell cell;
	int i;

	if (w->depth == 1 && (h[0] == INDEX_INTERIOR || h[0] == INDEX_LEAF))
		return -EOPNOTSUPP;
	if (!leaf && h[0] != TABLE_INTERIOR)
		return -EUCLEAN;
	cells = header + (leaf ? LEAF_HEADER : INTERIOR_HEADER);
	nr = get_u16(h + 3);
	if (cells + 2 * nr > w->req->usable)
		return -EUCLEAN;
	i = search(w, cells, nr, leaf);
	if (i < 0)
		return i;
	if (i == nr)
		return leaf ? -ENOENT : read_tree(w, get_u32(h + 8));
	if (get_cell(w, cells, i, leaf, &cell))
		return -EUCLEAN;
	return leaf ? get_record(w, &cell) : read_tree(w, cell.child);
}

static int record_step(struct user_walk *w)
{
	uint64_t left = w->req->size - w->got;
	unsigned int len = w->req->usable - 4;

	copy(w, 4, left < len ? left : len);
	if (w->got == w->req->size)
		return user_found(w, LOOKUP_VALUE, w->got);
	return read_page(w, get_u32((unsigned char *)w->mem));
}

int user_sqlite_step(struct user_walk *w)
{
	return w->got ? record_step(w) : tree_step(w);
}
