// SPDX-License-Identifier: GPL-2.0
/* Programs that read provided buffers, and give them back to their group */
#include "give.h"

FIXTURE(give) {
	struct io_uring ring;
	struct give *skel;
	struct bpf_link *link;
	struct io_uring_buf_ring *br;
	char *area;
	int pair[2];
	int pipe[2];
	char in;
};

FIXTURE_VARIANT(give) {
	enum give_kind kind;
	unsigned int setup;
};

#define GIVE_VARIANT(name, _kind, _setup)				\
FIXTURE_VARIANT_ADD(give, name) {					\
	.kind = _kind,							\
	.setup = _setup,						\
}

GIVE_VARIANT(list, GIVE_LIST, 0);
GIVE_VARIANT(list_defer, GIVE_LIST, IOU_DEFER);
GIVE_VARIANT(ring, GIVE_RING, 0);
GIVE_VARIANT(ring_defer, GIVE_RING, IOU_DEFER);
GIVE_VARIANT(ring_sqpoll, GIVE_RING, IORING_SETUP_SQPOLL);
GIVE_VARIANT(inc, GIVE_INC, 0);
GIVE_VARIANT(inc_defer, GIVE_INC, IOU_DEFER);
IOU_LOAD_ONCE(give);

FIXTURE_SETUP(give)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->pair));
	ASSERT_EQ(0, pipe(self->pipe));
	GIVE_SETUP(self);
}

FIXTURE_TEARDOWN(give)
{
	bpf_link__destroy(self->link);
	for (int i = 0; i < 2; i++) {
		close(self->pair[i]);
		close(self->pipe[i]);
	}
	io_uring_queue_exit(&self->ring);
	munmap(self->area, 2 * 4096);
}

/* Provide a group of the variant's kind with the first @nr buffers of the area. */
static int give_provide(FIXTURE_DATA(give) *self, const FIXTURE_VARIANT(give) *variant,
			int nr)
{
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe;
	int ret;

	if (variant->kind != GIVE_LIST) {
		ret = give_register(&self->ring, self->br,
				    variant->kind == GIVE_INC ? IOU_PBUF_RING_INC : 0);
		for (int i = 0; i < nr; i++)
			give_add(self->br, self->area, i);
		return ret;
	}
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_provide_buffers(sqe, self->area, GIVE_LEN, nr, GIVE_GROUP, 0);
	sqe->user_data = APP;
	iou_submit(&self->ring);
	return iou_wait_cqe(&self->ring, &cqe) ?: cqe.res;
}

/* Return how many buffers the group has. Empties a list. */
static int give_left(FIXTURE_DATA(give) *self, const FIXTURE_VARIANT(give) *variant)
{
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe;

	if (variant->kind != GIVE_LIST)
		return (__u16)(self->br->tail - give_head(&self->ring));
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_remove_buffers(sqe, 65536, GIVE_GROUP);
	sqe->user_data = APP;
	iou_submit(&self->ring);
	return iou_wait_cqe(&self->ring, &cqe) ?: cqe.res;
}

static struct give_call *give_call(FIXTURE_DATA(give) *self, int n)
{
	struct give_call *c = &self->skel->bss->calls[self->skel->bss->nr_calls++];

	*c = (struct give_call) {
		.addr = (unsigned long)self->area + n * GIVE_LEN,
		.group = GIVE_GROUP, .id = n, .len = GIVE_LEN, .ret = 1,
	};
	return c;
}

#define give_start(prog) do {						\
	self->link = IOU_ATTACH(self->skel->progs.prog, &self->ring, 0);\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

/* Start a flow that receives, and that makes its calls when the test says so. */
#define give_start_told() do {						\
	give_prep_recv(&self->skel->bss->sqes[0], self->pair[0], CHILD);\
	iou_prep_read(&self->skel->bss->sqes[1], self->pipe[0], &self->in,\
		      1, 0, GIVE_NOW);					\
	self->skel->bss->nr_sqes = 2;					\
	give_start(give_told);						\
	give_until(1);							\
} while (0)

