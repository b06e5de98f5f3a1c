// SPDX-License-Identifier: GPL-2.0
/* The messages of the verifier that Documentation/bpf/io_uring_debug.rst explains */
#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "iou_caps.h"
#include "iou_insn.h"
#include "rejected.skel.h"

struct rejected_prog {
	const char *name;
	const char *msgs[6];
};

static const struct rejected_prog nullcheck = { "nullcheck", {
	"R0 invalid mem access 'rdonly_mem_or_null'",
	"Verification failed: Register Type Safety: Invalid dereference",
	"Reason:",
	"R0 may be NULL here (a nullable memory pointer). The program could dereference NULL on this path,",
	"so the verifier cannot prove this access is safe.",
} };

static const struct rejected_prog readonly = { "readonly", {
	"invalid bpf_context access off=16 size=1",
} };

static const struct rejected_prog verdict = { "verdict", {
	"At program exit the register R0 has smin=0 smax=4294967295 should have been in [0, 23]",
} };

static const struct rejected_prog offset = { "offset", {
	"R0 has pointer with unsupported alu operation, pointer arithmetic with it prohibited for !root",
} };

static const struct rejected_prog user_memory = { "user_memory", {
	"program of this type cannot use helper bpf_copy_from_user#148",
} };

FIXTURE(rejected) {
};

FIXTURE_SETUP(rejected)
{
	IOU_REQUIRE();
	libbpf_set_print(NULL);
}

FIXTURE_TEARDOWN(rejected)
{
}

/* Check that the program is not loaded, and that the log has each of its messages. */
static void is_rejected(struct __test_metadata *_metadata, const struct rejected_prog *prog)
{
	ASSERT_GT(0, IOU_LOAD_ONLY(rejected, prog->name)) {
		TH_LOG("%s", prog->name);
	}
	for (int i = 0; prog->msgs[i]; i++) {
		EXPECT_NE(NULL, strstr(iou_verifier_log, prog->msgs[i])) {
			TH_LOG("%s lacks \"%s\": %s", prog->name, prog->msgs[i],
			       iou_verifier_log);
		}
	}
}

TEST_F(rejected, with_all_capabilities)
{
	is_rejected(_metadata, &nullcheck);
	is_rejected(_metadata, &readonly);
	is_rejected(_metadata, &verdict);
}

TEST_F(rejected, without_cap_perfmon)
{
	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF)));
	if (iou_mitigates())
		is_rejected(_metadata, &offset);
	is_rejected(_metadata, &user_memory);
}

TEST_HARNESS_MAIN
