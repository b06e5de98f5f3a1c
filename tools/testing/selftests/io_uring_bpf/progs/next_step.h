/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by next.bpf.c and next_test.c. Requires the types. */
#ifndef IOU_NEXT_STEP_H
#define IOU_NEXT_STEP_H

#define NEXT_PROGS	16
#define NEXT_MAX_SEEN	64
/* user_data of CQEs that program @i posts, and mark that it leaves in cflags */
#define NEXT_POST(i)	(0x9057000ULL + (i))
#define NEXT_MARK(i)	(1U << (16 + (i)))

/* what a program is to do */
struct next_step {
	__u32	verdict;
	/* add this to user_data and res, and NEXT_MARK() to cflags */
	__u32	add;
	__u32	posts;
	/* issue the SQE of the test as a request of the application */
	__u32	issue;
};

/* what a program has seen */
struct next_seen {
	__u64	user_data;
	__s32	res;
	__u32	cflags;
	__u32	prog;
	__u32	event;
	/* the first byte of text[] */
	__u32	text;
	__s32	ret;
};

#endif
