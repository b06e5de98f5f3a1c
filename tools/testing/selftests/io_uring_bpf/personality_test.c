// SPDX-License-Identifier: GPL-2.0
/*
 * The credentials of a child: those of its own personality, else of that of the
 * flow, else of the task. Those of the request before the flow play no role. With
 * an SQ thread, the credentials of the ring take the place of those of the task.
 */
#include <linux/ioprio.h>

#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "flow.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define PRED	0x4eadULL

#define NOBODY	65534
/* not registered */
#define UNKNOWN	4711

FIXTURE(personality) {
	struct io_uring ring;
	struct flow *skel;
	struct bpf_link *link;
	/* only root may open this file */
	char path[32];
	int root;
	int nobody;
};

IOU_MODE_VARIANTS(personality);
IOU_LOAD_ONCE(flow);

FIXTURE_SETUP(personality)
{
	int fd;

	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	self->skel = flow_get();
	ASSERT_NE(NULL, self->skel);
	self->link = IOU_ATTACH(self->skel->progs.flow_issue, &self->ring, 0);

	snprintf(self->path, sizeof(self->path), "/tmp/io_uring_bpf.XXXXXX");
	fd = mkstemp(self->path);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fchmod(fd, 0600));
	close(fd);

	self->root = io_uring_register_personality(&self->ring);
	ASSERT_LT(0, self->root);
	ASSERT_EQ(0, seteuid(NOBODY));
	self->nobody = io_uring_register_personality(&self->ring);
	ASSERT_LT(0, self->nobody);
	ASSERT_EQ(0, seteuid(0));
}

FIXTURE_TEARDOWN(personality)
{
	seteuid(0);
	unlink(self->path);
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
}

static void set_child(FIXTURE_DATA(personality) *self, unsigned int flags,
		      int personality)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[0];

	memset(sqe, 0, sizeof(*sqe));
	io_uring_prep_openat(sqe, AT_FDCWD, self->path, O_RDONLY, 0);
	sqe->user_data = CHILD;
	sqe->flags = flags;
	sqe->personality = personality;
	self->skel->bss->nr_sqes = 1;
	self->skel->bss->nr_events = 0;
}

/* Return the result of a child. Close an fd, and return 0 for it. */
static int child_res(FIXTURE_DATA(personality) *self)
{
	struct iou_event *ev = &self->skel->bss->events[1];

	if (self->skel->bss->nr_events != 2 || ev->user_data != CHILD)
		return -ENOMSG;
	if (ev->res < 0)
		return ev->res;
	close(ev->res);
	return 0;
}

#define assert_flow(flow_personality, res) do {				\
	iou_queue_bpf(&self->ring, 0, FLOW)->personality =		\
		flow_personality;					\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_CQE(&self->ring, FLOW, res);				\
	ASSERT_EQ(res, child_res(self));				\
} while (0)

static bool by_thread(const FIXTURE_VARIANT(personality) *variant)
{
	return variant->setup & IORING_SETUP_SQPOLL;
}

/*
 * The result of a child without a personality after the task has dropped its
 * uid
 */
static int as_nobody(const FIXTURE_VARIANT(personality) *variant)
{
	return by_thread(variant) ? 0 : -EACCES;
}

/*
 * Register a personality with other credentials, and return its expected
 * result.
 */
static int other_rights(FIXTURE_DATA(personality) *self,
			const FIXTURE_VARIANT(personality) *variant, int *res)
{
	*res = by_thread(variant) ? -EACCES : 0;
	return by_thread(variant) ? self->nobody : self->root;
}

TEST_F(personality, none)
{
	set_child(self, 0, 0);
	assert_flow(0, 0);
	ASSERT_EQ(0, seteuid(NOBODY));
	set_child(self, 0, 0);
	assert_flow(0, as_nobody(variant));
}

TEST_F(personality, less_rights)
{
	set_child(self, 0, self->nobody);
	assert_flow(0, -EACCES);
	set_child(self, 0, self->root);
	assert_flow(0, 0);
}

TEST_F(personality, more_rights)
{
	ASSERT_EQ(0, seteuid(NOBODY));
	set_child(self, 0, self->root);
	assert_flow(0, 0);
	set_child(self, 0, self->nobody);
	assert_flow(0, -EACCES);
}

/* A worker of io-wq uses the credentials, too. */
TEST_F(personality, io_wq)
{
	set_child(self, IOSQE_ASYNC, self->nobody);
	assert_flow(0, -EACCES);
	ASSERT_EQ(0, seteuid(NOBODY));
	set_child(self, IOSQE_ASYNC, 0);
	assert_flow(0, as_nobody(variant));
	set_child(self, IOSQE_ASYNC, self->root);
	assert_flow(0, 0);
}

