// SPDX-License-Identifier: GPL-2.0
/* iou-lookup finds in files of SQLite what the library finds, on different devices. */
#include "iou_bpf.h"

#include "kselftest_harness.h"
#include "lookup.h"
#include "lookup_record.h"
#include "lookup_sqlite3.h"
#include "lookup_test.h"

#define QUEUE		4
#define MAX_VALUE	(1 << 20)
/* a record has a header before its value */
#define MAX_RECORD	(MAX_VALUE + 64)

static void __attribute__((constructor)) begin(void)
{
	lookup_begin(LOOKUP_SQLITE);
}

FIXTURE(lookup_sqlite) {
	char path[256];
	void *db, *get;
	struct lookup *lookup;
};

FIXTURE_VARIANT(lookup_sqlite) {
	/* the file */
	const char *file;
	unsigned int page_size, nr, depth;
	/* the smallest value, unless they are long */
	unsigned int size;
	bool long_values;
	/* takes long to make */
	bool huge;
	LOOKUP_PLACE;
};

#define FILE_SHORT	.file = "short", .page_size = 4096, .nr = 10000, .depth = 2
#define FILE_DEEP	.file = "deep", .page_size = 512, .nr = 8000, .depth = 4,	\
			.size = 100
/* about one record in a page */
#define FILE_DEEPER	.file = "deeper", .page_size = 512, .nr = 60000, .depth = 5,	\
			.size = 420, .huge = true
#define FILE_VALUES	.file = "values", .page_size = 4096, .nr = 200, .depth = 2,	\
			.long_values = true
#define FILE_SMALL	.file = "small", .page_size = 512, .nr = 200, .depth = 2,	\
			.long_values = true
#define FILE_LARGE	.file = "large", .page_size = 65536, .nr = 60, .depth = 2,	\
			.long_values = true
#define FILE_EMPTY	.file = "empty", .page_size = 4096, .depth = 1

ADD_PLACES(lookup_sqlite, values, FILE_VALUES);
ADD(lookup_sqlite, deep_cached, FILE_DEEP);
ADD(lookup_sqlite, deep_direct, FILE_DEEP, .direct = true);
ADD(lookup_sqlite, deep_polled, FILE_DEEP, .nullb = true, .poll = true);
ADD(lookup_sqlite, deeper_cached, FILE_DEEPER);
ADD(lookup_sqlite, deeper_direct, FILE_DEEPER, .direct = true);
ADD(lookup_sqlite, deeper_polled, FILE_DEEPER, .nullb = true, .poll = true);
ADD(lookup_sqlite, short_cached, FILE_SHORT);
ADD(lookup_sqlite, small_cached, FILE_SMALL);
ADD(lookup_sqlite, small_polled, FILE_SMALL, .nullb = true, .poll = true);
ADD(lookup_sqlite, large_direct, FILE_LARGE, .direct = true);
ADD(lookup_sqlite, empty_cached, FILE_EMPTY);
/* other ways of reading, which iou-lookup has for comparison */
ADD(lookup_sqlite, values_loop, FILE_VALUES, .direct = true, .way = LOOKUP_LOOP);
ADD(lookup_sqlite, deep_pread, FILE_DEEP, .way = LOOKUP_PREAD);
ADD(lookup_sqlite, deep_device, FILE_DEEP, .device = true, .direct = true);
ADD(lookup_sqlite, deep_device_polled, FILE_DEEP, .device = true, .poll = true);
ADD(lookup_sqlite, values_device, FILE_VALUES, .device = true, .direct = true);
ADD(lookup_sqlite, values_device_polled, FILE_VALUES, .device = true, .poll = true);

/* the number of the longest record */
#define LONGEST		21

/* Odd numbers are there, the others are not. */
static int64_t make_rowid(unsigned int n, unsigned int nr)
{
	if (n == 1)
		return INT64_MIN;
	if (n == 3)
		return INT64_MAX;
	/* long ones make deep trees */
	return ((int64_t)n - nr) * (n % 7 ? 1000000007000LL : 1);
}

static unsigned int make_value(char *value, unsigned int n,
			       const FIXTURE_VARIANT(lookup_sqlite) *variant)
{
	unsigned int page = variant->page_size, size = variant->size + n % 50, i = n / 2;

	if (variant->long_values) {
		/* about where a record no longer fits, and where it fills pages */
		if (i % 4 == 0)
			size = page - 60 + i / 4;
		else if (i % 4 == 1)
			size = 2 * (page - 4) + (page - 12) * 32 / 255 - 23 - 30 + i / 4;
		else if (i % 4 == 2)
			size = n * 7919 % (page < 65536 ? 20 * page : MAX_VALUE);
	}
	if (variant->long_values && n == LONGEST)
		size = MAX_VALUE;
	for (i = 0; i < size; i++)
		value[i] = n * 31 + i * 7 + (i >> 8);
	return size;
}

