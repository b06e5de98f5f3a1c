// SPDX-License-Identifier: GPL-2.0
/*
 * Minimisation: removes the parts of a case that are not required for its failure
 *
 * Parts are numbered in the order of the generated case. A set of parts is a string
 * of hexadecimal digits: bits 0 to 3 of the first digit are parts 0 to 3, and so on.
 *
 * A try may crash the kernel, so the state is saved to a file before each try.
 */
#include "env.h"

#include <fcntl.h>

#define HEX_SIZE	(FZ_MAX_PART / 4 + 2)

/* Iteration over all parts of a case */
struct walk {
	/* the complete case */
	const struct fz_case *old;
	/* the case to remove parts from, or NULL to count parts only */
	struct fz_case *c;
	int nr;
	bool no_thread[3];
};

/* Assign the next number to a part. Return true if the caller must remove the part. */
static bool part(struct walk *w)
{
	if (w->nr == FZ_MAX_PART)
		return false;
	w->nr++;
	return w->c && w->old->dropped[w->nr - 1];
}

static void walk_steps(struct walk *w)
{
	unsigned int i, j;

	for (i = 0; i < w->old->nr_threads; i++) {
		for (j = 0; j < w->old->threads[i].nr; j++) {
			/* only mark the step, as indices must not change yet */
			if (part(w))
				w->c->threads[i].steps[j].kind = ST_NR;
		}
	}
}

/* Remove a request, including its flags: fz_derive() tests those of all requests. */
static void make_hole(struct fz_sqe *s)
{
	memset(s, 0, sizeof(*s));
	s->op = OP_NR;
}

static void walk_requests(struct walk *w)
{
	unsigned int i;

	for (i = 0; i < w->old->nr_sqes; i++) {
		if (fz_sqe_used(w->old, i) && part(w))
			make_hole(&w->c->sqes[i]);
	}
	for (i = 1; i < w->old->nr_threads; i++)
		w->no_thread[i] = part(w);
	for (i = 0; i < w->old->nr_attach; i++) {
		if (w->old->attach[i].on && part(w))
			w->c->attach[i].on = 0;
	}
}

static void walk_rules(struct walk *w)
{
	unsigned int i, j, k;

	for (i = 0; i < FZ_TABLES; i++) {
		if (!fz_table_used(w->old, i))
			continue;
		for (j = 0; j < FZ_RULES; j++) {
			const struct fz_rule *r = &w->old->tables[i].rules[j];

			for (k = 0; r->left && k < r->nr_acts && k < FZ_ACTS; k++) {
				if (r->acts[k].verb != FZ_NOTHING && part(w))
					memset(&w->c->tables[i].rules[j].acts[k], 0,
					       sizeof(r->acts[k]));
			}
		}
	}
	for (i = 0; i < FZ_TABLES; i++) {
		if (!fz_table_used(w->old, i))
			continue;
		for (j = 0; j < FZ_RULES; j++) {
			if (w->old->tables[i].rules[j].left && part(w))
				memset(&w->c->tables[i].rules[j], 0,
				       sizeof(struct fz_rule));
		}
	}
}

static void walk_rings(struct walk *w)
{
	unsigned int i, bit;

	for (i = 0; i < FZ_RINGS; i++) {
		for (bit = 0; w->old->rings[i].on && bit < 32; bit++) {
			if ((w->old->rings[i].setup & 1U << bit) && part(w))
				w->c->rings[i].setup &= ~(1U << bit);
		}
	}
	for (i = 1; i < FZ_RINGS; i++) {
		if (w->old->rings[i].on && part(w))
			memset(&w->c->rings[i], 0, sizeof(w->c->rings[i]));
	}
	if (w->old->reaper && part(w))
		w->c->reaper = 0;
	if (w->old->noreap && part(w))
		w->c->noreap = 0;
}

/*
 * Return the next request or template in use, from *nr on, or NULL. Set *now to its
 * counterpart in w->c.
 */
