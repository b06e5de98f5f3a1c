/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of patterns: programs of tools/io_uring/patterns/ that root loads once, and that
 * a user without any privilege attaches and runs. A test defines PATTERNS, the names of
 * the patterns to load, separated by spaces.
 */
#ifndef IOU_PATTERN_H
#define IOU_PATTERN_H

#include "iou_bpf.h"
#include "iou_file.h"

#include <grp.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <iou/patterns.h>
#include <linux/magic.h>

#include "kselftest_harness.h"

#define NOBODY	65534
#define FLOW	0xf10aULL
#define APP	0xa44ULL
#define SLOT	5

#define SYSCTL	"/proc/sys/kernel/unprivileged_bpf_disabled"

_Static_assert(IOU_PATTERN_OP_BPF == (int)IORING_OP_BPF, "opcode");
_Static_assert(IOU_PATTERN_MATCH == (int)BPF_F_IOURING_MATCH, "flag of the link");
_Static_assert(IOU_PATTERN_IOURING == (int)BPF_IOURING, "attach type");
_Static_assert(IOU_PATTERN_OBJ_GET == (int)BPF_OBJ_GET, "command");
_Static_assert(IOU_PATTERN_LINK_CREATE == (int)BPF_LINK_CREATE, "command");
_Static_assert(IOU_PATTERN_RDONLY == (int)BPF_F_RDONLY, "flag of the pin");
_Static_assert(IOU_PATTERN_BPF_FS == BPF_FS_MAGIC, "file system");

/* Mount a bpffs, unless there is one, and set its mode. Return 0 or an error. */
static inline int pattern_mount(const char *dir, mode_t mode)
{
	struct statfs fs;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	if ((statfs(dir, &fs) || fs.f_type != BPF_FS_MAGIC) &&
	    mount("bpf", dir, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return -errno;
	return chmod(dir, mode) ? -errno : 0;
}

static int pattern_loaded = -1;

/* What the administrator does, once for all tests */
static inline void __attribute__((constructor)) pattern_load(void)
{
	if (iou_unsupported())
		return;
	pattern_loaded = pattern_mount(IOU_PATTERNS_DIR, 0755) ?:
			 pattern_mount("/sys/fs/bpf", 0700);
	/* refused if it is 1, which is as strict */
	iou_write_file(SYSCTL, "2");
	if (!pattern_loaded)
		pattern_loaded = system("./iou-patterns --dir patterns load --replace "
					PATTERNS);
}

/* Create a file without a name, for reading and writing. */
static inline int pattern_file(void)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir ?: "/tmp", O_TMPFILE | O_RDWR, 0600);

	return fd < 0 ? memfd_create("pattern", 0) : fd;
}

/* Become a user without capabilities, permanently. Return 0 or an error. */
static inline int pattern_drop(unsigned int uid)
{
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

/* Fill in a pattern that depends on the position. */
static inline void pattern_fill(char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = i % 251 + i / 4096;
}

#define PATTERN_REQUIRE() do {						\
	IOU_REQUIRE();							\
	ASSERT_EQ(0, pattern_loaded);					\
} while (0)

/* Attach to SLOT of the ring of the fixture. */
#define PATTERN_ATTACH(name) do {					\
	self->link = iou_pattern_attach(self->ring.ring_fd, SLOT, name);\
	ASSERT_LE(0, self->link) TH_LOG("%s: %s", name, strerror(-self->link));	\
} while (0)

/* Prepare a flow by iou_prep_@name() of the header. */
#define PATTERN_PREP(name, ...) do {					\
	struct io_uring_sqe *__sqe = iou_get_sqe(&self->ring);		\
									\
	iou_prep_##name(__sqe, SLOT, __VA_ARGS__);			\
	io_uring_sqe_set_data64(__sqe, FLOW);				\
} while (0)

#define PATTERN_START(name, ...) do {					\
	PATTERN_PREP(name, __VA_ARGS__);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

/* Run a flow. Its CQE is the only one. */
#define PATTERN_RUN(_res, name, ...) do {				\
	PATTERN_START(name, __VA_ARGS__);				\
	ASSERT_CQE(&self->ring, FLOW, _res);				\
} while (0)

struct pattern_words {
	__u64 words[4];
};

/* Flows with these words are refused at once. Attach the pattern first. */
#define PATTERN_REFUSES(...) do {					\
	const struct pattern_words __cases[] = { __VA_ARGS__ };		\
									\
	for (size_t __i = 0; __i < ARRAY_SIZE(__cases); __i++) {	\
		const __u64 *__w = __cases[__i].words;			\
		struct io_uring_sqe *__sqe = iou_get_sqe(&self->ring);	\
									\
		iou_prep_bpf(__sqe, SLOT, __w[0], __w[1], __w[2], __w[3]);\
		__sqe->user_data = FLOW + __i;				\
		ASSERT_EQ(1, iou_submit(&self->ring));			\
		ASSERT_CQE(&self->ring, FLOW + __i, -EINVAL);		\
	}								\
} while (0)

#define WORD(low, high)	((__u64)(high) << 32 | (__u32)(low))

#endif
