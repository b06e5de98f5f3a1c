// SPDX-License-Identifier: GPL-2.0
/* Buffers of huge pages, which the kernel stores as few large segments */
#include "buf.h"

#define HUGE	(2 << 20)
#define LARGE	65536

/* Return true if the kernel reports a huge page at @mem. */
static bool is_huge(void *mem)
{
	unsigned long start, end, kb = 0;
	bool inside = false;
	char line[256];
	FILE *f;

	f = fopen("/proc/self/smaps", "r");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= (unsigned long)mem &&
				 (unsigned long)mem < end;
		if (inside && sscanf(line, "AnonHugePages: %lu", &kb) == 1)
			break;
	}
	fclose(f);
	return kb >= 2 * HUGE / 1024;
}

static __u8 *map_hugetlb(void)
{
	void *mem;

	mem = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	return mem == MAP_FAILED ? NULL : mem;
}

static __u8 *map_transparent(void)
{
	unsigned long addr;
	void *mem;

	mem = mmap(NULL, 3 * HUGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return NULL;
	addr = ((unsigned long)mem + HUGE - 1) & -HUGE;
	if (madvise((void *)addr, 2 * HUGE, MADV_HUGEPAGE))
		return NULL;
	memset((void *)addr, 1, 2 * HUGE);
	return is_huge((void *)addr) ? (void *)addr : NULL;
}

/* Enable transparent huge pages during the test. */
static __u8 *map_reserved(void)
{
	const char *path = "/proc/sys/vm/nr_hugepages";
	__u8 *mem = NULL;
	char old[32];
	ssize_t len;
	int fd;

	fd = open(path, O_RDWR);
	if (fd < 0)
		return NULL;
	len = read(fd, old, sizeof(old));
	if (len > 0 && pwrite(fd, "4", 1, 0) == 1) {
		mem = map_hugetlb();
		if (pwrite(fd, old, len, 0) != len)
			mem = NULL;
	}
	close(fd);
	return mem;
}

/* Map two huge pages, or return NULL. */
static __u8 *map_huge(void)
{
	return map_hugetlb() ?: map_transparent() ?: map_reserved();
}

#define MAP_HUGE_OR_SKIP(mem) do {					\
	(mem) = map_huge();						\
	if (!(mem))							\
		SKIP(return, "no huge pages");				\
	buf_fill(mem, 2 * HUGE);					\
} while (0)

TEST_F(buf, inside)
{
	__u8 *mem;

	MAP_HUGE_OR_SKIP(mem);
	ASSERT_EQ(0, buf_register(self, mem, 2 * HUGE));
	buf_attach("buf_look_65536");
	buf_add_case(self, 0, 0);
	buf_add_case(self, 0, PAGE + 1);
	buf_add_case(self, 0, HUGE - LARGE);
	buf_add_case(self, 0, HUGE);
	buf_add_case(self, 0, HUGE + 12345);
	buf_add_case(self, 0, 2 * HUGE - LARGE);
	buf_run();
	for (int n = 0; n < self->skel->bss->nr_cases; n++) {
		__u64 off = self->skel->bss->cases[n].offset;

		buf_expect(n, buf_byte(off), buf_byte(off + LARGE - 1));
	}
}

TEST_F(buf, put)
{
	__u8 *mem;

	MAP_HUGE_OR_SKIP(mem);
	ASSERT_EQ(0, buf_register(self, mem, 2 * HUGE));
	buf_attach("buf_put_65536");
	buf_add_case(self, 0, PAGE + 1)->put = 0x11;
	buf_add_case(self, 0, HUGE + 100)->put = 0x22;
	buf_run();
	ASSERT_EQ(0x11, mem[PAGE + 1]);
	ASSERT_EQ(0x11, mem[PAGE + LARGE]);
	ASSERT_EQ(0x22, mem[HUGE + 100]);
	ASSERT_EQ(0x22, mem[HUGE + 100 + LARGE - 1]);
	ASSERT_EQ(buf_byte(PAGE), mem[PAGE]);
	ASSERT_EQ(buf_byte(PAGE + LARGE + 1), mem[PAGE + LARGE + 1]);
}