#define give_until(nr)							\
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events >= (nr)))

/* Let the program make its calls, and check their results. */
#define give_now(_ret) do {						\
	__u32 __nr = self->skel->bss->nr_events;			\
									\
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));			\
	give_until(__nr + 1);						\
	for (__u32 __i = 0; __i < self->skel->bss->nr_calls; __i++) {	\
		ASSERT_EQ(_ret, self->skel->bss->calls[__i].ret) {	\
			TH_LOG("call %u", __i);				\
		}							\
	}								\
	self->skel->bss->nr_calls = 0;					\
} while (0)

/* Send a message of @len bytes, and check that buffer @n receives it. */
#define give_expect(n, len) do {					\
	__u32 __nr = self->skel->bss->nr_events;			\
	char __msg[GIVE_LEN] = {};					\
									\
	ASSERT_EQ(len, write(self->pair[1], __msg, len));		\
	give_until(__nr + 1);						\
	ASSERT_EQ(len, self->skel->bss->events[__nr].res);		\
	ASSERT_EQ(n, self->skel->bss->events[__nr].cflags >>		\
		     IORING_CQE_BUFFER_SHIFT);				\
} while (0)

/* End the flow, by the end of the stream or of the pipe. */
#define give_end() do {							\
	if (self->skel->bss->nr_sqes == 1)				\
		shutdown(self->pair[1], SHUT_WR);			\
	close(self->pipe[1]);						\
	self->pipe[1] = -1;						\
	ASSERT_CQE(&self->ring, FLOW, 0);				\
	ASSERT_NO_CQE(&self->ring);					\
} while (0)

static char give_byte(int n)
{
	return n * 37 + (n >> 8);
}

/* Send @nr messages of various lengths, one after the other or all at once. */
static bool give_send(FIXTURE_DATA(give) *self, int nr, bool wait)
{
	int sent = 0;

	for (int i = 0; i < nr; i++) {
		int len = 1 + i * 7 % (GIVE_LEN - 1);
		char msg[GIVE_LEN];

		for (int n = 0; n < len; n++)
			msg[n] = give_byte(sent + n);
		if (write(self->pair[1], msg, len) != len)
			return false;
		sent += len;
		if (wait &&
		    !iou_until(&self->ring, self->skel->bss->nr_data == sent))
			return false;
	}
	if (!iou_until(&self->ring, self->skel->bss->nr_data == sent))
		return false;
	for (int n = 0; n < sent; n++) {
		if ((char)self->skel->bss->data[n] != give_byte(n))
			return false;
	}
	return true;
}

/* A whole stream through few buffers, none of which the application sees */
TEST_F(give, stream)
{
	ASSERT_EQ(0, give_provide(self, variant, 2));
	give_prep_recv(&self->skel->bss->sqes[0], self->pair[0], CHILD);
	self->skel->bss->nr_sqes = 1;
	give_start(give_all);
	ASSERT_TRUE(give_send(self, 100, true));
	give_end();
	ASSERT_EQ(0, self->skel->bss->read_err);
	ASSERT_EQ(0, self->skel->bss->give_err);
	ASSERT_LE(30, self->skel->bss->nr_given);
	ASSERT_EQ(2, give_left(self, variant));
}

/* More data than the buffers can take at once */
TEST_F(give, burst)
{
	ASSERT_EQ(0, give_provide(self, variant, GIVE_BUFS));
	give_prep_recv(&self->skel->bss->sqes[0], self->pair[0], CHILD);
	self->skel->bss->nr_sqes = 1;
	give_start(give_all);
	ASSERT_TRUE(give_send(self, 100, false));
	give_end();
	ASSERT_EQ(0, self->skel->bss->read_err);
	ASSERT_EQ(0, self->skel->bss->give_err);
	ASSERT_EQ(GIVE_BUFS, give_left(self, variant));
}

