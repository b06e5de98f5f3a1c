// SPDX-License-Identifier: GPL-2.0
/* Copies from and to registered buffers */
#include "buf.h"

#define COPY	BUF_COPY_SIZE

static __u8 *copy_data(FIXTURE_DATA(buf) *self)
{
	return self->skel->bss->copy_data;
}

static __u32 nr_copies(FIXTURE_DATA(buf) *self)
{
	return self->skel->bss->nr_copies;
}

/* Run the program for one range, and return the result of the kfunc. */
static int copy(struct __test_metadata *_metadata, FIXTURE_DATA(buf) *self,
		__u64 offset, __u32 size)
{
	self->skel->bss->nr_copies = 0;
	buf_add_copy(self, 0, offset, size);
	buf_run();
	return self->skel->bss->copies[0].ret;
}

/* Ranges with any offset, across any number of pages */
static const struct {
	__u64 offset;
	__u32 size;
} ranges[] = {
	{ 0, 1 }, { 0, PAGE }, { 0, COPY }, { SIZE - COPY, COPY },
	{ 1, PAGE }, { PAGE - 1, 2 }, { PAGE - 1, PAGE + 2 },
	{ 3, COPY - 5 }, { SIZE - 1, 1 }, { SIZE - 100, 100 },
	{ 2 * PAGE - 7, 13 }, { 0, 0 }, { 77, 0 },
};

TEST_F(buf, out)
{
	ASSERT_EQ(0, buf_register(self, self->mem, SIZE));
	buf_attach("buf_copy_out");
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		const __u32 size = ranges[i].size;

		memset(copy_data(self), 0xee, COPY);
		ASSERT_EQ(0, copy(_metadata, self, ranges[i].offset, size)) {
			TH_LOG("range %zu", i);
		}
		ASSERT_EQ(0, memcmp(copy_data(self),
				    self->mem + ranges[i].offset, size));
		/* bytes beyond the range do not change */
		for (__u32 n = size; n < COPY; n++)
			ASSERT_EQ(0xee, copy_data(self)[n]);
	}
}

TEST_F(buf, in)
{
	__u8 *want = malloc(SIZE);

	ASSERT_NE(NULL, want);
	ASSERT_EQ(0, buf_register(self, self->mem, SIZE));
	buf_attach("buf_copy_in");
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		const __u32 size = ranges[i].size;

		buf_fill(self->mem, SIZE);
		memcpy(want, self->mem, SIZE);
		for (int n = 0; n < COPY; n++)
			copy_data(self)[n] = ~buf_byte(n + i);
		memcpy(want + ranges[i].offset, copy_data(self), size);
		ASSERT_EQ(0, copy(_metadata, self, ranges[i].offset, size)) {
			TH_LOG("range %zu", i);
		}
		ASSERT_EQ(0, memcmp(want, self->mem, SIZE)) {
			TH_LOG("range %zu", i);
		}
	}
	free(want);
}

static void add_bad_ranges(FIXTURE_DATA(buf) *self)
{
	self->skel->bss->nr_copies = 0;
	buf_add_copy(self, 0, SIZE, 1);
	buf_add_copy(self, 0, SIZE - 1, 2);
	buf_add_copy(self, 0, SIZE - COPY + 1, COPY);
	buf_add_copy(self, 0, 1ULL << 32, 16);
	buf_add_copy(self, 0, 1ULL << 63, 16);
	buf_add_copy(self, 0, ~0ULL, 1);
	buf_add_copy(self, 0, ~0ULL, 2);
	buf_add_copy(self, 0, -16ULL, 16);
	buf_add_copy(self, 0, -16ULL, 32);
	buf_add_copy(self, 0, (unsigned long)self->mem, 16);
}

TEST_F(buf, out_of_range)
{
	ASSERT_EQ(0, buf_register(self, self->mem, SIZE));
	memset(copy_data(self), 0xee, COPY);
	for (int i = 0; i < 2; i++) {
		add_bad_ranges(self);
		buf_attach(i ? "buf_copy_in" : "buf_copy_out");
		buf_run();
		for (__u32 n = 0; n < nr_copies(self); n++) {
			ASSERT_EQ(-EFAULT, self->skel->bss->copies[n].ret) {
				TH_LOG("range %d", n);
			}
		}
	}
	for (int n = 0; n < COPY; n++)
		ASSERT_EQ(0xee, copy_data(self)[n]);
	for (int n = 0; n < SIZE; n++)
		ASSERT_EQ(buf_byte(n), self->mem[n]);
}

TEST_F(buf, no_buffer)
{
	for (int i = 0; i < 4; i++) {
		self->skel->bss->nr_copies = 0;
		buf_add_copy(self, SPARSE, 0, 16);
		buf_add_copy(self, NR_BUFS, 0, 16);
		buf_add_copy(self, 1U << 16, 0, 16);
		buf_add_copy(self, ~0U, 0, 16);
		buf_attach(i % 2 ? "buf_copy_in" : "buf_copy_out");
		buf_run();
		for (__u32 n = 0; n < nr_copies(self); n++) {
			ASSERT_EQ(-ENOENT, self->skel->bss->copies[n].ret) {
				TH_LOG("index %#x",
				       self->skel->bss->copies[n].index);
			}
		}
		/* without a table, and with one */
		if (i == 1)
			ASSERT_EQ(0, buf_register(self, self->mem, SIZE));
	}
}

/* A buffer that begins and ends within a page */
TEST_F(buf, part_of_page)
{
	const __u32 size = PAGE + 50;

	ASSERT_EQ(0, buf_register(self, self->mem + 100, size));
	buf_attach("buf_copy_out");
	ASSERT_EQ(0, copy(_metadata, self, 0, size));
	ASSERT_EQ(0, memcmp(copy_data(self), self->mem + 100, size));
	ASSERT_EQ(0, copy(_metadata, self, PAGE - 105, 10));
	ASSERT_EQ(0, memcmp(copy_data(self), self->mem + PAGE - 5, 10));
	ASSERT_EQ(0, copy(_metadata, self, size - 1, 1));
	ASSERT_EQ(-EFAULT, copy(_metadata, self, size - 1, 2));
	ASSERT_EQ(-EFAULT, copy(_metadata, self, size, 1));
	ASSERT_EQ(-EFAULT, copy(_metadata, self, -100ULL, 100));

	buf_attach("buf_copy_in");
	memset(copy_data(self), 0xaa, COPY);
	ASSERT_EQ(0, copy(_metadata, self, 0, size));
	ASSERT_EQ(buf_byte(99), self->mem[99]);
	ASSERT_EQ(0xaa, self->mem[100]);
	ASSERT_EQ(0xaa, self->mem[100 + size - 1]);
	ASSERT_EQ(buf_byte(100 + size), self->mem[100 + size]);
}

TEST_HARNESS_MAIN
