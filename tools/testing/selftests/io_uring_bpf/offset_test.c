// SPDX-License-Identifier: GPL-2.0
/*
 * A write that is short because its end fails does not move the position of the file.
 * A program that continues with an explicit offset reports the failure. A program that
 * continues at the position of the file, with off = -1, overwrites the beginning.
 */
#include "iou_bpf.h"

#include <signal.h>
#include <sys/resource.h>

#include "kselftest_harness.h"
#include "offset.skel.h"

#define FLOW	0xf10aULL
#define SIZE	8192
/* the file ends here, and the rest of the data fails */
#define LIMIT	6000

FIXTURE(offset) {
	struct io_uring ring;
	struct offset *skel;
	struct bpf_link *link;
	int fd;
	char data[SIZE];
	char found[SIZE];
};

FIXTURE_VARIANT(offset) {
	unsigned int setup;
	bool again;
};

FIXTURE_VARIANT_ADD(offset, plain) {
};

FIXTURE_VARIANT_ADD(offset, defer) {
	.setup = IOU_DEFER,
};

FIXTURE_VARIANT_ADD(offset, plain_again) {
	.again = true,
};

FIXTURE_VARIANT_ADD(offset, defer_again) {
	.setup = IOU_DEFER,
	.again = true,
};

IOU_LOAD_ONCE(offset);

FIXTURE_SETUP(offset)
{
	const char *dir = getenv("TMPDIR") ?: "/tmp";
	struct rlimit rlim = { LIMIT, LIMIT };

	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	self->skel = offset_get();
	ASSERT_NE(NULL, self->skel);
	self->link = IOU_ATTACH(self->skel->progs.offset_write, &self->ring, 0);
	self->skel->bss->use_again = variant->again;
	self->fd = open(dir, O_TMPFILE | O_RDWR, 0600);
	ASSERT_LE(0, self->fd);
	for (int i = 0; i < SIZE; i++)
		self->data[i] = i / 100;
	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &rlim));
}

FIXTURE_TEARDOWN(offset)
{
	bpf_link__destroy(self->link);
	io_uring_queue_exit(&self->ring);
	close(self->fd);
}

/* Write the data with a flow that starts at @off. */
static void write_data(struct __test_metadata *_metadata, FIXTURE_DATA(offset) *self,
		       __u64 off, int res)
{
	struct io_uring_sqe *sqe = iou_queue_bpf(&self->ring, 0, FLOW);

	sqe->off = self->fd;
	sqe->addr = (unsigned long)self->data;
	sqe->addr3 = SIZE;
	sqe->bpf_arg = off;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, res);
	ASSERT_EQ(LIMIT, pread(self->fd, self->found, SIZE, 0));
}

TEST_F(offset, explicit)
{
	write_data(_metadata, self, 0, -EFBIG);
	ASSERT_EQ(LIMIT, self->skel->bss->first_res);
	ASSERT_EQ(2, self->skel->bss->nr_writes);
	ASSERT_EQ(0, memcmp(self->data, self->found, LIMIT));
}

/* The document warns of what happens here. It is not specific to programs. */
TEST_F(offset, position)
{
	write_data(_metadata, self, -1, SIZE);
	ASSERT_EQ(LIMIT, self->skel->bss->first_res);
	ASSERT_EQ(2, self->skel->bss->nr_writes);
	ASSERT_EQ(0, memcmp(self->data + LIMIT, self->found, SIZE - LIMIT));
	ASSERT_EQ(0, memcmp(self->data + SIZE - LIMIT, self->found + SIZE - LIMIT,
			    2 * LIMIT - SIZE));
}

TEST_HARNESS_MAIN
