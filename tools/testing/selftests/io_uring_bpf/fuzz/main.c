// SPDX-License-Identifier: GPL-2.0
/*
 * iou_fuzz: see fuzz.h
 *
 * Exit status: 0: no failures. 1: failures. 2: invalid arguments. 3: failure that
 * requires a reboot. 4: not supported by this kernel.
 */
#include "env.h"
#include "../iou_bpf.h"

#include <fcntl.h>
#include <getopt.h>

#include "fuzz.skel.h"

/* number of cases after which the controller waits for the end of their rings */
#define DRAIN_EVERY	16
#define MAX_CORPUS	4096

struct fz_options opt = { .seconds = 60, .tries = 5 };

static char *corpus[MAX_CORPUS];
static unsigned int nr_corpus;
static unsigned int rounds, failures;
static __u64 started_ms;

static const char usage[] =
"usage: iou_fuzz [OPTION...]\n"
"\n"
"Runs random BPF programs on random io_uring rings, and checks invariants.\n"
"\n"
"  --time SECONDS  run random cases for SECONDS (default: 60)\n"
"  --seed N        first seed (default: the current time)\n"
"  --case NAME     run one case: a seed, or a seed and mutations such as 12.7.9\n"
"  --tries N       number of runs of --case, and of each try of --min (default: 5)\n"
"  --control       submit plain requests instead of flows\n"
"  --mode WORDS    plain, defer, sqpoll, iopoll, wide, mixed: kind of the rings;\n"
"                  watch, flow: with or without watching programs;\n"
"                  kill: no orderly end; repeat: repeat the steps of each case\n"
"  --min NAME      minimise a case that fails: remove parts that are not required\n"
"  --drop BITMAP   run --case without these parts, as printed by --min\n"
"  --print NAME    print a case\n"
"  --out DIR       write failures, stats, corpus and last to DIR\n"
"  --gcov          keep and mutate cases that reach new code, needs gcov in debugfs\n"
"  --verbose       print the duration of each case, and messages of libbpf\n"
"  --set           run a fixed set of cases, with TAP output\n";

/* Write a file in --out: append to it, or replace it atomically. */
static void put_file(const char *name, const char *mode, const char *fmt, ...)
{
	char path[512], tmp[520];
	va_list ap;
	FILE *f;

	if (!opt.out)
		return;
	snprintf(path, sizeof(path), "%s/%s", opt.out, name);
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	f = fopen(*mode == 'a' ? path : tmp, mode);
	if (!f)
		return;
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
	if (*mode != 'a')
		rename(tmp, path);
}

static void put_stats(void)
{
	put_file("stats", "w",
		 "seconds %llu\nrounds %u\nfailures %u\nedges %u\ncorpus %u\n",
		 (unsigned long long)(now_ms() - started_ms) / 1000, rounds,
		 failures, fz_cov_edges, nr_corpus);
}

static void found(const char *name, const struct fz_report *r)
{
	failures++;
	printf("FAIL %s %s: %s\n", name, r->kind, r->text);
	printf("  after %u rounds, reproduce: iou_fuzz --case %s%s%s\n", rounds, name,
	       opt.mode ? " --mode " : "", opt.mode ?: "");
	fflush(stdout);
	put_file("failures", "a", "%s %s: %s\n", name, r->kind, r->text);
	put_stats();
}

static int prepare(struct fz_case *c, const char *name)
{
	if (fz_make(c, name))
		return -EINVAL;
	if (opt.drop) {
		fz_parse_drop(c, opt.drop);
		fz_drop_parts(c);
	}
	fz_derive(c);
	return 0;
}

static enum fz_result run_case(const char *name, struct fz_report *r)
{
	static struct fz_case c;
	enum fz_result res;
	__u64 start;

	if (prepare(&c, name))
		return FZ_GOOD;
	put_file("last", "w", "%s\n", name);
	start = now_ms();
	res = fz_round(&c, r);
	if (opt.verbose)
		printf("# %s: %llu ms%s\n", name, (unsigned long long)(now_ms() - start),
		       c.repeats ? ", repeated" : "");
	put_file("last", "w", "%s", "");
	rounds++;
	if (res != FZ_GOOD)
		found(name, r);
	return res;
}

static void keep(const char *name)
{
	if (nr_corpus == MAX_CORPUS)
		return;
	corpus[nr_corpus++] = strdup(name);
	put_file("corpus", "a", "%s\n", name);
}

static void read_corpus(void)
{
	char path[512], line[FZ_NAME];
	FILE *f;

	if (!opt.out)
		return;
	snprintf(path, sizeof(path), "%s/corpus", opt.out);
	f = fopen(path, "r");
	while (f && nr_corpus < MAX_CORPUS && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		corpus[nr_corpus++] = strdup(line);
	}
	if (f)
		fclose(f);
}

/* Choose the next case: a new seed @n, or a mutation of a case of the corpus. */
static void next_name(struct fz_rng *r, unsigned long long n, char *name)
{
	const char *from;

	/* mutate rarely as long as the corpus is small */
	if (nr_corpus && chance(r, nr_corpus < 25 ? nr_corpus * 2 : 50)) {
		from = corpus[below(r, nr_corpus)];
		if (strlen(from) < FZ_NAME - 12) {
			snprintf(name, FZ_NAME, "%s.%u", from, below(r, 1000000));
			return;
		}
	}
	snprintf(name, FZ_NAME, "%llu", n);
}

static void progress(bool last)
{
	static __u64 told;

	if (!last && now_ms() - told < 10000)
		return;
	told = now_ms();
	printf("%llu s: %u rounds, %u failures, %u edges, %u kept\n",
	       (unsigned long long)(told - started_ms) / 1000, rounds, failures,
	       fz_cov_edges, nr_corpus);
	fflush(stdout);
	put_stats();
	if (opt.gcov && (last || !(rounds & 3)))
		fz_cov_save();
}

