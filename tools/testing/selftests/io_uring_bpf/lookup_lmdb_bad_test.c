// SPDX-License-Identifier: GPL-2.0
/* iou-lookup with files that are damaged, or that it does not know: errors, and no more */
#include "iou_bpf.h"

#include <stddef.h>

#include "kselftest_harness.h"
#include "lookup.h"
#include "mdb.h"

#define PAGE		4096
#define NR_KEYS		1000
#define MAX_VALUE	16384
/* both meta pages, a tree, and the pages of a value */
#define MAX_READS	(1 + LOOKUP_MAX_DEPTH + 1)
#include "lookup_bad.h"

/* offsets in a meta page, a page of the tree and a node */
#define META_MAGIC	16
#define META_VERSION	20
#define META_PAGE_SIZE	40
#define META_FLAGS	92
#define META_ROOT	128
#define META_TXNID	144
#define PAGE_FLAGS	10
#define PAGE_LOWER	12
#define PAGE_NODES	16

/* flags of pages */
#define BRANCH		1
#define LEAF		2
#define OVERFLOW	4

static void __attribute__((constructor)) begin(void)
{
	lookup_begin(LOOKUP_LMDB);
}

FIXTURE(lookup_lmdb_bad) {
	char path[256];
	int fd;
	struct lookup *lookup;
	/* the page with the root, the newer meta page, and the last page */
	__u64 root, meta, last;
	char page[PAGE];
};

static int bad_fill(const char *path)
{
	char key[16], value[8192];
	struct mdb_val k = { .data = key, .size = 8 }, v = { .data = value };
	unsigned int dbi;
	void *env, *txn;
	int ret;

	ret = mdb_begin(path, 0, &env, &txn) ?: mdb.dbi_open(txn, NULL, 0, &dbi);
	for (unsigned int i = 0; !ret && i < NR_KEYS; i++) {
		snprintf(key, sizeof(key), "%08u", i);
		memset(value, i, sizeof(value));
		/* each hundredth value has pages of its own */
		v.size = i % 100 ? i % 80 : sizeof(value);
		ret = mdb.put(txn, dbi, &k, &v, 0);
	}
	ret = ret ?: mdb.txn_commit(txn);
	mdb.env_close(env);
	return ret;
}

FIXTURE_SETUP(lookup_lmdb_bad)
{
	__u64 txnid[2];

	IOU_REQUIRE();
	if (!mdb_load())
		SKIP(return, "no liblmdb.so.0");
	ASSERT_NE(0, *dir);
	snprintf(self->path, sizeof(self->path), "%s/db", dir);
	ASSERT_EQ(0, bad_fill(self->path));
	self->fd = open(self->path, O_RDWR);
	ASSERT_LE(0, self->fd);
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(8, pread(self->fd, &txnid[i], 8, i * PAGE + META_TXNID));
	self->meta = txnid[1] > txnid[0];
	ASSERT_EQ(8, pread(self->fd, &self->root, 8, self->meta * PAGE + META_ROOT));
	self->last = lseek(self->fd, 0, SEEK_END) / PAGE - 1;
	ASSERT_EQ(0, bad_open(self->path, NULL, &self->lookup));
}

FIXTURE_TEARDOWN(lookup_lmdb_bad)
{
	if (self->lookup)
		lookup_close(self->lookup);
	if (self->fd <= 0)
		return;
	close(self->fd);
	unlink(self->path);
	strcat(self->path, "-lock");
	unlink(self->path);
}

/* Look up key @n. */
#define bad_lookup_in(lookup, n, r) do {					\
	char __key[16];								\
										\
	snprintf(__key, sizeof(__key), "%08u", n);				\
	ASSERT_EQ(0, lookup_queue(lookup, 0, __key, 8));			\
	bad_wait(lookup, r);							\
	ASSERT_GE(MAX_VALUE, (r)->res);						\
} while (0)

#define bad_expect(n, error) do {						\
	struct lookup_result __r;						\
										\
	bad_lookup(n, &__r);							\
	ASSERT_EQ(error, __r.res);						\
} while (0)

/* Read page @nr. Return its number of nodes. */
static unsigned int get_page(FIXTURE_DATA(lookup_lmdb_bad) *self, __u64 nr)
{
	if (pread(self->fd, self->page, PAGE, nr * PAGE) != PAGE)
		return 0;
	return (*(__u16 *)(self->page + PAGE_LOWER) - PAGE_NODES) / 2;
}

static __u32 get_node(FIXTURE_DATA(lookup_lmdb_bad) *self, unsigned int i)
{
	return *(__u16 *)(self->page + PAGE_NODES + 2 * i);
}

