// SPDX-License-Identifier: GPL-2.0
/* iou-lookup with damaged and unknown files of SQLite: errors, and no more */
#include "iou_bpf.h"

#include <endian.h>

#include "kselftest_harness.h"
#include "lookup.h"
#include "lookup_record.h"
#include "lookup_sqlite3.h"

#define PAGE		1024
#define NR_KEYS		1000
/* makes room of three pages of memory */
#define MAX_VALUE	12000
/* a tree, and the pages of a record */
#define MAX_READS	(LOOKUP_MAX_DEPTH + 1 + 3 * 4096 / (PAGE - 4))
#include "lookup_bad.h"

/* rowids with long records, and a size that takes several pages */
#define LONG_EVERY	100
#define LONG_SIZE	9000

/* offsets in the file, and in a page of the tree */
#define FILE_VERSION	18
#define FILE_PAGE_SIZE	16
#define NR_CELLS	3
#define RIGHT		8

/* types of pages */
#define INDEX_LEAF	10
#define INTERIOR	5
#define LEAF		13

static void __attribute__((constructor)) begin(void)
{
	lookup_begin(LOOKUP_SQLITE);
}

FIXTURE(lookup_sqlite_bad) {
	char path[256];
	int fd;
	struct lookup *lookup;
	/* the page with the root of the table */
	unsigned int root;
	unsigned char page[PAGE];
};

static int bad_insert(void *db)
{
	static char value[LONG_SIZE];
	void *stmt;
	int ret;

	ret = sqlite3.prepare_v2(db, "INSERT INTO data VALUES (?, ?)", -1, &stmt, NULL);
	for (int64_t i = 0; !ret && i < NR_KEYS; i++) {
		memset(value, i, sizeof(value));
		ret = sqlite3.bind_int64(stmt, 1, i) ?:
		      sqlite3.bind_blob(stmt, 2, value, i % LONG_EVERY ? i % 80 : LONG_SIZE,
					NULL);
		if (!ret && sqlite3.step(stmt) != SQLITE_DONE)
			ret = -EIO;
		sqlite3.reset(stmt);
	}
	sqlite3.finalize(stmt);
	return ret;
}

static int bad_fill(const char *path, unsigned int *root)
{
	void *db, *stmt;
	int ret;

	ret = sqlite3.open(path, &db) ?:
	      sqlite3.exec(db, "PRAGMA page_size = 1024; PRAGMA synchronous = OFF; BEGIN; "
			   "CREATE TABLE data (id INTEGER PRIMARY KEY, value BLOB)", NULL,
			   NULL, NULL) ?:
	      bad_insert(db) ?: sqlite3.exec(db, "COMMIT", NULL, NULL, NULL) ?:
	      sqlite3.prepare_v2(db, "SELECT rootpage FROM sqlite_master", -1, &stmt, NULL);
	if (!ret) {
		ret = sqlite3.step(stmt) == SQLITE_ROW ? 0 : -EIO;
		*root = sqlite3.column_int64(stmt, 0);
		sqlite3.finalize(stmt);
	}
	sqlite3.close(db);
	return ret;
}

FIXTURE_SETUP(lookup_sqlite_bad)
{
	IOU_REQUIRE();
	if (!sqlite3_load())
		SKIP(return, "no libsqlite3.so.0");
	ASSERT_NE(0, *dir);
	snprintf(self->path, sizeof(self->path), "%s/db", dir);
	ASSERT_EQ(0, bad_fill(self->path, &self->root));
	self->fd = open(self->path, O_RDWR);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, bad_open(self->path, "data", &self->lookup));
}

FIXTURE_TEARDOWN(lookup_sqlite_bad)
{
	if (self->lookup)
		lookup_close(self->lookup);
	if (self->fd <= 0)
		return;
	close(self->fd);
	unlink(self->path);
}

/* Look up @n. */
#define bad_lookup_in(lookup, n, r) do {					\
	int64_t __rowid = (n);							\
										\
	ASSERT_EQ(0, lookup_queue(lookup, 0, &__rowid, sizeof(__rowid)));	\
	bad_wait(lookup, r);							\
} while (0)

/* The result is an error, or the size of a value. */
#define bad_expect(n, expected) do {						\
	struct lookup_column __column;						\
	struct lookup_result __r;						\
										\
	bad_lookup(n, &__r);							\
	if (__r.res >= 0) {							\
		ASSERT_EQ(0, lookup_column(__r.value, __r.size, 1, &__column));	\
		__r.res = __column.size;					\
	}									\
	ASSERT_EQ(expected, __r.res);						\
} while (0)

