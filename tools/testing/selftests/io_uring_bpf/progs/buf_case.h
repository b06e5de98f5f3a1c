/* SPDX-License-Identifier: GPL-2.0 */
/* Cases of the programs of buf.bpf.c */
#ifndef BUF_CASE_H
#define BUF_CASE_H

#define BUF_MAX_CASES	32
#define BUF_COPY_SIZE	8192

/* one slice, and what the program found in it */
struct buf_case {
	__u64	offset;
	__u32	index;
	/* value that a writing program stores at both ends */
	__u8	put;
	/* the pointer was not NULL */
	__u8	got;
	__u8	first;
	__u8	last;
};

/* one copy, from or to copy_data */
struct buf_copy {
	__u64	offset;
	__u32	index;
	__u32	size;
	__s32	ret;
	__u32	pad;
};

/* one copy between buffers, or within one */
struct buf_move {
	__u64	dst;
	__u64	src;
	__u32	dst_index;
	__u32	src_index;
	__u32	dst_pad;
	__u32	src_pad;
	__u32	size;
	__s32	ret;
};

#endif