static const struct fz_sqe *next_sqe(struct walk *w, unsigned int *nr,
				     struct fz_sqe **now)
{
	const struct fz_case *o = w->old;

	for (; *nr < FZ_SQES + FZ_TMPLS; (*nr)++) {
		unsigned int t = *nr - FZ_SQES;

		if (*nr < FZ_SQES && *nr < o->nr_sqes && fz_sqe_used(o, *nr)) {
			*now = w->c ? &w->c->sqes[*nr] : NULL;
			return &o->sqes[(*nr)++];
		}
		if (*nr >= FZ_SQES && fz_tmpl_used(o, t)) {
			*now = w->c ? &w->c->tmpls[t] : NULL;
			(*nr)++;
			return &o->tmpls[t];
		}
	}
	return NULL;
}

static void walk_flags(struct walk *w)
{
	const struct fz_sqe *s;
	unsigned int nr = 0, bit;
	struct fz_sqe *now;

	while ((s = next_sqe(w, &nr, &now))) {
		for (bit = 0; bit < 8; bit++) {
			if ((s->sqe_flags & 1 << bit) && part(w))
				now->sqe_flags &= ~(1 << bit);
		}
	}
	nr = 0;
	while ((s = next_sqe(w, &nr, &now))) {
		if (s->personality && part(w))
			now->personality = 0;
	}
}

static void walk(struct walk *w)
{
	walk_steps(w);
	walk_requests(w);
	walk_rules(w);
	walk_rings(w);
	walk_flags(w);
}

/* Compact the remaining steps and threads, and remove requests without a step. */
static void move_together(struct walk *w)
{
	struct fz_case *c = w->c;
	unsigned int i, j, n, nr = 0;

	for (i = 0; i < w->old->nr_threads; i++) {
		struct fz_thread t;

		memset(&t, 0, sizeof(t));
		for (j = 0, n = 0; j < w->old->threads[i].nr; j++) {
			if (c->threads[i].steps[j].kind != ST_NR)
				t.steps[n++] = c->threads[i].steps[j];
		}
		t.nr = n;
		memset(&c->threads[i], 0, sizeof(t));
		if (!w->no_thread[i])
			memcpy(&c->threads[nr++], &t, sizeof(t));
	}
	c->nr_threads = nr;
	for (i = 0; i < c->nr_sqes; i++) {
		if (fz_sqe_used(w->old, i) && !fz_sqe_used(c, i))
			make_hole(&c->sqes[i]);
	}
}

/* Return the number of parts of a case from fz_make(). */
int fz_nr_parts(const struct fz_case *c)
{
	struct walk w = { .old = c };

	walk(&w);
	return w.nr;
}

/* Remove the parts in c->dropped[] from a case from fz_make(). */
void fz_drop_parts(struct fz_case *c)
{
	static struct fz_case old;
	struct walk w = { .old = &old, .c = c };

	old = *c;
	walk(&w);
	move_together(&w);
}

static void to_hex(const __u8 *set, char *hex)
{
	unsigned int i, len = 1;

	for (i = 0; i < FZ_MAX_PART / 4; i++) {
		unsigned int v = set[4 * i] | set[4 * i + 1] << 1 |
				 set[4 * i + 2] << 2 | set[4 * i + 3] << 3;

		hex[i] = "0123456789abcdef"[v];
		if (v)
			len = i + 1;
	}
	hex[len] = 0;
}

static void from_hex(__u8 *set, const char *hex)
{
	unsigned int i;

	memset(set, 0, FZ_MAX_PART);
	for (i = 0; i < FZ_MAX_PART && hex[i / 4]; i++) {
		char digit[2] = { hex[i / 4] };

		set[i] = strtoul(digit, NULL, 16) >> i % 4 & 1;
	}
}

void fz_parse_drop(struct fz_case *c, const char *hex)
{
	from_hex(c->dropped, hex);
}