TEST_F(personality, unknown)
{
	set_child(self, 0, UNKNOWN);
	assert_flow(0, -EINVAL);
	/* nor after it was unregistered */
	ASSERT_EQ(0, io_uring_unregister_personality(&self->ring, self->root));
	set_child(self, 0, self->root);
	assert_flow(0, -EINVAL);
}

/*
 * The personality of a flow applies to its program, unless a request names
 * another.
 */
TEST_F(personality, that_of_the_flow)
{
	for (int async = 0; async < 2; async++) {
		unsigned int flags = async ? IOSQE_ASYNC : 0;

		ASSERT_EQ(0, seteuid(0));
		set_child(self, flags, 0);
		assert_flow(self->nobody, -EACCES);
		set_child(self, flags, self->root);
		assert_flow(self->nobody, 0);
		ASSERT_EQ(0, seteuid(NOBODY));
		set_child(self, flags, 0);
		assert_flow(self->root, 0);
		set_child(self, flags, self->nobody);
		assert_flow(self->root, -EACCES);
		/* later flows without a personality are not affected */
		set_child(self, flags, 0);
		assert_flow(0, as_nobody(variant));
	}
}

/* A chain of children, the last of which opens the file */
TEST_F(personality, that_of_the_flow_in_chain)
{
	struct flow__bss *bss = self->skel->bss;

	for (int i = 0; i < 2; i++) {
		set_child(self, 0, 0);
		bss->sqes[1] = bss->sqes[0];
		iou_prep_nop(&bss->sqes[0], 0, 0, PRED);
		bss->sqes[0].flags = IOSQE_IO_LINK | (i ? IOSQE_ASYNC : 0);
		bss->nr_sqes = 2;
		iou_queue_bpf(&self->ring, 0, FLOW)->personality = self->nobody;
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, -EACCES);
		ASSERT_EQ(3, bss->nr_events);
		ASSERT_EQ(CHILD, bss->events[2].user_data);
		ASSERT_EQ(-EACCES, bss->events[2].res);
	}
}

/* A worker stores the credentials of the submission in a linked flow. */
TEST_F(personality, not_that_of_the_submission)
{
	struct io_uring_sqe *sqe;

	if (!(variant->setup & IORING_SETUP_DEFER_TASKRUN))
		SKIP(return, "requires IORING_SETUP_DEFER_TASKRUN");
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.flow_state));
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, 0, 0, PRED);
	sqe->flags = IOSQE_IO_LINK | IOSQE_ASYNC;
	iou_queue_bpf(&self->ring, 0, FLOW)->off = 1;
	set_child(self, 0, 0);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_EQ(0, seteuid(NOBODY));
	ASSERT_CQE(&self->ring, PRED, 0);
	ASSERT_CQE(&self->ring, FLOW, -EACCES);
	ASSERT_EQ(-EACCES, child_res(self));
}

/* The flow leaves its chain during the completion of that request. */
TEST_F(personality, not_that_of_the_request_before)
{
	struct io_uring_sqe *sqe;
	int other, ignored;

	other = other_rights(self, variant, &ignored);
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.flow_state));
	ASSERT_EQ(0, seteuid(NOBODY));
	for (int i = 0; i < 3; i++) {
		sqe = iou_get_sqe(&self->ring);
		/* in place, by task work, and from a worker */
		iou_prep_nop(sqe, 0, i == 1 ? IORING_NOP_TW : 0, PRED);
		sqe->flags = IOSQE_IO_LINK | (i == 2 ? IOSQE_ASYNC : 0);
		sqe->personality = other;
		sqe = iou_queue_bpf(&self->ring, 0, FLOW);
		sqe->off = 1;
		set_child(self, 0, 0);
		ASSERT_EQ(2, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, PRED, 0);
		ASSERT_CQE(&self->ring, FLOW, as_nobody(variant));
		ASSERT_EQ(as_nobody(variant), child_res(self));
	}
}

