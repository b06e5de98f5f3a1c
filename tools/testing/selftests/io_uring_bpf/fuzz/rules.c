// SPDX-License-Identifier: GPL-2.0
/* Generation of the tables of programs: rules, and the actions of a rule */
#include "env.h"

/* Actions that programs of this case may perform, see fz_swarm() */
static struct {
	__u32 verbs;
	/* percentage of requests of flows that are issued for the application */
	__u32 app;
} swarm;

void fz_swarm_acts(struct fz_rng *r)
{
	unsigned int n = 1 + below(r, 4);

	swarm.verbs = ~0U;
	swarm.app = PICK(r, 4, 12, 12, 50);
	if (chance(r, 50))
		return;
	swarm.verbs = 1 << FZ_ISSUE;
	while (n--)
		swarm.verbs |= 1 << PICK(r, FZ_AGAIN, FZ_AGAIN, FZ_ISSUE, FZ_POST,
					 FZ_COMPLETE, FZ_DROP, FZ_UNLINK, FZ_LINK,
					 1 + below(r, FZ_NR_VERBS - 1));
}

static void gen_copy(struct fz_rng *r, struct fz_act *a)
{
	a->tmpl = PICK(r, 0, 1, 2, 3, 6, FZ_BUF_OWN, FZ_BUF_OWN, FZ_BUF_KNOWN, FZ_BUF_KNOWN,
		       FZ_BUF_KNOWN, FZ_BUF_KNOWN, FZ_BUF_KNOWN);
	a->msg = PICK(r, 0, 2, 3, 6, FZ_BUF_KNOWN, FZ_BUF_OWN, FZ_BUF_OWN, FZ_BUF_OWN,
		      FZ_BUF_OWN, FZ_BUF_OWN, FZ_BUF_OWN, FZ_BUF_OWN);
	a->off = PICK(r, 0ULL, 0ULL, 1ULL, 8ULL, 100ULL, 4000ULL, 4096ULL, 8192ULL,
		      FZ_BUF_SIZE - 1ULL, (__u64)FZ_BUF_SIZE, ~0ULL);
	a->addr = PICK(r, 0ULL, 0ULL, 3ULL, 64ULL, 4090ULL, 8190ULL, 12000ULL,
		       (__u64)FZ_BUF_SIZE, ~0ULL);
	a->len = PICK(r, 0U, 1U, 4U, 64U, 100U, 4095U, 4096U, 4097U, 8192U, 12000U,
		      (__u32)FZ_BUF_SIZE, 65536U, 65537U, ~0U);
	a->flags = chance(r, 97) ? 0 : rnd(r);
	if (a->msg != FZ_BUF_KNOWN)
		return;
	/* within a page, the contents repeat: do not change what is known */
	a->tmpl = FZ_BUF_KNOWN;
	a->off = below(r, 2) * 4096;
	a->addr = a->off + 256 * below(r, 8);
	a->len = PICK(r, 1U, 255U, 256U, 1024U, 2048U);
}

