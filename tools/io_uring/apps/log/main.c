// SPDX-License-Identifier: GPL-2.0
/* iou-log: append lines to a log with group commit, and read logs */
#include "iou_bpf.h"
#include "format.h"
#include "writer.h"

#include <endian.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>

#define MAX_WAIT_MS	60000

static const char *const usage_text =
	"usage: iou-log append [-k RECORDS] [-t MS] [-b] [-v] LOG\n"
	"       iou-log cat [-b] LOG\n"
	"       iou-log check [-b] LOG\n"
	"\n"
	"append  add each line of the standard input to LOG, a file or block device, as a\n"
	"        record, and print \"durable N\" when the first N records of LOG are on disk\n"
	"cat     print the records as lines\n"
	"check   print the number of records, and of bytes up to the last one\n"
	"\n"
	"  -k, --records N   commit after N records (100)\n"
	"  -t, --wait MS     or MS milliseconds after the first one of them (10); 0: at once\n"
	"  -b, --buffered    use the page cache, not O_DIRECT\n"
	"  -v, --verbose     print counters to the standard error\n"
	"      --fault F     a deliberate error, for tests: no-sync, early, short or retry\n"
	"  -h, --help\n";

/* of short options none */
#define OPT_FAULT	256

static const struct option long_options[] = {
	{ "records",	required_argument,	NULL, 'k' },
	{ "wait",	required_argument,	NULL, 't' },
	{ "buffered",	no_argument,		NULL, 'b' },
	{ "verbose",	no_argument,		NULL, 'v' },
	{ "fault",	required_argument,	NULL, OPT_FAULT },
	{ "help",	no_argument,		NULL, 'h' },
	{}
};

struct args {
	const char		*command;
	const char		*path;
	struct log_options	opts;
	bool			verbose;
};

/* the thread that reads lines */
struct source {
	struct log_writer	*w;
	int			err;
};

static int usage(void)
{
	fputs(usage_text, stderr);
	return 2;
}

static int fail(const char *what, int err)
{
	fprintf(stderr, "iou-log: %s: %s\n", what, strerror(-err));
	return 1;
}

static int parse_number(const char *text, unsigned int min, unsigned int max,
			unsigned int *number)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || n < min || n > max || *text == '-')
		return -EINVAL;
	*number = n;
	return 0;
}

static int parse_fault(const char *text, unsigned int *fault)
{
	static const char *const names[] = {
		[LOG_FAULT_NO_SYNC]	= "no-sync",
		[LOG_FAULT_EARLY]	= "early",
		[LOG_FAULT_SHORT]	= "short",
		[LOG_FAULT_RETRY]	= "retry",
	};

	for (unsigned int i = LOG_FAULT_NO_SYNC; i <= LOG_FAULT_RETRY; i++) {
		if (!strcmp(text, names[i])) {
			*fault = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_option(struct args *args, int opt)
{
	switch (opt) {
	case 'k':
		return parse_number(optarg, 1, INT_MAX, &args->opts.records);
	case 't':
		return parse_number(optarg, 0, MAX_WAIT_MS, &args->opts.wait_ms);
	case 'b':
		args->opts.buffered = true;
		return 0;
	case 'v':
		args->verbose = true;
		return 0;
	case OPT_FAULT:
		return parse_fault(optarg, &args->opts.fault);
	}
	return -EINVAL;
}

/* Return 0, or a negative error for wrong arguments. */
static int parse(struct args *args, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "k:t:bvh", long_options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage_text, stdout);
			exit(0);
		}
		if (parse_option(args, opt)) {
			if (opt != '?')
				fprintf(stderr, "iou-log: wrong value \"%s\"\n", optarg);
			return -EINVAL;
		}
	}
	if (argc - optind != 2)
		return -EINVAL;
	args->command = argv[optind];
	args->path = argv[optind + 1];
	return 0;
}

static void *read_lines(void *arg)
{
	struct source *s = arg;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while (!s->err && (len = getline(&line, &size, stdin)) > 0) {
		if (line[len - 1] == '\n')
			len--;
		s->err = log_append(s->w, line, len < UINT32_MAX ? len : UINT32_MAX);
	}
	if (ferror(stdin))
		s->err = -EIO;
	free(line);
	log_finish(s->w);
	return NULL;
}

/* One system call, so that a crash leaves no half a line. */
static int report(unsigned long long durable)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "durable %llu\n", durable);

	return write(STDOUT_FILENO, line, len) == len ? 0 : -EIO;
}

static void print_stats(const struct log_writer *w)
{
	struct log_stats s;

	log_get_stats(w, &s);
	fprintf(stderr,
		"records %llu groups %llu cqes %llu enters %llu wakeups %llu\n",
		s.records, s.groups, s.cqes, s.enters, s.wakeups);
}

/* Report until the log ends. If this fails, another thread may still use the log. */
static int append_lines(struct log_writer *w, const struct args *args)
{
	struct source source = { .w = w };
	uint64_t durable;
	pthread_t thread;
	int ret;

	if (log_recovered(w) && report(log_recovered(w)))
		return fail("standard output", -EIO);
	ret = pthread_create(&thread, NULL, read_lines, &source);
	if (ret)
		return fail("cannot create a thread", -ret);
	while ((ret = log_wait(w, &durable)) > 0)
		if (report(durable))
			exit(fail("standard output", -EIO));
	if (args->verbose)
		print_stats(w);
	if (ret)
		exit(fail(log_failure(w), ret));
	pthread_join(thread, NULL);
	return source.err ? fail("standard input", source.err) : 0;
}

static int cmd_append(const struct args *args)
{
	struct log_writer *w;
	int ret;

	/* a write beyond the limit of a file's size is an error, as any other */
	signal(SIGXFSZ, SIG_IGN);
	ret = log_open(&w, args->path, &args->opts);
	ret = ret ? fail(args->path, ret) : append_lines(w, args);
	log_free(w);
	return ret;
}

static int print_records(struct log_reader *r, bool print)
{
	struct log_record rec;
	const char *data;
	int ret;

	while ((ret = log_read_next(r, &rec, &data)) > 0) {
		if (!print)
			continue;
		fwrite(data, 1, le32toh(rec.len), stdout);
		putchar('\n');
	}
	if (!print && !ret)
		printf("records %llu bytes %llu\n", (unsigned long long)r->pos.seq,
		       (unsigned long long)r->pos.off);
	/* or an earlier write to it has failed */
	if (!ret && (fflush(stdout) || ferror(stdout)))
		ret = -EIO;
	return ret;
}

static int cmd_read(const struct args *args, bool print)
{
	struct log_reader r;
	int fd, ret;

	fd = open(args->path, O_RDONLY | (args->opts.buffered ? 0 : O_DIRECT));
	if (fd < 0)
		return fail(args->path, -errno);
	/* wait for a writer, or for the last write of one that was killed */
	while (flock(fd, LOCK_SH)) {
		if (errno != EINTR) {
			ret = -errno;
			goto out;
		}
	}
	ret = log_reader_init(&r, fd);
	if (ret)
		goto out;
	ret = print_records(&r, print);
	log_reader_free(&r);
out:
	close(fd);
	return ret ? fail(args->path, ret) : 0;
}

int main(int argc, char **argv)
{
	struct args args = { .opts = { .records = 100, .wait_ms = 10 } };

	if (parse(&args, argc, argv))
		return usage();
	if (!strcmp(args.command, "append"))
		return cmd_append(&args);
	if (!strcmp(args.command, "cat"))
		return cmd_read(&args, true);
	if (!strcmp(args.command, "check"))
		return cmd_read(&args, false);
	return usage();
}
