/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers from text files of the kernel, for the tests and the fuzzer */
#ifndef IOU_COUNT_H
#define IOU_COUNT_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Return the number in the first line of a file that has this format, -1 if none. */
static inline long iou_scan(const char *path, const char *format)
{
	char line[256];
	long n = -1;
	FILE *f;

	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, format, &n) == 1)
			break;
	}
	if (f)
		fclose(f);
	return n;
}

/*
 * Return the number of objects of a slab cache in use, or -1. The shrink removes objects
 * that are in the quarantine of KASAN.
 */
static inline long iou_nr_objects(const char *cache)
{
	char path[64], format[64];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	f = fopen(path, "w");
	if (f) {
		fputs("1", f);
		fclose(f);
	}
	snprintf(format, sizeof(format), "%s %%ld", cache);
	return iou_scan("/proc/slabinfo", format);
}

/* Return the number of struct io_kiocb in use, on all rings, or -1. */
static inline long iou_nr_requests(void)
{
	return iou_nr_objects("io_kiocb");
}

/* Return the number of CQEs that wait for room, from the fdinfo of a ring. */
static inline unsigned int iou_nr_overflowed(int ring_fd)
{
	char path[64], line[256];
	unsigned int n = 0;
	bool in = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring_fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "CqOverflowList", 14))
			in = true;
		else if (in && strstr(line, "user_data="))
			n++;
	}
	if (f)
		fclose(f);
	return n;
}

#endif
