// SPDX-License-Identifier: GPL-2.0
/*
 * BPF_PROG_TYPE_IOURING: bpf_link, verifier callbacks and the set of kfuncs
 *
 * Ring and link share a struct io_bpf_ring and can be freed in any order. Neither
 * holds a reference to the other: a link in the file table of its ring would keep
 * both alive forever.
 */
#include <linux/init.h>
#include <linux/nospec.h>
#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/fs.h>

#include "bpf_int.h"

struct io_bpf_link {
	struct bpf_link		link;
	/* counted reference */
	struct io_bpf_ring	*br;
	u32			slot;
	/* BPF_F_IOURING_* */
	u32			flags;
	/* with BPF_F_IOURING_MATCH, otherwise 0 */
	struct io_bpf_match	match;
	/* memory of each flow */
	u32			flow_size;
	/* inode number of the ring, as in its fdinfo */
	u64			ring_ino;
	/* the slot has the program of this link; protected by ->br->lock */
	bool			attached;
};

static struct io_bpf_link *io_bpf_to_link(const struct bpf_link *link)
{
	return container_of(link, struct io_bpf_link, link);
}

/*
 * Programs run with the files, memory and credentials of the submitter, and an fd
 * of the ring does not prove ownership: peers get one for MSG_RING. So require
 * the mm of the creator, and what io_uring_register() requires.
 */
static int io_bpf_check_ring(struct io_ring_ctx *ctx)
{
	lockdep_assert_held(&ctx->uring_lock);

	if (ctx->mm_account != current->mm)
		return -EPERM;
	if (ctx->submitter_task && ctx->submitter_task != current)
		return -EEXIST;
	if ((ctx->int_flags & IO_RING_F_REG_RESTRICTED) &&
	    (!(ctx->flags & IORING_SETUP_R_DISABLED) ||
	     (ctx->int_flags & IO_RING_F_RESTRICT_INHERITED)))
		return -EACCES;
	return 0;
}

/* Return a reference to the io_bpf_ring of @ctx. The first link allocates it. */
static struct io_bpf_ring *io_bpf_ring_get(struct io_ring_ctx *ctx)
{
	struct io_bpf_ring *br;
	int ret;

	guard(mutex)(&ctx->uring_lock);

	ret = io_bpf_check_ring(ctx);
	if (ret)
		return ERR_PTR(ret);
	br = ctx->bpf_ring;
	if (!br) {
		br = io_bpf_ring_alloc(ctx);
		if (!br)
			return ERR_PTR(-ENOMEM);
		ctx->bpf_ring = br;
		/* never cleared, so that completions in flight need not be looked at */
		ctx->int_flags |= IO_RING_F_BPF;
		/* children need io_bpf_submit_child_mode() */
		if (ctx->flags & (IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL |
				  IORING_SETUP_CQE32 | IORING_SETUP_SQE128))
			ctx->int_flags |= IO_RING_F_BPF_MODE;
	}
	refcount_inc(&br->refs);
	return br;
}

/* Store @prog in the slot of the link, or clear the slot if @prog is NULL. */
static void io_bpf_link_set_prog(struct io_bpf_link *l, struct bpf_prog *prog)
{
	if (l->flags & BPF_F_IOURING_MATCH)
		io_bpf_set_watcher(l->br, l->slot, prog, &l->match);
	else
		l->br->progs[l->slot] = prog;
}

static int io_bpf_link_fill_slot(struct io_bpf_link *l)
{
	struct io_bpf_ring *br = l->br;

	guard(mutex)(&br->lock);
	guard(mutex)(&br->ctx->uring_lock);

	if (br->progs[l->slot] || br->watchers[l->slot].prog)
		return -EBUSY;
	br->flow_sizes[l->slot] = l->flow_size;
	br->nr_runs[l->slot] = 0;
	br->watchers[l->slot].nr_runs = 0;
	memset(&br->stats[l->slot], 0, sizeof(br->stats[l->slot]));
	io_bpf_link_set_prog(l, l->link.prog);
	l->attached = true;
	return 0;
}

static void io_bpf_link_release(struct bpf_link *link)
{
	struct io_bpf_link *l = io_bpf_to_link(link);
	struct io_bpf_ring *br = l->br;

	guard(mutex)(&br->lock);

	if (!l->attached)
		return;
	l->attached = false;
	if (!br->ctx)
		return;

	guard(mutex)(&br->ctx->uring_lock);

	io_bpf_link_set_prog(l, NULL);
	io_bpf_cancel_slot(br, l->slot);
}

