/* SPDX-License-Identifier: GPL-2.0 */
/* The format of LMDB, for programs and for the application. Requires the types. */
#ifndef LOOKUP_LMDB_H
#define LOOKUP_LMDB_H

#define PAGE		4096
#define META_MAGIC	0xbeefc0de
#define META_VERSION	1
#define NR_META		2
#define NO_PAGE		(~0ULL)
/* beyond this, the offset in the file would be negative */
#define MAX_PAGES	(1ULL << 51)

/* flags of pages */
#define PAGE_BRANCH	0x01
#define PAGE_LEAF	0x02
#define PAGE_OVERFLOW	0x04
#define PAGE_LEAF2	0x20

/* flags of nodes in leaves */
#define NODE_OVERFLOW	0x01
#define NODE_DATABASE	0x02
#define NODE_DUPLICATES	0x04

struct mdb_db {
	__u32	page_size;	/* in the first one of a meta page */
	__u16	flags;
	__u16	depth;
	__u64	nr_pages[3];
	__u64	nr_entries;
	__u64	root;
};

struct mdb_meta {
	__u64	page;
	__u64	flags;
	__u32	magic;
	__u32	version;
	__u64	address;
	__u64	map_size;
	struct mdb_db free, main;
	__u64	last_page;
	__u64	txnid;
};

struct mdb_page {
	__u64	page;
	__u16	pad;
	__u16	flags;
	union {
		struct {
			__u16	lower;	/* end of the offsets */
			__u16	upper;	/* start of the nodes */
		};
		__u32	nr_pages;	/* with PAGE_OVERFLOW */
	};
};

/* The header of a node, which the key and the data follow */
#define NODE_HEADER	8

#endif
