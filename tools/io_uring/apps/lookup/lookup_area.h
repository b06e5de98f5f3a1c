/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by iou-lookup and its programs: what is where in the memory of a lookup, which
 * is one registered buffer. Requires the types.
 */
#ifndef LOOKUP_AREA_H
#define LOOKUP_AREA_H

/* pages of the file */
#define LOOKUP_PAGES	(64 << 10)
/* struct lookup_req */
#define LOOKUP_REQ	LOOKUP_PAGES
/* a value that does not lie in one page */
#define LOOKUP_VALUE	(LOOKUP_REQ + 4096)

#define LOOKUP_MAX_KEY	511

/* Levels of a tree, the same as in LMDB. A damaged tree can be endless. */
#define LOOKUP_MAX_DEPTH	32

struct lookup_req {
	/* from the application */
	__u64	root;		/* page number, 0: see the header of the file */
	__u64	room;		/* bytes for a value, whole pages */
	__u32	key_len;
	__u32	name_len;	/* of a named database, or 0 */
	__u32	page_size;	/* of a file of SQLite */
	__u32	usable;		/* bytes of a page, without those that are reserved */
	/* to the application */
	__u64	off;		/* of the value in the memory of the lookup */
	__u64	size;		/* of the value, also if there is no room */
	__u32	reads;
	__u32	pad;
	/* a rowid of SQLite is a __s64 */
	__u8	key[LOOKUP_MAX_KEY + 1];
	__u8	name[LOOKUP_MAX_KEY + 1];
};

#endif
