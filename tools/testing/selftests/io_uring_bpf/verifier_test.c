// SPDX-License-Identifier: GPL-2.0
/* Verifier checks of the context and of the kfuncs */
#include "iou_bpf.h"
#include "kselftest_harness.h"
#include "iou_caps.h"
#include "iou_insn.h"
#include "verifier.skel.h"

/* struct bpf_io_uring_ctx */
struct ctx_field {
	const char	*name;
	int		off;
	int		size;
	bool		writable;
};

static const struct ctx_field ctx_fields[] = {
	{ "user_data",		0,	8,	true },
	{ "res",		8,	4,	true },
	{ "cflags",		12,	4,	true },
	{ "event",		16,	1,	false },
	{ "opcode",		17,	1,	false },
	{ "flags",		18,	2,	false },
	{ "nr_children",	20,	4,	false },
	{ "flow_user_data",	72,	8,	false },
	{ "flow_id",		104,	2,	false },
};

#define NR_FIELDS	((int)ARRAY_SIZE(ctx_fields))
/* state[], of which each aligned part can be accessed */
#define STATE		24
#define STATE_END	56
#define CTX_SIZE	112
/* between the fields, and the padding */
static const struct {
	int off;
	int end;
} ctx_gaps[] = {
	{ STATE_END, 72 }, { 80, 104 }, { 106, CTX_SIZE },
};

static const struct {
	int bytes;
	int code;
} sizes[] = {
	{ 1, BPF_B }, { 2, BPF_H }, { 4, BPF_W }, { 8, BPF_DW },
};

static int code_of(int bytes)
{
	for (int i = 0; i < (int)ARRAY_SIZE(sizes); i++) {
		if (sizes[i].bytes == bytes)
			return sizes[i].code;
	}
	return -1;
}

static const struct ctx_field *ctx_find_field(int off, int size)
{
	static const struct ctx_field state = { "state", STATE, 0, true };

	if (off >= STATE && off + size <= STATE_END && !(off % size))
		return &state;
	for (int i = 0; i < NR_FIELDS; i++) {
		if (ctx_fields[i].off == off && ctx_fields[i].size == size)
			return &ctx_fields[i];
	}
	return NULL;
}

static int ctx_load(int size_code, int off)
{
	const struct bpf_insn insns[] = {
		IOU_LDX(size_code, BPF_REG_0, BPF_REG_1, off),
		IOU_MOV_IMM(BPF_REG_0, 0),
		IOU_EXIT(),
	};

	return IOU_LOAD(insns);
}

static int ctx_store(int size_code, int off)
{
	const struct bpf_insn insns[] = {
		IOU_MOV_IMM(BPF_REG_0, 0),
		IOU_STX(size_code, BPF_REG_1, BPF_REG_0, off),
		IOU_EXIT(),
	};

	return IOU_LOAD(insns);
}

/* Load from the context after bpf_cast_to_kern_ctx(). */
static int ctx_load_cast(int cast, int size_code, int off)
{
	const struct bpf_insn insns[] = {
		IOU_INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, cast),
		IOU_LDX(size_code, BPF_REG_0, BPF_REG_0, off),
		IOU_MOV_IMM(BPF_REG_0, 0),
		IOU_EXIT(),
	};

	return IOU_LOAD(insns);
}

/* Return true if the verifier rejected the access itself. */
static bool ctx_log_says(int off, int size)
{
	char msg[64];

	snprintf(msg, sizeof(msg), "invalid bpf_context access off=%d size=%d",
		 off, size);
	return strstr(iou_verifier_log, msg);
}

FIXTURE(verifier_ctx) {
};

FIXTURE_SETUP(verifier_ctx)
{
	IOU_REQUIRE();
	libbpf_set_print(NULL);
}

FIXTURE_TEARDOWN(verifier_ctx)
{
}

/*
 * Each size at each offset, valid and invalid: only whole fields are accepted, and parts
 * of the state.
 */
