/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by program and test: what is where in registered buffer 0 */
#ifndef LMDB_AREA_H
#define LMDB_AREA_H

#define LMDB_PAGE	4096
/* two pages of the file, the key to look for, and the value that was found */
#define LMDB_KEY	(2 * LMDB_PAGE)
#define LMDB_VALUE	(3 * LMDB_PAGE)
#define LMDB_AREA	(4 * LMDB_PAGE)

#define LMDB_MAX_KEY	511
#define LMDB_MAX_VALUE	2048

#endif