struct min {
	const char *name;
	char	path[400];
	int	nr;
	/* parts that the failure does not require, and those that a try removes */
	__u8	dropped[FZ_MAX_PART];
	__u8	trying[FZ_MAX_PART];
	/* number of parts to remove at once, first part of this try and of the next */
	int	chunk, index, next;
	/* this pass has removed parts */
	int	changed;
	/* the case has failed at least once */
	bool	known;
	unsigned int tries;
	/* failure of the last try that failed */
	struct fz_report report;
	/* the case without dropped[] */
	struct fz_case c;
};

/* Return the number of parts in @set. */
static int count(const __u8 *set)
{
	int i, n = 0;

	for (i = 0; i < FZ_MAX_PART; i++)
		n += set[i];
	return n;
}

/* Save the state to m->path atomically, as the kernel may crash. */
static void save(const struct min *m, bool trying)
{
	char tmp[420], hex[HEX_SIZE];
	FILE *f;

	snprintf(tmp, sizeof(tmp), "%s.new", m->path);
	f = fopen(tmp, "w");
	if (!f)
		return;
	to_hex(m->dropped, hex);
	fprintf(f, "dropped %s\npos %d %d %d\n", hex, m->chunk, m->index, m->changed);
	if (m->report.kind[0])
		fprintf(f, "report %s %s\n", m->report.kind, m->report.text);
	if (trying) {
		to_hex(m->trying, hex);
		fprintf(f, "trying %s\n", hex);
	}
	fflush(f);
	fsync(fileno(f));
	if (fclose(f) || rename(tmp, m->path))
		fprintf(stderr, "cannot write %s\n", m->path);
}

static void take(struct min *m)
{
	memcpy(m->dropped, m->trying, sizeof(m->dropped));
	m->changed = 1;
	m->known = true;
}

/* Load a saved state. A try that has not ended counts as a failure: it crashed. */
static void load_state(struct min *m)
{
	char line[512], hex[HEX_SIZE];
	FILE *f = fopen(m->path, "r");
	bool died = false;

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "pos %d %d %d", &m->chunk, &m->index, &m->changed) == 3)
			continue;
		if (sscanf(line, "report %31s %199[^\n]", m->report.kind,
			   m->report.text) > 0)
			continue;
		if (sscanf(line, "dropped %101s", hex) == 1) {
			from_hex(m->dropped, hex);
			m->known = true;
		}
		if (sscanf(line, "trying %101s", hex) == 1) {
			from_hex(m->trying, hex);
			died = true;
		}
	}
	fclose(f);
	if (died) {
		take(m);
		fz_kind(&m->report, "death");
		snprintf(m->report.text, sizeof(m->report.text), "the kernel crashed");
	}
	printf("min %s: resumed, %d of %d parts are removed%s\n", m->name,
	       count(m->dropped), m->nr, died ? ", the last try crashed the kernel" : "");
}

static void make(struct fz_case *c, const char *name, const __u8 *set)
{
	fz_make(c, name);
	memcpy(c->dropped, set, sizeof(c->dropped));
	fz_drop_parts(c);
	fz_derive(c);
}

/* Return true if two cases differ at most in name and dropped[]. */
static bool same(const struct fz_case *a, const struct fz_case *b)
{
	const size_t n = offsetof(struct fz_case, rings);

	return !memcmp((const char *)a + n, (const char *)b + n, sizeof(*a) - n);
}

enum verdict { PASSES, FAILS, ENDS };

/* Run the case without the parts in m->trying. */
static enum verdict try_set(struct min *m)
{
	static struct fz_case c;
	struct fz_report r = { }, late;
	int was = count(m->dropped), is = count(m->trying);
	bool failed;

	make(&c, m->name, m->trying);
	/* the additional parts belong to removed parts, and have no effect */
	if (m->known && same(&c, &m->c))
		return FAILS;
	save(m, true);
	m->tries++;
	printf("min %s: try %u, without %d + %d of %d parts: ", m->name, m->tries, was,
	       is - was, m->nr);
	fflush(stdout);
	failed = fz_try(&c, &r);
	if (!failed) {
		printf("passes\n");
		return PASSES;
	}
	printf("%s, %s: %s\n", fz_fatal ? "fatal" : "fails", r.kind, r.text);
	m->report = r;
	/* do not attribute leftovers of this try to the next one */
	if (!fz_fatal)
		fz_drain(&late);
	m->c = c;
	return fz_fatal ? ENDS : FAILS;
}

