/* SPDX-License-Identifier: GPL-2.0 */
/* The tracepoints of io_uring, read from a trace instance of this process */
#ifndef IOU_TRACE_H
#define IOU_TRACE_H

#include "iou_bpf.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define TRACE_DIR	"/sys/kernel/tracing"
#define TRACE_MAX	96

struct trace_line {
	char *name;
	char *args;
};

static char trace_path[64];
static char trace_text[256 * 1024];
static struct trace_line trace_lines[TRACE_MAX];
static int nr_trace_lines;

static inline bool trace_write(const char *name, const char *value)
{
	char path[256];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", trace_path, name);
	fd = open(path, O_WRONLY | O_APPEND);
	ok = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	close(fd);
	return ok;
}

/* Trace only the current process, or everybody, including the threads of the kernel. */
static inline bool trace_self(bool on)
{
	char value[32];

	/* set_event_pid would attach probes to the tracepoints of the scheduler */
	snprintf(value, sizeof(value), "common_pid == %d", getpid());
	return trace_write("events/io_uring/filter", on ? value : "0");
}

static inline bool trace_enable(const char *event, bool on)
{
	char path[128];

	snprintf(path, sizeof(path), "events/io_uring/%s/enable", event);
	return trace_write(path, on ? "1" : "0");
}

/*
 * Make an instance that does not record the names of tasks, which takes probes in the
 * scheduler as well. The option is that of the directory when the instance is made.
 */
static inline bool trace_make_instance(void)
{
	char names[4] = "";
	int fd = open(TRACE_DIR "/options/record-cmd", O_RDWR);
	bool made;

	if (fd < 0 || pread(fd, names, 1, 0) != 1 || write(fd, "0", 1) != 1)
		return false;
	made = !mkdir(trace_path, 0700);
	if (write(fd, names, 1) != 1)
		made = false;
	close(fd);
	return made;
}

/* Return an error, or what is missing, or NULL. */
static inline const char *trace_open(void)
{
	if (access(TRACE_DIR "/instances", F_OK) &&
	    mount("tracefs", TRACE_DIR, "tracefs", 0, NULL))
		return "no tracefs";
	snprintf(trace_path, sizeof(trace_path), TRACE_DIR "/instances/iou-%d", getpid());
	if (!trace_make_instance())
		return "no trace instance";
	return trace_self(true) ? NULL : "no filter";
}

static inline void trace_close(void)
{
	rmdir(trace_path);
}

/* Read all events so far into trace_lines[]. Return their number. */
static inline int trace_read(void)
{
	size_t used = 0;
	char path[96], *line, *save;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/trace", trace_path);
	fd = open(path, O_RDONLY);
	while ((len = read(fd, trace_text + used, sizeof(trace_text) - 1 - used)) > 0)
		used += len;
	close(fd);
	trace_text[used] = '\0';
	nr_trace_lines = 0;
	for (line = strtok_r(trace_text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *name = strstr(line, ": io_uring_");

		if (line[0] == '#' || !name || nr_trace_lines == TRACE_MAX)
			continue;
		name += 2;
		trace_lines[nr_trace_lines].name = name;
		name = strchr(name, ':');
		*name = '\0';
		trace_lines[nr_trace_lines++].args = name + 2;
	}
	return nr_trace_lines;
}

/* Return true if the arguments have "name value". */
static inline bool trace_has(const char *args, const char *field)
{
	size_t len = strlen(field);
	const char *p = args;

	while ((p = strstr(p, field))) {
		if ((p == args || p[-1] == ' ') && (!p[len] || p[len] == ',' || p[len] == ' '))
			return true;
		p++;
	}
	return false;
}

/* Copy the value of "name value" to @value, of 32 bytes. */
static inline const char *trace_value(int i, const char *name, char *value)
{
	char field[32];
	const char *p;

	snprintf(field, sizeof(field), "%s ", name);
	p = strstr(trace_lines[i].args, field);
	snprintf(value, 32, "%s", p ? p + strlen(field) : "");
	value[strcspn(value, ", ")] = '\0';
	return value;
}

/*
 * Check that the event at the index is of this name and has these fields, which are
 * separated by commas.
 */
#define ASSERT_EVENT(_i, _name, _fields) do {				\
	char __fields[] = _fields, *__save;				\
	const struct trace_line *__line = &trace_lines[_i];		\
									\
	ASSERT_LT(_i, nr_trace_lines);					\
	ASSERT_STREQ("io_uring_" _name, __line->name) {			\
		TH_LOG("event %d: %s", _i, __line->args);		\
	}								\
	for (char *__f = strtok_r(__fields, ",", &__save); __f;	\
	     __f = strtok_r(NULL, ",", &__save)) {			\
		ASSERT_TRUE(trace_has(__line->args, __f)) {		\
			TH_LOG("event %d lacks %s: %s", _i, __f, __line->args);\
		}							\
	}								\
} while (0)

/* Check that two events have the same value of a field. */
#define ASSERT_SAME(_i, _name_i, _j, _name_j) do {			\
	char __vi[32], __vj[32];					\
									\
	ASSERT_STREQ(trace_value(_i, _name_i, __vi),			\
		     trace_value(_j, _name_j, __vj));			\
} while (0)

#endif
