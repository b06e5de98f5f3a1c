/* SPDX-License-Identifier: GPL-2.0 */
/* Flows with requests that post more than one CQE */
#ifndef IOU_AUX_H
#define IOU_AUX_H

#include "iou_until.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "kselftest_harness.h"
#include "progs/aux_step.h"
#include "aux.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define OTHER	0x07e4ULL
#define CANCEL	0xca4cULL
#define APP	0xa44ULL

FIXTURE(aux) {
	struct io_uring ring;
	struct aux *skel;
	struct bpf_link *link;
	int pair[2];
	int pipe[2];
	/* the listener of aux_connect() */
	int listen;
	struct sockaddr_un addr;
	socklen_t addr_len;
};

IOU_MODE_VARIANTS(aux);
IOU_LOAD_ONCE(aux);

FIXTURE_SETUP(aux)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };

	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->pair));
	ASSERT_EQ(0, pipe(self->pipe));
	self->listen = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_LE(0, self->listen);
	/* the kernel chooses the name */
	ASSERT_EQ(0, bind(self->listen, (void *)&any, sizeof(any.sun_family)));
	self->addr_len = sizeof(self->addr);
	ASSERT_EQ(0, getsockname(self->listen, (void *)&self->addr,
				 &self->addr_len));
	ASSERT_EQ(0, listen(self->listen, 64));
	self->skel = aux_get();
	ASSERT_NE(NULL, self->skel);
	self->skel->bss->nr_sqes = 1;
}

FIXTURE_TEARDOWN(aux)
{
	bpf_link__destroy(self->link);
	for (int i = 0; i < 2; i++) {
		close(self->pair[i]);
		close(self->pipe[i]);
	}
	close(self->listen);
	if (self->ring.ring_fd >= 0)
		io_uring_queue_exit(&self->ring);
}

static inline struct iou_event *aux_event(FIXTURE_DATA(aux) *self, int n)
{
	return &self->skel->bss->events[n];
}

static inline struct aux_step *aux_step(FIXTURE_DATA(aux) *self, int n)
{
	return &self->skel->bss->steps[n];
}

static inline __u32 aux_nr_events(FIXTURE_DATA(aux) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_events);
}

/*
 * Let task work run until there are @nr events, including START, and no more.
 */
static inline bool aux_until(FIXTURE_DATA(aux) *self, __u32 nr)
{
	return iou_until(&self->ring, aux_nr_events(self) >= nr) &&
	       aux_nr_events(self) == nr;
}

/* Return a connected socket, or -1. */
static inline int aux_connect(FIXTURE_DATA(aux) *self)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd >= 0 && connect(fd, (void *)&self->addr, self->addr_len)) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline struct io_uring_sqe *aux_sqe(FIXTURE_DATA(aux) *self, int n,
					   __u64 user_data)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[n];

	memset(sqe, 0, sizeof(*sqe));
	sqe->user_data = user_data;
	return sqe;
}

static inline void aux_prep_accept(FIXTURE_DATA(aux) *self)
{
	struct io_uring_sqe *sqe = aux_sqe(self, 0, 0);

	io_uring_prep_multishot_accept(sqe, self->listen, NULL, NULL, 0);
	sqe->user_data = CHILD;
}

static inline void aux_prep_poll(FIXTURE_DATA(aux) *self, int fd)
{
	struct io_uring_sqe *sqe = aux_sqe(self, 0, 0);

	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	sqe->user_data = CHILD;
}

static inline struct io_uring_sqe *aux_queue_cancel(FIXTURE_DATA(aux) *self,
						    __u64 user_data)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	io_uring_prep_cancel64(sqe, user_data, 0);
	sqe->user_data = CANCEL;
	return sqe;
}

/* Attach the program, and submit a flow. */
#define aux_start_prog(prog) do {					\
	self->link = IOU_ATTACH(self->skel->progs.prog, &self->ring, 0);\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

#define aux_start()	aux_start_prog(aux_flow)

/* Check that the event belongs to a request that continues. */
#define ASSERT_AUX(n, _opcode, _res) do {				\
	struct iou_event *__ev = aux_event(self, n);			\
									\
	ASSERT_EQ(BPF_IO_URING_AUX, __ev->event) {			\
		TH_LOG("event %d", (int)(n));				\
	}								\
	ASSERT_EQ(_opcode, __ev->opcode);				\
	ASSERT_EQ(CHILD, __ev->user_data);				\
	ASSERT_EQ(BPF_IO_URING_F_CHILD, __ev->flags);			\
	ASSERT_EQ((__s32)(_res), __ev->res);				\
} while (0)

/* Check that the event is the last one of its request. */
#define ASSERT_LAST(n, _res) do {					\
	struct iou_event *__ev = aux_event(self, n);			\
									\
	ASSERT_EQ(BPF_IO_URING_COMPLETE, __ev->event) {			\
		TH_LOG("event %d", (int)(n));				\
	}								\
	ASSERT_EQ((__s32)(_res), __ev->res);				\
	ASSERT_EQ(0, __ev->cflags & IORING_CQE_F_MORE);			\
} while (0)

/* Cancel the flow, and thereby its requests in flight. */
#define aux_cancel_flow() do {						\
	IOU_CANCEL_FLOW(&self->ring, FLOW, CANCEL);			\
	ASSERT_NO_CQE(&self->ring);					\
} while (0)

#endif
