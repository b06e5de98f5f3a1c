// SPDX-License-Identifier: GPL-2.0
/* The application's side of group commit */
#include "iou_bpf.h"
#include "format.h"
#include "writer.h"
#include "iou_log.skel.h"

#include <endian.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#define ENTRIES		8
/* of CQEs: no group needs one, see log_report() of the program */
#define MAX_CQES	16

struct log_writer {
	struct io_uring		ring;
	bool			has_ring;
	struct iou_log		*skel;
	struct bpf_link		*link;
	struct log_shared	*shared;
	int			fd;
	int			event_fd;
	/* what the flow reads from event_fd */
	uint64_t		event;
	char			*buf;		/* LOG_RING bytes, and a block of zeroes */
	char			*group;
	struct log_stats	stats;
	uint64_t		recovered;
	uint64_t		durable;
	uint64_t		writer;		/* a random number */
	uint64_t		off;

	/* protects all below, and the words of the application in @shared */
	pthread_mutex_t		lock;
	/* there may be more room, or the log has failed */
	pthread_cond_t		room;
	struct log_pos		pos;
	uint32_t		bytes;		/* put into the ring, modulo 2^32 */
	uint32_t		nr;
	bool			ended;
	int			err;
};

/* Sync the folder of a new file, or a crash can remove the file with all its records. */
static int sync_folder(const char *path)
{
	char copy[PATH_MAX];
	int fd, ret;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

/*
 * The lock belongs to the open file, which each request in flight holds. So the lock of a
 * writer that was killed is held until its last write has ended, and no such write can hit
 * the file after its end was looked for.
 */
static int open_file(struct log_writer *w, const char *path, bool buffered)
{
	int flags = O_RDWR | O_CLOEXEC | O_CREAT | (buffered ? 0 : O_DIRECT);
	struct stat st;

	w->fd = open(path, flags, 0644);
	if (w->fd < 0)
		return -errno;
	while (flock(w->fd, LOCK_EX))
		if (errno != EINTR)
			return -errno;
	if (fstat(w->fd, &st))
		return -errno;
	/* the writer that created the file may not have lived until here */
	return S_ISREG(st.st_mode) && !st.st_size ? sync_folder(path) : 0;
}

static int find_end(struct log_writer *w, int fd)
{
	struct log_record rec;
	struct log_reader r;
	const char *data;
	int ret;

	ret = log_reader_init(&r, fd);
	if (ret)
		return ret;
	do {
		ret = log_read_next(&r, &rec, &data);
	} while (ret > 0);
	w->pos = r.pos;
	log_reader_free(&r);
	return ret;
}

/*
 * Sync the log, as the previous writer may have been killed before its last sync, and find
 * the end. The page cache is written back but not read: after a failed sync, it can contain
 * records that are not on disk and that no further sync writes.
 */
static int recover(struct log_writer *w)
{
	char self[32];
	int fd, ret;

	if (fsync(w->fd))
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", w->fd);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_DIRECT);
	if (fd < 0)
		return -errno;
	ret = find_end(w, fd);
	close(fd);
	if (ret)
		return ret;
	w->recovered = w->pos.seq;
	w->off = (w->pos.off + LOG_BLOCK - 1) / LOG_BLOCK * LOG_BLOCK;
	return 0;
}

static int init_buffers(struct log_writer *w)
{
	size_t size = LOG_RING + LOG_BLOCK;
	struct iovec iov[2];

	w->buf = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (w->buf == MAP_FAILED) {
		w->buf = NULL;
		return -errno;
	}
	w->group = w->buf + size;
	iov[LOG_BUF_RING] = (struct iovec){ w->buf, size };
	iov[LOG_BUF_GROUP] = (struct iovec){ w->group, size };
	return io_uring_register_buffers(&w->ring, iov, 2);
}

static int init_ring(struct log_writer *w)
{
	struct io_uring_params p = {
		.flags = IOU_DEFER | IORING_SETUP_CQSIZE,
		.cq_entries = MAX_CQES,
	};
	int ret;

	ret = io_uring_queue_init_params(ENTRIES, &w->ring, &p);
	if (ret)
		return ret;
	w->has_ring = true;
	ret = init_buffers(w);
	if (ret)
		return ret;
	w->event_fd = eventfd(0, EFD_CLOEXEC);
	return w->event_fd < 0 ? -errno : 0;
}

/* The memory of a flow is that of struct log_flow, which only the program knows. */
#define FLOW_SIZE	64

static int init_prog(struct log_writer *w, const struct log_options *opts)
{
	LIBBPF_OPTS(bpf_iouring_opts, lopts, .flow_size = FLOW_SIZE);
	struct log_config *c;
	int ret;

	w->skel = iou_log__open();
	if (!w->skel)
		return -errno;
	c = (struct log_config *)&w->skel->rodata->config;
	c->records = opts->records;
	c->wait_ns = opts->wait_ms * 1000000ULL;
	c->fault = opts->fault;
	c->fd = w->fd;
	c->event_fd = w->event_fd;
	c->event = (uintptr_t)&w->event;
	c->group = (uintptr_t)w->group;
	ret = iou_log__load(w->skel);
	if (ret)
		return ret;
	w->shared = &w->skel->bss->shared;
	w->link = bpf_program__attach_iouring(w->skel->progs.iou_log, w->ring.ring_fd,
					      &lopts);
	return w->link ? 0 : -errno;
}

static int start(struct log_writer *w)
{
	struct io_uring_sqe *sqe = iou_queue_bpf(&w->ring, 0, 0);
	int ret;

	sqe->off = w->off;
	ret = io_uring_submit(&w->ring);
	return ret < 0 ? ret : 0;
}

int log_open(struct log_writer **writer, const char *path, const struct log_options *opts)
{
	struct log_writer *w = calloc(1, sizeof(*w));
	int ret;

	*writer = w;
	if (!w)
		return -ENOMEM;
	w->fd = -1;
	w->event_fd = -1;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->room, NULL);
	if (getrandom(&w->writer, sizeof(w->writer), 0) != sizeof(w->writer))
		return -EIO;
	ret = open_file(w, path, opts->buffered);
	ret = ret ?: recover(w);
	ret = ret ?: init_ring(w);
	ret = ret ?: init_prog(w, opts);
	return ret ?: start(w);
}

