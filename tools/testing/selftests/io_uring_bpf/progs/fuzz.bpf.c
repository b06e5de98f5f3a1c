// SPDX-License-Identifier: GPL-2.0
/*
 * Programs of the fuzzer: perform the actions of a table, and check invariants
 *
 * Each run applies the first rule of its table that matches the event: performs
 * its actions and returns its verdict. It also checks what the kernel guarantees
 * to programs, and adds the CQEs that will result to owe[].
 */
#include "fuzz_verbs.bpf.h"
#include "fuzz_checks.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline __u32 carry_out(struct bpf_io_uring_ctx *ctx,
				       struct run *r, struct fz_rule *rule)
{
	__u32 i;

	bpf_for(i, 0, FZ_ACTS) {
		struct fz_act *a;
		__u32 verb;

		if (i >= rule->nr_acts)
			break;
		a = &rule->acts[i & (FZ_ACTS - 1)];
		verb = a->verb;
		if (verb >= FZ_NR_VERBS)
			continue;
		act(ctx, r, a);
	}
	return rule->verdict;
}

static __noinline int run_table(struct bpf_io_uring_ctx *ctx, struct run *r,
				__u32 table)
{
	__u32 i, verdict = BPF_IO_URING_DEFAULT;

	bpf_for(i, 0, FZ_RULES) {
		struct fz_rule *rule;

		rule = &tables[table & (FZ_TABLES_SIZE - 1)].rules[i & (FZ_RULES - 1)];
		if (!(rule->events & (1 << (ctx->event & 7))))
			continue;
		if (rule->opcode != FZ_ANY_OPCODE && rule->opcode != ctx->opcode)
			continue;
		if (!rule->left)
			continue;
		if (rule->left != ~0U)
			rule->left--;
		verdict = carry_out(ctx, r, rule);
		break;
	}
	return iou_verdict(verdict);
}

/* @who: the number of the watcher, from 1 on, or 0 for flows */
static __always_inline void enter(struct bpf_io_uring_ctx *ctx, __u32 ring, __u32 who)
{
	__u32 n = __sync_fetch_and_add(&rings[ring].inside, 1);

	if (n)
		complain(ctx, FZ_TWO_RUNS, ring, n, 0);
	if (rings[ring].seen.next && rings[ring].seen.next != who)
		complain(ctx, FZ_WATCH_NEXT, ring, rings[ring].seen.next, who);
	rings[ring].runs++;
}

static __always_inline void leave(__u32 ring)
{
	__sync_fetch_and_add(&rings[ring].inside, -1);
}

static __noinline int flow_event(struct bpf_io_uring_ctx *ctx, __u32 ring)
{
	__u64 tag = ctx->state[0], user_data = ctx->user_data;
	__u32 idx = tag & (FZ_FLOWS - 1), cflags = ctx->cflags, verdict;
	__s32 res = ctx->res;
	struct run r = { .ring = ring, .done = { user_data, res } };
	struct fz_flow *f;

	if (tag >> 32 != FZ_MAGIC) {
		complain(ctx, FZ_STATE_TAG, ring, tag, ctx->event);
		return BPF_IO_URING_DEFAULT;
	}
	f = &flows[idx];
	r.flow = idx;
	check_order(ctx, f, ring);
	check_state(ctx, f, ring);
	check_task(ctx, f, ring);
	count_child(ctx, f, ring);
	check_innocent(ctx, f, ring);
	access_mem(ctx, f, ring, f->runs > 1 ? ACCESS_SOME : ACCESS_ALL);

	verdict = run_table(ctx, &r, (tag >> 16) & 0xf);

	if (ctx->event == BPF_IO_URING_COMPLETE || ctx->event == BPF_IO_URING_AUX) {
		if (!(ctx->flags & BPF_IO_URING_F_CHILD)) {
			count_app_verdict(ctx, user_data, cflags, BPF_IO_URING_DEFAULT,
					  verdict);
			if (r.res_written)
				id_flags[user_data & (FZ_IDS - 1)] |= FZ_ID_RES;
		} else if (ending_posts(ctx, res, cflags, verdict) ||
			   (child_posts(cflags, verdict) && !(cflags & IORING_CQE_F_MORE))) {
			count_cqe(ctx->user_data, 1, 1);
		}
	}
	end_of_run(ctx, &r, res);
	return verdict;
}

