/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A log writer with group commit. One thread opens the log and waits for reports, any
 * number of others append records. Functions return a negative error if they fail.
 */
#ifndef LOG_WRITER_H
#define LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_options {
	/* commit after so many records, or so many ms after the first one */
	unsigned int	records;
	unsigned int	wait_ms;
	/* use the page cache */
	bool		buffered;
	/* enum log_fault */
	unsigned int	fault;
};

struct log_stats {
	unsigned long long	records;
	unsigned long long	groups;
	unsigned long long	cqes;
	unsigned long long	enters;
	unsigned long long	wakeups;	/* of the flow, by an appending thread */
};

struct log_writer;

/*
 * Open the log, or create it, find its end, and sync what is there. The task that opens a
 * log has to be the one that waits. @writer can be freed even if this has failed.
 */
int log_open(struct log_writer **writer, const char *path, const struct log_options *opts);
/*
 * Add a record. Sleeps if 1 MiB of records wait. The record is durable when log_wait()
 * says so. Return the error of the log if it has failed.
 */
int log_append(struct log_writer *w, const void *data, uint32_t len);
/* Say that there will be no more records, and commit those that there are. */
void log_finish(struct log_writer *w);
/*
 * Sleep until more records are durable, and store their number, in the whole log. Return
 * 1, or 0 after log_finish() when all are. An error is final: no later record becomes
 * durable.
 */
int log_wait(struct log_writer *w, uint64_t *durable);
/* Return the number of records that were there when the log was opened. */
uint64_t log_recovered(const struct log_writer *w);
/* Return what has failed, after an error of log_wait(). */
const char *log_failure(const struct log_writer *w);
void log_get_stats(const struct log_writer *w, struct log_stats *stats);
/* No thread may use @w any more. */
void log_free(struct log_writer *w);

#endif
