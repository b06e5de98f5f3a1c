/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_LINK_H
#define IOU_LINK_H

#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "link.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define OTHER	0x07e4ULL

FIXTURE(link) {
	struct io_uring ring;
	struct link *skel;
	struct bpf_link *link;
	int pipe[2];
	char buf[16];
};

IOU_MODE_VARIANTS(link);
IOU_LOAD_ONCE(link);

FIXTURE_SETUP(link)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = link_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(link)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	if (self->ring.ring_fd >= 0)
		io_uring_queue_exit(&self->ring);
}

/* Close the ring before the end of the test. */
static inline void link_close_ring(FIXTURE_DATA(link) *self)
{
	io_uring_queue_exit(&self->ring);
	self->ring.ring_fd = -1;
}

/* Return the fd of the link, or a negative errno. */
static inline int link_create(struct bpf_program *prog, int ring_fd,
			      unsigned int slot)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iouring.slot = slot);

	return bpf_link_create(bpf_program__fd(prog), ring_fd, BPF_IOURING,
			       &opts);
}

/* Set up a ring that is not enabled, and so has no shape yet. */
static inline int link_disabled_ring(struct io_uring *ring, unsigned int setup)
{
	return iou_ring_init(ring, (setup & ~IOU_SHAPED) |
				   IORING_SETUP_R_DISABLED);
}

/* Run one flow to its end, and return the result. */
static inline int link_run_flow(struct io_uring *ring, unsigned int slot)
{
	struct io_uring_cqe cqe;
	int ret;

	iou_queue_bpf(ring, slot, FLOW);
	ret = iou_submit(ring);
	if (ret != 1)
		return -EIO;
	ret = iou_wait_cqe(ring, &cqe);
	return ret ?: cqe.res;
}

/* Let flows stay in flight until the test writes to the pipe. */
static inline void link_add_read(FIXTURE_DATA(link) *self)
{
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], self->buf,
		      sizeof(self->buf), 0, CHILD);
	self->skel->bss->nr_sqes = 1;
}

#endif
