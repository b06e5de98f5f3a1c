// SPDX-License-Identifier: GPL-2.0
/*
 * What one user of a pattern can do to another: users have different uids and rings, and
 * the same program, which root has loaded.
 */
#define PATTERNS "--all"
#include "pattern.h"

#include <dirent.h>
#include <sys/socket.h>

#include "process.h"

#define USER_A	12345
#define USER_B	12346
/* seconds, for tests that run iou-patterns or have an endless flow beside them */
#define LIMIT	120

FIXTURE(pattern_users) {
	struct io_uring ring;
	char buf[4096];
	int link;
	int file;		/* which only root can open */
	char path[64];
};

IOU_RING_VARIANTS(pattern_users);

FIXTURE_SETUP(pattern_users)
{
	PATTERN_REQUIRE();
	strcpy(self->path, "/tmp/iou_pattern.XXXXXX");
	self->file = mkstemp(self->path);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, fchmod(self->file, 0600));
	ASSERT_EQ(6, write(self->file, "secret", 6));
}

FIXTURE_TEARDOWN(pattern_users)
{
	unlink(self->path);
}

/* Become the user, with a ring. */
#define be(uid) do {							\
	ASSERT_EQ(0, pattern_drop(uid));				\
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));	\
} while (0)

/* Call @fn() with the fd and name of each pattern. Return their number, or an error. */
static int for_each_pattern(int (*fn)(int fd, const char *name))
{
	DIR *dir = opendir(IOU_PATTERNS_DIR);
	struct dirent *d;
	int nr = 0, ret = 0;

	if (!dir)
		return -errno;
	while (!ret && (d = readdir(dir))) {
		int fd;

		if (d->d_name[0] == '.' || !strcmp(d->d_name, "count_map"))
			continue;
		fd = iou_pattern_open(IOU_PATTERNS_DIR, d->d_name);
		ret = fd < 0 ? fd : fn(fd, d->d_name);
		close(fd);
		nr++;
	}
	closedir(dir);
	return ret ?: nr;
}

static int has_no_maps(int fd, const char *name)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int ret = bpf_prog_get_info_by_fd(fd, &info, &len);

	if (ret)
		return ret;
	if (strcmp(info.name, name))
		return -ENOENT;
	return info.nr_map_ids == !strcmp(name, "count") ? 0 : -E2BIG;
}

/* Nothing is shared: neither maps, nor global variables, which are maps. */
TEST_F(pattern_users, no_maps)
{
	ASSERT_EQ(0, pattern_drop(NOBODY));
	ASSERT_EQ(18, for_each_pattern(has_no_maps));
	/* the map of the only pattern that has one is not for users */
	ASSERT_EQ(-EACCES, iou_pattern_open(IOU_PATTERNS_DIR, "count_map"));
}

static int has_empty_streams(int fd, const char *name)
{
	char buf[64];

	for (int id = 1; id <= 2; id++) {
		int ret = bpf_prog_stream_read(fd, id, buf, sizeof(buf), NULL);

		if (ret)
			return ret < 0 ? ret : -EBUSY;
	}
	return 0;
}

/* A program that printed would show one user what it does for another. */
TEST_F(pattern_users, no_streams)
{
	be(USER_A);
	self->link = iou_pattern_attach(self->ring.ring_fd, SLOT, "read_full");
	ASSERT_LE(0, self->link);
	PATTERN_RUN(6, read_full, self->file, self->buf, 100, 0);
	ASSERT_EQ(18, for_each_pattern(has_empty_streams));
}

static char names[32][16];
static unsigned int nr_names;

static int add_name(int fd, const char *name)
{
	if (nr_names == ARRAY_SIZE(names))
		return -E2BIG;
	snprintf(names[nr_names++], sizeof(names[0]), "%s", name);
	return 0;
}

/* A pattern that was attached to watch, which most are not made for, loses no CQE. */
TEST_F_TIMEOUT(pattern_users, all_watch, LIMIT)
{
	be(USER_A);
	ASSERT_EQ(18, for_each_pattern(add_name));
	for (unsigned int i = 0; i < nr_names; i++) {
		TH_LOG("%s", names[i]);
		self->link = iou_pattern_watch(self->ring.ring_fd, SLOT, names[i], -1, 0, 0);
		ASSERT_LE(0, self->link);
		iou_prep_read(iou_get_sqe(&self->ring), -1, self->buf, 6, 0, APP);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, APP, -EBADF);
		/* whose purpose is to drop the next one */
		if (strcmp(names[i], "quiet")) {
			iou_prep_read(iou_get_sqe(&self->ring), self->file, self->buf, 6, 0,
				      APP);
			ASSERT_EQ(1, iou_submit(&self->ring));
			ASSERT_CQE(&self->ring, APP, 6);
		}
		close(self->link);
	}
}