static unsigned int get_u16(const unsigned char *p)
{
	return p[0] << 8 | p[1];
}

static unsigned int get_u32(const unsigned char *p)
{
	return get_u16(p) << 16 | get_u16(p + 2);
}

/* Read page @nr. Return its number of cells. */
static unsigned int get_page(FIXTURE_DATA(lookup_sqlite_bad) *self, unsigned int nr)
{
	if (pread(self->fd, self->page, PAGE, (nr - 1) * PAGE) != PAGE)
		return 0;
	return get_u16(self->page + NR_CELLS);
}

/* Return the offset of cell @i of an interior page or a leaf. */
static unsigned int get_cell(FIXTURE_DATA(lookup_sqlite_bad) *self, unsigned int i)
{
	return get_u16(self->page + (self->page[0] == LEAF ? 8 : 12) + 2 * i);
}

/* Return the leaf with the smallest rowids. */
static unsigned int first_leaf(FIXTURE_DATA(lookup_sqlite_bad) *self)
{
	unsigned int page = self->root;

	while (get_page(self, page) && self->page[0] == INTERIOR)
		page = get_u32(self->page + get_cell(self, 0));
	return page;
}

/* Return where the number of the first page of the rest of record 0 is. */
static unsigned int first_rest(FIXTURE_DATA(lookup_sqlite_bad) *self)
{
	unsigned int leaf = first_leaf(self), cell = get_cell(self, 0);
	uint64_t size, rowid, local, min = (PAGE - 12) * 32 / 255 - 23;
	unsigned int at = cell;

	at += lookup_varint(self->page + at, 9, &size);
	at += lookup_varint(self->page + at, 9, &rowid);
	local = min + (size - min) % (PAGE - 4);
	if (local > PAGE - 35)
		local = min;
	return (leaf - 1) * PAGE + at + local;
}

TEST_F(lookup_sqlite_bad, sound)
{
	bad_expect(0, LONG_SIZE);
	bad_expect(79, 79);
	bad_expect(80, 0);
	bad_expect(NR_KEYS - 1, (NR_KEYS - 1) % 80);
	bad_expect(NR_KEYS, -ENOENT);
	bad_expect(-1, -ENOENT);
}

TEST_F(lookup_sqlite_bad, page)
{
	unsigned int root = (self->root - 1) * PAGE, leaf;

	leaf = (first_leaf(self) - 1) * PAGE;
	ASSERT_NE(root, leaf);
	/* another type; at the root, that of a table without rowids */
	bad_change(1, (__u8)0, root, -EUCLEAN);
	bad_change(1, (__u8)INDEX_LEAF, root, -EOPNOTSUPP);
	bad_change(1, (__u8)INDEX_LEAF, leaf, -EUCLEAN);
	/* more cells than can be there, and none */
	bad_change(1, (__u16)0xffff, leaf + NR_CELLS, -EUCLEAN);
	bad_change(1, (__u16)0, leaf + NR_CELLS, -ENOENT);
	/* cells where none can be */
	bad_change(0, (__u16)0, leaf + 8, -EUCLEAN);
	bad_change(0, (__u16)0xffff, leaf + 8, -EUCLEAN);
	bad_change(0, (__u16)htobe16(PAGE - 1), leaf + 8, -EUCLEAN);
	bad_change(0, (__u16)0, root + 12, -EUCLEAN);
	bad_change(0, (__u16)htobe16(PAGE - 3), root + 12, -EUCLEAN);
	bad_expect(0, LONG_SIZE);
}

TEST_F(lookup_sqlite_bad, child)
{
	unsigned int root = (self->root - 1) * PAGE, cell;

	get_page(self, self->root);
	ASSERT_EQ(INTERIOR, self->page[0]);
	cell = root + get_cell(self, 0);
	bad_change(1, 0U, cell, -EUCLEAN);
	bad_change(1, ~0U, cell, -EUCLEAN);
	bad_change(1, (__u32)htobe32(100000), cell, -EUCLEAN);
	bad_change(NR_KEYS, 0U, root + RIGHT, -EUCLEAN);
	bad_expect(1, 1);
}

