// SPDX-License-Identifier: GPL-2.0
/* Which programs can be loaded, and the required capabilities */
#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "iou_caps.h"
#include "iou_insn.h"
#include "load.skel.h"

FIXTURE(load) {
	struct load *skel;
};

FIXTURE_SETUP(load)
{
	const char *why = iou_probe_ring();

	/* a missing program type is a failure here */
	if (why)
		SKIP(return, "%s", why);
	libbpf_set_print(NULL);
	self->skel = load__open();
	ASSERT_NE(NULL, self->skel);
}

FIXTURE_TEARDOWN(load)
{
	load__destroy(self->skel);
}

static const struct bpf_insn return_0[] = {
	IOU_MOV_IMM(BPF_REG_0, 0),
	IOU_EXIT(),
};

static int load_return(int ret, __u32 prog_flags)
{
	const struct bpf_insn insns[] = {
		IOU_MOV_IMM(BPF_REG_0, ret),
		IOU_EXIT(),
	};

	return iou_load_insns(insns, 2, BPF_IOURING, prog_flags);
}

TEST_F(load, plain)
{
	bpf_program__set_autoload(self->skel->progs.load_plain, true);
	ASSERT_EQ(0, load__load(self->skel));
}

TEST_F(load, sleepable)
{
	bpf_program__set_autoload(self->skel->progs.load_sleepable, true);
	ASSERT_EQ(0, load__load(self->skel));
}

TEST_F(load, plain_must_not_sleep)
{
	bpf_program__set_autoload(self->skel->progs.load_plain_sleeps, true);
	ASSERT_NE(0, load__load(self->skel));
}

TEST_F(load, functions_with_context)
{
	bpf_program__set_autoload(self->skel->progs.load_calls, true);
	ASSERT_EQ(0, load__load(self->skel));
}

TEST_F(load, kfuncs)
{
	bpf_program__set_autoload(self->skel->progs.load_all_kfuncs, true);
	ASSERT_EQ(0, load__load(self->skel));
}

TEST_F(load, section_sets_types)
{
	struct bpf_program *prog = self->skel->progs.load_sleepable;
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	ASSERT_EQ(BPF_PROG_TYPE_IOURING, bpf_program__type(prog));
	ASSERT_EQ(BPF_IOURING, bpf_program__expected_attach_type(prog));
	ASSERT_STREQ("iouring", libbpf_bpf_prog_type_str(BPF_PROG_TYPE_IOURING));
	ASSERT_STREQ("iouring", libbpf_bpf_attach_type_str(BPF_IOURING));
	ASSERT_STREQ("iouring", libbpf_bpf_link_type_str(BPF_LINK_TYPE_IOURING));
	/* as the kernel does */
	bpf_program__set_autoload(prog, true);
	ASSERT_EQ(0, load__load(self->skel));
	ASSERT_EQ(0, bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &len));
	ASSERT_EQ(BPF_PROG_TYPE_IOURING, info.type);
}

TEST_F(load, return_value_is_a_verdict)
{
	for (int ret = BPF_IO_URING_DEFAULT; ret <= BPF_IO_URING_VERDICT_MAX; ret++) {
		EXPECT_EQ(0, load_return(ret, 0));
		EXPECT_EQ(0, load_return(ret, BPF_F_SLEEPABLE));
	}
}

TEST_F(load, other_return_values)
{
	static const int bad[] = {
		BPF_IO_URING_GO_ON | BPF_IO_URING_CUT, BPF_IO_URING_VERDICT_MAX + 2,
		-1, 0x10000, INT32_MIN,
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, load_return(bad[i], 0));
		EXPECT_NE(NULL, strstr(iou_verifier_log,
				       "should have been in [0, 23]"));
		EXPECT_EQ(-EINVAL, load_return(bad[i], BPF_F_SLEEPABLE));
	}
}

TEST_F(load, unknown_return_value)
{
	/* return ctx->res; */
	const struct bpf_insn insns[] = {
		IOU_LDX(BPF_W, BPF_REG_0, BPF_REG_1, 8),
		IOU_EXIT(),
	};
	/* return ctx->res & 3; */
	const struct bpf_insn masked[] = {
		IOU_LDX(BPF_W, BPF_REG_0, BPF_REG_1, 8),
		IOU_ALU_IMM(BPF_AND, BPF_REG_0, 3),
		IOU_EXIT(),
	};

	EXPECT_EQ(-EINVAL, IOU_LOAD(insns));
	EXPECT_NE(NULL, strstr(iou_verifier_log, "should have been in [0, 23]"));
	EXPECT_EQ(0, IOU_LOAD(masked));
}

TEST_F(load, wrong_attach_type)
{
	EXPECT_EQ(0, iou_load_insns(return_0, 2, BPF_IOURING, 0));
	for (int type = 0; type <= __MAX_BPF_ATTACH_TYPE; type++) {
		if (type == BPF_IOURING)
			continue;
		EXPECT_EQ(-EINVAL, iou_load_insns(return_0, 2, type, 0)) {
			TH_LOG("attach type %d", type);
		}
	}
}

TEST_F(load, unprivileged)
{
	ASSERT_EQ(0, iou_keep_caps(0));
	EXPECT_EQ(-EPERM, load_return(0, 0));
	EXPECT_EQ(-EPERM, load_return(0, BPF_F_SLEEPABLE));
}

/* CAP_BPF is sufficient, and other capabilities are not. */
TEST_F(load, needs_cap_bpf_only)
{
	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF) | IOU_CAP(CAP_NET_ADMIN)));
	EXPECT_EQ(0, load_return(0, 0));
	EXPECT_EQ(0, load_return(0, BPF_F_SLEEPABLE));
	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_NET_ADMIN)));
	EXPECT_EQ(-EPERM, load_return(0, 0));
}

/* A helper that reads memory of the task requires another capability. */
TEST_F(load, user_memory_needs_cap_perfmon)
{
	struct bpf_program *prog = self->skel->progs.load_sleepable;

	bpf_program__set_autoload(prog, true);
	bpf_program__set_log_level(prog, 1);
	bpf_program__set_log_buf(prog, iou_verifier_log,
				 sizeof(iou_verifier_log));
	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF)));
	ASSERT_NE(0, load__load(self->skel));
	ASSERT_NE(NULL, strstr(iou_verifier_log,
			       "cannot use helper bpf_copy_from_user")) {
		TH_LOG("%s", iou_verifier_log);
	}
}

/* Access to buffers that the application has registered requires none. */
TEST_F(load, buffers_need_cap_bpf_only)
{
	bpf_program__set_autoload(self->skel->progs.load_reads_buffer, true);
	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF)));
	ASSERT_EQ(0, load__load(self->skel));
}

TEST_HARNESS_MAIN
