// SPDX-License-Identifier: GPL-2.0
/* No memory at all from some point on, for programs that handle the error */
#include "fault.h"

#include <poll.h>

/* larger than all allocations of a case */
#define MAX_BYTES	(64 << 10)

/* All allocations fail from some point on, and the program sees the error. */
TEST_F_TIMEOUT(fault, nothing_left, 600)
{
	struct fault__bss *bss = self->skel->bss;
	bool no_place = false, refused = false;
	int bytes;

	bss->nr_sqes = 32;
	for (int i = 0; i < 32; i++)
		iou_prep_nop(&bss->sqes[i], 1, IORING_NOP_TW, CHILD);
	for (bytes = 0; bytes < MAX_BYTES; bytes += bytes < 1024 ? 64 : 512) {
		struct io_uring_cqe cqe = {};
		int ret;

		ASSERT_EQ(0, fresh_ring(self, variant->setup,
					self->skel->progs.fault_issue));
		bss->nr_events = 0;
		memset(bss->rets, 0xff, sizeof(bss->rets));
		fault_all(bytes);
		ret = run_flow(self, &cqe);
		fault_all_end();
		ASSERT_EQ(0, end_flow(self, ret, &cqe));
		if (cqe.res) {
			ASSERT_EQ(-ENOMEM, cqe.res);
			no_place |= !bss->nr_events;
			refused |= bss->nr_events;
			continue;
		}
		ASSERT_EQ(1 + nr_issued(self), bss->nr_events);
		ASSERT_EQ(32, nr_issued(self));
		if (ret == 1)
			break;
	}
	ASSERT_GT(MAX_BYTES, bytes);
	ASSERT_TRUE(no_place);
	ASSERT_TRUE(refused);
}

/*
 * Submit one more flow than the table has room for, with so little memory that
 * growing fails. Return true if the flow starts nevertheless.
 */
static bool add_flow(FIXTURE_DATA(fault) *self, unsigned int bytes,
		     unsigned int *refused)
{
	unsigned int nr_events = self->skel->bss->nr_events;
	struct io_uring_cqe cqe = {};
	int ret;

	if (!io_uring_sq_ready(&self->ring))
		iou_queue_bpf(&self->ring, 0, FLOW);
	fault_all(bytes);
	ret = io_uring_submit(&self->ring);
	fault_all_end();
	if (ret != 1)
		return false;
	if (iou_wait_cqe_ms(&self->ring, &cqe, IOU_IDLE_MS))
		return true;
	*refused += cqe.res == -ENOMEM &&
		    self->skel->bss->nr_events == nr_events;
	return false;
}

/* The table of flows grows with flows in it, which must be preserved. */
TEST_F_TIMEOUT(fault, many_flows, 300)
{
	unsigned int nr = 0, refused = 0;

	self->skel->bss->nr_sqes = 1;
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], self->buf, 1, 0,
		      CHILD);
	ASSERT_EQ(0, fresh_ring(self, variant->setup,
				self->skel->progs.fault_issue));
	for (unsigned int full = 8; full <= 32; full *= 2) {
		unsigned int before = refused;

		for (; nr < full; nr++) {
			if (!io_uring_sq_ready(&self->ring))
				iou_queue_bpf(&self->ring, 0, FLOW);
			ASSERT_EQ(1, io_uring_submit(&self->ring));
		}
		for (unsigned int bytes = 0; bytes < 512 && nr == full;
		     bytes += 64)
			nr += add_flow(self, bytes, &refused);
		ASSERT_LT(before, refused);
	}
	ASSERT_EQ(nr, write(self->pipe[1], self->buf, nr));
	while (nr--)
		ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_NO_CQE(&self->ring);
}

/*
 * Use up all free requests with reads that never complete. Such a read needs no
 * other allocation: a failed one would become free again.
 */
static void take_all(FIXTURE_DATA(fault) *self)
{
	do {
		if (!io_uring_sq_ready(&self->ring))
			io_uring_prep_poll_add(iou_get_sqe(&self->ring),
					       self->pipe[0], POLLIN);
	} while (io_uring_submit(&self->ring) == 1);
}

/* more hops than there are free requests */
#define NR_WARM		120
/* the completed child and the next one */
#define NR_POLLED	4

static int take_cqes(struct io_uring *ring, int nr)
{
	struct io_uring_cqe cqe;
	int ret = 0;

	while (!ret && nr--)
		ret = iou_wait_cqe(ring, &cqe);
	return ret;
}

static void queue_read(FIXTURE_DATA(fault) *self, unsigned int flags)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	iou_prep_read(sqe, self->pipe[0], self->buf, 1, 0, APP);
	sqe->flags = flags;
}

