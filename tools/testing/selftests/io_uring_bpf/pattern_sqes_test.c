// SPDX-License-Identifier: GPL-2.0
/* Patterns for an array of requests, as a user without privileges */
#define PATTERNS "join first_of keep_n deadline retry"
#include "pattern.h"

#define NR	8
#define MS	1000000ULL
#define FOREVER	((__u64)INT64_MAX)
/* the array is not at the beginning of the buffer */
#define ARRAY	128
/* a result that no request has */
#define NO_RES	0x1234

FIXTURE(pattern_sqes) {
	struct io_uring ring;
	char *area;
	struct io_uring_sqe *sqes;
	int pipes[NR][2];
	char buf[NR];
	int link;
};

IOU_RING_VARIANTS(pattern_sqes);

FIXTURE_SETUP(pattern_sqes)
{
	struct iovec iov = { .iov_len = 64 * 1024 };

	PATTERN_REQUIRE();
	self->area = aligned_alloc(4096, iov.iov_len);
	ASSERT_NE(NULL, self->area);
	memset(self->area, 0, iov.iov_len);
	self->sqes = (void *)(self->area + ARRAY);
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(0, pipe(self->pipes[i]));
	ASSERT_EQ(0, pattern_drop(NOBODY));
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	iov.iov_base = self->area;
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
}

FIXTURE_TEARDOWN(pattern_sqes)
{
	close(self->link);
	io_uring_queue_exit(&self->ring);
	free(self->area);
}

/* All requests are reads of one byte that wait. */
static void prep_reads(FIXTURE_DATA(pattern_sqes) *self)
{
	for (int i = 0; i < NR; i++)
		iou_prep_read(&self->sqes[i], self->pipes[i][0], &self->buf[i], 1, 0,
			      NO_RES);
}

static void prep_nops(FIXTURE_DATA(pattern_sqes) *self, int nr, unsigned int flags)
{
	for (int i = 0; i < nr; i++)
		iou_prep_nop(&self->sqes[i], i, flags, NO_RES);
}

#define let_go(i)	ASSERT_EQ(1, write(self->pipes[i][1], "x", 1))
#define assert_res(i, _res)	ASSERT_EQ(_res, iou_pattern_res(&self->sqes[i]))

/* Whatever the pattern does with its array, these are refused. */
#define refuses_sqes(name, ...) do {					\
	static const __u8 __flags[] = { IOSQE_IO_DRAIN, IOSQE_BUFFER_SELECT,\
					IOSQE_CQE_SKIP_SUCCESS, 1 << 7 };\
									\
	for (size_t __i = 0; __i < ARRAY_SIZE(__flags); __i++) {	\
		prep_nops(self, 2, 0);					\
		self->sqes[0].flags = __flags[__i];			\
		PATTERN_RUN(-EINVAL, name, 0, ARRAY, __VA_ARGS__);	\
	}								\
	prep_nops(self, 2, 0);						\
	PATTERN_RUN(-ENOENT, name, 1, ARRAY, __VA_ARGS__);		\
	PATTERN_RUN(-EFAULT, name, 0, 64 * 1024 - 63, __VA_ARGS__);	\
	PATTERN_RUN(-EFAULT, name, 0, -64ULL, __VA_ARGS__);		\
	/* flows cannot be children */					\
	iou_prep_bpf(&self->sqes[0], SLOT, 0, 0, 0, 0);			\
	PATTERN_RUN(-EOPNOTSUPP, name, 0, ARRAY, __VA_ARGS__);		\
	/* an opcode that does not exist */				\
	prep_nops(self, 2, 0);						\
	self->sqes[0].opcode = 255;					\
	PATTERN_RUN(-EINVAL, name, 0, ARRAY, __VA_ARGS__);		\
} while (0)

TEST_F(pattern_sqes, join)
{
	PATTERN_ATTACH("join");
	prep_reads(self);
	PATTERN_START(join, 0, ARRAY, NR, 0);
	for (int i = 0; i < NR; i++) {
		ASSERT_NO_CQE(&self->ring);
		let_go(i);
	}
	ASSERT_CQE(&self->ring, FLOW, NR);
	for (int i = 0; i < NR; i++)
		assert_res(i, 1);
	for (int tw = 0; tw < 2; tw++) {
		prep_nops(self, 20, tw ? IORING_NOP_TW : 0);
		PATTERN_RUN(190, join, 0, ARRAY, 20, FOREVER);
		ASSERT_NO_CQE(&self->ring);
		for (int i = 0; i < 20; i++)
			assert_res(i, i);
	}
}

