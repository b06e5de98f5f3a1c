// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a flow
 *
 * The link of a slot determines the size. The memory is allocated with the flow, is its
 * ->async_data, and is freed with its request by io_clean_op().
 */
#include <linux/btf.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "bpf_int.h"

struct io_bpf_mem {
	u32	size;
	u8	data[] __aligned(8) __counted_by(size);
};

int io_bpf_alloc_mem(struct io_kiocb *flow, u32 size)
{
	struct io_bpf_mem *mem = kzalloc_flex(*mem, data, size, GFP_KERNEL_ACCOUNT);

	if (!mem)
		return -ENOMEM;
	mem->size = size;
	flow->async_data = mem;
	flow->flags |= REQ_F_ASYNC_DATA;
	return 0;
}

__bpf_kfunc_start_defs();

/**
 * bpf_io_uring_flow_mem - return the memory of the flow
 * @ctx: context of the program
 * @rdwr_buf_size: size of the accessed memory in bytes, a constant
 *
 * The memory is zero when the flow starts, and is preserved between events until the flow
 * ends. Its size is iouring.flow_size of BPF_LINK_CREATE. BPF_LINK_UPDATE does not change
 * the size. The pointer is aligned to 8 bytes, and valid until the program returns.
 *
 * Context: any event, in flows and in watching programs. Called with ->uring_lock held,
 * takes no lock, does not sleep.
 * Return: the memory, or NULL if @rdwr_buf_size is larger than the memory of the flow,
 * the flow has no memory, or the program watches.
 */
__bpf_kfunc u8 *bpf_io_uring_flow_mem(struct bpf_io_uring_ctx *ctx,
				      const u32 rdwr_buf_size)
{
	struct io_kiocb *flow = io_bpf_ctx_to_flow(ctx);
	struct io_bpf_mem *mem = flow->async_data;
	unsigned long fits;

	if (!req_has_async_data(flow))
		return NULL;
	/* all ones or 0, also for speculative accesses of the program */
	fits = array_index_mask_nospec(rdwr_buf_size, mem->size + 1UL);
	return (u8 *)((unsigned long)mem->data & fits);
}

__bpf_kfunc_end_defs();
