/* SPDX-License-Identifier: GPL-2.0 */
/* The library of SQLite, of which a distribution has the header in another package */
#ifndef LOOKUP_SQLITE3_H
#define LOOKUP_SQLITE3_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

#define SQLITE_ROW	100
#define SQLITE_DONE	101

static struct {
	int (*open)(const char *path, void **db);
	int (*close)(void *db);
	int (*exec)(void *db, const char *sql, void *fn, void *arg, char **error);
	int (*prepare_v2)(void *db, const char *sql, int len, void **stmt, void *tail);
	int (*bind_int64)(void *stmt, int i, int64_t value);
	int (*bind_blob)(void *stmt, int i, const void *data, int size, void *destructor);
	int (*step)(void *stmt);
	int (*reset)(void *stmt);
	int (*finalize)(void *stmt);
	const void *(*column_blob)(void *stmt, int i);
	int (*column_bytes)(void *stmt, int i);
	int64_t (*column_int64)(void *stmt, int i);
} sqlite3;

static inline bool sqlite3_load(void)
{
	void *lib = dlopen("libsqlite3.so.0", RTLD_NOW);

	if (!lib)
		return false;
#define SQLITE3_SYM(name) (sqlite3.name = dlsym(lib, "sqlite3_" #name))
	return SQLITE3_SYM(open) && SQLITE3_SYM(close) && SQLITE3_SYM(exec) &&
	       SQLITE3_SYM(prepare_v2) && SQLITE3_SYM(bind_int64) &&
	       SQLITE3_SYM(bind_blob) && SQLITE3_SYM(step) && SQLITE3_SYM(reset) &&
	       SQLITE3_SYM(finalize) && SQLITE3_SYM(column_blob) &&
	       SQLITE3_SYM(column_bytes) && SQLITE3_SYM(column_int64);
}

#endif
