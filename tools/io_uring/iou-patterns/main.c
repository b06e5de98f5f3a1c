// SPDX-License-Identifier: GPL-2.0
/*
 * Load patterns, programs for io_uring that everybody can use, and pin them where
 * everybody can open them. There is no daemon and no state but the pins. See
 * iou-patterns(8).
 */
#include "iou_patterns.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/io_uring.h>
#include <liburing.h>
#include <bpf/libbpf.h>

#ifndef PATTERNS_DIR
#define PATTERNS_DIR	"/usr/local/lib/iou-patterns"
#endif
#define PIN_DIR		"/run/iou-patterns"
#define VERSION		"1"

struct options opt = {
	.dir		= PATTERNS_DIR,
	.pin_dir	= PIN_DIR,
};

int fail(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("iou-patterns: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return -1;
}

int status_of(int err)
{
	if (!err)
		return 0;
	return err == -EPERM || err == -EACCES ? EXIT_NO_RIGHT : EXIT_FAILED;
}

/* Return 0, or EXIT_NO_KERNEL after a message. */
static int check_kernel(void)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	bool ok = probe && io_uring_opcode_supported(probe, IORING_OP_BPF);

	if (probe)
		io_uring_free_probe(probe);
	if (ok)
		return 0;
	fail("the kernel has no IORING_OP_BPF, or io_uring is disabled");
	return EXIT_NO_KERNEL;
}

static int load_one(const char *name)
{
	struct bpf_object *obj;
	int ret = object_load(name, &obj);

	if (ret)
		return status_of(ret);
	ret = pin_create(name, obj);
	bpf_object__close(obj);
	return status_of(ret);
}

static int check_one(const char *name)
{
	struct bpf_object *obj;
	int ret = object_load(name, &obj);

	if (!ret)
		bpf_object__close(obj);
	return status_of(ret);
}

static int unload_one(const char *name)
{
	return status_of(pin_remove(name));
}

/* Call @fn for the named patterns, or for each. Return the worst status. */
static int for_each_name(int argc, char **argv, bool all, int (*fn)(const char *name),
			 int (*each)(int (*fn)(const char *name)))
{
	int ret, worst = 0;

	if (all)
		return each(fn);
	for (int i = 0; i < argc; i++) {
		ret = fn(argv[i]);
		if (ret > worst)
			worst = ret;
	}
	return worst;
}

static int do_load(int argc, char **argv)
{
	int ret = check_kernel();

	if (ret)
		return ret;
	ret = pin_check_dir();
	if (ret)
		return status_of(ret);
	return for_each_name(argc, argv, opt.all, load_one, for_each_object);
}

static int do_unload(int argc, char **argv)
{
	int ret = pin_check_dir();

	if (ret)
		return status_of(ret);
	return for_each_name(argc, argv, opt.all, unload_one, for_each_pin);
}

static int do_check(int argc, char **argv)
{
	int ret = check_kernel();

	if (ret || opt.quick)
		return ret;
	return for_each_name(argc, argv, !argc, check_one, for_each_object);
}

static int usage(FILE *out, int status)
{
	fputs("usage: iou-patterns [-j|-p] [-v] [--dir DIR] [--pin-dir DIR] COMMAND\n"
	      "\n"
	      "  load NAME...|--all [--replace]  load patterns, and pin them\n"
	      "  unload NAME...|--all            remove the pins\n"
	      "  list [--available]              list what is loaded, or can be\n"
	      "  show NAME...                    arguments, results and errors\n"
	      "  check [NAME...] [--quick]       ask the verifier, or only whether the\n"
	      "                                  kernel has the program type\n"
	      "  counts                          what the pattern count has counted\n"
	      "\n"
	      "Exit status: 0; 1 something failed; 2 usage; 3 not supported by the\n"
	      "kernel; 4 no permission. See iou-patterns(8).\n", out);
	return status;
}

enum {
	OPT_DIR = 256,
	OPT_PIN_DIR,
	OPT_ALL,
	OPT_REPLACE,
	OPT_AVAILABLE,
	OPT_QUICK,
	OPT_VERSION,
};

static const struct option options[] = {
	{ "json",	no_argument,		NULL, 'j' },
	{ "pretty",	no_argument,		NULL, 'p' },
	{ "verbose",	no_argument,		NULL, 'v' },
	{ "help",	no_argument,		NULL, 'h' },
	{ "dir",	required_argument,	NULL, OPT_DIR },
	{ "pin-dir",	required_argument,	NULL, OPT_PIN_DIR },
	{ "all",	no_argument,		NULL, OPT_ALL },
	{ "replace",	no_argument,		NULL, OPT_REPLACE },
	{ "available",	no_argument,		NULL, OPT_AVAILABLE },
	{ "quick",	no_argument,		NULL, OPT_QUICK },
	{ "version",	no_argument,		NULL, OPT_VERSION },
	{ }
};

/* Return -1, or the exit status if there is nothing more to do. */
static int parse(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "jpvh", options, NULL)) >= 0) {
		switch (c) {
		case 'p':
			opt.pretty = true;
			/* fallthrough */
		case 'j':
			opt.json = true;
			break;
		case 'v':
			opt.verbose = true;
			break;
		case 'h':
			return usage(stdout, 0);
		case OPT_DIR:
			opt.dir = optarg;
			break;
		case OPT_PIN_DIR:
			opt.pin_dir = optarg;
			break;
		case OPT_ALL:
			opt.all = true;
			break;
		case OPT_REPLACE:
			opt.replace = true;
			break;
		case OPT_AVAILABLE:
			opt.available = true;
			break;
		case OPT_QUICK:
			opt.quick = true;
			break;
		case OPT_VERSION:
			printf("iou-patterns %s\n", VERSION);
			return 0;
		default:
			return usage(stderr, EXIT_USAGE);
		}
	}
	return -1;
}

/* Names become parts of paths. */
static bool valid_names(int argc, char **argv)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

	for (int i = 0; i < argc; i++) {
		size_t len = strlen(argv[i]);

		if (!len || len >= NAME_LEN || strspn(argv[i], chars) != len) {
			fail("%s: not the name of a pattern", argv[i]);
			return false;
		}
	}
	return true;
}

static int quiet_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return opt.verbose ? vfprintf(stderr, fmt, args) : 0;
}

int main(int argc, char **argv)
{
	const char *command;
	int ret = parse(argc, argv);

	if (ret >= 0)
		return ret;
	argc -= optind;
	argv += optind;
	if (!argc)
		return usage(stderr, EXIT_USAGE);
	command = *argv++;
	argc--;
	if (!valid_names(argc, argv))
		return EXIT_USAGE;
	libbpf_set_print(quiet_libbpf);
	/* names or --all */
	if (!strcmp(command, "load") && !argc == opt.all)
		return do_load(argc, argv);
	if (!strcmp(command, "unload") && !argc == opt.all)
		return do_unload(argc, argv);
	if (!strcmp(command, "list") && !argc)
		return do_list();
	if (!strcmp(command, "show") && argc)
		return do_show(argc, argv);
	if (!strcmp(command, "check"))
		return do_check(argc, argv);
	if (!strcmp(command, "counts") && !argc)
		return do_counts();
	return usage(stderr, EXIT_USAGE);
}
