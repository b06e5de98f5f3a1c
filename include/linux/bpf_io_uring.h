/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_BPF_IO_URING_H
#define _LINUX_BPF_IO_URING_H

#include <linux/errno.h>
#include <linux/types.h>

union bpf_attr;
struct bpf_prog;

/**
 * enum bpf_io_uring_event - why a program runs
 * @BPF_IO_URING_START: the flow was issued, and no request precedes the flow in
 *	its chain. There is no completion: only BPF_IO_URING_GO_ON and
 *	BPF_IO_URING_CUT of the verdict have an effect.
 * @BPF_IO_URING_COMPLETE: a child of the flow has completed, or the request
 *	that precedes the flow in its chain, or a watched request.
 * @BPF_IO_URING_AUX: a CQE other than the last one of its request. With
 *	IORING_CQE_F_MORE in @cflags, the request continues: it is multishot or
 *	a bundle. With IORING_CQE_F_NOTIF, the CQE is the notification of
 *	a zero-copy send.
 * @BPF_IO_URING_CANCEL: the flow was cancelled, but not because its task or
 *	ring goes away, or because its program was detached. The children are
 *	cancelled afterwards, and the flow ends with -ECANCELED after the last one.
 *	The verdict is ignored.
 */
enum bpf_io_uring_event {
	BPF_IO_URING_START	= 0,
	BPF_IO_URING_COMPLETE	= 1,
	BPF_IO_URING_AUX	= 2,
	BPF_IO_URING_CANCEL	= 3,
};

/**
 * enum bpf_io_uring_verdict - return value: whether the CQE of the completion
 *	is posted, and whether the chain continues
 * @BPF_IO_URING_DEFAULT: the CQE of a child is not posted, except for a new file
 *	of a flow that is ending. The CQE of a request
 *	of the application is posted, unless IOSQE_CQE_SKIP_SUCCESS prevents it.
 * @BPF_IO_URING_POST: the CQE is posted. As under any verdict that posts the
 *	CQE, user_data, res and cflags are those of the context.
 * @BPF_IO_URING_DROP: the CQE is not posted.
 * @BPF_IO_URING_DROP_BUF: the CQE is not posted, and the program takes over the
 *	provided buffer whose id the CQE carries, see bpf_io_uring_buf_give().
 *	Other verdicts do not drop a CQE with IORING_CQE_F_BUFFER, because the
 *	application would not learn the id of the buffer.
 * @BPF_IO_URING_NEXT: ORed with one of the above. The watching program in the next
 *	slot that matches runs, too, with the user_data, res and cflags that this
 *	one leaves. Of several programs, the last one that does not return
 *	BPF_IO_URING_DEFAULT decides about the CQE, and the last one that returns
 *	a flag for the chain decides about the chain. Without effect for flows.
 * @BPF_IO_URING_GO_ON: ORed with any of the first five. For a flow, the chain behind
 *	the flow continues when the flow ends, even if the flow fails. This holds
 *	until a later event returns BPF_IO_URING_CUT, and has no effect if the
 *	flow is cancelled. For a watching program, the chain of the completed
 *	request continues, even after a failure or a short result.
 * @BPF_IO_URING_CUT: ORed with any of the first five. The same chain is cut as
 *	by a failure, even if it is linked with IOSQE_IO_HARDLINK. For a flow,
 *	this holds until a later event returns BPF_IO_URING_GO_ON. The verifier
 *	rejects both flags together.
 */
enum bpf_io_uring_verdict {
	BPF_IO_URING_DEFAULT	= 0,
	BPF_IO_URING_POST	= 1,
	BPF_IO_URING_DROP	= 2,
	BPF_IO_URING_DROP_BUF	= 3,

	BPF_IO_URING_NEXT	= 1U << 2,
	BPF_IO_URING_GO_ON	= 1U << 3,
	/* the largest flag, so that a range describes the valid verdicts */
	BPF_IO_URING_CUT	= 1U << 4,
};

/**
 * enum bpf_io_uring_issue_flags - flags of bpf_io_uring_issue()
 * @BPF_IO_URING_ISSUE_APP: issue a request of the application, not a child
 */
enum bpf_io_uring_issue_flags {
	BPF_IO_URING_ISSUE_APP		= 1U << 0,
};

/**
 * enum bpf_io_uring_cancel_flags - flags of bpf_io_uring_cancel()
 * @BPF_IO_URING_CANCEL_ALL: cancel all children, whatever their user_data
 */
enum bpf_io_uring_cancel_flags {
	BPF_IO_URING_CANCEL_ALL		= 1U << 0,
};

/**
 * enum bpf_io_uring_edit_flags - flags of bpf_io_uring_drop() and unlink()
 * @BPF_IO_URING_REST: apply to the request and to all that follow in the chain
 * @BPF_IO_URING_POST_CANCELED: drop() only: post a CQE with -ECANCELED for each
 *	dropped request
 */
enum bpf_io_uring_edit_flags {
	BPF_IO_URING_REST		= 1U << 0,
	BPF_IO_URING_POST_CANCELED	= 1U << 1,
};

/* flags of union bpf_io_uring_member, in addition to IOSQE_* */
enum bpf_io_uring_member_flags {
	BPF_IO_URING_MEMBER_TIMEOUT	= 1U << 8,
};

