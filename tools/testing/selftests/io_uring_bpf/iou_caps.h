/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_CAPS_H
#define IOU_CAPS_H

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IOU_CAP(cap)	(1ULL << (cap))

/* Drop all capabilities permanently, except for those in @keep. */
static inline int iou_keep_caps(unsigned long long keep)
{
	struct __user_cap_header_struct hdr = {
		.version	= _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++) {
		data[i].effective = keep >> (32 * i);
		data[i].permitted = keep >> (32 * i);
		data[i].inheritable = 0;
	}
	return syscall(__NR_capset, &hdr, data);
}

#endif
