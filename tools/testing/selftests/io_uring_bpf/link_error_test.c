// SPDX-License-Identifier: GPL-2.0
/* Errors of attaching a program */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "link.h"

#define LINK_CREATE(ring_fd, slot)					\
	link_create(self->skel->progs.link_a, ring_fd, slot)

TEST_F(link, slot_out_of_range)
{
	ASSERT_EQ(-EINVAL, LINK_CREATE(self->ring.ring_fd, IOU_MAX_SLOTS));
	ASSERT_EQ(-EINVAL, LINK_CREATE(self->ring.ring_fd, ~0U));
}

TEST_F(link, flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iouring.flags = 4);
	LIBBPF_OPTS(bpf_link_create_opts, common, .flags = 1);
	int prog_fd = bpf_program__fd(self->skel->progs.link_a);

	ASSERT_EQ(-EINVAL, bpf_link_create(prog_fd, self->ring.ring_fd,
					   BPF_IOURING, &opts));
	opts.iouring.flags = 1U << 31;
	ASSERT_EQ(-EINVAL, bpf_link_create(prog_fd, self->ring.ring_fd,
					   BPF_IOURING, &opts));
	ASSERT_EQ(-EINVAL, bpf_link_create(prog_fd, self->ring.ring_fd,
					   BPF_IOURING, &common));
}

/* The index of a registered ring is valid for the calling task only. */
TEST_F(link, registered_index)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .iouring.flags = BPF_F_IOURING_REGISTERED_RING);
	int prog_fd = bpf_program__fd(self->skel->progs.link_a);
	int index;

	if (variant->setup)
		SKIP(return, "such a ring may be registered already");
	ASSERT_EQ(-EINVAL, bpf_link_create(prog_fd, 16, BPF_IOURING, &opts));
	ASSERT_EQ(1, io_uring_register_ring_fd(&self->ring));
	index = self->ring.enter_ring_fd;
	ASSERT_EQ(-EBADF, bpf_link_create(prog_fd, index + 1, BPF_IOURING, &opts));
	ASSERT_EQ(-EINVAL, bpf_link_create(prog_fd, 16, BPF_IOURING, &opts));
	ASSERT_EQ(-EINVAL, bpf_link_create(prog_fd, -1, BPF_IOURING, &opts));
}

TEST_F(link, attach_type)
{
	int prog_fd = bpf_program__fd(self->skel->progs.link_a);

	ASSERT_EQ(-EINVAL, bpf_link_create(prog_fd, self->ring.ring_fd,
					   BPF_CGROUP_INET_INGRESS, NULL));
	prog_fd = bpf_program__fd(self->skel->progs.link_other_type);
	ASSERT_EQ(-EINVAL, bpf_link_create(prog_fd, self->ring.ring_fd,
					   BPF_IOURING, NULL));
	/* the older interface, without a link */
	prog_fd = bpf_program__fd(self->skel->progs.link_a);
	ASSERT_EQ(-EINVAL, bpf_prog_attach(prog_fd, self->ring.ring_fd,
					   BPF_IOURING, 0));
}

TEST_F(link, slot_taken)
{
	int fd;

	self->link = IOU_ATTACH(self->skel->progs.link_b, &self->ring, 3);
	ASSERT_EQ(-EBUSY, LINK_CREATE(self->ring.ring_fd, 3));
	/* by any program */
	ASSERT_EQ(-EBUSY, link_create(self->skel->progs.link_b,
				      self->ring.ring_fd, 3));
	/* other slots are free */
	fd = LINK_CREATE(self->ring.ring_fd, 2);
	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 3));
}

TEST_F(link, not_a_ring)
{
	ASSERT_EQ(-EBADF, LINK_CREATE(-1, 0));
	ASSERT_EQ(-EBADF, LINK_CREATE(12345, 0));
	ASSERT_EQ(-EOPNOTSUPP, LINK_CREATE(self->pipe[0], 0));
	ASSERT_EQ(-EOPNOTSUPP,
		  LINK_CREATE(bpf_program__fd(self->skel->progs.link_a), 0));
}

/* The link needs a file descriptor. Without one, nothing is attached. */
TEST_F(link, no_fd_left)
{
	/* the lowest free fd: the limit allows only those below */
	int fd = dup(self->pipe[0]), ret;
	struct rlimit old, limit;

	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	limit = old;
	limit.rlim_cur = fd;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	ret = LINK_CREATE(self->ring.ring_fd, 0);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	ASSERT_EQ(-EMFILE, ret);
	ASSERT_EQ(-ENOENT, link_run_flow(&self->ring, 0));
	fd = LINK_CREATE(self->ring.ring_fd, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, link_run_flow(&self->ring, 0));
	close(fd);
}

