/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IOU_FDINFO_H
#define IOU_FDINFO_H

#include "iou_until.h"
#include "process.h"

#include "kselftest_harness.h"
#include "fdinfo.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
/* seconds, more than all waits of a test together */
#define FDINFO_LIMIT	180

FIXTURE(fdinfo) {
	struct io_uring ring;
	struct fdinfo *skel;
	struct bpf_link *link;
	int pipe[2];
	char buf[16];
	/* fdinfo of the ring */
	char text[512 * 1024];
};

IOU_MODE_VARIANTS(fdinfo);
IOU_LOAD_ONCE(fdinfo);

FIXTURE_SETUP(fdinfo)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = fdinfo_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(fdinfo)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
}

static inline void fdinfo_attach(FIXTURE_DATA(fdinfo) *self, unsigned int slot)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = slot);

	self->link = bpf_program__attach_iouring(self->skel->progs.fdinfo_flow,
						 self->ring.ring_fd, &opts);
}

/* Read the fdinfo of a ring, without most of it while its lock is taken. */
static inline bool fdinfo_try(FIXTURE_DATA(fdinfo) *self, int ring_fd)
{
	size_t len = 0, left;
	char path[64];
	ssize_t ret;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring_fd);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	do {
		left = sizeof(self->text) - 1 - len;
		ret = read(fd, self->text + len, left);
		len += ret > 0 ? ret : 0;
	} while (ret > 0);
	close(fd);
	self->text[len] = '\0';
	return strstr(self->text, "\nCqOverflowList:");
}

static inline bool fdinfo_of(FIXTURE_DATA(fdinfo) *self, int ring_fd)
{
	return until(fdinfo_try(self, ring_fd));
}

/*
 * Check that the fdinfo of the ring has these lines. An SQ thread may have to fall asleep
 * first.
 */
#define ASSERT_SHOWN(...) do {						\
	char __line[512] = "\n";					\
									\
	snprintf(__line + 1, sizeof(__line) - 1, __VA_ARGS__);		\
	ASSERT_TRUE(until(fdinfo_of(self, self->ring.ring_fd) &&	\
			  strstr(self->text, __line)))			\
		TH_LOG("not found:%s\nin: %s", __line,			\
		       strstr(self->text, "\nCqOverflowList:"));	\
} while (0)

/* Check that the fdinfo of the ring does not have this. */
#define ASSERT_NOT_SHOWN(line) do {					\
	ASSERT_TRUE(fdinfo_of(self, self->ring.ring_fd));		\
	ASSERT_EQ(NULL, strstr(self->text, line));			\
} while (0)

static inline __u32 fdinfo_prog_id(struct bpf_program *prog)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	if (bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &len))
		return 0;
	return info.id;
}

/* Return the next SQE for a child, with its number added to CHILD as user_data. */
static inline struct io_uring_sqe *fdinfo_add(FIXTURE_DATA(fdinfo) *self)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[self->skel->bss->nr_sqes];

	iou_prep_nop(sqe, 0, 0, CHILD + self->skel->bss->nr_sqes++);
	return sqe;
}

/* A child that stays in flight until the test writes to the pipe. */
static inline void fdinfo_add_read(FIXTURE_DATA(fdinfo) *self)
{
	struct io_uring_sqe *sqe = fdinfo_add(self);

	iou_prep_read(sqe, self->pipe[0], self->buf, 1, 0, sqe->user_data);
}

/* Start flows in slot 0. */
static inline bool fdinfo_start(FIXTURE_DATA(fdinfo) *self, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		iou_queue_bpf(&self->ring, 0, FLOW + i);
		if (iou_submit(&self->ring) != 1)
			return false;
	}
	iou_settle(&self->ring);
	return true;
}

#endif
