// SPDX-License-Identifier: GPL-2.0
/* Copies between registered buffers, and within one */
#include "buf.h"

#define MAX_MOVE	(64 * 1024)
#define LARGE		(2 * MAX_MOVE)
/* where buffer 1 begins, relative to a page */
#define SKEW		100

/* a copy of what the buffers have to contain */
static __u8 want[2][SIZE];
static __u8 other[SIZE + PAGE] __attribute__((aligned(PAGE)));
static __u8 *const second = other + SKEW;

static void fill_both(FIXTURE_DATA(buf) *self)
{
	buf_fill(self->mem, SIZE);
	for (int i = 0; i < SIZE; i++)
		second[i] = ~buf_byte(i);
	memcpy(want[0], self->mem, SIZE);
	memcpy(want[1], second, SIZE);
}

static struct buf_move *add_move(FIXTURE_DATA(buf) *self, __u32 dst_index, __u64 dst,
				 __u32 src_index, __u64 src, __u32 size)
{
	struct buf_move *m = &self->skel->bss->moves[self->skel->bss->nr_moves++];

	*m = (struct buf_move) {
		.dst = dst, .src = src, .dst_index = dst_index,
		.src_index = src_index, .size = size, .ret = 1,
	};
	return m;
}

#define setup_both() do {						\
	ASSERT_EQ(0, buf_register(self, self->mem, SIZE));		\
	ASSERT_EQ(1, buf_update(self, 1, second, SIZE));		\
	fill_both(self);						\
	buf_attach("buf_move");						\
} while (0)

/* Run all copies, which return @_ret, and check both buffers. */
#define run_moves(_ret) do {						\
	buf_run();							\
	for (__u32 __n = 0; __n < self->skel->bss->nr_moves; __n++) {	\
		ASSERT_EQ(_ret, self->skel->bss->moves[__n].ret) {	\
			TH_LOG("copy %u", __n);				\
		}							\
	}								\
	self->skel->bss->nr_moves = 0;					\
	ASSERT_EQ(0, memcmp(want[0], self->mem, SIZE));			\
	ASSERT_EQ(0, memcmp(want[1], second, SIZE));			\
} while (0)

/* Ranges across any number of pages, on both sides */
static const struct {
	__u64 dst, src;
	__u32 size;
} ranges[] = {
	{ 0, 0, 1 }, { 0, 0, PAGE }, { 0, 0, SIZE }, { 1, PAGE - 1, 2 },
	{ PAGE - 1, 1, PAGE + 2 }, { SIZE - 1, 0, 1 }, { 0, SIZE - 1, 1 },
	{ PAGE - SKEW, 7, PAGE }, { PAGE - SKEW - 1, PAGE - 1, 3 * PAGE },
	{ 5, SIZE - 3000, 3000 }, { SIZE - 3 * PAGE, 11, 3 * PAGE },
	{ 77, 88, 0 }, { SIZE, SIZE, 0 },
};

TEST_F(buf, between)
{
	setup_both();
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		for (int to = 0; to < 2; to++) {
			fill_both(self);
			memcpy(want[to] + ranges[i].dst, want[!to] + ranges[i].src,
			       ranges[i].size);
			add_move(self, to, ranges[i].dst, !to, ranges[i].src,
				 ranges[i].size);
			run_moves(0);
		}
	}
}

TEST_F(buf, within)
{
	const __u32 half = SIZE / 2;

	setup_both();
	for (int i = 0; i < 2; i++) {
		/* ranges that touch, in both directions, and distant ones */
		memcpy(want[i], want[i] + half, half);
		add_move(self, i, 0, i, half, half);
		run_moves(0);
		memcpy(want[i] + half - 1, want[i], half - 1);
		add_move(self, i, half - 1, i, 0, half - 1);
		run_moves(0);
		memcpy(want[i] + 3, want[i] + SIZE - 90, 80);
		add_move(self, i, 3, i, SIZE - 90, 80);
		run_moves(0);
	}
}

