// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of programs in the presence of other state of the ring: an
 * unfinished submission, or a request that has completed or continues.
 */
#include "chain.h"

/*
 * The last SQE of a submission leaves its chain open, and is issued right
 * before the flush in which the flow starts. Neither the children nor the next
 * request of the application are part of this chain.
 */
TEST_F(chain, stale_link_head)
{
	struct chain__bss *bss = self->skel->bss;
	struct io_uring_cqe cqes[3];
	const int nr = 3;

	self->link = IOU_ATTACH(self->skel->progs.chain_issue, &self->ring, 0);
	iou_prep_nop(&bss->sqes[0], 1, 0, CHILD);
	iou_prep_nop(&bss->sqes[1], -EIO, 0, CHILD + 1);
	iou_prep_nop(&bss->sqes[2], 3, IORING_NOP_TW, CHILD + 2);
	bss->nr_sqes = nr;
	for (unsigned int drain = 0; drain < 2; drain++) {
		struct io_uring_sqe *sqe;

		bss->nr_events = 0;
		chain_queue_flow(self, 0, 0);
		sqe = iou_get_sqe(&self->ring);
		iou_prep_nop(sqe, 7, 0, READ);
		sqe->flags = IOSQE_IO_LINK | (drain ? IOSQE_IO_DRAIN : 0);
		ASSERT_EQ(2, iou_submit(&self->ring));
		iou_prep_nop(iou_get_sqe(&self->ring), 8, 0, OTHER);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
		ASSERT_HAS_CQE(cqes, 3, READ, 7);
		ASSERT_HAS_CQE(cqes, 3, FLOW, 0);
		ASSERT_HAS_CQE(cqes, 3, OTHER, 8);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(1 + nr, bss->nr_events);
		for (int i = 1; i <= nr; i++) {
			EXPECT_EQ((int)bss->sqes[i - 1].len,
				  bss->events[i].res);
		}
	}
}

/* Return a file for block I/O that has a block. */
static int ring_state_file(FIXTURE_DATA(chain) *self)
{
	const char *dir = getenv("TMPDIR");
	char name[256];
	void *block;
	int fd;

	snprintf(name, sizeof(name), "%s/state.XXXXXX", dir ?: "/tmp");
	fd = mkostemp(name, O_DIRECT);
	if (fd < 0)
		return -errno;
	unlink(name);
	if (posix_memalign(&block, 4096, 4096))
		return -ENOMEM;
	memset(block, 'b', 4096);
	if (pwrite(fd, block, 4096, 0) != 4096) {
		close(fd);
		fd = -errno;
	}
	free(block);
	return fd;
}

/*
 * A submission that is large enough for a plug, without block I/O. The read
 * follows in task work: a plug that it started would be in the memory of the
 * ring, and would remain in the task.
 */
TEST_F(chain, stale_plug)
{
	struct chain__bss *bss = self->skel->bss;
	char *block;
	int fd;

	fd = ring_state_file(self);
	if (fd == -EINVAL)
		SKIP(return, "no direct I/O in TMPDIR");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, posix_memalign((void **)&block, 4096, 4096));
	self->link = IOU_ATTACH(self->skel->progs.chain_one_by_one, &self->ring,
				0);
	iou_prep_nop(&bss->sqes[0], 1, IORING_NOP_TW, CHILD);
	iou_prep_read(&bss->sqes[1], fd, block, 4096, 0, CHILD + 1);
	iou_prep_read(&bss->sqes[2], fd, block, 4096, 0, CHILD + 2);
	bss->nr_sqes = 3;

	chain_queue_flow(self, 0, 0);
	for (int i = 0; i < 4; i++)
		iou_prep_nop(iou_get_sqe(&self->ring), i, 0, OTHER + i);
	ASSERT_EQ(5, iou_submit(&self->ring));
	for (int i = 0; i < 4; i++)
		ASSERT_CQE(&self->ring, OTHER + i, i);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(4, bss->nr_events);
	EXPECT_EQ(4096, bss->events[2].res);
	EXPECT_EQ(4096, bss->events[3].res);

	bpf_link__destroy(self->link);
	self->link = NULL;
	io_uring_queue_exit(&self->ring);
	usleep(IOU_IDLE_MS * 1000);
	/* KASAN would report an error */
	ASSERT_EQ(4096, pread(fd, block, 4096, 0));
	ASSERT_EQ(0, iou_ring_init(&self->ring, 0));
	free(block);
	close(fd);
}

