// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that don't change, one after the other or a batch at a time. An
 * operation is one request.
 *
 * NOPs complete in place, or in task work with IORING_NOP_TW. Reads of
 * /dev/zero complete in place. Those of null_blk are asynchronous to io_uring,
 * which completes them by task work. With one CPU, the block layer calls the
 * completion handler in the context of the submitter, and there is no soft
 * interrupt.
 *
 * The kernel's loop could go on in the same turn with what has completed in
 * place. It takes a turn for each request here, as it has to for requests that
 * take their time.
 *
 * A loop of user space fills in all of an SQE, a flow has the kernel copy it,
 * and a program in the kernel's loop copies it to the SQ. The arms whose name
 * ends in -kept spare that: their SQEs stay in a queue that is rewound, which
 * works as long as no request differs from the one before.
 *
 * The workloads called -fixed look up no file: it is registered, and so is the
 * buffer of reads from null_blk.
 */
#include "loop.h"

#define ZERO_LEN	64
#define BLOCK_LEN	512
#define BUF_LEN		4096

static void nop_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_nop(sqe);
}

static void nop_tw_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_nop(sqe);
	sqe->nop_flags = IORING_NOP_TW;
}

static void nop_open(struct bench *b)
{
	b->want = 0;
}

static void read_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_read(sqe, b->fd[0], b->buf, b->want, 0);
}

static void file_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_read(sqe, 0, b->buf, b->want, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
}

static void fixed_prep(struct bench *b, struct io_uring_sqe *sqe)
{
	io_uring_prep_read_fixed(sqe, 0, b->buf, b->want, 0, 0);
	sqe->flags |= IOSQE_FIXED_FILE;
}

static void read_open(struct bench *b, const char *path, int flags, int len)
{
	b->want = len;
	b->fd[0] = open(path, O_RDONLY | flags);
	if (b->fd[0] < 0)
		bench_die(b, "cannot open %s", path);
	memset(bench_alloc(b, BUF_LEN), 0xff, BUF_LEN);
}

static void zero_open(struct bench *b)
{
	read_open(b, "/dev/zero", 0, ZERO_LEN);
}

static void null_open(struct bench *b)
{
	read_open(b, "/dev/nullb0", O_DIRECT, BLOCK_LEN);
}

static void zero_open_fixed(struct bench *b)
{
	zero_open(b);
	bench_register_file(b);
}

static void null_open_fixed(struct bench *b)
{
	null_open(b);
	bench_register_file(b);
	bench_register_buf(b, BUF_LEN);
}

/* Something was read, and not more than there should be. */
static void zero_exit(struct bench *b)
{
	bench_check(b, !b->buf[0] && !b->buf[ZERO_LEN - 1]);
	bench_check(b, b->buf[ZERO_LEN] == 0xff);
}

static void run_pread(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		bench_check(b, pread(b->fd[0], b->buf, b->want, 0) == b->want);
}

static void run_flow(struct bench *b, unsigned int ops)
{
	bench_flow(b, 0, ops, 0, 0, 0);
}

/* the loops of user space for the request that @prep fills in */
#define HOP_LOOPS(id, prep)						\
static void id##_qd1(struct bench *b, unsigned int ops)			\
{									\
	bench_loop(b, ops, 1, 0, prep);					\
}									\
static void id##_b32(struct bench *b, unsigned int ops)			\
{									\
	bench_loop(b, ops, BENCH_BATCH, 0, prep);				\
}									\
static void id##_link(struct bench *b, unsigned int ops)		\
{									\
	bench_loop(b, ops, BENCH_LINK, IOSQE_IO_LINK, prep);		\
}

HOP_LOOPS(nop, nop_prep)
HOP_LOOPS(nop_tw, nop_tw_prep)
HOP_LOOPS(read, read_prep)
HOP_LOOPS(file, file_prep)
HOP_LOOPS(fixed, fixed_prep)

#define LOOP_ARMS(id)							\
	BENCH_LOOP("loop-qd1", id##_qd1),				\
	BENCH_LOOP("loop-b32", id##_b32),				\
	BENCH_LOOP("link", id##_link),					\
	BENCH_LOOP_STEP("loop_step-qd1", "hop_qd1"),			\
	BENCH_LOOP_STEP("loop_step-b32", "hop_b32")
#define KEPT_ARMS							\
	BENCH_LOOP_STEP("loop_step-qd1-kept", "hop_qd1_kept"),		\
	BENCH_LOOP_STEP("loop_step-b32-kept", "hop_b32_kept")
#define FLOW_ARMS							\
	BENCH_FLOW("flow", "flow_hop", run_flow),			\
	BENCH_FLOW("flow-again", "flow_hop_again", run_flow)

static const struct bench_arm nop_arms[] = {
	LOOP_ARMS(nop), KEPT_ARMS, FLOW_ARMS, {}
};

static const struct bench_arm nop_tw_arms[] = {
	LOOP_ARMS(nop_tw), KEPT_ARMS, FLOW_ARMS, {}
};

static const struct bench_arm read_arms[] = {
	BENCH_SYSCALL(run_pread), LOOP_ARMS(read), KEPT_ARMS, FLOW_ARMS, {}
};

static const struct bench_arm file_arms[] = {
	LOOP_ARMS(file), FLOW_ARMS, {}
};

static const struct bench_arm fixed_arms[] = {
	LOOP_ARMS(fixed), FLOW_ARMS, {}
};

/* what a ring pays that has no program, on a kernel that knows them or not */
static const struct bench_arm idle_qd1_arms[] = {
	BENCH_LOOP("loop-qd1", nop_qd1), {}
};

static const struct bench_arm idle_b32_arms[] = {
	BENCH_LOOP("loop-b32", nop_b32), {}
};

/* many at once, and all arms can do that */
static const struct bench_arm parallel_arms[] = {
	BENCH_LOOP("loop-b32", read_b32),
	BENCH_LOOP_STEP("loop_step-b32", "hop_b32"),
	BENCH_LOOP_STEP("loop_step-b32-kept", "hop_b32_kept"),
	BENCH_FLOW("flow", "flow_hop_batch", run_flow), {}
};

const struct bench_workload bench_hop_workloads[] = {
	{ "nop", .ops = BENCH_OPS, .arms = nop_arms,
	  .open = nop_open, .prep = nop_prep },
	{ "nop-tw", .ops = BENCH_OPS, .arms = nop_tw_arms,
	  .open = nop_open, .prep = nop_tw_prep },
	{ "read64", .ops = BENCH_OPS, .arms = read_arms,
	  .open = zero_open, .prep = read_prep, .exit = zero_exit },
	{ "nullblk512", .ops = BENCH_OPS_HEAVY,
	  .need = NEED_NULL_BLK,
	  .arms = read_arms, .open = null_open, .prep = read_prep },
	{ "read64-fixed", .ops = BENCH_OPS, .arms = file_arms,
	  .open = zero_open_fixed, .prep = file_prep, .exit = zero_exit },
	{ "nullblk512-fixed", .ops = BENCH_OPS_HEAVY,
	  .need = NEED_NULL_BLK, .arms = fixed_arms,
	  .open = null_open_fixed, .prep = fixed_prep },
	{ "parallel32", .ops = BENCH_OPS, .arms = parallel_arms,
	  .open = zero_open, .prep = read_prep, .exit = zero_exit },
	{ "idle-qd1", .ops = BENCH_OPS, .arms = idle_qd1_arms,
	  .open = nop_open, .prep = nop_prep },
	{ "idle-b32", .ops = BENCH_OPS, .arms = idle_b32_arms,
	  .open = nop_open, .prep = nop_prep },
	{}
};
