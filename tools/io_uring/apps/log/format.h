/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The format of a log, in a file or on a block device: records, one after the other. Each
 * has a header and its data. A group of records that were committed together begins at a
 * multiple of LOG_BLOCK, with zeroes before it.
 *
 * The log ends where no valid record follows. What is there can be anything: the rest of
 * a group that a crash has cut, or records of an earlier life of the log that were never
 * reported. So the checksum of a record includes that of the one before it, and the random
 * number of the writer that has written it.
 */
#ifndef LOG_FORMAT_H
#define LOG_FORMAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "log_shared.h"

#define LOG_MAX_DATA	65536U

/* little-endian */
struct log_record {
	uint32_t	sum;
	uint32_t	len;
	/* the first record has 1 */
	uint64_t	seq;
	uint64_t	writer;
};

/* A position between two records */
struct log_pos {
	/* number of records before it, where they end, and the checksum of the last one */
	uint64_t	seq;
	uint64_t	off;
	uint32_t	sum;
};

struct log_reader {
	struct log_pos	pos;
	int		fd;
	/* a part of the file */
	char		*buf;
	uint64_t	start;
	size_t		len;
};

/* Fill in @rec->sum, with that of the previous record in @before. Return it. */
uint32_t log_seal(struct log_record *rec, const void *data, uint32_t before);

/* These return 0 or a negative error. */
int log_reader_init(struct log_reader *r, int fd);
/*
 * Read the next record into @rec, and set @data to its data. Return 1, 0 at the end of the
 * log, or a negative error.
 */
int log_read_next(struct log_reader *r, struct log_record *rec, const char **data);
void log_reader_free(struct log_reader *r);

#endif
