// SPDX-License-Identifier: GPL-2.0
/* Watching programs that let the next one see the completion: BPF_IO_URING_NEXT */
#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "progs/next_step.h"
#include "next.skel.h"

#define APP	0xa44ULL
#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define ISSUED	0x155edULL
#define NEXT	BPF_IO_URING_NEXT

/* kinds of programs, see next.bpf.c */
enum { PLAIN, WRITE, SLEEP, NR_KINDS };

static const char *const kind_names[] = { "plain", "write", "sleep" };

FIXTURE(next) {
	struct io_uring ring;
	struct next *skel;
	struct bpf_link *links[IOU_MAX_SLOTS];
	int pipe[2];
};

IOU_MODE_VARIANTS(next);
IOU_LOAD_ONCE(next);

FIXTURE_SETUP(next)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = next_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(next)
{
	for (int i = 0; i < IOU_MAX_SLOTS; i++)
		bpf_link__destroy(self->links[i]);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
}

/* Let program @_i of a kind watch from a slot the requests that match. */
#define NEXT_ATTACH_SOME(_kind, _i, _slot, _user_data, _mask) do {	\
	LIBBPF_OPTS(bpf_iouring_opts, __opts, .slot = (_slot),		\
		    .flags = BPF_F_IOURING_MATCH,			\
		    .user_data = (_user_data), .user_data_mask = (_mask));\
	struct bpf_program *__prog;					\
	char __name[16];						\
									\
	snprintf(__name, sizeof(__name), "%s_%d", kind_names[_kind], _i);\
	__prog = bpf_object__find_program_by_name(self->skel->obj, __name);\
	ASSERT_NE(NULL, __prog);					\
	self->links[_slot] = bpf_program__attach_iouring(__prog,	\
						self->ring.ring_fd, &__opts);\
	ASSERT_NE(NULL, self->links[_slot])				\
		TH_LOG("attach: %s", strerror(errno));			\
} while (0)

#define NEXT_ATTACH(_kind, _i, _slot)	NEXT_ATTACH_SOME(_kind, _i, _slot, 0, 0)

static void next_detach_all(FIXTURE_DATA(next) *self)
{
	for (int i = 0; i < IOU_MAX_SLOTS; i++) {
		bpf_link__destroy(self->links[i]);
		self->links[i] = NULL;
	}
}

static struct next_step *next_step(FIXTURE_DATA(next) *self, int i)
{
	return &self->skel->bss->steps[i];
}

static struct next_seen *next_seen(FIXTURE_DATA(next) *self, int i)
{
	return &self->skel->bss->seen[i];
}

static struct io_uring_sqe *next_queue_nop(FIXTURE_DATA(next) *self, int res,
					   __u64 user_data)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_nop(sqe, res, 0, user_data);
	return sqe;
}

/* Submit a NOP. @_nr programs are to see the completion. */
#define NEXT_RUN_NOP(_res, _nr) do {					\
	self->skel->bss->nr_seen = 0;					\
	next_queue_nop(self, _res, APP);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_EQ(_nr, self->skel->bss->nr_seen);			\
} while (0)

