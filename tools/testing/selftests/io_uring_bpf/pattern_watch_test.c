// SPDX-License-Identifier: GPL-2.0
/* Patterns that watch the requests of an application which knows nothing of BPF */
#define PATTERNS "quiet count whole"
#include "pattern.h"

#include <sys/socket.h>

#define OTHER	0x07e4ULL

FIXTURE(pattern_watch) {
	struct io_uring ring;
	int pipe[2];
	char buf[64];
	int link;
	int counts;	/* the map, which root has opened */
};

IOU_RING_VARIANTS(pattern_watch);

FIXTURE_SETUP(pattern_watch)
{
	PATTERN_REQUIRE();
	ASSERT_EQ(0, pipe(self->pipe));
	self->counts = bpf_obj_get(IOU_PATTERNS_DIR "/count_map");
	ASSERT_LE(0, self->counts);
	ASSERT_EQ(0, pattern_drop(NOBODY));
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(pattern_watch)
{
	close(self->link);
	io_uring_queue_exit(&self->ring);
}

#define watch(name, opcode, user_data, mask) do {			\
	self->link = iou_pattern_watch(self->ring.ring_fd, SLOT, name, opcode,\
				       user_data, mask);		\
	ASSERT_LE(0, self->link);					\
} while (0)

#define submit_nop(res) do {						\
	iou_prep_nop(iou_get_sqe(&self->ring), res, 0, APP);		\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

#define submit_write(fd, len, data) do {				\
	iou_prep_write(iou_get_sqe(&self->ring), fd, self->buf, len, 0, data);\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

TEST_F(pattern_watch, quiet)
{
	watch("quiet", -1, 0, 0);
	submit_nop(0);
	submit_write(self->pipe[1], 64, APP);
	ASSERT_NO_CQE(&self->ring);
	/* a failure, a value */
	submit_nop(-EIO);
	ASSERT_CQE(&self->ring, APP, -EIO);
	submit_nop(3);
	ASSERT_CQE(&self->ring, APP, 3);
	submit_write(self->pipe[0], 64, APP);
	ASSERT_CQE(&self->ring, APP, -EBADF);
}

/* A short transfer is told. */
TEST_F(pattern_watch, quiet_short)
{
	watch("quiet", -1, 0, 0);
	ASSERT_EQ(20, write(self->pipe[1], self->buf, 20));
	for (int i = 0; i < 2; i++) {
		iou_prep_read(iou_get_sqe(&self->ring), self->pipe[0], self->buf, 16, 0,
			      APP);
		ASSERT_EQ(1, iou_submit(&self->ring));
	}
	ASSERT_CQE(&self->ring, APP, 4);
	ASSERT_NO_CQE(&self->ring);
}

/* The filter is that of the user. */
TEST_F(pattern_watch, quiet_filter)
{
	watch("quiet", IORING_OP_WRITE, OTHER, ~0ULL);
	submit_nop(0);
	ASSERT_CQE(&self->ring, APP, 0);
	submit_write(self->pipe[1], 8, APP);
	ASSERT_CQE(&self->ring, APP, 8);
	submit_write(self->pipe[1], 8, OTHER);
	ASSERT_NO_CQE(&self->ring);
}

/* of count.bpf.c */
static __u64 count_of(int map, unsigned int opcode, unsigned int class)
{
	int nr = libbpf_num_possible_cpus();
	__u32 key = opcode * 64 + class;
	__u64 values[nr], sum = 0;

	if (bpf_map_lookup_elem(map, &key, values))
		return ~0ULL;
	for (int i = 0; i < nr; i++)
		sum += values[i];
	return sum;
}

TEST_F(pattern_watch, count)
{
	static const struct {
		int res;
		unsigned int class;
	} cases[] = {
		{ 0, 0 }, { 1, 1 }, { 2, 2 }, { 3, 2 }, { 4, 3 }, { 7, 3 }, { 8, 4 },
		{ 4095, 12 }, { 4096, 13 }, { 65535, 16 }, { 65536, 17 }, { INT_MAX, 31 },
		{ -EAGAIN, 32 }, { -EINTR, 33 }, { -ECANCELED, 34 }, { -EIO, 35 },
	};

	watch("count", -1, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		__u64 nr = count_of(self->counts, IORING_OP_NOP, cases[i].class);

		submit_nop(cases[i].res);
		ASSERT_CQE(&self->ring, APP, cases[i].res);
		ASSERT_EQ(nr + 1, count_of(self->counts, IORING_OP_NOP, cases[i].class)) {
			TH_LOG("result %d", cases[i].res);
		}
	}
}

