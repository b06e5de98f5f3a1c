// SPDX-License-Identifier: GPL-2.0
/* Reissued children: events and posted CQEs */
#include "again.h"

/* a multiple of the slice after which others run */
#define NR_NOPS	5000

static const unsigned int nop_flags[] = { 0, IORING_NOP_TW };

/* Each completion has the result that the previous call requested. */
TEST_F(again, results)
{
	again_attach(again_steps);
	for (size_t i = 0; i < ARRAY_SIZE(nop_flags); i++) {
		again_reset(self);
		again_add_nop(self, 10, nop_flags[i]);
		for (int n = 11; n < 16; n++)
			again_add_step(self, 0, NULL, n);
		again_run(0);
		ASSERT_NO_CQE(&self->ring);
		again_expect_steps();
		for (int n = 0; n < 6; n++) {
			struct iou_event *ev = again_event(self, n);

			again_expect_res(n, 10 + n);
			EXPECT_EQ(BPF_IO_URING_COMPLETE, ev->event);
			EXPECT_EQ(BPF_IO_URING_F_CHILD, ev->flags);
			EXPECT_EQ(IORING_OP_NOP, ev->opcode);
			EXPECT_EQ(CHILD, ev->user_data);
			EXPECT_EQ(FLOW, ev->flow_user_data);
			EXPECT_EQ(0, ev->cflags);
			EXPECT_EQ(0, ev->nr_children);
		}
	}
}

/* A failure leaves no state behind. */
TEST_F(again, retry)
{
	again_attach(again_steps);
	again_add_nop(self, -EAGAIN, 0);
	again_add_step(self, 0, NULL, -EAGAIN);
	again_add_step(self, 0, NULL, -EINTR);
	again_add_step(self, 0, NULL, 7);
	again_start()->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 5, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_CQE(&self->ring, OTHER, 5);
	again_expect_steps();
	again_expect_res(0, -EAGAIN);
	again_expect_res(1, -EAGAIN);
	again_expect_res(2, -EINTR);
	again_expect_res(3, 7);
}

TEST_F(again, last_failure_fails_the_flow)
{
	again_attach(again_steps);
	again_add_nop(self, 3, 0);
	again_add_step(self, 0, NULL, 4);
	again_add_step(self, 0, NULL, -EIO);
	again_run(-EIO);
	ASSERT_NO_CQE(&self->ring);
	again_expect_steps();
}

static void again_run_sum(struct __test_metadata *_metadata,
			  FIXTURE_DATA(again) *self, unsigned int flags, int nr)
{
	struct io_uring_cqe cqes[2];

	again_attach(again_sum);
	again_add_nop(self, 1000, flags);
	again_start()->off = nr;
	iou_prep_nop(iou_get_sqe(&self->ring), 5, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, FLOW, 1000 + nr * (nr + 1) / 2);
	ASSERT_HAS_CQE(cqes, 2, OTHER, 5);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F_TIMEOUT(again, long_sequence, 120)
{
	again_run_sum(_metadata, self, 0, NR_NOPS);
}

TEST_F_TIMEOUT(again, long_sequence_of_task_work, 120)
{
	again_run_sum(_metadata, self, IORING_NOP_TW, NR_NOPS / 2);
}

/* Several children and several flows, each with several reissues */
TEST_F(again, in_parallel)
{
	const int nr = 8, flows = 4;
	struct io_uring_cqe cqes[flows];

	again_attach(again_countdown);
	for (int i = 0; i < nr; i++) {
		struct io_uring_sqe *sqe = again_add_child(self);

		sqe->opcode = IORING_OP_NOP;
		sqe->nop_flags = nop_flags[i % 2];
		sqe->user_data = 1 + 20 * i;
	}
	for (int i = 0; i < flows; i++)
		iou_queue_bpf(&self->ring, 0, FLOW + i);
	ASSERT_EQ(flows, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, flows));
	for (int i = 0; i < flows; i++)
		ASSERT_HAS_CQE(cqes, flows, FLOW + i,
			       nr + 20 * nr * (nr - 1) / 2);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(again, user_data)
{
	again_attach(again_steps);
	again_add_nop(self, 0, 0);
	again_add_step(self, 0, NULL, 1);
	again_add_step(self, 0, NULL, 2)->user_data = 0x1111;
	again_add_step(self, 0, NULL, 3);
	again_add_step(self, 0, NULL, 4)->user_data = ~0ULL;
	again_run(0);
	again_expect_steps();
	EXPECT_EQ(CHILD, again_event(self, 0)->user_data);
	EXPECT_EQ(CHILD, again_event(self, 1)->user_data);
	EXPECT_EQ(0x1111, again_event(self, 2)->user_data);
	EXPECT_EQ(0x1111, again_event(self, 3)->user_data);
	EXPECT_EQ(~0ULL, again_event(self, 4)->user_data);
}

/* Each verdict applies to its own step. */
TEST_F(again, verdicts)
{
	static const __u32 verdicts[] = {
		BPF_IO_URING_POST, BPF_IO_URING_DEFAULT, BPF_IO_URING_POST,
		BPF_IO_URING_DROP, BPF_IO_URING_DROP_BUF, BPF_IO_URING_POST,
	};

	again_attach(again_steps);
	for (size_t f = 0; f < ARRAY_SIZE(nop_flags); f++) {
		again_reset(self);
		again_add_nop(self, 1, nop_flags[f]);
		for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
			again_add_step(self, 0, NULL, 2 + i)->verdict =
				verdicts[i];
		again_start();
		ASSERT_EQ(1, iou_submit(&self->ring));
		for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
			if (verdicts[i] == BPF_IO_URING_POST)
				ASSERT_CQE(&self->ring, CHILD, 1 + i);
		}
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_NO_CQE(&self->ring);
		again_expect_steps();
	}
}

