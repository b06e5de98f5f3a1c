// SPDX-License-Identifier: GPL-2.0
/* Attaching, querying, updating and detaching of watching programs */
#include "match.h"

#include <signal.h>
#include <sys/wait.h>

/* Return 0 or a negative errno. */
static int try_attach(FIXTURE_DATA(match) *self,
		      const struct bpf_iouring_opts *opts)
{
	struct bpf_link *link;

	libbpf_set_print(NULL);
	link = bpf_program__attach_iouring(self->skel->progs.match_as_told,
					   self->ring.ring_fd, opts);
	if (!link)
		return -errno;
	bpf_link__destroy(link);
	return 0;
}

#define TRY(...) ({							\
	LIBBPF_OPTS(bpf_iouring_opts, __opts, __VA_ARGS__);		\
	try_attach(self, &__opts);					\
})

TEST_F(match, invalid)
{
	const unsigned int match = BPF_F_IOURING_MATCH;

	/* a filter without the flag */
	EXPECT_EQ(-EINVAL, TRY(.opcodes[0] = 1));
	EXPECT_EQ(-EINVAL, TRY(.opcodes[1] = 1));
	EXPECT_EQ(-EINVAL, TRY(.user_data_mask = 1));
	EXPECT_EQ(-EINVAL, TRY(.user_data = 1, .user_data_mask = 1));
	EXPECT_EQ(-EINVAL, TRY(.user_data = 1));
	/* an unknown flag */
	EXPECT_EQ(-EINVAL, TRY(.flags = 4));
	EXPECT_EQ(-EINVAL, TRY(.flags = match | 4));
	EXPECT_EQ(-EINVAL, TRY(.flags = match | 1U << 31));
	/* filters that nothing can match */
	EXPECT_EQ(-EINVAL, TRY(.flags = match, .user_data = 1));
	EXPECT_EQ(-EINVAL, TRY(.flags = match, .user_data = 3,
			       .user_data_mask = 1));
	EXPECT_EQ(-EINVAL, TRY(.flags = match, .user_data = 1ULL << 63,
			       .user_data_mask = ~(1ULL << 63)));
	EXPECT_EQ(-EINVAL, TRY(.flags = match,
			       .opcodes[1] = 1ULL << (IORING_OP_LAST - 64)));
	EXPECT_EQ(-EINVAL, TRY(.flags = match, .opcodes[1] = 1ULL << 63));
	EXPECT_EQ(-EINVAL, TRY(.flags = match, .slot = IOU_MAX_SLOTS));
	/* opcodes that no program can watch */
	EXPECT_EQ(-EINVAL, TRY(.flags = match,
			       .opcodes[0] = 1ULL << IORING_OP_TIMEOUT |
					     1ULL << IORING_OP_RECV_ZC));
	EXPECT_EQ(-EINVAL, TRY(.flags = match,
			       .opcodes[IORING_OP_BPF / 64] =
					1ULL << IORING_OP_BPF % 64));

	EXPECT_EQ(0, TRY(.flags = match));
	EXPECT_EQ(0, TRY(.flags = match,
			 .opcodes[0] = 1ULL << IORING_OP_TIMEOUT |
				       1ULL << IORING_OP_NOP));
	EXPECT_EQ(0, TRY(.flags = match, .user_data = 1,
			 .user_data_mask = 3));
	EXPECT_EQ(0, TRY(.slot = IOU_MAX_SLOTS - 1, .flags = match));
	EXPECT_EQ(0, TRY(.slot = 0));
}

/* Both kinds of programs share the slots. */
TEST_F(match, slot_taken)
{
	self->link = MATCH_ATTACH(match_as_told, .slot = 2);
	EXPECT_EQ(-EBUSY, TRY(.slot = 2));
	EXPECT_EQ(-EBUSY, TRY(.slot = 2, .flags = BPF_F_IOURING_MATCH));
	match_run_nop(APP, 1);
}