/* The result is the first error, but the other requests run to their end. */
TEST_F(pattern_sqes, join_error)
{
	PATTERN_ATTACH("join");
	prep_reads(self);
	iou_prep_nop(&self->sqes[3], -EIO, 0, NO_RES);
	PATTERN_START(join, 0, ARRAY, NR, 0);
	for (int i = 0; i < NR; i++) {
		ASSERT_NO_CQE(&self->ring);
		if (i != 3)
			let_go(i);
	}
	ASSERT_CQE(&self->ring, FLOW, -EIO);
	for (int i = 0; i < NR; i++)
		assert_res(i, i == 3 ? -EIO : 1);
}

TEST_F(pattern_sqes, join_limit)
{
	PATTERN_ATTACH("join");
	prep_reads(self);
	let_go(0);
	PATTERN_RUN(-ETIME, join, 0, ARRAY, NR, 10 * MS);
	assert_res(0, 1);
	for (int i = 1; i < NR; i++)
		assert_res(i, -ECANCELED);
}

TEST_F(pattern_sqes, join_overflow)
{
	PATTERN_ATTACH("join");
	prep_nops(self, 3, 0);
	self->sqes[1].len = INT_MAX - 2;
	PATTERN_RUN(INT_MAX, join, 0, ARRAY, 3, 0);
	prep_nops(self, 3, 0);
	self->sqes[1].len = INT_MAX - 1;
	PATTERN_RUN(-EOVERFLOW, join, 0, ARRAY, 3, 0);
}