TEST_F(buf, overlap)
{
	setup_both();
	for (int i = 0; i < 2; i++) {
		add_move(self, i, 0, i, 0, 1);
		add_move(self, i, 0, i, 0, SIZE);
		add_move(self, i, 1, i, 0, SIZE - 1);
		add_move(self, i, 0, i, 1, SIZE - 1);
		add_move(self, i, 99, i, 0, 100);
		add_move(self, i, 0, i, 99, 100);
	}
	run_moves(-EINVAL);
	/* no byte is in both */
	add_move(self, 0, 50, 0, 50, 0);
	run_moves(0);
}

/* The same memory in two buffers: whatever is copied comes from the source. */
TEST_F(buf, shared_memory)
{
	ASSERT_EQ(0, buf_register(self, self->mem, SIZE));
	ASSERT_EQ(1, buf_update(self, 1, self->mem, SIZE));
	memset(self->mem, 0x55, SIZE);
	buf_attach("buf_move");
	add_move(self, 0, 1, 1, 0, SIZE - 1);
	add_move(self, 0, 0, 1, 1, SIZE - 1);
	add_move(self, 0, 0, 1, 0, SIZE);
	buf_run();
	for (int n = 0; n < 3; n++)
		ASSERT_EQ(0, self->skel->bss->moves[n].ret);
	for (int i = 0; i < SIZE; i++)
		ASSERT_EQ(0x55, self->mem[i]);
}

TEST_F(buf, out_of_range)
{
	const struct {
		__u64 offset;
		__u32 size;
	} bad[] = {
		{ SIZE, 1 }, { SIZE - 1, 2 }, { 1, SIZE }, { SIZE + 1, 0 },
		{ 1ULL << 32, 16 }, { 1ULL << 63, 16 }, { ~0ULL, 1 },
		{ ~0ULL, 2 }, { -16ULL, 16 }, { -16ULL, 32 },
		{ (unsigned long)self->mem, 16 },
	};

	setup_both();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		add_move(self, 1, bad[i].offset, 0, 0, bad[i].size);
	run_moves(-EFAULT);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		add_move(self, 1, 0, 0, bad[i].offset, bad[i].size);
	run_moves(-EFAULT);
}

TEST_F(buf, no_buffer)
{
	static const __u32 bad[] = { NR_BUFS, 1U << 16, ~0U };

	setup_both();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		add_move(self, bad[i], 0, 0, 0, 16);
		add_move(self, 0, 0, bad[i], 0, 16);
		add_move(self, bad[i], 0, bad[i], 0, 0);
	}
	run_moves(-ENOENT);
	/* an entry of the table without a buffer */
	ASSERT_EQ(1, buf_update(self, 1, NULL, 0));
	add_move(self, 1, 0, 0, 0, 16);
	add_move(self, 0, 0, 1, 0, 16);
	add_move(self, 1, 0, 1, 20, 16);
	run_moves(-ENOENT);
}

TEST_F(buf, pad)
{
	setup_both();
	add_move(self, 1, 0, 0, 0, 16)->dst_pad = 1;
	add_move(self, 1, 0, 0, 0, 16)->src_pad = 1U << 31;
	run_moves(-EINVAL);
}

TEST_F(buf, too_long)
{
	__u8 *large = aligned_alloc(PAGE, LARGE);

	ASSERT_NE(NULL, large);
	buf_fill(large, LARGE);
	ASSERT_EQ(0, buf_register(self, large, LARGE));
	buf_attach("buf_move");
	add_move(self, 0, 0, 0, MAX_MOVE - 1, MAX_MOVE + 1);
	add_move(self, 0, 0, 0, 0, ~0U);
	/* even if there is no buffer */
	add_move(self, SPARSE, 0, SPARSE, 0, MAX_MOVE + 1);
	buf_run();
	for (int n = 0; n < 3; n++)
		ASSERT_EQ(-E2BIG, self->skel->bss->moves[n].ret);
	for (int i = 0; i < LARGE; i++)
		ASSERT_EQ(buf_byte(i), large[i]);

	self->skel->bss->nr_moves = 0;
	add_move(self, 0, 0, 0, MAX_MOVE, MAX_MOVE);
	buf_run();
	ASSERT_EQ(0, self->skel->bss->moves[0].ret);
	ASSERT_EQ(0, memcmp(large, large + MAX_MOVE, MAX_MOVE));
	for (int i = MAX_MOVE; i < LARGE; i++)
		ASSERT_EQ(buf_byte(i), large[i]);
	free(large);
}

TEST_HARNESS_MAIN
