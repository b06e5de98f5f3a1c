// SPDX-License-Identifier: GPL-2.0
/* Lookups in a file of LMDB as a program find what its library has stored. */
#include "iou_bpf.h"

#include "kselftest_harness.h"
#include "mdb.h"
#include "progs/lmdb_area.h"
#include "lmdb.skel.h"

#define FLOW	0xf10aULL

FIXTURE(lmdb) {
	struct io_uring ring;
	struct lmdb *skel;
	struct bpf_link *link;
	char *area;
	int fd;
};

FIXTURE_VARIANT(lmdb) {
	unsigned int nr;
	/* longer keys make deeper trees */
	unsigned int key_len;
};

FIXTURE_VARIANT_ADD(lmdb, short_keys) {
	.nr = 500,
	.key_len = 11,
};

FIXTURE_VARIANT_ADD(lmdb, long_keys) {
	.nr = 400,
	.key_len = LMDB_MAX_KEY,
};

FIXTURE_VARIANT_ADD(lmdb, empty) {
	.nr = 0,
};

static unsigned int lmdb_value(char *value, unsigned int n)
{
	memset(value, 'a' + n % 26, n % 100);
	return n % 100;
}

static int lmdb_fill(const char *path, unsigned int nr, unsigned int key_len)
{
	char key[LMDB_MAX_KEY], value[100];
	struct mdb_val k = { .data = key }, v = { .data = value };
	unsigned int dbi;
	void *env, *txn;
	int ret;

	ret = mdb_begin(path, 0, &env, &txn) ?: mdb.dbi_open(txn, NULL, 0, &dbi);
	for (unsigned int i = 0; !ret && i < nr; i++) {
		/* odd multiples, not in order; the lookups include the even ones */
		unsigned int n = (i * 7 + 3) % nr * 2 + 1;

		k.size = mdb_key(key, n, key_len);
		v.size = lmdb_value(value, n);
		ret = mdb.put(txn, dbi, &k, &v, 0);
	}
	ret = ret ?: mdb.txn_commit(txn);
	mdb.env_close(env);
	return ret;
}

FIXTURE_SETUP(lmdb)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flow_size = LMDB_PAGE);
	char dir[] = "/tmp/iou_lmdb.XXXXXX", path[64];
	struct iovec iov = { .iov_len = LMDB_AREA };

	IOU_REQUIRE();
	if (!mdb_load())
		SKIP(return, "no liblmdb.so.0");
	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/db", dir);
	ASSERT_EQ(0, lmdb_fill(path, variant->nr, variant->key_len));
	self->fd = open(path, O_RDONLY);
	ASSERT_LE(0, self->fd);
	unlink(path);
	strcat(path, "-lock");
	unlink(path);
	rmdir(dir);
	ASSERT_EQ(0, iou_ring_init(&self->ring, 0));
	self->area = mmap(NULL, LMDB_AREA, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->area);
	iov.iov_base = self->area;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	self->skel = lmdb__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->link = bpf_program__attach_iouring(self->skel->progs.lmdb_lookup,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
}

FIXTURE_TEARDOWN(lmdb)
{
	bpf_link__destroy(self->link);
	lmdb__destroy(self->skel);
	io_uring_queue_exit(&self->ring);
	close(self->fd);
}

/* Look up the key that is in the area. */
#define lmdb_expect(len, res) do {					\
	struct io_uring_sqe *__sqe = iou_queue_bpf(&self->ring, 0, FLOW);\
									\
	__sqe->off = self->fd;						\
	__sqe->addr = (unsigned long)self->area;			\
	__sqe->addr3 = (len);						\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_CQE(&self->ring, FLOW, res);				\
} while (0)

TEST_F_TIMEOUT(lmdb, all, 120)
{
	char *key = self->area + LMDB_KEY, *value = self->area + LMDB_VALUE;
	char expected[100];

	for (unsigned int n = 0; n <= 2 * variant->nr; n++) {
		unsigned int len, size = lmdb_value(expected, n);

		len = mdb_key(key, n, variant->key_len ?: 11);
		if (n % 2 && variant->nr) {
			memset(value, 0, sizeof(expected));
			lmdb_expect(len, size);
			ASSERT_EQ(0, memcmp(expected, value, size));
			/* neither a part of a key, nor a longer one */
			lmdb_expect(len - 1, -ENOENT);
			if (len < LMDB_MAX_KEY)
				lmdb_expect(len + 1, -ENOENT);
		} else {
			lmdb_expect(len, -ENOENT);
		}
	}
	lmdb_expect(0, -ENOENT);
}

/* A file that is no database */
TEST_F(lmdb, other_file)
{
	static char zero[2 * LMDB_PAGE];
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(sizeof(zero), write(fds[1], zero, sizeof(zero)));
	close(self->fd);
	self->fd = fds[0];
	lmdb_expect(1, -EIO);
	close(fds[1]);
	lmdb_expect(1, -EIO);
}

TEST_HARNESS_MAIN
