// SPDX-License-Identifier: GPL-2.0
/*
 * Attaches the pinned program that IOU_BPF_WATCH names to a new ring, as a watcher of
 * all of its requests, before the test has the ring. scripts/liburing-all.sh builds
 * liburing's own tests with a call of this function in __sys_io_uring_setup().
 *
 * The link is pinned in IOU_BPF_WATCH_LINKS, because a file descriptor would be in the
 * way of tests that count them. The number of attached rings and each failure go to
 * IOU_BPF_WATCH_LOG.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
#include "liburing/io_uring.h"

int iou_bpf_watch(int fd, const struct io_uring_params *p);

enum { OBJ_PIN = 6, OBJ_GET = 7, LINK_CREATE = 28 };
/* liburing's own tests of programs use other slots */
enum { SLOT = 14 };
enum { RDONLY = 1 << 3, MATCH = 1 << 0, REGISTERED_RING = 1 << 1, IOURING = 62 };

struct obj {
	uint64_t path;
	uint32_t fd, flags;
};

struct link {
	uint32_t prog_fd, ring_fd, type, flags, slot, iouring_flags;
	uint64_t filter[5];
};

static long bpf(int cmd, void *attr, unsigned size)
{
	return syscall(__NR_bpf, cmd, attr, size);
}

static int attach(int fd, const struct io_uring_params *p)
{
	struct obj get = {
		.path = (uintptr_t)getenv("IOU_BPF_WATCH"), .flags = RDONLY,
	};
	struct link create = {
		.ring_fd = fd, .type = IOURING, .slot = SLOT, .iouring_flags = MATCH,
	};
	long prog, link;

	prog = bpf(OBJ_GET, &get, sizeof(get));
	if (prog < 0)
		return -1;
	create.prog_fd = prog;
	if (p->flags & IORING_SETUP_REGISTERED_FD_ONLY)
		create.iouring_flags |= REGISTERED_RING;
	link = bpf(LINK_CREATE, &create, sizeof(create));
	close(prog);
	return link;
}

static int pin(int link)
{
	static int nr;
	char path[256];
	struct obj o = { .path = (uintptr_t)path, .fd = link };
	int ret;

	do {
		snprintf(path, sizeof(path), "%s/%d-%d", getenv("IOU_BPF_WATCH_LINKS"),
			 getpid(), __sync_fetch_and_add(&nr, 1));
		ret = bpf(OBJ_PIN, &o, sizeof(o));
	} while (ret && errno == EEXIST);
	return ret;
}

static void report(const char *what)
{
	int fd = open(getenv("IOU_BPF_WATCH_LOG"), O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd >= 0) {
		dprintf(fd, "%s\n", what);
		close(fd);
	}
}

/* Return @fd, as the system call has. */
int iou_bpf_watch(int fd, const struct io_uring_params *p)
{
	int link, err = errno;

	if (fd < 0 || !getenv("IOU_BPF_WATCH"))
		return fd;
	link = attach(fd, p);
	if (link < 0 || pin(link))
		report(link < 0 ? strerrorname_np(errno) : "PIN");
	else
		report("attached");
	if (link >= 0)
		close(link);
	errno = err;
	return fd;
}
