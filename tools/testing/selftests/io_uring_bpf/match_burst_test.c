// SPDX-License-Identifier: GPL-2.0
/*
 * A multishot receive that finds a lot of data: one wait for CQEs on a ring with a
 * program gets as many as a wait on a ring without programs.
 *
 * io_recv() receives up to 33 times, and then requeues the request as local work. A wait
 * runs up to 20 entries of local work (IO_LOCAL_TW_DEFAULT_MAX), whatever number of CQEs
 * it is for, and those that are added meanwhile are among them. So the 200 messages of
 * the test, 7 entries, come with one system call. A wait that looks at the number of CQEs
 * after each entry ends with 33 of them.
 */
#include "iou_bpf.h"

#include <sys/socket.h>

#include "kselftest_harness.h"
#include "match.skel.h"

#define RECV		0x4ec7ULL
#define GROUP		5
#define NR_MSGS		200
#define NR_BUFS		256
#define MSG_LEN		16
/* one entry of local work */
#define TOLERANCE	32

FIXTURE(match_burst) {
	struct match *skel;
	struct io_uring_buf_ring *buf_ring;
};

/* the program of the ring */
enum {
	WATCH_PLAIN,
	/* matches no request of the test */
	WATCH_OTHER,
	/* not plain */
	WATCH_STATE,
	/* no flow is ever submitted */
	STEER,
};

FIXTURE_VARIANT(match_burst) {
	int what;
};

FIXTURE_VARIANT_ADD(match_burst, plain) { .what = WATCH_PLAIN };
FIXTURE_VARIANT_ADD(match_burst, other) { .what = WATCH_OTHER };
FIXTURE_VARIANT_ADD(match_burst, state) { .what = WATCH_STATE };
FIXTURE_VARIANT_ADD(match_burst, steer) { .what = STEER };

IOU_LOAD_ONCE(match);

FIXTURE_SETUP(match_burst)
{
	IOU_REQUIRE();
	self->skel = match_get();
	ASSERT_NE(NULL, self->skel);
	ASSERT_EQ(0, posix_memalign((void **)&self->buf_ring, 4096,
				    NR_BUFS * sizeof(struct io_uring_buf)));
}

FIXTURE_TEARDOWN(match_burst)
{
	free(self->buf_ring);
}

static struct bpf_link *attach(FIXTURE_DATA(match_burst) *self,
			       const FIXTURE_VARIANT(match_burst) *variant,
			       struct io_uring *ring)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts);
	struct bpf_program *prog = self->skel->progs.match_plain;

	if (variant->what != STEER)
		opts.flags = BPF_F_IOURING_MATCH;
	else
		prog = self->skel->progs.match_flow;
	if (variant->what == WATCH_OTHER) {
		opts.user_data = RECV + 1;
		opts.user_data_mask = ~0ULL;
	} else if (variant->what == WATCH_STATE) {
		prog = self->skel->progs.match_as_told;
	}
	return bpf_program__attach_iouring(prog, ring->ring_fd, &opts);
}

static int provide(FIXTURE_DATA(match_burst) *self, struct io_uring *ring)
{
	struct io_uring_buf_reg reg = {
		.ring_addr	= (unsigned long)self->buf_ring,
		.ring_entries	= NR_BUFS,
		.bgid		= GROUP,
	};
	static char bufs[NR_BUFS][MSG_LEN];

	memset(self->buf_ring, 0, NR_BUFS * sizeof(struct io_uring_buf));
	io_uring_buf_ring_init(self->buf_ring);
	for (int i = 0; i < NR_BUFS; i++)
		io_uring_buf_ring_add(self->buf_ring, bufs[i], MSG_LEN, i,
				      io_uring_buf_ring_mask(NR_BUFS), i);
	io_uring_buf_ring_advance(self->buf_ring, NR_BUFS);
	return iou_register(ring, IORING_REGISTER_PBUF_RING, &reg, 1);
}

/* Take all CQEs of the ring. Return their number, or -1 if one is wrong. */
static int take_all(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned int head;
	int nr = 0;

	io_uring_for_each_cqe(ring, head, cqe) {
		if (cqe->user_data != RECV || cqe->res != MSG_LEN ||
		    !(cqe->flags & IORING_CQE_F_MORE))
			return -1;
		nr++;
	}
	io_uring_cq_advance(ring, nr);
	return nr;
}

/*
 * Receive all messages, which have arrived before the wait. Return how many CQEs the
 * first wait for @min_complete of them got, or -1.
 */
static int receive(FIXTURE_DATA(match_burst) *self,
		   const FIXTURE_VARIANT(match_burst) *variant, bool with_prog,
		   unsigned int min_complete)
{
	static const char data[NR_MSGS * MSG_LEN];
	struct bpf_link *link = NULL;
	struct io_uring_sqe *sqe;
	int pair[2], first, all;
	struct io_uring ring;

	if (iou_ring_init_size(&ring, IOU_DEFER, 8, 2 * NR_BUFS) ||
	    provide(self, &ring) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	if (with_prog) {
		link = attach(self, variant, &ring);
		if (!link)
			return -1;
	}
	sqe = iou_get_sqe(&ring);
	sqe->opcode = IORING_OP_RECV;
	sqe->fd = pair[0];
	sqe->ioprio = IORING_RECV_MULTISHOT;
	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	sqe->user_data = RECV;
	/* the request waits for data by then */
	if (io_uring_submit(&ring) != 1 ||
	    write(pair[1], data, sizeof(data)) != sizeof(data))
		return -1;
	io_uring_enter(ring.ring_fd, 0, min_complete, IORING_ENTER_GETEVENTS, NULL);
	first = take_all(&ring);

	all = first;
	while (first >= 0 && all < NR_MSGS) {
		int nr;

		io_uring_enter(ring.ring_fd, 0, 0, IORING_ENTER_GETEVENTS, NULL);
		nr = take_all(&ring);
		if (nr <= 0)
			return -1;
		all += nr;
	}
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
	close(pair[0]);
	close(pair[1]);
	return all == NR_MSGS ? first : -1;
}

static void compare(struct __test_metadata *_metadata,
		    FIXTURE_DATA(match_burst) *self,
		    const FIXTURE_VARIANT(match_burst) *variant,
		    unsigned int min_complete)
{
	int without = receive(self, variant, false, min_complete);
	bool seen;
	int with;

	ASSERT_LT(2 * TOLERANCE, without);
	with = receive(self, variant, true, min_complete);
	ASSERT_LE(without, with + TOLERANCE) {
		TH_LOG("%d CQEs without a program, %d with one", without, with);
	}
	seen = variant->what == WATCH_PLAIN || variant->what == WATCH_STATE;
	ASSERT_EQ(seen ? NR_MSGS : 0, self->skel->bss->nr_events);
	ASSERT_EQ(0, self->skel->bss->nr_flow);
}

TEST_F(match_burst, wait_for_one)
{
	compare(_metadata, self, variant, 1);
}

TEST_F(match_burst, get_events)
{
	compare(_metadata, self, variant, 0);
}

TEST_HARNESS_MAIN
