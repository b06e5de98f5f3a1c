/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause OR MIT */
/*
 * For applications that use patterns: BPF programs for io_uring that the administrator
 * has loaded with iou-patterns(8). No privilege, no libbpf and no compiler for BPF are
 * needed. "iou-patterns show NAME" describes the arguments and results of a pattern.
 *
 * Include <liburing.h> first, or let this header include <linux/io_uring.h>. Define
 * HAVE_IO_URING_BPF if liburing has io_uring_prep_bpf() and io_uring_bpf_attach(): this
 * header includes and uses liburing then.
 */
#ifndef IOU_PATTERNS_H
#define IOU_PATTERNS_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifdef HAVE_IO_URING_BPF
#include <liburing.h>
#else
#include <linux/io_uring.h>
#endif

/* a bpffs of its own, because systemd mounts /sys/fs/bpf with mode 0700 */
#define IOU_PATTERNS_DIR	"/run/iou-patterns"

/* What older versions of the headers of the kernel lack */
enum {
	IOU_PATTERN_OP_BPF	= 65,
	IOU_PATTERN_MATCH	= 1U << 0,

	IOU_PATTERN_OBJ_GET	= 7,
	IOU_PATTERN_LINK_CREATE	= 28,
	IOU_PATTERN_RDONLY	= 1U << 3,
	IOU_PATTERN_IOURING	= 62,
	IOU_PATTERN_BPF_FS	= 0xcafe4a11,
};

/* the part of union bpf_attr for BPF_LINK_CREATE */
struct iou_pattern_link {
	__u32 prog_fd;
	__u32 target_fd;
	__u32 attach_type;
	__u32 zero;
	__u32 slot;
	__u32 flags;
	__u64 opcodes[2];
	__u64 user_data;
	__u64 user_data_mask;
	__u32 flow_size;
	__u32 reserved;
};

