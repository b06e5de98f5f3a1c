// SPDX-License-Identifier: GPL-2.0
/* Limits on requests of the application that programs issue */
#include "group.h"
#include "process.h"

#define LINK	IOSQE_IO_LINK
#define AS_APP	BPF_IO_URING_ISSUE_APP
/* entries of the CQ */
#define NR	8

#define WATCH(_ring, _opcode) ({					\
	LIBBPF_OPTS(bpf_iouring_opts, __opts,				\
		    .slot = 0, .flags = BPF_F_IOURING_MATCH,		\
		    .opcodes = { 1ULL << (_opcode) });			\
	struct bpf_link *__link;					\
									\
	__link = bpf_program__attach_iouring(				\
			self->skel->progs.group_watch, (_ring)->ring_fd,\
			&__opts);					\
	ASSERT_NE(NULL, __link);					\
	__link;								\
})

/*
 * Each NOP of the application is followed by two NOPs, which are not watched.
 */
TEST_F(group, watch)
{
	group_nop(self, AS_APP, 5, LINK, APP + 1);
	group_nop(self, AS_APP, 6, 0, APP + 2);
	self->link = WATCH(&self->ring, IORING_OP_NOP);
	for (int i = 1; i <= 3; i++) {
		iou_prep_nop(iou_get_sqe(&self->ring), 4, 0, APP);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, APP, 4);
		ASSERT_CQE(&self->ring, APP + 1, 5);
		ASSERT_CQE(&self->ring, APP + 2, 6);
		ASSERT_NO_CQE(&self->ring);
		ASSERT_EQ(i, group_nr_events(self));
	}
}

/* Issue the rest of a short read in place of the watched request. */
TEST_F(group, watch_instead)
{
	group_read(self, AS_APP, 0, APP);
	self->skel->bss->verdict = BPF_IO_URING_DROP;
	self->link = WATCH(&self->ring, IORING_OP_NOP);
	iou_prep_nop(iou_get_sqe(&self->ring), 4, 0, APP + 1);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, APP, 4);
	ASSERT_NO_CQE(&self->ring);
}

/* A watching program cannot issue children, and a chain with one is broken. */
TEST_F(group, watch_refused)
{
	group_nop(self, 0, 1, 0, CHILD);
	group_nop(self, 0, 1, LINK, CHILD);
	group_nop(self, AS_APP, 2, 0, APP + 1);
	group_nop(self, AS_APP, 3, LINK, APP + 2);
	group_nop(self, 0, 4, LINK, CHILD);
	group_nop(self, AS_APP, 5, 0, APP + 3);
	self->link = WATCH(&self->ring, IORING_OP_NOP);
	for (int i = 0; i < 2; i++) {
		iou_prep_nop(iou_get_sqe(&self->ring), 4, 0, APP);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, APP, 4);
		ASSERT_CQE(&self->ring, APP + 2, -ECANCELED);
		ASSERT_NO_CQE(&self->ring);
		group_rets(-EOPNOTSUPP, -EOPNOTSUPP, -ECANCELED, 0, -EOPNOTSUPP,
			   -ECANCELED);
	}
}

/* Requests in flight are limited to the CQ size, for the whole ring. */
static void run_limit(struct __test_metadata *_metadata,
		      FIXTURE_DATA(group) *self, struct io_uring *ring)
{
	iou_queue_bpf(ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(ring));
	ASSERT_CQE(ring, FLOW, -EAGAIN);
	ASSERT_NO_CQE(ring);
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(0, self->skel->bss->rets[i]);
	ASSERT_EQ(-EAGAIN, self->skel->bss->rets[NR]);
	/* the limit includes other flows */
	iou_queue_bpf(ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(ring));
	ASSERT_CQE(ring, FLOW, -EAGAIN);
	ASSERT_EQ(-EAGAIN, self->skel->bss->rets[0]);
}

TEST_F(group, limit)
{
	struct bpf_link *link;
	struct io_uring ring;

	ASSERT_EQ(0, iou_ring_init_size(&ring, variant->setup, NR, NR));
	for (int i = 0; i <= NR; i++)
		group_read(self, AS_APP, 0, APP);
	/* the requests are counted while no program is attached */
	for (int round = 0; round < 3; round++) {
		link = IOU_ATTACH(self->skel->progs.group_as_told, &ring, 0);
		run_limit(_metadata, self, &ring);
		bpf_link__destroy(link);
		for (int i = 0; i < NR; i++) {
			ASSERT_EQ(4, write(self->pipe[1], "data", 4));
			ASSERT_CQE(&ring, APP, 4);
		}
		ASSERT_NO_CQE(&ring);
	}
	io_uring_queue_exit(&ring);
}

/* Each issued request has a CQE, in the CQ or when there is room. */
TEST_F(group, overflow)
{
	unsigned int nr_flows = 0, nr_apps = 0;
	struct bpf_link *link;
	struct io_uring ring;
	struct io_uring_cqe cqe;

	ASSERT_EQ(0, iou_ring_init_size(&ring, variant->setup, NR, NR));
	link = IOU_ATTACH(self->skel->progs.group_as_told, &ring, 0);
	for (int i = 0; i < 3; i++)
		group_nop(self, AS_APP, i, 0, APP);
	for (int i = 0; i < 20; i++) {
		iou_queue_bpf(&ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&ring));
	}
	ASSERT_TRUE(until(io_uring_cq_has_overflow(&ring)));
	while (!iou_wait_cqe_ms(&ring, &cqe, IOU_IDLE_MS)) {
		nr_flows += cqe.user_data == FLOW;
		nr_apps += cqe.user_data == APP;
	}
	ASSERT_EQ(20, nr_flows);
	ASSERT_EQ(self->skel->bss->nr_issued, nr_apps);
	/* programs wait, the application does not */
	ASSERT_LT(0, self->skel->bss->nr_busy);
	ASSERT_EQ(3 * 20, nr_apps + self->skel->bss->nr_busy);
	ASSERT_GE(NR + 3, nr_apps);
	bpf_link__destroy(link);
	io_uring_queue_exit(&ring);
}

TEST_HARNESS_MAIN
