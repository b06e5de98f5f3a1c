// SPDX-License-Identifier: GPL-2.0
/* iou-lookup: prints values of a database file. See iou-lookup.1. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <linux/io_uring.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lookup.h"
#include "lookup_file.h"
#include "lookup_irq.h"
#include "lookup_record.h"

/* exit codes */
enum { FOUND, ABSENT, USAGE, FAILED };

static const char usage[] =
	"usage: iou-lookup [OPTION...] FILE [KEY...]\n"
	"\n"
	"Prints the values of keys in a database file, one a line. Without keys, reads keys\n"
	"from stdin, one a line. The keys of a table of SQLite are rowids, and the columns\n"
	"of a record are separated by |.\n"
	"\n"
	"  -n, --name NAME   of a named database of LMDB, or of a table of SQLite\n"
	"  -d, --direct      bypass the page cache\n"
	"  -p, --poll        poll for completions, on a device with poll queues; bypasses\n"
	"                    the page cache\n"
	"  -q, --queue N     lookups in flight, 1 to 1024 (1)\n"
	"  -m, --max BYTES   size of the largest value (65536)\n"
	"  -w, --way WAY     of reading: flow, by a program in the kernel (default); for\n"
	"                    comparison loop, by a request for each read, or pread\n"
	"  -P, --program PIN use the program that is pinned there\n"
	"      --pin PIN     load the program for the file, pin it for everybody, and exit\n"
	"  -f, --force       although another process has the file open: it must not write\n"
	"  -s, --statistics  print numbers of reads, system calls, CQEs, waits and interrupts\n"
	"                    to stderr\n"
	"  -h, --help        print this text\n"
	"\n"
	"Exit status: 0: all keys were found. 1: a key is absent. 2: wrong usage. 3: an error.\n";

struct options {
	struct lookup_config	config;
	bool			statistics;
	const char		*program, *pin;
	/* of the command line, NULL: stdin */
	char			**keys;
};

struct statistics {
	unsigned long lookups, reads;
	/* before the first lookup: how often the process has waited, and interrupts */
	unsigned long waits;
	long interrupts;
};

static unsigned long nr_waits(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? 0 : usage.ru_nvcsw;
}

/* A key, and what has become of it */
struct job {
	char			*key;
	struct lookup_result	result;
};

static int explain(const char *what, int err)
{
	const char *text = strerror(-err);

	if (err == -EUCLEAN)
		text = "damaged, or not a database";
	else if (err == -EOPNOTSUPP)
		text = "a kind of database or value that iou-lookup does not know";
	else if (err == -EBUSY)
		text = "another process has the database open, or was interrupted (see --force)";
	else if (err == -ENXIO)
		text = "no database with this name";
	else if (err == -EINVAL)
		text = "invalid argument: a key or a name is missing or no number, or the "
		       "file cannot be read in this way";
	fprintf(stderr, "iou-lookup: %s: %s\n", what, text);
	return FAILED;
}

static void print_real(double real)
{
	char text[32];

	snprintf(text, sizeof(text), "%.15g", real);
	/* not like an integer */
	printf("%s%s", text, text[strspn(text, "-0123456789")] ? "" : ".0");
}

/* As sqlite3 prints it */
static void print_column(const struct lookup_column *c)
{
	if (c->type == LOOKUP_INTEGER)
		printf("%" PRId64, c->integer);
	else if (c->type == LOOKUP_REAL)
		print_real(c->real);
	else if (c->type != LOOKUP_NULL)
		fwrite(c->data, 1, c->size, stdout);
}

static int print_record(const struct job *job)
{
	struct lookup_column column;
	unsigned int i;
	int ret;

	for (i = 0; !(ret = lookup_column(job->result.value, job->result.size, i, &column));
	     i++) {
		if (i)
			putchar('|');
		print_column(&column);
	}
	putchar('\n');
	return ret == -ENOENT ? FOUND : explain(job->key, ret);
}

