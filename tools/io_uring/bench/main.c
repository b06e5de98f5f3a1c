// SPDX-License-Identifier: GPL-2.0
/* Runs the workloads by all their arms, and writes down what each has done. */
#include "bench.h"

#include <getopt.h>

static const struct bench_workload *const bench_tables[] = {
	bench_hop_workloads,
	bench_step_workloads,
	bench_btree_workloads,
	bench_lookup_workloads,
	bench_scan_workloads,
	bench_file_workloads,
	bench_proxy_workloads,
	bench_pass_workloads,
	bench_recv_workloads,
	bench_pattern_message_workloads,
	bench_pattern_file_workloads,
	bench_pattern_socket_workloads,
	bench_pattern_forward_workloads,
	bench_pattern_sqes_workloads,
	bench_pattern_limit_workloads,
	bench_pattern_watch_workloads,
	bench_scaling_workloads,
};

#define SETTLE_US	500000

struct bench_options {
	const char	*output;
	const char	*workload;
	const char	*arm;
	bool		scaling;
};

/* The start of an error message. */
void bench_print_name(const struct bench *b)
{
	fprintf(stderr, "iou_bench: ");
	if (b->arm)
		fprintf(stderr, "%s, %s: ", b->workload->name, b->arm->name);
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static unsigned int cq_tail(const struct bench *b)
{
	return b->ring.cq.ktail ? *b->ring.cq.ktail : 0;
}

static __u64 run_count(const struct bench *b)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	if (bpf_prog_get_info_by_fd(bpf_program__fd(b->prog), &info, &len))
		bench_die(b, "cannot ask for the runs of the program");
	return info.run_cnt;
}

/* A pass that isn't measured. */
static void warm_up(struct bench *b)
{
	if (b->workload->before)
		b->workload->before(b);
	b->arm->run(b, b->workload->ops);
	if (b->workload->after)
		b->workload->after(b);
}

/* Runs of the program in a pass. Counting costs, so this isn't measured. */
static __u64 count_runs(struct bench *b)
{
	__u64 before;
	int fd;

	if (!b->prog) {
		warm_up(b);
		return 0;
	}
	fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (fd < 0)
		bench_die(b, "cannot count runs of programs");
	before = run_count(b);
	warm_up(b);
	before = run_count(b) - before;
	close(fd);
	return before;
}

static void print_head(const struct bench *b)
{
	const struct bench_workload *w = b->workload;

	fprintf(b->out, "{\"workload\": \"%s\", \"arm\": \"%s\"", w->name,
		b->arm->name);
	if (b->arm->base)
		fprintf(b->out, ", \"base\": \"%s\"", b->arm->base);
	if (w->length)
		fprintf(b->out, ", \"length\": %u, \"flows\": %u, \"flows_run\": %u",
			w->length, w->flows, w->ops / w->length);
}

static void measure(struct bench *b, unsigned int repeat, __u64 runs)
{
	unsigned int tail;
	__u64 ns;

	if (b->workload->before)
		b->workload->before(b);
	tail = cq_tail(b);
	ns = now_ns();

	BENCH_MARK(1);
	b->arm->run(b, b->workload->ops);
	BENCH_MARK(2);

	ns = now_ns() - ns;
	print_head(b);
	fprintf(b->out, ", \"repeat\": %u, \"ops\": %u, \"cqes\": %u, \"runs\": %llu",
		repeat, b->workload->ops, cq_tail(b) - tail,
		(unsigned long long)runs);
	if (b->time)
		fprintf(b->out, ", \"ns\": %llu", (unsigned long long)ns);
	fprintf(b->out, "}\n");
	fflush(b->out);
	if (b->workload->after)
		b->workload->after(b);
}

static void run_arm(struct bench *b)
{
	const char *missing = bench_missing(b, b->arm->need |
					    b->workload->need);
	unsigned int i;
	__u64 runs;

	if (missing) {
		print_head(b);
		fprintf(b->out, ", \"missing\": \"%s\"}\n", missing);
		return;
	}
	b->arm->init(b);
	runs = count_runs(b);
	/*
	 * What that did to code and caches is to be gone, and so is the memory
	 * of programs before, which a worker frees a while later.
	 */
	usleep(SETTLE_US);
	warm_up(b);
	for (i = 0; i < b->repeat; i++)
		measure(b, i, runs);
	if (b->workload->exit)
		b->workload->exit(b);
	bench_close(b);
}

static bool wanted(const struct bench *b, const struct bench_options *opt)
{
	if (opt->workload && strcmp(opt->workload, b->workload->name))
		return false;
	if (opt->arm && strcmp(opt->arm, b->arm->name))
		return false;
	/* a kernel without flows has nothing to say about them */
	if (((b->arm->need | b->workload->need) & (NEED_FLOW | NEED_PATTERN)) &&
	    bench_missing(b, NEED_FLOW))
		return false;
	return opt->scaling == !!b->workload->length;
}

static void run_table(struct bench *b, const struct bench_options *opt,
		      const struct bench_workload *table)
{
	for (b->workload = table; b->workload->name; b->workload++) {
		for (b->arm = b->workload->arms; b->arm->name; b->arm++) {
			if (wanted(b, opt))
				run_arm(b);
		}
	}
	b->arm = NULL;
}

static void help(void)
{
	fprintf(stderr,
		"usage: iou_bench [--output FILE] [--repeat N] [--time] [--scaling]\n"
		"                 [--workload NAME] [--arm NAME] [--dir FOLDER] [--xfs FOLDER]\n"
		"                 [--patterns FOLDER]\n");
	exit(2);
}

static void parse(int argc, char **argv, struct bench *b,
		  struct bench_options *opt)
{
	static const struct option options[] = {
		{ "output",	required_argument,	NULL,	'o' },
		{ "repeat",	required_argument,	NULL,	'r' },
		{ "time",	no_argument,		NULL,	't' },
		{ "scaling",	no_argument,		NULL,	's' },
		{ "workload",	required_argument,	NULL,	'w' },
		{ "arm",	required_argument,	NULL,	'a' },
		{ "dir",	required_argument,	NULL,	'd' },
		{ "xfs",	required_argument,	NULL,	'x' },
		{ "patterns",	required_argument,	NULL,	'p' },
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			opt->output = optarg;
			break;
		case 'r':
			b->repeat = atoi(optarg);
			break;
		case 't':
			b->time = true;
			break;
		case 's':
			opt->scaling = true;
			break;
		case 'w':
			opt->workload = optarg;
			break;
		case 'a':
			opt->arm = optarg;
			break;
		case 'd':
			b->dir = optarg;
			break;
		case 'x':
			b->xfs = optarg;
			break;
		case 'p':
			b->patterns = optarg;
			break;
		default:
			help();
		}
	}
	if (optind != argc)
		help();
}

int main(int argc, char **argv)
{
	struct bench b = { .repeat = 3, .dir = ".", .fd = { -1, -1 } };
	struct bench_options opt = {};
	unsigned int i;

	parse(argc, argv, &b, &opt);
	b.out = opt.output ? fopen(opt.output, "a") : stdout;
	if (!b.out)
		bench_die(&b, "cannot write to %s", opt.output);
	for (i = 0; i < sizeof(bench_tables) / sizeof(bench_tables[0]); i++)
		run_table(&b, &opt, bench_tables[i]);
	if (fclose(b.out))
		bench_die(&b, "cannot write the results");
	return 0;
}