/* In any order, and later than in the run that has dropped the CQE */
TEST_F(give, order)
{
	static const int order[] = { 2, 0, 3, 1 };

	ASSERT_EQ(0, give_provide(self, variant, GIVE_BUFS));
	give_start_told();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < GIVE_BUFS; i++)
			give_expect(round ? order[3 - i] : i, GIVE_LEN);
		for (int i = 0; i < GIVE_BUFS; i++)
			give_call(self, order[i]);
		give_now(0);
	}
	give_end();
	ASSERT_EQ(GIVE_BUFS, give_left(self, variant));
}

/* The application provides at the tail, the program at the head. */
TEST_F(give, behind_given)
{
	if (variant->kind == GIVE_LIST)
		SKIP(return, "only a ring has two ends");
	ASSERT_EQ(0, give_provide(self, variant, 3));
	give_start_told();
	give_expect(0, GIVE_LEN);
	give_expect(1, GIVE_LEN);
	give_add(self->br, self->area, 3);
	give_call(self, 0);
	give_now(0);
	give_expect(0, GIVE_LEN);
	give_expect(2, GIVE_LEN);
	give_expect(3, GIVE_LEN);
	give_end();
	ASSERT_EQ(0, give_left(self, variant));
}

/* Spare buffers, which were never in the ring: the head wraps. */
TEST_F(give, before_first)
{
	ASSERT_EQ(0, give_provide(self, variant, 2));
	give_start_told();
	give_call(self, 3);
	give_call(self, 2);
	give_now(0);
	if (variant->kind != GIVE_LIST)
		ASSERT_EQ(65534, give_head(&self->ring));
	give_expect(2, GIVE_LEN);
	give_expect(3, GIVE_LEN);
	give_expect(0, GIVE_LEN);
	give_expect(1, GIVE_LEN);
	give_end();
	ASSERT_EQ(0, give_left(self, variant));
}

/* Another address and length than before */
TEST_F(give, changed)
{
	struct iou_event *ev = &self->skel->bss->events[3];
	struct give_call *call;

	ASSERT_EQ(0, give_provide(self, variant, 1));
	give_start_told();
	give_expect(0, GIVE_LEN);
	give_call(self, 1);
	call = give_call(self, 0);
	call->addr = (unsigned long)self->area + 300;
	call->len = 2;
	call->id = 65535;
	give_now(0);
	ASSERT_EQ(4, write(self->pair[1], "data", 4));
	give_until(5);
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(2, ev[i].res);
	ASSERT_EQ(65535, ev[0].cflags >> IORING_CQE_BUFFER_SHIFT);
	ASSERT_EQ(1, ev[1].cflags >> IORING_CQE_BUFFER_SHIFT);
	ASSERT_EQ(0, memcmp(self->area + 300, "da\0", 3));
	ASSERT_EQ(0, memcmp(self->area + GIVE_LEN, "ta\0", 3));
	give_end();
}

/* The rest of a buffer that is consumed in parts is still in the ring. */
TEST_F(give, part)
{
	if (variant->kind != GIVE_INC)
		SKIP(return, "the buffers are consumed as a whole");
	ASSERT_EQ(0, give_provide(self, variant, 2));
	give_start_told();
	give_expect(0, 10);
	give_call(self, 0);
	give_now(-EINVAL);
	give_expect(0, GIVE_LEN - 10);
	/* as a whole, in front of a part of another */
	give_expect(1, 10);
	give_call(self, 0);
	give_now(0);
	give_expect(0, GIVE_LEN);
	give_expect(1, GIVE_LEN - 10);
	give_end();
	ASSERT_EQ(0, give_left(self, variant));
}

