// SPDX-License-Identifier: GPL-2.0
/* Watching programs that reissue a request: the application gets one CQE */
#include "iou_until.h"

#include <sys/socket.h>

#include "kselftest_harness.h"
#include "match_again.skel.h"

#define APP	0xa44ULL
#define OTHER	0x07e4ULL
#define LEN	16

FIXTURE(match_again) {
	struct io_uring ring;
	struct match_again *skel;
	struct bpf_link *link;
	struct bpf_link *later;
	int pipe[2];
	int sock[2];
	int fd;
	char path[128];
	char buf[64];
};

IOU_MODE_VARIANTS(match_again);
IOU_LOAD_ONCE(match_again);

static const char data[LEN + 1] = "0123456789abcdef";

static int make_file(FIXTURE_DATA(match_again) *self)
{
	const char *dir = getenv("TMPDIR") ?: "/tmp";

	snprintf(self->path, sizeof(self->path), "%s/iou_bpf.XXXXXX", dir);
	self->fd = mkstemp(self->path);
	return self->fd < 0 ? -errno : write(self->fd, data, LEN);
}

FIXTURE_SETUP(match_again)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->sock));
	ASSERT_EQ(LEN, make_file(self));
	self->skel = match_again_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(match_again)
{
	bpf_link__destroy(self->link);
	bpf_link__destroy(self->later);
	io_uring_queue_exit(&self->ring);
	for (int i = 0; i < 2; i++) {
		close(self->pipe[i]);
		close(self->sock[i]);
	}
	close(self->fd);
	unlink(self->path);
}

/* Let @_prog watch from @_slot. */
#define WATCH(_prog, _slot) ({						\
	LIBBPF_OPTS(bpf_iouring_opts, __opts, .slot = (_slot),		\
		    .flags = BPF_F_IOURING_MATCH);			\
	struct bpf_link *__link;					\
									\
	__link = bpf_program__attach_iouring(self->skel->progs._prog,	\
					     self->ring.ring_fd, &__opts);\
	ASSERT_NE(NULL, __link) TH_LOG("attach: %s", strerror(errno));	\
	__link;								\
})

static struct io_uring_sqe *queue_read(FIXTURE_DATA(match_again) *self, int fd,
				       unsigned int len, __u64 off)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_read(sqe, fd, self->buf, len, off, APP);
	return sqe;
}

/* Queue a NOP whose parts all have the result @res. */
static struct io_uring_sqe *queue_nop(FIXTURE_DATA(match_again) *self, int res)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_nop(sqe, res, 0, APP);
	/* there are no arguments of a NOP to add this to */
	self->skel->bss->add_len = res;
	return sqe;
}

static __u32 nr_events(FIXTURE_DATA(match_again) *self)
{
	return IO_URING_READ_ONCE(self->skel->bss->nr_events);
}

static struct iou_event *event(FIXTURE_DATA(match_again) *self, int i)
{
	return &self->skel->bss->events[i];
}

/* Write a part, and wait until the program has reissued the read for the rest. */
#define FEED(fd, from, len, nr) do {					\
	ASSERT_EQ(len, write(fd, data + (from), len));			\
	ASSERT_TRUE(iou_until(&self->ring, nr_events(self) >= (nr)));	\
	ASSERT_EQ(nr, nr_events(self));					\
	EXPECT_EQ(len, event(self, (nr) - 1)->res);			\
	EXPECT_EQ(0, self->skel->bss->ret_again);			\
} while (0)

/* Four parts become one CQE. */
static void in_parts(struct __test_metadata *_metadata, FIXTURE_DATA(match_again) *self,
		     int fd)
{
	ASSERT_EQ(1, iou_submit(&self->ring));
	FEED(fd, 0, 4, 1);
	FEED(fd, 4, 1, 2);
	FEED(fd, 5, 5, 3);
	ASSERT_NO_CQE(&self->ring);
	FEED(fd, 10, 6, 4);
	ASSERT_CQE(&self->ring, APP, LEN);
	ASSERT_EQ(0, memcmp(self->buf, data, LEN));
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(APP, event(self, i)->user_data);
		EXPECT_EQ(BPF_IO_URING_COMPLETE, event(self, i)->event);
		EXPECT_EQ(BPF_IO_URING_F_MATCH, event(self, i)->flags);
	}
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(match_again, read_in_parts)
{
	self->link = WATCH(again_rest, 0);
	queue_read(self, self->pipe[0], LEN, 0);
	in_parts(_metadata, self, self->pipe[1]);
}