static int io_bpf_link_detach(struct bpf_link *link)
{
	io_bpf_link_release(link);
	return 0;
}

static void io_bpf_link_dealloc(struct bpf_link *link)
{
	struct io_bpf_link *l = io_bpf_to_link(link);

	io_bpf_ring_put(l->br);
	kfree(l);
}

/* Flows in flight keep their state and continue with the new program. */
static int io_bpf_link_update(struct bpf_link *link, struct bpf_prog *new_prog,
			      struct bpf_prog *old_prog)
{
	struct io_bpf_link *l = io_bpf_to_link(link);
	struct io_bpf_ring *br = l->br;

	guard(mutex)(&br->lock);

	if (!l->attached || !br->ctx || percpu_ref_is_dying(&br->ctx->refs))
		return -ENOLINK;
	if (old_prog && link->prog != old_prog)
		return -EPERM;
	if (new_prog->type != link->prog->type ||
	    new_prog->expected_attach_type != link->prog->expected_attach_type)
		return -EINVAL;

	scoped_guard(mutex, &br->ctx->uring_lock)
		io_bpf_link_set_prog(l, new_prog);
	old_prog = xchg(&link->prog, new_prog);
	/* runs hold ->uring_lock, so none uses the old program any more */
	bpf_prog_put(old_prog);
	return 0;
}

/* Return the inode number of the ring, or 0 if the link is detached or the ring is gone. */
static u64 io_bpf_link_ring(const struct io_bpf_link *l)
{
	/* no lock, so that a reader does not wait for the ring: both are only cleared */
	return data_race(l->attached && l->br->ctx) ? l->ring_ino : 0;
}

/* No lock: the fields are constant. */
static void io_bpf_link_show_fdinfo(const struct bpf_link *link,
				    struct seq_file *seq)
{
	const struct io_bpf_link *l = io_bpf_to_link(link);

	seq_printf(seq, "ring_ino:\t%llu\n", io_bpf_link_ring(l));
	seq_printf(seq, "slot:\t%u\n", l->slot);
	seq_printf(seq, "iouring_flags:\t%#x\n", l->flags);
	if (!(l->flags & BPF_F_IOURING_MATCH)) {
		seq_printf(seq, "flow_size:\t%u\n", l->flow_size);
		return;
	}
	seq_printf(seq, "opcodes:\t%#llx %#llx\n", l->match.opcodes[0],
		   l->match.opcodes[1]);
	seq_printf(seq, "user_data:\t%#llx\n", l->match.user_data);
	seq_printf(seq, "user_data_mask:\t%#llx\n", l->match.user_data_mask);
}

static int io_bpf_link_fill_info(const struct bpf_link *link,
				 struct bpf_link_info *info)
{
	const struct io_bpf_link *l = io_bpf_to_link(link);

	info->iouring.slot = l->slot;
	info->iouring.flags = l->flags;
	info->iouring.opcodes[0] = l->match.opcodes[0];
	info->iouring.opcodes[1] = l->match.opcodes[1];
	info->iouring.user_data = l->match.user_data;
	info->iouring.user_data_mask = l->match.user_data_mask;
	info->iouring.flow_size = l->flow_size;
	info->iouring.ring_ino = io_bpf_link_ring(l);
	return 0;
}

static const struct bpf_link_ops io_bpf_link_ops = {
	.release	= io_bpf_link_release,
	.dealloc	= io_bpf_link_dealloc,
	.detach		= io_bpf_link_detach,
	.update_prog	= io_bpf_link_update,
	.show_fdinfo	= io_bpf_link_show_fdinfo,
	.fill_link_info	= io_bpf_link_fill_info,
};

