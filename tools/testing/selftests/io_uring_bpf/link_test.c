// SPDX-License-Identifier: GPL-2.0
/* Links: creation, queries, updates and detaching */
#include <sys/mount.h>
#include <sys/stat.h>

#include "link.h"
#include "iou_caps.h"
#include "process.h"

TEST_F(link, every_slot)
{
	struct bpf_link *links[IOU_MAX_SLOTS];

	for (int i = 0; i < IOU_MAX_SLOTS; i++) {
		ASSERT_EQ(-ENOENT, link_run_flow(&self->ring, i));
		links[i] = IOU_ATTACH(i % 2 ? self->skel->progs.link_b :
				      self->skel->progs.link_a, &self->ring, i);
	}
	for (int i = 0; i < IOU_MAX_SLOTS; i++)
		ASSERT_EQ(i % 2 ? 0xb : 0, link_run_flow(&self->ring, i));
	ASSERT_EQ(IOU_MAX_SLOTS / 2, self->skel->bss->nr_a);
	ASSERT_EQ(IOU_MAX_SLOTS / 2, self->skel->bss->nr_b);
	for (int i = 0; i < IOU_MAX_SLOTS; i++) {
		bpf_link__destroy(links[i]);
		ASSERT_EQ(-ENOENT, link_run_flow(&self->ring, i));
	}
}

TEST_F(link, no_opts_is_slot_0)
{
	self->link = bpf_program__attach_iouring(self->skel->progs.link_b,
						 self->ring.ring_fd, NULL);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 0));
}

/* A ring without a file descriptor is the target by its registered index. */
TEST_F(link, registered_ring)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = 2,
		    .flags = BPF_F_IOURING_REGISTERED_RING);

	if (variant->setup)
		SKIP(return, "once is enough");
	ASSERT_EQ(1, io_uring_register_ring_fd(&self->ring));
	ASSERT_EQ(0, close(self->ring.ring_fd));
	self->ring.ring_fd = -1;
	self->link = bpf_program__attach_iouring(self->skel->progs.link_b,
						 self->ring.enter_ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 2));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	ASSERT_EQ(-ENOENT, link_run_flow(&self->ring, 2));
}

TEST_F(link, one_program_on_two_rings)
{
	struct bpf_link *link;
	struct io_uring ring;

	ASSERT_EQ(0, iou_ring_init(&ring, variant->setup));
	self->link = IOU_ATTACH(self->skel->progs.link_b, &self->ring, 4);
	link = IOU_ATTACH(self->skel->progs.link_b, &ring, 5);
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 4));
	ASSERT_EQ(-ENOENT, link_run_flow(&self->ring, 5));
	ASSERT_EQ(0xb, link_run_flow(&ring, 5));
	ASSERT_EQ(-ENOENT, link_run_flow(&ring, 4));
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

/*
 * A privileged process can pass programs on. Attaching requires no capability.
 */
TEST_F(link, unprivileged_owner)
{
	ASSERT_EQ(0, iou_keep_caps(0));
	self->link = IOU_ATTACH(self->skel->progs.link_b, &self->ring, 0);
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 0));
}

TEST_F(link, ring_not_yet_enabled)
{
	struct bpf_link *link;
	struct io_uring ring;

	ASSERT_EQ(0, link_disabled_ring(&ring, variant->setup));
	link = IOU_ATTACH(self->skel->progs.link_b, &ring, 0);
	ASSERT_EQ(0, iou_enable_ring(&ring));
	ASSERT_EQ(0xb, link_run_flow(&ring, 0));
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

static int link_get_info(struct bpf_link *link, struct bpf_link_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, len);
	return bpf_link_get_info_by_fd(bpf_link__fd(link), info, &len);
}

static bool link_fdinfo_has(struct bpf_link *link, const char *line)
{
	char path[64], buf[1024] = "\n";
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
		 bpf_link__fd(link));
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	len = read(fd, buf + 1, sizeof(buf) - 2);
	close(fd);
	return len > 0 && strstr(buf, line);
}

/* Return how many lines of the fdinfo start with @name. */
static unsigned int link_fdinfo_count(struct bpf_link *link, const char *name)
{
	char path[64], line[256];
	unsigned int nr = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_link__fd(link));
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		nr += !strncmp(line, name, strlen(name));
	if (f)
		fclose(f);
	return nr;
}