TEST_F(match_again, recv_in_parts)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	self->link = WATCH(again_rest, 0);
	io_uring_prep_recv(sqe, self->sock[0], self->buf, LEN, 0);
	sqe->user_data = APP;
	in_parts(_metadata, self, self->sock[1]);
}

/* Each part uses a worker, which can hold the previous part for longer. */
TEST_F(match_again, read_in_io_wq)
{
	self->link = WATCH(again_rest, 0);
	queue_read(self, self->pipe[0], LEN, 0)->flags = IOSQE_ASYNC;
	in_parts(_metadata, self, self->pipe[1]);
}

TEST_F(match_again, fixed_file_and_buffer)
{
	struct iovec iov = { self->buf, sizeof(self->buf) };
	struct io_uring_sqe *sqe;

	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	ASSERT_EQ(0, io_uring_register_files(&self->ring, self->pipe, 1));
	self->link = WATCH(again_rest, 0);
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_read_fixed(sqe, 0, self->buf, LEN, 0, 0);
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->user_data = APP;
	in_parts(_metadata, self, self->pipe[1]);
}

/* A result of 0 ends a read, and the CQE has what was read before. */
TEST_F(match_again, end_of_file)
{
	self->link = WATCH(again_rest, 0);
	queue_read(self, self->fd, 2 * LEN, 4);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, LEN - 4);
	ASSERT_EQ(0, memcmp(self->buf, data + 4, LEN - 4));
	/* the kernel has tried to read on by itself, or the program has */
	ASSERT_LE(1, nr_events(self));
	ASSERT_EQ(0, event(self, nr_events(self) - 1)->res);
	ASSERT_NO_CQE(&self->ring);
}

/* If the SQE has no offset, the position of the file moves, otherwise it stays. */
TEST_F(match_again, position_of_file)
{
	self->link = WATCH(again_told, 0);
	self->skel->bss->nr_again = 1;
	self->skel->bss->add_addr = 4;
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	queue_read(self, self->fd, 4, -1);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 8);
	ASSERT_EQ(0, memcmp(self->buf, data, 8));
	ASSERT_EQ(8, lseek(self->fd, 0, SEEK_CUR));
	self->skel->bss->nr_again = 1;
	queue_read(self, self->fd, 4, 2);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 8);
	ASSERT_EQ(0, memcmp(self->buf, data + 2, 8));
	ASSERT_EQ(8, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(match_again, write)
{
	char got[LEN];

	self->link = WATCH(again_told, 0);
	self->skel->bss->nr_again = 1;
	self->skel->bss->add_addr = 8;
	memcpy(self->buf, "ABCDEFGHIJKLMNOP", LEN);
	iou_prep_write(iou_get_sqe(&self->ring), self->fd, self->buf, 8, 0, APP);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, LEN);
	ASSERT_EQ(LEN, pread(self->fd, got, LEN, 0));
	ASSERT_EQ(0, memcmp(got, self->buf, LEN));
}

/* A part that fails does not hide what was transferred before. */
TEST_F(match_again, failed_part)
{
	self->link = WATCH(again_told, 0);
	self->skel->bss->nr_again = 1;
	self->skel->bss->add_addr = -(__s64)(unsigned long)self->buf;
	queue_read(self, self->fd, 4, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 4);
	ASSERT_EQ(2, nr_events(self));
	EXPECT_EQ(-EFAULT, event(self, 1)->res);
	ASSERT_NO_CQE(&self->ring);
}

/* A request that has transferred nothing posts its error. */
TEST_F(match_again, error)
{
	self->link = WATCH(again_told, 0);
	self->skel->bss->nr_again = 3;
	queue_nop(self, -EINTR);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_TRUE(iou_until(&self->ring, nr_events(self) >= 4));
	ASSERT_CQE(&self->ring, APP, -EINTR);
	ASSERT_EQ(4, nr_events(self));
	ASSERT_NO_CQE(&self->ring);
}

/* The CQE that the application gets has its user_data, and the values of the last run. */
TEST_F(match_again, changed)
{
	self->link = WATCH(again_told_s, 0);
	self->skel->bss->nr_again = 1;
	self->skel->bss->new_user_data = OTHER;
	queue_nop(self, 3);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, OTHER, 6);
	ASSERT_EQ(2, nr_events(self));
	EXPECT_EQ(OTHER, event(self, 1)->user_data);
	ASSERT_NO_CQE(&self->ring);
}