static int print(const struct lookup *l, const struct job *job)
{
	const struct lookup_result *r = &job->result;

	if (r->res >= 0 && lookup_format(l) == LOOKUP_SQLITE)
		return print_record(job);
	if (r->res >= 0) {
		fwrite(r->value, 1, r->size, stdout);
		putchar('\n');
		return FOUND;
	}
	if (r->res == -ENOENT) {
		fprintf(stderr, "iou-lookup: %s: no such key\n", job->key);
		return ABSENT;
	}
	if (r->res == -EMSGSIZE) {
		fprintf(stderr, "iou-lookup: %s: the value has %llu bytes (see --max)\n",
			job->key, (unsigned long long)r->size);
		return FAILED;
	}
	return explain(job->key, r->res);
}

static int queue(struct lookup *l, unsigned int slot, const char *key)
{
	char *end;
	int64_t rowid;

	if (lookup_format(l) != LOOKUP_SQLITE)
		return lookup_queue(l, slot, key, strlen(key));
	errno = 0;
	rowid = strtoll(key, &end, 10);
	if (errno || end == key || *end)
		return -EINVAL;
	return lookup_queue(l, slot, &rowid, sizeof(rowid));
}

/* Look up @nr keys at once. Print the values in the order of the keys. */
static int run(struct lookup *l, struct job *jobs, unsigned int nr,
	       struct statistics *statistics)
{
	struct lookup_result result;
	int status = FOUND, ret;

	for (unsigned int i = 0; i < nr; i++) {
		ret = queue(l, i, jobs[i].key);
		if (ret)
			jobs[i].result = (struct lookup_result){ .res = ret };
	}
	while (!(ret = lookup_wait(l, &result))) {
		jobs[result.slot].result = result;
		statistics->lookups++;
		statistics->reads += result.reads;
	}
	if (ret != -EAGAIN)
		return explain("io_uring", ret);
	for (unsigned int i = 0; i < nr; i++) {
		ret = print(l, &jobs[i]);
		status = ret > status ? ret : status;
	}
	return status;
}

/* Store the next key of the command line or of stdin. Return false if none is left. */
static bool next_key(struct options *options, char **key)
{
	size_t size = 0;
	ssize_t len;

	if (options->keys) {
		if (!*options->keys)
			return false;
		*key = strdup(*options->keys++);
		return *key;
	}
	*key = NULL;
	len = getline(key, &size, stdin);
	if (len < 0)
		return false;
	if (len && (*key)[len - 1] == '\n')
		(*key)[len - 1] = 0;
	return true;
}

static void print_statistics(const struct lookup *l, const char *path,
			     const struct statistics *statistics)
{
	unsigned long waits = nr_waits() - statistics->waits;

	fprintf(stderr, "%lu lookups, %lu reads, %lu system calls, %lu CQEs, %lu waits",
		statistics->lookups, statistics->reads, lookup_nr_calls(l),
		lookup_nr_cqes(l), waits);
	if (statistics->interrupts >= 0)
		fprintf(stderr, ", %ld interrupts",
			lookup_interrupts(path) - statistics->interrupts);
	fputc('\n', stderr);
}

static int run_all(struct lookup *l, struct options *options)
{
	unsigned int queue = options->config.queue, nr;
	struct job *jobs = calloc(queue, sizeof(*jobs));
	struct statistics statistics = {
		.interrupts = lookup_interrupts(options->config.path),
		.waits = nr_waits(),
	};
	int status = FOUND, ret;

	if (!jobs)
		return explain("keys", -ENOMEM);
	do {
		for (nr = 0; nr < queue && next_key(options, &jobs[nr].key); nr++)
			;
		ret = nr ? run(l, jobs, nr, &statistics) : FOUND;
		status = ret > status ? ret : status;
		/* getline() may have allocated one for the end, too */
		for (unsigned int i = 0; i < queue; i++) {
			free(jobs[i].key);
			jobs[i].key = NULL;
		}
	} while (nr == queue);
	free(jobs);
	if (options->statistics)
		print_statistics(l, options->config.path, &statistics);
	return status;
}

