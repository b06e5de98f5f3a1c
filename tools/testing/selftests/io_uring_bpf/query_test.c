// SPDX-License-Identifier: GPL-2.0
/* How an application learns of the feature and of its limits */
#include "iou_bpf.h"

#include <linux/io_uring/query.h>

#include "kselftest_harness.h"

static int query(__u32 op, void *data, __u32 *size)
{
	struct io_uring_query_hdr hdr = {
		.query_op	= op,
		.query_data	= (unsigned long)data,
		.size		= *size,
	};

	if (syscall(__NR_io_uring_register, -1, IORING_REGISTER_QUERY, &hdr, 0))
		return -errno;
	*size = hdr.size;
	return hdr.result;
}

FIXTURE(query) {
};

/* without programs: everybody can ask */
FIXTURE_SETUP(query)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	bool supported = probe && io_uring_opcode_supported(probe, IORING_OP_BPF);
	struct io_uring_query_bpf info;
	__u32 size = sizeof(info);

	io_uring_free_probe(probe);
	if (supported)
		return;
	/* neither is there without the other */
	ASSERT_EQ(-EOPNOTSUPP, query(IO_URING_QUERY_BPF, &info, &size));
	SKIP(return, "no IORING_OP_BPF");
}

FIXTURE_TEARDOWN(query)
{
}

TEST_F(query, limits)
{
	struct io_uring_query_bpf info, zero = {};
	__u32 size = sizeof(info);

	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, query(IO_URING_QUERY_BPF, &info, &size));
	ASSERT_EQ(sizeof(info), size);
	EXPECT_EQ(BPF_F_IOURING_MATCH | BPF_F_IOURING_REGISTERED_RING, info.link_flags);
	EXPECT_EQ(IOU_MAX_SLOTS, info.nr_slots);
	EXPECT_EQ(65536, info.max_flows);
	EXPECT_EQ(32, info.state_size);
	EXPECT_EQ(128, info.max_sqes);
	EXPECT_EQ(16, info.max_cqes);
	EXPECT_EQ(8, info.max_links);
	EXPECT_EQ(8, info.max_cancels);
	EXPECT_EQ(64, info.max_members);
	EXPECT_EQ(128, info.max_linked);
	EXPECT_EQ(4096, info.max_flow_size);
	EXPECT_EQ(0, info.__resv1);
	EXPECT_EQ(0, memcmp(info.__resv2, zero.__resv2, sizeof(zero.__resv2)));
}

/* The struct can grow: an older one is a part of it, a newer one has zeroes. */
TEST_F(query, other_sizes)
{
	struct {
		struct io_uring_query_bpf bpf;
		__u32 newer[4];
	} info;
	__u32 size = offsetof(struct io_uring_query_bpf, max_flows);

	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, query(IO_URING_QUERY_BPF, &info, &size));
	ASSERT_EQ(offsetof(struct io_uring_query_bpf, max_flows), size);
	EXPECT_EQ(IOU_MAX_SLOTS, info.bpf.nr_slots);
	EXPECT_EQ(~0U, info.bpf.max_flows);

	size = sizeof(info);
	ASSERT_EQ(0, query(IO_URING_QUERY_BPF, &info, &size));
	ASSERT_EQ(sizeof(info.bpf), size);
	EXPECT_EQ(65536, info.bpf.max_flows);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(0, info.newer[i]);
}

TEST_F(query, is_counted)
{
	struct io_uring_query_opcode ops = {};
	__u32 size = sizeof(ops);

	ASSERT_EQ(0, query(IO_URING_QUERY_OPCODES, &ops, &size));
	ASSERT_LT(IORING_OP_BPF, ops.nr_request_opcodes);
	ASSERT_LT(IO_URING_QUERY_BPF, ops.nr_query_opcodes);
	size = sizeof(ops);
	ASSERT_EQ(-EOPNOTSUPP, query(ops.nr_query_opcodes, &ops, &size));
}

/* the number of the limit is that of the kernel */
TEST_F(query, slots)
{
	struct io_uring_query_bpf info = {};
	__u32 size = sizeof(info);
	struct io_uring ring;

	ASSERT_EQ(0, query(IO_URING_QUERY_BPF, &info, &size));
	ASSERT_EQ(0, iou_ring_init(&ring, 0));
	/* a slot without program, and no slot */
	iou_queue_bpf(&ring, info.nr_slots - 1, 1);
	iou_queue_bpf(&ring, info.nr_slots, 2);
	ASSERT_EQ(2, iou_submit(&ring));
	ASSERT_CQE(&ring, 1, -ENOENT);
	ASSERT_CQE(&ring, 2, -EINVAL);
	io_uring_queue_exit(&ring);
}

TEST_HARNESS_MAIN