/* Return the size of the memory that each flow of the pattern needs, in bytes. */
static inline __u32 iou_pattern_flow_size(const char *name)
{
	static const struct {
		const char *name;
		__u32 size;
	} sizes[] = {
		{ "append", 8 }, { "copy", 8 }, { "forward", 64 }, { "recv_file", 16 },
		{ "send_file", 8 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (!strcmp(sizes[i].name, name))
			return sizes[i].size;
	}
	return 0;
}

/*
 * Open the pattern @name that is pinned in @dir. A folder that others than root can write
 * to is refused, because it could have a program that someone else has chosen. Return
 * a file descriptor, or a negative errno: -ENOENT if the pattern is not loaded, -EPERM for
 * such a folder, or one that is not on a bpffs.
 */
static inline int iou_pattern_open(const char *dir, const char *name)
{
	struct {
		__u64 pathname;
		__u32 bpf_fd;
		__u32 file_flags;
	} attr = { .file_flags = IOU_PATTERN_RDONLY };
	struct statfs fs;
	struct stat st;
	char path[256];
	int fd;

	if (stat(dir, &st) || statfs(dir, &fs))
		return -errno;
	if ((__u32)fs.f_type != IOU_PATTERN_BPF_FS || st.st_uid || (st.st_mode & 0022))
		return -EPERM;
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	attr.pathname = (uintptr_t)path;
	fd = syscall(__NR_bpf, IOU_PATTERN_OBJ_GET, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}

static inline int iou_pattern_link(const char *name, struct iou_pattern_link *link)
{
	int prog = iou_pattern_open(IOU_PATTERNS_DIR, name);
	int fd;

	if (prog < 0)
		return prog;
	link->prog_fd = prog;
	link->attach_type = IOU_PATTERN_IOURING;
	fd = syscall(__NR_bpf, IOU_PATTERN_LINK_CREATE, link, sizeof(*link));
	if (fd < 0)
		fd = -errno;
	close(prog);
	return fd;
}

/*
 * Attach a pattern to a slot of a ring that this process has created, 0 to 15. Return
 * a file descriptor, whose close() detaches the pattern, or a negative errno.
 */
static inline int iou_pattern_attach(int ring_fd, unsigned int slot, const char *name)
{
	struct iou_pattern_link link = {
		.target_fd	= (__u32)ring_fd,
		.slot		= slot,
		.flow_size	= iou_pattern_flow_size(name),
	};

	return iou_pattern_link(name, &link);
}

/* The same for a ring of liburing, which may have no file descriptor. */
#ifdef HAVE_IO_URING_BPF
static inline int iou_pattern_attach_ring(struct io_uring *ring, unsigned int slot,
					  const char *name)
{
	struct io_uring_prog_opts opts = {
		.slot		= slot,
		.flow_size	= iou_pattern_flow_size(name),
	};
	int prog = iou_pattern_open(IOU_PATTERNS_DIR, name);
	int fd;

	if (prog < 0)
		return prog;
	fd = io_uring_bpf_attach(ring, prog, &opts);
	close(prog);
	return fd;
}
#elif defined(LIB_URING_H)
/* Without the functions of liburing, a ring that has none is refused by -EBADF. */
static inline int iou_pattern_attach_ring(struct io_uring *ring, unsigned int slot,
					  const char *name)
{
	return iou_pattern_attach(ring->ring_fd, slot, name);
}
#endif

/*
 * Attach a pattern that watches the requests with @opcode, or all if that is negative,
 * whose user_data has the value @user_data in the bits of @mask. Returns the same.
 */
static inline int iou_pattern_watch(int ring_fd, unsigned int slot, const char *name,
				    int opcode, __u64 user_data, __u64 mask)
{
	struct iou_pattern_link link = {
		.target_fd	= (__u32)ring_fd,
		.slot		= slot,
		.flags		= IOU_PATTERN_MATCH,
		.user_data	= user_data,
		.user_data_mask	= mask,
	};

	if (opcode >= 128)
		return -EINVAL;
	if (opcode >= 0)
		link.opcodes[opcode / 64] = 1ULL << opcode % 64;
	return iou_pattern_link(name, &link);
}

/*
 * Prepare a flow of the pattern in @slot. As with io_uring_prep_*(), set user_data and
 * flags afterwards.
 */
static inline void iou_pattern_prep(struct io_uring_sqe *sqe, unsigned int slot,
				    __u64 word0, __u64 word1, __u64 word2, __u64 word3)
{
	struct io_uring_sqe empty;

	memset(&empty, 0, sizeof(empty));
	*sqe = empty;
#ifdef HAVE_IO_URING_BPF
	io_uring_prep_bpf(sqe, slot, word0, word1);
	io_uring_sqe_set_bpf_args(sqe, word2, word3);
#else
	sqe->opcode = IOU_PATTERN_OP_BPF;
	sqe->fd = -1;
	sqe->len = slot;
	sqe->off = word0;
	sqe->addr = word1;
	sqe->addr3 = word2;
	/* bpf_arg, which older headers do not name */
	sqe->__pad2[0] = word3;
#endif
}

static inline __u64 iou_pattern_word(__u32 low, __u32 high)
{
	return (__u64)high << 32 | low;
}

/* Read @len bytes at @off, or -1 for a stream or the position of the file. */
static inline void iou_prep_read_full(struct io_uring_sqe *sqe, unsigned int slot, int fd,
				      void *buf, __u32 len, __u64 off)
{
	iou_pattern_prep(sqe, slot, (__u32)fd, (uintptr_t)buf, off, len);
}

/* Open, read up to @size bytes, close. */
static inline void iou_prep_read_file(struct io_uring_sqe *sqe, unsigned int slot, int dir,
				      const char *path, int flags, void *buf, __u32 size)
{
	iou_pattern_prep(sqe, slot, iou_pattern_word(dir, flags), (uintptr_t)path,
			 (uintptr_t)buf, size);
}

/* Wait until @fd is readable, for at most @limit ns unless 0, and read what is there. */
static inline void iou_prep_drain(struct io_uring_sqe *sqe, unsigned int slot, int fd,
				  void *buf, __u32 size, __u64 limit)
{
	iou_pattern_prep(sqe, slot, (__u32)fd, (uintptr_t)buf, size, limit);
}

/*
 * Finish what the request before this one in its chain has left: set IOSQE_IO_LINK of
 * that request, and a file with IOSQE_FIXED_FILE is @fixed.
 */
static inline void iou_prep_finish(struct io_uring_sqe *sqe, unsigned int slot, int fd,
				   int fixed)
{
	iou_pattern_prep(sqe, slot, iou_pattern_word(fd, !!fixed), 0, 0, 0);
}

/*
 * Copy @len bytes at @off. @buf has @depth blocks of @block bytes, a multiple of 4096 up
 * to 16 MiB.
 */
static inline void iou_prep_copy(struct io_uring_sqe *sqe, unsigned int slot, int in,
				 int out, __u64 off, __u32 len, void *buf, __u32 block,
				 __u16 depth)
{
	/* what is no multiple is refused as a wrong size */
	__u32 units = block % 4096 || block >> 28 ? 0 : block / 4096;

	iou_pattern_prep(sqe, slot, iou_pattern_word(in, out), (uintptr_t)buf, off,
			 iou_pattern_word(len, (__u32)depth << 16 | units));
}

/* Append @nr records of @size bytes at @off, and sync after each @group of them. */
static inline void iou_prep_append(struct io_uring_sqe *sqe, unsigned int slot, int fd,
				   const void *buf, __u32 size, __u32 nr, __u32 group,
				   __u64 off)
{
	iou_pattern_prep(sqe, slot, iou_pattern_word(fd, size), (uintptr_t)buf, off,
			 iou_pattern_word(nr, group));
}

/* Send @len bytes at @off of a file. @pipe is that of pipe(2), for this flow only. */
static inline void iou_prep_send_file(struct io_uring_sqe *sqe, unsigned int slot,
				      int sock, int file, __u64 off, __u32 len, const int pipe[2])
{
	iou_pattern_prep(sqe, slot, iou_pattern_word(file, sock),
			 iou_pattern_word(pipe[0], pipe[1]), off, len);
}

/* Write what @sock receives to a file, @len bytes at @off. @buf has @size bytes. */
static inline void iou_prep_recv_file(struct io_uring_sqe *sqe, unsigned int slot,
				      int sock, int file, __u64 off, __u32 len,
				      void *buf, __u32 size)
{
	iou_pattern_prep(sqe, slot, iou_pattern_word(sock, file), (uintptr_t)buf, off,
			 iou_pattern_word(len, size));
}

/* Pass data between two sockets. @buf has 2 * @size bytes. @idle is in ns, or 0. */
static inline void iou_prep_forward(struct io_uring_sqe *sqe, unsigned int slot, int a,
				    int b, void *buf, __u32 size, __u64 idle)
{
	iou_pattern_prep(sqe, slot, iou_pattern_word(a, b), (uintptr_t)buf, size, idle);
}

/*
 * Receive a message of at most @max bytes, which begins with its length: an integer of
 * @width bytes. @buf is at @offset of the registered buffer @index.
 */
static inline void iou_prep_recv_msg(struct io_uring_sqe *sqe, unsigned int slot, int fd,
				     void *buf, __u32 max, __u8 width, int little_endian,
				     __u16 index, __u64 offset)
{
	__u32 high = index | (__u32)width << 16 | (__u32)!!little_endian << 24;

	iou_pattern_prep(sqe, slot, iou_pattern_word(fd, high), (uintptr_t)buf, offset,
			 max);
}

/*
 * The other patterns issue requests of the application: SQEs, prepared as usual, that are
 * an array at @array of the registered buffer @index. The result of each request is in
 * its SQE afterwards.
 */
static inline __s32 iou_pattern_res(const struct io_uring_sqe *sqe)
{
	return (__s32)sqe->user_data;
}

/* Wait for all @nr requests, for at most @limit ns unless 0. */
static inline void iou_prep_join(struct io_uring_sqe *sqe, unsigned int slot, __u32 index,
				 __u64 array, __u32 nr, __u64 limit)
{
	iou_pattern_prep(sqe, slot, iou_pattern_word(index, nr), array, limit, 0);
}

/* Wait for the first of @nr requests that succeeds. */
static inline void iou_prep_first_of(struct io_uring_sqe *sqe, unsigned int slot,
				     __u32 index, __u64 array, __u32 nr)
{
	iou_pattern_prep(sqe, slot, iou_pattern_word(index, nr), array, 0, 0);
}

/* Issue @nr requests, at most @depth at a time. */
static inline void iou_prep_keep_n(struct io_uring_sqe *sqe, unsigned int slot, __u32 index,
				   __u64 array, __u32 nr, __u32 depth)
{
	iou_pattern_prep(sqe, slot, iou_pattern_word(index, depth), array, nr, 0);
}

/* Issue a chain of @nr requests, which takes at most @limit ns. */
static inline void iou_prep_deadline(struct io_uring_sqe *sqe, unsigned int slot,
				     __u32 index, __u64 array, __u32 nr, __u64 limit)
{
	iou_pattern_prep(sqe, slot, iou_pattern_word(index, nr), array, limit, 0);
}

/*
 * Issue the request at @array up to @attempts times, with pauses of @pause ns, as long as
 * its result is one of four errno values of 16 bits, or any error if @errors is 0.
 */
static inline void iou_prep_retry(struct io_uring_sqe *sqe, unsigned int slot, __u32 index,
				  __u64 array, __u32 attempts, __u64 pause, __u64 errors)
{
	iou_pattern_prep(sqe, slot, iou_pattern_word(index, attempts), array, pause,
			 errors);
}

#endif
