// SPDX-License-Identifier: GPL-2.0
/* What iou-patterns prints: as text, or as JSON with the keys of bpftool */
#include "iou_patterns.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <json_writer.h>

/* of patterns/count.bpf.c */
#define NR_OPCODES	128
#define NR_CLASSES	64

static json_writer_t *json;

static void json_begin(void)
{
	if (!opt.json)
		return;
	json = jsonw_new(stdout);
	jsonw_pretty(json, opt.pretty);
	jsonw_start_array(json);
}

static void json_end(void)
{
	if (!opt.json)
		return;
	jsonw_end_array(json);
	jsonw_destroy(&json);
}

#define TAG_LEN		(2 * BPF_TAG_SIZE + 1)

static const char *tag_text(const struct bpf_prog_info *info, char *tag)
{
	for (int i = 0; i < BPF_TAG_SIZE; i++)
		sprintf(tag + 2 * i, "%02x", info->tag[i]);
	return tag;
}

/* Return a time of the boot clock in seconds since 1970, as bpftool does. */
static time_t wall_time(__u64 boot_ns)
{
	struct timespec now, boot;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return now.tv_sec - boot.tv_sec +
	       (now.tv_nsec - boot.tv_nsec + (long long)boot_ns) / 1000000000;
}

static void json_prog(const char *name, const struct bpf_prog_info *info)
{
	char tag[TAG_LEN], path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", opt.pin_dir, name);
	jsonw_uint_field(json, "id", info->id);
	jsonw_string_field(json, "type", "iouring");
	jsonw_string_field(json, "tag", tag_text(info, tag));
	jsonw_bool_field(json, "gpl_compatible", info->gpl_compatible);
	jsonw_uint_field(json, "loaded_at", wall_time(info->load_time));
	jsonw_uint_field(json, "uid", info->created_by_uid);
	jsonw_uint_field(json, "nr_map_ids", info->nr_map_ids);
	jsonw_string_field(json, "pinned", path);
}

/* A line of the documentation, as name and text */
static bool json_pair(char *value, void *arg)
{
	char *where = strchr(value, '|'), *what = where ? strchr(where + 1, '|') : NULL;

	if (!where)
		return true;
	*where++ = 0;
	jsonw_start_object(json);
	jsonw_string_field(json, "name", value);
	if (what) {
		*what++ = 0;
		jsonw_string_field(json, "where", where);
		jsonw_string_field(json, "meaning", what);
	} else {
		jsonw_string_field(json, "meaning", where);
	}
	jsonw_end_object(json);
	return true;
}

static void json_text(const char *text, bool all)
{
	static const char *const keys[] = { "kind", "about", "result", "wins", "loses" };
	char value[1024];

	for (size_t i = 0; i < (all ? ARRAY_SIZE(keys) : 2); i++) {
		if (text_value(text, keys[i], value, sizeof(value)))
			jsonw_string_field(json, keys[i], value);
	}
	if (!all || !text)
		return;
	jsonw_uint_field(json, "flow_size",
			 text_value(text, "flow_size", value, sizeof(value)) ?
			 strtoul(value, NULL, 10) : 0);
	jsonw_name(json, "arguments");
	jsonw_start_array(json);
	for_each_line(text, "arg", json_pair, NULL);
	jsonw_end_array(json);
	jsonw_name(json, "errors");
	jsonw_start_array(json);
	for_each_line(text, "error", json_pair, NULL);
	jsonw_end_array(json);
}

static bool print_pair(char *value, void *arg)
{
	char *where = strchr(value, '|'), *what = where ? strchr(where + 1, '|') : NULL;

	if (!where)
		return true;
	*where++ = 0;
	if (what)
		*what++ = 0;
	if (what)
		printf("  %-10s %s: %s\n", value, where, what);
	else
		printf("  %-10s %s\n", value, where);
	return true;
}

static void print_text(const char *name, const char *text)
{
	static const struct {
		const char *key;
		const char *label;
	} last[] = {
		{ "result", "result" }, { "wins", "wins when" }, { "loses", "loses when" },
	};
	char value[1024];

	printf("%s", name);
	if (text_value(text, "about", value, sizeof(value)))
		printf(": %s", value);
	printf("\n");
	if (text_value(text, "kind", value, sizeof(value)))
		printf("kind: %s\n", value);
	if (text_value(text, "flow_size", value, sizeof(value)))
		printf("flow_size: %s bytes\n", value);
	if (!text)
		return;
	printf("arguments:\n");
	for_each_line(text, "arg", print_pair, NULL);
	printf("errors:\n");
	for_each_line(text, "error", print_pair, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(last); i++) {
		if (text_value(text, last[i].key, value, sizeof(value)))
			printf("%s: %s\n", last[i].label, value);
	}
}