/* Two huge pages need not be contiguous. */
TEST_F(buf, across)
{
	__u8 *mem;

	MAP_HUGE_OR_SKIP(mem);
	ASSERT_EQ(0, buf_register(self, mem, 2 * HUGE));
	buf_attach("buf_look_65536");
	buf_add_case(self, 0, HUGE - 1);
	buf_add_case(self, 0, HUGE - LARGE + 1);
	buf_add_case(self, 0, 2 * HUGE - LARGE + 1);
	buf_add_case(self, 0, 2 * HUGE);
	buf_add_case(self, 0, -1ULL);
	buf_run();
	for (int n = 0; n < self->skel->bss->nr_cases; n++)
		buf_expect_null(n);
}

/* A buffer can begin and end anywhere in a huge page. */
TEST_F(buf, part)
{
	const __u64 start = 5 * PAGE + 123, len = HUGE + 3 * LARGE;
	__u8 *mem;

	MAP_HUGE_OR_SKIP(mem);
	ASSERT_EQ(0, buf_register(self, mem + start, len));
	buf_attach("buf_look_65536");
	buf_add_case(self, 0, 0);
	buf_add_case(self, 0, HUGE - start - LARGE);
	buf_add_case(self, 0, HUGE - start);
	buf_add_case(self, 0, len - LARGE);
	/*
	 * across the boundary, or past the end of the buffer but within the
	 * mapping
	 */
	buf_add_case(self, 0, HUGE - start - LARGE + 1);
	buf_add_case(self, 0, HUGE - start - 1);
	buf_add_case(self, 0, len - LARGE + 1);
	buf_add_case(self, 0, -start);
	buf_run();
	for (int n = 0; n < 4; n++) {
		__u64 off = start + self->skel->bss->cases[n].offset;

		buf_expect(n, buf_byte(off), buf_byte(off + LARGE - 1));
	}
	for (int n = 4; n < 8; n++)
		buf_expect_null(n);
}

/* Within one huge page, not at its beginning */
TEST_F(buf, middle)
{
	const __u64 start = 7 * PAGE, len = 2 * LARGE;
	__u8 *mem;

	MAP_HUGE_OR_SKIP(mem);
	ASSERT_EQ(0, buf_register(self, mem + start, len));
	buf_attach("buf_look_65536");
	buf_add_case(self, 0, 0);
	buf_add_case(self, 0, 1);
	buf_add_case(self, 0, LARGE);
	buf_add_case(self, 0, LARGE + 1);
	buf_run();
	for (int n = 0; n < 3; n++) {
		__u64 off = start + self->skel->bss->cases[n].offset;

		buf_expect(n, buf_byte(off), buf_byte(off + LARGE - 1));
	}
	buf_expect_null(3);
}

TEST_F(buf, copy)
{
	__u8 *mem;

	MAP_HUGE_OR_SKIP(mem);
	ASSERT_EQ(0, buf_register(self, mem + 123, 2 * HUGE - 123));
	buf_attach("buf_copy_out");
	buf_add_copy(self, 0, HUGE - 5000, BUF_COPY_SIZE);
	buf_run();
	ASSERT_EQ(0, self->skel->bss->copies[0].ret);
	ASSERT_EQ(0, memcmp(self->skel->bss->copy_data, mem + 123 + HUGE - 5000,
			    BUF_COPY_SIZE));
	buf_attach("buf_copy_in");
	memset(self->skel->bss->copy_data, 0xaa, BUF_COPY_SIZE);
	buf_run();
	ASSERT_EQ(0, self->skel->bss->copies[0].ret);
	for (int i = 0; i < BUF_COPY_SIZE; i++)
		ASSERT_EQ(0xaa, mem[123 + HUGE - 5000 + i]);
}

TEST_HARNESS_MAIN
