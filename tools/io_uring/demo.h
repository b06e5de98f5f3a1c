/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_DEMO_H
#define IOU_DEMO_H

#include "iou_bpf.h"
#include "demo_shared.h"

struct demo;

/* cost of one variant, and whether it worked */
struct demo_stats {
	__u64		bytes;
	unsigned int	enters;
	unsigned int	cqes;
	/* runs of the program */
	unsigned int	runs;
	bool		ok;
};

/* Sizes of the pieces that the pipe of part two delivers, and their sum */
#define DEMO_PIECES	{ 100, 1, 4000, 3, 2048, 1, 6000, 17, 4214 }
#define DEMO_WANTED	16384

/* of a ring, more than are in flight */
#define DEMO_ENTRIES	64

struct demo_file {
	int		src;
	int		dst;
	__u64		size;
};

/* part two: results of the CQEs, 0 if there was none */
struct demo_chain {
	struct demo_stats	stats;
	int			read_res;
	int			write_res;
};

/*
 * The only system call for I/O. There is always a CQE to wait for, so
 * io_uring_submit_and_wait() enters the kernel exactly once.
 */
static inline int demo_enter(struct io_uring *ring, struct demo_stats *stats)
{
	int ret;

	stats->enters++;
	ret = io_uring_submit_and_wait(ring, 1);
	return ret < 0 && ret != -EINTR ? ret : 0;
}

static inline struct io_uring_sqe *demo_queue_rw(struct io_uring *ring, int op,
						 int fd, const void *buf,
						 unsigned int len, __u64 off,
						 __u64 user_data)
{
	struct io_uring_sqe *sqe = iou_get_sqe(ring);

	io_uring_prep_rw(op, sqe, fd, buf, len, off);
	sqe->user_data = user_data;
	return sqe;
}

/* These return 0 or a negative error. */
int demo_copy_flow(struct demo *skel, const struct demo_file *file,
		   struct demo_stats *stats);
int demo_copy_loop(const struct demo_file *file, struct demo_stats *stats);
/* Run the chain, without a flow if @skel is NULL. */
int demo_chain(struct demo *skel, struct demo_chain *chain);
/* Store the hexadecimal digits and a terminating 0. */
int demo_sha256(int fd, char sum[65]);

#endif
