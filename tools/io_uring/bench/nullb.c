// SPDX-License-Identifier: GPL-2.0
/*
 * A block device that keeps what is written to it. With one CPU, a read completes
 * while it is issued, in the context of the submitter, so the order of things
 * doesn't depend on a host.
 */
#include "bench.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define NULLB_DIR	"/sys/kernel/config/nullb"
#define NULLB_NAME	"iou_bench"

static void configure(struct bench *b, const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), NULLB_DIR "/" NULLB_NAME "/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		bench_die(b, "cannot set %s of the block device", name);
	close(fd);
}

/* A device of @mb MiB becomes b->fd[0], past the page cache. */
void bench_nullb(struct bench *b, const char *mb)
{
	if (access(NULLB_DIR, F_OK))
		mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	if (mkdir(NULLB_DIR "/" NULLB_NAME, 0755))
		bench_die(b, "cannot make a block device");
	configure(b, "memory_backed", "1");
	configure(b, "blocksize", "512");
	configure(b, "size", mb);
	configure(b, "power", "1");
	b->fd[0] = open("/dev/" NULLB_NAME, O_RDWR | O_DIRECT);
	if (b->fd[0] < 0)
		bench_die(b, "cannot open the block device");
}

void bench_nullb_exit(struct bench *b)
{
	close(b->fd[0]);
	b->fd[0] = -1;
	if (rmdir(NULLB_DIR "/" NULLB_NAME))
		bench_die(b, "cannot remove the block device");
}
