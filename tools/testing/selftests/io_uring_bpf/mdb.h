/* SPDX-License-Identifier: GPL-2.0 */
/* The library of LMDB, of which a distribution has the header in another package */
#ifndef MDB_H
#define MDB_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#define MDB_DUPSORT	0x04
#define MDB_INTEGERKEY	0x08
#define MDB_NOSUBDIR	0x4000
#define MDB_NOSYNC	0x10000
#define MDB_RDONLY	0x20000
#define MDB_CREATE	0x40000
#define MDB_NOTFOUND	(-30798)

struct mdb_val {
	size_t	size;
	void	*data;
};

struct mdb_stat {
	unsigned int	page_size, depth;
	size_t		branch_pages, leaf_pages, overflow_pages, entries;
};

static struct {
	int (*env_create)(void **env);
	int (*env_set_mapsize)(void *env, size_t size);
	int (*env_set_maxdbs)(void *env, unsigned int nr);
	int (*env_open)(void *env, const char *path, unsigned int flags, mode_t mode);
	void (*env_close)(void *env);
	int (*txn_begin)(void *env, void *parent, unsigned int flags, void **txn);
	int (*txn_commit)(void *txn);
	int (*dbi_open)(void *txn, const char *name, unsigned int flags, unsigned int *dbi);
	int (*stat)(void *txn, unsigned int dbi, struct mdb_stat *stat);
	int (*get)(void *txn, unsigned int dbi, struct mdb_val *key, struct mdb_val *value);
	int (*put)(void *txn, unsigned int dbi, struct mdb_val *key, struct mdb_val *value,
		   unsigned int flags);
} mdb;

static inline bool mdb_load(void)
{
	void *lib = dlopen("liblmdb.so.0", RTLD_NOW);

	if (!lib)
		return false;
#define MDB_SYM(name) (mdb.name = dlsym(lib, "mdb_" #name))
	return MDB_SYM(env_create) && MDB_SYM(env_set_mapsize) &&
	       MDB_SYM(env_set_maxdbs) && MDB_SYM(env_open) && MDB_SYM(env_close) &&
	       MDB_SYM(txn_begin) && MDB_SYM(txn_commit) && MDB_SYM(dbi_open) &&
	       MDB_SYM(stat) && MDB_SYM(get) && MDB_SYM(put);
}

/* Open @path and begin a transaction. */
static inline int mdb_begin(const char *path, unsigned int flags, void **env, void **txn)
{
	return mdb.env_create(env) ?: mdb.env_set_mapsize(*env, 1UL << 30) ?:
	       mdb.env_set_maxdbs(*env, 8) ?:
	       mdb.env_open(*env, path, MDB_NOSUBDIR | MDB_NOSYNC | flags, 0600) ?:
	       mdb.txn_begin(*env, NULL, flags & MDB_RDONLY, txn);
}

/* Key @n of the file is @n twice, at both ends, and longer for odd numbers. */
static inline unsigned int mdb_key(char *key, unsigned int n, unsigned int len)
{
	char digits[12];

	snprintf(digits, sizeof(digits), "%05u", n);
	len -= !(n % 2);
	memset(key, '-', len);
	memcpy(key, digits, 5);
	memcpy(key + len - 5, digits, 5);
	return len;
}

#endif
