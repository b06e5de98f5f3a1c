/* SPDX-License-Identifier: GPL-2.0 */
/* What the demonstration and its programs share. Include its types first. */
#ifndef DEMO_SHARED_H
#define DEMO_SHARED_H

/* so much of a file is on its way at a time */
#define DEMO_WINDOW	16
#define DEMO_BLOCK	(64 << 10)

/* a buffer, and the part of the file that is in it */
struct demo_block {
	__u64	addr;
	__u64	off;
	__u32	len;
	__u32	nr_read;
	__u32	nr_written;
};

#endif
