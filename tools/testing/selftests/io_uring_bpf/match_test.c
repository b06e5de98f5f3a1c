// SPDX-License-Identifier: GPL-2.0
/* Which requests a watching program sees, and their context */
#include "match.h"

#include <sys/socket.h>

TEST_F(match, event_fields)
{
	struct iou_event *ev = match_event(self, 0);

	self->link = MATCH_ALL(match_as_told);
	match_run_nop(APP, 1);
	EXPECT_EQ(BPF_IO_URING_COMPLETE, ev->event);
	EXPECT_EQ(BPF_IO_URING_F_MATCH, ev->flags);
	EXPECT_EQ(IORING_OP_NOP, ev->opcode);
	EXPECT_EQ(APP, ev->user_data);
	EXPECT_EQ(3, ev->res);
	EXPECT_EQ(0, ev->cflags);
	EXPECT_EQ(0, ev->nr_children);
	EXPECT_EQ(0, ev->flow_user_data);
	/* nor does the program find the values of an earlier run */
	match_run_nop(APP, 1);
	for (int i = 0; i < 2; i++) {
		for (int n = 0; n < 4; n++)
			EXPECT_EQ(0, match_event(self, i)->state[n]);
	}
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(match, sleepable)
{
	self->link = MATCH_ALL(match_as_told_s);
	for (int i = 0; i < 10; i++)
		match_run_nop(APP + i, 1);
	ASSERT_NO_CQE(&self->ring);
}

/* Requests of any opcode that complete in any way */
TEST_F(match, many_opcodes)
{
	struct io_uring_sqe *sqe;
	int nr = 0;

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ALL(match_as_told);
	for (int i = 0; i < 2; i++) {
		sqe = match_queue_nop(self, 1, APP + nr++);
		sqe->nop_flags |= i ? IORING_NOP_TW : 0;
		/* in a worker */
		match_queue_nop(self, 2, APP + nr++)->flags = IOSQE_ASYNC;
	}
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_poll_add(sqe, self->pipe[1], POLLOUT);
	sqe->user_data = APP + nr++;
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_openat(sqe, AT_FDCWD, "/no/such/file", 0, 0);
	sqe->user_data = APP + nr++;
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_socket(sqe, AF_UNIX, SOCK_STREAM, 0, 0);
	sqe->user_data = APP + nr++;
	iou_prep_read(iou_get_sqe(&self->ring), 12345, self->buf, 4, 0,
		      APP + nr++);
	/* waits first */
	match_queue_read(self, APP + nr++);
	MATCH_SUBMIT(nr);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	for (int i = 0; i < nr; i++) {
		struct io_uring_cqe cqe = {};
		struct iou_event *ev = NULL;

		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		for (int n = 0; n < nr && !ev; n++) {
			if (match_event(self, n)->user_data == cqe.user_data)
				ev = match_event(self, n);
		}
		ASSERT_NE(NULL, ev);
		EXPECT_EQ(cqe.res, ev->res);
		EXPECT_EQ(cqe.flags, ev->cflags);
		EXPECT_EQ(BPF_IO_URING_F_MATCH, ev->flags);
	}
	ASSERT_EQ(nr, match_nr_events(self));
	ASSERT_NO_CQE(&self->ring);
}

/*
 * A timeout ends the wait for CQEs when it fires, so its CQE cannot be dropped.
 * Flows are not watched either, whether valid or not.
 */
TEST_F(match, never_watched)
{
	struct __kernel_timespec ts = { .tv_nsec = 1000 };
	struct io_uring_sqe *sqe;

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ALL(match_as_told);
	self->other = MATCH_ATTACH(match_as_told, .slot = 1,
				   /*
				    * a filter requires an opcode that can be
				    * watched
				    */
				   .opcodes = { 1ULL << IORING_OP_TIMEOUT |
						1ULL << IORING_OP_RECV_ZC |
						1ULL << IORING_OP_FSYNC,
						1ULL << (IORING_OP_BPF - 64) });
	self->skel->bss->verdict = BPF_IO_URING_DROP;
	sqe = iou_get_sqe(&self->ring);
	io_uring_prep_timeout(sqe, &ts, 0, 0);
	sqe->user_data = APP;
	MATCH_SUBMIT(1);
	ASSERT_CQE(&self->ring, APP, -ETIME);
	iou_queue_bpf(&self->ring, 2, FLOW);
	MATCH_SUBMIT(1);
	ASSERT_CQE(&self->ring, FLOW, -ENOENT);
	ASSERT_EQ(0, match_nr_events(self));
}

static int run_socket(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = iou_get_sqe(ring);
	struct io_uring_cqe cqe;
	int ret;

	io_uring_prep_socket(sqe, AF_UNIX, SOCK_STREAM, 0, 0);
	iou_submit(ring);
	ret = iou_wait_cqe(ring, &cqe);
	if (!ret && cqe.res >= 0)
		close(cqe.res);
	return ret;
}

TEST_F(match, opcode)
{
	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  MATCH_OP(IORING_OP_NOP));
	match_run_nop(APP, 1);
	ASSERT_EQ(0, run_socket(&self->ring));
	ASSERT_EQ(1, match_nr_events(self));
	bpf_link__destroy(self->link);

	/* an opcode above 31 */
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  MATCH_OP(IORING_OP_SOCKET));
	match_run_nop(APP, 0);
	ASSERT_EQ(0, run_socket(&self->ring));
	ASSERT_EQ(2, match_nr_events(self));
	bpf_link__destroy(self->link);

	/* both, and all except both */
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  .opcodes[0] = 1ULL << IORING_OP_NOP |
						1ULL << IORING_OP_SOCKET);
	match_run_nop(APP, 1);
	ASSERT_EQ(0, run_socket(&self->ring));
	ASSERT_EQ(4, match_nr_events(self));
	bpf_link__destroy(self->link);
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  .opcodes[0] = ~(1ULL << IORING_OP_NOP |
						  1ULL << IORING_OP_SOCKET));
	match_run_nop(APP, 0);
	ASSERT_EQ(0, run_socket(&self->ring));
	ASSERT_EQ(4, match_nr_events(self));
}

