/* SPDX-License-Identifier: GPL-2.0 */
/* Registered buffers, and programs that access them */
#ifndef IOU_BUF_H
#define IOU_BUF_H

#include "iou_bpf.h"

#include <sys/mman.h>

#include "progs/buf_case.h"
#include "kselftest_harness.h"
#include "buf.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define TAG	0x7a6ULL

#define PAGE	4096
#define PAGES	4
#define SIZE	(PAGE * PAGES)
/* an index without a buffer, and one beyond the end of the table */
#define SPARSE	1
#define NR_BUFS	2

FIXTURE(buf) {
	struct io_uring ring;
	struct buf *skel;
	struct bpf_link *link;
	int pipe[2];
	/* memory of buffer 0: byte n is buf_byte(n) */
	__u8 *mem;
	char in[16];
};

FIXTURE_VARIANT(buf) {
	unsigned int setup;
	bool sleepable;
};

FIXTURE_VARIANT_ADD(buf, plain) {
};

FIXTURE_VARIANT_ADD(buf, plain_sleepable) {
	.sleepable = true,
};

FIXTURE_VARIANT_ADD(buf, defer) {
	.setup = IOU_DEFER,
};

FIXTURE_VARIANT_ADD(buf, defer_sleepable) {
	.setup = IOU_DEFER,
	.sleepable = true,
};

/* The product alone is the same in each huge page, hence the second term. */
static inline __u8 buf_byte(unsigned int n)
{
	return ((n * 2654435761U) >> 13) + (n >> 21);
}

static inline void buf_fill(__u8 *mem, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		mem[i] = buf_byte(i);
}

static inline int buf_register(FIXTURE_DATA(buf) *self, void *base, size_t len)
{
	struct iovec iovs[NR_BUFS] = { { base, len } };

	return io_uring_register_buffers(&self->ring, iovs, NR_BUFS);
}

/* Replace a buffer of the table. */
static inline int buf_update(FIXTURE_DATA(buf) *self, unsigned int index,
			     void *base, size_t len)
{
	struct iovec iov = { base, len };
	__u64 tag = 0;

	return io_uring_register_buffers_update_tag(&self->ring, index, &iov,
						    &tag, 1);
}

IOU_LOAD_ONCE(buf);

FIXTURE_SETUP(buf)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	/* huge pages have a test of their own */
	madvise(self->mem, SIZE, MADV_NOHUGEPAGE);
	buf_fill(self->mem, SIZE);
	self->skel = buf_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(buf)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
	munmap(self->mem, SIZE);
}

/* Return the program of that name for the variant. */
static inline struct bpf_program *buf_prog(FIXTURE_DATA(buf) *self,
					   const FIXTURE_VARIANT(buf) *variant,
					   const char *name)
{
	char full[64];

	snprintf(full, sizeof(full), "%s%s", name,
		 variant->sleepable ? "_s" : "");
	return bpf_object__find_program_by_name(self->skel->obj, full);
}

static inline struct buf_case *buf_add_case(FIXTURE_DATA(buf) *self,
					    __u32 index, __u64 offset)
{
	struct buf_case *c = &self->skel->bss->cases[self->skel->bss->nr_cases++];

	*c = (struct buf_case) { .index = index, .offset = offset, .got = 0xff };
	return c;
}

static inline struct buf_copy *buf_add_copy(FIXTURE_DATA(buf) *self,
					    __u32 index, __u64 offset,
					    __u32 size)
{
	struct buf_copy *c;

	c = &self->skel->bss->copies[self->skel->bss->nr_copies++];
	*c = (struct buf_copy) {
		.index = index, .offset = offset, .size = size, .ret = 1,
	};
	return c;
}

/* Add a child that stays in flight until the test writes to the pipe. */
static inline void buf_add_read(FIXTURE_DATA(buf) *self)
{
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], self->in,
		      sizeof(self->in), 0, CHILD);
	self->skel->bss->nr_sqes = 1;
}

/* Attach another program in place of the last one. */
#define buf_attach(name) do {						\
	struct bpf_program *__prog = buf_prog(self, variant, name);	\
									\
	ASSERT_NE(NULL, __prog) {					\
		TH_LOG("no program %s", name);				\
	}								\
	bpf_link__destroy(self->link);					\
	self->link = IOU_ATTACH(__prog, &self->ring, 0);		\
} while (0)

/* Run the program once, at the start of a flow that it ends. */
#define buf_run() do {							\
	self->skel->bss->nr_events = 0;					\
	iou_queue_bpf(&self->ring, 0, FLOW);				\
	ASSERT_EQ(1, io_uring_submit(&self->ring));			\
	ASSERT_CQE(&self->ring, FLOW, 0);				\
	ASSERT_EQ(1, self->skel->bss->nr_events);			\
} while (0)

/* Check that case @n found these two bytes, or NULL. */
#define buf_expect(n, _first, _last) do {				\
	struct buf_case *__c = &self->skel->bss->cases[n];		\
									\
	ASSERT_EQ(1, __c->got) {					\
		TH_LOG("case %d", n);					\
	}								\
	ASSERT_EQ(_first, __c->first) {					\
		TH_LOG("case %d", n);					\
	}								\
	ASSERT_EQ(_last, __c->last) {					\
		TH_LOG("case %d", n);					\
	}								\
} while (0)

#define buf_expect_null(_n) do {					\
	int __n = (_n);							\
									\
	ASSERT_EQ(0, self->skel->bss->cases[__n].got) {			\
		TH_LOG("case %d", __n);					\
	}								\
} while (0)

#endif