/* Return the inode number that the link has for its ring, 0 if there is none. */
static __u64 link_get_ring(struct bpf_link *link)
{
	struct bpf_link_info info;

	return link_get_info(link, &info) ? -1 : info.iouring.ring_ino;
}

TEST_F(link, ring_ino)
{
	struct stat st;
	char line[64];

	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 11);
	ASSERT_EQ(0, fstat(self->ring.ring_fd, &st));
	ASSERT_NE(0, st.st_ino);
	ASSERT_EQ(st.st_ino, link_get_ring(self->link));
	snprintf(line, sizeof(line), "\nring_ino:\t%llu\n",
		 (unsigned long long)st.st_ino);
	ASSERT_TRUE(link_fdinfo_has(self->link, line));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	ASSERT_EQ(0, link_get_ring(self->link));
	ASSERT_TRUE(link_fdinfo_has(self->link, "\nring_ino:\t0\n"));
}

TEST_F(link, ring_ino_of_closed_ring)
{
	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 11);
	ASSERT_NE(0, link_get_ring(self->link));
	link_close_ring(self);
	ASSERT_TRUE(until(!link_get_ring(self->link)));
	ASSERT_TRUE(link_fdinfo_has(self->link, "\nring_ino:\t0\n"));
}

TEST_F(link, info)
{
	int prog_fd = bpf_program__fd(self->skel->progs.link_a);
	struct bpf_prog_info prog_info = {};
	__u32 len = sizeof(prog_info);
	struct bpf_link_info info;

	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 11);
	ASSERT_EQ(0, bpf_prog_get_info_by_fd(prog_fd, &prog_info, &len));
	ASSERT_EQ(0, link_get_info(self->link, &info));
	EXPECT_EQ(BPF_LINK_TYPE_IOURING, info.type);
	EXPECT_NE(0, info.id);
	EXPECT_EQ(prog_info.id, info.prog_id);
	EXPECT_EQ(11, info.iouring.slot);
	EXPECT_EQ(0, info.iouring.flags);
	EXPECT_TRUE(link_fdinfo_has(self->link, "\nslot:\t11\n"));
	EXPECT_TRUE(link_fdinfo_has(self->link, "\nlink_type:\tiouring\n"));
	EXPECT_TRUE(link_fdinfo_has(self->link, "\niouring_flags:\t0x0\n"));
	/* that of any file */
	EXPECT_EQ(1, link_fdinfo_count(self->link, "flags:"));

	/* neither requires the ring */
	link_close_ring(self);
	ASSERT_EQ(0, link_get_info(self->link, &info));
	EXPECT_EQ(11, info.iouring.slot);
	EXPECT_TRUE(link_fdinfo_has(self->link, "\nslot:\t11\n"));

	ASSERT_EQ(0, bpf_link__detach(self->link));
	ASSERT_EQ(0, link_get_info(self->link, &info));
	EXPECT_EQ(11, info.iouring.slot);
	EXPECT_TRUE(link_fdinfo_has(self->link, "\nslot:\t11\n"));
}

TEST_F(link, update)
{
	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 2);
	ASSERT_EQ(0, link_run_flow(&self->ring, 2));
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.link_b));
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 2));
	ASSERT_EQ(1, self->skel->bss->nr_a);
	ASSERT_EQ(1, self->skel->bss->nr_b);
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.link_sleepable));
	ASSERT_EQ(0x5, link_run_flow(&self->ring, 2));
}

TEST_F(link, update_replace)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts, .flags = BPF_F_REPLACE);
	int a = bpf_program__fd(self->skel->progs.link_a);
	int b = bpf_program__fd(self->skel->progs.link_b);
	int fd;

	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 0);
	fd = bpf_link__fd(self->link);
	opts.old_prog_fd = b;
	EXPECT_EQ(-EPERM, bpf_link_update(fd, b, &opts));
	ASSERT_EQ(0, link_run_flow(&self->ring, 0));
	opts.old_prog_fd = a;
	EXPECT_EQ(0, bpf_link_update(fd, b, &opts));
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 0));
}