/* The flow has nothing to wait for, and ends with the first error. */
#define give_refused(_ret) do {						\
	self->skel->bss->nr_sqes = 0;					\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_CQE(&self->ring, FLOW, (_ret) == -ENOENT ? 0 : (_ret));	\
	for (__u32 __i = 0; __i < self->skel->bss->nr_calls; __i++) {	\
		ASSERT_EQ(_ret, self->skel->bss->calls[__i].ret) {	\
			TH_LOG("call %u", __i);				\
		}							\
	}								\
	self->skel->bss->nr_calls = 0;					\
} while (0)

TEST_F(give, errors)
{
	ASSERT_EQ(0, give_provide(self, variant, 2));
	self->link = IOU_ATTACH(self->skel->progs.give_told, &self->ring, 0);
	give_call(self, 3)->group = 65536;
	give_call(self, 3)->group = ~0U;
	give_call(self, 3)->id = 65536;
	give_call(self, 3)->id = 1U << 31;
	give_call(self, 3)->len = 0;
	give_refused(-EINVAL);
	give_call(self, 3)->addr = ~0ULL << 40;
	give_call(self, 3)->addr = -8ULL;
	give_refused(-EFAULT);
	give_call(self, 3)->group = GIVE_GROUP + 1;
	give_call(self, 3)->group = 0;
	give_refused(-ENOENT);
	ASSERT_EQ(2, give_left(self, variant));
}

TEST_F_TIMEOUT(give, full, 60)
{
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(self->skel->progs.give_told, &self->ring, 0);
	if (variant->kind == GIVE_LIST) {
		sqe = iou_get_sqe(&self->ring);
		io_uring_prep_provide_buffers(sqe, self->area, 1, 65536, GIVE_GROUP, 0);
		sqe->user_data = APP;
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, APP, 0);
	} else {
		ASSERT_EQ(0, give_provide(self, variant, GIVE_BUFS));
		give_call(self, 3);
		give_refused(-ENOSPC);
		/* the application has moved the tail beyond the ring */
		io_uring_buf_ring_advance(self->br, 1000);
	}
	give_call(self, 3);
	give_call(self, 0);
	give_refused(-ENOSPC);
	if (variant->kind == GIVE_LIST)
		ASSERT_EQ(65536, give_left(self, variant));
}

TEST_F(give, unregistered)
{
	if (variant->kind == GIVE_LIST)
		SKIP(return, "a list remains when it is empty");
	ASSERT_EQ(0, give_provide(self, variant, 2));
	give_start_told();
	give_expect(0, GIVE_LEN);
	ASSERT_EQ(0, give_unregister(&self->ring));
	give_call(self, 0);
	give_now(-ENOENT);
	/* another group of that id */
	memset(self->br, 0, 4096);
	ASSERT_EQ(0, give_provide(self, variant, 0));
	give_call(self, 0);
	give_now(0);
	give_expect(0, GIVE_LEN);
	give_end();
}

/* Messages that a watching program keeps from the application */
TEST_F(give, watching)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = BPF_F_IOURING_MATCH);

	if (variant->kind == GIVE_INC)
		SKIP(return, "the program expects whole buffers");
	ASSERT_EQ(0, give_provide(self, variant, 2));
	self->link = bpf_program__attach_iouring(self->skel->progs.give_watch,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	give_prep_recv(iou_get_sqe(&self->ring), self->pair[0], APP);
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(2, write(self->pair[1], "x.", 2));
		ASSERT_TRUE(iou_until(&self->ring,
				      self->skel->bss->nr_given == i + 1));
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(2, write(self->pair[1], "a.", 2));
	ASSERT_CQE_FLAGS(&self->ring, APP, 2, IORING_CQE_F_BUFFER | IORING_CQE_F_MORE);
	ASSERT_EQ(0, memcmp(self->area, "a.", 2));
	ASSERT_EQ(0, self->skel->bss->read_err);
	ASSERT_EQ(0, self->skel->bss->give_err);
}

TEST_HARNESS_MAIN
