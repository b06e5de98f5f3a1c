// SPDX-License-Identifier: GPL-2.0
/* A reissue cannot bypass the checks of the first issue. */
#include "again.h"

#include <linux/filter.h>
#include <linux/io_uring/bpf_filter.h>
#include <stddef.h>

#define NOBODY	65534

/* missing from some versions of liburing */
static int add_filter(FIXTURE_DATA(again) *self, unsigned int op,
		      struct sock_filter *insns, unsigned int len)
{
	struct io_uring_bpf reg = {
		.cmd_type		= IO_URING_BPF_CMD_FILTER,
		.filter.opcode		= op,
		.filter.filter_len	= len,
		.filter.filter_ptr	= (unsigned long)insns,
	};

	return iou_register(&self->ring, IORING_REGISTER_BPF_FILTER, &reg, 1);
}

#define FILTER(op, ...) do {						\
	struct sock_filter __insns[] = { __VA_ARGS__ };			\
	int __ret = add_filter(self, op, __insns, ARRAY_SIZE(__insns));	\
									\
	if (__ret == -EINVAL)						\
		SKIP(return, "no filters, is CONFIG_IO_URING_BPF set?");\
	ASSERT_EQ(0, __ret);						\
} while (0)

/* Return the number of bytes in the pipe. */
static int pipe_bytes(FIXTURE_DATA(again) *self)
{
	fcntl(self->pipe[0], F_SETFL, O_NONBLOCK);
	return read(self->pipe[0], self->got, BLOCK);
}

/* A refused child cannot be reissued after its completion. */
TEST_F(again, refused_by_restriction)
{
	struct io_uring_restriction rules[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP,
		  .sqe_op = IORING_OP_BPF },
	};

	io_uring_queue_exit(&self->ring);
	/* a shape requires that the ring is enabled */
	ASSERT_EQ(0, iou_ring_init(&self->ring,
				   (variant->setup & ~IOU_SHAPED) |
				   IORING_SETUP_R_DISABLED));
	ASSERT_EQ(0, iou_register(&self->ring, IORING_REGISTER_RESTRICTIONS,
				  rules, ARRAY_SIZE(rules)));
	again_attach(again_steps);
	ASSERT_EQ(0, iou_enable_ring(&self->ring));
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	again_add_read(self, self->pipe[0], self->got, 16, 0);
	/* an arbitrary value in place of the fd */
	again_add_step(self, 0, self->got, self->pipe[0]);
	again_run(-EACCES);
	ASSERT_NO_CQE(&self->ring);
	again_expect_res(0, -EACCES);
	ASSERT_EQ(-EINVAL, self->skel->bss->steps[0].ret);
	ASSERT_EQ(4, pipe_bytes(self));
}

TEST_F(again, refused_by_filter)
{
	FILTER(IORING_OP_READ, BPF_STMT(BPF_RET | BPF_K, 0));
	again_attach(again_steps);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	again_add_read(self, self->pipe[0], self->got, 16, 0);
	/* an arbitrary value in place of the fd */
	again_add_step(self, 0, self->got, self->pipe[0]);
	again_run(-EACCES);
	ASSERT_NO_CQE(&self->ring);
	again_expect_res(0, -EACCES);
	ASSERT_EQ(-EINVAL, self->skel->bss->steps[0].ret);
	ASSERT_EQ(4, pipe_bytes(self));
}

/* Submit a flow, and wait until its child waits. */
#define again_submit_waiting() do {					\
	again_start();							\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_TRUE(again_until(self, 1));				\
} while (0)

