// SPDX-License-Identifier: GPL-2.0
/* What a lookup in a SQLite file needs: the header, the list of the tables, and a lock */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lookup_record.h"
#include "lookup_sqlite.h"
#include "lookup_table.h"

#define AT_PAGE_SIZE	16
#define AT_VERSIONS	18
#define AT_RESERVED	20
#define AT_ENCODING	56

/* bytes of the file that are locked */
#define PENDING		0x40000000
#define RESERVED	(PENDING + 1)
#define SHARED		(PENDING + 2)
#define SHARED_SIZE	510

static unsigned int get_u16(const unsigned char *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t get_u32(const unsigned char *p)
{
	return (uint32_t)get_u16(p) << 16 | get_u16(p + 2);
}

int sqlite_header(int fd, struct sqlite_file *file)
{
	unsigned char h[FILE_HEADER];
	ssize_t ret = pread(fd, h, sizeof(h), 0);

	if (ret < 0)
		return -errno;
	if (ret != sizeof(h) || memcmp(h, "SQLite format 3", 16))
		return -EUCLEAN;
	/* 2: a write-ahead log has a part of the pages. Names are compared as UTF-8. */
	if (h[AT_VERSIONS] != 1 || h[AT_VERSIONS + 1] != 1 || get_u32(h + AT_ENCODING) > 1)
		return -EOPNOTSUPP;
	file->page_size = get_u16(h + AT_PAGE_SIZE);
	if (file->page_size == 1)
		file->page_size = 65536;
	file->usable = file->page_size - h[AT_RESERVED];
	if (file->page_size < 512 || (file->page_size & (file->page_size - 1)) ||
	    file->usable < 480)
		return -EUCLEAN;
	return 0;
}

struct scan {
	int			fd;
	const struct sqlite_file *file;
	int			(*fn)(void *arg, int64_t rowid);
	void			*arg;
	/* a damaged tree can have more, or none at all */
	unsigned int		pages_left;
};

static int scan_page(struct scan *s, uint32_t page, unsigned int depth);

static int scan_cell(struct scan *s, const unsigned char *cell, size_t size, bool leaf,
		     unsigned int depth)
{
	uint64_t len, rowid;
	size_t at;

	if (!leaf)
		return size < 4 ? -EUCLEAN : scan_page(s, get_u32(cell), depth + 1);
	at = lookup_varint(cell, size, &len);
	if (!at || !lookup_varint(cell + at, size - at, &rowid))
		return -EUCLEAN;
	return s->fn(s->arg, rowid);
}

static int scan_cells(struct scan *s, const unsigned char *p, unsigned int header,
		      unsigned int depth)
{
	unsigned int usable = s->file->usable, nr = get_u16(p + header + 3), off;
	bool leaf = p[header] == TABLE_LEAF;
	unsigned int cells = header + (leaf ? LEAF_HEADER : INTERIOR_HEADER);
	int ret = 0;

	if ((!leaf && p[header] != TABLE_INTERIOR) || cells + 2 * nr > usable)
		return -EUCLEAN;
	for (unsigned int i = 0; !ret && i < nr; i++) {
		off = get_u16(p + cells + 2 * i);
		if (off >= usable)
			return -EUCLEAN;
		ret = scan_cell(s, p + off, usable - off, leaf, depth);
	}
	if (!ret && !leaf)
		ret = scan_page(s, get_u32(p + header + 8), depth + 1);
	return ret;
}

static int scan_page(struct scan *s, uint32_t page, unsigned int depth)
{
	unsigned int size = s->file->page_size;
	unsigned char *p;
	ssize_t ret;

	if (!page || depth >= LOOKUP_MAX_DEPTH || !s->pages_left--)
		return -EUCLEAN;
	p = malloc(size);
	if (!p)
		return -ENOMEM;
	ret = pread(s->fd, p, size, (off_t)(page - 1) * size);
	if (ret < 0)
		ret = -errno;
	else if (ret != size)
		ret = -EUCLEAN;
	else
		ret = scan_cells(s, p, page == 1 ? FILE_HEADER : 0, depth);
	free(p);
	return ret;
}

int sqlite_tables(int fd, const struct sqlite_file *file,
		  int (*fn)(void *arg, int64_t rowid), void *arg)
{
	struct scan s = { .fd = fd, .file = file, .fn = fn, .arg = arg };
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return -errno;
	s.pages_left = end / file->page_size;
	return scan_page(&s, 1, 0);
}

static int set_lock(int fd, int op, short type, off_t start, off_t len, short *found)
{
	struct flock lock = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len,
	};

	/* a lock of the open file, not of the process */
	if (fcntl(fd, op, &lock))
		return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	if (found)
		*found = lock.l_type;
	return 0;
}

/* Return true if a file begins with something else than 0. */
static bool has_content(const char *path, const char *suffix)
{
	char name[4096], first = 0;
	int fd;

	if (snprintf(name, sizeof(name), "%s%s", path, suffix) >= sizeof(name))
		return false;
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, &first, 1) != 1)
		first = 0;
	close(fd);
	return first;
}

int sqlite_lock(int fd, const char *path)
{
	short other = F_UNLCK;
	int ret;

	/* a writer that waits for the readers to end holds this one */
	ret = set_lock(fd, F_OFD_SETLK, F_RDLCK, PENDING, 1, NULL) ?:
	      set_lock(fd, F_OFD_SETLK, F_RDLCK, SHARED, SHARED_SIZE, NULL) ?:
	      set_lock(fd, F_OFD_SETLK, F_UNLCK, PENDING, 1, NULL) ?:
	      set_lock(fd, F_OFD_GETLK, F_WRLCK, RESERVED, 1, &other);
	if (ret)
		return ret;
	/*
	 * The journal of a transaction that has been interrupted. If its writer is there, it
	 * has not yet changed the file, and cannot until we release the lock.
	 */
	if (other == F_UNLCK && has_content(path, "-journal"))
		return -EBUSY;
	return has_content(path, "-wal") ? -EBUSY : 0;
}
