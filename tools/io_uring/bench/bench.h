/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting what an operation costs, by one arm or another
 *
 * All arms of a workload do the same, and check that they did. What is counted
 * lies between two marker instructions, which a plugin of the emulator knows.
 */
#ifndef BENCH_H
#define BENCH_H

#include "iou_bpf.h"
#include "bench_shared.h"

#define BENCH_LINK	6	/* requests of a chain in the arm called link */
#define BENCH_ENTRIES	64	/* of a ring */

/* passes: whole numbers of batches and of chains */
#define BENCH_OPS	(200 * BENCH_BATCH * 3)
#define BENCH_OPS_HEAVY	(40 * BENCH_BATCH * 3)
#define BENCH_OPS_BTREE	(20 * BENCH_BATCH)

/* what the kernel has to have */
enum {
	NEED_FLOW	= 1U << 0,
	NEED_NULL_BLK	= 1U << 1,
	NEED_XFS	= 1U << 2,
	NEED_PATTERN	= 1U << 3,
	NEED_LMDB	= 1U << 4,
};

struct bench;

/* one way to do a workload */
struct bench_arm {
	const char	*name;
	/* the arm to subtract, if this one means nothing by itself */
	const char	*base;
	unsigned int	need;
	const char	*prog;
	unsigned int	attach_flags;
	/* of requests that the program watches, or 0 for all */
	__u8		opcode;

	void (*init)(struct bench *b);
	/* @ops operations, this is what is measured */
	void (*run)(struct bench *b, unsigned int ops);
};

struct bench_workload {
	const char		*name;
	/* in a pass */
	unsigned int		ops;
	unsigned int		need;
	const struct bench_arm	*arms;
	/* of a series: hops of a flow, and flows at once */
	unsigned int		length;
	unsigned int		flows;

	void (*open)(struct bench *b);
	/* what all requests have in common, or the first and the second kind */
	void (*prep)(struct bench *b, struct io_uring_sqe *sqe);
	void (*prep2)(struct bench *b, struct io_uring_sqe *sqe);
	/* around each pass, where it isn't measured */
	void (*before)(struct bench *b);
	void (*after)(struct bench *b);
	/* looks at what was done */
	void (*exit)(struct bench *b);
};

struct bench {
	const struct bench_workload *workload;
	const struct bench_arm	*arm;
	/* a folder on ext4, and one on XFS for workloads that need it */
	const char		*dir;
	const char		*xfs;
	/* one with the object files of patterns */
	const char		*patterns;
	FILE			*out;
	unsigned int		repeat;
	bool			time;

	struct io_uring		ring;
	struct io_uring_params	params;
	struct bench_flow	*flow;
	struct bench_loop	*loop;
	struct bpf_object	*pattern;
	struct bpf_program	*prog;
	struct bpf_link		*link;

	/* of the workload */
	int			fd[2];
	__u8			*buf;
	int			want;
};

/* main.c */
void bench_print_name(const struct bench *b);

#define bench_die(b, fmt, ...) do {					\
	int __err = errno;						\
									\
	bench_print_name(b);						\
	fprintf(stderr, fmt " (errno: %s)\n", ##__VA_ARGS__,		\
		strerror(__err));					\
	exit(1);							\
} while (0)

#define bench_check(b, cond) do {					\
	if (__builtin_expect(!(cond), 0))				\
		bench_die(b, "%s:%d: %s", __FILE__, __LINE__, #cond);	\
} while (0)

/* ring.c */
void bench_ring(struct bench *b, unsigned int flags);
void bench_open_flow(struct bench *b, const char *prog);
void bench_attach_flow(struct bench *b);
void bench_open_loop(struct bench *b, const char *prog);
void bench_attach_loop(struct bench *b);
void bench_loop_reset(struct bench *b);
unsigned int bench_loop_sum(struct bench *b);
int bench_file(struct bench *b, const char *name);
void bench_register_file(struct bench *b);
void bench_register_buf(struct bench *b, size_t size);
void bench_register(struct bench *b, size_t size);
void *bench_alloc(struct bench *b, size_t size);
void bench_run_loop(struct bench *b, unsigned int ops);
void bench_close(struct bench *b);
const char *bench_missing(const struct bench *b, unsigned int need);

/* nullb.c */
void bench_nullb(struct bench *b, const char *mb);
void bench_nullb_exit(struct bench *b);

/* setup.c */
void bench_init_syscall(struct bench *b);
void bench_init_loop(struct bench *b);
void bench_init_loop_kept(struct bench *b);
void bench_init_step(struct bench *b);
void bench_init_flow(struct bench *b);

/* arms of the workloads */
#define BENCH_SYSCALL(_run)						\
	{ "syscall", .init = bench_init_syscall, .run = _run }
#define BENCH_LOOP(_name, _run)						\
	{ _name, .init = bench_init_loop, .run = _run }
#define BENCH_LOOP_KEPT(_name, _run)					\
	{ _name, .init = bench_init_loop_kept, .run = _run }
#define BENCH_LOOP_STEP(_name, _prog)					\
	{ _name, .prog = _prog, .init = bench_init_step,		\
	  .run = bench_run_loop }
#define BENCH_FLOW(_name, _prog, _run)					\
	{ _name, .need = NEED_FLOW, .prog = _prog,			\
	  .init = bench_init_flow, .run = _run }

/* the workloads, a file for each kind */
extern const struct bench_workload bench_hop_workloads[];
extern const struct bench_workload bench_step_workloads[];
extern const struct bench_workload bench_btree_workloads[];
extern const struct bench_workload bench_lookup_workloads[];
extern const struct bench_workload bench_scan_workloads[];
extern const struct bench_workload bench_file_workloads[];
extern const struct bench_workload bench_proxy_workloads[];
extern const struct bench_workload bench_pass_workloads[];
extern const struct bench_workload bench_recv_workloads[];
extern const struct bench_workload bench_pattern_message_workloads[];
extern const struct bench_workload bench_pattern_file_workloads[];
extern const struct bench_workload bench_pattern_socket_workloads[];
extern const struct bench_workload bench_pattern_forward_workloads[];
extern const struct bench_workload bench_pattern_sqes_workloads[];
extern const struct bench_workload bench_pattern_limit_workloads[];
extern const struct bench_workload bench_pattern_watch_workloads[];
extern const struct bench_workload bench_scaling_workloads[];

#define BENCH_MARK(nr)							\
	asm volatile(".byte 0x0f, 0x1f, 0x80, " #nr ", 0x00, 0x5a, 0x5a" \
		     ::: "memory")

#endif
