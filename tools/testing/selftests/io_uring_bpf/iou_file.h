/* SPDX-License-Identifier: GPL-2.0 */
/* Files that have a short text, in /proc, /sys or debugfs */
#ifndef IOU_FILE_H
#define IOU_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Write @text to the file @path. Return 0 or a negative errno. */
static inline int iou_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

#endif
