/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_BPF_IO_URING_H
#define _LINUX_BPF_IO_URING_H

#include <linux/errno.h>
#include <linux/types.h>

union bpf_attr;
struct bpf_prog;

/**
 * enum bpf_io_uring_event - why a program runs
 * @BPF_IO_URING_START: the flow was issued and no request stands before it;
 *	there is no completion, so the verdict has to be BPF_IO_URING_DEFAULT
 *	and anything else is taken for it
 * @BPF_IO_URING_COMPLETE: a child of the flow, or the request before it in its
 *	chain, has completed
 * @BPF_IO_URING_AUX: there is a CQE that is not the last of its request. With
 *	IORING_CQE_F_MORE in cflags a multishot request, or a bundle, goes on.
 *	With IORING_CQE_F_NOTIF it's the notification of a zero-copy send.
 * @BPF_IO_URING_CANCEL: the flow was cancelled by itself, not with its task, its
 *	ring or its program. The last event: nothing can be issued any more, the
 *	children are about to be cancelled, and the flow ends with -ECANCELED.
 *	There is no completion, the verdict is as for BPF_IO_URING_START.
 */
enum bpf_io_uring_event {
	BPF_IO_URING_START	= 0,
	BPF_IO_URING_COMPLETE	= 1,
	BPF_IO_URING_AUX	= 2,
	BPF_IO_URING_CANCEL	= 3,
};

/**
 * enum bpf_io_uring_verdict - what becomes of the completion's own CQE, and of
 *	the chain
 * @BPF_IO_URING_DEFAULT: posted if the application issued the request, with
 *	IOSQE_CQE_SKIP_SUCCESS honoured; not posted if a program did
 * @BPF_IO_URING_POST: posted, with user_data, res and cflags of the context
 * @BPF_IO_URING_DROP: not posted
 * @BPF_IO_URING_DROP_BUF: not posted, and the program takes the provided buffer
 *	over whose id the CQE carries. A completion with IORING_CQE_F_BUFFER is
 *	posted under any other verdict, as nobody would learn the id otherwise.
 * @BPF_IO_URING_GO_ON: or'ed to one of these: a failure or a short result
 *	doesn't cut the chain. For a program that watches, this is the chain of
 *	the completed request, and for that of a flow it is the chain behind the
 *	flow, whatever the result that the flow ends with. The last event to say
 *	something of the chain counts.
 * @BPF_IO_URING_CUT: or'ed as well: the chain is cut as by a failure, even if it
 *	is linked by IOSQE_IO_HARDLINK. Not both.
 */
enum bpf_io_uring_verdict {
	BPF_IO_URING_DEFAULT	= 0,
	BPF_IO_URING_POST	= 1,
	BPF_IO_URING_DROP	= 2,
	BPF_IO_URING_DROP_BUF	= 3,

	BPF_IO_URING_GO_ON	= 1U << 2,
	BPF_IO_URING_CUT	= 1U << 3,
};

/**
 * enum bpf_io_uring_issue_flags - flags of bpf_io_uring_issue()
 * @BPF_IO_URING_ISSUE_APP: no child, but a request of the application
 */
enum bpf_io_uring_issue_flags {
	BPF_IO_URING_ISSUE_APP		= 1U << 0,
};

/**
 * enum bpf_io_uring_edit_flags - flags of bpf_io_uring_drop() and unlink()
 * @BPF_IO_URING_REST: the request, and all behind it in the chain
 * @BPF_IO_URING_POST_CANCELED: what is dropped posts -ECANCELED
 */
enum bpf_io_uring_edit_flags {
	BPF_IO_URING_REST		= 1U << 0,
	BPF_IO_URING_POST_CANCELED	= 1U << 1,
};

/* above those of the SQE, in the flags of union bpf_io_uring_member */
enum bpf_io_uring_member_flags {
	BPF_IO_URING_MEMBER_TIMEOUT	= 1U << 8,
};

/**
 * union bpf_io_uring_member - a request that waits in a chain
 * @user_data: of the request
 * @index: its place in the chain, 0 is the one that is next
 * @flags: IOSQE_*, and BPF_IO_URING_MEMBER_TIMEOUT if IORING_OP_LINK_TIMEOUT
 *	stands behind it, which is no member by itself. Opcodes set IOSQE_ASYNC on
 *	their own account as well.
 * @opcode: enum io_uring_op
 *
 * Returned by bpf_iter_io_uring_chain_next(). It is a union because a pointer to
 * a struct is one to an object of the kernel, which takes CAP_PERFMON to read.
 */
union bpf_io_uring_member {
	struct {
		__u64	user_data;
		__u32	index;
		__u16	flags;
		__u8	opcode;
		/* private: 0 */
		__u8	__pad;
	};
};

/**
 * enum bpf_io_uring_ctx_flags - what is known of the request
 * @BPF_IO_URING_F_CHILD: a program issued it for this flow. If clear on
 *	BPF_IO_URING_COMPLETE, it is the request before the flow in its chain.
 * @BPF_IO_URING_F_NEXT: requests wait behind the flow in its chain
 * @BPF_IO_URING_F_MATCH: the application has issued it, and the program watches.
 *	There is no flow.
 */
enum bpf_io_uring_ctx_flags {
	BPF_IO_URING_F_CHILD	= 1U << 0,
	BPF_IO_URING_F_NEXT	= 1U << 1,
	BPF_IO_URING_F_MATCH	= 1U << 2,
};

/**
 * struct bpf_io_uring_ctx - context of a BPF_PROG_TYPE_IOURING program
 * @user_data: of the request; on START and CANCEL, of the flow. Writable.
 * @res: result of the request, a negative errno on failure; 0 on START,
 *	-ECANCELED on CANCEL. Writable.
 * @cflags: CQE flags (IORING_CQE_F_*) of the request; 0 on START and CANCEL.
 *	Writable, except for IORING_CQE_F_32 and IORING_CQE_F_SKIP, which are
 *	ignored.
 * @event: enum bpf_io_uring_event
 * @opcode: of the request, enum io_uring_op; IORING_OP_BPF on START and CANCEL.
 *	A notification has that of its send.
 * @flags: enum bpf_io_uring_ctx_flags
 * @nr_children: requests of the flow in flight, without the one just completed;
 *	with IORING_CQE_F_MORE on AUX, including the one that goes on
 * @state: the flow's memory. It starts as the SQE's off, addr, addr3 and
 *	bpf_arg, and lives until the flow has ended. Zero, and forgotten, if
 *	there is no flow. Writable.
 * @flow_user_data: user_data of the flow, 0 if there is none
 *
 * The gap is no part of it, the kernel has something of its own there.
 * A program may load whole fields only, naturally aligned, and store to those
 * said to be writable. It is described by BTF and is not UAPI.
 */
struct bpf_io_uring_ctx {
	__u64	user_data;
	__s32	res;
	__u32	cflags;
	__u8	event;
	__u8	opcode;
	__u16	flags;
	__u32	nr_children;
	__u64	state[4];
	__u64:64;
	__u64:64;
	__u64	flow_user_data;
};

int bpf_io_uring_link_attach(const union bpf_attr *attr, struct bpf_prog *prog);

#endif
