// SPDX-License-Identifier: GPL-2.0
/* The format of a database file, and the lock that keeps writers out */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lookup_file.h"
#include "lookup_table.h"

/* The magic number of LMDB follows the header of the page. */
#define LMDB_MAGIC	0xbeefc0de
#define LMDB_MAGIC_AT	16

int lookup_identify(const char *path, enum lookup_format *format)
{
	unsigned char head[LMDB_MAGIC_AT + 4];
	__u32 magic;
	ssize_t ret;
	int fd;

	/* not the file of the lookups, whose reads have to be aligned */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = pread(fd, head, sizeof(head), 0);
	if (ret < 0)
		ret = -errno;
	close(fd);
	if (ret < 0)
		return ret;
	if (ret != sizeof(head))
		return -EUCLEAN;
	if (!memcmp(head, "SQLite format 3", 16)) {
		*format = LOOKUP_SQLITE;
		return 0;
	}
	memcpy(&magic, head + LMDB_MAGIC_AT, sizeof(magic));
	if (magic != LMDB_MAGIC)
		return -EUCLEAN;
	*format = LOOKUP_LMDB;
	return 0;
}

/* Open the file in whose first byte a process has a lock while the database is open. */
static int open_lock(const char *path, const char *suffix)
{
	char name[4096];
	int fd;

	if (snprintf(name, sizeof(name), "%s%s", path, suffix) >= sizeof(name))
		return -ENAMETOOLONG;
	/* for reading and writing: only then is an exclusive lock granted */
	fd = open(name, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * A writer reuses the pages of old transactions for which no reader is registered in the
 * lock file. A lookup does not register, so the database must not be open elsewhere.
 * The lock that a process takes to be the first one keeps out all others.
 */
static int lock_lmdb(const char *path, int *lock_fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	const char *base = strrchr(path, '/');
	int fd, ret;

	/* a database with a folder of its own, or without */
	base = base ? base + 1 : path;
	if (!strcmp(base, "data.mdb")) {
		char dir[4096];

		snprintf(dir, sizeof(dir), "%.*s", (int)(base - path), path);
		fd = open_lock(dir, "lock.mdb");
	} else {
		fd = open_lock(path, "-lock");
	}
	/* without a lock file, no process has opened the database at this path */
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	/* a lock of the open file, not of the process, which may use the library as well */
	if (fcntl(fd, F_OFD_SETLK, &lock)) {
		ret = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
		close(fd);
		return ret;
	}
	*lock_fd = fd;
	return 0;
}

/* Lookups are readers like others. */
static int lock_sqlite(const char *path, int *lock_fd)
{
	*lock_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *lock_fd < 0 ? -errno : sqlite_lock(*lock_fd, path);
}

int lookup_lock(enum lookup_format format, const char *path, int *fd)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	/* a copy on a device has no lock */
	if (!S_ISREG(st.st_mode))
		return 0;
	return format == LOOKUP_SQLITE ? lock_sqlite(path, fd) : lock_lmdb(path, fd);
}
