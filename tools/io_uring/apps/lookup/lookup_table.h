/* SPDX-License-Identifier: GPL-2.0 */
/* The tables of a SQLite file */
#ifndef IOU_LOOKUP_TABLE_H
#define IOU_LOOKUP_TABLE_H

#include "lookup.h"

struct sqlite_file {
	unsigned int	page_size;
	/* bytes of a page, without those that are reserved */
	unsigned int	usable;
};

/* Read the header of the file. Return 0 or a negative error. */
int sqlite_header(int fd, struct sqlite_file *file);
/*
 * Call @fn for each rowid of the table of tables, until it returns something else than 0.
 * Return that, or 0, or a negative error.
 */
int sqlite_tables(int fd, const struct sqlite_file *file,
		  int (*fn)(void *arg, int64_t rowid), void *arg);
/*
 * Take the lock of a reader. Return 0, -EBUSY if a process writes, or if a journal has to
 * be applied to the file first, or another negative error.
 */
int sqlite_lock(int fd, const char *path);

#endif
