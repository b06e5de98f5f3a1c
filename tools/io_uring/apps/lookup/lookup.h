/* SPDX-License-Identifier: GPL-2.0 */
/* Lookups in a database file, each with one request of io_uring */
#ifndef IOU_LOOKUP_H
#define IOU_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#include "lookup_area.h"

/* Of each lookup in flight, beside its value. In all, see RLIMIT_MEMLOCK. */
#define LOOKUP_MAX_VALUE	(1U << 30)
#define LOOKUP_MAX_QUEUE	1024

enum lookup_format {
	LOOKUP_AUTO,
	LOOKUP_LMDB,
	LOOKUP_SQLITE,
};

/* What issues the reads of a lookup. All but the first one are there for comparison. */
enum lookup_way {
	/* the program: one request for each lookup */
	LOOKUP_FLOW,
	/* the application, by one request for each read */
	LOOKUP_LOOP,
	/* the application, by pread(2): one lookup after the other */
	LOOKUP_PREAD,
};

struct lookup_config {
	const char		*path;
	/* of a named database of LMDB, NULL: the main one; of a table of SQLite */
	const char		*name;
	enum lookup_format	format;
	enum lookup_way		way;
	/* lookups in flight, 0: 1 */
	unsigned int		queue;
	/* room for a value in bytes, 0: 64 KiB */
	size_t			max_value;
	/* of io_uring_setup(2). IORING_SETUP_IOPOLL requires a device that polls. */
	unsigned int		ring_flags;
	/* bypass the page cache, as IORING_SETUP_IOPOLL does */
	bool			direct;
	/*
	 * Open the database even if a process has it open, which must not write. Required
	 * for LMDB if that is this process: otherwise lookup_open() would drop the locks of
	 * the library. For SQLite, lookup_open() and lookup_close() drop them.
	 */
	bool			force;
	/* of lookup_load(), for the format of the file, 0: load a program */
	int			prog_fd;
};

struct lookup_result {
	/* that lookup_queue() has named */
	unsigned int	slot;
	/*
	 * The size of the value, or a negative error:
	 * -ENOENT: there is no such key.
	 * -ENXIO: there is no database with this name. With SQLite, lookup_open() fails.
	 * -EMSGSIZE: the value has ->size bytes, for which there is no room.
	 * -EUCLEAN: the file is damaged, or is no database.
	 * -EOPNOTSUPP: a kind of database that the program does not know.
	 * -EINVAL, -ENAMETOOLONG: the length of the key.
	 * Others are those of the reads.
	 */
	int		res;
	/* valid until the next lookup of the slot */
	const void	*value;
	uint64_t	size;
	/* reads that this took */
	unsigned int	reads;
};

struct lookup;

/*
 * Load the program for a format, to be used for several files, or in a process that may not
 * load programs. Return a file descriptor, or a negative error.
 */
int lookup_load(enum lookup_format format);
/* Open a database for lookups. Return 0 and store it, or return a negative error. */
int lookup_open(const struct lookup_config *config, struct lookup **lookup);
void lookup_close(struct lookup *l);
enum lookup_format lookup_format(const struct lookup *l);

/*
 * Queue a lookup in a slot that has none, 0 to the number of lookups in flight - 1. The
 * key of SQLite is a rowid, an int64_t, and the value a record, see lookup_record.h.
 */
int lookup_queue(struct lookup *l, unsigned int slot, const void *key, size_t len);
/*
 * Get a result. If there is none, submit what is queued, and wait. -EAGAIN: nothing is queued
 * or in flight.
 */
int lookup_wait(struct lookup *l, struct lookup_result *result);

/* System calls and CQEs of all lookups so far */
unsigned long lookup_nr_calls(const struct lookup *l);
unsigned long lookup_nr_cqes(const struct lookup *l);

#endif