/* All combinations of kinds, in the order of slots, not of attaching */
TEST_F(next, order)
{
	for (int kinds = 0; kinds < 27; kinds++) {
		NEXT_ATTACH(kinds / 9, 2, 9);
		NEXT_ATTACH(PLAIN, 3, 12);
		NEXT_ATTACH(kinds % 3, 0, 3);
		NEXT_ATTACH(kinds / 3 % 3, 1, 5);
		next_step(self, 0)->verdict = NEXT;
		next_step(self, 1)->verdict = NEXT;
		NEXT_RUN_NOP(3, 3);
		for (int i = 0; i < 3; i++) {
			EXPECT_EQ(i, next_seen(self, i)->prog);
			EXPECT_EQ(APP, next_seen(self, i)->user_data);
			EXPECT_EQ(3, next_seen(self, i)->res);
			EXPECT_EQ(0, next_seen(self, i)->cflags);
			EXPECT_EQ(BPF_IO_URING_COMPLETE, next_seen(self, i)->event);
		}
		ASSERT_CQE(&self->ring, APP, 3);
		next_detach_all(self);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* More completions at once than a batch of the flush */
TEST_F(next, many)
{
	const int nr = 40;

	NEXT_ATTACH(PLAIN, 0, 0);
	NEXT_ATTACH(PLAIN, 1, 1);
	next_step(self, 0)->verdict = NEXT;
	for (int i = 0; i < nr; i++)
		next_queue_nop(self, i, APP + i);
	ASSERT_EQ(nr, iou_submit(&self->ring));
	for (int i = 0; i < nr; i++)
		ASSERT_CQE(&self->ring, APP + i, i);
	ASSERT_EQ(2 * nr, self->skel->bss->nr_seen);
	for (int i = 0; i < NEXT_MAX_SEEN; i++) {
		ASSERT_EQ(i % 2, next_seen(self, i)->prog);
		ASSERT_EQ(APP + i / 2, next_seen(self, i)->user_data);
	}
}

TEST_F(next, every_slot)
{
	for (int i = 0; i < IOU_MAX_SLOTS; i++) {
		NEXT_ATTACH(i == 1 ? WRITE : i == 2 ? SLEEP : PLAIN, i, i);
		next_step(self, i)->verdict = NEXT;
	}
	NEXT_RUN_NOP(3, IOU_MAX_SLOTS);
	for (int i = 0; i < IOU_MAX_SLOTS; i++)
		EXPECT_EQ(i, next_seen(self, i)->prog);
	ASSERT_CQE(&self->ring, APP, 3);

	/* the chain of programs ends with the first that does not go on */
	next_step(self, 7)->verdict = BPF_IO_URING_DEFAULT;
	NEXT_RUN_NOP(3, 8);
	ASSERT_CQE(&self->ring, APP, 3);
	ASSERT_NO_CQE(&self->ring);
}

/* A program sees the values of the one before, and the CQE has those of the last. */
TEST_F(next, changed)
{
	for (int kind = WRITE; kind <= SLEEP; kind++) {
		for (int i = 0; i < 3; i++) {
			NEXT_ATTACH(kind, i, i);
			next_step(self, i)->verdict = NEXT;
			next_step(self, i)->add = i + 1;
		}
		NEXT_ATTACH(PLAIN, 3, 3);
		NEXT_RUN_NOP(-10, 4);
		for (int i = 0, sum = 0; i < 4; sum += ++i) {
			EXPECT_EQ(APP + sum, next_seen(self, i)->user_data);
			EXPECT_EQ(-10 + sum, next_seen(self, i)->res);
			EXPECT_EQ(((1U << i) - 1) << 16, next_seen(self, i)->cflags);
		}
		ASSERT_CQE_FLAGS(&self->ring, APP + 6, -4, 7 << 16);
		next_detach_all(self);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* The request is what the filters look at, not what programs make of the CQE. */
TEST_F(next, filter)
{
	NEXT_ATTACH(WRITE, 0, 0);
	NEXT_ATTACH_SOME(PLAIN, 1, 1, APP + 1, ~0ULL);
	NEXT_ATTACH_SOME(PLAIN, 2, 2, APP, ~0ULL);
	NEXT_ATTACH_SOME(PLAIN, 3, 3, APP + 1, ~0ULL);
	NEXT_ATTACH_SOME(PLAIN, 4, 4, APP, ~0ULL);
	for (int i = 0; i < 4; i++)
		next_step(self, i)->verdict = NEXT;
	next_step(self, 0)->add = 1;
	NEXT_RUN_NOP(3, 3);
	EXPECT_EQ(0, next_seen(self, 0)->prog);
	EXPECT_EQ(2, next_seen(self, 1)->prog);
	EXPECT_EQ(4, next_seen(self, 2)->prog);
	EXPECT_EQ(APP + 1, next_seen(self, 1)->user_data);
	ASSERT_CQE_FLAGS(&self->ring, APP + 1, 4, NEXT_MARK(0));
}

/* The last verdict on the CQE counts that is not BPF_IO_URING_DEFAULT. */
TEST_F(next, verdict)
{
	static const struct {
		unsigned int verdicts[3];
		bool posted;
		unsigned int sqe_flags;
	} cases[] = {
		{ { 0, 0, 0 }, true },
		{ { 0, 0, 0 }, false, IOSQE_CQE_SKIP_SUCCESS },
		{ { BPF_IO_URING_DROP, 0, 0 }, false },
		{ { BPF_IO_URING_DROP, 0, BPF_IO_URING_POST }, true },
		{ { BPF_IO_URING_DROP, BPF_IO_URING_POST, 0 }, true },
		{ { BPF_IO_URING_POST, BPF_IO_URING_DROP, 0 }, false },
		{ { 0, BPF_IO_URING_DROP, 0 }, false },
		{ { 0, BPF_IO_URING_POST, 0 }, true, IOSQE_CQE_SKIP_SUCCESS },
		{ { BPF_IO_URING_POST, 0, BPF_IO_URING_DROP_BUF }, false },
	};

	for (int kind = PLAIN; kind <= SLEEP; kind++) {
		for (int i = 0; i < 3; i++)
			NEXT_ATTACH(kind, i, i);
		for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
			/* also from the last one, which has no next */
			for (int i = 0; i < 3; i++)
				next_step(self, i)->verdict =
					cases[n].verdicts[i] | NEXT;
			self->skel->bss->nr_seen = 0;
			next_queue_nop(self, 3, APP)->flags = cases[n].sqe_flags;
			ASSERT_EQ(1, iou_submit(&self->ring));
			ASSERT_EQ(3, self->skel->bss->nr_seen);
			ASSERT_EQ(cases[n].posted, io_uring_cq_ready(&self->ring))
				TH_LOG("case %zu", n);
			if (cases[n].posted)
				ASSERT_CQE(&self->ring, APP, 3);
		}
		next_detach_all(self);
	}
}

/* The same for the chain, and both parts of a verdict are independent. */
TEST_F(next, chain)
{
	static const struct {
		unsigned int verdicts[2];
		int res;
		bool runs, posted;
		unsigned int sqe_flags;
	} cases[] = {
		{ { 0, 0 }, 0, true, true },
		{ { 0, 0 }, -EIO, false, true },
		{ { BPF_IO_URING_CUT, 0 }, 0, false, true },
		{ { BPF_IO_URING_GO_ON, 0 }, -EIO, true, true },
		{ { BPF_IO_URING_CUT, BPF_IO_URING_GO_ON }, 0, true, true },
		{ { BPF_IO_URING_CUT, BPF_IO_URING_GO_ON }, -EIO, true, true },
		{ { BPF_IO_URING_GO_ON, BPF_IO_URING_CUT }, 0, false, true },
		{ { BPF_IO_URING_CUT, BPF_IO_URING_DROP }, 0, false, false },
		{ { BPF_IO_URING_DROP, BPF_IO_URING_GO_ON }, -EIO, true, false },
		{ { BPF_IO_URING_CUT, BPF_IO_URING_GO_ON }, 0, true, false,
		  IOSQE_CQE_SKIP_SUCCESS },
	};

	/* the head only */
	NEXT_ATTACH_SOME(PLAIN, 0, 0, APP, ~0ULL);
	NEXT_ATTACH_SOME(WRITE, 1, 1, APP, ~0ULL);
	for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
		int rest = cases[n].runs ? 1 : -ECANCELED;

		next_step(self, 0)->verdict = cases[n].verdicts[0] | NEXT;
		next_step(self, 1)->verdict = cases[n].verdicts[1];
		self->skel->bss->nr_seen = 0;
		next_queue_nop(self, cases[n].res, APP)->flags =
			IOSQE_IO_LINK | cases[n].sqe_flags;
		next_queue_nop(self, 1, APP + 1);
		ASSERT_EQ(2, iou_submit(&self->ring));
		if (cases[n].posted)
			ASSERT_CQE(&self->ring, APP, cases[n].res);
		ASSERT_CQE(&self->ring, APP + 1, rest);
		ASSERT_EQ(2, self->skel->bss->nr_seen);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* The CQEs of each program, of which there are one and three, then that of the request */
TEST_F(next, post_cqe)
{
	for (int n = 0; n < 2 * NR_KINDS; n++) {
		int nr = n % 2 ? 3 : 1;

		for (int i = 0; i < nr; i++) {
			NEXT_ATTACH(n / 2, i, i);
			next_step(self, i)->verdict = NEXT;
			next_step(self, i)->posts = 1;
		}
		NEXT_RUN_NOP(3, nr);
		for (int i = 0; i < nr; i++) {
			EXPECT_EQ(0, next_seen(self, i)->ret);
			ASSERT_CQE(&self->ring, NEXT_POST(i), 0);
		}
		ASSERT_CQE(&self->ring, APP, 3);
		next_detach_all(self);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* What a program issues is issued before the next program runs. */
TEST_F(next, issue)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqe;

	iou_prep_read(sqe, self->pipe[0], self->skel->bss->text, 1, 0, ISSUED);
	for (int kind = PLAIN; kind <= SLEEP; kind++) {
		for (int i = 0; i < 3; i++) {
			NEXT_ATTACH(kind, i, i);
			next_step(self, i)->verdict = NEXT;
			next_step(self, i)->issue = 1;
		}
		self->skel->bss->text[0] = 'x';
		ASSERT_EQ(3, write(self->pipe[1], "abc", 3));
		NEXT_RUN_NOP(3, 3);
		for (int i = 0; i < 3; i++) {
			EXPECT_EQ(0, next_seen(self, i)->ret);
			/* the request waits for time if the program was slow */
			if (kind != SLEEP)
				EXPECT_EQ("xab"[i], next_seen(self, i)->text);
		}
		ASSERT_CQE(&self->ring, APP, 3);
		for (int i = 0; i < 3; i++)
			ASSERT_CQE(&self->ring, ISSUED, 1);
		next_detach_all(self);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* Each CQE of a multishot request */
TEST_F(next, multishot)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);
	__u32 *nr_seen = &self->skel->bss->nr_seen;
	char c;

	NEXT_ATTACH(PLAIN, 0, 0);
	NEXT_ATTACH(WRITE, 1, 1);
	next_step(self, 0)->verdict = NEXT | BPF_IO_URING_DROP;
	io_uring_prep_poll_multishot(sqe, self->pipe[0], POLLIN);
	sqe->user_data = APP;
	ASSERT_EQ(1, iou_submit(&self->ring));
	for (int n = 0; n < 4; n++) {
		next_step(self, 1)->verdict = n % 2 ? BPF_IO_URING_POST : 0;
		next_step(self, 1)->add = n;
		*nr_seen = 0;
		ASSERT_EQ(1, write(self->pipe[1], "x", 1));
		if (n % 2)
			ASSERT_CQE_FLAGS(&self->ring, APP + n, POLLIN + n,
					 IORING_CQE_F_MORE | NEXT_MARK(1));
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(2, *nr_seen);
		for (int i = 0; i < 2; i++) {
			EXPECT_EQ(i, next_seen(self, i)->prog);
			EXPECT_EQ(APP, next_seen(self, i)->user_data);
			EXPECT_EQ(BPF_IO_URING_AUX, next_seen(self, i)->event);
		}
		ASSERT_EQ(1, read(self->pipe[0], &c, 1));
	}
}

/* In the verdict of a flow, the flag has no meaning. */
TEST_F(next, flow)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = 0);

	self->links[0] = bpf_program__attach_iouring(self->skel->progs.next_flow,
						     self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->links[0]);
	NEXT_ATTACH(PLAIN, 0, 1);
	iou_prep_nop(&self->skel->bss->sqe, 3, 0, CHILD);
	for (int v = BPF_IO_URING_DEFAULT; v <= BPF_IO_URING_DROP_BUF; v++) {
		self->skel->bss->flow_verdict = NEXT | v;
		self->skel->bss->flow_steps = 0;
		self->skel->bss->flow_stop = 3;
		self->skel->bss->nr_seen = 0;
		/* first the completion of the request before the flow */
		next_queue_nop(self, 1, APP)->flags = IOSQE_IO_LINK;
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(2, iou_submit(&self->ring));
		if (v < BPF_IO_URING_DROP)
			ASSERT_CQE(&self->ring, APP, 1);
		if (v == BPF_IO_URING_POST) {
			ASSERT_CQE(&self->ring, CHILD, 3);
			ASSERT_CQE(&self->ring, CHILD, 3);
		}
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_EQ(3, self->skel->bss->flow_steps);
		ASSERT_EQ(0, self->skel->bss->nr_seen);
	}
	ASSERT_NO_CQE(&self->ring);
}

/*
 * Count the steps of an endless flow up to its first pause. The clock is read after
 * each 128 charges to a ring, and the flow pauses at the second time.
 */
static int steps_to_pause(struct __test_metadata *_metadata, FIXTURE_DATA(next) *self,
			  unsigned int setup, int verdict)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = 15);
	struct io_uring_cqe cqe;
	int steps;

	next_detach_all(self);
	io_uring_queue_exit(&self->ring);
	ASSERT_EQ(0, iou_ring_init(&self->ring, setup));
	for (int i = 0; i < 15; i++) {
		NEXT_ATTACH(i == 1 ? WRITE : PLAIN, i, i);
		next_step(self, i)->verdict = verdict;
	}
	self->links[15] = bpf_program__attach_iouring(self->skel->progs.next_flow,
						      self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->links[15]);
	self->skel->bss->flow_steps = 0;
	self->skel->bss->flow_stop = 0;
	for (int i = 0; i < 8; i++)
		next_queue_nop(self, 0, APP);
	iou_queue_bpf(&self->ring, 15, FLOW);
	ASSERT_EQ(9, iou_submit(&self->ring));
	/* with DEFER_TASKRUN, the flow does not continue before the task waits */
	steps = self->skel->bss->flow_steps;
	self->skel->bss->flow_stop = 1;
	for (int i = 0; i < 8; i++)
		ASSERT_CQE(&self->ring, APP, 0);
	ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_EQ(FLOW, cqe.user_data);
	return steps;
}

/* Each run for a completion after the first one is charged to the time budget. */
TEST_F(next, budget)
{
	int first = 0, all;

	if (!(variant->setup & IORING_SETUP_DEFER_TASKRUN))
		SKIP(return, "the flow could continue at any time");
	iou_prep_nop(&self->skel->bss->sqe, 0, 0, CHILD);
	self->skel->bss->flow_burn_ns = 50000;
	all = steps_to_pause(_metadata, self, variant->setup, NEXT);
	/* a reschedule can end the first slice early */
	for (int try = 0; try < 10 && first <= 200; try++)
		first = steps_to_pause(_metadata, self, variant->setup, 0);
	TH_LOG("steps: %d, %d if only the first program runs", all, first);
	ASSERT_LT(0, all);
	ASSERT_GT(200, all);
	ASSERT_LT(200, first);
}

TEST_HARNESS_MAIN