/*
 * The timeout of the request before a flow fires, and the request is freed by
 * the holder of the last reference, and passes the walk again. Here both happen
 * at about the same time. There is one event, and one CQE each.
 */
TEST_F(chain, second_visit)
{
	struct chain__bss *bss = self->skel->bss;
	struct io_uring_cqe cqes[4], *first, *timeout;
	const int rounds = 30;

	self->link = IOU_ATTACH(self->skel->progs.chain_end, &self->ring, 0);
	for (int i = 0; i < rounds; i++) {
		char rest[LEN];

		bss->nr_events = 0;
		chain_queue_read(self, IOSQE_IO_LINK);
		chain_queue_timeout(self, 2, IOSQE_IO_LINK);
		chain_queue_flow(self, 0, IOSQE_IO_LINK);
		iou_prep_nop(iou_get_sqe(&self->ring), 5, 0, WRITE);
		ASSERT_EQ(4, iou_submit(&self->ring));
		usleep(100 * i);
		ASSERT_EQ(4, write(self->in[1], "data", 4));
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 4));
		first = iou_find_cqe(cqes, 4, READ);
		timeout = iou_find_cqe(cqes, 4, TIMEOUT);
		ASSERT_TRUE(first && timeout);
		ASSERT_TRUE(first->res == 4 || first->res == -ECANCELED);
		ASSERT_HAS_CQE(cqes, 4, FLOW, 0);
		ASSERT_HAS_CQE(cqes, 4, WRITE, 5);
		ASSERT_EQ(1, bss->nr_events);
		EXPECT_EQ(READ, bss->events[0].user_data);
		EXPECT_EQ(first->res, bss->events[0].res);
		if (first->res < 0)
			ASSERT_EQ(4, read(self->in[0], rest, 4));
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, bss->nr_events);
}

/*
 * The same for children with a reference of a worker: each of them completes
 * once.
 */
TEST_F(chain, second_visit_of_children)
{
	struct chain__bss *bss = self->skel->bss;
	const int nr = 8;

	self->link = IOU_ATTACH(self->skel->progs.chain_issue, &self->ring, 0);
	for (int i = 0; i < nr; i++) {
		iou_prep_nop(&bss->sqes[i], i, 0, CHILD + i);
		bss->sqes[i].flags = IOSQE_ASYNC;
	}
	bss->nr_sqes = nr;
	for (int i = 0; i < 10; i++) {
		bss->nr_events = 0;
		chain_queue_flow(self, 0, 0);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_EQ(1 + nr, bss->nr_events);
	}
	ASSERT_NO_CQE(&self->ring);
}

/* Let the program of flows issue a read that waits for the pipe. */
static void attach_reader(struct __test_metadata *_metadata,
			  FIXTURE_DATA(chain) *self, __u64 user_data)
{
	struct chain__bss *bss = self->skel->bss;

	self->link = IOU_ATTACH(self->skel->progs.chain_issue, &self->ring, 0);
	iou_prep_read(&bss->sqes[0], self->out[0], self->buf, LEN, 0, user_data);
	bss->nr_sqes = 1;
	ASSERT_EQ(0, fcntl(self->out[0], F_SETFL, 0));
}

/*
 * The timeout ends READ only, and the child of the flow can complete
 * afterwards.
 */
static void expect_timeout_of_read(struct __test_metadata *_metadata,
				   FIXTURE_DATA(chain) *self)
{
	struct io_uring_cqe cqes[2];

	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 2));
	ASSERT_HAS_CQE(cqes, 2, READ, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 2, TIMEOUT, -ETIME);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_EQ(4, write(self->out[1], "late", 4));
}

/*
 * The request of a timeout completes, and the timer fires nevertheless. By
 * then, the flow behind the request has a child with the same user_data. The
 * timeout cancels neither. On such a ring, nothing runs between the two, so the
 * order is certain.
 */