/* What a program says of the CQE counts in the last run only. */
TEST_F(match_again, dropped)
{
	self->link = WATCH(again_told, 0);
	self->skel->bss->nr_again = 1;
	self->skel->bss->verdict = BPF_IO_URING_POST;
	queue_nop(self, 3);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 6);
	self->skel->bss->nr_again = 1;
	self->skel->bss->verdict = BPF_IO_URING_DROP;
	queue_nop(self, 3);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_TRUE(iou_until(&self->ring, nr_events(self) >= 4));
	ASSERT_NO_CQE(&self->ring);
}

/* A program of a later slot sees the completion that is not reissued. */
TEST_F(match_again, later_slot)
{
	self->link = WATCH(again_told, 0);
	self->later = WATCH(again_later, 1);
	self->skel->bss->nr_again = 2;
	self->skel->bss->verdict = BPF_IO_URING_NEXT;
	queue_nop(self, 3);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 9);
	ASSERT_EQ(3, nr_events(self));
	ASSERT_EQ(1, self->skel->bss->nr_later);
	ASSERT_EQ(3, self->skel->bss->later_res);
}

/* A program of a later slot reissues what the first one has passed on. */
TEST_F(match_again, by_later_slot)
{
	self->link = WATCH(again_pass, 0);
	self->later = WATCH(again_told, 1);
	self->skel->bss->nr_again = 2;
	queue_nop(self, 3);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 9);
	ASSERT_EQ(3, nr_events(self));
	ASSERT_EQ(3, self->skel->bss->nr_passed);
	ASSERT_NO_CQE(&self->ring);
}

/* A program that has changed user_data and passed the completion on sees the next, too. */
TEST_F(match_again, changed_and_passed)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = 0, .flags = BPF_F_IOURING_MATCH,
		    .user_data = APP, .user_data_mask = ~0ULL);

	self->link = bpf_program__attach_iouring(self->skel->progs.again_change,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	self->later = WATCH(again_told, 1);
	self->skel->bss->nr_again = 1;
	self->skel->bss->new_user_data = OTHER;
	queue_nop(self, 3);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, OTHER, 6);
	ASSERT_EQ(2, self->skel->bss->nr_passed);
	ASSERT_EQ(2, nr_events(self));
	ASSERT_NO_CQE(&self->ring);
}

/* Other requests complete before, between and behind it, and keep their order. */
TEST_F(match_again, among_others)
{
	self->link = WATCH(again_rest, 0);
	ASSERT_EQ(4, write(self->pipe[1], data, 4));
	queue_nop(self, 0)->user_data = OTHER;
	queue_read(self, self->pipe[0], LEN, 0);
	queue_nop(self, 0)->user_data = OTHER + 1;
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, OTHER, 0);
	ASSERT_CQE(&self->ring, OTHER + 1, 0);
	ASSERT_EQ(12, write(self->pipe[1], data + 4, 12));
	ASSERT_CQE(&self->ring, APP, LEN);
	ASSERT_EQ(0, memcmp(self->buf, data, LEN));
	ASSERT_NO_CQE(&self->ring);
}

/* The program is detached while a part waits. */
TEST_F(match_again, detached)
{
	self->link = WATCH(again_rest, 0);
	queue_read(self, self->pipe[0], LEN, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	FEED(self->pipe[1], 0, 4, 1);
	bpf_link__destroy(self->link);
	self->link = NULL;
	ASSERT_EQ(3, write(self->pipe[1], data + 4, 3));
	ASSERT_CQE(&self->ring, APP, 7);
	ASSERT_EQ(0, memcmp(self->buf, data, 7));
	ASSERT_EQ(1, nr_events(self));
}

/* A cancellation finds the part that waits, and what was read is not lost. */
TEST_F(match_again, cancelled)
{
	self->link = WATCH(again_rest, 0);
	queue_read(self, self->pipe[0], LEN, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	FEED(self->pipe[1], 0, 4, 1);
	ASSERT_EQ(0, iou_sync_cancel(&self->ring, APP, 0, -1, 0));
	ASSERT_CQE(&self->ring, APP, 4);
	ASSERT_EQ(2, nr_events(self));
	EXPECT_EQ(-ECANCELED, event(self, 1)->res);
	ASSERT_NO_CQE(&self->ring);
}

/* The words of a CQE of 32 bytes are not those in which the kernel counts. */
TEST_F(match_again, wide_cqe)
{
	struct io_uring_sqe *sqe;
	struct iou_cqe got;

	if (!(variant->setup & IOU_WIDE_CQES))
		SKIP(return, "CQEs of 16 bytes");
	self->link = WATCH(again_told, 0);
	self->skel->bss->nr_again = 2;
	queue_nop(self, 3);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_big_cqe(&self->ring, &got, IOU_WAIT_MS));
	EXPECT_EQ(APP, got.cqe.user_data);
	EXPECT_EQ(9, got.cqe.res);
	EXPECT_EQ(0, got.extra[0]);
	EXPECT_EQ(0, got.extra[1]);
	/* nor does the program see these */
	self->skel->bss->nr_again = 1;
	sqe = queue_nop(self, 3);
	sqe->nop_flags |= IORING_NOP_CQE32;
	sqe->off = 17;
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_big_cqe(&self->ring, &got, IOU_WAIT_MS));
	EXPECT_EQ(-EOPNOTSUPP, self->skel->bss->ret_again);
	EXPECT_EQ(3, got.cqe.res);
	EXPECT_EQ(17, got.extra[0]);
}