TEST_F_TIMEOUT(verifier_ctx, load_at_any_offset, 120)
{
	for (int off = -8; off < CTX_SIZE + 9; off++) {
		for (int i = 0; i < 4; i++) {
			int size = sizes[i].bytes;
			int ret = ctx_load(sizes[i].code, off);

			if (ctx_find_field(off, size)) {
				EXPECT_EQ(0, ret)
					TH_LOG("off %d size %d", off, size);
				continue;
			}
			EXPECT_EQ(-EACCES, ret)
				TH_LOG("off %d size %d", off, size);
			EXPECT_TRUE(ctx_log_says(off, size))
				TH_LOG("%s", iou_verifier_log);
		}
	}
}

TEST_F_TIMEOUT(verifier_ctx, store_at_any_offset, 120)
{
	for (int off = -8; off < CTX_SIZE + 9; off++) {
		for (int i = 0; i < 4; i++) {
			int size = sizes[i].bytes;
			int ret = ctx_store(sizes[i].code, off);
			const struct ctx_field *field;

			field = ctx_find_field(off, size);
			if (field && field->writable) {
				EXPECT_EQ(0, ret) TH_LOG("%s", field->name);
				continue;
			}
			EXPECT_EQ(-EACCES, ret)
				TH_LOG("off %d size %d", off, size);
			EXPECT_TRUE(ctx_log_says(off, size))
				TH_LOG("%s", iou_verifier_log);
		}
	}
}

/* A store of an immediate is another instruction than a store of a register. */
TEST_F(verifier_ctx, store_immediate)
{
	for (int i = 0; i < NR_FIELDS; i++) {
		const struct ctx_field *field = &ctx_fields[i];
		const struct bpf_insn insns[] = {
			IOU_ST(code_of(field->size), BPF_REG_1, field->off, 1),
			IOU_MOV_IMM(BPF_REG_0, 0),
			IOU_EXIT(),
		};

		EXPECT_EQ(field->writable ? 0 : -EACCES, IOU_LOAD(insns))
			TH_LOG("%s", field->name);
	}
}

TEST_F(verifier_ctx, atomic)
{
	const struct bpf_insn insns[] = {
		IOU_MOV_IMM(BPF_REG_0, 0),
		IOU_INSN(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_1, BPF_REG_0,
			 40, BPF_ADD),
		IOU_EXIT(),
	};

	EXPECT_EQ(-EACCES, IOU_LOAD(insns));
	EXPECT_NE(NULL, strstr(iou_verifier_log, "ctx is not allowed"));
}

/* ctx + (ctx->event & 8): within bounds, but the field is unknown */
TEST_F(verifier_ctx, variable_offset)
{
	const struct bpf_insn insns[] = {
		IOU_LDX(BPF_B, BPF_REG_2, BPF_REG_1, 16),
		IOU_ALU_IMM(BPF_AND, BPF_REG_2, 8),
		IOU_ALU_REG(BPF_ADD, BPF_REG_1, BPF_REG_2),
		IOU_LDX(BPF_DW, BPF_REG_0, BPF_REG_1, 40),
		IOU_MOV_IMM(BPF_REG_0, 0),
		IOU_EXIT(),
	};

	EXPECT_EQ(-EACCES, IOU_LOAD(insns));
	EXPECT_NE(NULL, strstr(iou_verifier_log, "variable ctx access"));
}

/* BTF describes a kernel object, where unnamed words are no members. */
TEST_F_TIMEOUT(verifier_ctx, cast_to_kern_ctx, 60)
{
	int cast = libbpf_find_vmlinux_btf_id("bpf_cast_to_kern_ctx",
					      BPF_TRACE_FENTRY);

	ASSERT_LT(0, cast);
	for (int i = 0; i < NR_FIELDS; i++) {
		EXPECT_EQ(0, ctx_load_cast(cast, code_of(ctx_fields[i].size),
					   ctx_fields[i].off))
			TH_LOG("%s: %s", ctx_fields[i].name, iou_verifier_log);
	}
	for (int i = 0; i < (int)ARRAY_SIZE(ctx_gaps); i++) {
		for (int off = ctx_gaps[i].off; off < ctx_gaps[i].end; off += 2) {
			EXPECT_EQ(-EINVAL, ctx_load_cast(cast, BPF_H, off))
				TH_LOG("off %d", off);
			EXPECT_NE(NULL, strstr(iou_verifier_log,
					       "doesn't have field at offset"))
				TH_LOG("%s", iou_verifier_log);
		}
	}
	for (int i = 0; i < 4; i++) {
		int size = sizes[i].bytes, code = sizes[i].code;

		EXPECT_EQ(-EACCES, ctx_load_cast(cast, code, -size));
		EXPECT_EQ(-EACCES, ctx_load_cast(cast, code, CTX_SIZE));
	}
}