static bool page_is(FIXTURE_DATA(lookup_lmdb_bad) *self, unsigned int flag)
{
	return *(__u16 *)(self->page + PAGE_FLAGS) & flag;
}

/* Return the leaf with the smallest keys. */
static __u64 first_leaf(FIXTURE_DATA(lookup_lmdb_bad) *self)
{
	__u64 page = self->root;

	while (get_page(self, page) && page_is(self, BRANCH))
		page = *(__u32 *)(self->page + get_node(self, 0));
	return page;
}

TEST_F(lookup_lmdb_bad, sound)
{
	bad_expect(0, 8192);
	bad_expect(79, 79);
	bad_expect(80, 0);
	bad_expect(NR_KEYS - 1, (NR_KEYS - 1) % 80);
	bad_expect(NR_KEYS, -ENOENT);
}

TEST_F(lookup_lmdb_bad, meta)
{
	__u64 meta = self->meta * PAGE;

	for (int i = 0; i < 2; i++) {
		bad_change(1, 0xbeefc0dfU, i * PAGE + META_MAGIC, -EUCLEAN);
		bad_change(1, 2U, i * PAGE + META_VERSION, -EOPNOTSUPP);
		bad_change(1, 8192U, i * PAGE + META_PAGE_SIZE, -EOPNOTSUPP);
	}
	bad_change(1, (__u16)MDB_DUPSORT, meta + META_FLAGS, -EOPNOTSUPP);
	bad_change(1, 0ULL, meta + META_ROOT, -EUCLEAN);
	bad_change(1, 1ULL, meta + META_ROOT, -EUCLEAN);
	bad_change(1, self->last + 1, meta + META_ROOT, -EUCLEAN);
	bad_change(1, 1ULL << 51, meta + META_ROOT, -EUCLEAN);
	bad_change(1, ~0ULL, meta + META_ROOT, -ENOENT);
	/* the older one does not matter */
	bad_change(1, 0ULL, PAGE - meta + META_ROOT, 1);
	bad_expect(1, 1);
}

TEST_F(lookup_lmdb_bad, page)
{
	__u64 at = self->root * PAGE;

	bad_change(1, self->root + 1, at, -EUCLEAN);
	bad_change(1, (__u16)0, at + PAGE_FLAGS, -EUCLEAN);
	bad_change(1, (__u16)(BRANCH | LEAF), at + PAGE_FLAGS, -EUCLEAN);
	bad_change(1, (__u16)OVERFLOW, at + PAGE_FLAGS, -EUCLEAN);
	/* no nodes, and nodes where none can be */
	bad_change(1, (__u16)0, at + PAGE_LOWER, -EUCLEAN);
	bad_change(1, (__u16)PAGE_NODES, at + PAGE_LOWER, -EUCLEAN);
	bad_change(1, (__u16)(PAGE + 2), at + PAGE_LOWER, -EUCLEAN);
	bad_change(1, (__u16)PAGE, at + PAGE_LOWER, -EUCLEAN);
	bad_change(1, (__u16)0, at + PAGE_NODES, -EUCLEAN);
	bad_change(1, (__u16)1001, at + PAGE_NODES, -EUCLEAN);
	bad_change(1, (__u16)(PAGE - 6), at + PAGE_NODES, -EUCLEAN);
	bad_expect(1, 1);
}

TEST_F(lookup_lmdb_bad, node)
{
	__u64 leaf = first_leaf(self), at = leaf * PAGE;
	__u32 big, small, page;

	ASSERT_NE(self->root, leaf);
	big = get_node(self, 0);
	small = get_node(self, 1);
	page = *(__u32 *)(self->page + big + 16);
	/* a key and a value that are longer than the page */
	bad_change(1, (__u16)PAGE, at + small + 6, -EUCLEAN);
	bad_change(1, (__u16)PAGE, at + small, -EUCLEAN);
	bad_change(1, (__u16)1, at + small + 2, -EUCLEAN);
	/* several values */
	bad_change(1, (__u16)4, at + small + 4, -EOPNOTSUPP);
	/* the value is where none can be, or there are other pages */
	bad_change(0, 0ULL, at + big + 16, -EUCLEAN);
	bad_change(0, self->last, at + big + 16, -EUCLEAN);
	bad_change(0, self->last + 1, at + big + 16, -EUCLEAN);
	bad_change(0, ~0ULL, at + big + 16, -EUCLEAN);
	bad_change(0, (__u64)leaf, at + big + 16, -EUCLEAN);
	bad_change(0, 2U, page * (__u64)PAGE + 12, -EUCLEAN);
	bad_change(0, (__u16)LEAF, page * (__u64)PAGE + PAGE_FLAGS, -EUCLEAN);
	/* a size for which there is no room, or no file */
	bad_change(0, (__u16)0xffff, at + big + 2, -EMSGSIZE);
	bad_change(0, (__u16)(MAX_VALUE + PAGE), at + big, -EMSGSIZE);
	bad_change(0, (__u16)MAX_VALUE, at + big, -EUCLEAN);
	bad_expect(0, 8192);
}

