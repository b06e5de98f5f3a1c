/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of QEMU's plugin interface that the counter needs. Debian ships QEMU
 * without its header, and the two Debian releases differ: QEMU 7.2 has version 1
 * of the interface, QEMU 10 takes versions 2 to 4. PLUGIN_API comes from
 * scripts/bench/boot.sh.
 */
#ifndef BENCH_QEMU_API_H
#define BENCH_QEMU_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLUGIN_EXPORT __attribute__((visibility("default")))

enum { QEMU_INLINE_ADD_U64 = 0, QEMU_CB_NO_REGS = 0 };

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;

typedef void (*qemu_tb_cb)(uint64_t id, struct qemu_plugin_tb *tb);
typedef void (*qemu_exec_cb)(unsigned int vcpu, void *data);

PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
				      int argc, char **argv);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, qemu_tb_cb cb);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    qemu_exec_cb cb, int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t idx);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

#if PLUGIN_API == 1

const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
						int op, void *ptr, uint64_t imm);

#else

/* Counters belong to QEMU, one set for each vcpu. */
struct qemu_plugin_scoreboard;
struct qemu_u64 {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest,
			     size_t len);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score,
				  unsigned int vcpu);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct qemu_plugin_insn *insn,
							 int op, struct qemu_u64 entry,
							 uint64_t imm);

#endif
#endif
