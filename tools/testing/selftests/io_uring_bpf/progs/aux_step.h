/* SPDX-License-Identifier: GPL-2.0 */
/* What progs/aux.bpf.c does at an event. Include the types it needs first. */
#ifndef AUX_STEP_H
#define AUX_STEP_H

#define AUX_MARKER	0x3a24e4ULL

struct aux_step {
	/* number of the SQE to issue */
	__u32	issue;
	/* how many CQEs to post, with user_data AUX_MARKER and so on */
	__u32	cqes;
	__u32	verdict;
	/* try to issue the request again */
	__u32	again;
	/* try to take all flags away */
	__u32	change;
	/* with which result to end the flow */
	__s32	end;
};

#endif
