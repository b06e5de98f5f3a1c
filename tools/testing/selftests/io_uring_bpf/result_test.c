// SPDX-License-Identifier: GPL-2.0
/* The result of a flow whose program has not called bpf_io_uring_complete() */
#include "iou_bpf.h"

#include <sys/stat.h>

#include "kselftest_harness.h"
#include "progs/result_call.h"
#include "result.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define APP	0xa44ULL

FIXTURE(result) {
	struct io_uring ring;
	struct result *skel;
	struct bpf_link *link;
};

IOU_RING_VARIANTS(result);
IOU_LOAD_ONCE(result);

FIXTURE_SETUP(result)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	self->skel = result_get();
	ASSERT_NE(NULL, self->skel);
	self->link = IOU_ATTACH(self->skel->progs.result_refused, &self->ring, 0);
}

FIXTURE_TEARDOWN(result)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
}

#define result_is(res) do {						\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_CQE(&self->ring, FLOW, res);				\
	ASSERT_EQ(0, io_uring_cq_ready(&self->ring));			\
} while (0)

static const struct {
	const char	*name;
	__u32		call;
	int		ret;
} refused[] = {
	{ "issue",		RESULT_ISSUE,		-EOPNOTSUPP },
	{ "issue, size",	RESULT_ISSUE_SIZE,	-EINVAL },
	{ "again",		RESULT_AGAIN,		-EINVAL },
	{ "post_cqe",		RESULT_POST_CQE,	-EINVAL },
	{ "drop",		RESULT_DROP,		-EINVAL },
	{ "unlink",		RESULT_UNLINK,		-ERANGE },
	{ "link",		RESULT_LINK,		-EOPNOTSUPP },
	{ "cancel",		RESULT_CANCEL,		-EINVAL },
	{ "buf_give",		RESULT_GIVE,		-EINVAL },
};

TEST_F(result, refused)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(refused); i++) {
		TH_LOG("%s", refused[i].name);
		self->skel->bss->calls[0] = refused[i].call;
		result_is(refused[i].ret);
		ASSERT_EQ(refused[i].ret, self->skel->bss->call_rets[0]);
	}
}

TEST_F(result, first_error)
{
	self->skel->bss->calls[0] = RESULT_ISSUE;
	self->skel->bss->calls[1] = RESULT_ISSUE_SIZE;
	result_is(-EOPNOTSUPP);
	ASSERT_EQ(-EINVAL, self->skel->bss->call_rets[1]);
}

/* Nothing to drop or to cancel: the program has what it wants. */
TEST_F(result, nothing_to_do)
{
	for (int i = RESULT_DROP_NONE; i <= RESULT_CANCEL_NONE; i++) {
		self->skel->bss->calls[0] = i;
		result_is(0);
		ASSERT_EQ(-ENOENT, self->skel->bss->call_rets[0]);
	}
}

/* The error of the last child says more than that it cannot be reissued. */
TEST_F(result, child_failed)
{
	self->skel->bss->calls[0] = RESULT_ISSUE;
	self->skel->bss->call_at = BPF_IO_URING_COMPLETE;
	iou_prep_nop(&self->skel->bss->sqes[0], -EIO, 0, CHILD);
	self->skel->bss->nr_sqes = 1;
	result_is(-EIO);
	ASSERT_EQ(-EOPNOTSUPP, self->skel->bss->call_rets[0]);
}

/* A program that goes on has its own reaction to the error. */
TEST_F(result, other_request_issued)
{
	self->skel->bss->calls[0] = RESULT_ISSUE;
	iou_prep_nop(&self->skel->bss->sqes[0], 3, 0, CHILD);
	self->skel->bss->nr_sqes = 1;
	result_is(0);
	ASSERT_EQ(2, self->skel->bss->nr_events);
}

TEST_F(result, complete_called)
{
	self->skel->bss->calls[0] = RESULT_ISSUE;
	self->skel->bss->end = 1;
	result_is(5);
}

/* That there was nothing to cancel is no failure of the flow. */
TEST_F(result, nothing_to_cancel)
{
	static const __u8 ops[] = {
		IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_REMOVE, IORING_OP_TIMEOUT_REMOVE,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		struct io_uring_sqe *sqe = &self->skel->bss->sqes[0];

		memset(sqe, 0, sizeof(*sqe));
		sqe->opcode = ops[i];
		sqe->addr = 0x1234;
		sqe->user_data = CHILD;
		self->skel->bss->nr_sqes = 1;
		self->skel->bss->nr_events = 0;
		result_is(0);
		ASSERT_EQ(2, self->skel->bss->nr_events);
		ASSERT_EQ(-ENOENT, self->skel->bss->events[1].res);
	}
}

/*
 * Let a worker open a FIFO that has no other end, and cancel the open by the child of
 * a flow. Return the result of the child.
 */
static int cancel_open(struct __test_metadata *_metadata, FIXTURE_DATA(result) *self,
		       const char *path)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);
	struct io_uring_cqe cqe = {};
	bool ended = false;
	int res = -ENOENT;

	io_uring_prep_openat(sqe, AT_FDCWD, path, O_RDONLY, 0);
	sqe->flags = IOSQE_ASYNC;
	sqe->user_data = APP;
	ASSERT_EQ(1, iou_submit(&self->ring));
	/* not found: the worker has not begun yet, or a signal has just ended the open */
	while (res == -ENOENT && !ended) {
		self->skel->bss->nr_events = 0;
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
		do {
			ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
			ended |= cqe.user_data == APP;
		} while (cqe.user_data == APP);
		ASSERT_EQ(FLOW, cqe.user_data);
		ASSERT_EQ(0, cqe.res);
		ASSERT_EQ(2, self->skel->bss->nr_events);
		res = self->skel->bss->events[1].res;
	}
	if (!ended) {
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(APP, cqe.user_data);
	}
	return res;
}

/* Nor is it one that the request was running, which a signal interrupts. */
TEST_F(result, too_late_to_cancel)
{
	__u64 end = iou_now_ms() + IOU_WAIT_MS;
	char path[] = "/tmp/io_uring_bpf.XXXXXX";
	int res;

	/* a name for the FIFO */
	close(mkstemp(path));
	ASSERT_EQ(0, unlink(path));
	ASSERT_EQ(0, mkfifo(path, 0600));
	io_uring_prep_cancel64(&self->skel->bss->sqes[0], APP, 0);
	self->skel->bss->sqes[0].user_data = CHILD;
	self->skel->bss->nr_sqes = 1;
	do {
		res = cancel_open(_metadata, self, path);
	} while (res != -EALREADY && iou_now_ms() < end);
	unlink(path);
	ASSERT_EQ(-EALREADY, res);
}

TEST_HARNESS_MAIN
