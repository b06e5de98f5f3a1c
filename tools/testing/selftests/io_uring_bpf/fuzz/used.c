// SPDX-License-Identifier: GPL-2.0
/* Tests for parts of a case that have an effect, for printing and minimisation */
#include "env.h"

/* Return true if a step submits request @nr. */
bool fz_sqe_used(const struct fz_case *c, unsigned int nr)
{
	unsigned int i, j;

	for (i = 0; i < c->nr_threads; i++) {
		for (j = 0; j < c->threads[i].nr; j++) {
			const struct fz_step *s = &c->threads[i].steps[j];

			if (s->kind == ST_SUBMIT && nr >= s->first &&
			    nr < (unsigned int)s->first + s->nr)
				return nr < FZ_SQES && c->sqes[nr].op < OP_NR;
		}
	}
	return false;
}

/* Return true if the case has a step of this kind. */
bool fz_has_step(const struct fz_case *c, enum fz_step_kind kind)
{
	unsigned int i, j;

	for (i = 0; i < c->nr_threads; i++) {
		for (j = 0; j < c->threads[i].nr; j++) {
			if (c->threads[i].steps[j].kind == kind)
				return true;
		}
	}
	return false;
}

/* Return true if a step submits a flow with this table. */
static bool has_flow(const struct fz_case *c, unsigned int table)
{
	unsigned int i, j, k;

	for (i = 0; i < c->nr_threads; i++) {
		for (j = 0; j < c->threads[i].nr; j++) {
			const struct fz_step *s = &c->threads[i].steps[j];

			if (s->kind != ST_SUBMIT || s->ring != table / 2)
				continue;
			for (k = s->first; k < (unsigned int)s->first + s->nr; k++) {
				if (k < FZ_SQES && c->sqes[k].op == OP_FLOW &&
				    (c->sqes[k].off & 1) == (table & 1))
					return true;
			}
		}
	}
	return false;
}

/* Return true if a program may use this table. */
bool fz_table_used(const struct fz_case *c, unsigned int table)
{
	bool watch = fz_table_watches(table), later = fz_has_step(c, ST_ATTACH);
	unsigned int ring = fz_table_ring(table), i;

	if (!c->rings[ring].on || (!watch && !has_flow(c, table)))
		return false;
	for (i = 0; i < c->nr_attach; i++) {
		const struct fz_attach *a = &c->attach[i];

		if (a->ring == ring && (a->on || later) &&
		    (watch ? a->slot == 2 * (table / FZ_RINGS) - 2 :
			     !fz_slot_watches(a->slot)))
			return true;
	}
	return false;
}

/* Return true if an action of a table in use refers to this template. */
bool fz_tmpl_used(const struct fz_case *c, unsigned int tmpl)
{
	unsigned int ring = tmpl / FZ_RING_TMPLS, i, j, k;

	for (i = 0; i < FZ_TABLES; i++) {
		if (fz_table_ring(i) != ring || !fz_table_used(c, i))
			continue;
		for (j = 0; j < FZ_RULES; j++) {
			const struct fz_rule *r = &c->tables[i].rules[j];

			for (k = 0; r->left && k < r->nr_acts && k < FZ_ACTS; k++) {
				const struct fz_act *a = &r->acts[k];

				if ((a->verb == FZ_ISSUE || a->verb == FZ_LINK) &&
				    a->tmpl % FZ_RING_TMPLS == tmpl % FZ_RING_TMPLS)
					return true;
			}
		}
	}
	return false;
}