/* An fd of a ring does not prove ownership. */
TEST_F(link, ring_fd_is_not_ownership)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(-LINK_CREATE(self->ring.ring_fd, 0));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(EPERM, WEXITSTATUS(status));
	ASSERT_EQ(-ENOENT, link_run_flow(&self->ring, 0));
}

struct link_thread {
	struct bpf_program *prog;
	int ring_fd;
	int ret;
};

static void *link_thread_fn(void *arg)
{
	struct link_thread *thread = arg;

	thread->ret = link_create(thread->prog, thread->ring_fd, 0);
	return NULL;
}

/* Another thread can attach, unless the ring has a single issuer. */
TEST_F(link, other_thread)
{
	struct link_thread thread = {
		.prog		= self->skel->progs.link_b,
		.ring_fd	= self->ring.ring_fd,
	};
	pthread_t tid;

	ASSERT_EQ(0, pthread_create(&tid, NULL, link_thread_fn, &thread));
	ASSERT_EQ(0, pthread_join(tid, NULL));
	if (variant->setup & IORING_SETUP_SINGLE_ISSUER) {
		ASSERT_EQ(-EEXIST, thread.ret);
		return;
	}
	ASSERT_LE(0, thread.ret);
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 0));
	close(thread.ret);
}

/* Restrictions on io_uring_register() refuse programs. */
TEST_F(link, register_restrictions)
{
	struct io_uring_restriction res[2] = {
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_REGISTER_BUFFERS },
		{ .opcode = IORING_RESTRICTION_SQE_OP,
		  .sqe_op = IORING_OP_BPF },
	};
	struct io_uring ring;

	ASSERT_EQ(0, link_disabled_ring(&ring, variant->setup));
	ASSERT_LE(0, iou_register(&ring, IORING_REGISTER_RESTRICTIONS, res, 2));
	ASSERT_EQ(0, iou_enable_ring(&ring));
	ASSERT_EQ(-EACCES, LINK_CREATE(ring.ring_fd, 0));
	io_uring_queue_exit(&ring);
}

/* Restrictions on opcodes only do not. */
TEST_F(link, opcode_restrictions)
{
	struct io_uring_restriction res = {
		.opcode = IORING_RESTRICTION_SQE_OP,
		.sqe_op = IORING_OP_BPF,
	};
	struct io_uring ring;
	int fd;

	ASSERT_EQ(0, link_disabled_ring(&ring, variant->setup));
	ASSERT_LE(0, iou_register(&ring, IORING_REGISTER_RESTRICTIONS, &res, 1));
	ASSERT_EQ(0, iou_enable_ring(&ring));
	fd = LINK_CREATE(ring.ring_fd, 0);
	ASSERT_LE(0, fd);
	close(fd);
	io_uring_queue_exit(&ring);
}

static const struct {
	const char *name;
	unsigned int setup;
} link_modes[] = {
	{ "SQPOLL", IORING_SETUP_SQPOLL },
	{ "SQPOLL, SINGLE_ISSUER",
	  IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER },
	{ "IOPOLL", IORING_SETUP_IOPOLL },
	{ "CQE32", IORING_SETUP_CQE32 },
	{ "CQE_MIXED", IORING_SETUP_CQE_MIXED },
	{ "SQE128", IORING_SETUP_SQE128 },
	{ "SQE_MIXED", IORING_SETUP_SQE_MIXED },
	{ "SQE128, DEFER_TASKRUN", IORING_SETUP_SQE128 | IOU_DEFER },
	{ "COOP_TASKRUN", IORING_SETUP_COOP_TASKRUN },
	{ "TASKRUN_FLAG", IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG },
	{ "SINGLE_ISSUER", IORING_SETUP_SINGLE_ISSUER },
	{ "NO_SQARRAY", IORING_SETUP_NO_SQARRAY },
	{ "R_DISABLED", IORING_SETUP_R_DISABLED },
};

FIXTURE(link_mode) {
	struct link *skel;
};

FIXTURE_SETUP(link_mode)
{
	IOU_REQUIRE();
	self->skel = link_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(link_mode)
{
}

TEST_F(link_mode, create)
{
	for (size_t i = 0; i < ARRAY_SIZE(link_modes); i++) {
		struct io_uring_params p = { .flags = link_modes[i].setup };
		int ring_fd, fd;

		ring_fd = io_uring_setup(8, &p);
		ASSERT_LE(0, ring_fd) TH_LOG("%s", link_modes[i].name);
		fd = LINK_CREATE(ring_fd, 0);
		EXPECT_LE(0, fd)
			TH_LOG("%s", link_modes[i].name);
		if (fd >= 0)
			close(fd);
		close(ring_fd);
	}
}

TEST_HARNESS_MAIN