/* user_data is passed to user space, so it must not be a pointer. */
TEST_F(verifier_ctx, pointer_leak)
{
	const struct bpf_insn insns[] = {
		IOU_STX(BPF_DW, BPF_REG_1, BPF_REG_1, 0),
		IOU_MOV_IMM(BPF_REG_0, 0),
		IOU_EXIT(),
	};

	ASSERT_EQ(0, iou_keep_caps(IOU_CAP(CAP_BPF)));
	EXPECT_EQ(-EACCES, IOU_LOAD(insns));
	EXPECT_NE(NULL, strstr(iou_verifier_log, "leaks addr into ctx"));
}

/* The programs of progs/verifier.bpf.c, and the expected messages */
static const struct {
	const char *prog;
	const char *msg;
} kfunc_cases[] = {
	{ "ctx_is_null", "Possibly NULL pointer passed to trusted R1" },
	{ "ctx_is_scalar", "R1 expected pointer to ctx, but got scalar" },
	{ "ctx_is_stack", "R1 expected pointer to ctx, but got fp" },
	{ "ctx_is_map_value",
	  "R1 expected pointer to ctx, but got map_value" },
	{ "ctx_is_second", "R1 expected pointer to ctx, but got map_value" },
	{ "ctx_is_moved", "dereference of modified ctx ptr R1" },
	{ "ctx_for_timer", "R1 expected pointer to ctx, but got scalar" },
	{ "sqe_is_null", "Possibly NULL pointer passed to trusted R2" },
	{ "sqe_is_scalar", "memory, len pair leads to invalid memory access" },
	{ "sqe_too_small", "memory, len pair leads to invalid memory access" },
	{ "sqe_beyond_map_value",
	  "memory, len pair leads to invalid memory access" },
	{ "sqe_size_mismatch",
	  "memory, len pair leads to invalid memory access" },
	{ "sqe_size_unknown",
	  "memory, len pair leads to invalid memory access" },
	{ "cqe_is_null", "Possibly NULL pointer passed to trusted R2" },
	{ "cqe_too_small", "memory, len pair leads to invalid memory access" },
	{ "cqe_size_unknown",
	  "memory, len pair leads to invalid memory access" },
	{ "other_type_socket",
	  "calling kernel function bpf_io_uring_complete is not allowed" },
	{ "other_type_syscall",
	  "calling kernel function bpf_io_uring_issue is not allowed" },
	{ "other_type_tc",
	  "calling kernel function bpf_io_uring_post_cqe is not allowed" },
};

FIXTURE(verifier_kfunc) {
};

FIXTURE_SETUP(verifier_kfunc)
{
	IOU_REQUIRE();
	libbpf_set_print(NULL);
}

FIXTURE_TEARDOWN(verifier_kfunc)
{
}

TEST_F_TIMEOUT(verifier_kfunc, accepted, 60)
{
	ASSERT_EQ(0, IOU_LOAD_ONLY(verifier, "good_calls")) {
		TH_LOG("%s", iou_verifier_log);
	}
}

TEST_F_TIMEOUT(verifier_kfunc, rejected, 120)
{
	for (size_t i = 0; i < ARRAY_SIZE(kfunc_cases); i++) {
		EXPECT_NE(0, IOU_LOAD_ONLY(verifier, kfunc_cases[i].prog)) {
			TH_LOG("%s", kfunc_cases[i].prog);
		}
		EXPECT_NE(NULL, strstr(iou_verifier_log, kfunc_cases[i].msg)) {
			TH_LOG("%s: %s", kfunc_cases[i].prog, iou_verifier_log);
		}
	}
}

TEST_HARNESS_MAIN
