// SPDX-License-Identifier: GPL-2.0
/*
 * What a BPF_PROG_TYPE_IOURING program may do with its context
 */
#include <linux/kernel.h>
#include <linux/bpf.h>
#include <linux/bpf_verifier.h>

#include "bpf_int.h"

/* Size of the field that starts at @off, or 0. */
static int io_bpf_field_size(int off)
{
	switch (off) {
	case offsetof(struct bpf_io_uring_ctx, event):
	case offsetof(struct bpf_io_uring_ctx, opcode):
		return sizeof(u8);
	case offsetof(struct bpf_io_uring_ctx, flags):
		return sizeof(u16);
	case offsetof(struct bpf_io_uring_ctx, res):
	case offsetof(struct bpf_io_uring_ctx, cflags):
	case offsetof(struct bpf_io_uring_ctx, nr_children):
		return sizeof(u32);
	case offsetof(struct bpf_io_uring_ctx, user_data):
	case offsetof(struct bpf_io_uring_ctx, flow_user_data):
		return sizeof(u64);
	}
	if (off >= offsetof(struct bpf_io_uring_ctx, state) &&
	    off < offsetofend(struct bpf_io_uring_ctx, state) &&
	    !(off % sizeof(u64)))
		return sizeof(u64);
	return 0;
}

static bool io_bpf_field_writable(int off)
{
	return off == offsetof(struct bpf_io_uring_ctx, user_data) ||
	       off == offsetof(struct bpf_io_uring_ctx, res) ||
	       off == offsetof(struct bpf_io_uring_ctx, cflags) ||
	       (off >= offsetof(struct bpf_io_uring_ctx, state) &&
		off < offsetofend(struct bpf_io_uring_ctx, state));
}

/*
 * A program that watches is plain if it neither writes to its context nor goes
 * beyond what all programs have there, see io_bpf_is_plain(): ->max_ctx_offset
 * tells, where writing counts as going to the end. An extension must not do what
 * the program that it extends is known not to do. If it was loaded for another
 * one and is moved here, nobody looks again: then it finds in ->state[] what
 * watchers of the ring have left there, and what it writes goes nowhere.
 */
static bool io_bpf_access(int end, enum bpf_access_type type,
			  struct bpf_prog_aux *aux)
{
	if (type == BPF_WRITE)
		end = sizeof(struct bpf_io_uring_ctx);
	if (end > IO_BPF_PLAIN_CTX && aux->dst_prog &&
	    io_bpf_is_plain(aux->dst_prog))
		return false;
	aux->max_ctx_offset = max_t(u32, aux->max_ctx_offset, end);
	return true;
}

static bool io_bpf_is_valid_access(int off, int size, enum bpf_access_type type,
				   const struct bpf_prog *prog,
				   struct bpf_insn_access_aux *info)
{
	if (off < 0 || off % size || size != io_bpf_field_size(off))
		return false;
	if (type == BPF_WRITE && !io_bpf_field_writable(off))
		return false;
	return io_bpf_access(off + size, type, prog->aux);
}

const struct bpf_verifier_ops io_uring_verifier_ops = {
	.get_func_proto		= bpf_base_func_proto,
	.is_valid_access	= io_bpf_is_valid_access,
};

const struct bpf_prog_ops io_uring_prog_ops = {
};