/* Two patterns that watch: count in a lower slot leaves the verdict to quiet. */
TEST_F(pattern_watch, count_and_quiet)
{
	__u64 nr = count_of(self->counts, IORING_OP_NOP, 0);

	watch("count", -1, 0, 0);
	ASSERT_LE(0, iou_pattern_watch(self->ring.ring_fd, SLOT + 1, "quiet", -1, 0, 0));
	submit_nop(0);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(nr + 1, count_of(self->counts, IORING_OP_NOP, 0));
}

#define submit_read(len) do {						\
	iou_prep_read(iou_get_sqe(&self->ring), self->pipe[0], self->buf, len, 0, APP);\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

/* One CQE for a message that arrives in parts */
TEST_F(pattern_watch, whole)
{
	watch("whole", -1, 0, 0);
	submit_read(16);
	for (int i = 0; i < 4; i++) {
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(4, write(self->pipe[1], "0123456789abcdef" + 4 * i, 4));
	}
	ASSERT_CQE(&self->ring, APP, 16);
	ASSERT_EQ(0, memcmp(self->buf, "0123456789abcdef", 16));
	ASSERT_NO_CQE(&self->ring);
}

/* The end of the stream ends a read, and an error does. */
TEST_F(pattern_watch, whole_end)
{
	watch("whole", -1, 0, 0);
	submit_read(16);
	ASSERT_EQ(4, write(self->pipe[1], self->buf, 4));
	ASSERT_NO_CQE(&self->ring);
	close(self->pipe[1]);
	ASSERT_CQE(&self->ring, APP, 4);
	submit_read(16);
	ASSERT_CQE(&self->ring, APP, 0);
	submit_write(self->pipe[0], 64, APP);
	ASSERT_CQE(&self->ring, APP, -EBADF);
}

/* A receive that does not wait */
TEST_F(pattern_watch, whole_retries)
{
	int sock[2];

#define submit_recv() do {						\
	struct io_uring_sqe *__sqe = iou_get_sqe(&self->ring);		\
									\
	io_uring_prep_recv(__sqe, sock[0], self->buf, 16, MSG_DONTWAIT);\
	__sqe->user_data = APP;						\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
} while (0)

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	submit_recv();
	ASSERT_CQE(&self->ring, APP, -EAGAIN);
	watch("whole", IORING_OP_RECV, 0, 0);
	submit_recv();
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(16, write(sock[1], "0123456789abcdef", 16));
	ASSERT_CQE(&self->ring, APP, 16);
	ASSERT_EQ(0, memcmp(self->buf, "0123456789abcdef", 16));
	close(sock[0]);
	close(sock[1]);
}

/* What is not continued posts its CQE: a member of a chain, a request without a length. */
TEST_F(pattern_watch, whole_not)
{
	struct io_uring_sqe *sqe;

	watch("whole", -1, 0, 0);
	ASSERT_EQ(4, write(self->pipe[1], self->buf, 4));
	sqe = iou_get_sqe(&self->ring);
	iou_prep_read(sqe, self->pipe[0], self->buf, 16, 0, APP);
	sqe->flags = IOSQE_IO_LINK;
	iou_prep_nop(iou_get_sqe(&self->ring), 0, 0, OTHER);
	ASSERT_EQ(2, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 4);
	ASSERT_CQE(&self->ring, OTHER, -ECANCELED);
	submit_nop(-EAGAIN);
	ASSERT_CQE(&self->ring, APP, -EAGAIN);
	ASSERT_NO_CQE(&self->ring);
}

/* As flows, they refuse to work. */
TEST_F(pattern_watch, not_flows)
{
	PATTERN_ATTACH("quiet");
	PATTERN_REFUSES({ { 0, 0, 0, 0 } });
	close(self->link);
	PATTERN_ATTACH("count");
	PATTERN_REFUSES({ { 0, 0, 0, 0 } });
	close(self->link);
	PATTERN_ATTACH("whole");
	PATTERN_REFUSES({ { 0, 0, 0, 0 } });
}

TEST_F(pattern_watch, wrong_opcode)
{
	ASSERT_EQ(-EINVAL, iou_pattern_watch(self->ring.ring_fd, SLOT, "quiet", 128, 0, 0));
	ASSERT_EQ(-EINVAL, iou_pattern_watch(self->ring.ring_fd, SLOT, "quiet", 127, 0, 0));
}

TEST_HARNESS_MAIN
