// SPDX-License-Identifier: GPL-2.0
/*
 * IORING_OP_TIMEOUT before a flow. If the program drops the CQE, the timeout neither
 * ends a wait for CQEs nor counts for timeouts with a sequence.
 */
#include "edit.h"

#include <time.h>

/* Submit a short timeout and a flow whose program gives @verdict on the CQE. */
static void submit_timeout(struct __test_metadata *_metadata,
			   FIXTURE_DATA(edit) *self, __u32 verdict)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	edit_next_round(self);
	/* ignore the result of the timeout, which would be a failure */
	edit_step(self, 0, EDIT_COMPLETE, 0, 0);
	edit_step(self, 0, EDIT_VERDICT, verdict, 0);
	io_uring_prep_timeout(sqe, &self->ts[0], 0, IORING_TIMEOUT_ETIME_SUCCESS);
	sqe->user_data = HEAD;
	sqe->flags = IOSQE_IO_LINK;
	edit_queue_flow(self, 0, IOSQE_CQE_SKIP_SUCCESS);
	EDIT_SUBMIT(2);
}

/* Wait for @nr CQEs, at most @ms. Return the result of the wait. */
static int wait_ms(FIXTURE_DATA(edit) *self, unsigned int nr, unsigned int ms)
{
	struct __kernel_timespec ts = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000L,
	};
	struct io_uring_cqe *cqe;

	return io_uring_wait_cqes(&self->ring, &cqe, nr, &ts, NULL);
}

#define NEEDS_WAITS() do {						\
	if (variant->setup & IORING_SETUP_IOPOLL)			\
		SKIP(return, "a wait on such a ring polls");		\
} while (0)

static __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

TEST_F(edit, dropped_ends_no_wait)
{
	__u64 start;

	NEEDS_WAITS();
	start = now_ms();
	submit_timeout(_metadata, self, BPF_IO_URING_DROP);
	ASSERT_EQ(-ETIME, wait_ms(self, 1, 600));
	ASSERT_LE(600, now_ms() - start);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_NO_CQE(&self->ring);
}

/* A wait for several CQEs ends with the CQE of a timeout, as without a flow. */
TEST_F(edit, posted_ends_wait)
{
	__u64 start;

	NEEDS_WAITS();
	start = now_ms();
	submit_timeout(_metadata, self, BPF_IO_URING_DEFAULT);
	wait_ms(self, 2, IOU_WAIT_MS);
	ASSERT_GT(IOU_WAIT_MS, now_ms() - start);
	ASSERT_CQE(&self->ring, HEAD, -ETIME);
	ASSERT_NO_CQE(&self->ring);
}

static void run_sequence(struct __test_metadata *_metadata,
			 FIXTURE_DATA(edit) *self, __u32 verdict)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);
	struct io_uring_cqe cqes[2];

	/* for two CQEs, or an hour */
	io_uring_prep_timeout(sqe, &self->ts[1], 2, 0);
	sqe->user_data = TIMEOUT;
	EDIT_SUBMIT(1);
	for (int i = 0; i < 2; i++) {
		submit_timeout(_metadata, self, verdict);
		if (verdict == BPF_IO_URING_DROP) {
			wait_ms(self, 1, 200);
			ASSERT_NO_CQE(&self->ring);
		} else {
			ASSERT_CQE(&self->ring, HEAD, -ETIME);
		}
		ASSERT_EQ(1, self->skel->bss->nr_events);
	}
	edit_queue_nop(self, OTHER, 0, 0);
	EDIT_SUBMIT(1);
	ASSERT_CQE(&self->ring, OTHER, 0);
	ASSERT_NO_CQE(&self->ring);
	edit_queue_nop(self, OTHER, 0, 0);
	EDIT_SUBMIT(1);
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, OTHER, 0);
	ASSERT_HAS_CQE(cqes, 2, TIMEOUT, 0);
}

TEST_F(edit, dropped_and_sequence)
{
	NEEDS_WAITS();
	run_sequence(_metadata, self, BPF_IO_URING_DROP);
}

TEST_F(edit, posted_and_sequence)
{
	NEEDS_WAITS();
	run_sequence(_metadata, self, BPF_IO_URING_DEFAULT);
}

TEST_HARNESS_MAIN
