/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the demonstration and its programs. Requires the types. */
#ifndef DEMO_SHARED_H
#define DEMO_SHARED_H

/* blocks of a file in flight */
#define DEMO_WINDOW	16
#define DEMO_BLOCK	(64 << 10)

/* a buffer, and the part of the file that it holds */
struct demo_block {
	__u64	addr;
	__u64	off;
	__u32	len;
	__u32	nr_read;
	__u32	nr_written;
};

#endif
