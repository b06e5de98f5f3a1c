// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of programs obey the restrictions and filters of the ring or task,
 * and the program sees the failure.
 */
#include "iou_until.h"

#include <linux/filter.h>
#include <linux/io_uring/bpf_filter.h>
#include <stddef.h>

#include "kselftest_harness.h"
#include "flow.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define APP	0xa44ULL

FIXTURE(sandbox) {
	struct io_uring ring;
	struct flow *skel;
	struct bpf_link *link;
	/* has 4 bytes in it */
	int pipe[2];
	char buf[16];
};

IOU_MODE_VARIANTS(sandbox);
IOU_LOAD_ONCE(flow);

FIXTURE_SETUP(sandbox)
{
	IOU_REQUIRE();
	self->ring.ring_fd = -1;
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	self->skel = flow_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(sandbox)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	if (self->ring.ring_fd >= 0)
		io_uring_queue_exit(&self->ring);
}

static struct io_uring_sqe *add_child(FIXTURE_DATA(sandbox) *self)
{
	__u32 n = self->skel->bss->nr_sqes++;
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[n];

	memset(sqe, 0, sizeof(*sqe));
	sqe->user_data = CHILD + n;
	return sqe;
}

static void add_nop(FIXTURE_DATA(sandbox) *self, unsigned int flags)
{
	struct io_uring_sqe *sqe = add_child(self);

	sqe->opcode = IORING_OP_NOP;
	sqe->fd = -1;
	sqe->flags = flags;
}

static void add_read(FIXTURE_DATA(sandbox) *self)
{
	struct io_uring_sqe *sqe = add_child(self);

	iou_prep_read(sqe, self->pipe[0], self->buf, sizeof(self->buf), 0,
		      sqe->user_data);
}

/* Return the result of child @n as the program saw it, or 1 if it did not. */
static int child_res(FIXTURE_DATA(sandbox) *self, unsigned int n)
{
	for (int i = 1; i < self->skel->bss->nr_events; i++) {
		struct iou_event *ev = &self->skel->bss->events[i];

		if (ev->user_data == CHILD + n &&
		    ev->event == BPF_IO_URING_COMPLETE &&
		    ev->flags == BPF_IO_URING_F_CHILD)
			return ev->res;
	}
	return 1;
}

#define attach()							\
	(self->link = IOU_ATTACH(self->skel->progs.flow_issue,		\
				 &self->ring, 0))

/* Set up a ring without restrictions of its own. */
#define open_ring() do {						\
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));	\
	attach();							\
} while (0)

#define start_flow(sqe_flags) do {					\
	self->skel->bss->nr_events = 0;					\
	iou_queue_bpf(&self->ring, 0, FLOW)->flags = sqe_flags;		\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

/* Run a flow with the added children. */
#define run_flow() do {							\
	struct io_uring_cqe __cqe = {};					\
									\
	start_flow(0);							\
	ASSERT_EQ(0, iou_wait_cqe(&self->ring, &__cqe));		\
	ASSERT_EQ(FLOW, __cqe.user_data);				\
	ASSERT_EQ(1 + self->skel->bss->nr_sqes,				\
		  self->skel->bss->nr_events);				\
} while (0)

/* Return the result of the application for the same read. */
#define assert_app_read(res) do {					\
	iou_prep_read(iou_get_sqe(&self->ring), self->pipe[0],		\
		      self->buf, sizeof(self->buf), 0, APP);		\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_CQE(&self->ring, APP, res);				\
} while (0)

static struct io_uring_restriction allow_op(unsigned int op)
{
	return (struct io_uring_restriction) {
		.opcode = IORING_RESTRICTION_SQE_OP,
		.sqe_op = op,
	};
}

static struct io_uring_restriction flags_rule(unsigned int opcode,
					      unsigned int flags)
{
	return (struct io_uring_restriction) {
		.opcode = opcode,
		.sqe_flags = flags,
	};
}

/* Set up a ring with these restrictions, which must precede its enabling. */
#define restrict_ring(...) do {						\
	struct io_uring_restriction __rules[] = { __VA_ARGS__ };	\
	unsigned int __setup = variant->setup & ~IOU_SHAPED;		\
									\
	ASSERT_EQ(0, iou_ring_init(&self->ring, __setup |		\
						IORING_SETUP_R_DISABLED));\
	attach();							\
	ASSERT_EQ(0, iou_register(&self->ring,				\
				  IORING_REGISTER_RESTRICTIONS, __rules,\
				  ARRAY_SIZE(__rules)));		\
	ASSERT_EQ(0, iou_enable_ring(&self->ring));			\
} while (0)

