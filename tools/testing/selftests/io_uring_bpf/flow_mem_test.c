// SPDX-License-Identifier: GPL-2.0
/* Memory of flows: its size, contents and life */
#include "iou_count.h"
#include "iou_until.h"
#include "process.h"

#include "kselftest_harness.h"
#include "flow_mem.skel.h"

#define FLOW	0xf10aULL
#define CHILD	0xc41dULL
#define APP	0xa44ULL
#define CANCEL	0xca4cULL

/* of struct mem_small and struct mem_large of the programs */
#define SMALL	64
#define LARGE	4096

FIXTURE(flow_mem) {
	struct io_uring ring;
	struct flow_mem *skel;
	struct bpf_link *link;
	int pipe[2];
	char buf;
	/* that were in use before the test */
	long nr_objects;
};

IOU_MODE_VARIANTS(flow_mem);
IOU_LOAD_ONCE(flow_mem);

FIXTURE_SETUP(flow_mem)
{
	IOU_REQUIRE();
	ASSERT_EQ(0, iou_ring_init(&self->ring, variant->setup));
	ASSERT_EQ(0, pipe(self->pipe));
	self->skel = flow_mem_get();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(flow_mem)
{
	bpf_link__destroy(self->link);
	close(self->pipe[0]);
	close(self->pipe[1]);
	io_uring_queue_exit(&self->ring);
}

static struct bpf_link *mem_attach(struct bpf_program *prog, struct io_uring *ring,
				   unsigned int size)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flow_size = size);

	return bpf_program__attach_iouring(prog, ring->ring_fd, &opts);
}

#define MEM_ATTACH(prog, size) do {					\
	bpf_link__destroy(self->link);					\
	self->link = mem_attach(self->skel->progs.prog, &self->ring, size);\
	ASSERT_NE(NULL, self->link);					\
} while (0)

/* Let each child wait until the test writes to the pipe. */
static void mem_children_wait(FIXTURE_DATA(flow_mem) *self)
{
	iou_prep_read(&self->skel->bss->sqes[0], self->pipe[0], &self->buf, 1, 0, CHILD);
}

static struct io_uring_sqe *mem_queue(struct io_uring *ring, __u64 user_data, __u64 nr,
				      __u64 add)
{
	struct io_uring_sqe *sqe = iou_queue_bpf(ring, 0, user_data);

	sqe->off = nr;
	sqe->addr = add;
	return sqe;
}

/* Each of several flows has its own memory, also while flows wait for time. */
TEST_F(flow_mem, kept)
{
	const int nr = 8, hops = 1000;
	struct io_uring_cqe cqes[nr];

	MEM_ATTACH(mem_sum, SMALL);
	for (int tw = 0; tw < 2; tw++) {
		iou_prep_nop(&self->skel->bss->sqes[0], 0, tw ? IORING_NOP_TW : 0, CHILD);
		for (int i = 0; i < nr; i++)
			mem_queue(&self->ring, FLOW + i, hops + i, 100 + i);
		ASSERT_EQ(nr, iou_submit(&self->ring));
		ASSERT_EQ(0, iou_wait_cqes(&self->ring, cqes, nr));
		for (int i = 0; i < nr; i++)
			ASSERT_HAS_CQE(cqes, nr, FLOW + i, (hops + i) * (100 + i));
		ASSERT_NO_CQE(&self->ring);
	}
}

TEST_F(flow_mem, zeroed)
{
	MEM_ATTACH(mem_fill, LARGE);
	for (int i = 0; i < 100; i++) {
		iou_queue_bpf(&self->ring, 0, FLOW);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, 0);
		ASSERT_EQ(0, self->skel->bss->found);
	}
}

TEST_F(flow_mem, size)
{
	const struct {
		struct bpf_program *prog;
		unsigned int size;
		int res;
	} cases[] = {
		{ self->skel->progs.mem_sum, 0, -ENODATA },
		{ self->skel->progs.mem_sum, SMALL - 1, -ENODATA },
		{ self->skel->progs.mem_sum, SMALL, 3 },
		{ self->skel->progs.mem_sum, LARGE, 3 },
		{ self->skel->progs.mem_fill, LARGE - 1, -ENODATA },
		{ self->skel->progs.mem_fill, LARGE, 0 },
	};

	iou_prep_nop(&self->skel->bss->sqes[0], 0, 0, CHILD);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		TH_LOG("%zu", i);
		self->link = mem_attach(cases[i].prog, &self->ring, cases[i].size);
		ASSERT_NE(NULL, self->link);
		mem_queue(&self->ring, FLOW, 1, 3);
		ASSERT_EQ(1, iou_submit(&self->ring));
		ASSERT_CQE(&self->ring, FLOW, cases[i].res);
		bpf_link__destroy(self->link);
		self->link = NULL;
	}
}