TEST_F(lookup_sqlite_bad, endless)
{
	unsigned int root = (self->root - 1) * PAGE;
	struct lookup_result r;

	get_page(self, self->root);
	bad_write((__u32)htobe32(self->root), root + get_cell(self, 0));
	bad_lookup(1, &r);
	ASSERT_EQ(-EUCLEAN, r.res);
	ASSERT_EQ(LOOKUP_MAX_DEPTH, r.reads);
}

TEST_F(lookup_sqlite_bad, rest)
{
	unsigned int rest = first_rest(self), page, leaf;
	struct lookup_result r;

	leaf = (first_leaf(self) - 1) * PAGE + get_cell(self, 0);
	ASSERT_EQ(4, pread(self->fd, &page, 4, rest));
	page = be32toh(page);
	ASSERT_LT(1, page);
	bad_change(0, 0U, rest, -EUCLEAN);
	bad_change(0, ~0U, rest, -EUCLEAN);
	bad_change(0, 0U, (page - 1) * PAGE, -EUCLEAN);
	/* no room, and a size that is no number of bytes */
	bad_change(0, (__u16)htobe16(0xff7f), leaf, -EMSGSIZE);
	bad_change(0, ~0ULL, leaf, -EUCLEAN);
	/* endless, but for the size of the record */
	bad_write((__u32)htobe32(page), (page - 1) * PAGE);
	bad_lookup(0, &r);
	ASSERT_LT(LONG_SIZE, r.res);
}

TEST_F(lookup_sqlite_bad, truncated)
{
	ASSERT_EQ(0, ftruncate(self->fd, (self->root - 1) * PAGE + 100));
	bad_expect(1, -EUCLEAN);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	bad_expect(1, -EUCLEAN);
}

/* Bytes of each page on the way to a record, in turn: a random result, in bounded reads */
TEST_F_TIMEOUT(lookup_sqlite_bad, each_byte, 3600)
{
	unsigned int pages[3] = { self->root, first_leaf(self), 0 }, changed = 0;
	struct lookup_result sound;
	struct lookup *plain;

	ASSERT_EQ(0, bad_open_way(self->path, "data", LOOKUP_PREAD, &plain));

	ASSERT_EQ(4, pread(self->fd, &pages[2], 4, first_rest(self)));
	pages[2] = be32toh(pages[2]);
	bad_lookup(0, &sound);
	for (int i = 0; i < 3 * PAGE; i += lookup_long() || i % PAGE < 24 ? 1 : 37) {
		unsigned int off = (pages[i / PAGE] - 1) * PAGE + i % PAGE;

		bad_change_byte(0, plain, off, sound.res, changed);
	}
	lookup_close(plain);
	/* and it mattered */
	ASSERT_LT(15, changed);
	bad_expect(0, LONG_SIZE);
}

/* What is no database, or has a write-ahead log, is found at once. */
TEST_F(lookup_sqlite_bad, header)
{
	struct lookup *l;

	lookup_close(self->lookup);
	self->lookup = NULL;
	ASSERT_EQ(-EINVAL, bad_open(self->path, NULL, &l));
	ASSERT_EQ(-ENXIO, bad_open(self->path, "dat", &l));
	bad_write((__u8)2, FILE_VERSION);
	ASSERT_EQ(-EOPNOTSUPP, bad_open(self->path, "data", &l));
	bad_write((__u8)1, FILE_VERSION);
	bad_write((__u16)htobe16(1000), FILE_PAGE_SIZE);
	ASSERT_EQ(-EUCLEAN, bad_open(self->path, "data", &l));
	bad_write((__u16)htobe16(256), FILE_PAGE_SIZE);
	ASSERT_EQ(-EUCLEAN, bad_open(self->path, "data", &l));
	bad_write((__u16)htobe16(PAGE), FILE_PAGE_SIZE);
	/* the list of the tables is a table, too */
	bad_write((__u8)LEAF, 100);
	bad_write((__u16)0xffff, 100 + NR_CELLS);
	ASSERT_EQ(-EUCLEAN, bad_open(self->path, "data", &l));
	bad_write((__u8)INTERIOR, 100);
	bad_write((__u16)0, 100 + NR_CELLS);
	bad_write((__u32)htobe32(1), 100 + RIGHT);
	ASSERT_EQ(-EUCLEAN, bad_open(self->path, "data", &l));
}

TEST_F(lookup_sqlite_bad, keys)
{
	struct lookup_result r;

	ASSERT_EQ(-EINVAL, lookup_queue(self->lookup, 0, "1", 1));
	ASSERT_EQ(-EAGAIN, lookup_wait(self->lookup, &r));
}

TEST_HARNESS_MAIN
