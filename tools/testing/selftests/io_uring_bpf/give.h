/* SPDX-License-Identifier: GPL-2.0 */
/* Groups of provided buffers, whose memory is also a registered buffer */
#ifndef IOU_GIVE_H
#define IOU_GIVE_H

#include "iou_until.h"

#include <sys/socket.h>

#include "progs/give_case.h"
#include "kselftest_harness.h"
#include "give.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define APP	0xa44ULL

/* the group: a list, a ring, or a ring whose buffers are consumed in parts */
enum give_kind { GIVE_LIST, GIVE_RING, GIVE_INC };

/*
 * Make the buffers, which are a registered buffer as well, and a page for a ring of them,
 * and load the program.
 */
#define GIVE_SETUP(self) do {						\
	struct iovec __iov;						\
									\
	self->area = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE,	\
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);		\
	ASSERT_NE(MAP_FAILED, self->area);				\
	self->br = (void *)(self->area + 4096);				\
	__iov = (struct iovec){ self->area, GIVE_BUFS * GIVE_LEN };	\
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &__iov, 1));\
	self->skel = give_get();					\
	ASSERT_NE(NULL, self->skel);					\
	self->skel->bss->area = (unsigned long)self->area;		\
} while (0)

/* Set up an empty ring of buffers, with the entries in @br. */
static inline int give_register(struct io_uring *ring, struct io_uring_buf_ring *br,
				unsigned int flags)
{
	struct io_uring_buf_reg reg = {
		.ring_addr	= (unsigned long)br,
		.ring_entries	= GIVE_BUFS,
		.bgid		= GIVE_GROUP,
		.flags		= flags,
	};

	return iou_register(ring, IORING_REGISTER_PBUF_RING, &reg, 1);
}

static inline int give_unregister(struct io_uring *ring)
{
	struct io_uring_buf_reg reg = { .bgid = GIVE_GROUP };

	return iou_register(ring, IORING_UNREGISTER_PBUF_RING, &reg, 1);
}

/* Return the head of the ring of buffers, or an error. */
static inline int give_head(struct io_uring *ring)
{
	struct io_uring_buf_status status = { .buf_group = GIVE_GROUP };
	int ret = iou_register(ring, IORING_REGISTER_PBUF_STATUS, &status, 1);

	return ret ?: (int)status.head;
}

/* Add buffer @n of the area at the tail of the ring. */
static inline void give_add(struct io_uring_buf_ring *br, char *area, int n)
{
	io_uring_buf_ring_add(br, area + n * GIVE_LEN, GIVE_LEN, n,
			      io_uring_buf_ring_mask(GIVE_BUFS), 0);
	io_uring_buf_ring_advance(br, 1);
}

/* Prepare a multishot receive into buffers of the group. */
static inline void give_prep_recv(struct io_uring_sqe *sqe, int fd, __u64 user_data)
{
	memset(sqe, 0, sizeof(*sqe));
	io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = GIVE_GROUP;
	sqe->user_data = user_data;
}

#endif