static int io_bpf_link_parse(struct io_bpf_link *l, const union bpf_attr *attr)
{
	struct io_bpf_match *m = &l->match;

	BUILD_BUG_ON(IORING_OP_LAST >= 64 * ARRAY_SIZE(m->opcodes));

	l->slot = attr->link_create.iouring.slot;
	l->flags = attr->link_create.iouring.flags;
	m->opcodes[0] = attr->link_create.iouring.opcodes[0];
	m->opcodes[1] = attr->link_create.iouring.opcodes[1];
	m->user_data = attr->link_create.iouring.user_data;
	m->user_data_mask = attr->link_create.iouring.user_data_mask;
	l->flow_size = attr->link_create.iouring.flow_size;

	if (attr->link_create.flags || l->slot >= IO_BPF_MAX_SLOTS ||
	    l->flow_size > IO_BPF_MAX_FLOW_SIZE || attr->link_create.iouring.reserved ||
	    (l->flags & ~IO_BPF_LINK_FLAGS))
		return -EINVAL;
	l->slot = array_index_nospec(l->slot, IO_BPF_MAX_SLOTS);
	if (!(l->flags & BPF_F_IOURING_MATCH))
		return mem_is_zero(m, sizeof(*m)) ? 0 : -EINVAL;
	/* there is no flow */
	if (l->flow_size)
		return -EINVAL;
	/* unknown opcodes, or no request can match */
	if (m->opcodes[IORING_OP_LAST / 64] >> (IORING_OP_LAST % 64) ||
	    (m->user_data & ~m->user_data_mask) || !io_bpf_match_possible(m))
		return -EINVAL;
	return 0;
}

/**
 * bpf_io_uring_link_attach - BPF_LINK_CREATE for BPF_PROG_TYPE_IOURING
 * @attr: ->link_create: target_fd is the ring, flags is 0, iouring.slot is 0 to
 *	15. With BPF_F_IOURING_MATCH in iouring.flags, the program watches the
 *	requests that have a bit of their opcode in opcodes, or any opcode if
 *	opcodes is 0, and whose user_data & user_data_mask equals user_data.
 *	Otherwise these fields are 0, and the program steers flows, each of which
 *	has iouring.flow_size bytes of memory, at most 4096. With
 *	BPF_F_IOURING_REGISTERED_RING, target_fd is the index of a ring that the
 *	task has registered with IORING_REGISTER_RING_FDS.
 * @prog: the program; the link takes over the reference on success
 *
 * Return: fd of the link, or
 * -EINVAL: slot, flags or flow_size is invalid, a field is not 0 as required, no
 * request can match, or target_fd is no index of a registered ring;
 * -EBADF, -EOPNOTSUPP: target_fd is not open or not registered, or is not a ring;
 * -EPERM: another process created the ring;
 * -EEXIST: another task is the single issuer of the ring;
 * -EACCES: the ring has restrictions on io_uring_register();
 * -EBUSY: the slot is in use;
 * -ENOMEM, -EMFILE: no memory or file descriptor is available.
 */
int bpf_io_uring_link_attach(const union bpf_attr *attr, struct bpf_prog *prog)
{
	struct io_bpf_link *l __free(kfree) = kzalloc_obj(*l, GFP_KERNEL_ACCOUNT);
	struct file *file __free(fput) = NULL;
	struct bpf_link_primer primer;
	bool registered;
	int ret;

	if (!l)
		return -ENOMEM;
	ret = io_bpf_link_parse(l, attr);
	if (ret)
		return ret;
	registered = l->flags & BPF_F_IOURING_REGISTERED_RING;
	file = io_uring_ctx_get_file(attr->link_create.target_fd, registered);
	if (IS_ERR(file))
		return PTR_ERR(file);
	/* the task, which has registered the file, holds the only reference */
	if (registered)
		get_file(file);
	l->ring_ino = file_inode(file)->i_ino;
	l->br = io_bpf_ring_get(file->private_data);
	if (IS_ERR(l->br))
		return PTR_ERR(l->br);

	bpf_link_init(&l->link, BPF_LINK_TYPE_IOURING, &io_bpf_link_ops, prog,
		      BPF_IOURING);
	ret = bpf_link_prime(&l->link, &primer);
	if (ret) {
		io_bpf_ring_put(l->br);
		return ret;
	}
	/* the file of the link owns the link from here on */
	ret = io_bpf_link_fill_slot(no_free_ptr(l));
	if (ret) {
		bpf_link_cleanup(&primer);
		return ret;
	}
	return bpf_link_settle(&primer);
}

/* The program type: access to the context, and kfuncs */

