// SPDX-License-Identifier: GPL-2.0
/* The part of a lookup that is not the program: a ring, and memory for each lookup */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
/* of this kernel, and first: liburing brings an older one with the same guard */
#include <linux/io_uring.h>
#include <linux/bpf.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <liburing.h>

#include "lookup.h"
#include "lookup_file.h"
#include "lookup_lmdb.skel.h"
#include "lookup_record.h"
#include "lookup_sqlite.skel.h"
#include "lookup_table.h"
#include "lookup_user.h"

#define PAGE_ALIGN(size)	(((size) + 4095) & ~(size_t)4095)
#define DEFAULT_VALUE		(64 << 10)

struct slot {
	bool			busy;
	/* not LOOKUP_FLOW: has ended with this result, or is to be done */
	bool			ended, waits;
	int			res;
	struct user_walk	walk;
};

struct lookup {
	struct io_uring		ring;
	enum lookup_format	format;
	enum lookup_way		way;
	int			link_fd;
	int			fd;
	/* which holds the locks of the database */
	int			lock_fd;
	char			*mem;
	size_t			slot_size;
	size_t			room;
	unsigned int		nr_slots;
	unsigned int		nr_busy;
	unsigned long		nr_calls, nr_cqes;
	struct slot		*slots;
	/* of LMDB */
	char			name[LOOKUP_MAX_KEY + 1];
	/* of SQLite */
	struct sqlite_file	file;
	uint32_t		root;
};

static char *slot_mem(const struct lookup *l, unsigned int slot)
{
	return l->mem + slot * l->slot_size;
}

int lookup_load(enum lookup_format format)
{
	struct lookup_sqlite *sqlite = NULL;
	struct lookup_lmdb *lmdb = NULL;
	struct bpf_program *prog = NULL;
	int fd;

	if (format == LOOKUP_SQLITE) {
		sqlite = lookup_sqlite__open_and_load();
		prog = sqlite ? sqlite->progs.lookup_sqlite : NULL;
	} else {
		lmdb = lookup_lmdb__open_and_load();
		prog = lmdb ? lmdb->progs.lookup_lmdb : NULL;
	}
	/* the file descriptor keeps the program, whose object goes away */
	fd = prog ? fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 0) : -1;
	if (fd < 0)
		fd = -errno;
	lookup_sqlite__destroy(sqlite);
	lookup_lmdb__destroy(lmdb);
	return fd;
}

static int attach(struct lookup *l, const struct lookup_config *config)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int fd = config->prog_fd ?: lookup_load(l->format);

	if (fd < 0)
		return fd;
	/* sizeof(struct walk), and more does no harm */
	opts.iouring.flow_size = 1024;
	l->link_fd = bpf_link_create(fd, l->ring.ring_fd, BPF_IOURING, &opts);
	if (fd != config->prog_fd)
		close(fd);
	return l->link_fd < 0 ? l->link_fd : 0;
}

/* One registered buffer for each lookup in flight */
static int register_memory(struct lookup *l)
{
	struct iovec *iov = calloc(l->nr_slots, sizeof(*iov));
	int ret;

	if (!iov)
		return -ENOMEM;
	for (unsigned int i = 0; i < l->nr_slots; i++) {
		iov[i].iov_base = slot_mem(l, i);
		iov[i].iov_len = l->slot_size;
	}
	ret = io_uring_register_buffers(&l->ring, iov, l->nr_slots);
	free(iov);
	return ret;
}

