/* SPDX-License-Identifier: GPL-2.0 */
/* Steps of the programs of again.bpf.c */
#ifndef AGAIN_STEP_H
#define AGAIN_STEP_H

#define AGAIN_MAX_STEPS	40
#define AGAIN_MARKER	0x3a24e4

/* arguments of bpf_io_uring_again(), and other actions of the run */
struct again_step {
	__u64	off;
	__u64	addr;
	__u32	len;
	__s32	ret;
	/* written to the context if it is not 0 */
	__u64	user_data;
	__u32	cflags;
	__u32	verdict;
	/*
	 * number of CQEs to post first, with user_data AGAIN_MARKER + n, n
	 * counts all
	 */
	__u32	posts;
	__u32	pad;
};

/* actions of again_verbs, performed in this order */
enum {
	AGAIN_COMPLETE_FIRST	= 1U << 0,
	AGAIN_ISSUE_FIRST	= 1U << 1,
	AGAIN_AGAIN		= 1U << 2,
	AGAIN_TWICE		= 1U << 3,
	AGAIN_ISSUE		= 1U << 4,
	AGAIN_COMPLETE		= 1U << 5,
};

#define AGAIN_NR_VERBS	6

#endif
