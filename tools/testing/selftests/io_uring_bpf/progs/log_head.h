/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by program and test: what is in front of a group of records. Requires the types. */
#ifndef LOG_HEAD_H
#define LOG_HEAD_H

#define LOG_RECORDS	100

struct log_head {
	__u32	nr;
	__u16	len[LOG_RECORDS];
};

#endif
