// SPDX-License-Identifier: GPL-2.0
/*
 * Lookups in a file that LMDB has made: 6 reads each, the meta pages and 5 levels of
 * the tree. The arms are those of iou-lookup, and the kernel's loop with the steps
 * of the flow. The file is on a null_blk device, see nullb.c.
 */
#include "loop.h"
#include "apps/lookup/lookup_user.h"
#include "lookup_lmdb.skel.h"

static struct lookup_lmdb *skel;
static struct user_walk walk;
static unsigned int next;

static struct lookup_req *request(const struct bench *b)
{
	return (struct lookup_req *)(b->buf + LOOKUP_REQ);
}

static void print_hex(FILE *f, const void *data, size_t size)
{
	const __u8 *p = data;

	fputc(' ', f);
	while (size--)
		fprintf(f, "%02x", *p++);
	fputc('\n', f);
}

/* By mdb_load: the header of the library may not be installed. */
static void write_file(struct bench *b, const char *path)
{
	__u8 key[BENCH_LOOKUP_KEY] = {};
	char command[4200];
	__u64 value;
	FILE *f;

	snprintf(command, sizeof(command), "mdb_load -n '%s'", path);
	f = popen(command, "w");
	bench_check(b, f);
	fputs("VERSION=3\nformat=bytevalue\ntype=btree\nmapsize=67108864\n"
	      "HEADER=END\n", f);
	for (unsigned int i = 0; i < BENCH_LOOKUPS; i++) {
		bench_lookup_key(key, i);
		value = bench_value(i);
		print_hex(f, key, sizeof(key));
		print_hex(f, &value, sizeof(value));
	}
	fputs("DATA=END\n", f);
	if (pclose(f))
		bench_die(b, "mdb_load has failed");
}

static void copy_to_device(struct bench *b, const char *path)
{
	size_t block = 1 << 20;
	__u8 *buf = aligned_alloc(4096, block);
	int fd = open(path, O_RDONLY);
	off_t off = 0;
	ssize_t len;

	bench_check(b, buf && fd >= 0);
	while ((len = read(fd, buf, block)) > 0) {
		/* whole pages */
		bench_check(b, pwrite(b->fd[0], buf, len, off) == len);
		off += len;
	}
	bench_check(b, off && !len);
	close(fd);
	free(buf);
}

static void db_open(struct bench *b)
{
	char path[4096], lock[4128];

	snprintf(path, sizeof(path), "%s/iou_bench.mdb", b->dir);
	snprintf(lock, sizeof(lock), "%s-lock", path);
	unlink(path);
	write_file(b, path);
	bench_nullb(b, "8");
	copy_to_device(b, path);
	if (unlink(path) || unlink(lock))
		bench_die(b, "cannot remove %s", path);
	bench_alloc(b, BENCH_LOOKUP_AREA);
	bench_register(b, BENCH_LOOKUP_AREA);
	request(b)->key_len = BENCH_LOOKUP_KEY;
	request(b)->room = BENCH_LOOKUP_AREA - LOOKUP_VALUE;
}

static void db_exit(struct bench *b)
{
	bench_nullb_exit(b);
	lookup_lmdb__destroy(skel);
	skel = NULL;
}

static void read_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_read_fixed(sqe, b->fd[0], b->buf, 0, 0, 0);
}

static void lookup_key(struct bench *b)
{
	bench_lookup_key(request(b)->key, bench_lookup(next));
}

static void lookup_check(struct bench *b)
{
	__u64 value = bench_value(bench_lookup(next));

	bench_check(b, request(b)->size == sizeof(value));
	bench_check(b, !memcmp(b->buf + request(b)->off, &value, sizeof(value)));
	next++;
}

static void lookup_begin(struct bench *b, unsigned int slot)
{
	lookup_key(b);
	request(b)->reads = 0;
	bench_check(b, user_begin(&walk, LOOKUP_LMDB, (char *)b->buf) == 1);
}

static void lookup_prep(struct bench *b, unsigned int slot,
			struct io_uring_sqe *sqe)
{
	sqe->addr = (unsigned long)b->buf + walk.to;
	sqe->len = walk.len;
	sqe->off = walk.off;
}

static bool lookup_step(struct bench *b, unsigned int slot, int res)
{
	int ret = user_step(&walk, res);

	bench_check(b, ret >= 0);
	if (!ret)
		lookup_check(b);
	return ret;
}

__BENCH_STEP_LOOP(lookup, true)

static void lookup_pread(struct bench *b, unsigned int ops)
{
	for (; ops; ops--) {
		lookup_begin(b, 0);
		while (lookup_step(b, 0, pread(b->fd[0], b->buf + walk.to,
					       walk.len, walk.off)))
			;
	}
}

/* The program of iou-lookup. Its arguments: the file, the memory and its index. */
static void init_flow(struct bench *b)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flow_size = 1024);

	bench_ring(b, 0);
	b->workload->open(b);
	skel = lookup_lmdb__open_and_load();
	if (!skel)
		bench_die(b, "cannot load the program");
	b->prog = skel->progs.lookup_lmdb;
	b->link = bpf_program__attach_iouring(b->prog, b->ring.ring_fd, &opts);
	if (!b->link)
		bench_die(b, "cannot attach the program");
}

static void lookup_flow(struct bench *b, unsigned int ops)
{
	for (; ops; ops--) {
		lookup_key(b);
		bench_flow(b, sizeof(__u64), b->fd[0], (unsigned long)b->buf, 0, 0);
		lookup_check(b);
	}
}

static const struct bench_arm lookup_arms[] = {
	BENCH_SYSCALL(lookup_pread),
	BENCH_LOOP_KEPT("loop-qd1", lookup_qd1),
	BENCH_LOOP_STEP("loop_step-qd1", "lookup_qd1"),
	{ "flow", .need = NEED_FLOW, .init = init_flow, .run = lookup_flow },
	{}
};

const struct bench_workload bench_lookup_workloads[] = {
	{ "lookup", .ops = BENCH_OPS_BTREE, .need = NEED_NULL_BLK | NEED_LMDB,
	  .arms = lookup_arms, .open = db_open, .prep = read_prep,
	  .exit = db_exit },
	{}
};
