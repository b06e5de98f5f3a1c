/* SPDX-License-Identifier: GPL-2.0 */
/* Common parts of the programs in this folder */
#ifndef IOU_BPF_H
#define IOU_BPF_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
/* of this kernel, and first: liburing brings an older one with the same guard */
#include <linux/io_uring.h>
#include <linux/bpf.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <liburing.h>

#define IOU_DEFER	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)

/* Fill in a request for the flow of @slot, whose state begins with these words. */
static inline void iou_prep_bpf(struct io_uring_sqe *sqe, unsigned int slot,
				__u64 a0, __u64 a1, __u64 a2, __u64 a3)
{
	memset(sqe, 0, sizeof(*sqe));
#ifdef HAVE_IO_URING_BPF
	io_uring_prep_bpf(sqe, slot, a0, a1);
	io_uring_sqe_set_bpf_args(sqe, a2, a3);
#else
	sqe->opcode = IORING_OP_BPF;
	sqe->fd = -1;
	sqe->len = slot;
	sqe->off = a0;
	sqe->addr = a1;
	sqe->addr3 = a2;
	sqe->bpf_arg = a3;
#endif
}

/* Return an SQE that is all zero. The SQ must not be full. */
static inline struct io_uring_sqe *iou_get_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe)
		abort();
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

/* Queue a flow for @slot. Return its SQE, for flags and the words of the state. */
static inline struct io_uring_sqe *iou_queue_bpf(struct io_uring *ring,
						 unsigned int slot,
						 __u64 user_data)
{
	struct io_uring_sqe *sqe = iou_get_sqe(ring);

	iou_prep_bpf(sqe, slot, 0, 0, 0, 0);
	sqe->user_data = user_data;
	return sqe;
}

#endif