/*
 * CQEs of the program precede the CQE of the step, and steps keep their order.
 */
TEST_F(again, cqes_in_order)
{
	const int nr = 6;

	again_attach(again_steps);
	again_add_nop(self, 0, 0);
	for (int i = 0; i < nr; i++) {
		struct again_step *step = again_add_step(self, 0, NULL, 1 + i);

		step->posts = 2;
		step->verdict = BPF_IO_URING_POST;
		step->user_data = 0x1000 + i;
	}
	again_start();
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int i = 0; i < nr; i++) {
		ASSERT_CQE(&self->ring, AGAIN_MARKER + 2 * i, 0);
		ASSERT_CQE(&self->ring, AGAIN_MARKER + 2 * i + 1, 0);
		ASSERT_CQE(&self->ring, 0x1000 + i, i);
	}
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
}

/* A change applies to this CQE, not to the request. */
TEST_F(again, changed_cflags)
{
	struct again_step *step;

	again_attach(again_steps);
	again_add_nop(self, 5, 0);
	step = again_add_step(self, 0, NULL, 6);
	step->cflags = 0xabcd0000;
	step->verdict = BPF_IO_URING_POST;
	again_add_step(self, 0, NULL, 7)->verdict = BPF_IO_URING_POST;
	again_start();
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE_FLAGS(&self->ring, CHILD, 5, 0xabcd0000);
	ASSERT_CQE_FLAGS(&self->ring, CHILD, 6, 0);
	ASSERT_CQE(&self->ring, FLOW, 0);
	EXPECT_EQ(0, again_event(self, 1)->cflags);
}

static void again_run_verbs(struct __test_metadata *_metadata,
			    FIXTURE_DATA(again) *self, __u32 verbs, int res)
{
	again_attach(again_verbs);
	self->skel->bss->verbs = verbs;
	self->skel->bss->end_res = 42;
	again_add_nop(self, 1, IORING_NOP_TW);
	again_add_nop(self, 2, IORING_NOP_TW);
	again_add_step(self, 0, NULL, 3);
	again_run(res);
	ASSERT_NO_CQE(&self->ring);
}

/* The flow has one more child, and continues until both have completed. */
TEST_F(again, with_issue)
{
	const __u32 verbs[] = {
		AGAIN_ISSUE_FIRST | AGAIN_AGAIN, AGAIN_AGAIN | AGAIN_ISSUE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		again_reset(self);
		again_run_verbs(_metadata, self, verbs[i], 0);
		ASSERT_EQ(4, self->skel->bss->nr_events);
		ASSERT_EQ(0, self->skel->bss->verb_rets[i ? 4 : 1]);
		ASSERT_EQ(0, self->skel->bss->verb_rets[2]);
		/* both used task work, without a fixed order */
		ASSERT_EQ(5, again_event(self, 1)->res +
			     again_event(self, 2)->res);
		ASSERT_EQ(1, again_event(self, 1)->nr_children);
		ASSERT_EQ(0, again_event(self, 2)->nr_children);
		bpf_link__destroy(self->link);
		self->link = NULL;
	}
}

/* The reissue that was requested before bpf_io_uring_complete() has a completion. */
TEST_F(again, then_complete)
{
	self->skel->bss->log_ending = 1;
	again_run_verbs(_metadata, self, AGAIN_AGAIN | AGAIN_COMPLETE, 42);
	ASSERT_EQ(0, self->skel->bss->verb_rets[2]);
	ASSERT_EQ(0, self->skel->bss->verb_rets[5]);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	again_expect_res(1, 3);
	ASSERT_EQ(BPF_IO_URING_F_CHILD | BPF_IO_URING_F_ENDING, again_event(self, 1)->flags);
}

TEST_F(again, then_complete_with_issued)
{
	again_run_verbs(_metadata, self, AGAIN_ISSUE_FIRST | AGAIN_AGAIN |
					 AGAIN_COMPLETE, 42);
	ASSERT_EQ(2, self->skel->bss->nr_events);
}

TEST_F(again, after_complete)
{
	again_run_verbs(_metadata, self, AGAIN_COMPLETE_FIRST | AGAIN_AGAIN,
			42);
	ASSERT_EQ(0, self->skel->bss->verb_rets[0]);
	ASSERT_EQ(-ECANCELED, self->skel->bss->verb_rets[2]);
	ASSERT_EQ(2, self->skel->bss->nr_events);
}

TEST_F(again, twice)
{
	again_run_verbs(_metadata, self, AGAIN_AGAIN | AGAIN_TWICE, 0);
	ASSERT_EQ(0, self->skel->bss->verb_rets[2]);
	ASSERT_EQ(-EALREADY, self->skel->bss->verb_rets[3]);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	again_expect_res(1, 3);
}

/* The number of children is the CQ size: a reissue does not add to it. */
TEST_F(again, with_all_children_there_can_be)
{
	const int nr = 4;

	io_uring_queue_exit(&self->ring);
	ASSERT_EQ(0, iou_ring_init_size(&self->ring, variant->setup, nr, nr));
	again_attach(again_countdown);
	for (int i = 0; i < nr + 1; i++) {
		again_add_nop(self, 0, IORING_NOP_TW);
		self->skel->bss->sqes[i].user_data = 10;
	}
	again_run(10 * nr);
	ASSERT_EQ(0, self->skel->bss->rets[nr - 1]);
	ASSERT_EQ(-EAGAIN, self->skel->bss->rets[nr]);
}

TEST_HARNESS_MAIN