static int fuzz(void)
{
	struct fz_rng r = { opt.seed };
	__u64 end = started_ms + opt.seconds * 1000ULL;
	unsigned long long n = opt.seed;
	struct fz_report rep;
	char name[FZ_NAME];
	bool good;

	read_corpus();
	printf("seed %llu, %u seconds\n", opt.seed, opt.seconds);
	while (now_ms() < end && !fz_fatal) {
		next_name(&r, n++, name);
		good = run_case(name, &rep) == FZ_GOOD;
		/* do not mutate cases that fail: they would find the same failure */
		if (!fz_fatal && opt.gcov && fz_cov_new() > 0 && good)
			keep(name);
		if (!fz_fatal && rounds % DRAIN_EVERY == 0 &&
		    fz_drain(&rep) != FZ_GOOD)
			found(name, &rep);
		if (opt.stop && failures)
			break;
		progress(false);
	}
	if (!fz_fatal && fz_drain(&rep) != FZ_GOOD)
		found(name, &rep);
	progress(true);
	return fz_fatal ? 3 : !!failures;
}

static int one_case(void)
{
	struct fz_report r;
	unsigned int i;

	for (i = 0; i < opt.tries && !fz_fatal; i++) {
		printf("try %u of %u\n", i + 1, opt.tries);
		fflush(stdout);
		run_case(opt.one, &r);
	}
	if (!fz_fatal && fz_drain(&r) != FZ_GOOD)
		found(opt.one, &r);
	progress(true);
	return fz_fatal ? 3 : !!failures;
}

/* Run the cases of "make check": a fixed range of seeds for each mode. */
static int fixed_set(void)
{
	static const char *const kinds[] = { "plain", "defer", "sqpoll", "iopoll",
					     "wide", "mixed", "watch", "kill", "repeat" };
	const unsigned int nr = ARRAY_SIZE(kinds);
	static const unsigned int seeds[] = { 16, 16, 8, 12, 12, 12, 16, 16, 3 };
	struct fz_report r;
	char name[FZ_NAME];
	unsigned int i, j;

	printf("TAP version 13\n1..%u\n", nr);
	for (i = 0; i < nr; i++) {
		unsigned int before = failures;

		opt.mode = kinds[i];
		for (j = 0; j < seeds[i] && !fz_fatal; j++) {
			snprintf(name, sizeof(name), "%u", 1000 * (i + 1) + j);
			run_case(name, &r);
		}
		if (!fz_fatal && fz_drain(&r) != FZ_GOOD)
			found(name, &r);
		printf("%s %u - fuzz.%s\n", failures == before && !fz_fatal ? "ok" : "not ok",
		       i + 1, kinds[i]);
		fflush(stdout);
	}
	return !!failures;
}

static int print_case(const char *name)
{
	static struct fz_case c;

	if (prepare(&c, name))
		return 2;
	fz_print(stdout, &c);
	return 0;
}

static const char *print_name;

static int parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "time", 1, NULL, 't' }, { "seed", 1, NULL, 's' },
		{ "case", 1, NULL, 'c' }, { "tries", 1, NULL, 'n' },
		{ "mode", 1, NULL, 'm' }, { "out", 1, NULL, 'o' },
		{ "min", 1, NULL, 'i' }, { "drop", 1, NULL, 'd' },
		{ "print", 1, NULL, 'p' }, { "gcov", 0, NULL, 'g' },
		{ "control", 0, NULL, 'l' }, { "set", 0, NULL, 'f' },
		{ "verbose", 0, NULL, 'v' }, { }
	};
	int o;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (o) {
		case 't':
			opt.seconds = atoi(optarg);
			break;
		case 's':
			opt.seed = strtoull(optarg, NULL, 10);
			opt.seeded = true;
			break;
		case 'c':
			opt.one = optarg;
			break;
		case 'n':
			opt.tries = atoi(optarg);
			break;
		case 'm':
			opt.mode = *optarg ? optarg : NULL;
			break;
		case 'o':
			opt.out = optarg;
			break;
		case 'i':
			opt.min = optarg;
			break;
		case 'd':
			opt.drop = optarg;
			break;
		case 'p':
			print_name = optarg;
			break;
		case 'g':
			opt.gcov = true;
			break;
		case 'l':
			opt.control = true;
			break;
		case 'f':
			opt.set = true;
			break;
		case 'v':
			opt.verbose = true;
			break;
		default:
			return -EINVAL;
		}
	}
	return optind != argc || (opt.mode && !fz_mode_ok(opt.mode)) ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	const char *why;

	if (parse(argc, argv)) {
		fputs(usage, stderr);
		return 2;
	}
	if (print_name)
		return print_case(print_name);
	opt.stop = getenv("IOU_FUZZ_STOP");
	if (!opt.seeded)
		opt.seed = time(NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!opt.verbose)
		libbpf_set_print(NULL);
	why = iou_unsupported();
	/* first, so that loading the programs counts */
	if (!why && opt.gcov && fz_cov_init()) {
		printf("no gcov in debugfs: running without coverage\n");
		opt.gcov = false;
	}
	if (!why && fz_ctl_init())
		why = "cannot load the BPF programs";
	if (why) {
		printf("%s%s\n", opt.set ? "1..0 # SKIP " : "cannot run: ", why);
		return 4;
	}
	started_ms = now_ms();
	if (opt.set)
		return fixed_set();
	if (opt.min)
		return fz_minimise(opt.min);
	return opt.one ? one_case() : fuzz();
}