static int mem_create(FIXTURE_DATA(flow_mem) *self, __u32 flags, __u32 size, __u32 reserved)
{
	union bpf_attr attr = {
		.link_create.prog_fd = bpf_program__fd(self->skel->progs.mem_sum),
		.link_create.target_fd = self->ring.ring_fd,
		.link_create.attach_type = BPF_IOURING,
		.link_create.iouring.flags = flags,
		.link_create.iouring.flow_size = size,
		.link_create.iouring.reserved = reserved,
	};
	int fd = syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

TEST_F(flow_mem, size_refused)
{
	int fd;

	ASSERT_EQ(-EINVAL, mem_create(self, 0, LARGE + 1, 0));
	ASSERT_EQ(-EINVAL, mem_create(self, 0, ~0U, 0));
	ASSERT_EQ(-EINVAL, mem_create(self, 0, SMALL, 1));
	/* there is no flow that could have it */
	ASSERT_EQ(-EINVAL, mem_create(self, BPF_F_IOURING_MATCH, 1, 0));
	fd = mem_create(self, 0, LARGE, 0);
	ASSERT_LE(0, fd);
	close(fd);
}

TEST_F(flow_mem, info)
{
	char path[64];
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	MEM_ATTACH(mem_sum, 100);
	ASSERT_EQ(0, bpf_link_get_info_by_fd(bpf_link__fd(self->link), &info, &len));
	ASSERT_EQ(100, info.iouring.flow_size);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_link__fd(self->link));
	ASSERT_EQ(100, iou_scan(path, "flow_size: %ld"));
}

TEST_F(flow_mem, watching)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = BPF_F_IOURING_MATCH);

	self->link = bpf_program__attach_iouring(self->skel->progs.mem_watch,
						 self->ring.ring_fd, &opts);
	ASSERT_NE(NULL, self->link);
	iou_prep_nop(iou_get_sqe(&self->ring), 1, 0, APP);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, APP, 1);
	ASSERT_EQ(1, self->skel->bss->nr_events);
	ASSERT_EQ(0, self->skel->bss->found_flow);
}

/* Start a flow with two children that wait, and let the first one complete. */
#define start_and_go_on() do {						\
	mem_children_wait(self);					\
	mem_queue(&self->ring, FLOW, 2, 5);				\
	ASSERT_EQ(1, iou_submit(&self->ring));				\
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events == 1));\
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));			\
	ASSERT_TRUE(iou_until(&self->ring, self->skel->bss->nr_events == 2));\
} while (0)

/* The next program finds the memory as it is. */
TEST_F(flow_mem, update)
{
	MEM_ATTACH(mem_sum, SMALL);
	start_and_go_on();
	ASSERT_EQ(0, bpf_link__update_program(self->link, self->skel->progs.mem_sum));
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_CQE(&self->ring, FLOW, 10);
	/* and so do flows that start later */
	iou_prep_nop(&self->skel->bss->sqes[0], 0, 0, CHILD);
	mem_queue(&self->ring, FLOW, 2, 7);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 14);
}

TEST_F(flow_mem, update_with_larger)
{
	MEM_ATTACH(mem_sum, SMALL);
	start_and_go_on();
	ASSERT_EQ(0, bpf_link__update_program(self->link, self->skel->progs.mem_fill));
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_CQE(&self->ring, FLOW, -ENODATA);
}

/* A flow that was prepared with the first link, and runs with the second one */
TEST_F(flow_mem, of_its_link)
{
	struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

	MEM_ATTACH(mem_sum, SMALL);
	iou_prep_read(sqe, self->pipe[0], &self->buf, 1, 0, APP);
	sqe->flags = IOSQE_IO_LINK;
	mem_queue(&self->ring, FLOW, 1, 1);
	ASSERT_EQ(2, iou_submit(&self->ring));
	MEM_ATTACH(mem_fill, LARGE);
	ASSERT_EQ(1, write(self->pipe[1], "x", 1));
	ASSERT_CQE(&self->ring, APP, 1);
	ASSERT_CQE(&self->ring, FLOW, -ENODATA);
	iou_queue_bpf(&self->ring, 0, FLOW);
	ASSERT_EQ(1, iou_submit(&self->ring));
	ASSERT_CQE(&self->ring, FLOW, 0);
}

/* The memory of flows that end in each way is freed. */

#define NR	32
#define ROUNDS	8
/* with the header of the memory, and the cache of these objects */
#define FREED	4088
#define CACHE	"kmalloc-cg-4k"

#define mem_take(nr) do {						\
	struct io_uring_cqe __cqe;					\
									\
	for (int __i = 0; __i < (nr); __i++)				\
		ASSERT_EQ(0, iou_wait_cqe(&self->ring, &__cqe));	\
} while (0)

#define mem_queue_all(sqe_flags) do {					\
	for (int __i = 0; __i < NR; __i++)				\
		mem_queue(&self->ring, FLOW, 1, 1)->flags = (sqe_flags);\
} while (0)

/* Between these two, the number of objects does not grow. */
#define mem_begin() do {						\
	self->nr_objects = iou_nr_objects(CACHE);			\
	if (self->nr_objects < 0)					\
		SKIP(return, "requires /proc/slabinfo and " CACHE);	\
	MEM_ATTACH(mem_sum, FREED);					\
} while (0)

