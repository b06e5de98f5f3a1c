/* SPDX-License-Identifier: GPL-2.0 */
/* READ -> BPF -> WRITE over two pipes, for the tests of chains */
#ifndef IOU_CHAIN_H
#define IOU_CHAIN_H

#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "chain.skel.h"

#define READ	0x4eadULL
#define FLOW	0xf10aULL
#define WRITE	0x3417eULL
#define TIMEOUT	0x71e0ULL
#define OTHER	0x07e4ULL
#define MARKER	0x3a24e4ULL
#define CHILD	0xc41dULL

#define LEN	16

FIXTURE(chain) {
	struct io_uring ring;
	struct chain *skel;
	struct bpf_link *link;
	struct bpf_link *link1;
	/* the chain reads from in[0], and writes to out[1] */
	int in[2];
	int out[2];
	char buf[LEN];
	struct __kernel_timespec ts;
};

IOU_MODE_VARIANTS(chain);
IOU_LOAD_ONCE(chain);

FIXTURE_SETUP(chain)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->in));
	ASSERT_EQ(0, pipe2(self->out, O_NONBLOCK));
	self->skel = chain_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(chain)
{
	bpf_link__destroy(self->link);
	bpf_link__destroy(self->link1);
	for (int i = 0; i < 2; i++) {
		close(self->in[i]);
		close(self->out[i]);
	}
	io_uring_queue_exit(&self->ring);
}

static inline struct io_uring_sqe *
chain_queue_read(FIXTURE_DATA(chain) *self, unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_read(sqe, self->in[0], self->buf, LEN, 0, READ);
	sqe->flags = flags;
	return sqe;
}

static inline struct io_uring_sqe *
chain_queue_flow(FIXTURE_DATA(chain) *self, unsigned int slot,
		 unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_queue_bpf(&self->ring, slot, FLOW + slot);

	sqe->flags = flags;
	return sqe;
}

static inline struct io_uring_sqe *chain_queue_write(FIXTURE_DATA(chain) *self)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_write(sqe, self->out[1], self->buf, LEN, 0, WRITE);
	return sqe;
}

static inline struct io_uring_sqe *
chain_queue_timeout(FIXTURE_DATA(chain) *self, unsigned int ms,
		    unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	self->ts.tv_sec = ms / 1000;
	self->ts.tv_nsec = ms % 1000 * 1000000;
	io_uring_prep_link_timeout(sqe, &self->ts, 0);
	sqe->user_data = TIMEOUT;
	sqe->flags = flags;
	return sqe;
}

/* Queue the whole chain: a read, a flow for slot 0, and a write. */
static inline void chain_queue(FIXTURE_DATA(chain) *self)
{
	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_flow(self, 0, IOSQE_IO_LINK);
	chain_queue_write(self);
}

/* Return true if the write at the end of the chain has run. */
static inline bool chain_has_written(FIXTURE_DATA(chain) *self)
{
	char buf[LEN];

	return read(self->out[0], buf, LEN) == LEN;
}

#endif
