// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU plugin that counts the instructions a guest executes, and the calls of
 * each function of its kernel, between two markers in the guest's user space.
 *
 *	-plugin FILE.so,symbols=FILE,end=ADDRESS,out=FILE
 *
 * symbols: a line "ADDRESS NAME" for each function of the kernel, in order.
 * end: end of the kernel's image. Without modules, all code above it was generated
 * by BPF's JIT compiler. out: a line of JSON for each pair of markers.
 *
 * There must be one vcpu only, which -icount requires anyway.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_api.h"

/* nopl with a displacement that no compiler emits; the third byte is the number */
#define MARKER_SIZE	7
#define MARKER_BEGIN	1
#define MARKER_END	2

/* Counters for code outside of kernel functions. */
enum { USER, JIT, OTHER, FIRST_SYMBOL };

struct count {
	uint64_t insns;
	uint64_t calls;
};

struct symbol {
	uint64_t addr;
	char *name;
};

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_API;

static struct symbol *symbols;
static size_t nr_counts = FIRST_SYMBOL;
static uint64_t image_end;
static struct count *begin;
static FILE *out;

#if PLUGIN_API == 1

static struct count *counts;

static void alloc_counts(void)
{
	counts = calloc(nr_counts, sizeof(*counts));
}

static struct count *vcpu_counts(unsigned int vcpu)
{
	return counts;
}

/* offset: of a word in the array of counters */
static void count_up(struct qemu_plugin_insn *insn, size_t offset)
{
	qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_INLINE_ADD_U64,
						   (char *)counts + offset, 1);
}

static void insn_bytes(const struct qemu_plugin_insn *insn, uint8_t *bytes)
{
	memcpy(bytes, qemu_plugin_insn_data(insn), MARKER_SIZE);
}

#else

static struct qemu_plugin_scoreboard *counts;

static void alloc_counts(void)
{
	counts = qemu_plugin_scoreboard_new(nr_counts * sizeof(struct count));
}

static struct count *vcpu_counts(unsigned int vcpu)
{
	return qemu_plugin_scoreboard_find(counts, vcpu);
}

static void count_up(struct qemu_plugin_insn *insn, size_t offset)
{
	struct qemu_u64 entry = { counts, offset };

	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_INLINE_ADD_U64,
							    entry, 1);
}

static void insn_bytes(const struct qemu_plugin_insn *insn, uint8_t *bytes)
{
	qemu_plugin_insn_data(insn, bytes, MARKER_SIZE);
}

#endif

static void on_begin(unsigned int vcpu, void *data)
{
	memcpy(begin, vcpu_counts(vcpu), nr_counts * sizeof(*begin));
}

static void on_end(unsigned int vcpu, void *data)
{
	const struct count *now = vcpu_counts(vcpu);
	const char *sep = "";
	size_t i;

	fprintf(out, "{\"user\": %lu, \"jit\": %lu, \"other\": %lu, \"functions\": {",
		now[USER].insns - begin[USER].insns, now[JIT].insns - begin[JIT].insns,
		now[OTHER].insns - begin[OTHER].insns);
	for (i = FIRST_SYMBOL; i < nr_counts; i++) {
		if (now[i].insns == begin[i].insns)
			continue;
		fprintf(out, "%s\"%s\": [%lu, %lu]", sep, symbols[i].name,
			now[i].insns - begin[i].insns, now[i].calls - begin[i].calls);
		sep = ", ";
	}
	fprintf(out, "}}\n");
	fflush(out);
}

/* The last symbol that is not above addr. */
static size_t find_symbol(uint64_t addr)
{
	size_t lo = FIRST_SYMBOL, hi = nr_counts;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (symbols[mid].addr <= addr)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static size_t classify(uint64_t addr)
{
	if (!(addr >> 63))
		return USER;
	if (addr >= image_end)
		return JIT;
	return addr < symbols[FIRST_SYMBOL].addr ? OTHER : find_symbol(addr);
}

static void hook_marker(struct qemu_plugin_insn *insn)
{
	static const uint8_t marker[MARKER_SIZE] = { 0x0f, 0x1f, 0x80, 0, 0, 0x5a, 0x5a };
	uint8_t bytes[MARKER_SIZE];
	unsigned int nr;

	insn_bytes(insn, bytes);
	nr = bytes[3];
	bytes[3] = 0;
	if (memcmp(bytes, marker, sizeof(marker)))
		return;
	if (nr == MARKER_BEGIN)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_begin, QEMU_CB_NO_REGS, NULL);
	else if (nr == MARKER_END)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end, QEMU_CB_NO_REGS, NULL);
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);

	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t addr = qemu_plugin_insn_vaddr(insn);
		size_t idx = classify(addr);
		size_t offset = idx * sizeof(struct count);

		count_up(insn, offset + offsetof(struct count, insns));
		if (idx >= FIRST_SYMBOL && symbols[idx].addr == addr)
			count_up(insn, offset + offsetof(struct count, calls));
		if (idx == USER && qemu_plugin_insn_size(insn) == MARKER_SIZE)
			hook_marker(insn);
	}
}

static int read_symbols(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t room = 1 << 17;
	uint64_t addr;
	char name[512];

	symbols = calloc(room, sizeof(*symbols));
	if (!file || !symbols)
		return -1;
	while (nr_counts < room && fscanf(file, "%lx %511s", &addr, name) == 2) {
		symbols[nr_counts].addr = addr;
		symbols[nr_counts++].name = strdup(name);
	}
	fclose(file);
	return nr_counts > FIRST_SYMBOL ? 0 : -1;
}

PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
				      int argc, char **argv)
{
	const char *path = "";
	int i;

	for (i = 0; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			continue;
		value++;
		if (!strncmp(argv[i], "symbols=", 8))
			path = value;
		else if (!strncmp(argv[i], "end=", 4))
			image_end = strtoull(value, NULL, 16);
		else if (!strncmp(argv[i], "out=", 4))
			out = fopen(value, "w");
	}
	if (!out || !image_end || read_symbols(path)) {
		fprintf(stderr, "counter: cannot read %s or write its output\n", path);
		return -1;
	}
	alloc_counts();
	begin = calloc(nr_counts, sizeof(*begin));
	if (!begin || !counts)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
