// SPDX-License-Identifier: GPL-2.0
/*
 * Code coverage, from the gcov counters of the kernel in debugfs
 *
 * open() of a file takes a snapshot of its counters. The format depends on the
 * version of gcc: see kernel/gcov/gcc_4_7.c.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#define GCOV_DIR	"/sys/kernel/debug/gcov"
#define GCOV_MAGIC	0x67636461
#define TAG_COUNTER	0x01a10000
#define TAG_STEP	0x20000
#define NR_COUNTERS	16
#define MAX_FILES	128
#define MAX_DEPTH	32

struct cov_file {
	char	*path;
	const char *name;
	/* bitmap of the counters that have been nonzero */
	__u64	*seen;
	size_t	nr_words;
	bool	bpf;
};

unsigned int fz_cov_edges;

static struct cov_file files[MAX_FILES];
static unsigned int nr_files;
/* contents of one file at a time */
static char *buf;
static size_t buf_size;

static void add_file(const char *dir, const char *name)
{
	size_t n = strlen(name);
	struct cov_file *f = &files[nr_files];

	if (nr_files == MAX_FILES || n < 5 || strcmp(name + n - 5, ".gcda"))
		return;
	if (asprintf(&f->path, "%s/%s", dir, name) < 0)
		return;
	f->name = strrchr(f->path, '/') + 1;
	f->bpf = !strncmp(f->name, "bpf", 3);
	nr_files++;
}

static void scan(const char *dir, unsigned int depth)
{
	const char *base = strrchr(dir, '/');
	DIR *d = opendir(dir);
	struct dirent *de;
	bool ours = !strcmp(base, "/io_uring");

	while (d && (de = readdir(d))) {
		char *sub;

		/* other hidden directories may contain the build directory */
		if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
			continue;
		if (de->d_type == DT_REG && ours)
			add_file(dir, de->d_name);
		if (de->d_type != DT_DIR || depth == MAX_DEPTH)
			continue;
		if (asprintf(&sub, "%s/%s", dir, de->d_name) < 0)
			continue;
		scan(sub, depth + 1);
		free(sub);
	}
	if (d)
		closedir(d);
}

/* Reset all counters. Return 0 or -errno, -ENOENT if the kernel lacks gcov. */
int fz_cov_init(void)
{
	int fd = open(GCOV_DIR "/reset", O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, "0", 1) != 1)
		ret = -errno;
	close(fd);
	if (ret)
		return ret;
	scan(GCOV_DIR, 0);
	return nr_files ? 0 : -ENOENT;
}

/* Read a file into buf. Return its size, or -errno. */
static ssize_t read_whole(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	for (;;) {
		if (size == buf_size) {
			size_t more = buf_size ? 2 * buf_size : 1 << 18;
			char *p = realloc(buf, more);

			if (!p) {
				n = -ENOMEM;
				break;
			}
			buf = p;
			buf_size = more;
		}
		n = read(fd, buf + size, buf_size - size);
		if (n < 0)
			n = -errno;
		if (n == -EINTR)
			continue;
		if (n <= 0)
			break;
		size += n;
	}
	close(fd);
	return n < 0 ? n : (ssize_t)size;
}

/* Return the major version of gcc. Data files contain "B22*" for gcc 12.2. */
static unsigned int gcc_major(__u32 version)
{
	__u8 a = version >> 24, b = version >> 16;

	return a >= 'A' ? (a - 'A') * 10 + b - '0' : a - '0';
}

static __u32 word(size_t pos)
{
	__u32 v;

	memcpy(&v, buf + pos, sizeof(v));
	return v;
}

/* Mark counter @nr as nonzero. Return 1 if it was zero until now, else 0. */
static int see(struct cov_file *f, size_t nr)
{
	__u64 bit = 1ULL << nr % 64;

	if (nr / 64 >= f->nr_words || (f->seen[nr / 64] & bit))
		return 0;
	f->seen[nr / 64] |= bit;
	return 1;
}

static int read_counters(struct cov_file *f, size_t size)
{
	bool bytes = gcc_major(word(4)) >= 12;
	/* magic, version, stamp, and a checksum since gcc 12 */
	size_t pos = bytes ? 16 : 12, nr = 0, i;
	int fresh = 0;

	while (pos + 8 <= size) {
		__u32 tag = word(pos), kind = tag - TAG_COUNTER;
		/* a negative length: all counters are zero, and omitted */
		__s32 say = word(pos + 4);
		size_t len = (size_t)(say < 0 ? -(__s64)say : say) * (bytes ? 1 : 4);
		size_t have = say < 0 ? 0 : len;

		pos += 8;
		if (have > size - pos)
			break;
		if (kind < NR_COUNTERS * TAG_STEP && kind % TAG_STEP == 0) {
			for (i = 0; i + 8 <= have; i += 8) {
				__u64 v;

				memcpy(&v, buf + pos + i, sizeof(v));
				if (v)
					fresh += see(f, nr + i / 8);
			}
			nr += len / 8;
		}
		pos += have;
	}
	return fresh;
}

/* Return the number of counters of bpf*.c that are nonzero for the first time. */
int fz_cov_new(void)
{
	unsigned int i;
	int fresh = 0;

	for (i = 0; i < nr_files; i++) {
		struct cov_file *f = &files[i];
		ssize_t size;

		if (!f->bpf)
			continue;
		size = read_whole(f->path);
		if (size < 16 || word(0) != GCOV_MAGIC)
			continue;
		if (!f->seen) {
			f->nr_words = size / 8 / 64 + 1;
			f->seen = calloc(f->nr_words, sizeof(*f->seen));
			if (!f->seen)
				f->nr_words = 0;
		}
		fresh += read_counters(f, size);
	}
	fz_cov_edges += fresh;
	return fresh;
}

/* Write buf to a file atomically, so that a crash leaves no partial file. */
static void write_whole(const char *dir, const char *name, size_t size)
{
	char path[512], tmp[520];
	size_t done = 0;
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	while (done < size) {
		n = write(fd, buf + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += n;
	}
	if (close(fd) || done < size || rename(tmp, path))
		unlink(tmp);
}

/* Copy all counters of io_uring to a directory that this process alone uses. */
void fz_cov_save(void)
{
	static char dir[400];
	unsigned int i;

	if (!opt.out)
		return;
	for (i = 1; !*dir && i < 100000; i++) {
		snprintf(dir, sizeof(dir), "%s/gcda.%u", opt.out, i);
		if (!mkdir(dir, 0755))
			break;
		*dir = 0;
		if (errno != EEXIST)
			return;
	}
	for (i = 0; *dir && i < nr_files; i++) {
		ssize_t size = read_whole(files[i].path);

		if (size > 0)
			write_whole(dir, files[i].name, size);
	}
}
