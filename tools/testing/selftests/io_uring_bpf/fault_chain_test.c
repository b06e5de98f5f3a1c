// SPDX-License-Identifier: GPL-2.0
/*
 * Failing allocations of linked children, requests behind the flow, and
 * requests of the application. Each of them completes exactly once.
 */
#include "fault.h"

/* user_data, one bit each */
enum { PRED, MEMBER, NEXT, APP0, APP1, LINKED };

static struct io_uring_sqe *prep_sendmsg(FIXTURE_DATA(fault) *self, int n,
					 __u64 user_data)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[n];

	memset(sqe, 0, sizeof(*sqe));
	io_uring_prep_sendmsg(sqe, self->sock[0], &self->msg, 0);
	sqe->user_data = user_data;
	return sqe;
}

/* Opcodes with further allocations can fail their preparation. */
static void prep_chain(FIXTURE_DATA(fault) *self)
{
	struct fault__bss *bss = self->skel->bss;

	prep_sendmsg(self, 0, CHILD)->flags = IOSQE_IO_LINK;
	iou_prep_nop(&bss->sqes[1], 1, 0, CHILD);
	iou_prep_nop(&bss->sqes[2], 2, 0, APP0);
	bss->sqes[2].flags = IOSQE_IO_LINK;
	prep_sendmsg(self, 3, APP1);
	prep_sendmsg(self, 4, LINKED);
	bss->nr_events = 0;
	memset(bss->rets, 0xff, sizeof(bss->rets));
}

static void queue_chain(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = iou_get_sqe(ring);

	iou_prep_nop(sqe, 0, 0, PRED);
	sqe->flags = IOSQE_IO_LINK;
	iou_queue_bpf(ring, 0, MEMBER)->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(ring), 0, 0, NEXT);
}

/* Later members of the chain complete by task work. */
static int run_chain(struct io_uring *ring)
{
	int ret = io_uring_submit(ring);

	for (int i = 0; i < 3; i++)
		io_uring_get_events(ring);
	return ret;
}

/* The expected CQEs */
static unsigned int nr_cqes(FIXTURE_DATA(fault) *self)
{
	const __s32 *rets = self->skel->bss->rets;

	return 3 + !rets[2] + !rets[3] + !rets[4];
}

TEST_F_TIMEOUT(fault, chain, 600)
{
	struct fault__bss *bss = self->skel->bss;

	for_each_fault(nth) {
		unsigned int seen = 0;

		ASSERT_EQ(0, fresh_ring(self, variant->setup,
					self->skel->progs.fault_chain));
		prep_chain(self);
		queue_chain(&self->ring);
		FAULT(run_chain(&self->ring));
		while (io_uring_sq_ready(&self->ring))
			ASSERT_LT(0, io_uring_submit(&self->ring));
		for (unsigned int i = 0; i < nr_cqes(self); i++) {
			struct io_uring_cqe cqe;

			ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
			ASSERT_TRUE(cqe.res >= 0 || no_memory(cqe.res)) {
				TH_LOG("%u: %d", nth, cqe.res);
			}
			ASSERT_EQ(0, seen & 1U << cqe.user_data);
			seen |= 1U << cqe.user_data;
		}
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(bss->nr_events ? 1 + !bss->rets[0] + !bss->rets[1] : 0,
			  bss->nr_events);
		fault_drain(self);
	}
}

TEST_HARNESS_MAIN