static int insert(void *db, const FIXTURE_VARIANT(lookup_sqlite) *variant)
{
	static char value[MAX_VALUE];
	unsigned int size;
	void *stmt;
	int ret;

	ret = sqlite3.prepare_v2(db, "INSERT INTO data VALUES (?, ?)", -1, &stmt, NULL);
	for (unsigned int i = 0; !ret && i < variant->nr; i++) {
		/* not in order */
		unsigned int n = (i * 7919ULL + 3) % variant->nr * 2 + 1;

		size = make_value(value, n, variant);
		ret = sqlite3.bind_int64(stmt, 1, make_rowid(n, variant->nr)) ?:
		      sqlite3.bind_blob(stmt, 2, value, size, NULL);
		if (!ret && sqlite3.step(stmt) != SQLITE_DONE)
			ret = -EIO;
		sqlite3.reset(stmt);
	}
	sqlite3.finalize(stmt);
	return ret;
}

static int fill(const char *path, const FIXTURE_VARIANT(lookup_sqlite) *variant)
{
	char sql[512];
	void *db;
	int ret;

	snprintf(sql, sizeof(sql), "PRAGMA page_size = %u; PRAGMA synchronous = OFF; "
		 "CREATE TABLE other (a); CREATE VIEW view AS SELECT a FROM other; "
		 "CREATE TABLE keys (a PRIMARY KEY) WITHOUT ROWID; CREATE INDEX i ON other (a);"
		 "CREATE TABLE data (id INTEGER PRIMARY KEY, value BLOB); "
		 "INSERT INTO other VALUES (42); BEGIN", variant->page_size);
	ret = sqlite3.open(path, &db) ?: sqlite3.exec(db, sql, NULL, NULL, NULL) ?:
	      insert(db, variant) ?: sqlite3.exec(db, "COMMIT", NULL, NULL, NULL);
	sqlite3.close(db);
	return ret;
}

FIXTURE_SETUP(lookup_sqlite)
{
	IOU_REQUIRE();
	if (!sqlite3_load())
		SKIP(return, "no libsqlite3.so.0");
	lookup_set_up(fill, .name = "data", .queue = QUEUE, .max_value = MAX_RECORD);
	ASSERT_EQ(LOOKUP_SQLITE, lookup_format(self->lookup));
	ASSERT_EQ(0, sqlite3.open(self->path, &self->db));
	ASSERT_EQ(0, sqlite3.prepare_v2(self->db, "SELECT value FROM data WHERE id = ?",
					-1, &self->get, NULL));
}

FIXTURE_TEARDOWN(lookup_sqlite)
{
	if (self->lookup)
		lookup_close(self->lookup);
	if (self->get)
		sqlite3.finalize(self->get);
	if (self->db)
		sqlite3.close(self->db);
	if (variant->nullb)
		nullb_remove();
}

static int64_t random_rowid(const FIXTURE_VARIANT(lookup_sqlite) *variant)
{
	unsigned int nr = variant->nr ?: 10, n = next_random(2 * nr);
	int64_t rowid = make_rowid(n, nr);

	switch (next_random(8)) {
	case 0:
		return (int64_t)((uint64_t)next_random(1 << 24) << 40 | next_random(1 << 24));
	case 1:
		return rowid == INT64_MAX ? rowid - 1 : rowid + 1;
	case 2:
		/* the longest record takes most of the time */
		if (!next_random(8))
			return make_rowid(LONGEST, nr);
	}
	return rowid;
}

/* Return the number of pages of a record beside the one in the tree. */
static unsigned int rest_pages(unsigned int page, unsigned int size)
{
	unsigned int min = (page - 12) * 32 / 255 - 23, local = size;

	if (size > page - 35) {
		local = min + (size - min) % (page - 4);
		if (local > page - 35)
			local = min;
	}
	return (size - local + page - 5) / (page - 4);
}

/* Compare the value of a record with that of the library. */
static const char *value_differs(FIXTURE_DATA(lookup_sqlite) *self,
				 const struct lookup_result *r)
{
	int size = sqlite3.column_bytes(self->get, 0);
	struct lookup_column column;

	if (r->res < 0 || r->res != r->size)
		return "present key";
	if (lookup_column(r->value, r->size, 1, &column) || column.type != LOOKUP_BLOB)
		return "record";
	if (column.size != size)
		return "size";
	if (size && memcmp(column.data, sqlite3.column_blob(self->get, 0), size))
		return "value";
	return "";
}

