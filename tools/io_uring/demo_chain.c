// SPDX-License-Identifier: GPL-2.0
/*
 * Part two: write the data of a pipe, which arrives in pieces, to a file as a
 * whole, by READ -> BPF -> WRITE and by READ -> WRITE.
 */
#include "demo.h"

#include <pthread.h>

#include "demo.skel.h"

#define READ	0x4eadULL
#define FLOW	0xf10aULL
#define WRITE	0x3417eULL

struct source {
	pthread_t	thread;
	int		pipe[2];
	char		data[DEMO_WANTED];
};

static void *source_fn(void *arg)
{
	const int pieces[] = DEMO_PIECES;
	struct source *source = arg;
	char *pos = source->data;

	for (int i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		/* so that each piece is read before the next one arrives */
		usleep(20000);
		if (write(source->pipe[1], pos, pieces[i]) != pieces[i])
			break;
		pos += pieces[i];
	}
	return NULL;
}

static int source_start(struct source *source)
{
	int ret;

	if (pipe2(source->pipe, O_CLOEXEC))
		return -errno;
	for (int i = 0; i < DEMO_WANTED; i++)
		source->data[i] = i * 7 + (i >> 8);
	ret = pthread_create(&source->thread, NULL, source_fn, source);
	if (!ret)
		return 0;
	close(source->pipe[0]);
	close(source->pipe[1]);
	return -ret;
}

static void source_stop(struct source *source)
{
	pthread_join(source->thread, NULL);
	close(source->pipe[0]);
	close(source->pipe[1]);
}

static void queue_chain(struct io_uring *ring, int in, int out, char *buf,
			bool with_flow)
{
	struct io_uring_sqe *sqe;

	sqe = demo_queue_rw(ring, IORING_OP_READ, in, buf, DEMO_WANTED, 0, READ);
	sqe->flags = IOSQE_IO_LINK;
	if (with_flow) {
		sqe = iou_get_sqe(ring);
		iou_prep_bpf(sqe, 0, in, (unsigned long)buf, DEMO_WANTED, 0);
		sqe->user_data = FLOW;
		/* the success of the write implies that of the read */
		sqe->flags = IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	}
	demo_queue_rw(ring, IORING_OP_WRITE, out, buf, DEMO_WANTED, 0, WRITE);
}

/* Wait for the CQE of the write, which is the last one in both variants. */
static int run_chain(struct io_uring *ring, struct demo_chain *chain)
{
	struct io_uring_cqe *cqe;
	bool written = false;
	unsigned int head, nr;
	int ret;

	while (!written) {
		ret = demo_enter(ring, &chain->stats);
		if (ret)
			return ret;
		nr = 0;
		io_uring_for_each_cqe(ring, head, cqe) {
			if (cqe->user_data == WRITE) {
				chain->write_res = cqe->res;
				written = true;
			} else if (cqe->user_data == READ) {
				chain->read_res = cqe->res;
			}
			nr++;
		}
		io_uring_cq_advance(ring, nr);
		chain->stats.cqes += nr;
	}
	return 0;
}

/* Return true if the file has the data of the source. */
static bool arrived(FILE *file, const struct source *source)
{
	char data[DEMO_WANTED];

	return fread(data, 1, sizeof(data), file) == sizeof(data) &&
	       !memcmp(data, source->data, sizeof(data));
}

static int chain_on_ring(struct demo *skel, struct demo_chain *chain,
			 struct io_uring *ring, FILE *out)
{
	static char buf[DEMO_WANTED];
	struct bpf_link *link = NULL;
	struct source source;
	int ret;

	if (skel) {
		skel->bss->nr_runs = 0;
		link = bpf_program__attach_iouring(skel->progs.demo_fill,
						   ring->ring_fd, NULL);
		if (!link)
			return -errno;
	}
	ret = source_start(&source);
	if (!ret) {
		queue_chain(ring, source.pipe[0], fileno(out), buf, skel);
		ret = run_chain(ring, chain);
		source_stop(&source);
	}
	bpf_link__destroy(link);

	if (chain->write_res > 0)
		chain->stats.bytes = chain->write_res;
	chain->stats.ok = !ret && arrived(out, &source);
	chain->stats.runs = skel ? skel->bss->nr_runs : 0;
	return ret;
}

int demo_chain(struct demo *skel, struct demo_chain *chain)
{
	struct io_uring ring;
	FILE *out;
	int ret;

	out = tmpfile();
	if (!out)
		return -errno;
	ret = io_uring_queue_init(DEMO_ENTRIES, &ring, IOU_DEFER);
	if (!ret) {
		ret = chain_on_ring(skel, chain, &ring, out);
		io_uring_queue_exit(&ring);
	}
	fclose(out);
	return ret;
}