/* @who: twice the number of the watcher, from 0 on, plus 1 if it is sleepable */
static __noinline int watch_table(struct bpf_io_uring_ctx *ctx, __u32 ring, __u32 who)
{
	__u32 w = who / 2 % FZ_WATCHERS, cflags = ctx->cflags, verdict;
	struct run r = {
		.flow = FZ_FLOWS,
		.ring = ring,
		.done = { ctx->user_data, ctx->res },
	};
	__u64 user_data = ctx->user_data;
	bool passed_on = rings[ring].seen.next;
	__u32 before = passed_on ? rings[ring].seen.verdict : BPF_IO_URING_DEFAULT;

	/* a member that another program has dropped: this verdict decides */
	if (drops && ctx->res == -ECANCELED && !passed_on)
		count_cqe(user_data, 0, 1);
	if (!(rings[ring].watchers[w].ok & 1 << who % 2))
		complain(ctx, FZ_WATCH_OLD, ring, rings[ring].watchers[w].ok, who);
	check_watch(ctx, ring, w);
	if (passed_on)
		check_passed_on(ctx, ring);
	else if (ordered)
		check_first(ctx, ring, w);
	verdict = run_table(ctx, &r, fz_watch_table(ring, w));
	if (r.again && passed_on)
		take_back(ring, user_data, cflags);
	rings[ring].seen.next = 0;
	if (r.again)
		return verdict;
	if (ordered && !w && (verdict & BPF_IO_URING_NEXT))
		pass_on(ctx, ring, user_data, verdict);
	count_app_verdict(ctx, user_data, cflags, before, verdict);
	return verdict;
}

#define FZ_PROG(name, section, ring, watcher, fn, ...)			\
SEC(section)								\
int name(struct bpf_io_uring_ctx *ctx)					\
{									\
	int verdict;							\
									\
	enter(ctx, ring, watcher);					\
	verdict = fn(ctx, ring, ## __VA_ARGS__);			\
	leave(ring);							\
	return iou_verdict(verdict);					\
}

/* address in user space, 0: none. Its page may be missing: a read then sleeps. */
__u64 user_word;

static __noinline int flow_event_s(struct bpf_io_uring_ctx *ctx, __u32 ring)
{
	if (user_word)
		bpf_copy_from_user(scratch, 8, (const void *)user_word);
	return flow_event(ctx, ring);
}

FZ_PROG(flow0, "iouring", 0, 0, flow_event)
FZ_PROG(flow1, "iouring", 1, 0, flow_event)
FZ_PROG(flow2, "iouring", 2, 0, flow_event)
FZ_PROG(flow_s0, "iouring.s", 0, 0, flow_event_s)
FZ_PROG(flow_s1, "iouring.s", 1, 0, flow_event_s)
FZ_PROG(flow_s2, "iouring.s", 2, 0, flow_event_s)
FZ_PROG(watch0, "iouring", 0, 1, watch_table, 0)
FZ_PROG(watch1, "iouring", 1, 1, watch_table, 0)
FZ_PROG(watch2, "iouring", 2, 1, watch_table, 0)
FZ_PROG(watch_s0, "iouring.s", 0, 1, watch_table, 1)
FZ_PROG(watch_s1, "iouring.s", 1, 1, watch_table, 1)
FZ_PROG(watch_s2, "iouring.s", 2, 1, watch_table, 1)
FZ_PROG(after0, "iouring", 0, 2, watch_table, 2)
FZ_PROG(after1, "iouring", 1, 2, watch_table, 2)
FZ_PROG(after2, "iouring", 2, 2, watch_table, 2)
FZ_PROG(after_s0, "iouring.s", 0, 2, watch_table, 3)
FZ_PROG(after_s1, "iouring.s", 1, 2, watch_table, 3)
FZ_PROG(after_s2, "iouring.s", 2, 2, watch_table, 3)

/* A program that does not write to its context: the kernel has a fast path. */
__u64 nr_plain;

SEC("iouring")
int watch_plain(struct bpf_io_uring_ctx *ctx)
{
	__sync_fetch_and_add(&nr_plain, 1);
	return plain_next ? BPF_IO_URING_NEXT : BPF_IO_URING_DEFAULT;
}

/* Flow of an independent process, which must make progress during all cases. */
__u64 nr_hops SEC(".data.neighbour");

SEC("iouring")
int neighbour(struct bpf_io_uring_ctx *ctx)
{
	struct io_uring_sqe sqe;

	if (ctx->event == BPF_IO_URING_START) {
		iou_prep_nop(&sqe, 0);
		iou_issue(ctx, &sqe);
	} else if (ctx->event == BPF_IO_URING_COMPLETE && ctx->state[0]) {
		ctx->state[0] = ctx->state[0] - 1;
		nr_hops++;
		bpf_io_uring_again(ctx, 0, 0, 0);
	}
	return BPF_IO_URING_DEFAULT;
}
