/* SPDX-License-Identifier: GPL-2.0 */
/* Hand-written programs, for code that no compiler would emit */
#ifndef IOU_INSN_H
#define IOU_INSN_H

#include "iou_bpf.h"

#define IOU_INSN(_code, _dst, _src, _off, _imm)				\
	((struct bpf_insn) {						\
		.code = (_code), .dst_reg = (_dst), .src_reg = (_src),	\
		.off = (_off), .imm = (_imm),				\
	})

/* size is BPF_B, BPF_H, BPF_W or BPF_DW */
#define IOU_LDX(size, dst, src, off)					\
	IOU_INSN(BPF_LDX | BPF_MEM | (size), dst, src, off, 0)
#define IOU_STX(size, dst, src, off)					\
	IOU_INSN(BPF_STX | BPF_MEM | (size), dst, src, off, 0)
#define IOU_ST(size, dst, off, imm)					\
	IOU_INSN(BPF_ST | BPF_MEM | (size), dst, 0, off, imm)
#define IOU_MOV_IMM(dst, imm)						\
	IOU_INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm)
#define IOU_ALU_IMM(op, dst, imm)					\
	IOU_INSN(BPF_ALU64 | (op) | BPF_K, dst, 0, 0, imm)
#define IOU_ALU_REG(op, dst, src)					\
	IOU_INSN(BPF_ALU64 | (op) | BPF_X, dst, src, 0, 0)
#define IOU_EXIT()							\
	IOU_INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

#define IOU_LOG_SIZE	(64 * 1024)

static char iou_verifier_log[IOU_LOG_SIZE];

/* Return 0 or a negative errno. The log is in iou_verifier_log. */
static inline int iou_load_insns(const struct bpf_insn *insns, size_t nr,
				 enum bpf_attach_type attach_type,
				 __u32 prog_flags)
{
	/*
	 * -EAGAIN results from a signal, or from task work of an earlier ring
	 */
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .expected_attach_type = attach_type,
		    .prog_flags = prog_flags,
		    .log_buf = iou_verifier_log,
		    .log_size = sizeof(iou_verifier_log),
		    .log_level = 1,
		    .attempts = 100);
	int fd;

	iou_verifier_log[0] = 0;
	fd = bpf_prog_load(BPF_PROG_TYPE_IOURING, "iou_test", "GPL", insns, nr,
			   &opts);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

#define IOU_LOAD(insns)							\
	iou_load_insns(insns, sizeof(insns) / sizeof((insns)[0]),	\
		       BPF_IOURING, 0)

/* Load the program @name of @obj, and no other. The log is in iou_verifier_log. */
static inline int iou_load_only(struct bpf_object *obj, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(obj, name);

	iou_verifier_log[0] = 0;
	if (!prog)
		return -ENOENT;
	bpf_program__set_autoload(prog, true);
	bpf_program__set_log_level(prog, 1);
	bpf_program__set_log_buf(prog, iou_verifier_log, sizeof(iou_verifier_log));
	return bpf_object__load(obj);
}

/* The same of a skeleton @type. Return -ENOENT if there is no such program. */
#define IOU_LOAD_ONLY(type, name) ({					\
	struct type *__skel = type##__open();				\
	int __ret = __skel ? iou_load_only(__skel->obj, name) : -ENOENT;	\
									\
	type##__destroy(__skel);					\
	__ret;								\
})

/*
 * Return true if the kernel mitigates speculation, so that the verifier is stricter with
 * programs that are loaded without CAP_PERFMON. Call this without the capability.
 */
static inline bool iou_mitigates(void)
{
	/* of another type: add a register to the context */
	const struct bpf_insn insns[] = {
		IOU_MOV_IMM(BPF_REG_0, 0),
		IOU_INSN(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, BPF_REG_0, 0, 0),
		IOU_EXIT(),
	};
	int fd;

	fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "iou_test", "GPL", insns,
			   ARRAY_SIZE(insns), NULL);
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

#endif
