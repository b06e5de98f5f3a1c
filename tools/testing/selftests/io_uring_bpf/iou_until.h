/* SPDX-License-Identifier: GPL-2.0 */
/* Waiting for actions of programs, including those in an SQ thread */
#ifndef IOU_UNTIL_H
#define IOU_UNTIL_H

#include "iou_bpf.h"

/*
 * Programs run, and their requests are performed, with the lock of the ring
 * held. This function takes the lock, so what has begun before has finished
 * afterwards.
 */
static inline void iou_settle(struct io_uring *ring)
{
	struct io_uring_probe probe = {};

	iou_register(ring, IORING_REGISTER_PROBE, &probe, 0);
}

/*
 * Let task work run until @cond, or the limit. Return whether @cond holds,
 * after the run of the program that has caused it.
 */
#define iou_until(ring, cond) ({					\
	__u64 __end = iou_now_ms() + IOU_WAIT_MS;			\
	bool __ok;							\
									\
	while (!(__ok = (cond)) && iou_now_ms() < __end) {		\
		io_uring_get_events(ring);				\
		/* leave the CPU to the SQ thread */			\
		if ((ring)->flags & IORING_SETUP_SQPOLL)		\
			usleep(100);					\
	}								\
	iou_settle(ring);						\
	__ok;								\
})

#endif
