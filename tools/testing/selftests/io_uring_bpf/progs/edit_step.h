/* SPDX-License-Identifier: GPL-2.0 */
/* Actions of a program on a chain */
#ifndef IOU_EDIT_STEP_H
#define IOU_EDIT_STEP_H

#define EDIT_MAX_STEPS		24
#define EDIT_MAX_MEMBERS	256

enum {
	EDIT_DROP,
	EDIT_UNLINK,
	/* arg is an index of sqes[] */
	EDIT_LINK,
	EDIT_ISSUE,
	EDIT_COMPLETE,
	/* what the program returns */
	EDIT_VERDICT,
	/* user_data of a CQE */
	EDIT_POST,
};

/* performed in the run with number event, counted over all runs */
struct edit_step {
	__u64	flags;
	__u32	event;
	__u32	verb;
	__u32	arg;
	__s32	ret;
};

/* a member of the chain, as a run has found it */
struct edit_member {
	__u64	user_data;
	__u32	event;
	__u32	index;
	__u32	flags;
	__u32	opcode;
};

#endif
