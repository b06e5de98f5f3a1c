/* SPDX-License-Identifier: GPL-2.0 */
/* Requests that wait for a private futex */
#ifndef IOU_FUTEX_H
#define IOU_FUTEX_H

#include "iou_bpf.h"

#include <linux/futex.h>

/* missing from the headers of some C libraries */
#ifndef FUTEX2_SIZE_U32
#define FUTEX2_SIZE_U32		0x02
#endif
#ifndef FUTEX2_PRIVATE
#define FUTEX2_PRIVATE		FUTEX_PRIVATE_FLAG
#endif

/* Wait for @futex as long as it has its value, liburing 2.3 has no such function. */
static inline void iou_prep_futex_wait(struct io_uring_sqe *sqe, __u32 *futex,
				       __u64 user_data)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_FUTEX_WAIT;
	sqe->fd = FUTEX2_SIZE_U32 | FUTEX2_PRIVATE;
	sqe->addr = (unsigned long)futex;
	sqe->addr2 = *futex;
	sqe->addr3 = FUTEX_BITSET_MATCH_ANY;
	sqe->user_data = user_data;
}

#endif