/* A filter that is added after the first issue applies to all later issues. */
TEST_F(again, filter_added_later)
{
	again_attach(again_steps);
	again_add_read(self, self->pipe[0], self->got, 4, 0);
	again_add_step(self, 0, self->got, 4);
	again_submit_waiting();
	ASSERT_NO_CQE(&self->ring);

	FILTER(IORING_OP_READ, BPF_STMT(BPF_RET | BPF_K, 0));
	ASSERT_EQ(8, write(self->pipe[1], "datadata", 8));
	ASSERT_CQE(&self->ring, FLOW, -EACCES);
	ASSERT_NO_CQE(&self->ring);
	again_expect_res(0, 4);
	ASSERT_EQ(0, self->skel->bss->steps[0].ret);
	again_expect_res(1, -EACCES);
}

/* A filter can check the one argument that changes. */
TEST_F(again, filter_user_data)
{
	FILTER(IORING_OP_NOP,
	       BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			offsetof(struct io_uring_bpf_ctx, user_data)),
	       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x1111, 0, 1),
	       BPF_STMT(BPF_RET | BPF_K, 0),
	       BPF_STMT(BPF_RET | BPF_K, 1));
	again_attach(again_steps);
	again_add_nop(self, 1, 0);
	again_add_step(self, 0, NULL, 2)->user_data = 0x2222;
	again_add_step(self, 0, NULL, 3)->user_data = 0x1111;
	again_run(-EACCES);
	ASSERT_NO_CQE(&self->ring);
	again_expect_steps();
	again_expect_res(0, 1);
	again_expect_res(1, 2);
	again_expect_res(2, -EACCES);
}

/* Return the sender of the message, or -1 if unknown. */
static int sender_uid(int fd)
{
	char control[CMSG_SPACE(sizeof(struct ucred))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov	= &iov,
		.msg_iovlen	= 1,
		.msg_control	= control,
		.msg_controllen	= sizeof(control),
	};
	struct cmsghdr *cmsg;
	struct ucred cred;

	if (recvmsg(fd, &msg, MSG_DONTWAIT) != 1)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_CREDENTIALS)
		return -1;
	memcpy(&cred, CMSG_DATA(cmsg), sizeof(cred));
	return cred.uid;
}

static void run_personality(struct __test_metadata *_metadata,
			    FIXTURE_DATA(again) *self, unsigned int flags)
{
	struct io_uring_sqe *sqe;
	int nobody, one = 1;

	ASSERT_EQ(0, setsockopt(self->sock[1], SOL_SOCKET, SO_PASSCRED, &one,
				sizeof(one)));
	/* messages carry the real uid */
	ASSERT_EQ(0, setresuid(NOBODY, NOBODY, 0));
	nobody = io_uring_register_personality(&self->ring);
	ASSERT_EQ(0, setresuid(0, 0, 0));
	ASSERT_LT(0, nobody);

	again_attach(again_steps);
	sqe = again_add_child(self);
	io_uring_prep_send(sqe, self->sock[0], self->data, 1, 0);
	sqe->personality = nobody;
	sqe->flags = flags;
	for (int i = 0; i < 3; i++)
		again_add_step(self, 0, self->data, 1);
	again_run(0);
	again_expect_steps();

	ASSERT_EQ(1, send(self->sock[0], self->data, 1, 0));
	for (int i = 0; i < 4; i++) {
		int uid = sender_uid(self->sock[1]);

		ASSERT_EQ(NOBODY, uid) TH_LOG("message %d", i);
	}
	ASSERT_EQ(0, sender_uid(self->sock[1]));
	ASSERT_EQ(0, getuid());
}

/* The credentials of a personality hold for all reissues. */
TEST_F(again, personality)
{
	run_personality(_metadata, self, 0);
}

TEST_F(again, personality_io_wq)
{
	run_personality(_metadata, self, IOSQE_ASYNC);
}

/*
 * A message that waits and is followed by another one. The task has changed its
 * credentials in between, and a child without a personality uses the new ones,
 * or those of the ring in an SQ thread.
 */