/* Return the size of the field at @off, or 0 if there is none or it is read-only. */
static int io_bpf_field_size(int off, enum bpf_access_type type)
{
	switch (off) {
	case bpf_ctx_range(struct bpf_io_uring_ctx, res):
	case bpf_ctx_range(struct bpf_io_uring_ctx, cflags):
		return sizeof(u32);
	case bpf_ctx_range(struct bpf_io_uring_ctx, user_data):
		return sizeof(u64);
	}
	if (type == BPF_WRITE)
		return 0;
	switch (off) {
	case bpf_ctx_range(struct bpf_io_uring_ctx, event):
	case bpf_ctx_range(struct bpf_io_uring_ctx, opcode):
		return sizeof(u8);
	case bpf_ctx_range(struct bpf_io_uring_ctx, flags):
	case bpf_ctx_range(struct bpf_io_uring_ctx, flow_id):
		return sizeof(u16);
	case bpf_ctx_range(struct bpf_io_uring_ctx, nr_children):
		return sizeof(u32);
	case bpf_ctx_range(struct bpf_io_uring_ctx, flow_user_data):
		return sizeof(u64);
	}
	return 0;
}

/* Return true for a part of ->state[]: a program can lay a struct over it. */
static bool io_bpf_is_state(int off, int size)
{
	/* iou_state() of programs uses this offset without a relocation */
	BUILD_BUG_ON(offsetof(struct bpf_io_uring_ctx, state) != 24);

	return off >= offsetof(struct bpf_io_uring_ctx, state) &&
	       off + size <= offsetofend(struct bpf_io_uring_ctx, state);
}

/*
 * Let ->max_ctx_offset tell io_bpf_is_plain() what the program accesses. A store
 * counts as an access to the whole context.
 *
 * An extension must not do what its target is known not to do. The verifier does
 * not check an extension again which moves to another target. There, ->state[] has
 * values of other watchers of the ring, and stores have no effect.
 */
static bool io_bpf_is_valid_access(int off, int size, enum bpf_access_type type,
				   const struct bpf_prog *prog,
				   struct bpf_insn_access_aux *info)
{
	struct bpf_prog_aux *aux = prog->aux;
	int end = off + size;

	if (off < 0 || off % size ||
	    (size != io_bpf_field_size(off, type) && !io_bpf_is_state(off, size)))
		return false;
	if (type == BPF_WRITE)
		end = sizeof(struct bpf_io_uring_ctx);
	if (end > IO_BPF_PLAIN_CTX && aux->dst_prog &&
	    io_bpf_is_plain(aux->dst_prog))
		return false;
	aux->max_ctx_offset = max_t(u32, aux->max_ctx_offset, end);
	return true;
}

const struct bpf_verifier_ops io_uring_verifier_ops = {
	.get_func_proto		= bpf_base_func_proto,
	.is_valid_access	= io_bpf_is_valid_access,
};

const struct bpf_prog_ops io_uring_prog_ops = {
};

BTF_KFUNCS_START(io_bpf_kfunc_ids)
BTF_ID_FLAGS(func, bpf_io_uring_issue)
BTF_ID_FLAGS(func, bpf_io_uring_again)
BTF_ID_FLAGS(func, bpf_io_uring_post_cqe)
BTF_ID_FLAGS(func, bpf_io_uring_complete)
BTF_ID_FLAGS(func, bpf_io_uring_cancel)
BTF_ID_FLAGS(func, bpf_iter_io_uring_chain_new, KF_ITER_NEW)
BTF_ID_FLAGS(func, bpf_iter_io_uring_chain_next, KF_ITER_NEXT | KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_iter_io_uring_chain_destroy, KF_ITER_DESTROY)
BTF_ID_FLAGS(func, bpf_io_uring_drop)
BTF_ID_FLAGS(func, bpf_io_uring_unlink)
BTF_ID_FLAGS(func, bpf_io_uring_link)
BTF_ID_FLAGS(func, bpf_io_uring_flow_mem, KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_io_uring_buf_data, KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_io_uring_buf_data_rw, KF_RET_NULL)
BTF_ID_FLAGS(func, bpf_io_uring_buf_read)
BTF_ID_FLAGS(func, bpf_io_uring_buf_write)
BTF_ID_FLAGS(func, bpf_io_uring_buf_copy)
BTF_ID_FLAGS(func, bpf_io_uring_buf_give)
BTF_ID_FLAGS(func, bpf_io_uring_req)
BTF_KFUNCS_END(io_bpf_kfunc_ids)

static const struct btf_kfunc_id_set io_bpf_kfunc_set = {
	.owner	= THIS_MODULE,
	.set	= &io_bpf_kfunc_ids,
};

static int __init io_bpf_kfunc_init(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_IOURING, &io_bpf_kfunc_set);
}
late_initcall(io_bpf_kfunc_init);
