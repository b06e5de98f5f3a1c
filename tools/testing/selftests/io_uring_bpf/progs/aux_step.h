/* SPDX-License-Identifier: GPL-2.0 */
/* Actions of progs/aux.bpf.c at an event. Requires the types. */
#ifndef AUX_STEP_H
#define AUX_STEP_H

#define AUX_MARKER	0x3a24e4ULL

struct aux_step {
	/* number of the SQE to issue */
	__u32	issue;
	/* number of CQEs to post, with user_data AUX_MARKER and up */
	__u32	cqes;
	__u32	verdict;
	/* try bpf_io_uring_again() */
	__u32	again;
	/* try to clear all flags */
	__u32	change;
	/* result with which to end the flow */
	__s32	end;
};

#endif
