/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of iou-lookup share: the program, random numbers, files and devices */
#ifndef LOOKUP_TEST_H
#define LOOKUP_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lookup.h"

#define NULLB		"iou_lookup"
#define NULLB_CONFIGFS	"/sys/kernel/config"
#define BLOCK		(256 << 10)
/* for its node to appear */
#define DEVICE_MS	30000

/* a device that the tests may overwrite, for example of NVMe */
#define DEVICE		getenv("IOU_LOOKUP_DEVICE")

/*
 * Load the program once, in the process from which all tests are forked, and make a folder
 * for the files of the tests, which several of them use.
 */
static int prog_fd;
static char dir[128];

static inline void lookup_begin(enum lookup_format format)
{
	/* if this fails, the tests try again, and report why */
	if (!iou_unsupported())
		prog_fd = lookup_load(format);
	if (prog_fd < 0)
		prog_fd = 0;
	snprintf(dir, sizeof(dir), "%s/iou_lookup.XXXXXX", getenv("TMPDIR") ?: "/tmp");
	if (!mkdtemp(dir))
		*dir = 0;
}

static void __attribute__((destructor)) dir_remove(void)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	if (*dir && system(command))
		perror(dir);
}

/* Whether the tests may take hours */
static inline bool lookup_long(void)
{
	const char *value = getenv("IOU_LONG");

	return value && *value;
}

/* Random lookups in each test, of which @queue are in flight */
static inline unsigned int nr_lookups(unsigned int queue)
{
	return queue + (lookup_long() ? 10000 : 24);
}

/* A generator of its own, so that a failure can be repeated */
static unsigned int seed = 1;

static inline unsigned int next_random(unsigned int below)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % below;
}

static inline int drop_cache(const char *path)
{
	int fd = open(path, O_RDONLY), ret;

	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return ret;
}

static inline int nullb_set(const char *attr, const char *value)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), NULLB_CONFIGFS "/nullb/" NULLB "/%s", attr);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	ret = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static inline void nullb_remove(void)
{
	nullb_set("power", "0");
	rmdir(NULLB_CONFIGFS "/nullb/" NULLB);
}

/* Open a device, whose node can appear later. Return the file or an error. */
static inline int device_open(const char *path)
{
	__u64 end = iou_now_ms() + DEVICE_MS;
	int fd;

	for (;;) {
		fd = open(path, O_WRONLY | O_DIRECT);
		if (fd >= 0 || iou_now_ms() >= end)
			return fd < 0 ? -errno : fd;
		usleep(10000);
	}
}

/* Copy a file to a device by blocks, the last of which is filled up. */
static inline int device_fill(const char *path, const char *file)
{
	char *buf = aligned_alloc(4096, BLOCK);
	int in, out, ret = -ENOMEM;

	in = open(file, O_RDONLY);
	if (in < 0)
		ret = -errno;
	out = device_open(path);
	if (out < 0)
		ret = out;
	while (in >= 0 && out >= 0 && buf) {
		memset(buf, 0, BLOCK);
		ret = read(in, buf, BLOCK);
		if (ret <= 0)
			break;
		ret = write(out, buf, BLOCK) == BLOCK ? 0 : -EIO;
		if (ret)
			break;
	}
	free(buf);
	close(in);
	close(out);
	return ret;
}

/*
 * Make a device with a queue that is polled, and the contents of a file. Return 0, an error,
 * or 1 if the kernel does not offer this.
 */
static inline int nullb_create(const char *file)
{
	static const char * const attrs[][2] = {
		{ "submit_queues", "1" }, { "poll_queues", "1" }, { "size", "256" },
		{ "memory_backed", "1" }, { "power", "1" },
	};
	int ret;

	mount("none", NULLB_CONFIGFS, "configfs", 0, NULL);
	if (access(NULLB_CONFIGFS "/nullb", F_OK))
		return 1;
	nullb_remove();
	if (mkdir(NULLB_CONFIGFS "/nullb/" NULLB, 0700))
		return -errno;
	for (size_t i = 0; i < sizeof(attrs) / sizeof(*attrs); i++) {
		ret = nullb_set(attrs[i][0], attrs[i][1]);
		if (ret)
			return strcmp(attrs[i][0], "poll_queues") ? ret : 1;
	}
	return device_fill("/dev/" NULLB, file);
}

/* members of a variant: where the file is, and how it is read */
#define LOOKUP_PLACE								\
	bool nullb, device, direct, poll, cold;					\
	enum lookup_way way

#define ADD(fixture, name, ...) FIXTURE_VARIANT_ADD(fixture, name) { __VA_ARGS__ }
#define ADD_PLACES(fixture, name, ...)						\
ADD(fixture, name##_cached, __VA_ARGS__);					\
ADD(fixture, name##_cold, __VA_ARGS__, .cold = true);				\
ADD(fixture, name##_direct, __VA_ARGS__, .direct = true);			\
ADD(fixture, name##_nullb, __VA_ARGS__, .nullb = true, .direct = true);		\
ADD(fixture, name##_polled, __VA_ARGS__, .nullb = true, .poll = true)

/*
 * In a set-up: make the file of the variant by fill(), copy it to the device, and open it.
 * The library has the file open during the lookups, and uses what they read.
 */
#define lookup_set_up(fill, ...) do {						\
	struct lookup_config __config = {					\
		.path = variant->nullb ? "/dev/" NULLB :			\
			variant->device ? DEVICE : self->path,			\
		.way = variant->way,						\
		.ring_flags = variant->poll ? IORING_SETUP_IOPOLL : IOU_DEFER,	\
		.direct = variant->direct,					\
		.force = true,							\
		.prog_fd = prog_fd,						\
		__VA_ARGS__							\
	};									\
	int __ret;								\
										\
	ASSERT_NE(0, *dir);							\
	if (variant->huge && !lookup_long())					\
		SKIP(return, "IOU_LONG is not set");				\
	snprintf(self->path, sizeof(self->path), "%s/%s", dir, variant->file);	\
	if (access(self->path, F_OK))						\
		ASSERT_EQ(0, fill(self->path, variant));			\
	__ret = variant->nullb ? nullb_create(self->path) : 0;			\
	if (__ret > 0)								\
		SKIP(return, "no null_blk with poll queues");			\
	ASSERT_EQ(0, __ret);							\
	if (variant->device && !DEVICE)						\
		SKIP(return, "IOU_LOOKUP_DEVICE is not set");			\
	if (variant->device)							\
		ASSERT_EQ(0, device_fill(DEVICE, self->path));			\
	if (variant->cold)							\
		ASSERT_EQ(0, drop_cache(self->path));				\
	__ret = lookup_open(&__config, &self->lookup);				\
	if (__ret == -EINVAL && variant->direct && !variant->nullb &&		\
	    !variant->device)							\
		SKIP(return, "no direct I/O in TMPDIR");			\
	ASSERT_EQ(0, __ret);							\
} while (0)

#endif
