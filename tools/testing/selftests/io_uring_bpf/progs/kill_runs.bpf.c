// SPDX-License-Identifier: GPL-2.0
/* Programs that take some milliseconds on an emulated machine */
#include "iou_bpf.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define ROUNDS	10000

__u32 nr_runs;

static __always_inline void spend_time(void)
{
	int i;

	nr_runs++;
	bpf_for(i, 0, ROUNDS)
		barrier();
}

SEC("iouring")
int long_flow(struct bpf_io_uring_ctx *ctx)
{
	spend_time();
	return BPF_IO_URING_DEFAULT;
}

/* With state, a watching program runs for one completion at a time. */
SEC("iouring")
int long_watch(struct bpf_io_uring_ctx *ctx)
{
	ctx->state[0] = 1;
	spend_time();
	return BPF_IO_URING_DEFAULT;
}
