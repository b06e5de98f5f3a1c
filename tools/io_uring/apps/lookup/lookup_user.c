// SPDX-License-Identifier: GPL-2.0
/* A lookup by the application */
#include <errno.h>
#include <string.h>

#include "lookup_user.h"

int user_begin(struct user_walk *w, enum lookup_format format, char *mem)
{
	memset(w, 0, sizeof(*w));
	w->format = format;
	w->mem = mem;
	w->req = (struct lookup_req *)(mem + LOOKUP_REQ);
	return format == LOOKUP_SQLITE ? user_sqlite_begin(w) : user_lmdb_begin(w);
}

int user_step(struct user_walk *w, int res)
{
	if (res < 0)
		return res;
	/* the file ends before, and the page was not there to be pointed to */
	if (res != w->len)
		return -EUCLEAN;
	return w->format == LOOKUP_SQLITE ? user_sqlite_step(w) : user_lmdb_step(w);
}