void fz_gen_act(struct fz_rng *r, struct fz_act *a, bool watch, unsigned int pos)
{
	static const __u8 weights[FZ_NR_VERBS] = {
		[FZ_ISSUE] = 60, [FZ_AGAIN] = 30, [FZ_POST] = 9, [FZ_COMPLETE] = 6,
		[FZ_DROP] = 10, [FZ_UNLINK] = 8, [FZ_LINK] = 10, [FZ_ITER] = 3,
		[FZ_CANCEL] = 5, [FZ_REQ] = 8, [FZ_GIVE] = 5,
		[FZ_BUF_DATA] = 4, [FZ_BUF_DATA_RW] = 2, [FZ_BUF_READ] = 4,
		[FZ_BUF_WRITE] = 2, [FZ_BUF_MOVE] = 4, [FZ_SET_UD] = 3,
		[FZ_SET_RES] = 3, [FZ_SET_CFLAGS] = 2, [FZ_SET_STATE] = 5,
		[FZ_MEM] = 5, [FZ_COPY] = 6,
	};
	int sum = 0, n, i;

	for (i = 0; i < FZ_NR_VERBS; i++)
		sum += swarm.verbs & 1 << i ? weights[i] : 0;
	n = below(r, sum);
	for (i = 0; i < FZ_NR_VERBS - 1; i++) {
		n -= swarm.verbs & 1 << i ? weights[i] : 0;
		if (n < 0)
			break;
	}
	memset(a, 0, sizeof(*a));
	a->verb = i;
	a->tmpl = below(r, FZ_RING_TMPLS);
	a->size = chance(r, 97) ? 64 : PICK(r, 0, 32, 63, 100);
	a->len = PICK(r, 0U, 1U, 8U, 512U, 4096U, (__u32)-529, (__u32)-ECANCELED,
		      (__u32)-EIO, 7U);
	a->off = PICK(r, 0ULL, 0ULL, 1ULL, 2ULL, 512ULL, 63ULL, 64ULL, ~0ULL);
	a->msg = chance(r, 80);
	switch (i) {
	case FZ_ISSUE:
		a->len = chance(r, 94) ? 1 : PICK(r, 3, 20, FZ_MAX_ISSUES, FZ_ISSUES);
		a->flags = chance(r, watch ? 95 : swarm.app) ? 1 : 0;
		if (chance(r, 2))
			a->flags = rnd(r);
		break;
	case FZ_AGAIN:
		a->off = PICK(r, 0ULL, 0ULL, 0ULL, 512ULL, ~0ULL);
		a->addr = chance(r, 90);
		a->len = PICK(r, 0U, 1U, 8U, 512U);
		break;
	case FZ_POST:
		a->size = PICK(r, 16, 16, 16, 32, 8);
		a->off = ID_POST + below(r, 8);
		a->msg = PICK(r, 1, 1, 1, 1, 1, 12, FZ_BURST);
		a->flags = chance(r, 80) ? 0 : rnd(r) & ~(__u64)IORING_CQE_F_MORE;
		break;
	case FZ_DROP:
	case FZ_UNLINK:
		a->off = chance(r, 70) ? below(r, 3) : below(r, 70);
		a->flags = chance(r, 95) ? below(r, 4) : rnd(r);
		if (i == FZ_UNLINK)
			a->flags &= ~2ULL;
		break;
	case FZ_LINK:
		a->flags = chance(r, 98) ? 0 : rnd(r);
		break;
	case FZ_CANCEL:
		a->flags = chance(r, 98) ? chance(r, 30) : rnd(r);
		break;
	case FZ_GIVE:
		a->tmpl = chance(r, 97) ? below(r, BGID_NR) : rnd(r);
		a->off = chance(r, 97) ? below(r, 8) : rnd(r);
		a->len = PICK(r, 0U, 16U, 256U, 256U, 256U, 256U);
		a->addr = chance(r, 97);
		break;
	case FZ_SET_UD:
		a->off = ID_POST + 10 + below(r, 4);
		break;
	case FZ_SET_RES:
		a->len = chance(r, 50) ? 5 : (__u32)-EPIPE;
		break;
	case FZ_SET_CFLAGS:
		a->len = rnd(r);
		break;
	case FZ_BUF_DATA ... FZ_BUF_MOVE:
		/* buffers 3 and 6 do not exist */
		a->tmpl = PICK(r, 0, 1, 2, 3, 6, FZ_BUF_KNOWN, FZ_BUF_KNOWN, FZ_BUF_KNOWN);
		a->off = PICK(r, 0ULL, 8ULL, 64ULL, 4090ULL, 4096ULL, 8190ULL, 8192ULL,
			      12000ULL);
		a->addr = PICK(r, 0ULL, 8ULL, 64ULL);
		break;
	}
	if (i == FZ_COPY)
		gen_copy(r, a);
	/* a flow that issues nothing ends at once, so prefer to issue a request */
	if (!pos && !watch && a->verb != FZ_ISSUE && chance(r, 60)) {
		a->verb = FZ_ISSUE;
		a->len = 1;
		a->flags = 0;
	}
}

