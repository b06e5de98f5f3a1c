/* SPDX-License-Identifier: GPL-2.0 */
/* Waiting for what programs do, be it in an SQ thread */
#ifndef IOU_UNTIL_H
#define IOU_UNTIL_H

#include "iou_bpf.h"

/*
 * Programs run, and what they ask for is done, with the ring's lock held. This
 * takes it, so what has been seen to begin has come to its end by then.
 */
static inline void iou_settle(struct io_uring *ring)
{
	struct io_uring_probe probe = {};

	iou_register(ring, IORING_REGISTER_PROBE, &probe, 0);
}

/*
 * Lets task work run until @cond, or for too long. Returns whether it is so, when
 * the program that has led to it has returned.
 */
#define iou_until(ring, cond) ({					\
	__u64 __end = iou_now_ms() + IOU_WAIT_MS;			\
	bool __ok;							\
									\
	while (!(__ok = (cond)) && iou_now_ms() < __end) {		\
		io_uring_get_events(ring);				\
		/* it takes the CPU for that */				\
		if ((ring)->flags & IORING_SETUP_SQPOLL)		\
			usleep(100);					\
	}								\
	iou_settle(ring);						\
	__ok;								\
})

#endif
