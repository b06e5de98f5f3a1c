// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation fails in turn. The result is an error or an event, and
 * nothing hangs or is lost. kmemleak detects memory leaks.
 */
#include "fault.h"

#include <poll.h>

static int create_link(FIXTURE_DATA(fault) *self)
{
	return bpf_link_create(bpf_program__fd(self->skel->progs.fault_issue),
			       self->ring.ring_fd, BPF_IOURING, NULL);
}

/* A failed attempt does not affect later ones. */
TEST_F_TIMEOUT(fault, attach, 300)
{
	unsigned int failed = 0;
	int fd;

	for_each_fault(nth) {
		ASSERT_EQ(0, fresh_ring(self, variant->setup, NULL));
		fd = FAULT(create_link(self));
		if (fd < 0) {
			ASSERT_EQ(-ENOMEM, fd) TH_LOG("%u", nth);
			failed++;
			fd = create_link(self);
			ASSERT_LE(0, fd);
		}
		ASSERT_EQ(-EBUSY, create_link(self));
		self->skel->bss->nr_sqes = 0;
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, io_uring_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, 0);
		close(fd);
	}
	/* the link, the state of the ring, the id of the link, its file, ... */
	ASSERT_LT(2, failed);
}

static struct io_uring_sqe *add_child(FIXTURE_DATA(fault) *self)
{
	struct io_uring_sqe *sqe;

	sqe = &self->skel->bss->sqes[self->skel->bss->nr_sqes++];
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

/* Children with further allocations, which complete on their own */
static void add_children(FIXTURE_DATA(fault) *self)
{
	struct io_uring_sqe *sqe;

	self->skel->bss->nr_sqes = 0;
	iou_prep_nop(add_child(self), 1, IORING_NOP_TW, CHILD);
	iou_prep_nop(add_child(self), 2, 0, CHILD);
	io_uring_prep_readv(add_child(self), self->pipe[0], self->iov, 16, 0);
	io_uring_prep_timeout(add_child(self), &self->ts, 0, 0);
	io_uring_prep_sendmsg(add_child(self), self->sock[0], &self->msg, 0);
	io_uring_prep_recvmsg(add_child(self), self->sock[1], &self->msg, 0);
	io_uring_prep_openat(add_child(self), AT_FDCWD, "/", O_PATH, 0);
	io_uring_prep_poll_add(add_child(self), self->sock[0], POLLOUT);
	sqe = add_child(self);
	iou_prep_nop(sqe, 3, 0, CHILD);
	sqe->flags = IOSQE_ASYNC;
}

TEST_F_TIMEOUT(fault, flow, 600)
{
	struct fault__bss *bss = self->skel->bss;
	int ret;

	for_each_fault(nth) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, fresh_ring(self, variant->setup,
					self->skel->progs.fault_issue));
		add_children(self);
		ASSERT_EQ(16, write(self->pipe[1], self->buf, 16));
		bss->nr_events = 0;
		memset(bss->rets, 0xff, sizeof(bss->rets));
		ret = FAULT(run_flow(self, &cqe));
		/* for a child that waits for data of a failed one */
		send(self->sock[0], self->buf, 16, MSG_DONTWAIT);
		ASSERT_EQ(0, end_flow(self, ret, &cqe));
		fault_drain(self);
		ASSERT_TRUE(!cqe.res || no_memory(cqe.res)) {
			TH_LOG("%u: %d", nth, cqe.res);
		}
		ASSERT_EQ(1 + nr_issued(self), bss->nr_events);
		for (unsigned int i = 1; i < bss->nr_events; i++) {
			int res = bss->events[i].res;

			ASSERT_TRUE(res >= 0 || no_memory(res)) {
				TH_LOG("%u: opcode %u, %d", nth,
				       bss->events[i].opcode, res);
			}
			if (bss->events[i].opcode == IORING_OP_OPENAT)
				close(res);
		}
	}
}