/* What the user may do without privileges, and may not */
TEST_F(pattern_users, without_privileges)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_IOURING);
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	char value[8] = {};
	int fd = open(SYSCTL, O_RDONLY);

	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, value, 7));
	ASSERT_NE('0', value[0]);
	be(NOBODY);
	ASSERT_EQ(-EPERM, bpf_prog_load(BPF_PROG_TYPE_IOURING, "mine", "GPL", insns, 2,
					&opts));
	/* where the usual pins are */
	ASSERT_EQ(-1, access("/sys/fs/bpf/.", F_OK));
	ASSERT_EQ(EACCES, errno);
	ASSERT_EQ(-EACCES, iou_pattern_open("/sys/fs/bpf/io_uring", "copy"));
	PATTERN_ATTACH("read_full");
	PATTERN_RUN(6, read_full, self->file, self->buf, 100, 0);
}

/* The pins cannot be changed, replaced or removed. */
TEST_F(pattern_users, pins)
{
	struct stat st;
	int fd;

	ASSERT_EQ(0, pattern_drop(NOBODY));
	ASSERT_EQ(0, stat(IOU_PATTERNS_DIR "/copy", &st));
	ASSERT_EQ(0444, st.st_mode & 07777);
	ASSERT_EQ(0, st.st_uid);
	ASSERT_EQ(-1, unlink(IOU_PATTERNS_DIR "/copy"));
	ASSERT_EQ(-1, chmod(IOU_PATTERNS_DIR "/copy", 0666));
	ASSERT_EQ(-1, rename(IOU_PATTERNS_DIR "/copy", IOU_PATTERNS_DIR "/join"));
	fd = iou_pattern_open(IOU_PATTERNS_DIR, "copy");
	ASSERT_LE(0, fd);
	ASSERT_EQ(-EACCES, bpf_obj_pin(fd, IOU_PATTERNS_DIR "/mine"));
	ASSERT_EQ(-EACCES, bpf_obj_get(IOU_PATTERNS_DIR "/copy"));
	ASSERT_EQ(-ENOENT, iou_pattern_open(IOU_PATTERNS_DIR, "none"));
}

/* A folder in which others can put programs of their choice is not trusted. */
TEST_F(pattern_users, impostor)
{
	char dir[] = "/tmp/iou_pattern.XXXXXX";

	ASSERT_NE(NULL, mkdtemp(dir));
	/* not a bpffs */
	ASSERT_EQ(-EPERM, iou_pattern_open(dir, "copy"));
	ASSERT_EQ(0, mount("bpf", dir, "bpf", 0, "mode=0777"));
	EXPECT_EQ(-EPERM, iou_pattern_open(dir, "copy"));
	EXPECT_EQ(0, chmod(dir, 0755));
	EXPECT_EQ(-ENOENT, iou_pattern_open(dir, "copy"));
	EXPECT_EQ(0, chmod(dir, 0775));
	EXPECT_EQ(-EPERM, iou_pattern_open(dir, "copy"));
	EXPECT_EQ(0, chmod(dir, 0755));
	EXPECT_EQ(0, chown(dir, USER_A, 0));
	EXPECT_EQ(-EPERM, iou_pattern_open(dir, "copy"));
	umount(dir);
	rmdir(dir);
}

/* A pattern does nothing that the user could not do. */
TEST_F(pattern_users, credentials)
{
	be(USER_A);
	ASSERT_EQ(-1, open(self->path, O_RDONLY));
	PATTERN_ATTACH("read_file");
	PATTERN_RUN(-EACCES, read_file, AT_FDCWD, self->path, O_RDONLY, self->buf, 100);
}

/*
 * The same with requests of the application, which open the file of root. The error is
 * the result of all patterns but keep_n, which counts what has succeeded. All patterns but
 * retry store the error in the SQE, too.
 */
#define refuses_open(_res, name, ...) do {				\
	PATTERN_ATTACH(#name);						\
	memset(sqe, 0, sizeof(*sqe));					\
	io_uring_prep_openat(sqe, AT_FDCWD, self->path, O_RDONLY, 0);	\
	PATTERN_RUN(_res, name, 0, 0, __VA_ARGS__);			\
	if (strcmp(#name, "retry")) {					\
		ASSERT_EQ(-EACCES, iou_pattern_res(sqe)) TH_LOG("%s", #name);\
	}								\
	close(self->link);						\
} while (0)

TEST_F(pattern_users, credentials_of_sqes)
{
	struct iovec iov = { .iov_base = self->buf, .iov_len = sizeof(self->buf) };
	struct io_uring_sqe *sqe = (struct io_uring_sqe *)self->buf;
	const __u64 limit = 1000000000ULL * 3600;

	be(USER_A);
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	refuses_open(-EACCES, join, 1, limit);
	refuses_open(-EACCES, first_of, 1);
	refuses_open(0, keep_n, 1, 1);
	refuses_open(-EACCES, deadline, 1, limit);
	refuses_open(-EACCES, retry, 1, 0, 0);
}

/* Each flow has the credentials of its own submitter, at the same time. */
TEST_F(pattern_users, credentials_of_each)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, fchown(self->file, USER_B, USER_B));
	pid = fork();
	ASSERT_LE(0, pid);
	be(pid ? USER_A : USER_B);
	PATTERN_ATTACH("read_file");
	for (int i = 0; i < 100; i++)
		PATTERN_RUN(pid ? -EACCES : 6, read_file, AT_FDCWD, self->path, O_RDONLY,
			    self->buf, 100);
	if (!pid)
		_exit(0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
}

/* A ring cannot be sent to another process as a message. */
TEST_F(pattern_users, ring_as_message)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int socks[2];

	be(USER_A);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &socks[0], sizeof(int));
	ASSERT_EQ(1, sendmsg(socks[0], &msg, 0));
	memcpy(CMSG_DATA(c), &self->ring.ring_fd, sizeof(int));
	ASSERT_EQ(-1, sendmsg(socks[0], &msg, 0));
	ASSERT_EQ(EINVAL, errno);
}