/* Set m->trying to the dropped parts and the next ones. Return false if none is left. */
static bool next_set(struct min *m)
{
	int i, n = 0;

	memcpy(m->trying, m->dropped, sizeof(m->trying));
	for (i = m->index; i < m->nr && n < m->chunk; i++) {
		if (m->trying[i])
			continue;
		m->trying[i] = 1;
		n++;
	}
	m->next = i;
	return n;
}

/* Start a pass with smaller chunks. Return false if no more parts can be removed. */
static bool next_pass(struct min *m)
{
	int left = m->nr - count(m->dropped);

	if (!left || (m->chunk <= 1 && !m->changed))
		return false;
	if (m->chunk > 1)
		m->chunk /= 2;
	if (m->chunk > (left + 1) / 2)
		m->chunk = (left + 1) / 2;
	m->index = 0;
	m->changed = 0;
	return true;
}

/* Return FAILS when done, or ENDS if a reboot is required. */
static enum verdict reduce(struct min *m)
{
	make(&m->c, m->name, m->dropped);
	do {
		while (next_set(m)) {
			enum verdict v = try_set(m);

			if (v != PASSES)
				take(m);
			if (v != ENDS)
				m->index = m->next;
			save(m, false);
			if (v == ENDS)
				return v;
		}
	} while (next_pass(m));
	return FAILS;
}

static void result(const struct min *m, FILE *f)
{
	char hex[HEX_SIZE];

	to_hex(m->dropped, hex);
	fprintf(f, "%s: %s\n\n", m->report.kind, m->report.text);
	fz_print(f, &m->c);
	fprintf(f, "\niou_fuzz --case %s --drop %s%s%s\n", m->name, hex,
		opt.mode ? " --mode " : "", opt.mode ?: "");
}

static int finish(const struct min *m)
{
	char path[420];
	FILE *f;

	printf("min %s: %d of %d parts remain after %u tries\n\n", m->name,
	       m->nr - count(m->dropped), m->nr, m->tries);
	result(m, stdout);
	fflush(stdout);
	snprintf(path, sizeof(path), "%s.txt", m->path);
	f = fopen(path, "w");
	if (f) {
		result(m, f);
		fclose(f);
	}
	unlink(m->path);
	return 1;
}

/* Run the case with all its parts, or without those of --drop. */
static enum verdict check_whole(struct min *m)
{
	enum verdict v;

	if (opt.drop)
		from_hex(m->trying, opt.drop);
	memcpy(m->dropped, m->trying, sizeof(m->dropped));
	v = try_set(m);
	if (v == PASSES) {
		printf("min %s: does not fail in %u tries\n", m->name, opt.tries);
		unlink(m->path);
		return v;
	}
	m->known = true;
	save(m, false);
	return v;
}

/*
 * Minimise case @name. Return the exit status: 0 if the case does not fail, 1 when
 * done, 2 if the name is invalid, 3 if a reboot is required to continue.
 */
int fz_minimise(const char *name)
{
	static struct min m;
	enum verdict v = FAILS;

	if (fz_make(&m.c, name)) {
		fprintf(stderr, "%s is not a case\n", name);
		return 2;
	}
	m.name = name;
	m.nr = fz_nr_parts(&m.c);
	m.chunk = m.nr > 1 ? m.nr / 2 : 1;
	snprintf(m.path, sizeof(m.path), "%s/min.%s", opt.out ?: ".", name);
	load_state(&m);
	if (!m.known)
		v = check_whole(&m);
	if (v == FAILS)
		v = reduce(&m);
	if (v == PASSES)
		return 0;
	return v == ENDS ? 3 : finish(&m);
}
