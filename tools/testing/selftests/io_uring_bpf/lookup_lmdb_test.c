// SPDX-License-Identifier: GPL-2.0
/* iou-lookup finds in files of LMDB what the library finds, on different devices. */
#include "iou_bpf.h"

#include "kselftest_harness.h"
#include "lookup.h"
#include "mdb.h"
#include "lookup_test.h"

#define QUEUE		16
/* more than the largest value */
#define MAX_VALUE	65536
#define MAX_KEY		511

static void __attribute__((constructor)) begin(void)
{
	lookup_begin(LOOKUP_LMDB);
}

FIXTURE(lookup_lmdb) {
	char path[256];
	void *env, *txn;
	unsigned int dbi;
	struct mdb_stat stat;
	struct lookup *lookup;
};

FIXTURE_VARIANT(lookup_lmdb) {
	/* the file */
	const char *file;
	unsigned int nr, key_len, depth;
	bool long_values;
	/* takes long to make */
	bool huge;
	const char *name;
	LOOKUP_PLACE;
};

#define FILE_SHORT	.file = "short", .nr = 12000, .key_len = 11, .depth = 3
#define FILE_LONG	.file = "long", .nr = 4000, .key_len = MAX_KEY, .depth = 5
#define FILE_DEEP	.file = "deep", .nr = 30000, .key_len = MAX_KEY, .depth = 6,	\
			.huge = true
#define FILE_VALUES	.file = "values", .nr = 600, .key_len = 200, .depth = 2,	\
			.long_values = true
#define FILE_NAMED	.file = "named", .nr = 2000, .key_len = 100, .depth = 3,	\
			.name = "second"
#define FILE_EMPTY	.file = "empty", .key_len = 11

ADD_PLACES(lookup_lmdb, long, FILE_LONG);
ADD(lookup_lmdb, deep_cached, FILE_DEEP);
ADD(lookup_lmdb, deep_direct, FILE_DEEP, .direct = true);
ADD(lookup_lmdb, deep_polled, FILE_DEEP, .nullb = true, .poll = true);
ADD(lookup_lmdb, values_cached, FILE_VALUES);
ADD(lookup_lmdb, values_direct, FILE_VALUES, .direct = true);
ADD(lookup_lmdb, values_polled, FILE_VALUES, .nullb = true, .poll = true);
ADD(lookup_lmdb, short_cached, FILE_SHORT);
ADD(lookup_lmdb, named_cached, FILE_NAMED);
ADD(lookup_lmdb, named_polled, FILE_NAMED, .nullb = true, .poll = true);
ADD(lookup_lmdb, empty_cached, FILE_EMPTY);
/* other ways of reading, which iou-lookup has for comparison */
ADD(lookup_lmdb, long_loop, FILE_LONG, .direct = true, .way = LOOKUP_LOOP);
ADD(lookup_lmdb, values_pread, FILE_VALUES, .way = LOOKUP_PREAD);
ADD(lookup_lmdb, named_pread, FILE_NAMED, .way = LOOKUP_PREAD);
ADD(lookup_lmdb, long_device, FILE_LONG, .device = true, .direct = true);
ADD(lookup_lmdb, long_device_polled, FILE_LONG, .device = true, .poll = true);
ADD(lookup_lmdb, values_device, FILE_VALUES, .device = true, .direct = true);
ADD(lookup_lmdb, values_device_polled, FILE_VALUES, .device = true, .poll = true);

static unsigned int make_value(char *value, unsigned int n, bool long_values)
{
	/* about where a value no longer fits into a leaf, and fills pages */
	static const unsigned int sizes[] = {
		0, 1, 1800, 1850, 2000, 2040, 4079, 4080, 4081, 8175, 8176, 8177, 40960,
	};
	unsigned int size = n % 100;

	if (long_values)
		size = n / 2 % 2 ? n * 7919 % 40960 :
				   sizes[n / 4 % (sizeof(sizes) / sizeof(*sizes))];
	for (unsigned int i = 0; i < size; i++)
		value[i] = n * 31 + i * 7 + (i >> 8);
	return size;
}