/* Another process that has the ring cannot attach a pattern to it. */
TEST_F(pattern_users, ring_of_another)
{
	int status;
	pid_t pid;

	be(USER_A);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* a child of the creator has inherited the file */
		_exit(-iou_pattern_attach(self->ring.ring_fd, SLOT, "copy"));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	ASSERT_EQ(EPERM, WEXITSTATUS(status));
}

/* Links keep the program that they have, and new ones get the new program. */
TEST_F_TIMEOUT(pattern_users, replaced, LIMIT)
{
	struct bpf_link_info old = {}, new = {};
	__u32 len = sizeof(old);
	int other;

	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	PATTERN_ATTACH("read_full");
	ASSERT_EQ(0, system("./iou-patterns --dir patterns load --replace read_full"));
	other = iou_pattern_attach(self->ring.ring_fd, SLOT + 1, "read_full");
	ASSERT_LE(0, other);
	ASSERT_EQ(0, bpf_link_get_info_by_fd(self->link, &old, &len));
	ASSERT_EQ(0, bpf_link_get_info_by_fd(other, &new, &len));
	ASSERT_NE(old.prog_id, new.prog_id);
	PATTERN_RUN(6, read_full, self->file, self->buf, 100, 0);
	/* the name goes away, the programs stay */
	ASSERT_EQ(0, system("./iou-patterns unload read_full"));
	PATTERN_RUN(6, read_full, self->file, self->buf, 100, 0);
	ASSERT_EQ(-ENOENT, iou_pattern_attach(self->ring.ring_fd, SLOT + 2, "read_full"));
	ASSERT_EQ(0, system("./iou-patterns --dir patterns load read_full"));
}

/* A user who binds a map to a shared program changes nothing but the list of maps. */
static void bind_map(struct __test_metadata *_metadata, FIXTURE_DATA(pattern_users) *self,
		     unsigned int setup, int map)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd;

	ASSERT_EQ(0, pattern_drop(USER_A));
	ASSERT_EQ(0, iou_ring_init(&self->ring, setup));
	fd = iou_pattern_open(IOU_PATTERNS_DIR, "read_full");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bpf_prog_bind_map(fd, map, NULL));
	ASSERT_EQ(0, bpf_prog_get_info_by_fd(fd, &info, &len));
	ASSERT_EQ(1, info.nr_map_ids);
	PATTERN_ATTACH("read_full");
	PATTERN_RUN(6, read_full, self->file, self->buf, 100, 0);
	_exit(0);
}

TEST_F_TIMEOUT(pattern_users, map_bound, LIMIT)
{
	int map, status;
	pid_t pid;

	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "mine", 4, 8, 1, NULL);
	ASSERT_LE(0, map);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		bind_map(_metadata, self, variant->setup, map);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	/* a program without the map, for the other tests */
	ASSERT_EQ(0, system("./iou-patterns --dir patterns load --replace read_full"));
}

/* Run a flow that does not end by itself. */
static void run_endless(FIXTURE_DATA(pattern_users) *self, unsigned int setup)
{
	struct iovec iov = { .iov_base = self->buf, .iov_len = sizeof(self->buf) };

	if (pattern_drop(USER_A) || iou_ring_init(&self->ring, setup) ||
	    io_uring_register_buffers(&self->ring, &iov, 1) ||
	    iou_pattern_attach(self->ring.ring_fd, SLOT, "retry") < 0)
		_exit(GONE_WRONG);
	iou_prep_nop((struct io_uring_sqe *)self->buf, -EAGAIN, 0, 0);
	PATTERN_PREP(retry, 0, 0, UINT_MAX, 0, 0);
	io_uring_submit_and_wait(&self->ring, 1);
	_exit(GOT_CQE);
}

/* Other users go on meanwhile, and the process can be killed. */
TEST_F_TIMEOUT(pattern_users, endless, LIMIT)
{
	int status;
	pid_t a, b;

	a = fork();
	ASSERT_LE(0, a);
	if (!a)
		run_endless(self, variant->setup);
	b = fork();
	ASSERT_LE(0, b);
	if (!b) {
		be(USER_B);
		PATTERN_ATTACH("read_full");
		for (int i = 0; i < 100; i++)
			PATTERN_RUN(6, read_full, self->file, self->buf, 100, 0);
		_exit(0);
	}
	ASSERT_EQ(b, waitpid(b, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(0, waitpid(a, &status, WNOHANG));
	ASSERT_EQ(0, kill(a, SIGKILL));
	ASSERT_TRUE(wait_for(a, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
}

TEST_HARNESS_MAIN
