/* SPDX-License-Identifier: GPL-2.0 */
/* What bpf_io_uring_req() has returned at an event. Requires the types. */
#ifndef REQ_GOT_H
#define REQ_GOT_H

struct req_got {
	__s32	ret;
	__u32	len;
	__u64	addr;
	__u64	pos;
	__u16	buf_index;
	__u16	flags;
	__u32	pad;
};

/* arguments of bpf_io_uring_again() at an event, which is not called if len is 0 */
struct req_again {
	__u64	off;
	__u64	addr;
	__u32	len;
	__s32	ret;
};

#endif
