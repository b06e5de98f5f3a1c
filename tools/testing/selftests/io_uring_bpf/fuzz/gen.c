// SPDX-License-Identifier: GPL-2.0
/* Generation of a case from its name: a seed, and the seeds of mutations */
#include "env.h"

#include <ctype.h>

static __u8 app_id(struct fz_rng *r, const struct fz_case *c)
{
	if (c->ids == 1)
		return ID_APP + below(r, 3);
	/* all requests share one user_data */
	if (c->ids == 2)
		return ID_APP;
	return ID_APP + c->nr_sqes % (ID_TMPL - ID_APP);
}

static void gen_app_sqe(struct fz_rng *r, struct fz_case *c)
{
	struct fz_sqe *s = &c->sqes[c->nr_sqes];

	fz_gen_sqe(r, s, true);
	s->id = app_id(r, c);
	c->nr_sqes++;
}

/* Append a linked timeout to the flow that was generated last. */
static void gen_link_timeout(struct fz_rng *r, struct fz_case *c)
{
	struct fz_sqe *s = &c->sqes[c->nr_sqes];

	c->sqes[c->nr_sqes - 1].sqe_flags |= IOSQE_IO_LINK;
	memset(s, 0, sizeof(*s));
	s->op = OP_LINK_TIMEOUT;
	s->opt = rnd(r);
	s->id = app_id(r, c);
	c->nr_sqes++;
}

