// SPDX-License-Identifier: GPL-2.0
/* The number of requests in memory does not grow with the number of chains. */
#include "iou_count.h"
#include "iou_until.h"
#include "edit.h"

/* chains per submission, and submissions until the caches are filled */
#define CHAINS		4
#define WARMUP		20
#define ROUNDS		80
/* objects that the slab allocator keeps per CPU */
#define SLACK		150

/* Actions of the program on the first event of a flow, and its end */
struct memory_case {
	const char	*name;
	__u32		verb;
	__u64		flags;
	__u32		verdict;
	/* result of the request before the flow */
	unsigned int	sqe_flags;
};

static const struct memory_case cases[] = {
	{ "default", EDIT_POST, 0, BPF_IO_URING_DEFAULT, 0 },
	{ "skip", EDIT_POST, 0, BPF_IO_URING_DEFAULT, IOSQE_CQE_SKIP_SUCCESS },
	{ "post", EDIT_POST, 0, BPF_IO_URING_POST, 0 },
	{ "drop", EDIT_POST, 0, BPF_IO_URING_DROP, 0 },
	{ "issue", EDIT_ISSUE, 0, BPF_IO_URING_DROP, 0 },
	{ "issue for the application", EDIT_ISSUE, BPF_IO_URING_ISSUE_APP,
	  BPF_IO_URING_DROP, 0 },
	{ "link", EDIT_LINK, 0, BPF_IO_URING_DROP, 0 },
	{ "drop a member", EDIT_DROP, BPF_IO_URING_REST, BPF_IO_URING_DROP, 0 },
	{ "unlink a member", EDIT_UNLINK, BPF_IO_URING_REST, BPF_IO_URING_DROP, 0 },
	{ "complete", EDIT_COMPLETE, 0, BPF_IO_URING_DROP, 0 },
};

static void run_round(struct __test_metadata *_metadata, FIXTURE_DATA(edit) *self,
		      const struct memory_case *c)
{
	struct io_uring_cqe *cqe;

	edit_next_round(self);
	for (__u32 i = 0; i < CHAINS; i++) {
		edit_step(self, i, c->verb, 0, c->flags);
		edit_step(self, i, EDIT_VERDICT, c->verdict, 0);
	}
	for (int i = 0; i < CHAINS; i++) {
		edit_queue_nop(self, HEAD, 0, IOSQE_IO_LINK | c->sqe_flags);
		edit_queue_flow(self, 0, IOSQE_IO_LINK);
		edit_queue_nop(self, MEMBER, 0, 0);
	}
	EDIT_SUBMIT(3 * CHAINS);
	for (int i = 0; i < CHAINS;) {
		ASSERT_EQ(0, io_uring_wait_cqe(&self->ring, &cqe));
		i += cqe->user_data == FLOW;
		io_uring_cqe_seen(&self->ring, cqe);
	}
	/* members behind the flows can complete by task work */
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, io_uring_get_events(&self->ring));
		while (!io_uring_peek_cqe(&self->ring, &cqe))
			io_uring_cqe_seen(&self->ring, cqe);
	}
}

TEST_F_TIMEOUT(edit, requests, 120)
{
	long before, after;

	if (iou_nr_requests() < 0)
		SKIP(return, "requires /proc/slabinfo and an unmerged slab cache");
	for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
		edit_sqe(self, 0, LINKED, 0);
		for (int i = 0; i < WARMUP; i++)
			run_round(_metadata, self, &cases[n]);
		iou_settle(&self->ring);
		before = iou_nr_requests();
		for (int i = 0; i < ROUNDS; i++)
			run_round(_metadata, self, &cases[n]);
		iou_settle(&self->ring);
		after = iou_nr_requests();
		EXPECT_GE(before + SLACK, after) {
			TH_LOG("%s: %ld, then %ld", cases[n].name, before, after);
		}
	}
}

TEST_HARNESS_MAIN
