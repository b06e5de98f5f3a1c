// SPDX-License-Identifier: GPL-2.0
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lookup_irq.h"

/* Store the folder in sysfs whose files have the numbers of the interrupts for names. */
static bool find_folder(const char *path, char *folder)
{
	char link[64], dir[PATH_MAX], *end;
	struct stat st;
	dev_t dev;

	if (stat(path, &st))
		return false;
	dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	if (!realpath(link, dir))
		return false;
	/* from the partition or the disk up to the device of the bus */
	while ((end = strrchr(dir, '/')) && end != dir) {
		if (snprintf(folder, PATH_MAX, "%s/msi_irqs", dir) < PATH_MAX &&
		    !access(folder, F_OK))
			return true;
		*end = 0;
	}
	return false;
}

/* Return the sum of the numbers that a line of /proc/interrupts has after the first one. */
static long sum_of_cpus(const char *p)
{
	long sum = 0, number;
	char *end;

	for (;; p = end) {
		number = strtol(p, &end, 10);
		/* the name of the controller can begin with a digit */
		if (end == p || (*end != ' ' && *end != '\n'))
			return sum;
		sum += number;
	}
}

long lookup_interrupts(const char *path)
{
	char folder[PATH_MAX], file[PATH_MAX + 16], *line = NULL;
	size_t size = 0;
	long sum = 0;
	FILE *f;

	if (!find_folder(path, folder))
		return -1;
	f = fopen("/proc/interrupts", "r");
	if (!f)
		return -1;
	while (getline(&line, &size, f) > 0) {
		char *colon = strchr(line, ':');
		unsigned int irq;

		if (!colon || sscanf(line, "%u:", &irq) != 1)
			continue;
		snprintf(file, sizeof(file), "%s/%u", folder, irq);
		if (!access(file, F_OK))
			sum += sum_of_cpus(colon + 1);
	}
	free(line);
	fclose(f);
	return sum;
}
