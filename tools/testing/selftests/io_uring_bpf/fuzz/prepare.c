// SPDX-License-Identifier: GPL-2.0
/* Preparation of the programs: their tables, templates and filters */
#include "env.h"

#include "fuzz.skel.h"

void fz_prepare_tables(struct fz_env *e)
{
	const struct fz_case *c = e->c;
	unsigned int i, j, k;

	memcpy(skel->bss->tables, c->tables, sizeof(c->tables));
	/* addresses and offsets depend on the process: insert them here */
	for (i = 0; i < FZ_TABLES; i++) {
		for (j = 0; j < FZ_RULES; j++) {
			for (k = 0; k < FZ_ACTS; k++) {
				struct fz_act *a = &skel->bss->tables[i].rules[j].acts[k];
				struct fz_rings *r = &e->rings[fz_table_ring(i)];

				if (a->verb == FZ_AGAIN && a->addr)
					a->addr = (unsigned long)e->mem->data[1];
				if (a->verb == FZ_GIVE && a->addr)
					a->addr = (unsigned long)
						  e->mem->provided[a->tmpl % BGID_NR][a->off & 7];
				if (a->verb == FZ_BUF_MOVE && a->tmpl == 1 && r->alive) {
					a->off = r->p.cq_off.tail;
					a->addr = r->p.cq_off.head;
				}
			}
		}
	}
}

void fz_prepare_templates(struct fz_env *e)
{
	const struct fz_case *c = e->c;
	bool skips = false, chained = false;
	const struct fz_sqe *s;
	unsigned int i;

	for_each_request(c, i, s)
		skips |= s->sqe_flags & IOSQE_CQE_SKIP_SUCCESS;
	for (i = 0; i < FZ_TMPLS; i++) {
		bool chain;
		__u8 f;

		s = &c->tmpls[i];
		f = s->op < OP_NR ? fz_op_flags(s) : 0;
		chain = s->sqe_flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
		if (s->op < OP_NR)
			fz_fill(e, c, s, &skel->bss->sqes[i]);
		/* in a cancelled chain, the flag of one request affects the others */
		if (skips)
			f |= FZ_T_SKIP;
		skel->bss->sqe_flags[i] = f;
		skel->bss->id_flags[s->id] |= FZ_ID_PROG;
		if (s->op >= OP_NR || !fz_op_quiet(s) || chain || chained)
			skel->bss->id_flags[s->id] |= FZ_T_GUILTY;
		/* the successor depends on the run: assume any template */
		chained |= chain;
	}
	for (i = 0; i < FZ_TMPLS && chained; i++)
		skel->bss->id_flags[c->tmpls[i].id] |= FZ_T_GUILTY;
	for (i = 0; i < c->nr_sqes; i++)
		skel->bss->id_flags[c->sqes[i].id] |= FZ_ID_APP;
	/* ids that programs set */
	for (i = ID_POST; i < FZ_IDS; i++)
		skel->bss->id_flags[i] = FZ_ID_APP | FZ_ID_PROG | FZ_T_GUILTY;
	skel->bss->id_flags[0] = FZ_ID_APP | FZ_ID_PROG | FZ_T_GUILTY;
}

void fz_prepare_filters(const struct fz_case *c)
{
	unsigned int i;

	for (i = 0; i < c->nr_attach; i++) {
		const struct fz_attach *a = &c->attach[i];
		struct fz_watcher *w;

		if (!fz_slot_watches(a->slot) || fz_slot_plain(a->slot))
			continue;
		w = &skel->bss->rings[a->ring].watchers[a->slot / 2 - 1];
		w->opcodes[0] = a->opcodes;
		w->user_data = a->user_data;
		w->user_data_mask = a->user_data_mask;
	}
}
