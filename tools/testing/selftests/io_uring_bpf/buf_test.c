// SPDX-License-Identifier: GPL-2.0
/* Slices of registered buffers */
#include "buf.h"

static const struct {
	const char *look;
	const char *put;
	__u32 size;
} progs[] = {
	{ "buf_look_1", "buf_put_1", 1 },
	{ "buf_look_16", "buf_put_16", 16 },
	{ "buf_look_4096", "buf_put_4096", 4096 },
};

TEST_F(buf, look)
{
	ASSERT_EQ(0, buf_register(self, self->mem, SIZE));
	for (size_t i = 0; i < ARRAY_SIZE(progs); i++) {
		const __u32 size = progs[i].size;

		self->skel->bss->nr_cases = 0;
		for (int page = 0; page < PAGES; page++) {
			buf_add_case(self, 0, page * PAGE);
			buf_add_case(self, 0, (page + 1) * PAGE - size);
		}
		buf_attach(progs[i].look);
		buf_run();
		for (int n = 0; n < 2 * PAGES; n++) {
			__u64 off = self->skel->bss->cases[n].offset;

			buf_expect(n, buf_byte(off), buf_byte(off + size - 1));
		}
	}
}

/* Both sides see each other's writes, and no other byte changes. */
TEST_F(buf, put)
{
	__u8 *copy = malloc(SIZE);

	ASSERT_NE(NULL, copy);
	memcpy(copy, self->mem, SIZE);
	ASSERT_EQ(0, buf_register(self, self->mem, SIZE));
	for (size_t i = 0; i < ARRAY_SIZE(progs); i++) {
		const __u32 size = progs[i].size;

		self->skel->bss->nr_cases = 0;
		for (int page = 0; page < PAGES; page++) {
			buf_add_case(self, 0, page * PAGE)->put =
				0x10 * i + page + 1;
			self->mem[page * PAGE] = 0x77 + page;
			copy[page * PAGE] = 0x10 * i + page + 1;
			copy[page * PAGE + size - 1] = 0x10 * i + page + 1;
		}
		buf_attach(progs[i].put);
		buf_run();
		for (int page = 0; page < PAGES; page++) {
			ASSERT_EQ(1, self->skel->bss->cases[page].got);
			ASSERT_EQ(0x77 + page,
				  self->skel->bss->cases[page].first);
		}
		ASSERT_EQ(0, memcmp(copy, self->mem, SIZE));
	}
	free(copy);
}

/* Ranges beyond a page, or beyond the buffer */
static void add_bad_offsets(FIXTURE_DATA(buf) *self, __u64 size)
{
	if (size > 1) {
		buf_add_case(self, 0, PAGE - 1);
		buf_add_case(self, 0, PAGE - size + 1);
		buf_add_case(self, 0, SIZE - 1);
		buf_add_case(self, 0, -size + 1);
	}
	buf_add_case(self, 0, SIZE - size + 1);
	buf_add_case(self, 0, SIZE);
	buf_add_case(self, 0, SIZE + 1);
	buf_add_case(self, 0, 1ULL << 31);
	buf_add_case(self, 0, 1ULL << 32);
	buf_add_case(self, 0, (1ULL << 32) + PAGE);
	buf_add_case(self, 0, 1ULL << 63);
	buf_add_case(self, 0, -size - 1);
	buf_add_case(self, 0, -size);
	buf_add_case(self, 0, ~0ULL);
	/* the same by the address instead of the offset */
	buf_add_case(self, 0, (unsigned long)self->mem);
}

TEST_F(buf, out_of_range)
{
	ASSERT_EQ(0, buf_register(self, self->mem, SIZE));
	for (size_t i = 0; i < ARRAY_SIZE(progs); i++) {
		self->skel->bss->nr_cases = 0;
		add_bad_offsets(self, progs[i].size);
		buf_attach(progs[i].look);
		buf_run();
		for (int n = 0; n < self->skel->bss->nr_cases; n++)
			buf_expect_null(n);

		self->skel->bss->nr_cases = 0;
		add_bad_offsets(self, progs[i].size);
		buf_attach(progs[i].put);
		buf_run();
		for (int n = 0; n < self->skel->bss->nr_cases; n++)
			buf_expect_null(n);
	}
	for (int i = 0; i < SIZE; i++)
		ASSERT_EQ(buf_byte(i), self->mem[i]);
}

/*
 * A buffer that does not begin or end at a page boundary excludes the rest of
 * the page.
 */
