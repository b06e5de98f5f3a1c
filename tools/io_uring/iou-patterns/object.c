// SPDX-License-Identifier: GPL-2.0
/* Object files of patterns: their documentation, and how they are loaded */
#include "iou_patterns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gelf.h>
#include <libelf.h>

#define SUFFIX		".bpf.o"
#define SECTION		".iou_pattern"
#define LOG_SIZE	(256 * 1024)

static int object_path(char *path, const char *name)
{
	int len = snprintf(path, PATH_MAX, "%s/%s%s", opt.dir, name, SUFFIX);

	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int is_object(const struct dirent *d)
{
	size_t len = strlen(d->d_name), suffix = strlen(SUFFIX);

	return len > suffix && len - suffix < NAME_LEN &&
	       !strcmp(d->d_name + len - suffix, SUFFIX);
}

int for_each_object(int (*fn)(const char *name))
{
	struct dirent **list;
	int i, nr, ret, worst = 0;

	nr = scandir(opt.dir, &list, is_object, alphasort);
	if (nr < 0) {
		fail("%s: %s", opt.dir, strerror(errno));
		return EXIT_FAILED;
	}
	for (i = 0; i < nr; i++) {
		list[i]->d_name[strlen(list[i]->d_name) - strlen(SUFFIX)] = 0;
		ret = fn(list[i]->d_name);
		if (ret > worst)
			worst = ret;
		free(list[i]);
	}
	free(list);
	return worst;
}

/* Return the contents of the section as a string, to be freed, or NULL. */
static char *elf_text(Elf *elf)
{
	Elf_Scn *scn = NULL;
	size_t strndx;

	if (elf_getshdrstrndx(elf, &strndx))
		return NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		Elf_Data *data;
		const char *name;
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh))
			return NULL;
		name = elf_strptr(elf, strndx, sh.sh_name);
		if (!name || strcmp(name, SECTION))
			continue;
		data = elf_getdata(scn, NULL);
		return data && data->d_buf ? strndup(data->d_buf, data->d_size) : NULL;
	}
	return NULL;
}

char *object_text(const char *name)
{
	char path[PATH_MAX], *text = NULL;
	Elf *elf;
	int fd;

	if (object_path(path, name))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf) {
		text = elf_text(elf);
		elf_end(elf);
	}
	close(fd);
	return text;
}

void for_each_line(const char *text, const char *key,
		   bool (*fn)(char *value, void *arg), void *arg)
{
	size_t len = strlen(key);
	char *copy = strdup(text), *rest = copy, *line;

	while (copy && (line = strsep(&rest, "\n"))) {
		if (!strncmp(line, key, len) && line[len] == ' ' &&
		    !fn(line + len + 1, arg))
			break;
	}
	free(copy);
}

struct first_value {
	char *value;
	size_t size;
	bool found;
};

static bool take_value(char *value, void *arg)
{
	struct first_value *v = arg;

	snprintf(v->value, v->size, "%s", value);
	v->found = true;
	return false;
}

bool text_value(const char *text, const char *key, char *value, size_t size)
{
	struct first_value v = { .value = value, .size = size };

	if (text)
		for_each_line(text, key, take_value, &v);
	return v.found;
}

/* The only map that a pattern can have is the one that only the administrator opens. */
static int check_maps(const char *name, struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj) {
		if (!strcmp(bpf_map__name(map), COUNT_MAP))
			continue;
		fail("%s: has a map or global variables, which its users would share: %s",
		     name, bpf_map__name(map));
		return -EINVAL;
	}
	return 0;
}

int object_load(const char *name, struct bpf_object **objp)
{
	char path[PATH_MAX], *log;
	struct bpf_program *prog;
	struct bpf_object *obj;
	int ret;

	ret = object_path(path, name);
	if (ret)
		return ret;
	obj = bpf_object__open_file(path, NULL);
	if (!obj) {
		ret = -errno;
		fail("%s: %s", path, strerror(errno));
		return ret;
	}
	ret = check_maps(name, obj);
	prog = bpf_object__find_program_by_name(obj, name);
	if (!ret && !prog) {
		fail("%s: has no program %s", path, name);
		ret = -EINVAL;
	}
	log = calloc(1, LOG_SIZE);
	if (!ret && log) {
		bpf_program__set_log_buf(prog, log, LOG_SIZE);
		bpf_program__set_log_level(prog, 1);
		ret = bpf_object__load(obj);
		if (ret)
			fail("%s: %s\n%s", name, strerror(-ret), log);
		else if (opt.verbose)
			fprintf(stderr, "%s:\n%s", name, log);
	}
	free(log);
	if (ret)
		bpf_object__close(obj);
	else
		*objp = obj;
	return ret;
}
