/* SPDX-License-Identifier: GPL-2.0 */
/* Provided buffers of the programs of give.bpf.c. Requires the types. */
#ifndef GIVE_CASE_H
#define GIVE_CASE_H

/* the group, and its buffers: buffer n is the nth part of registered buffer 0 */
#define GIVE_GROUP	5
#define GIVE_BUFS	4
#define GIVE_LEN	64
/* user_data of the child at whose completion a program makes the calls */
#define GIVE_NOW	0x91feULL

#define GIVE_MAX_DATA	16384
#define GIVE_MAX_CALLS	8

/* one call of bpf_io_uring_buf_give() */
struct give_call {
	__u64	addr;
	__u32	group;
	__u32	id;
	__u32	len;
	__s32	ret;
};

#endif