static void run_other_rights(struct __test_metadata *_metadata,
			     FIXTURE_DATA(again) *self, unsigned int flags)
{
	int uid = self->ring.flags & IORING_SETUP_SQPOLL ? 0 : NOBODY;
	struct io_uring_sqe *sqe;
	int sock[2], one = 1, nr = 0;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sock));
	ASSERT_EQ(0, setsockopt(sock[1], SOL_SOCKET, SO_PASSCRED, &one,
				sizeof(one)));
	while (send(sock[0], self->data, 1, MSG_DONTWAIT) == 1)
		nr++;
	again_attach(again_steps);
	sqe = again_add_child(self);
	io_uring_prep_send(sqe, sock[0], self->data, 1, 0);
	sqe->flags = flags;
	again_add_step(self, 0, self->data, 1);
	again_submit_waiting();
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, self->skel->bss->nr_events);

	ASSERT_EQ(0, setresuid(NOBODY, NOBODY, 0));
	while (nr--)
		ASSERT_EQ(0, sender_uid(sock[1]));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(0, setresuid(0, 0, 0));
	again_expect_steps();
	ASSERT_LE(0, sender_uid(sock[1]));
	ASSERT_EQ(uid, sender_uid(sock[1]));
	close(sock[0]);
	close(sock[1]);
}

TEST_F(again, rights_of_the_task)
{
	run_other_rights(_metadata, self, 0);
}

TEST_F(again, rights_of_the_task_io_wq)
{
	run_other_rights(_metadata, self, IOSQE_ASYNC);
}

/*
 * A member of a chain with a worker stores the credentials of the submission.
 * Its reissue uses those of the task.
 */
TEST_F(again, rights_of_the_task_in_chain)
{
	struct again__bss *bss = self->skel->bss;
	struct io_uring_sqe *sqe;
	int sock[2], one = 1;

	if (!(variant->setup & IORING_SETUP_DEFER_TASKRUN))
		SKIP(return, "requires IORING_SETUP_DEFER_TASKRUN");
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sock));
	ASSERT_EQ(0, setsockopt(sock[1], SOL_SOCKET, SO_PASSCRED, &one,
				sizeof(one)));
	again_attach(again_steps);
	again_add_nop(self, 0, 0);
	bss->sqes[0].flags = IOSQE_ASYNC | IOSQE_IO_LINK;
	sqe = again_add_child(self);
	io_uring_prep_send(sqe, sock[0], self->data, 1, 0);
	/* the NOP is linked to another request, and not reissued */
	again_add_step(self, 0, NULL, 0);
	again_add_step(self, 0, self->data, 1);
	again_start();
	ASSERT_EQ(1, iou_submit(&self->ring));

	ASSERT_EQ(0, setresuid(NOBODY, NOBODY, 0));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(0, setresuid(0, 0, 0));
	ASSERT_EQ(-EOPNOTSUPP, bss->steps[0].ret);
	ASSERT_EQ(0, bss->steps[1].ret);
	ASSERT_EQ(0, sender_uid(sock[1]));
	ASSERT_EQ(NOBODY, sender_uid(sock[1]));
	ASSERT_EQ(-1, sender_uid(sock[1]));
	close(sock[0]);
	close(sock[1]);
}

/* The file was removed from the table, but not from the request. */
TEST_F(again, personality_unregistered)
{
	struct io_uring_sqe *sqe;
	int id;

	id = io_uring_register_personality(&self->ring);
	ASSERT_LT(0, id);
	again_attach(again_steps);
	sqe = again_add_read(self, self->pipe[0], self->got, 4, 0);
	sqe->personality = id;
	for (int i = 0; i < 3; i++)
		again_add_step(self, 0, self->got, 4);
	again_submit_waiting();
	ASSERT_EQ(0, io_uring_unregister_personality(&self->ring, id));
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(4, write(self->pipe[1], "data", 4));
		ASSERT_EQ(0, io_uring_get_events(&self->ring));
	}
	ASSERT_CQE(&self->ring, FLOW, 0);
	again_expect_steps();
}

TEST_HARNESS_MAIN