/* Generate a submission of a few SQEs, with chains that include flows. */
static void gen_submit(struct fz_rng *r, struct fz_case *c, struct fz_step *s)
{
	unsigned int n = PICK(r, 1, 1, 2, 2, 3, 4, 6);

	s->kind = ST_SUBMIT;
	s->first = c->nr_sqes;
	while (s->nr < n && c->nr_sqes < FZ_SQES) {
		gen_app_sqe(r, c);
		if (c->sqes[c->nr_sqes - 1].op == OP_LINK_TIMEOUT && s->nr)
			c->sqes[c->nr_sqes - 2].sqe_flags |= IOSQE_IO_LINK;
		if (c->sqes[c->nr_sqes - 1].op == OP_FLOW && s->nr && chance(r, 30))
			c->sqes[c->nr_sqes - 2].sqe_flags |= IOSQE_IO_LINK;
		s->nr++;
		if (c->sqes[c->nr_sqes - 1].op == OP_FLOW && c->nr_sqes < FZ_SQES &&
		    chance(r, 8)) {
			gen_link_timeout(r, c);
			s->nr++;
		}
	}
	if (s->nr && chance(r, 90))
		c->sqes[c->nr_sqes - 1].sqe_flags &= ~(IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
}

/* Choose a slot that has a program. */
static void gen_link_step(struct fz_rng *r, struct fz_case *c, struct fz_step *s)
{
	const struct fz_attach *a = &c->attach[below(r, c->nr_attach)];

	s->ring = a->ring;
	s->arg = (s->arg & ~(FZ_SLOTS - 1)) | a->slot;
}

static void gen_step(struct fz_rng *r, struct fz_case *c, struct fz_step *s, bool main)
{
	memset(s, 0, sizeof(*s));
	s->kind = PICK(r, ST_SUBMIT, ST_SUBMIT, ST_SUBMIT, ST_SUBMIT, ST_SUBMIT,
		       ST_SUBMIT, ST_SUBMIT, ST_SUBMIT, ST_WAIT, ST_WAIT, ST_WAIT,
		       ST_REAP, ST_SPIN, ST_TRIGGER, ST_TRIGGER, ST_TRIGGER,
		       ST_TRIGGER, ST_SLEEP, ST_SETUID);
	if (chance(r, 18))
		s->kind = PICK(r, ST_SYNC_CANCEL, ST_SYNC_CANCEL, ST_DETACH, ST_ATTACH,
			       ST_UPDATE, ST_UPDATE, ST_FORK, ST_CLOSE_RING, ST_RESIZE,
			       ST_RESIZE, ST_CLONE_BUFS, ST_BUFS, ST_FILES, ST_SIGNAL,
			       ST_EXIT_THREAD, ST_HOLE, ST_HOLE, ST_DUP_RING, ST_IOWQ,
			       ST_SHUT);
	if (main && s->kind == ST_EXIT_THREAD)
		s->kind = ST_SPIN;
	s->ring = below(r, FZ_RINGS);
	while (!c->rings[s->ring].on)
		s->ring--;
	s->arg = rnd(r);
	s->arg2 = rnd(r);
	if (s->kind == ST_SUBMIT)
		gen_submit(r, c, s);
	if ((s->kind == ST_UPDATE || s->kind == ST_DETACH) && c->nr_attach)
		gen_link_step(r, c, s);
}

static void gen_thread(struct fz_rng *r, struct fz_case *c, unsigned int i)
{
	struct fz_thread *t = &c->threads[i];
	unsigned int n = i ? 2 + below(r, 5) : 3 + below(r, FZ_STEPS - 4);

	for (t->nr = 0; t->nr < n; t->nr++)
		gen_step(r, c, &t->steps[t->nr], !i);
	if (!i && t->steps[0].kind != ST_SUBMIT) {
		memset(&t->steps[0], 0, sizeof(t->steps[0]));
		gen_submit(r, c, &t->steps[0]);
	}
}

static void gen_tmpls(struct fz_rng *r, struct fz_case *c)
{
	unsigned int i;

	for (i = 0; i < FZ_TMPLS; i++) {
		fz_gen_sqe(r, &c->tmpls[i], false);
		/* children rarely need the flag, as they post no CQE by default */
		if (chance(r, 60))
			c->tmpls[i].sqe_flags &= ~IOSQE_CQE_SKIP_SUCCESS;
		c->tmpls[i].id = c->ids == 2 ? ID_APP :
				 c->ids == 1 ? ID_TMPL : ID_TMPL + i;
	}
}

/* Turn @c into a case that is repeated: one short thread, which only submits. */
static void gen_repeat(struct fz_rng *r, struct fz_case *c)
{
	unsigned int i;

	c->repeats = FZ_REPEATS;
	c->end = END_SETTLE;
	c->nr_threads = 1;
	c->noreap = 0;
	c->reaper = 0;
	c->threads[0].nr = 1 + below(r, 2);
	for (i = 0; i < c->threads[0].nr; i++) {
		struct fz_step *s = &c->threads[0].steps[i];

		if (s->kind != ST_SUBMIT) {
			memset(s, 0, sizeof(*s));
			gen_submit(r, c, s);
		}
		s->ring = 0;
	}
}

static void gen(struct fz_rng *r, struct fz_case *c)
{
	unsigned int i;

	c->ids = PICK(r, 0, 0, 0, 1, 2);
	fz_swarm(r);
	fz_swarm_acts(r);
	for (i = 0; i < FZ_RINGS; i++) {
		fz_gen_ring(r, c, i);
		if (c->rings[i].on)
			fz_gen_attach(r, c, i);
	}
	for (i = 0; i < FZ_TABLES; i++)
		fz_gen_table(r, &c->tables[i], fz_table_watches(i));
	gen_tmpls(r, c);
	c->nr_threads = PICK(r, 1, 1, 1, 2, 2, 3);
	for (i = 0; i < c->nr_threads; i++)
		gen_thread(r, c, i);
	if (chance(r, 15))
		fz_retrigger(r, c);
	c->reaper = chance(r, 12);
	c->noreap = chance(r, 15);
	c->end = PICK(r, END_SETTLE, END_SETTLE, END_SETTLE, END_SETTLE, END_SETTLE,
		      END_SETTLE, END_KILL, END_KILL, END_KILL, END_EXIT, END_EXEC);
	c->kill_ms = PICK(r, 1, 5, 10, 20, 50, 100);
	if (fz_want("kill"))
		c->end = chance(r, 80) ? END_KILL : END_EXIT;
	if (chance(r, fz_want("repeat") ? 100 : 8))
		gen_repeat(r, c);
}

static void mutate_once(struct fz_rng *r, struct fz_case *c)
{
	struct fz_thread *t = &c->threads[below(r, c->nr_threads)];
	unsigned int i, k = below(r, FZ_TABLES);

	switch (below(r, 12)) {
	case 0:
		fz_gen_rule(r, &c->tables[k].rules[below(r, 4)], fz_table_watches(k), 1);
		break;
	case 1:
		i = below(r, 4);
		fz_gen_rule(r, &c->tables[k].rules[i], fz_table_watches(k), i);
		break;
	case 2:
		fz_gen_act(r, &c->tables[k].rules[below(r, 4)].acts[below(r, 2)],
			   fz_table_watches(k), 1);
		break;
	case 3:
		i = below(r, FZ_TMPLS);
		k = c->tmpls[i].id;
		fz_gen_sqe(r, &c->tmpls[i], false);
		c->tmpls[i].id = k;
		break;
	case 4:
		if (c->nr_sqes) {
			i = below(r, c->nr_sqes);
			k = c->sqes[i].id;
			fz_gen_sqe(r, &c->sqes[i], true);
			c->sqes[i].id = k;
		}
		break;
	case 5:
		if (t->nr)
			gen_step(r, c, &t->steps[below(r, t->nr)], t == c->threads);
		break;
	case 6:
		if (t->nr < FZ_STEPS)
			gen_step(r, c, &t->steps[t->nr++], t == c->threads);
		break;
	case 7:
		if (t->nr && t->nr < FZ_STEPS) {
			i = below(r, t->nr);
			t->steps[t->nr++] = t->steps[i];
		}
		break;
	case 8:
		c->rings[0].setup = fz_gen_setup(r);
		fz_gen_limits(&c->rings[0]);
		break;
	case 9:
		c->tables[k].rules[below(r, 3)].left = chance(r, 60) ? ~0U : below(r, 9);
		break;
	case 10:
		c->tables[k].rules[below(r, 3)].verdict =
			PICK(r, 0, 1, 2, 3, 8, 16, 10, 9, 4, 5, 6, 12);
		break;
	case 11:
		if (c->nr_sqes)
			c->sqes[below(r, c->nr_sqes)].sqe_flags ^=
				1 << (1 + below(r, 6));
		break;
	}
}

static void mutate(struct fz_rng *r, struct fz_case *c)
{
	unsigned int n = 1 + below(r, 4);

	while (n--)
		mutate_once(r, c);
	if (c->repeats)
		gen_repeat(r, c);
}

/*
 * Set c->ordered. If the order is not known, nor is whether a later program revokes the
 * verdict to drop a CQE.
 */
static void derive_order(struct fz_case *c)
{
	bool changes = fz_has_step(c, ST_ATTACH) || fz_has_step(c, ST_DETACH) ||
		       fz_has_step(c, ST_UPDATE);
	bool sqpoll = false;
	unsigned int i;

	for (i = 0; i < FZ_RINGS; i++)
		sqpoll |= c->rings[i].on && (c->rings[i].setup & IORING_SETUP_SQPOLL);
	/* an SQ thread runs programs while the exit of the worker closes their links */
	c->ordered = !changes && (c->end == END_SETTLE || !sqpoll);
	for (i = 0; i < FZ_TABLES * FZ_RULES && !c->ordered; i++) {
		struct fz_rule *rule = &c->tables[i / FZ_RULES].rules[i % FZ_RULES];

		if (rule->verdict & FZ_VERDICT_DROP)
			rule->verdict &= ~FZ_VERDICT_NEXT;
	}
}

/*
 * Remove combinations that are not supported, and set the derived members of @c.
 *
 * All cases avoid these faults of the base kernel:
 *
 * - A zero-copy send deferred by a drain never completes: io_drain_req() counts
 *   only one of its two requests.
 * - exec() waits for the notification of a SEND_ZC whose data the peer does not
 *   read, and SIGKILL does not end the wait.
 * - A ring is never freed after SEND_ZC on a connection, if both ends are in its
 *   file table. FD_TCP_A and FD_TCP_B are in no file table.
 * - A memory-backed null_blk device that is polled sleeps under RCU. That of the
 *   guest is not memory-backed.
 * - IORING_REGISTER_SYNC_CANCEL does not search the workers of an SQ thread.
 *   settle() also completes the operations that such workers may wait for.
 */
void fz_derive(struct fz_case *c)
{
	bool drains = false, cancels = false, used;
	unsigned int i, j, k;
	struct fz_act *act;
	struct fz_sqe *s;

	for (i = 0; i < c->nr_sqes; i++)
		drains |= c->sqes[i].sqe_flags & IOSQE_IO_DRAIN;
	for_each_request(c, i, s) {
		/* see the first two faults above */
		if ((drains || c->end == END_EXEC) &&
		    (s->op == OP_SEND_ZC || s->op == OP_SENDMSG_ZC))
			s->op = OP_SEND;
		used = i < FZ_TMPLS ? fz_tmpl_used(c, i) : fz_sqe_used(c, i - FZ_TMPLS);
		if (s->op != OP_NR && used)
			cancels |= fz_op_cancels(s);
		/* no skipped CQEs in two of three cases, for exact checks */
		if (strtoull(c->name, NULL, 10) % 3)
			s->sqe_flags &= ~IOSQE_CQE_SKIP_SUCCESS;
	}
	for (i = 0; i < c->nr_threads; i++) {
		for (j = 0; j < c->threads[i].nr; j++) {
			switch (c->threads[i].steps[j].kind) {
			case ST_SYNC_CANCEL:
			case ST_DETACH:
			case ST_CLOSE_RING:
			case ST_EXIT_THREAD:
			case ST_FORK:
			case ST_FILES:
			case ST_SIGNAL:
				cancels = true;
				break;
			}
		}
	}
	/* the end of a thread cancels its requests, so only one thread is allowed */
	c->innocent = !cancels && c->nr_threads == 1 && c->end == END_SETTLE;
	c->drops = 0;
	for_each_act(c, i, j, k, act) {
		c->drops |= act->verb == FZ_DROP;
		/* a program that moves the head of the CQ would consume uncounted CQEs */
		if (c->end == END_SETTLE && act->tmpl == 1 &&
		    act->verb >= FZ_BUF_DATA && act->verb <= FZ_BUF_MOVE)
			act->tmpl = 0;
	}
	if (c->end == END_SETTLE)
		c->reaper = 0;
	c->same_buffers = !fz_has_step(c, ST_BUFS) && !fz_has_step(c, ST_CLONE_BUFS);
	derive_order(c);
}

/* Generate the case @name. Return 0, or -EINVAL if the name is invalid. */
int fz_make(struct fz_case *c, const char *name)
{
	struct fz_rng r;
	char *end;

	memset(c, 0, sizeof(*c));
	if (!isdigit(*name) || strlen(name) >= FZ_NAME)
		return -EINVAL;
	snprintf(c->name, sizeof(c->name), "%s", name);
	r.s = strtoull(name, &end, 10) * 0x2545f4914f6cdd1dULL + 1;
	gen(&r, c);
	while (*end == '.') {
		if (!isdigit(end[1]))
			return -EINVAL;
		r.s = strtoull(end + 1, &end, 10) * 0x9e3779b97f4a7c15ULL + 7;
		mutate(&r, c);
	}
	if (*end)
		return -EINVAL;
	return 0;
}
