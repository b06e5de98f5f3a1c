/* SPDX-License-Identifier: GPL-2.0 */
/* Lookups by the application, to compare them with those by a program */
#ifndef IOU_LOOKUP_USER_H
#define IOU_LOOKUP_USER_H

#include "lookup.h"

struct user_walk {
	enum lookup_format	format;
	/* of the lookup, see lookup_area.h */
	char			*mem;
	struct lookup_req	*req;
	/* the next read: in the file, in the memory */
	uint64_t		off;
	uint32_t		to, len;
	/* its page, and where the walk is */
	uint64_t		page;
	unsigned int		depth, step;
	/* the tree of this walk has the names of databases */
	bool			in_names;
	/* bytes of a record that goes on in other pages */
	uint64_t		got;
};

/*
 * Begin the lookup in the memory at @mem, or go on after a read with this result. Return 1
 * if the next read is to be done, otherwise the lookup has ended: 0 if the value is there,
 * or a negative error.
 */
int user_begin(struct user_walk *w, enum lookup_format format, char *mem);
int user_step(struct user_walk *w, int res);

/* Of each format. They return the same. */
int user_lmdb_begin(struct user_walk *w);
int user_lmdb_step(struct user_walk *w);
int user_sqlite_begin(struct user_walk *w);
int user_sqlite_step(struct user_walk *w);

/* Set the next read, and return 1. */
static inline int user_read(struct user_walk *w, uint64_t off, uint32_t to, uint32_t len)
{
	w->off = off;
	w->to = to;
	w->len = len;
	w->req->reads++;
	return 1;
}

/* The value is at @off in the memory of the lookup. */
static inline int user_found(struct user_walk *w, uint64_t off, uint64_t size)
{
	w->req->off = off;
	w->req->size = size;
	return 0;
}

#endif
