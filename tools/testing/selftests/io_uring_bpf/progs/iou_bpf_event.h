/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by programs and tests. Requires the types. */
#ifndef IOU_BPF_EVENT_H
#define IOU_BPF_EVENT_H

#define IOU_MAX_EVENTS	160

/* an event as the program saw it: struct bpf_io_uring_ctx is not UAPI */
struct iou_event {
	__u64	user_data;
	__s32	res;
	__u32	cflags;
	__u32	event;
	__u32	opcode;
	__u32	flags;
	__u32	nr_children;
	__u64	flow_user_data;
	__u64	state[4];
};

#endif