/*
 * Return how a result differs from that of the library, or an empty string. All ways
 * through the tree have the same length, which the first result sets.
 */
static const char *differs(FIXTURE_DATA(lookup_sqlite) *self, int64_t rowid,
			   const struct lookup_result *r, unsigned int page,
			   unsigned int *depth)
{
	unsigned int rest = r->res < 0 ? 0 : rest_pages(page, r->size);
	const char *text = "";
	int ret;

	sqlite3.reset(self->get);
	if (sqlite3.bind_int64(self->get, 1, rowid))
		return "error of the library";
	ret = sqlite3.step(self->get);
	if (ret == SQLITE_ROW)
		text = value_differs(self, r);
	else if (ret != SQLITE_DONE)
		text = "error of the library";
	else if (r->res != -ENOENT)
		text = "absent key";
	if (*text)
		return text;
	if (!*depth)
		*depth = r->reads - rest;
	return r->reads == *depth + rest ? "" : "number of reads";
}

/* Queue a lookup in @slot. */
#define queue_rowid(slot, id) do {						\
	unsigned int __slot = (slot);						\
										\
	rowid[__slot] = (id);							\
	ASSERT_EQ(0, lookup_queue(self->lookup, __slot, &rowid[__slot],		\
				  sizeof(int64_t)));				\
} while (0)

TEST_F_TIMEOUT(lookup_sqlite, random_keys, 7000)
{
	unsigned int nr = nr_lookups(QUEUE), present = 0, queued = QUEUE, depth = 0;
	struct lookup_result r;
	int64_t rowid[QUEUE];

	for (unsigned int i = 0; i < QUEUE; i++)
		queue_rowid(i, i ? random_rowid(variant) :
				   make_rowid(LONGEST, variant->nr));
	for (unsigned int i = 0; i < nr; i++) {
		ASSERT_EQ(0, lookup_wait(self->lookup, &r));
		ASSERT_STREQ("", differs(self, rowid[r.slot], &r, variant->page_size,
					 &depth)) {
			TH_LOG("lookup %u of %lld: %d, %u reads", i,
			       (long long)rowid[r.slot], r.res, r.reads);
		}
		present += r.res >= 0;
		if (queued++ < nr)
			queue_rowid(r.slot, random_rowid(variant));
	}
	ASSERT_EQ(-EAGAIN, lookup_wait(self->lookup, &r));
	ASSERT_LE(variant->depth, depth);
	if (variant->nr) {
		/* otherwise the test shows nothing */
		ASSERT_LT(nr / 4, present);
		ASSERT_LT(nr / 8, nr - present);
	}
}

/*
 * Open a table, and look up @rowid. Return an error, or the integer or the size of the
 * text of the first column.
 */
static int lookup_table(const char *path, const char *name, int64_t rowid)
{
	struct lookup_config config = { .path = path, .name = name, .force = true,
					.prog_fd = prog_fd };
	struct lookup_column column = {};
	struct lookup_result r;
	struct lookup *l;
	int ret;

	ret = lookup_open(&config, &l);
	if (ret)
		return ret;
	ret = lookup_queue(l, 0, &rowid, sizeof(rowid)) ?: lookup_wait(l, &r) ?: r.res;
	if (ret >= 0)
		ret = lookup_column(r.value, r.size, 0, &column);
	lookup_close(l);
	if (ret)
		return ret;
	return column.type == LOOKUP_INTEGER ? column.integer : column.size;
}

TEST(tables)
{
	static const FIXTURE_VARIANT(lookup_sqlite) variant = { FILE_DEEP };
	char path[256];

	IOU_REQUIRE();
	if (!sqlite3_load())
		SKIP(return, "no libsqlite3.so.0");
	snprintf(path, sizeof(path), "%s/%s", dir, variant.file);
	if (access(path, F_OK))
		ASSERT_EQ(0, fill(path, &variant));
	ASSERT_EQ(42, lookup_table(path, "other", 1));
	ASSERT_EQ(42, lookup_table(path, "OTHER", 1));
	/* the first record is that of a table */
	ASSERT_EQ(5, lookup_table(path, "sqlite_schema", 1));
	ASSERT_EQ(-ENOENT, lookup_table(path, "other", 2));
	/* no table, no such table, no name */
	ASSERT_EQ(-ENXIO, lookup_table(path, "view", 1));
	ASSERT_EQ(-ENXIO, lookup_table(path, "i", 1));
	ASSERT_EQ(-ENXIO, lookup_table(path, "othe", 1));
	ASSERT_EQ(-EINVAL, lookup_table(path, NULL, 1));
	/* without rowids */
	ASSERT_EQ(-EOPNOTSUPP, lookup_table(path, "keys", 1));
}

TEST_HARNESS_MAIN