/* Submit one request, whose completion the program is not to reissue. */
#define REFUSED(_ret, _res) do {					\
	__u32 __nr = nr_events(self);					\
									\
	self->skel->bss->nr_again = 1;					\
	self->skel->bss->ret_again = 1;					\
	ASSERT_LE(1, iou_submit(&self->ring));				\
	ASSERT_TRUE(iou_until(&self->ring, nr_events(self) > __nr));	\
	EXPECT_EQ(_ret, self->skel->bss->ret_again);			\
	ASSERT_CQE(&self->ring, APP, _res);				\
} while (0)

TEST_F(match_again, refused)
{
	struct io_uring_sqe *sqe;

	self->link = WATCH(again_told, 0);
	/* no opcode for this */
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_fsync(sqe, self->fd, 0);
	sqe->user_data = APP;
	REFUSED(-EOPNOTSUPP, 0);
	/* linked to the next one */
	queue_nop(self, 1)->flags = IOSQE_IO_LINK;
	queue_nop(self, 2)->user_data = OTHER;
	REFUSED(-EOPNOTSUPP, 1);
	ASSERT_CQE(&self->ring, OTHER, 2);
	/* posts a CQE only if it fails */
	queue_nop(self, -EIO)->flags = IOSQE_CQE_SKIP_SUCCESS;
	REFUSED(-EOPNOTSUPP, -EIO);
	/* never issued, without a file */
	queue_read(self, -1, 4, 0);
	REFUSED(-EINVAL, -EBADF);
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(match_again, drained)
{
	self->link = WATCH(again_told, 0);
	queue_nop(self, 1)->flags = IOSQE_IO_DRAIN;
	REFUSED(-EOPNOTSUPP, 1);
	ASSERT_NO_CQE(&self->ring);
}

/* The second call is refused, and the first one counts. */
TEST_F(match_again, twice)
{
	self->link = WATCH(again_told, 0);
	self->skel->bss->nr_again = 1;
	self->skel->bss->times = 2;
	queue_nop(self, 3);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 6);
	ASSERT_EQ(0, self->skel->bss->ret_again);
	ASSERT_EQ(-EALREADY, self->skel->bss->ret_twice);
}

/* A CQE of a multishot request is not the request. */
TEST_F(match_again, multishot)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	self->link = WATCH(again_told, 0);
	io_uring_prep_poll_multishot(sqe, self->pipe[0], POLLIN);
	sqe->user_data = APP;
	ASSERT_EQ(1, iou_submit(&self->ring));
	self->skel->bss->nr_again = 1;
	ASSERT_EQ(1, write(self->pipe[1], data, 1));
	ASSERT_TRUE(iou_until(&self->ring, nr_events(self) >= 1));
	ASSERT_EQ(BPF_IO_URING_AUX, event(self, 0)->event);
	ASSERT_EQ(-EINVAL, self->skel->bss->ret_again);
	ASSERT_CQE_FLAGS(&self->ring, APP, POLLIN, IORING_CQE_F_MORE);
}

/* While CQEs wait for room in the CQ, the application has to reap first. */
TEST_F(match_again, overflow)
{
	unsigned int i, nr = self->ring.cq.ring_entries + 1;

	for (i = 0; i < nr; i++) {
		queue_nop(self, 0)->user_data = OTHER;
		ASSERT_EQ(1, iou_submit(&self->ring));
	}
	self->link = WATCH(again_told, 0);
	self->skel->bss->nr_again = 1;
	queue_nop(self, 3);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_TRUE(iou_until(&self->ring, nr_events(self) >= 1));
	ASSERT_EQ(-EBUSY, self->skel->bss->ret_again);
	for (i = 0; i < nr; i++)
		ASSERT_CQE(&self->ring, OTHER, 0);
	ASSERT_CQE(&self->ring, APP, 3);
}

TEST_HARNESS_MAIN
