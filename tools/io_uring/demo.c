// SPDX-License-Identifier: GPL-2.0
/*
 * Show the benefit of a flow: copy a file, and read a pipe, without returns to
 * user space, in comparison with the present methods.
 */
#include "demo.h"

#include <getopt.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "demo.skel.h"

/* one more to reap the CQE, and one after a signal */
#define MAX_ENTERS	3

struct demo_results {
	struct demo_stats	flow;
	struct demo_stats	loop;
	struct demo_chain	chain;
	struct demo_chain	link;
};

static bool in_colour;

static const char *colour(const char *seq)
{
	return in_colour ? seq : "";
}

#define BOLD	colour("\033[1m")
#define GREEN	colour("\033[32m")
#define RED	colour("\033[31m")
#define DIM	colour("\033[2m")
#define PLAIN	colour("\033[0m")

static void print_head(const char *flow, const char *today)
{
	printf("%s%-16s %22s %22s%s\n", DIM, "", flow, today, PLAIN);
}

static void print_row(const char *name, unsigned long long flow,
		      unsigned long long today)
{
	printf("%-16s %s%22llu%s %22llu\n", name, BOLD, flow, PLAIN, today);
}

static void print_stats(const struct demo_stats *flow,
			const struct demo_stats *today)
{
	print_row("bytes written", flow->bytes, today->bytes);
	print_row("system calls", flow->enters, today->enters);
	print_row("CQEs", flow->cqes, today->cqes);
	print_row("program runs", flow->runs, today->runs);
}

static void print_ok(const char *name, bool flow, bool today)
{
	printf("%-16s %s%22s%s %s%22s%s\n", name,
	       flow ? GREEN : RED, flow ? "same" : "DIFFERENT", PLAIN,
	       today ? GREEN : RED, today ? "same" : "DIFFERENT", PLAIN);
}

static void print_copy(const struct demo_results *res, const char *path)
{
	printf("\n%sAct one: copy %s%s in blocks of %d KiB, %d at a time\n",
	       BOLD, path, PLAIN, DEMO_BLOCK >> 10, DEMO_WINDOW);
	print_head("a flow", "a loop");
	print_stats(&res->flow, &res->loop);
	print_ok("sha256", res->flow.ok, res->loop.ok);
}

static const char *cqe_str(char *buf, size_t size, int res)
{
	if (res < 0)
		snprintf(buf, size, "-%s", strerrorname_np(-res));
	else
		snprintf(buf, size, res ? "%d" : "none", res);
	return buf;
}

static void print_cqe(const char *name, int flow, int today)
{
	char buf[2][24];

	printf("%-16s %22s %22s\n", name, cqe_str(buf[0], sizeof(*buf), flow),
	       cqe_str(buf[1], sizeof(*buf), today));
}

static void print_chain(const struct demo_results *res)
{
	const int pieces[] = DEMO_PIECES;

	printf("\n%sAct two: a pipe delivers %d bytes in %zu pieces%s\n", BOLD,
	       DEMO_WANTED, sizeof(pieces) / sizeof(*pieces), PLAIN);
	print_head("READ -> BPF -> WRITE", "READ -> WRITE");
	print_stats(&res->chain.stats, &res->link.stats);
	print_cqe("CQE of READ", res->chain.read_res, res->link.read_res);
	print_cqe("CQE of WRITE", res->chain.write_res, res->link.write_res);
}

static void write_stats(FILE *file, const char *name, const char *ok,
			const struct demo_stats *stats, const char *end)
{
	fprintf(file, "  \"%s\": { \"bytes\": %llu, \"enters\": %u, ", name,
		(unsigned long long)stats->bytes, stats->enters);
	fprintf(file, "\"cqes\": %u, \"runs\": %u, \"%s\": %s }%s\n",
		stats->cqes, stats->runs, ok, stats->ok ? "true" : "false", end);
}

static int write_json(const struct demo_results *res, const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		return -errno;
	fprintf(file, "{\n");
	write_stats(file, "flow", "sha256_ok", &res->flow, ",");
	write_stats(file, "loop", "sha256_ok", &res->loop, ",");
	write_stats(file, "chain", "all_written", &res->chain.stats, ",");
	write_stats(file, "link", "all_written", &res->link.stats, "");
	fprintf(file, "}\n");
	return fclose(file) ? -errno : 0;
}

