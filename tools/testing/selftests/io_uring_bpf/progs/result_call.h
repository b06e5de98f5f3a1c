/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by program and test: a kfunc, called in a way that is refused */
#ifndef RESULT_CALL_H
#define RESULT_CALL_H

enum result_call {
	RESULT_NONE,
	RESULT_ISSUE,
	RESULT_ISSUE_SIZE,
	RESULT_AGAIN,
	RESULT_POST_CQE,
	RESULT_DROP,
	RESULT_UNLINK,
	RESULT_LINK,
	RESULT_CANCEL,
	RESULT_GIVE,
	/* there is nothing to drop or to cancel */
	RESULT_DROP_NONE,
	RESULT_CANCEL_NONE,
};

#endif