/* The opcode's bit is in the second word. */
TEST_F(match, opcode_above_63)
{
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  MATCH_OP(IORING_OP_URING_CMD128));
	match_run_nop(APP, 0);
	ASSERT_EQ(0, run_socket(&self->ring));
	ASSERT_EQ(0, match_nr_events(self));
}

TEST_F(match, user_data)
{
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  .user_data = 0xab00000000000010,
				  .user_data_mask = 0xff000000000000f0);
	match_run_nop(0xab00000000000010, 1);
	match_run_nop(0xab1234567890001f, 1);
	match_run_nop(0xab00000000000000, 0);
	match_run_nop(0xab00000000000030, 0);
	match_run_nop(0xaa00000000000010, 0);
	match_run_nop(0x10, 0);
	match_run_nop(0ULL, 0);
	match_run_nop(~0ULL, 0);
}

TEST_F(match, user_data_is_zero)
{
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  .user_data_mask = ~0ULL);
	match_run_nop(0ULL, 1);
	match_run_nop(1ULL, 0);
	match_run_nop(1ULL << 63, 0);
}

TEST_F(match, both)
{
	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ATTACH(match_as_told, .slot = 0,
				  .user_data = 1, .user_data_mask = 1,
				  MATCH_OP(IORING_OP_NOP));
	match_run_nop(1ULL, 1);
	match_run_nop(2ULL, 0);
	match_queue_read(self, 3);
	MATCH_SUBMIT(1);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, 3, 4);
	ASSERT_EQ(1, match_nr_events(self));
}

/* The lowest matching slot runs, whatever the order of attaching. */
TEST_F(match, lowest_slot)
{
	self->other = MATCH_ATTACH(match_other, .slot = 5);
	self->link = MATCH_ATTACH(match_as_told, .slot = 3,
				  .user_data = APP, .user_data_mask = ~0ULL);
	match_run_nop(APP, 1);
	ASSERT_EQ(0, self->skel->bss->nr_other);
	match_queue_nop(self, 3, APP + 1);
	MATCH_SUBMIT(1);
	ASSERT_CQE_FLAGS(&self->ring, APP + 1, 3, OTHER_MARK);
	ASSERT_EQ(1, self->skel->bss->nr_other);
	ASSERT_EQ(1, match_nr_events(self));

	bpf_link__destroy(self->link);
	self->link = NULL;
	match_queue_nop(self, 3, APP);
	MATCH_SUBMIT(1);
	ASSERT_CQE_FLAGS(&self->ring, APP, 3, OTHER_MARK);
	ASSERT_EQ(2, self->skel->bss->nr_other);
}