/* Return 0 or an error. @fd is -1 for all later rings of the task. */
static int add_filter(int fd, unsigned int op, unsigned int flags,
		      struct sock_filter *insns, unsigned int len)
{
	struct io_uring_bpf reg = {
		.cmd_type		= IO_URING_BPF_CMD_FILTER,
		.filter.opcode		= op,
		.filter.flags		= flags,
		.filter.filter_len	= len,
		.filter.filter_ptr	= (unsigned long)insns,
	};

	return io_uring_register(fd, IORING_REGISTER_BPF_FILTER, &reg, 1);
}

#define FILTER(fd, op, flags, ...) do {					\
	struct sock_filter __insns[] = { __VA_ARGS__ };			\
	int __ret = add_filter(fd, op, flags, __insns,			\
			       ARRAY_SIZE(__insns));			\
									\
	if (__ret == -EINVAL)						\
		SKIP(return, "no filters, is CONFIG_IO_URING_BPF set?");\
	ASSERT_EQ(0, __ret);						\
} while (0)

TEST_F(sandbox, restrictions)
{
	restrict_ring(allow_op(IORING_OP_BPF), allow_op(IORING_OP_NOP));
	add_nop(self, 0);
	add_read(self);
	run_flow();
	ASSERT_EQ(0, child_res(self, 0));
	ASSERT_EQ(-EACCES, child_res(self, 1));
	assert_app_read(-EACCES);
	ASSERT_EQ(4, read(self->pipe[0], self->buf, sizeof(self->buf)));
}

/* A flow requires permission for IORING_OP_BPF. */
TEST_F(sandbox, flow_opcode)
{
	restrict_ring(allow_op(IORING_OP_NOP));
	start_flow(0);
	ASSERT_CQE(&self->ring, FLOW, -EACCES);
	ASSERT_EQ(0, self->skel->bss->nr_events);
}

TEST_F(sandbox, flags_allowed)
{
	restrict_ring(allow_op(IORING_OP_BPF), allow_op(IORING_OP_NOP),
		      flags_rule(IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
				 IOSQE_IO_LINK));
	add_nop(self, 0);
	add_nop(self, IOSQE_ASYNC);
	run_flow();
	ASSERT_EQ(0, child_res(self, 0));
	ASSERT_EQ(-EACCES, child_res(self, 1));
}

/* Programs cannot set this flag, so all their requests are refused. */
TEST_F(sandbox, flags_required)
{
	restrict_ring(allow_op(IORING_OP_BPF), allow_op(IORING_OP_NOP),
		      flags_rule(IORING_RESTRICTION_SQE_FLAGS_REQUIRED,
				 IOSQE_CQE_SKIP_SUCCESS));
	add_nop(self, 0);
	start_flow(IOSQE_CQE_SKIP_SUCCESS);
	ASSERT_CQE(&self->ring, FLOW, -EACCES);
	ASSERT_EQ(0, self->skel->bss->rets[0]);
	ASSERT_EQ(-EACCES, child_res(self, 0));

	self->skel->bss->sqes[0].flags = IOSQE_CQE_SKIP_SUCCESS;
	start_flow(IOSQE_CQE_SKIP_SUCCESS);
	ASSERT_CQE(&self->ring, FLOW, -EINVAL);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(-EINVAL, self->skel->bss->rets[0]);
	ASSERT_EQ(1, self->skel->bss->nr_events);
}

/* Restrictions of the task, which a new ring inherits */
TEST_F(sandbox, task_restrictions)
{
	struct {
		struct io_uring_task_restriction head;
		struct io_uring_restriction rules[2];
	} arg = {
		.head.nr_res = 2,
		.rules = { allow_op(IORING_OP_BPF), allow_op(IORING_OP_NOP) },
	};

	ASSERT_EQ(0, io_uring_register(-1, IORING_REGISTER_RESTRICTIONS, &arg,
				       1));
	open_ring();
	add_nop(self, 0);
	add_read(self);
	run_flow();
	ASSERT_EQ(0, child_res(self, 0));
	ASSERT_EQ(-EACCES, child_res(self, 1));
	assert_app_read(-EACCES);
}