/*
 * Set up a ring whose caches have all that reads need except requests: a poll
 * returns only what it has allocated.
 */
static int warm_ring(FIXTURE_DATA(fault) *self, unsigned int setup,
		     struct bpf_program *prog)
{
	int ret;

	ret = fresh_ring_size(self, setup, NR_WARM, prog);
	if (ret)
		return ret;
	for (int i = 0; i < NR_POLLED; i++)
		queue_read(self, 0);
	if (io_uring_submit(&self->ring) != NR_POLLED ||
	    write(self->pipe[1], self->buf, NR_POLLED) != NR_POLLED)
		return -EIO;
	ret = take_cqes(&self->ring, NR_POLLED);
	if (ret)
		return ret;
	for (int i = 1; i < NR_WARM; i++)
		queue_read(self, IOSQE_IO_LINK);
	queue_read(self, 0);
	if (write(self->pipe[1], self->buf, NR_WARM) != NR_WARM ||
	    io_uring_submit(&self->ring) != NR_WARM)
		return -EIO;
	return take_cqes(&self->ring, NR_WARM);
}

/*
 * A polled child is freed after the next one, or its own reissue, was issued.
 * The application takes each freed request, until none is left for the next
 * child. Return the number of hops up to then.
 */
static int hop_on(FIXTURE_DATA(fault) *self)
{
	struct fault__bss *bss = self->skel->bss;
	int rounds, fds[2];

	if (pipe(fds))
		return -errno;
	memset(bss->rets, 0, sizeof(bss->rets));
	iou_prep_read(&bss->sqes[0], fds[0], self->buf, 1, 0, CHILD);
	iou_queue_bpf(&self->ring, 0, FLOW);
	if (io_uring_submit(&self->ring) != 1)
		return -EIO;
	for (rounds = 0; rounds < NR_WARM && !io_uring_cq_ready(&self->ring); rounds++) {
		fault_all(0);
		/* takes at most a page, and runs the program on some rings */
		write(fds[1], self->buf, 1);
		io_uring_get_events(&self->ring);
		take_all(self);
		fault_all_end();
	}
	if (!io_uring_cq_ready(&self->ring) &&
	    iou_sync_cancel(&self->ring, FLOW, 0, -1, 0))
		rounds = -EIO;
	close(fds[0]);
	close(fds[1]);
	return rounds;
}

/*
 * The next child uses the memory of the last one, or the flow reports -ENOMEM.
 */
static void nothing_left(struct __test_metadata *_metadata, FIXTURE_DATA(fault) *self,
			 unsigned int setup, struct bpf_program *prog)
{
	struct io_uring_cqe cqe;
	int rounds;

	ASSERT_EQ(0, warm_ring(self, setup, prog));
	rounds = hop_on(self);
	ASSERT_LT(0, rounds);
	ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_EQ(FLOW, cqe.user_data);
	ASSERT_EQ(rounds == NR_WARM ? -ECANCELED : -ENOMEM, cqe.res);
	ASSERT_LE(rounds, self->skel->bss->nr_events);
}

TEST_F_TIMEOUT(fault, nothing_left_to_hop, 300)
{
	nothing_left(_metadata, self, variant->setup, self->skel->progs.fault_hop);
}

TEST_F_TIMEOUT(fault, nothing_left_to_issue_again, 300)
{
	nothing_left(_metadata, self, variant->setup, self->skel->progs.fault_hop_again);
}

/* A CQE that is lost takes no room in the CQ, which has two entries here. */
TEST_F_TIMEOUT(fault, nothing_left_to_post, 300)
{
	struct fault__bss *bss = self->skel->bss;
	struct io_uring_cqe cqe;
	int fds[2][2];

	ASSERT_EQ(0, fresh_ring_size(self, variant->setup, 1, self->skel->progs.fault_post));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, pipe(fds[i]));
		io_uring_prep_poll_add(&bss->sqes[i], fds[i][0], POLLIN);
		bss->sqes[i].user_data = CHILD;
	}
	bss->nr_sqes = 2;
	bss->nr_events = 0;
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, io_uring_submit(&self->ring));
	fault_all(0);
	take_all(self);
	write(fds[0][1], self->buf, 1);
	io_uring_get_events(&self->ring);
	fault_all_end();
	ASSERT_EQ(2, bss->nr_events);
	ASSERT_EQ(0, bss->rets[0]);
	/* the CQEs are lost, which the application learns */
	ASSERT_EQ(-EBADR, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_EQ(1, write(fds[1][1], self->buf, 1));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
	ASSERT_EQ(FLOW, cqe.user_data);
	ASSERT_EQ(3, bss->nr_events);
	ASSERT_EQ(0, bss->rets[0]);
	for (int i = 0; i < 2; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
}

TEST_HARNESS_MAIN
