/* SPDX-License-Identifier: GPL-2.0 */
/* What the program and the application have in common. Include the types first. */
#ifndef LOG_SHARED_H
#define LOG_SHARED_H

/*
 * A group begins at a multiple of this in the file, and is padded with zeroes: so a block
 * that is durable is never written again, and O_DIRECT works on any device.
 */
#define LOG_BLOCK	4096U

/* of the ring of records that wait, a power of two */
#define LOG_RING	(1U << 20)

/* the registered buffers: the ring and a block of zeroes, and the group in flight */
#define LOG_BUF_RING	0
#define LOG_BUF_GROUP	1

/* deliberate errors, which the tests have to notice */
enum log_fault {
	LOG_FAULT_NONE,
	/* a group counts as durable when it is written */
	LOG_FAULT_NO_SYNC,
	/* it is reported before the sync, which follows */
	LOG_FAULT_EARLY,
	/* it counts as written although the write was short */
	LOG_FAULT_SHORT,
	/* after a failed sync, it is synced again */
	LOG_FAULT_RETRY,
};

/* from the report of LOG_FAULT_EARLY to the sync */
#define LOG_EARLY_NS	30000000

/* the children of the flow, by their user_data */
enum log_child {
	LOG_EVENT,
	LOG_WRITE,
	LOG_SYNC,
	LOG_DELAY,
	/* and above */
	LOG_TIMER,
};

/* set before the program is loaded: the verifier sees constants */
struct log_config {
	/* commit this many records, or what is there this long after the first */
	__u32	records;
	__u32	fault;
	__u64	wait_ns;
	/* the log, and an eventfd by which the application asks the flow to look */
	__s32	fd;
	__s32	event_fd;
	/* addresses: 8 bytes for the value of the eventfd, and the two buffers */
	__u64	event;
	__u64	group;
};

struct log_shared {
	/*
	 * What the application has put into the ring: bytes in the upper half, records in
	 * the lower one, both modulo 2^32. One word, so that they belong together.
	 */
	__u64	tail;
	/* the number of records that are to be committed without delay, modulo 2^32 */
	__u32	urgent;
	/* there will be no more records */
	__u32	closing;

	/* Of the program from here on. It wants to be told of this number of records. */
	__u32	want;
	/* bytes that are no longer needed in the ring, modulo 2^32 */
	__u32	taken;
	/* records, and groups, that are durable */
	__u64	durable;
	__u64	groups;
	/* the child whose completion has ended the log, after an error */
	__u64	failed;
};

#endif