/* State of the demonstration */
static bool as_promised(const struct demo_results *res, __u64 size)
{
	const struct demo_stats *flow = &res->flow, *chain = &res->chain.stats;

	return flow->ok && res->loop.ok &&
	       flow->bytes == size && res->loop.bytes == size &&
	       flow->enters <= MAX_ENTERS && flow->cqes == 1 &&
	       chain->ok && chain->enters <= MAX_ENTERS && chain->cqes == 1 &&
	       res->chain.write_res == DEMO_WANTED &&
	       !res->link.stats.bytes &&
	       res->link.write_res == -ECANCELED;
}

static int die(int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "demo: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, ": %s\n", strerror(-err));
	va_end(args);
	exit(1);
}

static bool same_sum(int fd, const char *expected)
{
	char sum[65];
	int ret;

	ret = demo_sha256(fd, sum);
	if (ret)
		die(ret, "sha256sum");
	return !strcmp(sum, expected);
}

static void open_files(struct demo_file *file, const char *src, const char *dst)
{
	struct stat st, dst_st;

	file->src = open(src, O_RDONLY | O_CLOEXEC);
	if (file->src < 0 || fstat(file->src, &st))
		die(-errno, "%s", src);
	if (!S_ISREG(st.st_mode))
		die(-EINVAL, "%s is no file", src);
	file->size = st.st_size;
	/*
	 * without O_TRUNC, which would destroy a file that is copied to itself
	 */
	file->dst = open(dst, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file->dst < 0 || fstat(file->dst, &dst_st))
		die(-errno, "%s", dst);
	if (st.st_dev == dst_st.st_dev && st.st_ino == dst_st.st_ino)
		die(-EINVAL, "%s and %s are one file", src, dst);
}

static void run_copies(struct demo *skel, struct demo_results *res,
		       const struct demo_file *file)
{
	char sum[65];
	int ret;

	ret = demo_sha256(file->src, sum);
	if (ret)
		die(ret, "sha256sum");

	if (ftruncate(file->dst, 0))
		die(-errno, "can't empty the copy");
	ret = demo_copy_flow(skel, file, &res->flow);
	if (ret)
		die(ret, "copy by a flow");
	res->flow.ok = same_sum(file->dst, sum);

	if (ftruncate(file->dst, 0))
		die(-errno, "can't empty the copy");
	ret = demo_copy_loop(file, &res->loop);
	if (ret)
		die(ret, "copy by a loop");
	res->loop.ok = same_sum(file->dst, sum);
}

static void run_chains(struct demo *skel, struct demo_results *res)
{
	int ret;

	ret = demo_chain(skel, &res->chain);
	if (ret)
		die(ret, "chain with a flow");
	ret = demo_chain(NULL, &res->link);
	if (ret)
		die(ret, "chain without a flow");
}

static void print_usage(FILE *file)
{
	fprintf(file,
		"usage: demo [--json FILE] [--color | --no-color] SOURCE COPY\n\n"
		"Copies SOURCE to COPY, once by a BPF program on an io_uring and once by\n"
		"a loop. Then does the same to a pipe, with and without a program in the\n"
		"chain. Ends with 0 if all of it went as it should.\n");
}

/* Return the name of the JSON file, or NULL. The operands are at optind. */
static const char *parse_args(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", required_argument, NULL, 'j' },
		{ "color", no_argument, NULL, 'c' },
		{ "no-color", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	const char *json = NULL;
	int opt;

	in_colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			json = optarg;
			break;
		case 'c':
			in_colour = true;
			break;
		case 'n':
			in_colour = false;
			break;
		case 'h':
			print_usage(stdout);
			exit(0);
		default:
			print_usage(stderr);
			exit(2);
		}
	}
	if (argc - optind != 2) {
		print_usage(stderr);
		exit(2);
	}
	return json;
}

int main(int argc, char **argv)
{
	const char *json = parse_args(argc, argv);
	struct demo_results res = {};
	struct demo_file file;
	struct demo *skel;
	int ret;
	bool ok;

	open_files(&file, argv[optind], argv[optind + 1]);
	skel = demo__open_and_load();
	if (!skel)
		die(-errno, "cannot load the programs (root? CONFIG_IO_URING_BPF_PROG?)");
	run_copies(skel, &res, &file);
	print_copy(&res, argv[optind]);
	run_chains(skel, &res);
	print_chain(&res);
	demo__destroy(skel);

	ok = as_promised(&res, file.size);
	printf("\n%s%s%s\n", ok ? GREEN : RED,
	       ok ? "All as it should be." : "Not as it should be!", PLAIN);
	ret = json ? write_json(&res, json) : 0;
	if (ret)
		die(ret, "%s", json);
	return ok ? 0 : 1;
}
