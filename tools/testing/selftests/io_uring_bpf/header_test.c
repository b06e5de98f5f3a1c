// SPDX-License-Identifier: GPL-2.0
/* The header for programs agrees with the kernel and with liburing. */
#include "iou_bpf.h"
#include "futex.h"

#include <sys/socket.h>

#include "kselftest_harness.h"
#include "header.skel.h"

#define FLOW	0xf10aULL

/* liburing wants pointers, and writes to an SQE that it does not clear */
#define SQE		iou_clear_sqe(&sqes[nr++])
#define ADDRESS(n)	((void *)(0x1000UL * (n)))

static struct io_uring_sqe sqes[64];

static inline struct io_uring_sqe *iou_clear_sqe(struct io_uring_sqe *sqe)
{
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

/* as in liburing 2.6; the macros are missing before 2.4, and then are 0 */
#if IO_URING_VERSION_MAJOR * 100 + IO_URING_VERSION_MINOR < 206
static inline void io_uring_prep_read_multishot(struct io_uring_sqe *sqe, int fd,
						unsigned int nbytes, __u64 offset, int bgid)
{
	io_uring_prep_rw(IORING_OP_READ_MULTISHOT, sqe, fd, NULL, nbytes, offset);
	sqe->buf_group = bgid;
	sqe->flags = IOSQE_BUFFER_SELECT;
}

static inline void prep_futex(struct io_uring_sqe *sqe, int op, void *futex, __u64 val,
			      __u64 mask, __u32 futex_flags, unsigned int flags)
{
	io_uring_prep_rw(op, sqe, futex_flags, futex, 0, val);
	sqe->futex_flags = flags;
	sqe->addr3 = mask;
}

#define io_uring_prep_futex_wait(sqe, ...)	prep_futex(sqe, IORING_OP_FUTEX_WAIT, __VA_ARGS__)
#define io_uring_prep_futex_wake(sqe, ...)	prep_futex(sqe, IORING_OP_FUTEX_WAKE, __VA_ARGS__)
#endif

static unsigned int prep_all(void)
{
	unsigned int nr = 0;

#include "progs/header_calls.h"
	return nr;
}

FIXTURE(header) {
	struct io_uring ring;
	struct header *skel;
	struct bpf_link *link;
};

FIXTURE_SETUP(header)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, 0));
	self->skel = header__open_and_load();
	ASSERT_NE(NULL, self->skel);
	self->link = IOU_ATTACH(self->skel->progs.header_prep, &self->ring, 0);
}

FIXTURE_TEARDOWN(header)
{
	bpf_link__destroy(self->link);
	header__destroy(self->skel);
	io_uring_queue_exit(&self->ring);
}

TEST_F(header, constants)
{
	static const struct {
		const char	*name;
		__u64		value;
	} expected[] = {
#define X(name) { #name, name },
#include "progs/header_list.h"
	};

	ASSERT_EQ(sizeof(self->skel->rodata->constants) / sizeof(__u64),
		  ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		ASSERT_EQ(expected[i].value, self->skel->rodata->constants[i]) {
			TH_LOG("%s", expected[i].name);
		}
	}
}

TEST_F(header, prep)
{
	unsigned int nr = prep_all();

	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(nr, self->skel->bss->nr_sqes);
	for (unsigned int i = 0; i < nr; i++) {
		ASSERT_EQ(0, memcmp(&sqes[i], &self->skel->bss->sqes[i],
				    sizeof(sqes[i]))) {
			TH_LOG("call %u, opcode %u", i, sqes[i].opcode);
		}
	}
}

TEST_F(header, bound)
{
	static const struct {
		__u64 in, out;
	} cases[] = { { 0, 0 }, { 39, 39 }, { 40, 39 }, { ~0ULL, 39 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		self->skel->bss->bound_in = cases[i].in;
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_EQ(cases[i].out, self->skel->bss->bound_out);
	}
}

TEST_F(header, state)
{
	const __u32 high = 0x30000;
	struct io_uring_sqe *sqe;

	bpf_link__destroy(self->link);
	self->link = IOU_ATTACH(self->skel->progs.header_state, &self->ring, 0);
	sqe = iou_queue_bpf(&self->ring, 0, FLOW);
	sqe->off = 0x1234ULL << 48 | 0xab;
	sqe->addr = (__u64)high << 32 | 0x1000;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0x1001 + high + 0x1234 + 0xab);
}

TEST_HARNESS_MAIN
