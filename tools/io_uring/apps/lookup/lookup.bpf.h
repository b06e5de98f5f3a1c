/* SPDX-License-Identifier: GPL-2.0 */
/* What the programs of iou-lookup share. Requires the types and <iou/iou.bpf.h>. */
#ifndef LOOKUP_BPF_H
#define LOOKUP_BPF_H

#include "lookup_area.h"

/* from the SQE */
struct lookup {
	__u64	fd;
	__u64	addr;
	__u64	buf;	/* index of the registered buffer at addr */
};

/* End the flow, and tell the application what it has to know beside the result. */
static __always_inline int lookup_end(struct bpf_io_uring_ctx *ctx, __u64 off, __u64 size,
				      __u64 reads, int res)
{
	struct lookup *l = iou_state(ctx, struct lookup);
	__u64 results[3] = { off, size, reads };

	if (bpf_io_uring_buf_write(ctx, l->buf, LOOKUP_REQ +
				   __builtin_offsetof(struct lookup_req, off),
				   results, sizeof(results)))
		res = -EFAULT;
	return iou_end(ctx, res);
}

#endif