TEST_F(lookup_lmdb_bad, endless)
{
	struct lookup_result r;
	unsigned int nr;

	nr = get_page(self, self->root);
	ASSERT_LT(1, nr);
	/* all ways lead back to the root, whose number is right */
	for (unsigned int i = 0; i < nr; i++)
		bad_write((__u32)self->root, self->root * PAGE + get_node(self, i));
	bad_lookup(1, &r);
	ASSERT_EQ(-EUCLEAN, r.res);
	ASSERT_EQ(1 + LOOKUP_MAX_DEPTH, r.reads);
}

TEST_F(lookup_lmdb_bad, truncated)
{
	ASSERT_EQ(0, ftruncate(self->fd, self->root * PAGE + 100));
	bad_expect(1, -EUCLEAN);
	ASSERT_EQ(0, ftruncate(self->fd, PAGE));
	bad_expect(1, -EUCLEAN);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	bad_expect(1, -EUCLEAN);
}

/* Bytes of each page on the way to a key, in turn: a random result, in bounded reads */
TEST_F_TIMEOUT(lookup_lmdb_bad, each_byte, 3600)
{
	__u64 pages[3] = { self->meta, self->root, first_leaf(self) };
	unsigned int changed = 0;
	struct lookup *plain;

	ASSERT_EQ(0, bad_open_way(self->path, NULL, LOOKUP_PREAD, &plain));

	/* each byte of the headers and the offsets, and some of the others */
	for (int i = 0; i < 3 * PAGE; i += lookup_long() || i % PAGE < 40 ? 1 : 197) {
		__u64 off = pages[i / PAGE] * PAGE + i % PAGE;

		bad_change_byte(100 * (i & 1), plain, off, 8192, changed);
	}
	lookup_close(plain);
	/* and it mattered */
	ASSERT_LT(20, changed);
	bad_expect(0, 8192);
}

/* What is no database is found at once. */
TEST_F(lookup_lmdb_bad, other_files)
{
	struct lookup *l;

	ASSERT_EQ(-ENOENT, bad_open("/nothing/here", NULL, &l));
	ASSERT_EQ(-EUCLEAN, bad_open("/proc/self/exe", NULL, &l));
	ASSERT_EQ(0, ftruncate(self->fd, 10));
	lookup_close(self->lookup);
	self->lookup = NULL;
	ASSERT_EQ(-EUCLEAN, bad_open(self->path, NULL, &l));
}

TEST_F(lookup_lmdb_bad, keys)
{
	char key[LOOKUP_MAX_KEY + 1] = "1";
	struct lookup_result r;

	ASSERT_EQ(-ENAMETOOLONG, lookup_queue(self->lookup, 0, key, sizeof(key)));
	ASSERT_EQ(-EINVAL, lookup_queue(self->lookup, 1, key, 1));
	ASSERT_EQ(0, lookup_queue(self->lookup, 0, key, 0));
	ASSERT_EQ(-EBUSY, lookup_queue(self->lookup, 0, key, 1));
	ASSERT_EQ(0, lookup_wait(self->lookup, &r));
	ASSERT_EQ(-EINVAL, r.res);
	ASSERT_EQ(-EAGAIN, lookup_wait(self->lookup, &r));
	ASSERT_EQ(0, lookup_queue(self->lookup, 0, key, LOOKUP_MAX_KEY));
	ASSERT_EQ(0, lookup_wait(self->lookup, &r));
	ASSERT_EQ(-ENOENT, r.res);
}

/* No process may write during a lookup, and a lookup keeps other processes out. */
TEST_F(lookup_lmdb_bad, lock)
{
	struct lookup *l;
	void *env, *txn;

	ASSERT_EQ(-EBUSY, bad_open(self->path, NULL, &l));
	lookup_close(self->lookup);
	self->lookup = NULL;
	ASSERT_EQ(0, mdb_begin(self->path, MDB_RDONLY, &env, &txn));
	ASSERT_EQ(-EBUSY, bad_open(self->path, NULL, &l));
	mdb.env_close(env);
	ASSERT_EQ(0, bad_open(self->path, NULL, &self->lookup));
	bad_expect(1, 1);
}

TEST_HARNESS_MAIN