TEST_F(chain, stale_link_timeout)
{
	struct chain__bss *bss = self->skel->bss;
	const unsigned int fill = 40;
	struct io_uring_cqe cqe;

	if (!variant->setup)
		SKIP(return, "requires IORING_SETUP_DEFER_TASKRUN");
	attach_reader(_metadata, self, READ);

	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_timeout(self, 300, IOSQE_IO_LINK);
	chain_queue_flow(self, 0, 0)->user_data = READ;
	ASSERT_EQ(3, iou_submit(&self->ring));
	/* the read, other requests that fill a batch, and the timer */
	ASSERT_EQ(4, write(self->in[1], "data", 4));
	for (unsigned int i = 0; i < fill; i++)
		iou_prep_nop(iou_get_sqe(&self->ring), 0, IORING_NOP_TW, OTHER);
	ASSERT_EQ(fill, iou_submit(&self->ring));
	usleep(400 * 1000);

	for (unsigned int i = 0; i < fill + 2; i++) {
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_TRUE(cqe.user_data != READ || cqe.res == 4);
	}
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(1, bss->nr_events);
	ASSERT_EQ(4, write(self->out[1], "late", 4));
	ASSERT_CQE(&self->ring, READ, 0);
	ASSERT_EQ(2, bss->nr_events);
	EXPECT_EQ(4, bss->events[1].res);
}

/*
 * A timeout that fires in time does not cancel a flow with the user_data of its
 * request.
 */
TEST_F(chain, link_timeout_is_not_for_a_flow)
{
	attach_reader(_metadata, self, CHILD);
	chain_queue_flow(self, 0, 0)->user_data = READ;
	ASSERT_EQ(1, iou_submit(&self->ring));

	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_timeout(self, 50, 0);
	ASSERT_EQ(2, iou_submit(&self->ring));
	expect_timeout_of_read(_metadata, self);
	ASSERT_CQE(&self->ring, READ, 0);
}

/*
 * A linked timeout cancels its request, and no child with the same user_data.
 */
TEST_F(chain, link_timeout_is_not_for_a_child)
{
	struct chain__bss *bss = self->skel->bss;

	attach_reader(_metadata, self, READ);
	chain_queue_read(self, IOSQE_IO_LINK);
	chain_queue_timeout(self, 300, 0);
	ASSERT_EQ(2, iou_submit(&self->ring));
	chain_queue_flow(self, 0, 0);
	ASSERT_EQ(1, iou_submit(&self->ring));
	expect_timeout_of_read(_metadata, self);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(2, bss->nr_events);
	EXPECT_EQ(4, bss->events[1].res);
}

/*
 * CQEs of a multishot request before a flow are no events, even with a watching
 * program. The last one is an event of the flow.
 */
TEST_F(chain, last_cqe)
{
	LIBBPF_OPTS(bpf_iouring_opts, watch, .slot = 1,
		    .flags = BPF_F_IOURING_MATCH,
		    .opcodes = { 1ULL << IORING_OP_POLL_ADD });
	struct bpf_program *prog = self->skel->progs.chain_pass;
	struct chain__bss *bss = self->skel->bss;
	struct io_uring_cqe cqes[3];
	struct io_uring_sqe *sqe;

	self->link = IOU_ATTACH(prog, &self->ring, 0);
	self->link1 = bpf_program__attach_iouring(prog, self->ring.ring_fd,
						  &watch);
	ASSERT_NE(NULL, self->link1);
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_poll_multishot(sqe, self->in[0], POLLIN);
	sqe->user_data = READ;
	sqe->flags = IOSQE_IO_LINK;
	chain_queue_flow(self, 0, 0);
	/* the poll is armed when this has completed */
	iou_prep_nop(iou_get_sqe(&self->ring), 7, 0, MARKER);
	ASSERT_EQ(3, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, MARKER, 7);

	ASSERT_EQ(4, write(self->in[1], "data", 4));
	ASSERT_CQE_FLAGS(&self->ring, READ, POLLIN, IORING_CQE_F_MORE);
	ASSERT_EQ(0, bss->nr_events);

	iou_queue_cancel(&self->ring, READ, OTHER);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, 3));
	ASSERT_HAS_CQE(cqes, 3, OTHER, 0);
	ASSERT_HAS_CQE(cqes, 3, READ, -ECANCELED);
	ASSERT_HAS_CQE(cqes, 3, FLOW, -ECANCELED);
	ASSERT_EQ(1, bss->nr_events);
	EXPECT_EQ(BPF_IO_URING_COMPLETE, bss->events[0].event);
	EXPECT_EQ(READ, bss->events[0].user_data);
	EXPECT_EQ(-ECANCELED, bss->events[0].res);
	EXPECT_EQ(0, bss->events[0].flags);
}

TEST_HARNESS_MAIN