/* What else a file of several databases has: names that are none, and other kinds */
static int fill_others(void *txn)
{
	struct mdb_val k = { .data = "record", .size = 6 }, v = { .data = "", .size = 1 };
	unsigned int main, first, dup, number;

	return mdb.dbi_open(txn, NULL, 0, &main) ?: mdb.put(txn, main, &k, &v, 0) ?:
	       mdb.dbi_open(txn, "first", MDB_CREATE, &first) ?:
	       mdb.put(txn, first, &k, &v, 0) ?:
	       mdb.dbi_open(txn, "dup", MDB_CREATE | MDB_DUPSORT, &dup) ?:
	       mdb.dbi_open(txn, "number", MDB_CREATE | MDB_INTEGERKEY, &number);
}

static int fill(const char *path, const FIXTURE_VARIANT(lookup_lmdb) *variant)
{
	static char key[MAX_KEY], value[MAX_VALUE];
	struct mdb_val k = { .data = key }, v = { .data = value };
	unsigned int dbi;
	void *env, *txn;
	int ret;

	ret = mdb_begin(path, 0, &env, &txn);
	if (!ret && variant->name)
		ret = fill_others(txn);
	ret = ret ?: mdb.dbi_open(txn, variant->name, variant->name ? MDB_CREATE : 0, &dbi);
	for (unsigned int i = 0; !ret && i < variant->nr; i++) {
		/* odd numbers, not in order; the lookups include even ones */
		unsigned int n = (i * 7919ULL + 3) % variant->nr * 2 + 1;

		k.size = mdb_key(key, n, variant->key_len);
		v.size = make_value(value, n, variant->long_values);
		ret = mdb.put(txn, dbi, &k, &v, 0);
	}
	ret = ret ?: mdb.txn_commit(txn);
	mdb.env_close(env);
	return ret;
}

FIXTURE_SETUP(lookup_lmdb)
{
	IOU_REQUIRE();
	if (!mdb_load())
		SKIP(return, "no liblmdb.so.0");
	lookup_set_up(fill, .name = variant->name, .queue = QUEUE, .max_value = MAX_VALUE);
	ASSERT_EQ(LOOKUP_LMDB, lookup_format(self->lookup));
	ASSERT_EQ(0, mdb_begin(self->path, MDB_RDONLY, &self->env, &self->txn));
	ASSERT_EQ(0, mdb.dbi_open(self->txn, variant->name, 0, &self->dbi));
	ASSERT_EQ(0, mdb.stat(self->txn, self->dbi, &self->stat));
	ASSERT_EQ(4096, self->stat.page_size);
	ASSERT_LE(variant->depth, self->stat.depth);
}

FIXTURE_TEARDOWN(lookup_lmdb)
{
	if (self->lookup)
		lookup_close(self->lookup);
	if (self->env)
		mdb.env_close(self->env);
	if (variant->nullb)
		nullb_remove();
}

/* Make a key that is there or not: another number, a part of a key, a longer one. */
static unsigned int random_key(char *key, const FIXTURE_VARIANT(lookup_lmdb) *variant)
{
	unsigned int nr = variant->nr ?: 10;
	unsigned int len = mdb_key(key, next_random(2 * nr) | 1, variant->key_len);

	switch (next_random(8)) {
	case 0:
		return mdb_key(key, next_random(nr) * 2, variant->key_len);
	case 1:
		return 1 + next_random(len);
	case 2:
		key[len] = next_random(256);
		return len < MAX_KEY ? len + 1 : len;
	case 3:
		key[next_random(len)] = next_random(256);
	}
	return len;
}

/* Return how a result differs from that of the library, or an empty string. */
static const char *differs(FIXTURE_DATA(lookup_lmdb) *self, char *key, unsigned int len,
			   const struct lookup_result *r, bool named)
{
	struct mdb_val k = { .data = key, .size = len }, v;
	int ret = mdb.get(self->txn, self->dbi, &k, &v);
	/* the meta pages, and the way to the database */
	unsigned int min = self->stat.depth + 1 + named;

	if (ret == MDB_NOTFOUND)
		return r->res == -ENOENT ? "" : "absent key";
	if (ret)
		return "error of the library";
	if (r->res != v.size || r->size != v.size)
		return "size";
	if (memcmp(r->value, v.data, v.size))
		return "value";
	if (r->reads != min && r->reads != min + 1)
		return "number of reads";
	return "";
}