TEST_F(match, every_slot)
{
	struct bpf_link *links[IOU_MAX_SLOTS];

	for (int i = 0; i < IOU_MAX_SLOTS; i++)
		links[i] = MATCH_ATTACH(match_as_told, .slot = i,
					.user_data = i, .user_data_mask = 15);
	for (__u64 i = 0; i < IOU_MAX_SLOTS; i++)
		match_run_nop(0x1230 + i, 1);
	for (int i = 0; i < IOU_MAX_SLOTS; i++) {
		bpf_link__destroy(links[i]);
		match_run_nop(0x1230ULL + i, 0);
	}
}

/* A request that failed its preparation is not watched. */
TEST_F(match, failed_preparation)
{
	self->link = MATCH_ALL(match_as_told);
	for (int i = 0; i < 4; i++) {
		struct io_uring_sqe *sqe = match_queue_nop(self, 3, APP + i);

		if (i == 0)
			sqe->opcode = 200;
		if (i == 1)
			sqe->flags = 0x80;
		if (i == 2)
			sqe->nop_flags = ~0U;
		if (i == 3)
			sqe->personality = 4711;
	}
	MATCH_SUBMIT(4);
	for (int i = 0; i < 4; i++)
		ASSERT_CQE(&self->ring, APP + i, -EINVAL);
	ASSERT_EQ(0, match_nr_events(self));
}

/* Requests that were submitted before attaching are watched at completion. */
TEST_F(match, attached_later)
{
	MATCH_TAKES_MORE_THAN_NOPS();
	for (int i = 0; i < 2; i++)
		match_queue_read(self, APP + i)->flags = i ? IOSQE_ASYNC : 0;
	MATCH_SUBMIT(2);
	self->link = MATCH_ALL(match_as_told);
	match_run_nop(APP + 2, 1);
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe cqe;

		ASSERT_EQ(4, write(self->pipe[1], "data", 4));
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &cqe));
		ASSERT_EQ(4, cqe.res);
		ASSERT_EQ(2 + i, match_nr_events(self));
		ASSERT_EQ(cqe.user_data, match_event(self, 1 + i)->user_data);
	}
}

/* Messages of other rings are not requests of this ring. */
TEST_F(match, msg_ring)
{
	struct io_uring_sqe *sqe;
	struct io_uring src;

	ASSERT_EQ(0, iou_ring_init(&src, variant->setup));
	self->link = MATCH_ALL(match_as_told);
	sqe = iou_get_sqe(&src);
	io_uring_prep_msg_ring(sqe, self->ring.ring_fd, 77, APP, 0);
	ASSERT_EQ(1, iou_submit(&src));
	ASSERT_CQE(&self->ring, APP, 77);
	ASSERT_CQE(&src, 0, 0);
	ASSERT_EQ(0, match_nr_events(self));
	io_uring_queue_exit(&src);
}

TEST_F(match, registered_buffer)
{
	struct iovec iov = { self->buf, sizeof(self->buf) };

	MATCH_TAKES_MORE_THAN_NOPS();
	ASSERT_EQ(0, io_uring_register_buffers(&self->ring, &iov, 1));
	self->link = MATCH_ATTACH(match_buf, .slot = 0,
				  MATCH_OP(IORING_OP_READ_FIXED));
	for (int i = 0; i < 3; i++) {
		struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);
		int value = 1000 + i;

		io_uring_prep_read_fixed(sqe, self->pipe[0], self->buf, 4, 0,
					 0);
		sqe->user_data = APP;
		MATCH_SUBMIT(1);
		ASSERT_EQ(4, write(self->pipe[1], &value, 4));
		ASSERT_CQE(&self->ring, APP, value);
		ASSERT_EQ(4, match_event(self, i)->res);
	}
}

TEST_HARNESS_MAIN