/**
 * union bpf_io_uring_member - a request that waits in a chain
 * @user_data: of the request
 * @index: position in the chain; 0 is the request that runs next
 * @flags: IOSQE_*, and BPF_IO_URING_MEMBER_TIMEOUT if the request has a linked
 *	timeout, which is not a member of its own. The kernel sets IOSQE_ASYNC
 *	for some opcodes.
 * @opcode: enum io_uring_op
 *
 * Returned by bpf_iter_io_uring_chain_next(). This is a union because the
 * verifier treats a pointer to a struct as a pointer to a kernel object, and
 * reading such an object requires CAP_PERFMON.
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
 * struct bpf_io_uring_buf_pos - a position in a registered buffer
 * @offset: offset in the buffer, in bytes
 * @index: index of the buffer, as in io_uring_sqe::buf_index
 * @pad: 0
 */
struct bpf_io_uring_buf_pos {
	__u64	offset;
	__u32	index;
	__u32	pad;
};

/**
 * enum bpf_io_uring_req_flags - flags of struct bpf_io_uring_req
 * @BPF_IO_URING_REQ_FIXED_BUF: the request has used a registered buffer
 */
enum bpf_io_uring_req_flags {
	BPF_IO_URING_REQ_FIXED_BUF	= 1U << 0,
};

/**
 * struct bpf_io_uring_req - arguments of a completed request
 * @addr: address of the buffer or of the iovecs, as in the SQE or as in the last
 *	call of bpf_io_uring_again(). If a read has selected a provided buffer,
 *	the address of this buffer. 0 for a send or receive that selects buffers.
 * @pos: for reads and writes, the file position after the transfer: a transfer of
 *	res bytes has begun at @pos - res, even if the SQE has an offset of -1 or
 *	the file is open for appending. 0 if the file has no position. A file that
 *	ignores positions leaves @pos as it was. 0 for sends and receives.
 * @len: length in bytes or number of iovecs, as in the SQE or as in the last call
 *	of bpf_io_uring_again(). If a read has selected a provided buffer, at
 *	most the length of this buffer. 0 for a send or receive that selects
 *	buffers.
 * @buf_index: index of the registered buffer, 0 if there is none
 * @flags: enum bpf_io_uring_req_flags
 *
 * For a registered buffer and a file whose driver does not support iterators, a
 * transfer advances @addr and reduces @len. So there, @addr + @len is the end of
 * the buffer.
 */
struct bpf_io_uring_req {
	__u64	addr;
	__u64	pos;
	__u32	len;
	__u16	buf_index;
	__u16	flags;
};

/**
 * enum bpf_io_uring_ctx_flags - origin of the request, and state of the chain
 * @BPF_IO_URING_F_CHILD: the request is a child of the flow. If this is clear
 *	on BPF_IO_URING_COMPLETE of a flow, the request precedes the flow in its
 *	chain.
 * @BPF_IO_URING_F_NEXT: requests follow the flow in its chain
 * @BPF_IO_URING_F_MATCH: the request is one of the application, and the program
 *	watches. There is no flow.
 * @BPF_IO_URING_F_ENDING: the flow has been cancelled, or the program has called
 *	bpf_io_uring_complete(). Set on CANCEL and for the completions of children.
 *	The program can look at their results, post CQEs, and issue requests that
 *	release what these results have brought, see bpf_io_uring_issue().
 */
enum bpf_io_uring_ctx_flags {
	BPF_IO_URING_F_CHILD	= 1U << 0,
	BPF_IO_URING_F_NEXT	= 1U << 1,
	BPF_IO_URING_F_MATCH	= 1U << 2,
	BPF_IO_URING_F_ENDING	= 1U << 3,
};

/**
 * struct bpf_io_uring_ctx - context of a BPF_PROG_TYPE_IOURING program
 * @user_data: user_data of the request; on START and CANCEL, of the flow.
 *	Writable.
 * @res: result of the request, a negative errno on failure; 0 on START,
 *	-ECANCELED on CANCEL. Writable.
 * @cflags: CQE flags (IORING_CQE_F_*) of the request; 0 on START and CANCEL.
 *	Writable, but changes of IORING_CQE_F_32 and IORING_CQE_F_SKIP are
 *	ignored, and with IORING_CQE_F_BUFFER also changes of the buffer id and
 *	its flags.
 * @event: enum bpf_io_uring_event
 * @opcode: enum io_uring_op of the request; IORING_OP_BPF on START and CANCEL;
 *	the opcode of the send for its notification
 * @flags: enum bpf_io_uring_ctx_flags
 * @nr_children: children of the flow in flight, including those that this run
 *	has issued, and on AUX with IORING_CQE_F_MORE the one that continues, but
 *	not the one that has completed
 * @state: private state of the flow. The initial values are off, addr, addr3
 *	and bpf_arg of the SQE. Preserved between events until the flow ends. Without
 *	a flow, zero at each event. Writable.
 * @flow_user_data: user_data of the flow, 0 if there is none
 * @flow_id: number of the flow, 0 if there is none. No two flows of a ring have
 *	the same number at a time. A new flow gets that of an ended one, so that
 *	the numbers are small, and below 65536.
 *
 * A program can load whole fields, and store to whole fields that are writable.
 * @state can also be accessed in aligned parts of 1, 2 or 4 bytes.
 * The verifier rejects access to the unnamed words, where the kernel keeps
 * other data. The layout is described by BTF and is not UAPI.
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
	__u64:64;
	__u64:64;
	__u64:64;
	__u16	flow_id;
};

int bpf_io_uring_link_attach(const union bpf_attr *attr, struct bpf_prog *prog);

#endif