TEST_F(sandbox, filter_opcode)
{
	open_ring();
	FILTER(self->ring.ring_fd, IORING_OP_READ, 0,
	       BPF_STMT(BPF_RET | BPF_K, 0));
	add_nop(self, 0);
	add_read(self);
	run_flow();
	ASSERT_EQ(0, child_res(self, 0));
	ASSERT_EQ(-EACCES, child_res(self, 1));
	assert_app_read(-EACCES);
	ASSERT_EQ(4, read(self->pipe[0], self->buf, sizeof(self->buf)));
}

TEST_F(sandbox, filter_deny_rest)
{
	open_ring();
	FILTER(self->ring.ring_fd, IORING_OP_BPF, IO_URING_BPF_FILTER_DENY_REST,
	       BPF_STMT(BPF_RET | BPF_K, 1));
	add_nop(self, 0);
	run_flow();
	ASSERT_EQ(-EACCES, child_res(self, 0));
}

TEST_F(sandbox, filter_flow)
{
	open_ring();
	FILTER(self->ring.ring_fd, IORING_OP_BPF, 0,
	       BPF_STMT(BPF_RET | BPF_K, 0));
	start_flow(0);
	ASSERT_CQE(&self->ring, FLOW, -EACCES);
	ASSERT_EQ(0, self->skel->bss->nr_events);
}

/* The filter sees the SQE of the child, not that of the flow. */
TEST_F(sandbox, filter_user_data)
{
	open_ring();
	FILTER(self->ring.ring_fd, IORING_OP_NOP, 0,
	       BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			offsetof(struct io_uring_bpf_ctx, user_data)),
	       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CHILD + 1, 0, 1),
	       BPF_STMT(BPF_RET | BPF_K, 1),
	       BPF_STMT(BPF_RET | BPF_K, 0));
	for (int i = 0; i < 3; i++)
		add_nop(self, 0);
	run_flow();
	for (int i = 0; i < 3; i++) {
		int res = child_res(self, i);

		ASSERT_EQ(i == 1 ? 0 : -EACCES, res);
	}
}

/* A filter can check arguments: files can be read but not written. */
TEST_F(sandbox, filter_open_flags)
{
	struct io_uring_sqe *sqe;
	int i;

	open_ring();
	FILTER(self->ring.ring_fd, IORING_OP_OPENAT, 0,
	       BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			offsetof(struct io_uring_bpf_ctx, open.flags)),
	       BPF_STMT(BPF_ALU | BPF_AND | BPF_K, O_ACCMODE),
	       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, O_RDONLY, 0, 1),
	       BPF_STMT(BPF_RET | BPF_K, 1),
	       BPF_STMT(BPF_RET | BPF_K, 0));
	for (i = 0; i < 2; i++) {
		sqe = add_child(self);
		io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null",
				     i ? O_WRONLY : O_RDONLY, 0);
		sqe->user_data = CHILD + i;
	}
	run_flow();
	ASSERT_LE(0, child_res(self, 0));
	close(child_res(self, 0));
	ASSERT_EQ(-EACCES, child_res(self, 1));
}

/*
 * The filter at the time of the issue applies, whenever the flow has started.
 */
TEST_F(sandbox, filter_added_later)
{
	open_ring();
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.flow_state));
	/* the flow waits for more data than there is */
	ASSERT_EQ(4, read(self->pipe[0], self->buf, sizeof(self->buf)));
	add_read(self);
	iou_queue_bpf(&self->ring, 0, FLOW)->off = 2;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_TRUE(iou_until(&self->ring,
			      IO_URING_READ_ONCE(self->skel->bss->nr_events)));
	ASSERT_NO_CQE(&self->ring);

	FILTER(self->ring.ring_fd, IORING_OP_READ, 0,
	       BPF_STMT(BPF_RET | BPF_K, 0));
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, -EACCES);
	ASSERT_EQ(3, self->skel->bss->nr_events);
	ASSERT_EQ(4, self->skel->bss->events[1].res);
	ASSERT_EQ(-EACCES, self->skel->bss->events[2].res);
}

TEST_F(sandbox, task_filter)
{
	FILTER(-1, IORING_OP_READ, 0, BPF_STMT(BPF_RET | BPF_K, 0));
	open_ring();
	add_nop(self, 0);
	add_read(self);
	run_flow();
	ASSERT_EQ(0, child_res(self, 0));
	ASSERT_EQ(-EACCES, child_res(self, 1));
	assert_app_read(-EACCES);
}

TEST_HARNESS_MAIN