TEST_F(match, flow_names_watching_program)
{
	self->link = MATCH_ATTACH(match_as_told, .slot = 2);
	iou_queue_bpf(&self->ring, 2, FLOW);
	MATCH_SUBMIT(1);
	ASSERT_CQE(&self->ring, FLOW, -ENOENT);
	ASSERT_EQ(0, match_nr_events(self));
}

static int get_info(struct bpf_link *link, struct bpf_link_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, len);
	return bpf_link_get_info_by_fd(bpf_link__fd(link), info, &len);
}

TEST_F(match, info)
{
	struct bpf_link_info info;

	self->link = MATCH_ATTACH(match_as_told, .slot = 7,
				  .opcodes = { 0x123456789abcdef0, 2 },
				  .user_data = 0xab00000000000001,
				  .user_data_mask = 0xff00000000000001);
	ASSERT_EQ(0, get_info(self->link, &info));
	EXPECT_EQ(BPF_LINK_TYPE_IOURING, info.type);
	EXPECT_EQ(7, info.iouring.slot);
	EXPECT_EQ(BPF_F_IOURING_MATCH, info.iouring.flags);
	EXPECT_EQ(0x123456789abcdef0, info.iouring.opcodes[0]);
	EXPECT_EQ(2, info.iouring.opcodes[1]);
	EXPECT_EQ(0xab00000000000001, info.iouring.user_data);
	EXPECT_EQ(0xff00000000000001, info.iouring.user_data_mask);

	/* zero opcodes select all, and are reported as zero */
	self->other = MATCH_ATTACH(match_as_told, .slot = 8);
	ASSERT_EQ(0, get_info(self->other, &info));
	EXPECT_EQ(BPF_F_IOURING_MATCH, info.iouring.flags);
	EXPECT_EQ(0, info.iouring.opcodes[0]);
	EXPECT_EQ(0, info.iouring.opcodes[1]);
	EXPECT_EQ(0, info.iouring.user_data_mask);
}

/* The filter belongs to the link, not to the program. */
TEST_F(match, update)
{
	self->link = MATCH_ATTACH(match_as_told, .slot = 0, .user_data = APP,
				  .user_data_mask = ~0ULL);
	match_run_nop(APP, 1);
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.match_other));
	match_queue_nop(self, 3, APP);
	match_queue_nop(self, 3, APP + 1);
	MATCH_SUBMIT(2);
	ASSERT_CQE_FLAGS(&self->ring, APP, 3, OTHER_MARK);
	ASSERT_CQE(&self->ring, APP + 1, 3);
	ASSERT_EQ(1, self->skel->bss->nr_other);
	ASSERT_EQ(1, match_nr_events(self));
}

/* The program at the time of the completion sees a request in flight. */
TEST_F(match, update_in_flight)
{
	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ALL(match_as_told);
	match_queue_read(self, APP);
	MATCH_SUBMIT(1);
	ASSERT_NO_CQE(&self->ring);
	ASSERT_EQ(0, bpf_link__update_program(self->link,
					      self->skel->progs.match_other));
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE_FLAGS(&self->ring, APP, 4, OTHER_MARK);
	ASSERT_EQ(0, match_nr_events(self));
}

/* Requests complete normally after the program was detached. */
static void detach_in_flight(struct __test_metadata *_metadata,
			     FIXTURE_DATA(match) *self, bool detach)
{
	const int nr = 6;
	struct io_uring_cqe cqes[nr];

	self->link = MATCH_ALL(match_as_told);
	self->skel->bss->verdict = BPF_IO_URING_DROP;
	for (int i = 0; i < nr; i++)
		match_queue_read(self, APP + i)->flags =
			i % 2 ? IOSQE_ASYNC : 0;
	MATCH_SUBMIT(nr);
	ASSERT_NO_CQE(&self->ring);
	if (detach) {
		ASSERT_EQ(0, bpf_link__detach(self->link));
	} else {
		bpf_link__destroy(self->link);
		self->link = NULL;
	}
	ASSERT_NO_CQE(&self->ring);
	for (int i = 0; i < nr; i++)
		ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_EQ(0, io_uring_get_events(&self->ring));
	ASSERT_EQ(0, match_nr_events(self));
	ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, nr));
	for (int i = 0; i < nr; i++)
		ASSERT_HAS_CQE(cqes, nr, APP + i, 4);
	ASSERT_EQ(0, match_nr_events(self));
}