static int setup(struct lookup *l, const struct lookup_config *config)
{
	size_t max = config->max_value ?: DEFAULT_VALUE;
	int ret;

	l->nr_slots = config->queue ?: 1;
	if (max > LOOKUP_MAX_VALUE || l->nr_slots > LOOKUP_MAX_QUEUE)
		return -EINVAL;
	/* the header of a value of LMDB takes room, too */
	l->room = PAGE_ALIGN(max + 16);
	l->slot_size = LOOKUP_VALUE + l->room;
	l->slots = calloc(l->nr_slots, sizeof(*l->slots));
	if (!l->slots)
		return -ENOMEM;
	l->mem = mmap(NULL, l->nr_slots * l->slot_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (l->mem == MAP_FAILED)
		return -errno;
	ret = io_uring_queue_init(l->nr_slots, &l->ring, config->ring_flags);
	if (ret)
		return ret;
	ret = register_memory(l);
	return ret || l->way != LOOKUP_FLOW ? ret : attach(l, config);
}

static int set_name(struct lookup *l, const char *name)
{
	if (name && strlen(name) > LOOKUP_MAX_KEY)
		return -ENAMETOOLONG;
	memcpy(l->name, name ?: "", name ? strlen(name) : 0);
	return 0;
}

struct find {
	struct lookup	*l;
	const char	*name;
};

/* Store the root of a table if it has the name. Return 1 if it has. */
static int match_table(struct find *f, const void *record, size_t size)
{
	struct lookup_column type, name, root;
	int ret;

	ret = lookup_column(record, size, 0, &type) ?:
	      lookup_column(record, size, 1, &name) ?:
	      lookup_column(record, size, 3, &root);
	if (ret)
		return -EUCLEAN;
	if (type.type != LOOKUP_TEXT || type.size != 5 || memcmp(type.data, "table", 5) ||
	    name.type != LOOKUP_TEXT || name.size != strlen(f->name) ||
	    strncasecmp(name.data, f->name, name.size))
		return 0;
	/* a virtual table has none */
	if (root.type != LOOKUP_INTEGER || root.integer <= 0 || root.integer > UINT32_MAX)
		return -EOPNOTSUPP;
	f->l->root = root.integer;
	return 1;
}

/* Look up a record of the table of tables, which can be long, like any other. */
static int find_table(void *arg, int64_t rowid)
{
	struct lookup_result r;
	struct find *f = arg;
	int ret;

	ret = lookup_queue(f->l, 0, &rowid, sizeof(rowid)) ?: lookup_wait(f->l, &r);
	ret = ret ?: r.res;
	return ret < 0 ? ret : match_table(f, r.value, r.size);
}

/* The table of tables begins in page 1. */
static int open_sqlite(struct lookup *l, const struct lookup_config *config)
{
	struct find f = { .l = l, .name = config->name };
	int fd, ret;

	if (!config->name)
		return -EINVAL;
	/* the reads of the other one have to be aligned */
	fd = open(config->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = sqlite_header(fd, &l->file) ?: setup(l, config);
	l->root = 1;
	if (!ret && strcasecmp(config->name, "sqlite_schema") &&
	    strcasecmp(config->name, "sqlite_master")) {
		ret = sqlite_tables(fd, &l->file, find_table, &f);
		ret = ret == 1 ? 0 : ret ?: -ENXIO;
	}
	close(fd);
	l->nr_calls = 0;
	l->nr_cqes = 0;
	return ret;
}

int lookup_open(const struct lookup_config *config, struct lookup **lookup)
{
	struct lookup *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return -ENOMEM;
	l->mem = MAP_FAILED;
	l->ring.ring_fd = -1;
	l->link_fd = -1;
	l->way = config->way;
	l->lock_fd = -1;
	l->fd = open(config->path, O_RDONLY | O_CLOEXEC |
		     (config->direct || (config->ring_flags & IORING_SETUP_IOPOLL) ?
		      O_DIRECT : 0));
	ret = l->fd < 0 ? -errno : set_name(l, config->name);
	if (!ret)
		ret = lookup_identify(config->path, &l->format);
	if (!ret && config->format && config->format != l->format)
		ret = -EUCLEAN;
	if (!ret && !config->force)
		ret = lookup_lock(l->format, config->path, &l->lock_fd);
	if (!ret && l->format == LOOKUP_SQLITE)
		ret = open_sqlite(l, config);
	else
		ret = ret ?: setup(l, config);
	if (ret) {
		lookup_close(l);
		return ret;
	}
	*lookup = l;
	return 0;
}

/* Closing the ring ends all lookups in flight. */
void lookup_close(struct lookup *l)
{
	if (l->link_fd >= 0)
		close(l->link_fd);
	if (l->ring.ring_fd >= 0)
		io_uring_queue_exit(&l->ring);
	if (l->mem != MAP_FAILED)
		munmap(l->mem, l->nr_slots * l->slot_size);
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	if (l->fd >= 0)
		close(l->fd);
	free(l->slots);
	free(l);
}

enum lookup_format lookup_format(const struct lookup *l)
{
	return l->format;
}

/* Store the request where the program reads it, too. */
static void fill_req(struct lookup *l, unsigned int slot, const void *key, size_t len)
{
	struct lookup_req *req = (struct lookup_req *)(slot_mem(l, slot) + LOOKUP_REQ);

	memset(req, 0, sizeof(*req));
	req->room = l->room;
	req->key_len = len;
	memcpy(req->key, key, len);
	if (l->format == LOOKUP_SQLITE) {
		req->root = l->root;
		req->page_size = l->file.page_size;
		req->usable = l->file.usable;
	} else {
		req->name_len = strlen(l->name);
		memcpy(req->name, l->name, req->name_len);
	}
}

/* A flow of slot 0 of the ring: the file, the memory and its index */
static void queue_flow(struct lookup *l, unsigned int slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);

	io_uring_prep_rw(IORING_OP_BPF, sqe, -1, slot_mem(l, slot), 0, l->fd);
	sqe->addr3 = slot;
	sqe->user_data = slot;
}

/* Queue the next read of a walk, or note its end. */
static void queue_read(struct lookup *l, unsigned int slot, int ret)
{
	struct slot *s = &l->slots[slot];
	struct io_uring_sqe *sqe;

	if (ret <= 0) {
		s->ended = true;
		s->res = ret ?: s->walk.req->size;
		return;
	}
	sqe = io_uring_get_sqe(&l->ring);
	io_uring_prep_read_fixed(sqe, l->fd, s->walk.mem + s->walk.to, s->walk.len,
				 s->walk.off, slot);
	sqe->user_data = slot;
}

int lookup_queue(struct lookup *l, unsigned int slot, const void *key, size_t len)
{
	struct slot *s;

	if (slot >= l->nr_slots)
		return -EINVAL;
	s = &l->slots[slot];
	if (s->busy)
		return -EBUSY;
	if (len > LOOKUP_MAX_KEY)
		return -ENAMETOOLONG;
	if (l->format == LOOKUP_SQLITE && len != sizeof(int64_t))
		return -EINVAL;
	fill_req(l, slot, key, len);
	/* the ring has an SQE for each slot */
	if (l->way == LOOKUP_FLOW)
		queue_flow(l, slot);
	else if (l->way == LOOKUP_LOOP)
		queue_read(l, slot, user_begin(&s->walk, l->format, slot_mem(l, slot)));
	else
		s->waits = true;
	s->busy = true;
	l->nr_busy++;
	return 0;
}

/* Store a result, and release the slot. */
static int end(struct lookup *l, unsigned int slot, int res, struct lookup_result *result)
{
	const struct lookup_req *req;

	req = (struct lookup_req *)(slot_mem(l, slot) + LOOKUP_REQ);
	*result = (struct lookup_result){
		.slot = slot,
		.res = res,
		.value = slot_mem(l, slot) + req->off,
		.size = req->size,
		.reads = req->reads,
	};
	l->slots[slot].busy = false;
	l->slots[slot].ended = false;
	l->slots[slot].waits = false;
	l->nr_busy--;
	return 0;
}

/* Do what is left to do of a lookup without io_uring. */
static int walk_pread(struct lookup *l, struct slot *s, char *mem)
{
	struct user_walk *w = &s->walk;
	int ret = user_begin(w, l->format, mem);
	ssize_t len;

	while (ret > 0) {
		l->nr_calls++;
		len = pread(l->fd, mem + w->to, w->len, w->off);
		ret = user_step(w, len < 0 ? -errno : len);
	}
	return ret ?: w->req->size;
}

/* Return the first slot with a walk that has ended or, by pread(2), can be done now. */
static bool walk_ended(struct lookup *l, unsigned int *slot)
{
	for (unsigned int i = 0; i < l->nr_slots; i++) {
		struct slot *s = &l->slots[i];

		if (s->waits)
			s->res = walk_pread(l, s, slot_mem(l, i));
		*slot = i;
		if (s->waits || s->ended)
			return true;
	}
	return false;
}

/* Get a CQE. If there is none, submit what is queued, and wait. */
static int wait_cqe(struct lookup *l, unsigned int *slot, int *res)
{
	struct io_uring_cqe *cqe;
	int ret;

	/* not io_uring_peek_cqe(), which polls with IORING_SETUP_IOPOLL */
	while (!io_uring_cq_ready(&l->ring)) {
		l->nr_calls++;
		ret = io_uring_submit_and_wait(&l->ring, 1);
		if (ret < 0 && ret != -EINTR)
			return ret;
	}
	ret = io_uring_peek_cqe(&l->ring, &cqe);
	if (ret)
		return ret;
	*slot = cqe->user_data;
	*res = cqe->res;
	io_uring_cqe_seen(&l->ring, cqe);
	l->nr_cqes++;
	return 0;
}

int lookup_wait(struct lookup *l, struct lookup_result *result)
{
	unsigned int slot;
	int ret, res;

	if (!l->nr_busy)
		return -EAGAIN;
	while (l->way == LOOKUP_FLOW || !walk_ended(l, &slot)) {
		ret = wait_cqe(l, &slot, &res);
		if (ret)
			return ret;
		if (l->way == LOOKUP_FLOW)
			return end(l, slot, res, result);
		queue_read(l, slot, user_step(&l->slots[slot].walk, res));
	}
	return end(l, slot, l->slots[slot].res, result);
}

unsigned long lookup_nr_calls(const struct lookup *l)
{
	return l->nr_calls;
}

unsigned long lookup_nr_cqes(const struct lookup *l)
{
	return l->nr_cqes;
}
