// SPDX-License-Identifier: GPL-2.0
/* Pinned programs and links: who may open them, and what for */
#include "iou_bpf.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "flow.skel.h"

#define FLOW	0xf10aULL
#define APP	0xa44ULL
#define NOBODY	65534
#define SLOT	3
/* result of a flow of the program flow_end_at_start */
#define RESULT	42

FIXTURE(pin) {
	struct io_uring ring;
	struct flow *skel;
	char dir[32];
	char path[64];
	int prog;
};

IOU_MODE_VARIANTS(pin);
IOU_LOAD_ONCE(flow);

FIXTURE_SETUP(pin)
{
	IOU_REQUIRE();
	self->prog = -1;
	strcpy(self->dir, "/tmp/iou_pin.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	ASSERT_EQ(0, mount("bpf", self->dir, "bpf", 0, NULL));
	snprintf(self->path, sizeof(self->path), "%s/pin", self->dir);
	self->skel = flow_get();
	ASSERT_NE(NULL, self->skel);
	self->skel->bss->end_res = RESULT;
}

FIXTURE_TEARDOWN(pin)
{
	seteuid(0);
	umount(self->dir);
	rmdir(self->dir);
}

/* Open the pin. Return a file descriptor or a negative error. */
static int open_pin(FIXTURE_DATA(pin) *self, __u32 file_flags)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = file_flags);

	return bpf_obj_get_opts(self->path, &opts);
}

static int pin_prog(FIXTURE_DATA(pin) *self)
{
	return bpf_obj_pin(bpf_program__fd(self->skel->progs.flow_end_at_start),
			   self->path);
}

/* Attach a program by its file descriptor. Return the file descriptor of the link. */
static int attach_fd(FIXTURE_DATA(pin) *self, int prog, __u32 flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iouring.slot = SLOT,
		    .iouring.flags = flags);

	return bpf_link_create(prog, self->ring.ring_fd, BPF_IOURING, &opts);
}

#define ASSERT_FLOW_RES(_res) do {					\
	iou_queue_bpf(&self->ring, SLOT, FLOW);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_CQE(&self->ring, FLOW, _res);				\
} while (0)

TEST_F(pin, mode)
{
	struct stat st;

	ASSERT_EQ(0, pin_prog(self));
	ASSERT_EQ(0, stat(self->path, &st));
	ASSERT_EQ(0600, st.st_mode & 07777);

	ASSERT_EQ(0, seteuid(NOBODY));
	EXPECT_EQ(-EACCES, open_pin(self, 0));
	EXPECT_EQ(-EACCES, open_pin(self, BPF_F_RDONLY));

	/* without the flag, the file is opened for writing, too */
	ASSERT_EQ(0, seteuid(0));
	ASSERT_EQ(0, chmod(self->path, 0644));
	ASSERT_EQ(0, seteuid(NOBODY));
	EXPECT_EQ(-EACCES, open_pin(self, 0));
	EXPECT_LE(0, open_pin(self, BPF_F_RDONLY));
}

/* Everybody who can open the program can attach it, on a ring of his own. */
TEST_F(pin, attach)
{
	int link;

	ASSERT_EQ(0, pin_prog(self));
	ASSERT_EQ(0, chmod(self->path, 0644));
	ASSERT_EQ(0, seteuid(NOBODY));
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	self->prog = open_pin(self, BPF_F_RDONLY);
	ASSERT_LE(0, self->prog);
	link = attach_fd(self, self->prog, 0);
	ASSERT_LE(0, link);
	ASSERT_FLOW_RES(RESULT);
	close(link);
	ASSERT_FLOW_RES(-ENOENT);

	/* as a program that watches */
	self->skel->bss->nr_events = 0;
	link = attach_fd(self, self->prog, BPF_F_IOURING_MATCH);
	ASSERT_LE(0, link);
	iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, APP);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 1);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	close(link);
	io_uring_queue_exit(&self->ring);
}

/* A link is opened for reading and writing, and then is full authority. */
TEST_F(pin, link)
{
	int link;

	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	link = attach_fd(self, bpf_program__fd(self->skel->progs.flow_log), 0);
	ASSERT_LE(0, link);
	ASSERT_EQ(0, bpf_obj_pin(link, self->path));
	close(link);
	ASSERT_FLOW_RES(0);

	ASSERT_EQ(0, chmod(self->path, 0644));
	ASSERT_EQ(0, seteuid(NOBODY));
	EXPECT_EQ(-EACCES, open_pin(self, 0));
	EXPECT_EQ(-EINVAL, open_pin(self, BPF_F_RDONLY));
	ASSERT_EQ(0, seteuid(0));
	ASSERT_EQ(0, chmod(self->path, 0666));
	ASSERT_EQ(0, seteuid(NOBODY));
	link = open_pin(self, 0);
	ASSERT_LE(0, link);
	self->prog = bpf_program__fd(self->skel->progs.flow_end_at_start);
	ASSERT_EQ(0, bpf_link_update(link, self->prog, NULL));
	ASSERT_FLOW_RES(RESULT);
	ASSERT_EQ(0, bpf_link_detach(link));
	ASSERT_FLOW_RES(-ENOENT);
	close(link);
	io_uring_queue_exit(&self->ring);
}

/* All users of the program share its global variables. */
TEST_F(pin, globals_are_shared)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, pin_prog(self));
	ASSERT_EQ(0, chmod(self->path, 0644));
	for (int i = 1; i <= 2; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			ASSERT_EQ(0, seteuid(NOBODY + i));
			ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
			self->prog = open_pin(self, BPF_F_RDONLY);
			ASSERT_LE(0, attach_fd(self, self->prog, 0));
			ASSERT_FLOW_RES(RESULT);
			_exit(i);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFEXITED(status));
		ASSERT_EQ(i, WEXITSTATUS(status));
		ASSERT_EQ(i, self->skel->bss->nr_events);
	}
}

TEST_HARNESS_MAIN
