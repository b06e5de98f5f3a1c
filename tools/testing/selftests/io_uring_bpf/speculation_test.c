// SPDX-License-Identifier: GPL-2.0
/*
 * What a program may do without CAP_PERFMON on a kernel that mitigates speculative
 * execution: a register is an offset within maps only.
 */
#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "iou_caps.h"
#include "iou_insn.h"
#include "speculation.skel.h"

#define REFUSED	"prohibited for !root"

static const char *const always[] = { "spec_map", "spec_slice_constant", "spec_mem_constant" };
static const char *const needs_perfmon[] = {
	"spec_map_bound", "spec_stack", "spec_slice_load", "spec_slice_store", "spec_mem_load",
	"spec_mem_store", "spec_ctx",
};

FIXTURE(speculation) {
};

FIXTURE_SETUP(speculation)
{
	IOU_REQUIRE();
	libbpf_set_print(NULL);
}

FIXTURE_TEARDOWN(speculation)
{
}

TEST_F(speculation, cap_bpf)
{
	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF)));
	if (!iou_mitigates())
		SKIP(return, "the kernel has no mitigations");
	for (size_t i = 0; i < ARRAY_SIZE(always); i++) {
		EXPECT_EQ(0, IOU_LOAD_ONLY(speculation, always[i]))
			TH_LOG("%s: %s", always[i], iou_verifier_log);
	}
	for (size_t i = 0; i < ARRAY_SIZE(needs_perfmon); i++) {
		EXPECT_EQ(-EACCES, IOU_LOAD_ONLY(speculation, needs_perfmon[i]))
			TH_LOG("%s", needs_perfmon[i]);
		EXPECT_NE(NULL, strstr(iou_verifier_log, REFUSED))
			TH_LOG("%s: %s", needs_perfmon[i], iou_verifier_log);
	}
}

TEST_F(speculation, cap_perfmon)
{
	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF) | IOU_CAP(CAP_PERFMON)));
	for (size_t i = 0; i < ARRAY_SIZE(always); i++) {
		EXPECT_EQ(0, IOU_LOAD_ONLY(speculation, always[i]))
			TH_LOG("%s: %s", always[i], iou_verifier_log);
	}
	for (size_t i = 0; i < ARRAY_SIZE(needs_perfmon); i++) {
		EXPECT_EQ(0, IOU_LOAD_ONLY(speculation, needs_perfmon[i]))
			TH_LOG("%s: %s", needs_perfmon[i], iou_verifier_log);
	}
}

TEST_HARNESS_MAIN