#define mem_is_freed() do {						\
	ASSERT_TRUE(until(iou_nr_objects(CACHE) <			\
			  self->nr_objects + NR * ROUNDS / 2)) {	\
		TH_LOG("%ld objects, then %ld", self->nr_objects,	\
		       iou_nr_objects(CACHE));				\
	}								\
} while (0)

TEST_F(flow_mem, freed_at_end)
{
	iou_prep_nop(&self->skel->bss->sqes[0], 0, 0, CHILD);
	mem_begin();
	for (int round = 0; round < ROUNDS; round++) {
		mem_queue_all(0);
		ASSERT_EQ(NR, iou_submit(&self->ring));
		mem_take(NR);
	}
	mem_is_freed();
}

/* The chain fails before the flows are issued. */
TEST_F(flow_mem, freed_without_event)
{
	mem_begin();
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < NR; i++) {
			struct io_uring_sqe *sqe = iou_get_sqe(&self->ring);

			iou_prep_nop(sqe, 0, 1U << 31, APP);
			sqe->flags = IOSQE_IO_LINK;
			mem_queue(&self->ring, FLOW, 1, 1);
		}
		ASSERT_EQ(2 * NR, iou_submit(&self->ring));
		mem_take(2 * NR);
	}
	mem_is_freed();
	ASSERT_EQ(0, self->skel->bss->nr_events);
}

/* Flows that precede another flow, and post no CQE */
TEST_F(flow_mem, freed_before_flow)
{
	iou_prep_nop(&self->skel->bss->sqes[0], 0, 0, CHILD);
	mem_begin();
	for (int round = 0; round < ROUNDS; round++) {
		mem_queue_all(IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
		mem_queue(&self->ring, FLOW, 1, 1);
		ASSERT_EQ(NR + 1, iou_submit(&self->ring));
		mem_take(1);
	}
	mem_is_freed();
	ASSERT_NO_CQE(&self->ring);
}

TEST_F(flow_mem, freed_after_drain)
{
	iou_prep_nop(&self->skel->bss->sqes[0], 0, 0, CHILD);
	mem_begin();
	for (int round = 0; round < ROUNDS; round++) {
		iou_prep_read(iou_get_sqe(&self->ring), self->pipe[0], &self->buf, 1, 0,
			      APP);
		mem_queue_all(IOSQE_IO_DRAIN);
		ASSERT_EQ(1 + NR, iou_submit(&self->ring));
		ASSERT_EQ(1, write(self->pipe[1], "x", 1));
		mem_take(1 + NR);
	}
	mem_is_freed();
}

TEST_F(flow_mem, freed_when_cancelled)
{
	struct io_uring_sqe *sqe;

	mem_children_wait(self);
	mem_begin();
	for (int round = 0; round < ROUNDS; round++) {
		mem_queue_all(0);
		ASSERT_EQ(NR, iou_submit(&self->ring));
		sqe = iou_get_sqe(&self->ring);
		io_uring_prep_cancel64(sqe, FLOW, IORING_ASYNC_CANCEL_ALL);
		sqe->user_data = CANCEL;
		ASSERT_EQ(1, iou_submit(&self->ring));
		mem_take(NR + 1);
	}
	mem_is_freed();
}

TEST_F(flow_mem, freed_when_detached)
{
	mem_children_wait(self);
	mem_begin();
	for (int round = 0; round < ROUNDS; round++) {
		mem_queue_all(0);
		ASSERT_EQ(NR, iou_submit(&self->ring));
		MEM_ATTACH(mem_sum, FREED);
		mem_take(NR);
	}
	mem_is_freed();
}

/* Exit with flows that have children in flight, that are linked, or that drain. */
static void mem_exit(FIXTURE_DATA(flow_mem) *self, unsigned int setup)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	if (iou_ring_init(&ring, setup) ||
	    !mem_attach(self->skel->progs.mem_sum, &ring, FREED))
		_exit(GONE_WRONG);
	for (int i = 0; i < NR / 4; i++) {
		mem_queue(&ring, FLOW, 1, 1);
		sqe = iou_get_sqe(&ring);
		iou_prep_read(sqe, self->pipe[0], &self->buf, 1, 0, APP);
		sqe->flags = IOSQE_IO_LINK;
		mem_queue(&ring, FLOW, 1, 1);
	}
	for (int i = 0; i < NR / 2; i++)
		mem_queue(&ring, FLOW, 1, 1)->flags = IOSQE_IO_DRAIN;
	_exit(iou_submit(&ring) == NR + NR / 4 ? 0 : GONE_WRONG);
}

TEST_F_TIMEOUT(flow_mem, freed_at_exit, 150)
{
	int status;
	pid_t pid;

	mem_children_wait(self);
	mem_begin();
	for (int round = 0; round < ROUNDS; round++) {
		pid = fork();
		if (!pid)
			mem_exit(self, variant->setup);
		ASSERT_TRUE(wait_for(pid, &status, 0));
		ASSERT_EQ(0, status);
	}
	mem_is_freed();
}

TEST_HARNESS_MAIN
