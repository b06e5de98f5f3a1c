/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_MODE_POST_H
#define IOU_MODE_POST_H

/* a CQE of 32 bytes, or of 16 */
struct mode_post {
	__u64	user_data;
	__s32	res;
	__u32	flags;
	__u64	extra[2];
};

#endif