/* Queue a lookup of the next random key in @slot. */
#define queue_next(slot) do {							\
	unsigned int __slot = (slot);						\
										\
	len[__slot] = random_key(key[__slot], variant);				\
	ASSERT_EQ(0, lookup_queue(self->lookup, __slot, key[__slot], len[__slot]));\
} while (0)

TEST_F_TIMEOUT(lookup_lmdb, random_keys, 7000)
{
	char key[QUEUE][MAX_KEY + 1];
	unsigned int len[QUEUE], nr = nr_lookups(QUEUE), present = 0, queued = QUEUE;
	struct lookup_result r;

	for (unsigned int i = 0; i < QUEUE; i++)
		queue_next(i);
	for (unsigned int i = 0; i < nr; i++) {
		ASSERT_EQ(0, lookup_wait(self->lookup, &r));
		ASSERT_STREQ("", differs(self, key[r.slot], len[r.slot], &r,
					 variant->name)) {
			TH_LOG("lookup %u of %.*s: %d, %u reads", i, len[r.slot],
			       key[r.slot], r.res, r.reads);
		}
		present += r.res >= 0;
		if (queued++ < nr)
			queue_next(r.slot);
	}
	ASSERT_EQ(-EAGAIN, lookup_wait(self->lookup, &r));
	if (variant->nr) {
		/* otherwise the test shows nothing */
		ASSERT_LT(nr / 4, present);
		ASSERT_LT(nr / 8, nr - present);
	}
}

/* Names of databases, of which the file "named" has several */
static int lookup_name(const char *path, const char *name, const char *key,
		       struct lookup_result *r)
{
	struct lookup_config config = { .path = path, .name = name, .force = true,
					.prog_fd = prog_fd };
	struct lookup *l;
	int ret;

	ret = lookup_open(&config, &l);
	if (ret)
		return ret;
	ret = lookup_queue(l, 0, key, strlen(key)) ?: lookup_wait(l, r) ?: r->res;
	lookup_close(l);
	return ret;
}

TEST(names)
{
	static const FIXTURE_VARIANT(lookup_lmdb) variant = { FILE_NAMED };
	char path[256], long_name[600];
	struct lookup_result r;

	IOU_REQUIRE();
	if (!mdb_load())
		SKIP(return, "no liblmdb.so.0");
	snprintf(path, sizeof(path), "%s/%s", dir, variant.file);
	if (access(path, F_OK))
		ASSERT_EQ(0, fill(path, &variant));
	/* a key that other databases have, too; and the record that a name is */
	ASSERT_EQ(1, lookup_name(path, "first", "record", &r));
	ASSERT_EQ(1, lookup_name(path, NULL, "record", &r));
	ASSERT_EQ(48, lookup_name(path, NULL, "second", &r));
	ASSERT_EQ(-ENOENT, lookup_name(path, "second", "record", &r));
	ASSERT_EQ(-ENXIO, lookup_name(path, "third", "record", &r));
	ASSERT_EQ(-ENXIO, lookup_name(path, "firs", "record", &r));
	/* no database, several values for a key, and keys that are integers */
	ASSERT_EQ(-EOPNOTSUPP, lookup_name(path, "record", "record", &r));
	ASSERT_EQ(-EOPNOTSUPP, lookup_name(path, "dup", "record", &r));
	ASSERT_EQ(-EOPNOTSUPP, lookup_name(path, "number", "record", &r));
	memset(long_name, 'x', sizeof(long_name));
	long_name[LOOKUP_MAX_KEY + 1] = 0;
	ASSERT_EQ(-ENAMETOOLONG, lookup_name(path, long_name, "record", &r));
	long_name[LOOKUP_MAX_KEY] = 0;
	ASSERT_EQ(-ENXIO, lookup_name(path, long_name, "record", &r));
}

TEST_HARNESS_MAIN
