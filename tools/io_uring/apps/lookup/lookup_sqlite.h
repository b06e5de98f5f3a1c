/* SPDX-License-Identifier: GPL-2.0 */
/* The format of SQLite, for programs and for the application */
#ifndef LOOKUP_SQLITE_H
#define LOOKUP_SQLITE_H

/* at the begin of page 1 */
#define FILE_HEADER	100

/* types of pages */
#define INDEX_INTERIOR	2
#define TABLE_INTERIOR	5
#define INDEX_LEAF	10
#define TABLE_LEAF	13

#define LEAF_HEADER	8
#define INTERIOR_HEADER	12

#endif
