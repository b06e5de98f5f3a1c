// SPDX-License-Identifier: GPL-2.0
/* Part one: copy a file with one flow, and then with a loop in user space. */
#include "demo.h"
#include "demo.skel.h"

#define FLOW	0xf10aULL

/* The flow: specify the copy, and wait for the one CQE. */
static int flow_run(struct demo *skel, struct io_uring *ring,
		    const struct demo_file *file, char *buf,
		    struct demo_stats *stats)
{
	struct io_uring_cqe *cqe;
	int ret;

	skel->bss->src_fd = file->src;
	skel->bss->dst_fd = file->dst;
	skel->bss->size = file->size;
	for (int i = 0; i < DEMO_WINDOW; i++)
		skel->bss->blocks[i].addr = (unsigned long)buf + i * DEMO_BLOCK;

	iou_queue_bpf(ring, 0, FLOW);
	do {
		ret = demo_enter(ring, stats);
	} while (!ret && !io_uring_cq_ready(ring));
	if (ret)
		return ret;

	stats->cqes = io_uring_cq_ready(ring);
	stats->bytes = skel->bss->copied;
	stats->runs = skel->bss->nr_runs;
	ret = io_uring_peek_cqe(ring, &cqe);
	if (ret)
		return ret;
	return cqe->res < 0 ? cqe->res : 0;
}

int demo_copy_flow(struct demo *skel, const struct demo_file *file,
		   struct demo_stats *stats)
{
	struct bpf_link *link;
	struct io_uring ring;
	char *buf;
	int ret;

	buf = aligned_alloc(4096, DEMO_WINDOW * DEMO_BLOCK);
	if (!buf)
		return -ENOMEM;
	ret = io_uring_queue_init(DEMO_ENTRIES, &ring, IOU_DEFER);
	if (ret)
		goto out;
	link = bpf_program__attach_iouring(skel->progs.demo_copy, ring.ring_fd,
					   NULL);
	if (link) {
		ret = flow_run(skel, &ring, file, buf, stats);
		bpf_link__destroy(link);
	} else {
		ret = -errno;
	}
	io_uring_queue_exit(&ring);
out:
	free(buf);
	return ret;
}

/* The loop: the same blocks and steps, performed in user space */
struct loop {
	struct io_uring		ring;
	const struct demo_file	*file;
	__u64			next_off;
	__u64			copied;
	struct demo_block	blocks[DEMO_WINDOW];
};

static void loop_read_rest(struct loop *loop, unsigned int index)
{
	struct demo_block *b = &loop->blocks[index];

	demo_queue_rw(&loop->ring, IORING_OP_READ, loop->file->src,
		      (char *)b->addr + b->nr_read, b->len - b->nr_read,
		      b->off + b->nr_read, index);
}

static void loop_write_rest(struct loop *loop, unsigned int index)
{
	struct demo_block *b = &loop->blocks[index];

	demo_queue_rw(&loop->ring, IORING_OP_WRITE, loop->file->dst,
		      (char *)b->addr + b->nr_written,
		      b->len - b->nr_written, b->off + b->nr_written, index);
}

static void loop_next_block(struct loop *loop, unsigned int index)
{
	struct demo_block *b = &loop->blocks[index];
	__u64 left = loop->file->size - loop->next_off;

	if (!left)
		return;
	b->off = loop->next_off;
	b->len = left < DEMO_BLOCK ? left : DEMO_BLOCK;
	b->nr_read = 0;
	b->nr_written = 0;
	loop->next_off += b->len;
	loop_read_rest(loop, index);
}

static int loop_next_step(struct loop *loop, const struct io_uring_cqe *cqe)
{
	unsigned int index = cqe->user_data;
	struct demo_block *b = &loop->blocks[index];

	if (cqe->res <= 0)
		return cqe->res ?: -ENODATA;
	if (b->nr_read < b->len) {
		b->nr_read += cqe->res;
		if (b->nr_read < b->len)
			loop_read_rest(loop, index);
		else
			loop_write_rest(loop, index);
		return 0;
	}
	b->nr_written += cqe->res;
	loop->copied += cqe->res;
	if (b->nr_written < b->len)
		loop_write_rest(loop, index);
	else
		loop_next_block(loop, index);
	return 0;
}

/* Handle all available CQEs before the next system call. */
static int loop_run(struct loop *loop, struct demo_stats *stats)
{
	struct io_uring_cqe *cqe;
	unsigned int head, nr;
	int ret = 0;

	for (int i = 0; i < DEMO_WINDOW; i++)
		loop_next_block(loop, i);
	while (!ret && loop->copied < loop->file->size) {
		ret = demo_enter(&loop->ring, stats);
		if (ret)
			break;
		nr = 0;
		io_uring_for_each_cqe(&loop->ring, head, cqe) {
			ret = ret ?: loop_next_step(loop, cqe);
			nr++;
		}
		io_uring_cq_advance(&loop->ring, nr);
		stats->cqes += nr;
	}
	stats->bytes = loop->copied;
	return ret;
}

int demo_copy_loop(const struct demo_file *file, struct demo_stats *stats)
{
	struct loop loop = { .file = file };
	char *buf;
	int ret;

	buf = aligned_alloc(4096, DEMO_WINDOW * DEMO_BLOCK);
	if (!buf)
		return -ENOMEM;
	for (int i = 0; i < DEMO_WINDOW; i++)
		loop.blocks[i].addr = (unsigned long)buf + i * DEMO_BLOCK;
	ret = io_uring_queue_init(DEMO_ENTRIES, &loop.ring, IOU_DEFER);
	if (!ret) {
		ret = loop_run(&loop, stats);
		io_uring_queue_exit(&loop.ring);
	}
	free(buf);
	return ret;
}
