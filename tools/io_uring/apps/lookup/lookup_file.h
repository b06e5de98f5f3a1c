/* SPDX-License-Identifier: GPL-2.0 */
/* What has to be known of a file before the first lookup */
#ifndef IOU_LOOKUP_FILE_H
#define IOU_LOOKUP_FILE_H

#include "lookup.h"

/* Determine the format of a file by its first bytes. */
int lookup_identify(const char *path, enum lookup_format *format);
/*
 * Make sure that no process writes to the database. Return 0, and the file descriptor that
 * holds a lock, or -1 if none is needed. -EBUSY: another process has it open, writes to
 * it, or was interrupted while it did.
 */
int lookup_lock(enum lookup_format format, const char *path, int *fd);

#endif