TEST_F(buf, part_of_page)
{
	ASSERT_EQ(0, buf_register(self, self->mem + 100, PAGE));
	buf_attach("buf_look_16");
	buf_add_case(self, 0, 0);
	buf_add_case(self, 0, PAGE - 100 - 16);
	buf_add_case(self, 0, PAGE - 100);
	buf_add_case(self, 0, PAGE - 16);
	/*
	 * across two pages, and past the end of the buffer within the mapping
	 */
	buf_add_case(self, 0, PAGE - 100 - 15);
	buf_add_case(self, 0, PAGE - 100 - 1);
	buf_add_case(self, 0, PAGE - 15);
	buf_add_case(self, 0, -16ULL);
	buf_add_case(self, 0, -1ULL);
	buf_run();
	buf_expect(0, buf_byte(100), buf_byte(115));
	buf_expect(1, buf_byte(PAGE - 16), buf_byte(PAGE - 1));
	buf_expect(2, buf_byte(PAGE), buf_byte(PAGE + 15));
	buf_expect(3, buf_byte(PAGE + 100 - 16), buf_byte(PAGE + 100 - 1));
	for (int n = 4; n < 9; n++)
		buf_expect_null(n);
}

TEST_F(buf, smaller_than_slice)
{
	ASSERT_EQ(0, buf_register(self, self->mem + 50, 15));
	buf_attach("buf_look_16");
	buf_add_case(self, 0, 0);
	buf_run();
	buf_expect_null(0);
	buf_attach("buf_look_1");
	buf_add_case(self, 0, 14);
	buf_add_case(self, 0, 15);
	buf_run();
	buf_expect(0, buf_byte(50), buf_byte(50));
	buf_expect(1, buf_byte(64), buf_byte(64));
	buf_expect_null(2);
}

static void add_bad_indices(FIXTURE_DATA(buf) *self)
{
	self->skel->bss->nr_cases = 0;
	buf_add_case(self, SPARSE, 0);
	buf_add_case(self, NR_BUFS, 0);
	buf_add_case(self, NR_BUFS + 1, 0);
	buf_add_case(self, 1U << 16, 0);
	buf_add_case(self, 1U << 31, 0);
	buf_add_case(self, ~0U, 0);
}

TEST_F(buf, no_buffer)
{
	ASSERT_EQ(0, buf_register(self, self->mem, SIZE));
	for (size_t i = 0; i < ARRAY_SIZE(progs); i++) {
		add_bad_indices(self);
		buf_attach(progs[i].look);
		buf_run();
		for (int n = 0; n < self->skel->bss->nr_cases; n++)
			buf_expect_null(n);
		add_bad_indices(self);
		buf_attach(progs[i].put);
		buf_run();
		for (int n = 0; n < self->skel->bss->nr_cases; n++)
			buf_expect_null(n);
	}
}

TEST_F(buf, no_table)
{
	buf_attach("buf_look_1");
	buf_add_case(self, 0, 0);
	buf_run();
	buf_expect_null(0);
}

/* The last of many buffers */
TEST_F(buf, large_index)
{
	const int nr = 1000;

	ASSERT_EQ(0, io_uring_register_buffers_sparse(&self->ring, nr));
	ASSERT_EQ(1, buf_update(self, nr - 1, self->mem, SIZE));
	buf_attach("buf_look_16");
	buf_add_case(self, nr - 1, 5);
	buf_add_case(self, nr - 2, 5);
	buf_add_case(self, nr, 5);
	buf_run();
	buf_expect(0, buf_byte(5), buf_byte(20));
	buf_expect_null(1);
	buf_expect_null(2);
}

/* Slices are available on any event. */
TEST_F(buf, events)
{
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, buf_register(self, self->mem, SIZE));
	buf_attach("buf_look_16");
	buf_add_case(self, 0, 7);
	buf_add_read(self);
	sqe = iou_get_sqe(&self->ring);
	iou_prep_nop(sqe, 0, 0, CHILD);
	sqe->flags = IOSQE_IO_LINK;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(2, io_uring_submit(&self->ring));
	ASSERT_CQE(&self->ring, CHILD, 0);
	/* the request before the flow */
	ASSERT_EQ(1, self->skel->bss->nr_events);
	buf_expect(0, buf_byte(7), buf_byte(22));

	/* the child */
	self->mem[7] = 1;
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(2, self->skel->bss->nr_events);
	buf_expect(0, 1, buf_byte(22));
}

/* A program on two rings sees the buffers of the ring that it runs for. */
TEST_F(buf, two_rings)
{
	struct bpf_link *link;
	struct io_uring ring;
	struct iovec iov = { self->mem + PAGE, PAGE };

	ASSERT_EQ(0, iou_ring_init(&ring, variant->setup));
	ASSERT_EQ(0, io_uring_register_buffers(&ring, &iov, 1));
	ASSERT_EQ(0, buf_register(self, self->mem, SIZE));
	buf_attach("buf_look_16");
	link = IOU_ATTACH(buf_prog(self, variant, "buf_look_16"), &ring, 0);
	buf_add_case(self, 0, 7);
	buf_run();
	buf_expect(0, buf_byte(7), buf_byte(22));
	iou_queue_bpf(&ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_CQE(&ring, FLOW, 0);
	buf_expect(0, buf_byte(PAGE + 7), buf_byte(PAGE + 22));
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

TEST_HARNESS_MAIN
