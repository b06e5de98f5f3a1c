// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching BPF programs to the slots of a ring, with a bpf_link
 *
 * Either of ring and link may go first. They share a struct io_bpf_ring and
 * neither pins the other: a link in the file table of a ring that it pinned
 * would keep both for ever.
 */
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/nospec.h>
#include <linux/bpf.h>
#include <linux/file.h>
#include <linux/io_uring.h>

#include "bpf_int.h"

struct io_bpf_link {
	struct bpf_link		link;
	/* the link has a reference */
	struct io_bpf_ring	*br;
	u32			slot;
	/* BPF_F_IOURING_*, and with BPF_F_IOURING_MATCH what the program watches */
	u32			flags;
	struct io_bpf_match	match;
	/* protected by ->br->lock: is the program in the slot ours? */
	bool			attached;
};

static struct io_bpf_link *io_bpf_to_link(const struct bpf_link *link)
{
	return container_of(link, struct io_bpf_link, link);
}

/* Return true if children take the way of io_bpf_submit_child_mode(). */
static bool io_bpf_has_mode(const struct io_ring_ctx *ctx)
{
	return ctx->flags & (IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL |
			     IORING_SETUP_CQE32 | IORING_SETUP_SQE128);
}

/*
 * Programs run with the files, memory and credentials of whoever submits, and
 * an fd of a ring is no proof of being its owner: peers get it for MSG_RING.
 * So it takes the creator's mm, and what io_uring_register() demands.
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

/* Two links may come at once for the first time: one takes the other's. */
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
		if (io_bpf_has_mode(ctx))
			ctx->int_flags |= IO_RING_F_BPF_MODE;
	}
	refcount_inc(&br->refs);
	return br;
}

/* What the slot of the link has to hold from now on: NULL takes it out. */
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
	io_bpf_link_set_prog(l, l->link.prog);
	l->attached = true;
	io_bpf_update_flag(br->ctx);
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
	io_bpf_update_flag(br->ctx);
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

static int __io_bpf_link_update(struct io_bpf_link *l,
				struct bpf_prog *new_prog,
				struct bpf_prog *old_prog)
{
	struct io_bpf_ring *br = l->br;
	struct io_ring_ctx *ctx = br->ctx;

	lockdep_assert_held(&br->lock);

	if (!l->attached || !ctx || percpu_ref_is_dying(&ctx->refs))
		return -ENOLINK;
	if (old_prog && l->link.prog != old_prog)
		return -EPERM;
	if (new_prog->type != l->link.prog->type ||
	    new_prog->expected_attach_type != l->link.prog->expected_attach_type)
		return -EINVAL;

	guard(mutex)(&ctx->uring_lock);

	io_bpf_link_set_prog(l, new_prog);
	return 0;
}

/* Flows in flight keep their state and go on with the new program. */
static int io_bpf_link_update(struct bpf_link *link, struct bpf_prog *new_prog,
			      struct bpf_prog *old_prog)
{
	struct io_bpf_link *l = io_bpf_to_link(link);
	int ret;

	mutex_lock(&l->br->lock);
	ret = __io_bpf_link_update(l, new_prog, old_prog);
	if (!ret)
		old_prog = xchg(&link->prog, new_prog);
	mutex_unlock(&l->br->lock);

	/* no run can be using it, those hold ->uring_lock */
	if (!ret)
		bpf_prog_put(old_prog);
	return ret;
}

/* These two take no lock: whoever reads them must not wait for a ring. */
static void io_bpf_link_show_fdinfo(const struct bpf_link *link,
				    struct seq_file *seq)
{
	const struct io_bpf_link *l = io_bpf_to_link(link);

	seq_printf(seq, "slot:\t%u\n", l->slot);
	seq_printf(seq, "flags:\t%#x\n", l->flags);
	if (!(l->flags & BPF_F_IOURING_MATCH))
		return;
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

/* What user space asks for, or -EINVAL. */
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

	if (attr->link_create.flags || l->slot >= IO_BPF_MAX_SLOTS ||
	    (l->flags & ~BPF_F_IOURING_MATCH))
		return -EINVAL;
	l->slot = array_index_nospec(l->slot, IO_BPF_MAX_SLOTS);
	if (!(l->flags & BPF_F_IOURING_MATCH))
		return mem_is_zero(m, sizeof(*m)) ? 0 : -EINVAL;
	/* nothing could ever match these */
	if (m->opcodes[IORING_OP_LAST / 64] >> (IORING_OP_LAST % 64) ||
	    (m->user_data & ~m->user_data_mask) || !io_bpf_match_possible(m))
		return -EINVAL;
	return 0;
}

/* Takes @l over. */
static int io_bpf_link_create(struct io_ring_ctx *ctx, struct io_bpf_link *l,
			      struct bpf_prog *prog)
{
	struct bpf_link_primer primer;
	int ret;

	l->br = io_bpf_ring_get(ctx);
	if (IS_ERR(l->br)) {
		ret = PTR_ERR(l->br);
		kfree(l);
		return ret;
	}
	bpf_link_init(&l->link, BPF_LINK_TYPE_IOURING, &io_bpf_link_ops, prog,
		      BPF_IOURING);

	ret = bpf_link_prime(&l->link, &primer);
	if (ret) {
		io_bpf_link_dealloc(&l->link);
		return ret;
	}
	ret = io_bpf_link_fill_slot(l);
	if (ret) {
		bpf_link_cleanup(&primer);
		return ret;
	}
	return bpf_link_settle(&primer);
}

/**
 * bpf_io_uring_link_attach - BPF_LINK_CREATE for BPF_PROG_TYPE_IOURING
 * @attr: ->link_create: target_fd is the ring, flags is 0, and in iouring there
 *	are slot, 0 to 15, and flags. With BPF_F_IOURING_MATCH the program
 *	watches requests whose opcode has its bit set in opcodes, be it that no
 *	bit is set at all, and whose user_data, masked with user_data_mask, is
 *	user_data. Otherwise these are 0, and flows name the slot.
 * @prog: the program; the link takes the reference over on success
 *
 * Return: the link's fd, or
 * -EINVAL: there is no such slot or flag, something is set that has to be 0, or
 * nothing can ever match;
 * -EBADF, -EOPNOTSUPP: target_fd is no file, or not a ring;
 * -EPERM: the ring was created by another process;
 * -EEXIST: it has another task as its only submitter;
 * -EACCES: its restrictions leave no room for this;
 * -EBUSY: the slot is taken;
 * -ENOMEM, -EMFILE: no memory or file descriptor.
 */
int bpf_io_uring_link_attach(const union bpf_attr *attr, struct bpf_prog *prog)
{
	struct io_bpf_link *l;
	struct file *file;
	int ret;

	/* takes no privilege, so it's charged */
	l = kzalloc_obj(*l, GFP_KERNEL_ACCOUNT);
	if (!l)
		return -ENOMEM;
	ret = io_bpf_link_parse(l, attr);
	if (!ret) {
		file = io_uring_ctx_get_file(attr->link_create.target_fd, false);
		ret = PTR_ERR_OR_ZERO(file);
	}
	if (ret) {
		kfree(l);
		return ret;
	}
	ret = io_bpf_link_create(file->private_data, l, prog);
	fput(file);
	return ret;
}