TEST_F(link, update_with_other_type)
{
	int fd = bpf_program__fd(self->skel->progs.link_other_type);

	self->link = IOU_ATTACH(self->skel->progs.link_b, &self->ring, 0);
	EXPECT_EQ(-EINVAL, bpf_link_update(bpf_link__fd(self->link), fd, NULL));
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 0));
}

/* The flow keeps its state, and continues with the new program. */
TEST_F(link, update_with_flow_in_flight)
{
	struct iou_event *ev = self->skel->bss->events;

	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 0);
	link_add_read(self);
	iou_queue_bpf(&self->ring, 0, FLOW)->addr = 0x1111;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.link_b));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0xb);
	ASSERT_EQ(1, self->skel->bss->nr_a);
	ASSERT_EQ(1, self->skel->bss->nr_b);
	EXPECT_EQ(4, ev[1].res);
	EXPECT_EQ(0xaaaa, ev[1].state[0]);
	EXPECT_EQ(0x1111, ev[1].state[1]);
}

TEST_F(link, detach)
{
	struct bpf_link *link;

	self->link = IOU_ATTACH(self->skel->progs.link_a, &self->ring, 0);
	ASSERT_EQ(0, link_run_flow(&self->ring, 0));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	ASSERT_EQ(-ENOENT, link_run_flow(&self->ring, 0));
	EXPECT_EQ(-ENOLINK, bpf_link__update_program(self->link,
						     self->skel->progs.link_b));
	/* the slot is free, and the link does not affect its next program */
	link = IOU_ATTACH(self->skel->progs.link_b, &self->ring, 0);
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 0));
	EXPECT_EQ(-ENOLINK, bpf_link__update_program(self->link,
						     self->skel->progs.link_a));
	ASSERT_EQ(0, bpf_link__detach(self->link));
	bpf_link__destroy(self->link);
	self->link = link;
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 0));
}

/* The link requires neither the fd of the program nor the skeleton. */
TEST_F(link, program_fd_closed)
{
	struct link *skel = link__open_and_load();

	ASSERT_NE(NULL, skel);
	self->link = IOU_ATTACH(skel->progs.link_b, &self->ring, 0);
	link__destroy(skel);
	ASSERT_EQ(0xb, link_run_flow(&self->ring, 0));
}

#define PIN_PATH "/sys/fs/bpf/iou_link_test"

static bool link_has_bpffs(void)
{
	struct stat st;

	if (!mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) || errno == EBUSY)
		return !stat("/sys/fs/bpf", &st);
	return false;
}

TEST_F(link, pinned_program_outlives_link)
{
	int fd;

	if (!link_has_bpffs())
		SKIP(return, "no bpffs");
	unlink(PIN_PATH);
	ASSERT_EQ(0, bpf_program__pin(self->skel->progs.link_b, PIN_PATH));
	self->link = IOU_ATTACH(self->skel->progs.link_b, &self->ring, 0);
	bpf_link__destroy(self->link);
	self->link = NULL;
	ASSERT_EQ(-ENOENT, link_run_flow(&self->ring, 0));

	fd = bpf_obj_get(PIN_PATH);
	ASSERT_LE(0, fd);
	unlink(PIN_PATH);
	close(fd);
}

TEST_F(link, pinned_link_outlives_fd)
{
	if (!link_has_bpffs())
		SKIP(return, "no bpffs");
	unlink(PIN_PATH);
	self->link = IOU_ATTACH(self->skel->progs.link_b, &self->ring, 0);
	ASSERT_EQ(0, bpf_link__pin(self->link, PIN_PATH));
	bpf_link__destroy(self->link);
	self->link = NULL;
	EXPECT_EQ(0xb, link_run_flow(&self->ring, 0));
	EXPECT_EQ(-EBUSY, link_create(self->skel->progs.link_a,
				      self->ring.ring_fd, 0));
	unlink(PIN_PATH);
	/* the last reference is put asynchronously */
	for (int i = 0; i < 100; i++) {
		if (link_run_flow(&self->ring, 0) == -ENOENT)
			break;
		usleep(50000);
	}
	ASSERT_EQ(-ENOENT, link_run_flow(&self->ring, 0));
}

TEST_HARNESS_MAIN
