// SPDX-License-Identifier: GPL-2.0
/* A program gives buffers back while other threads use the group. */
#include "give.h"

#include <pthread.h>

#define MESSAGES	1000
#define CYCLES		300

FIXTURE(race) {
	struct io_uring ring;
	struct give *skel;
	struct bpf_link *link;
	struct io_uring_buf_ring *br;
	char *area;
	int pair[2];
	/* of the thread that provides buffers */
	__u64 sum;
	__u32 nr;
	__s32 flow_res;
	bool done;
};

FIXTURE_VARIANT(race) {
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(race, ring) {
};

FIXTURE_VARIANT_ADD(race, inc) {
	.flags = IOU_PBUF_RING_INC,
};

IOU_LOAD_ONCE(give);

FIXTURE_SETUP(race)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, 0));
	/* a message is received as a whole, and alone */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, self->pair));
	GIVE_SETUP(self);
	give_prep_recv(&self->skel->bss->sqes[0], self->pair[0], CHILD);
	self->skel->bss->nr_sqes = 1;
	ASSERT_EQ(0, give_register(&self->ring, self->br, variant->flags));
	for (int i = 0; i < GIVE_BUFS; i++)
		give_add(self->br, self->area, i);
}

FIXTURE_TEARDOWN(race)
{
	bpf_link__destroy(self->link);
	close(self->pair[0]);
	close(self->pair[1]);
	io_uring_queue_exit(&self->ring);
	munmap(self->area, 2 * 4096);
}

static bool race_is_done(FIXTURE_DATA(race) *self)
{
	return IO_URING_READ_ONCE(self->done);
}

/* Send messages that fill a buffer and begin with their number. */
static void *race_send(void *arg)
{
	FIXTURE_DATA(race) *self = arg;
	__u32 msg[GIVE_LEN / 4] = {};

	for (__u32 i = 1; i <= MESSAGES; i++) {
		msg[0] = i;
		if (send(self->pair[1], msg, sizeof(msg), MSG_NOSIGNAL) < 0)
			break;
	}
	shutdown(self->pair[1], SHUT_WR);
	return NULL;
}

/* Provide the buffers of CQEs again, while the main thread is in the kernel. */
static void *race_refill(void *arg)
{
	FIXTURE_DATA(race) *self = arg;

	while (!race_is_done(self)) {
		unsigned int head = *self->ring.cq.khead;
		struct io_uring_cqe *cqe;
		__u32 id, number;

		if (head == io_uring_smp_load_acquire(self->ring.cq.ktail)) {
			sched_yield();
			continue;
		}
		cqe = &self->ring.cq.cqes[head & self->ring.cq.ring_mask];
		if (cqe->user_data == FLOW) {
			self->flow_res = cqe->res;
			self->done = true;
		} else {
			id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
			memcpy(&number, self->area + id * GIVE_LEN, sizeof(number));
			self->sum += number;
			self->nr++;
			give_add(self->br, self->area, id);
		}
		io_uring_smp_store_release(self->ring.cq.khead, head + 1);
	}
	return NULL;
}

/* Each message arrives once, and each buffer is in the ring once, at the end. */
TEST_F_TIMEOUT(race, refilled, 120)
{
	pthread_t sender, refiller;
	unsigned int seen = 0;
	__u16 head;

	self->link = IOU_ATTACH(self->skel->progs.give_odd, &self->ring, 0);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_EQ(0, pthread_create(&refiller, NULL, race_refill, self));
	ASSERT_EQ(0, pthread_create(&sender, NULL, race_send, self));
	while (!race_is_done(self))
		io_uring_get_events(&self->ring);
	pthread_join(sender, NULL);
	pthread_join(refiller, NULL);
	ASSERT_EQ(0, self->flow_res);
	ASSERT_EQ(0, self->skel->bss->give_err);
	ASSERT_EQ(0, self->skel->bss->read_err);
	ASSERT_EQ(MESSAGES / 2, self->nr);
	ASSERT_EQ(MESSAGES / 2, self->skel->bss->nr_taken);
	ASSERT_EQ(MESSAGES / 2 * (MESSAGES / 2 + 1ULL), self->sum);
	ASSERT_EQ(MESSAGES / 2 * (MESSAGES / 2 * 1ULL), self->skel->bss->sum_taken);

	head = give_head(&self->ring);
	ASSERT_EQ(GIVE_BUFS, (__u16)(self->br->tail - head));
	for (int i = 0; i < GIVE_BUFS; i++) {
		ASSERT_EQ(GIVE_LEN, self->br->bufs[i].len);
		ASSERT_EQ((unsigned long)self->area +
			  self->br->bufs[i].bid * GIVE_LEN, self->br->bufs[i].addr);
		seen |= 1U << self->br->bufs[i].bid;
	}
	ASSERT_EQ((1U << GIVE_BUFS) - 1, seen);
}

/* Remove the group, and set up a full one again. */
static void *race_register(void *arg)
{
	FIXTURE_DATA(race) *self = arg;

	for (int i = 0; i < CYCLES; i++) {
		if (give_unregister(&self->ring))
			break;
		memset(self->br, 0, 4096);
		for (int n = 0; n < GIVE_BUFS; n++)
			give_add(self->br, self->area, n);
		if (give_register(&self->ring, self->br, i & 1 ? IOU_PBUF_RING_INC : 0))
			break;
		self->nr++;
		usleep(500);
	}
	self->done = true;
	return NULL;
}

TEST_F_TIMEOUT(race, unregistered, 120)
{
	pthread_t sender, registrar;
	struct io_uring_cqe cqe;

	self->link = IOU_ATTACH(self->skel->progs.give_gone, &self->ring, 0);
	ASSERT_EQ(0, pthread_create(&registrar, NULL, race_register, self));
	ASSERT_EQ(0, pthread_create(&sender, NULL, race_send, self));
	/* the flow ends when it finds no buffer */
	while (!race_is_done(self)) {
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
		while (!race_is_done(self)) {
			if (!iou_wait_cqe_ms(&self->ring, &cqe, 10) &&
			    cqe.user_data == FLOW)
				break;
		}
	}
	ASSERT_EQ(0, shutdown(self->pair[0], SHUT_RDWR));
	pthread_join(sender, NULL);
	pthread_join(registrar, NULL);
	ASSERT_EQ(CYCLES, self->nr);
	ASSERT_LT(0, self->skel->bss->nr_given);
}

TEST_HARNESS_MAIN