static bool parse_number(const char *text, unsigned long max, unsigned long *number)
{
	char *end;

	errno = 0;
	*number = strtoul(text, &end, 10);
	return !errno && end != text && !*end && *text != '-' && *number && *number <= max;
}

static bool parse_way(const char *text, enum lookup_way *way)
{
	static const char * const names[] = { "flow", "loop", "pread" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++) {
		*way = i;
		if (!strcmp(text, names[i]))
			return true;
	}
	return false;
}

static bool parse_option(struct options *options, int c)
{
	struct lookup_config *config = &options->config;
	unsigned long number;

	switch (c) {
	case 'n':
		config->name = optarg;
		return *optarg;
	case 'd':
		config->direct = true;
		return true;
	case 'p':
		config->ring_flags |= IORING_SETUP_IOPOLL;
		return true;
	case 'q':
		if (!parse_number(optarg, LOOKUP_MAX_QUEUE, &number))
			return false;
		config->queue = number;
		return true;
	case 'm':
		if (!parse_number(optarg, LOOKUP_MAX_VALUE, &number))
			return false;
		config->max_value = number;
		return true;
	case 'w':
		return parse_way(optarg, &config->way);
	case 'P':
		options->program = optarg;
		return true;
	case 'i':
		options->pin = optarg;
		return true;
	case 'f':
		config->force = true;
		return true;
	case 's':
		options->statistics = true;
		return true;
	}
	return false;
}

static const struct option long_options[] = {
	{ "name", required_argument, NULL, 'n' },
	{ "direct", no_argument, NULL, 'd' },
	{ "poll", no_argument, NULL, 'p' },
	{ "queue", required_argument, NULL, 'q' },
	{ "max", required_argument, NULL, 'm' },
	{ "program", required_argument, NULL, 'P' },
	{ "pin", required_argument, NULL, 'i' },
	{ "way", required_argument, NULL, 'w' },
	{ "force", no_argument, NULL, 'f' },
	{ "statistics", no_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{}
};

static int pin(const char *file, const char *path)
{
	enum lookup_format format;
	int ret, fd;

	ret = lookup_identify(file, &format);
	if (ret)
		return explain(file, ret);
	fd = lookup_load(format);
	if (fd < 0)
		return explain("the program", fd);
	ret = bpf_obj_pin(fd, path);
	if (!ret && chmod(path, 0444)) {
		ret = -errno;
		unlink(path);
	}
	close(fd);
	return ret ? explain(path, ret) : FOUND;
}

/* Of a program of another format, all lookups end with an error. */
static int open_pin(const char *path)
{
	/* all that the mode of the pin permits */
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = BPF_F_RDONLY);

	return bpf_obj_get_opts(path, &opts);
}

int main(int argc, char **argv)
{
	struct options options = { .config.queue = 1 };
	struct lookup *l;
	int c, ret;

	while ((c = getopt_long(argc, argv, "n:dpq:m:w:P:fsh", long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return FOUND;
		}
		if (!parse_option(&options, c)) {
			fputs(usage, stderr);
			return USAGE;
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return USAGE;
	}
	options.config.path = argv[optind];
	if (options.pin)
		return pin(options.config.path, options.pin);
	if (options.program) {
		options.config.prog_fd = open_pin(options.program);
		if (options.config.prog_fd < 0)
			return explain(options.program, options.config.prog_fd);
	}
	options.keys = optind + 1 < argc ? argv + optind + 1 : NULL;
	options.config.ring_flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	ret = lookup_open(&options.config, &l);
	if (ret)
		return explain(options.config.path, ret);
	ret = run_all(l, &options);
	lookup_close(l);
	/* or an earlier write to it has failed */
	if (fflush(stdout) || ferror(stdout))
		return explain("stdout", -EIO);
	return ret;
}