TEST_F(match, detach_in_flight)
{
	MATCH_TAKES_MORE_THAN_NOPS();
	detach_in_flight(_metadata, self, true);
}

TEST_F(match, close_in_flight)
{
	MATCH_TAKES_MORE_THAN_NOPS();
	detach_in_flight(_metadata, self, false);
}

/* The next program of the slot steers flows, and sees no watched request. */
TEST_F(match, slot_becomes_one_of_flows)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .slot = 0);

	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ALL(match_as_told);
	match_queue_read(self, APP);
	MATCH_SUBMIT(1);
	bpf_link__destroy(self->link);
	self->link = bpf_program__attach_iouring(self->skel->progs.match_flow,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	ASSERT_EQ(4, write(self->pipe[1], "data", 4));
	ASSERT_CQE(&self->ring, APP, 4);
	ASSERT_EQ(0, self->skel->bss->nr_flow);
	iou_queue_bpf(&self->ring, 0, FLOW);
	MATCH_SUBMIT(1);
	ASSERT_CQE(&self->ring, FLOW, 0);
	ASSERT_EQ(1, self->skel->bss->nr_flow);
	ASSERT_EQ(0, match_nr_events(self));
}

TEST_F(match, ring_closed)
{
	MATCH_TAKES_MORE_THAN_NOPS();
	self->link = MATCH_ALL(match_as_told);
	match_queue_read(self, APP);
	match_queue_read(self, APP + 1)->flags = IOSQE_ASYNC;
	MATCH_SUBMIT(2);
	close(self->pipe[0]);
	self->pipe[0] = -1;
	io_uring_queue_exit(&self->ring);
	self->ring.ring_fd = -1;
	ASSERT_TRUE(iou_fd_gets(self->pipe[1], POLLERR, IOU_WAIT_MS));
	/* no program ran for the cancelled requests */
	ASSERT_EQ(0, match_nr_events(self));
}

/* A process with watched requests in flight can be killed. */
TEST_F(match, killed)
{
	int status = 0;
	pid_t pid;

	MATCH_TAKES_MORE_THAN_NOPS();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		LIBBPF_OPTS(bpf_iouring_opts, opts,
			    .flags = BPF_F_IOURING_MATCH);
		struct io_uring_cqe *cqe;
		struct io_uring ring;

		if (iou_ring_init(&ring, variant->setup) ||
		    !bpf_program__attach_iouring(self->skel->progs.match_as_told,
						 ring.ring_fd, &opts))
			_exit(1);
		for (int i = 0; i < 4; i++) {
			iou_prep_read(iou_get_sqe(&ring), self->pipe[0],
				      self->buf, 4, 0, APP + i);
			iou_prep_nop(iou_get_sqe(&ring), 0, 0, APP);
		}
		iou_submit(&ring);
		for (;;)
			io_uring_wait_cqes(&ring, &cqe, 5, NULL, NULL);
	}
	close(self->pipe[0]);
	self->pipe[0] = -1;
	for (int i = 0; i < 1000 && match_nr_events(self) < 4; i++)
		usleep(5000);
	ASSERT_EQ(4, match_nr_events(self));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	ASSERT_TRUE(iou_fd_gets(self->pipe[1], POLLERR, IOU_WAIT_MS));
	ASSERT_EQ(4, match_nr_events(self));
}

TEST_HARNESS_MAIN
