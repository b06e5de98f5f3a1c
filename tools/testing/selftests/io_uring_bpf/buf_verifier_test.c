// SPDX-License-Identifier: GPL-2.0
/* Verifier checks of slices, copies, flow memory and bpf_io_uring_again() */
#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "iou_caps.h"
#include "iou_insn.h"
#include "buf_verifier.skel.h"

static const char * const good[] = {
	"good", "good_sleepable", "good_variable_offset", "good_mem",
};

/* The programs of progs/buf_verifier.bpf.c, and the expected messages */
static const struct {
	const char *prog;
	const char *msg;
} bad[] = {
	{ "no_null_check", "invalid mem access 'rdonly_mem_or_null'" },
	{ "no_null_check_rw", "invalid mem access 'mem_or_null'" },
	{ "store_to_read_only", "cannot write into rdonly_mem" },
	{ "atomic_on_read_only", "cannot write into rdonly_mem" },
	{ "copy_to_read_only", "rdonly_mem" },
	{ "load_past_end", "mem_size=64 off=64 size=1" },
	{ "load_across_end", "mem_size=64 off=57 size=8" },
	{ "load_before_start", "mem_size=64 off=-1 size=1" },
	{ "store_past_end", "mem_size=64 off=64 size=1" },
	{ "load_at_unknown_offset", "mem_size=64 off=127 size=1" },
	{ "size_unknown", "R4 is not a const" },
	{ "size_unknown_rw", "R4 is not a const" },
	{ "size_zero", "mem_size=0 off=0 size=1" },
	{ "copy_beyond_memory",
	  "memory, len pair leads to invalid memory access" },
	{ "copy_size_unknown",
	  "memory, len pair leads to invalid memory access" },
	{ "mem_no_null_check", "invalid mem access 'mem_or_null'" },
	{ "mem_past_end", "mem_size=64 off=64 size=1" },
	{ "mem_size_unknown", "R2 is not a const" },
	{ "mem_other_type",
	  "calling kernel function bpf_io_uring_flow_mem is not allowed" },
	{ "req_beyond_memory",
	  "memory, len pair leads to invalid memory access" },
	{ "again_is_moved", "dereference of modified ctx ptr R1" },
	{ "other_type",
	  "calling kernel function bpf_io_uring_again is not allowed" },
	{ "other_type_buf",
	  "calling kernel function bpf_io_uring_buf_read is not allowed" },
};

FIXTURE(buf_verifier) {
};

FIXTURE_SETUP(buf_verifier)
{
	IOU_REQUIRE();
	libbpf_set_print(NULL);
}

FIXTURE_TEARDOWN(buf_verifier)
{
}

TEST_F_TIMEOUT(buf_verifier, accepted, 60)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_EQ(0, IOU_LOAD_ONLY(buf_verifier, good[i])) {
			TH_LOG("%s: %s", good[i], iou_verifier_log);
		}
	}
}

TEST_F_TIMEOUT(buf_verifier, rejected, 120)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_NE(0, IOU_LOAD_ONLY(buf_verifier, bad[i].prog)) {
			TH_LOG("%s", bad[i].prog);
		}
		EXPECT_NE(NULL, strstr(iou_verifier_log, bad[i].msg)) {
			TH_LOG("%s: %s", bad[i].prog, iou_verifier_log);
		}
	}
}

/* Only a user who may see kernel addresses can store one. */
TEST_F(buf_verifier, pointer_leak)
{
	ASSERT_EQ(0, IOU_LOAD_ONLY(buf_verifier, "slice_in_context")) {
		TH_LOG("%s", iou_verifier_log);
	}
	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF)));
	ASSERT_NE(0, IOU_LOAD_ONLY(buf_verifier, "slice_in_context"));
	ASSERT_NE(NULL, strstr(iou_verifier_log, "leaks addr into ctx")) {
		TH_LOG("%s", iou_verifier_log);
	}
}

TEST_F(buf_verifier, pointer_leak_to_mem)
{
	ASSERT_EQ(0, IOU_LOAD_ONLY(buf_verifier, "pointer_in_mem")) {
		TH_LOG("%s", iou_verifier_log);
	}
	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF)));
	ASSERT_NE(0, IOU_LOAD_ONLY(buf_verifier, "pointer_in_mem"));
	ASSERT_NE(NULL, strstr(iou_verifier_log, "leaks addr into mem")) {
		TH_LOG("%s", iou_verifier_log);
	}
}

/* Speculation could leave the memory, so without CAP_PERFMON, an index is a constant. */
TEST_F(buf_verifier, variable_offset)
{
	static const char * const progs[] = { "good_variable_offset", "good_mem" };
	bool mitigates;

	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF)));
	mitigates = iou_mitigates();
	for (size_t i = 0; i < ARRAY_SIZE(progs); i++) {
		int ret = IOU_LOAD_ONLY(buf_verifier, progs[i]);

		if (!mitigates) {
			ASSERT_EQ(0, ret);
			continue;
		}
		ASSERT_NE(0, ret);
		ASSERT_NE(NULL, strstr(iou_verifier_log, "prohibited for !root")) {
			TH_LOG("%s: %s", progs[i], iou_verifier_log);
		}
	}
}

TEST_HARNESS_MAIN
