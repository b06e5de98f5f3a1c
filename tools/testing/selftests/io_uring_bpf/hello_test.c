// SPDX-License-Identifier: GPL-2.0
/* tools/io_uring/hello.bpf.c counts lines, and requires no capability but CAP_BPF. */
#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "iou_caps.h"
#include "hello.skel.h"

#define FLOW	0xf10aULL

FIXTURE(hello) {
	struct io_uring ring;
	struct hello *skel;
	int fd;
};

IOU_RING_VARIANTS(hello);

FIXTURE_SETUP(hello)
{
	IOU_REQUIRE();
	self->fd = open(".", O_TMPFILE | O_RDWR, 0600);
	if (self->fd < 0)
		self->fd = memfd_create("text", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
}

FIXTURE_TEARDOWN(hello)
{
	hello__destroy(self->skel);
	io_uring_queue_exit(&self->ring);
	close(self->fd);
}

/* Load and attach the program, and run it as hello.c does. */
#define HELLO_RUN(_res) do {						\
	struct bpf_link *__link;					\
	struct io_uring_sqe *__sqe;					\
									\
	self->skel = hello__open_and_load();				\
	ASSERT_NE(NULL, self->skel);					\
	__link = IOU_ATTACH(self->skel->progs.hello, &self->ring, 0);	\
	__sqe = iou_queue_bpf(&self->ring, 0, FLOW);			\
	__sqe->off = self->fd;						\
	__sqe->addr = (unsigned long)self->skel->bss->text;		\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_CQE(&self->ring, FLOW, _res);				\
	ASSERT_NO_CQE(&self->ring);					\
	bpf_link__destroy(__link);					\
} while (0)

/* Write @nr lines, some longer than what the program reads at once. */
static void write_lines(struct __test_metadata *_metadata, int fd, int nr)
{
	char line[5000];

	memset(line, 'x', sizeof(line));
	for (int i = 0; i < nr; i++) {
		int len = i % 10 ? i : sizeof(line) - i;

		line[len - 1] = '\n';
		ASSERT_EQ(len, write(fd, line, len));
		line[len - 1] = 'x';
	}
}

TEST_F(hello, cap_bpf_only)
{
	write_lines(_metadata, self->fd, 200);
	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF)));
	HELLO_RUN(200);
}

TEST_F(hello, empty)
{
	HELLO_RUN(0);
}

TEST_F(hello, error)
{
	close(self->fd);
	self->fd = open(".", O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, self->fd);
	HELLO_RUN(-EISDIR);
}

TEST_HARNESS_MAIN