/* Describe one pattern. @text and @info are NULL if they are not known. */
static void show_one(const char *name, const char *text, const struct bpf_prog_info *info,
		     bool all)
{
	char about[256], kind[16], tag[TAG_LEN], id[12] = "-";

	if (opt.json) {
		jsonw_start_object(json);
		jsonw_string_field(json, "name", name);
		jsonw_bool_field(json, "loaded", info);
		if (info)
			json_prog(name, info);
		json_text(text, all);
		jsonw_end_object(json);
		return;
	}
	if (all) {
		print_text(name, text);
		if (info)
			printf("loaded: id %u, tag %s, uid %u%s\n", info->id,
			       tag_text(info, tag), info->created_by_uid,
			       info->gpl_compatible ? ", gpl_compatible" : "");
		else
			printf("loaded: no\n");
		return;
	}
	if (!text_value(text, "about", about, sizeof(about)))
		about[0] = 0;
	if (!text_value(text, "kind", kind, sizeof(kind)))
		kind[0] = 0;
	if (info)
		snprintf(id, sizeof(id), "%u", info->id);
	printf("%-12s %6s  %-7s  %s\n", name, id, kind, about);
}

static int show_name(const char *name, bool all)
{
	struct bpf_prog_info info;
	char *text = object_text(name);
	int fd = pin_open(name, &info);
	bool loaded = fd >= 0, known = text || loaded;

	if (known)
		show_one(name, text, loaded ? &info : NULL, all);
	if (loaded)
		close(fd);
	free(text);
	if (known)
		return 0;
	fail("%s: no such pattern", name);
	return EXIT_FAILED;
}

static int list_one(const char *name)
{
	return show_name(name, false);
}

int do_list(void)
{
	int ret;

	json_begin();
	ret = opt.available ? for_each_object(list_one) : for_each_pin(list_one);
	json_end();
	return ret;
}

int do_show(int argc, char **argv)
{
	int ret = 0;

	json_begin();
	for (int i = 0; i < argc; i++) {
		if (i && !opt.json)
			printf("\n");
		ret = show_name(argv[i], true) ?: ret;
	}
	json_end();
	return ret;
}

/* Return the name of the opcode, as the kernel has it. */
static const char *opcode_name(const struct btf *btf, unsigned int opcode)
{
	const struct btf_enum *e;
	const struct btf_type *t;
	int id;

	id = btf ? btf__find_by_name_kind(btf, "io_uring_op", BTF_KIND_ENUM) : -1;
	if (id < 0)
		return "?";
	t = btf__type_by_id(btf, id);
	e = btf_enum(t);
	for (int i = 0; i < btf_vlen(t); i++, e++) {
		if ((unsigned int)e->val == opcode)
			return btf__name_by_offset(btf, e->name_off);
	}
	return "?";
}

static void class_name(char *name, size_t size, unsigned int class)
{
	static const char *const errors[] = {
		"EAGAIN", "EINTR", "ECANCELED", "other error",
	};

	if (class >= 32)
		snprintf(name, size, "%s", class < 36 ? errors[class - 32] : "?");
	else if (class < 2)
		snprintf(name, size, "%u", class);
	else
		snprintf(name, size, "%llu-%llu", 1ULL << (class - 1), (1ULL << class) - 1);
}

static void print_count(const struct btf *btf, __u32 key, __u64 nr)
{
	unsigned int opcode = key / NR_CLASSES;
	char class[32];

	class_name(class, sizeof(class), key % NR_CLASSES);
	if (!opt.json) {
		printf("%12llu  %s  %s\n", nr, opcode_name(btf, opcode), class);
		return;
	}
	jsonw_start_object(json);
	jsonw_uint_field(json, "opcode", opcode);
	jsonw_string_field(json, "opcode_name", opcode_name(btf, opcode));
	jsonw_string_field(json, "result", class);
	jsonw_uint_field(json, "count", nr);
	jsonw_end_object(json);
}

int do_counts(void)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = BPF_F_RDONLY);
	int fd, nr_cpus = libbpf_num_possible_cpus();
	char path[PATH_MAX];
	struct btf *btf;
	__u64 *values;

	snprintf(path, sizeof(path), "%s/%s", opt.pin_dir, COUNT_MAP);
	fd = bpf_obj_get_opts(path, &opts);
	if (fd < 0) {
		fail("%s: %s", path, strerror(-fd));
		return status_of(fd);
	}
	values = calloc(nr_cpus > 0 ? nr_cpus : 1, sizeof(*values));
	btf = btf__load_vmlinux_btf();
	json_begin();
	for (__u32 key = 0; values && key < NR_OPCODES * NR_CLASSES; key++) {
		__u64 sum = 0;

		if (bpf_map_lookup_elem(fd, &key, values))
			continue;
		for (int i = 0; i < nr_cpus; i++)
			sum += values[i];
		if (sum)
			print_count(btf, key, sum);
	}
	json_end();
	btf__free(btf);
	free(values);
	close(fd);
	return 0;
}