/* Make the flow look at the words in @shared. */
static void kick(struct log_writer *w)
{
	uint64_t one = 1;

	w->stats.wakeups++;
	/* fails only if the flow has not looked for 2^64 times */
	if (write(w->event_fd, &one, sizeof(one)) < 0)
		w->stats.wakeups--;
}

/* Copy to the ring at its end, which moves. */
static void ring_put(struct log_writer *w, const void *src, uint32_t len)
{
	uint32_t at = w->bytes % LOG_RING;
	uint32_t n = len < LOG_RING - at ? len : LOG_RING - at;

	memcpy(w->buf + at, src, n);
	memcpy(w->buf, src + n, len - n);
	w->bytes += len;
}

/* Wait until the ring has room for @len bytes. Return the error of the log. */
static int wait_for_room(struct log_writer *w, uint32_t len)
{
	while (!w->ended) {
		if (w->bytes - __atomic_load_n(&w->shared->taken, __ATOMIC_ACQUIRE) + len <=
		    LOG_RING)
			return 0;
		if (w->shared->urgent != w->nr) {
			__atomic_store_n(&w->shared->urgent, w->nr, __ATOMIC_SEQ_CST);
			kick(w);
		}
		pthread_cond_wait(&w->room, &w->lock);
	}
	return w->err ?: -EPIPE;
}

int log_append(struct log_writer *w, const void *data, uint32_t len)
{
	struct log_record rec = { .len = htole32(len), .writer = w->writer };
	int ret;

	if (len > LOG_MAX_DATA)
		return -E2BIG;
	pthread_mutex_lock(&w->lock);
	ret = wait_for_room(w, sizeof(rec) + len);
	if (ret)
		goto out;
	rec.seq = htole64(++w->pos.seq);
	w->pos.sum = log_seal(&rec, data, w->pos.sum);
	ring_put(w, &rec, sizeof(rec));
	ring_put(w, data, len);
	w->nr++;
	__atomic_store_n(&w->shared->tail, (uint64_t)w->bytes << 32 | w->nr,
			 __ATOMIC_SEQ_CST);
	/* the flow sets "want" first, and looks at the tail then */
	if (w->nr == __atomic_load_n(&w->shared->want, __ATOMIC_SEQ_CST))
		kick(w);
out:
	pthread_mutex_unlock(&w->lock);
	return ret;
}

void log_finish(struct log_writer *w)
{
	pthread_mutex_lock(&w->lock);
	__atomic_store_n(&w->shared->closing, 1, __ATOMIC_SEQ_CST);
	kick(w);
	pthread_mutex_unlock(&w->lock);
}

/* Consume all CQEs. Return true if one was that of the end of the flow. */
static bool reap(struct log_writer *w, int *res)
{
	struct io_uring_cqe *cqe;
	unsigned int head, nr = 0;
	bool ended = false;

	io_uring_for_each_cqe(&w->ring, head, cqe) {
		nr++;
		if (cqe->flags & IORING_CQE_F_MORE)
			continue;
		*res = cqe->res;
		ended = true;
	}
	io_uring_cq_advance(&w->ring, nr);
	w->stats.cqes += nr;
	return ended;
}

static void wake_appenders(struct log_writer *w, bool ended, int err)
{
	pthread_mutex_lock(&w->lock);
	w->ended = ended;
	w->err = err;
	pthread_cond_broadcast(&w->room);
	pthread_mutex_unlock(&w->lock);
}

int log_wait(struct log_writer *w, uint64_t *durable)
{
	uint64_t before = w->durable;
	int ret, res = 0;
	bool ended;

	while (!w->ended) {
		w->stats.enters++;
		ret = io_uring_submit_and_wait(&w->ring, 1);
		if (ret < 0 && ret != -EINTR) {
			wake_appenders(w, true, ret);
			return ret;
		}
		ended = reap(w, &res);
		wake_appenders(w, ended, res);
		/* after the CQEs were consumed, so that none can be missing for this */
		w->durable = __atomic_load_n(&w->shared->durable, __ATOMIC_SEQ_CST);
		if (w->durable != before)
			break;
	}
	*durable = w->recovered + w->durable;
	/* what is durable comes before an error */
	return w->durable != before ? 1 : w->err;
}

uint64_t log_recovered(const struct log_writer *w)
{
	return w->recovered;
}

const char *log_failure(const struct log_writer *w)
{
	switch (w->shared->failed) {
	case LOG_WRITE:
		return "write";
	case LOG_SYNC:
		return "sync";
	}
	return "log";
}

void log_get_stats(const struct log_writer *w, struct log_stats *stats)
{
	*stats = w->stats;
	stats->records = w->shared->durable;
	stats->groups = w->shared->groups;
}

void log_free(struct log_writer *w)
{
	if (!w)
		return;
	bpf_link__destroy(w->link);
	iou_log__destroy(w->skel);
	if (w->has_ring)
		io_uring_queue_exit(&w->ring);
	if (w->buf)
		munmap(w->buf, 2 * (LOG_RING + LOG_BLOCK));
	if (w->event_fd >= 0)
		close(w->event_fd);
	if (w->fd >= 0)
		close(w->fd);
	pthread_cond_destroy(&w->room);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
