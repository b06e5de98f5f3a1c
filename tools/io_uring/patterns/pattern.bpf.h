/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Common parts of the patterns: programs that an administrator loads once, and that
 * everybody attaches. All parameters are in the four words of the SQE. A pattern has
 * neither maps nor global variables, because all users of the program would share them,
 * and prints nothing.
 */
#ifndef IOU_PATTERN_BPF_H_
#define IOU_PATTERN_BPF_H_

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <iou/iou.bpf.h>

char LICENSE[] SEC("license") = "GPL";

/*
 * The documentation of a pattern, which iou-patterns prints: lines that begin with
 * a keyword. The section is in the object file only. libbpf and the kernel ignore its
 * contents, and the text is not a map.
 */
#define PATTERN(text)	const char iou_pattern[] SEC(".iou_pattern") = text

#define KIND(kind)		"kind " kind "\n"
#define ABOUT(text)		"about " text "\n"
/* sizeof() the memory of the flow, as a number */
#define MEMORY(bytes)		"flow_size " #bytes "\n"
#define ARG(name, where, text)	"arg " name "|" where "|" text "\n"
#define RESULT(text)		"result " text "\n"
#define ERROR(name, text)	"error " name "|" text "\n"
#define WINS(text)		"wins " text "\n"
#define LOSES(text)		"loses " text "\n"

/* the largest number of bytes that one request transfers */
#define PATTERN_MAX_RW		0x7ffff000U
#define PATTERN_MAX_OFFSET	0x7fffffffffffffffULL

/*
 * Return true if the flow starts: on its own, or as a member of a chain, behind a request
 * that has completed. There is no flow if the program was attached to watch.
 */
static __always_inline bool pattern_starts(const struct bpf_io_uring_ctx *ctx)
{
	return ctx->event == BPF_IO_URING_START ||
	       (ctx->event == BPF_IO_URING_COMPLETE && !iou_is_child(ctx) &&
		!(ctx->flags & BPF_IO_URING_F_MATCH));
}

/* Return true if a child has completed, and the flow goes on. */
static __always_inline bool pattern_goes_on(const struct bpf_io_uring_ctx *ctx)
{
	return ctx->event == BPF_IO_URING_COMPLETE && iou_is_child(ctx) &&
	       !iou_is_ending(ctx);
}

/* Issue a timeout of @ns nanoseconds. Its result is -ETIME. */
static __always_inline int pattern_timeout(struct bpf_io_uring_ctx *ctx, __u64 ns,
					   __u64 user_data)
{
	struct io_uring_sqe sqe;

	io_uring_prep_timeout(&sqe, ns, 0, IORING_TIMEOUT_IMMEDIATE_ARG);
	io_uring_sqe_set_data64(&sqe, user_data);
	return iou_issue(ctx, &sqe);
}

/* Requests of the application, as an array of SQEs in a registered buffer */

/* an SQE of the array has no other flags */
#define PATTERN_SQE_FLAGS	(IOSQE_FIXED_FILE | IOSQE_ASYNC)

/* Read the SQE with index @i of the array. Return 0 or an error. */
static __always_inline int pattern_read_sqe(struct bpf_io_uring_ctx *ctx, __u32 buf,
					    __u64 array, __u32 i,
					    struct io_uring_sqe *sqe)
{
	__builtin_memset(sqe, 0, sizeof(*sqe));
	return bpf_io_uring_buf_read(ctx, buf, array + (__u64)i * sizeof(*sqe), sqe,
				     sizeof(*sqe));
}

/* Issue the SQE with index @i, which is the user_data of the child. */
static __always_inline int pattern_issue_sqe(struct bpf_io_uring_ctx *ctx, __u32 buf,
					     __u64 array, __u32 i)
{
	struct io_uring_sqe sqe;
	int ret;

	ret = pattern_read_sqe(ctx, buf, array, i, &sqe);
	if (ret)
		return ret;
	if (sqe.flags & ~PATTERN_SQE_FLAGS)
		return -EINVAL;
	io_uring_sqe_set_data64(&sqe, i);
	return iou_issue(ctx, &sqe);
}

/*
 * Store the result of the child in the user_data of its SQE, as 64 bits. The SQE has been
 * read from the same place, so an error means that the application has unregistered the
 * buffer meanwhile.
 */
static __always_inline int pattern_store_res(struct bpf_io_uring_ctx *ctx, __u32 buf,
					     __u64 array)
{
	__u64 off = array + ctx->user_data * sizeof(struct io_uring_sqe) +
		    __builtin_offsetof(struct io_uring_sqe, user_data);
	__s64 res = ctx->res;

	return bpf_io_uring_buf_write(ctx, buf, off, &res, sizeof(res));
}

/*
 * Return the verdict for a child that completes after the end of the flow. @err is what
 * pattern_store_res() has returned: a file that was opened too late is in the array, and
 * needs no CQE.
 */
static __always_inline int pattern_late_verdict(int err)
{
	return err ? BPF_IO_URING_DEFAULT : BPF_IO_URING_DROP;
}

#endif
