// SPDX-License-Identifier: GPL-2.0
/* The folder with the pins: what everybody may open, and only the administrator write */
#include "iou_patterns.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>

static int pin_path(char *path, const char *prefix, const char *name)
{
	int len = snprintf(path, PATH_MAX, "%s/%s%s", opt.pin_dir, prefix, name);

	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int pin_check_dir(void)
{
	struct statfs fs;
	struct stat st;

	if (stat(opt.pin_dir, &st) || statfs(opt.pin_dir, &fs)) {
		int err = errno;

		fail("%s: %s", opt.pin_dir, strerror(err));
		return -err;
	}
	if (fs.f_type != BPF_FS_MAGIC) {
		fail("%s: no bpffs, try: mount -t bpf -o mode=0755 bpf %s", opt.pin_dir,
		     opt.pin_dir);
		return -EINVAL;
	}
	if (st.st_uid || (st.st_mode & 0022)) {
		fail("%s: others can write to this folder", opt.pin_dir);
		return -EINVAL;
	}
	return 0;
}

/*
 * Pin @fd under another name and with its final mode, and rename the pin: no user sees
 * a pin with another mode, or no pin while the old one is replaced.
 */
static int pin_fd(const char *name, int fd, mode_t mode)
{
	char path[PATH_MAX], tmp[PATH_MAX], prefix[32];
	int ret;

	snprintf(prefix, sizeof(prefix), "new-%d-", getpid());
	ret = pin_path(path, "", name) ?: pin_path(tmp, prefix, name);
	if (ret)
		return ret;
	if (!opt.replace && !access(path, F_OK)) {
		fail("%s: is loaded already, see --replace", name);
		return -EEXIST;
	}
	ret = bpf_obj_pin(fd, tmp);
	if (ret) {
		fail("%s: %s", tmp, strerror(-ret));
		return ret;
	}
	if (chmod(tmp, mode) || rename(tmp, path)) {
		ret = -errno;
		fail("%s: %s", path, strerror(errno));
		unlink(tmp);
	}
	return ret;
}

int pin_create(const char *name, struct bpf_object *obj)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(obj, name);
	struct bpf_map *map = bpf_object__find_map_by_name(obj, COUNT_MAP);
	int ret = 0;

	/* map and program belong together: without the latter, the former is useless */
	if (map)
		ret = pin_fd(COUNT_MAP, bpf_map__fd(map), 0600);
	return ret ?: pin_fd(name, bpf_program__fd(prog), 0444);
}

int pin_remove(const char *name)
{
	char path[PATH_MAX];
	int ret = pin_path(path, "", name);

	if (ret)
		return ret;
	if (unlink(path)) {
		ret = -errno;
		fail("%s: %s", path, strerror(errno));
		return ret;
	}
	if (!strcmp(name, "count") && !pin_path(path, "", COUNT_MAP))
		unlink(path);
	return 0;
}

/* Return true if the file descriptor is that of a program. */
static bool is_prog(int fd)
{
	char link[64], target[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = 0;
	return !strcmp(target, "anon_inode:bpf-prog");
}

int pin_open(const char *name, struct bpf_prog_info *info)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = BPF_F_RDONLY);
	__u32 len = sizeof(*info);
	char path[PATH_MAX];
	int fd, ret;

	ret = pin_path(path, "", name);
	if (ret)
		return ret;
	fd = bpf_obj_get_opts(path, &opts);
	if (fd < 0)
		return fd;
	memset(info, 0, sizeof(*info));
	ret = is_prog(fd) ? bpf_prog_get_info_by_fd(fd, info, &len) : -EINVAL;
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

/* Skip hidden files, the map, and pins that are being made. */
static int is_pin(const struct dirent *d)
{
	return d->d_name[0] != '.' && strcmp(d->d_name, COUNT_MAP) &&
	       strncmp(d->d_name, "new-", 4);
}

int for_each_pin(int (*fn)(const char *name))
{
	struct dirent **list;
	int i, nr, ret, worst = 0;

	nr = scandir(opt.pin_dir, &list, is_pin, alphasort);
	if (nr < 0) {
		ret = errno;
		fail("%s: %s", opt.pin_dir, strerror(ret));
		return status_of(-ret);
	}
	for (i = 0; i < nr; i++) {
		ret = fn(list[i]->d_name);
		if (ret > worst)
			worst = ret;
		free(list[i]);
	}
	free(list);
	return worst;
}
