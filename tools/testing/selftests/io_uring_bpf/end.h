/* SPDX-License-Identifier: GPL-2.0 */
/* Flows that are ending, and their children, which read a byte each */
#ifndef IOU_END_H
#define IOU_END_H

#include "iou_until.h"

#include <sys/socket.h>

#include "kselftest_harness.h"
#include "end.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define CANCEL	0xca4cULL

#define NR	8

FIXTURE(end) {
	struct io_uring ring;
	struct end *skel;
	struct bpf_link *link;
	/* there is a byte to read from ends[i][0] after end_feed() */
	int ends[NR][2];
	/* of requests that read this byte: RECV, or READ after end_use_pipes() */
	__u8 opcode;
	char buf[NR];
};

IOU_MODE_VARIANTS(end);
IOU_LOAD_ONCE(end);

FIXTURE_SETUP(end)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	self->skel = end_get();
	ASSERT_NE(NULL, self->skel);
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->ends[i]));
	self->opcode = IORING_OP_RECV;
	self->skel->bss->log_ending = 1;
	self->link = IOU_ATTACH(self->skel->progs.end_as_told, &self->ring, 0);
}

FIXTURE_TEARDOWN(end)
{
	bpf_link__destroy(self->link);
	for (int i = 0; i < NR; i++) {
		close(self->ends[i][0]);
		close(self->ends[i][1]);
	}
	io_uring_queue_exit(&self->ring);
}

static inline struct io_uring_sqe *end_add(FIXTURE_DATA(end) *self)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[self->skel->bss->nr_sqes];

	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

static inline void end_added(FIXTURE_DATA(end) *self, struct io_uring_sqe *sqe)
{
	sqe->user_data = CHILD + self->skel->bss->nr_sqes++;
}

/* Add receives from sockets, or reads from pipes. */
static inline void end_add_recvs(FIXTURE_DATA(end) *self, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct io_uring_sqe *sqe = end_add(self);

		if (self->opcode == IORING_OP_READ)
			io_uring_prep_read(sqe, self->ends[i][0], &self->buf[i], 1, 0);
		else
			io_uring_prep_recv(sqe, self->ends[i][0], &self->buf[i], 1, 0);
		end_added(self, sqe);
	}
}

static inline bool end_feed(FIXTURE_DATA(end) *self, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (write(self->ends[i][1], "x", 1) != 1)
			return false;
	}
	return true;
}

#define end_submit() do {						\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

/* Return true if there is a byte to read from end @i, and read it. */
static inline bool end_has_byte(FIXTURE_DATA(end) *self, int i)
{
	return iou_fd_gets(self->ends[i][0], POLLIN, 0) &&
	       read(self->ends[i][0], &self->buf[i], 1) == 1;
}

#endif