TEST_F(pattern_sqes, join_refuses)
{
	PATTERN_ATTACH("join");
	refuses_sqes(join, 2, 0);
	prep_nops(self, 2, 0);
	self->sqes[1].flags = IOSQE_IO_LINK;
	PATTERN_RUN(-EINVAL, join, 0, ARRAY, 2, 0);
	PATTERN_REFUSES({ { WORD(0, 0), ARRAY, 0, 0 } },
			{ { WORD(0, 128), ARRAY, 0, 0 } },
			{ { WORD(0, 2), ARRAY, 1ULL << 63, 0 } },
			{ { WORD(0, 2), ARRAY, 0, 1 } },
			{ { WORD(0, 2), ARRAY, 0, WORD(0, 1) } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

/* A single SQE with a wrong file descriptor or address: the flow ends with @flow_res. */
#define wrong_requests(name, flow_res, ...) do {			\
	PATTERN_ATTACH(#name);						\
	for (int fault = 0; fault < 2; fault++) {			\
		int res = fault ? -EFAULT : -EBADF;			\
									\
		iou_prep_read(&self->sqes[0], fault ? self->pipes[0][0] : -1,\
			      NULL, 1, 0, NO_RES);			\
		PATTERN_RUN(flow_res, name, 0, ARRAY, 1, ##__VA_ARGS__);\
		assert_res(0, res);					\
	}								\
	close(self->link);						\
} while (0)

TEST_F(pattern_sqes, wrong_requests)
{
	/* data is there, so that the address matters */
	let_go(0);
	wrong_requests(join, res, 0);
	wrong_requests(first_of, res);
	/* the number of successes */
	wrong_requests(keep_n, 0, 1);
	wrong_requests(deadline, res, FOREVER);
}

TEST_F(pattern_sqes, first_of)
{
	PATTERN_ATTACH("first_of");
	prep_reads(self);
	/* a failure is not the first success */
	iou_prep_nop(&self->sqes[0], -EIO, 0, NO_RES);
	PATTERN_START(first_of, 0, ARRAY, NR);
	ASSERT_NO_CQE(&self->ring);
	let_go(5);
	ASSERT_CQE(&self->ring, FLOW, 5);
	ASSERT_NO_CQE(&self->ring);
	for (int i = 0; i < NR; i++)
		assert_res(i, !i ? -EIO : i == 5 ? 1 : -ECANCELED);
}

TEST_F(pattern_sqes, first_of_none)
{
	PATTERN_ATTACH("first_of");
	for (int i = 0; i < NR; i++)
		iou_prep_nop(&self->sqes[i], -1 - i, IORING_NOP_TW, NO_RES);
	PATTERN_RUN(-NR, first_of, 0, ARRAY, NR);
}

TEST_F(pattern_sqes, first_of_refuses)
{
	PATTERN_ATTACH("first_of");
	refuses_sqes(first_of, 2);
	PATTERN_REFUSES({ { WORD(0, 0), ARRAY, 0, 0 } },
			{ { WORD(0, 129), ARRAY, 0, 0 } },
			{ { WORD(0, 2), ARRAY, 1, 0 } },
			{ { WORD(0, 2), ARRAY, 0, 1 } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

/* Two requests are in flight, in the order of the array. */
TEST_F(pattern_sqes, keep_n)
{
	PATTERN_ATTACH("keep_n");
	prep_reads(self);
	for (int i = 2; i < NR; i++)
		let_go(i);
	PATTERN_START(keep_n, 0, ARRAY, NR, 2);
	ASSERT_NO_CQE(&self->ring);
	/* data is there, but the request is not issued before the first has completed */
	for (int i = 0; i < NR; i++)
		assert_res(i, NO_RES);
	let_go(0);
	ASSERT_NO_CQE(&self->ring);
	for (int i = 0; i < NR; i++)
		assert_res(i, i == 1 ? NO_RES : 1);
	let_go(1);
	ASSERT_CQE(&self->ring, FLOW, NR);
	assert_res(1, 1);
}

TEST_F(pattern_sqes, keep_n_errors)
{
	PATTERN_ATTACH("keep_n");
	for (int depth = 1; depth <= 64; depth *= 8) {
		prep_nops(self, 100, depth == 8 ? IORING_NOP_TW : 0);
		for (int i = 0; i < 100; i += 10)
			self->sqes[i].len = -EIO;
		PATTERN_RUN(90, keep_n, 0, ARRAY, 100, depth);
		for (int i = 0; i < 100; i++)
			assert_res(i, i % 10 ? i : -EIO);
	}
	/* an SQE that cannot be issued ends the flow */
	prep_nops(self, 100, 0);
	self->sqes[50].flags = IOSQE_IO_LINK;
	PATTERN_RUN(-EINVAL, keep_n, 0, ARRAY, 100, 4);
	assert_res(51, NO_RES);
}

TEST_F(pattern_sqes, keep_n_refuses)
{
	PATTERN_ATTACH("keep_n");
	refuses_sqes(keep_n, 2, 2);
	PATTERN_REFUSES({ { WORD(0, 0), ARRAY, 1, 0 } },
			{ { WORD(0, 129), ARRAY, 1, 0 } },
			{ { WORD(0, 1), ARRAY, 0, 0 } },
			{ { WORD(0, 1), ARRAY, 1ULL << 31, 0 } },
			{ { WORD(0, 1), ARRAY, 1, 1 } },
			{ { WORD(0, 1), ARRAY, 1, WORD(0, 1) } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

TEST_F(pattern_sqes, deadline)
{
	PATTERN_ATTACH("deadline");
	prep_reads(self);
	PATTERN_START(deadline, 0, ARRAY, NR, FOREVER);
	for (int i = NR - 1; i >= 0; i--) {
		ASSERT_NO_CQE(&self->ring);
		/* the first one is still waiting */
		assert_res(NR - 1, NO_RES);
		let_go(i);
	}
	ASSERT_CQE(&self->ring, FLOW, 1);
	ASSERT_NO_CQE(&self->ring);
	for (int i = 0; i < NR; i++)
		assert_res(i, 1);
	prep_nops(self, 20, 0);
	PATTERN_RUN(19, deadline, 0, ARRAY, 20, FOREVER);
}

TEST_F(pattern_sqes, deadline_exceeded)
{
	PATTERN_ATTACH("deadline");
	prep_reads(self);
	let_go(0);
	PATTERN_RUN(-ETIME, deadline, 0, ARRAY, NR, 10 * MS);
	for (int i = 0; i < NR; i++)
		assert_res(i, i ? -ECANCELED : 1);
}

TEST_F(pattern_sqes, deadline_cut)
{
	PATTERN_ATTACH("deadline");
	/* a failure */
	prep_nops(self, NR, 0);
	self->sqes[2].len = -EIO;
	PATTERN_RUN(-EIO, deadline, 0, ARRAY, NR, FOREVER);
	for (int i = 0; i < NR; i++)
		assert_res(i, i < 2 ? i : i == 2 ? -EIO : -ECANCELED);
	/* the same with a hard link: the rest runs, the error remains the result */
	prep_nops(self, NR, 0);
	self->sqes[2].len = -EIO;
	self->sqes[2].flags = IOSQE_IO_HARDLINK;
	PATTERN_RUN(-EIO, deadline, 0, ARRAY, NR, FOREVER);
	for (int i = 0; i < NR; i++)
		assert_res(i, i == 2 ? -EIO : i);
	/* a short read */
	prep_reads(self);
	let_go(0);
	self->sqes[0].len = 2;
	self->sqes[0].addr = (unsigned long)self->buf;
	PATTERN_RUN(-ECANCELED, deadline, 0, ARRAY, 3, FOREVER);
	assert_res(0, 1);
	assert_res(1, -ECANCELED);
}

TEST_F(pattern_sqes, deadline_refuses)
{
	PATTERN_ATTACH("deadline");
	refuses_sqes(deadline, 2, FOREVER);
	PATTERN_REFUSES({ { WORD(0, 0), ARRAY, 1, 0 } },
			{ { WORD(0, 128), ARRAY, 1, 0 } },
			{ { WORD(0, 2), ARRAY, 0, 0 } },
			{ { WORD(0, 2), ARRAY, 1ULL << 63, 0 } },
			{ { WORD(0, 2), ARRAY, 1, 1 } },
			{ { WORD(0, 2), ARRAY, 1, WORD(0, 1) } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

/* The request succeeds after some attempts: a number that is free, and then is not. */
TEST_F(pattern_sqes, retry)
{
	int fd = self->pipes[0][0];

	PATTERN_ATTACH("retry");
	ASSERT_EQ(100, dup2(fd, 100));
	close(100);
	iou_prep_read(&self->sqes[0], 100, self->buf, 1, 0, NO_RES);
	PATTERN_START(retry, 0, ARRAY, UINT_MAX, 5 * MS, 0);
	ASSERT_NO_CQE(&self->ring);
	let_go(0);
	ASSERT_EQ(100, dup2(fd, 100));
	ASSERT_CQE(&self->ring, FLOW, 1);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(pattern_sqes, retry_attempts)
{
	__u64 start = iou_now_ms();

	PATTERN_ATTACH("retry");
	iou_prep_nop(&self->sqes[0], -EAGAIN, 0, NO_RES);
	PATTERN_RUN(-EAGAIN, retry, 0, ARRAY, 1, FOREVER, 0);
	PATTERN_RUN(-EAGAIN, retry, 0, ARRAY, 10000, 0, 0);
	/* three pauses */
	start = iou_now_ms();
	PATTERN_RUN(-EAGAIN, retry, 0, ARRAY, 4, 20 * MS, EIO | EAGAIN << 16);
	ASSERT_LE(60, iou_now_ms() - start);
	/* another error than those, and a success */
	PATTERN_RUN(-EAGAIN, retry, 0, ARRAY, UINT_MAX, FOREVER, EIO | EINTR << 16);
	iou_prep_nop(&self->sqes[0], 7, IORING_NOP_TW, NO_RES);
	PATTERN_RUN(7, retry, 0, ARRAY, UINT_MAX, FOREVER, 0);
}

/* A flow that would go on for very long is cancelled, with and without pauses. */
TEST_F(pattern_sqes, retry_cancel)
{
	PATTERN_ATTACH("retry");
	iou_prep_nop(&self->sqes[0], -EAGAIN, 0, NO_RES);
	for (int pause = 0; pause < 2; pause++) {
		PATTERN_START(retry, 0, ARRAY, UINT_MAX, pause ? 5 * MS : 0, 0);
		IOU_CANCEL_FLOW(&self->ring, FLOW, APP);
	}
}

TEST_F(pattern_sqes, retry_refuses)
{
	PATTERN_ATTACH("retry");
	refuses_sqes(retry, 2, 0, 0);
	PATTERN_REFUSES({ { WORD(0, 0), ARRAY, 0, 0 } },
			{ { WORD(0, 1), ARRAY, 1ULL << 63, 0 } },
			{ { ~0ULL, ~0ULL, ~0ULL, ~0ULL } });
}

TEST_HARNESS_MAIN