/* The task gets a file with its own credentials: alone, in a chain, and async. */
TEST_F(personality, installs_no_file)
{
	struct flow__bss *bss = self->skel->bss;
	struct { int flow, child, res; } cases[] = {
		{ 0, 0, 0 },
		{ self->root, 0, -EPERM },
		{ self->nobody, 0, -EPERM },
		{ 0, self->root, -EPERM },
	};
	int null = open("/dev/null", O_RDONLY);

	ASSERT_LE(0, null);
	ASSERT_EQ(0, io_uring_register_files(&self->ring, &null, 1));
	for (int i = 0; i < 3 * ARRAY_SIZE(cases); i++) {
		struct io_uring_sqe *sqe = &bss->sqes[0];

		set_child(self, 0, 0);
		io_uring_prep_rw(IORING_OP_FIXED_FD_INSTALL, sqe, 0, NULL, 0, 0);
		sqe->flags = IOSQE_FIXED_FILE | (i % 3 == 2 ? IOSQE_ASYNC : 0);
		sqe->user_data = CHILD;
		sqe->personality = cases[i / 3].child;
		if (i % 3 == 1) {
			bss->sqes[1] = *sqe;
			iou_prep_nop(sqe, 0, 0, PRED);
			sqe->flags = IOSQE_IO_LINK;
			bss->nr_sqes = 2;
		}
		iou_queue_bpf(&self->ring, 0, FLOW)->personality = cases[i / 3].flow;
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, cases[i / 3].res);
		ASSERT_EQ(1 + bss->nr_sqes, bss->nr_events);
		ASSERT_EQ(CHILD, bss->events[bss->nr_sqes].user_data);
		ASSERT_EQ(cases[i / 3].res < 0, bss->events[bss->nr_sqes].res < 0);
		if (bss->events[bss->nr_sqes].res >= 0)
			close(bss->events[bss->nr_sqes].res);
	}
	close(null);
}

/*
 * Two rings share an SQ thread. In task work, too, it prepares a child with the
 * credentials of the ring, which do not permit a real-time priority.
 */
TEST_F(personality, prepared_with_that_of_the_ring)
{
	struct io_uring_params p = {
		.flags	= IORING_SETUP_SQPOLL | IORING_SETUP_ATTACH_WQ,
		.wq_fd	= self->ring.ring_fd,
	};
	struct flow__bss *bss = self->skel->bss;
	struct bpf_link *link;
	struct io_uring ring;
	char c;

	if (!by_thread(variant))
		SKIP(return, "requires IORING_SETUP_SQPOLL");
	ASSERT_EQ(0, seteuid(NOBODY));
	ASSERT_EQ(0, io_uring_queue_init_params(8, &ring, &p));
	ASSERT_EQ(0, seteuid(0));
	link = IOU_ATTACH(self->skel->progs.flow_second, &ring, 0);
	ASSERT_NE(NULL, link);

	set_child(self, 0, 0);
	iou_prep_nop(&bss->sqes[0], 0, IORING_NOP_TW, PRED);
	memset(&bss->sqes[1], 0, sizeof(bss->sqes[1]));
	io_uring_prep_read(&bss->sqes[1], open("/dev/zero", O_RDONLY), &c, 1, 0);
	bss->sqes[1].ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, 0);
	bss->sqes[1].user_data = CHILD;
	ASSERT_LE(0, bss->sqes[1].fd);
	iou_queue_bpf(&ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&ring));
	ASSERT_CQE(&ring, FLOW, -EPERM);
	ASSERT_EQ(3, bss->nr_events);
	ASSERT_EQ(-EPERM, bss->events[2].res);
	close(bss->sqes[1].fd);
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

/*
 * A child has the credentials that the task has when the program issues the child. A
 * flow with a personality keeps its credentials.
 */
TEST_F(personality, task_changes_its_own)
{
	struct flow__bss *bss = self->skel->bss;
	int pipe_fds[2], res[2] = { as_nobody(variant), 0 };
	char c;

	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.flow_second));
	ASSERT_EQ(0, pipe(pipe_fds));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, seteuid(0));
		set_child(self, 0, 0);
		bss->sqes[1] = bss->sqes[0];
		iou_prep_read(&bss->sqes[0], pipe_fds[0], &c, 1, 0, PRED);
		iou_queue_bpf(&self->ring, 0, FLOW)->personality = i ? self->root : 0;
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_NO_CQE(&self->ring);

		ASSERT_EQ(0, seteuid(NOBODY));
		ASSERT_EQ(1, write(pipe_fds[1], "x", 1));
		ASSERT_CQE(&self->ring, FLOW, res[i]);
		ASSERT_EQ(3, bss->nr_events);
		ASSERT_EQ(CHILD, bss->events[2].user_data);
		if (bss->events[2].res >= 0)
			close(bss->events[2].res);
	}
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* The credentials of the flow do not remain with the task or the thread. */
TEST_F(personality, task_keeps_its_own)
{
	int other, res;

	other = other_rights(self, variant, &res);
	ASSERT_EQ(0, seteuid(NOBODY));
	set_child(self, 0, other);
	assert_flow(other, res);
	ASSERT_EQ(NOBODY, geteuid());
	ASSERT_EQ(-1, open(self->path, O_RDONLY));
	ASSERT_EQ(EACCES, errno);
	set_child(self, 0, 0);
	assert_flow(0, as_nobody(variant));
}

TEST_HARNESS_MAIN