/* The memory of a flow is that of its SQE: without it, there is no event. */
TEST_F_TIMEOUT(fault, flow_mem, 300)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flow_size = 64);
	unsigned int failed = 0;
	int ret;

	self->skel->bss->nr_sqes = 0;
	for_each_fault(nth) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, fresh_ring(self, variant->setup, NULL));
		self->link = bpf_program__attach_iouring(self->skel->progs.fault_issue,
							 self->ring.ring_fd, &opts);
		ASSERT_NE(NULL, self->link);
		self->skel->bss->nr_events = 0;
		ret = FAULT(run_flow(self, &cqe));
		ASSERT_EQ(0, end_flow(self, ret, &cqe));
		ASSERT_EQ(!cqe.res, self->skel->bss->nr_events);
		if (!cqe.res)
			continue;
		ASSERT_EQ(-ENOMEM, cqe.res);
		failed++;
	}
	/* the table of flows is tried twice */
	ASSERT_EQ(1, failed);
}

/*
 * A child with a notification, which completes later. Such a socket does not
 * support zero-copy.
 */
TEST_F_TIMEOUT(fault, zero_copy, 300)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[0];
	int ret;

	self->skel->bss->nr_sqes = 1;
	memset(sqe, 0, sizeof(*sqe));
	io_uring_prep_send_zc(sqe, self->sock[0], self->buf, 16, 0, 0);
	for_each_fault(nth) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, fresh_ring(self, variant->setup,
					self->skel->progs.fault_issue));
		ret = FAULT(run_flow(self, &cqe));
		ASSERT_EQ(0, end_flow(self, ret, &cqe));
		ASSERT_TRUE(!cqe.res || cqe.res == -EOPNOTSUPP ||
			    cqe.res == -ENOMEM)
			TH_LOG("%u: %d", nth, cqe.res);
	}
}

static void prep_again(FIXTURE_DATA(fault) *self, bool vector)
{
	struct io_uring_sqe *sqe = &self->skel->bss->sqes[0];

	if (vector)
		io_uring_prep_readv(sqe, self->sock[0], self->iov, 16, 0);
	else
		io_uring_prep_recv(sqe, self->sock[0], self->buf, 16, 0);
	sqe->user_data = CHILD;
}

/* Polled children, which are reissued as a copy */
static void issue_again(struct __test_metadata *_metadata,
			FIXTURE_DATA(fault) *self, unsigned int setup,
			bool vector)
{
	struct fault__bss *bss = self->skel->bss;

	bss->nr_sqes = 1;
	for_each_fault(nth) {
		struct io_uring_cqe cqe = {};

		ASSERT_EQ(0, fresh_ring(self, setup,
					self->skel->progs.fault_again));
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->sock));
		prep_again(self, vector);
		bss->nr_events = 0;
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, io_uring_submit(&self->ring));
		ASSERT_EQ(1, bss->nr_events);
		/* this also runs the program on rings without DEFER_TASKRUN */
		fault_nth(nth);
		write(self->sock[1], self->buf, 16);
		iou_wait_cqe_ms(&self->ring, &cqe, IOU_IDLE_MS);
		__more = fault_end();
		if (!cqe.user_data) {
			write(self->sock[1], self->buf, 16);
			shutdown(self->sock[1], SHUT_RDWR);
			ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		}
		ASSERT_EQ(FLOW, cqe.user_data);
		ASSERT_TRUE(cqe.res == 0 || cqe.res == -ENOMEM)
			TH_LOG("%d", cqe.res);
		close(self->sock[0]);
		close(self->sock[1]);
	}
}

TEST_F_TIMEOUT(fault, readv_again, 600)
{
	issue_again(_metadata, self, variant->setup, true);
}

TEST_F_TIMEOUT(fault, recv_again, 600)
{
	issue_again(_metadata, self, variant->setup, false);
}

TEST_HARNESS_MAIN