void fz_gen_rule(struct fz_rng *r, struct fz_rule *rule, bool watch,
		 unsigned int pos)
{
	unsigned int i;

	memset(rule, 0, sizeof(*rule));
	rule->left = chance(r, 15) ? ~0U : PICK(r, 1U, 1U, 2U, 3U, 5U, 20U, 100U);
	rule->events = !pos && !watch ? 1 << 0 | (chance(r, 50) ? 2 : 0) :
		       PICK(r, 2, 2, 2, 2, 4, 6, 6, 6, 8, 14, 15);
	rule->opcode = chance(r, 85) ? FZ_ANY_OPCODE :
		       fz_op_opcode(PICK(r, (int)OP_NOP, OP_READ, OP_POLL, OP_RECV, OP_SEND,
					 OP_ACCEPT, OP_TIMEOUT));
	if (!pos && !watch)
		rule->opcode = FZ_ANY_OPCODE;
	rule->verdict = PICK(r, 0, 0, 0, 0, 1, 1, 2, 2, 3);
	if (chance(r, 12))
		rule->verdict |= chance(r, 60) ? 8 : 16;
	if (chance(r, watch ? 45 : 2))
		rule->verdict |= FZ_VERDICT_NEXT;
	rule->nr_acts = PICK(r, 0, 1, 1, 2, 2, 3, 4, 6, FZ_ACTS);
	if (!pos && !watch && !rule->nr_acts)
		rule->nr_acts = 1;
	for (i = 0; i < rule->nr_acts; i++)
		fz_gen_act(r, &rule->acts[i], watch, i);
}

/*
 * Let programs cause the events that they run for: a request of the application, and
 * often a child, waits for a channel, and a rule issues a request that writes to it.
 */
void fz_retrigger(struct fz_rng *r, struct fz_case *c)
{
	static const struct { __u8 op, fd, to_op, to_fd; } pairs[] = {
		{ OP_POLL, FD_EVENT0, OP_WRITE, FD_EVENT0 },
		{ OP_POLL, FD_PIPE0_R, OP_WRITE, FD_PIPE0_W },
		{ OP_READ_MULTI, FD_PIPE0_R, OP_WRITE, FD_PIPE0_W },
		{ OP_POLL, FD_SOCK_A, OP_SEND, FD_SOCK_B },
		{ OP_RECV, FD_SOCK_A, OP_SEND, FD_SOCK_B },
		{ OP_FUTEX_WAIT, FD_EVENT0, OP_FUTEX_WAKE, FD_EVENT0 },
		{ OP_TIMEOUT, FD_EVENT0, OP_TIMEOUT_REMOVE, FD_EVENT0 },
	};
	unsigned int i = below(r, ARRAY_SIZE(pairs));
	unsigned int k = PICK(r, 0, 1, 2 * FZ_RINGS, 3 * FZ_RINGS);
	unsigned int t = below(r, FZ_RING_TMPLS);
	struct fz_rule *rule = &c->tables[k].rules[below(r, 3)];
	struct fz_sqe *s;

	if (!c->nr_sqes)
		return;
	s = &c->sqes[below(r, c->nr_sqes)];
	s->op = pairs[i].op;
	s->fd = pairs[i].fd;
	s->sqe_flags &= ~IOSQE_FIXED_FILE;
	if (chance(r, 50)) {
		struct fz_sqe *child = &c->tmpls[below(r, FZ_RING_TMPLS)];
		__u8 id = child->id;

		*child = *s;
		child->id = id;
	}
	s = &c->tmpls[t];
	s->op = pairs[i].to_op;
	s->fd = pairs[i].to_fd;
	s->len = 8;
	rule->events = PICK(r, 2, 4, 6, 6);
	rule->opcode = chance(r, 50) ? FZ_ANY_OPCODE : fz_op_opcode(pairs[i].op);
	rule->left = chance(r, 70) ? ~0U : 100;
	if (!rule->nr_acts)
		rule->nr_acts = 1;
	fz_gen_act(r, &rule->acts[0], fz_table_watches(k), 1);
	rule->acts[0].verb = FZ_ISSUE;
	rule->acts[0].tmpl = t;
	rule->acts[0].size = 64;
	rule->acts[0].len = 1;
	rule->acts[0].flags = chance(r, 70);
}

void fz_gen_table(struct fz_rng *r, struct fz_table *t, bool watch)
{
	unsigned int i;

	for (i = 0; i < FZ_RULES; i++)
		fz_gen_rule(r, &t->rules[i], watch, i);
}

