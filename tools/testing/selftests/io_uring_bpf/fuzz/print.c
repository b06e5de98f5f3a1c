// SPDX-License-Identifier: GPL-2.0
/*
 * Prints a case in a form that can be converted to a selftest
 *
 * Requests are printed as fz_fill() generates them, with symbolic names of
 * descriptors and memory. See env.c for their contents.
 */
#include "env.h"
#include "print.h"

#define SETUP(x) { IORING_SETUP_##x, #x }
static const struct name setup_names[] = {
	SETUP(IOPOLL), SETUP(SQPOLL), SETUP(SQ_AFF), SETUP(CQSIZE), SETUP(CLAMP),
	SETUP(ATTACH_WQ), SETUP(R_DISABLED), SETUP(SUBMIT_ALL), SETUP(COOP_TASKRUN),
	SETUP(TASKRUN_FLAG), SETUP(SQE128), SETUP(CQE32), SETUP(SINGLE_ISSUER),
	SETUP(DEFER_TASKRUN), SETUP(NO_MMAP), SETUP(REGISTERED_FD_ONLY),
	SETUP(NO_SQARRAY), SETUP(HYBRID_IOPOLL), SETUP(CQE_MIXED), SETUP(SQE_MIXED),
	SETUP(SQ_REWIND), { }
};

static const struct name event_names[] = {
	{ 1, "START" }, { 2, "COMPLETE" }, { 4, "AUX" }, { 8, "CANCEL" }, { }
};

static const struct name issue_names[] = { { 1, "ISSUE_APP" }, { } };
static const struct name edit_names[] = { { 1, "REST" }, { 2, "POST_CANCELED" }, { } };
static const struct name cancel_names[] = {
	{ IORING_ASYNC_CANCEL_ALL, "ALL" }, { IORING_ASYNC_CANCEL_FD, "FD" },
	{ IORING_ASYNC_CANCEL_ANY, "ANY" }, { IORING_ASYNC_CANCEL_OP, "OP" },
	{ IORING_ASYNC_CANCEL_FD_FIXED, "FD_FIXED" },
	{ IORING_ASYNC_CANCEL_USERDATA, "USERDATA" }, { }
};

static void print_tmpl(FILE *f, const struct fz_case *c, unsigned int ring,
		       const struct fz_act *a)
{
	unsigned int t = ring * FZ_RING_TMPLS + a->tmpl % FZ_RING_TMPLS;

	fprintf(f, "tmpl %u { ", t);
	fz_put_sqe(f, c, &c->tmpls[t]);
	fprintf(f, " }, %d, ", a->size & 64 ? 64 : a->size & 63);
}

static void print_again(FILE *f, const struct fz_rule *r, const struct fz_act *a)
{
	fputs("bpf_io_uring_again(", f);
	fz_put_number(f, a->off);
	fprintf(f, ", %s, %u);", a->addr ? "&data[1]" : "0", a->len);
	if (a->msg && (r->opcode == FZ_ANY_OPCODE || r->opcode == IORING_OP_SEND))
		fputs(" /* if a flow repeats a send: (0, &msgs[n], 8) */", f);
}

static void print_set(FILE *f, const struct fz_act *a, bool watch)
{
	switch (a->verb) {
	case FZ_SET_UD:
		fprintf(f, "ctx->user_data = %u;", (int)a->off & (FZ_IDS - 1));
		break;
	case FZ_SET_RES:
		fprintf(f, "ctx->res = %d;", (int)a->len);
		break;
	case FZ_SET_CFLAGS:
		fprintf(f, "ctx->cflags = %#x; /* except MORE, NOTIF, BUFFER */",
			a->len);
		break;
	case FZ_SET_STATE:
		fprintf(f, "ctx->state[%d] = ", watch ? 2 : 1 + a->tmpl % 3);
		fz_put_number(f, a->off);
		fputc(';', f);
		break;
	}
}

static void print_buf(FILE *f, const struct fz_act *a)
{
	unsigned long long off = a->off;

	if (a->tmpl == FZ_BUF_KNOWN)
		fputs("/* check, or write what it contains: */ ", f);
	switch (a->verb) {
	case FZ_BUF_DATA:
		fprintf(f, "bpf_io_uring_buf_data(%u, %llu, 16);", a->tmpl, off);
		break;
	case FZ_BUF_DATA_RW:
		fprintf(f, "bpf_io_uring_buf_data_rw(%u, %llu, 16)[%u]++;", a->tmpl, off,
			a->len & 15);
		break;
	case FZ_BUF_READ:
		fprintf(f, "bpf_io_uring_buf_read(%u, %llu, scratch, 64);", a->tmpl, off);
		break;
	case FZ_BUF_WRITE:
		fprintf(f, "bpf_io_uring_buf_write(%u, %llu, scratch, 64);", a->tmpl, off);
		break;
	case FZ_BUF_MOVE:
		if (a->tmpl == 1) {
			fputs("bpf_io_uring_buf_copy({ 1, head of the CQ }, ", f);
			fputs("{ 1, tail of the CQ }, 4);", f);
			break;
		}
		fprintf(f, "bpf_io_uring_buf_copy({ %u, %llu }, { %u, %llu }, 4);",
			a->tmpl, (unsigned long long)a->addr, a->tmpl, off);
		break;
	}
}

static void print_copy(FILE *f, const struct fz_act *a)
{
	fprintf(f, "bpf_io_uring_buf_copy({ %u, ", a->msg);
	fz_put_number(f, a->addr);
	fprintf(f, " }, { %u, ", a->tmpl);
	fz_put_number(f, a->off);
	if ((__u32)a->flags)
		fprintf(f, ", %#x", (__u32)a->flags);
	fprintf(f, " }, %u);", a->len);
}

static void print_edit(FILE *f, const struct fz_act *a)
{
	fprintf(f, "bpf_io_uring_%s(%d, ", a->verb == FZ_DROP ? "drop" : "unlink",
		(int)a->off);
	fz_put_flags(f, edit_names, a->flags);
	fputs(");", f);
}

static void print_act(FILE *f, const struct fz_case *c, unsigned int table,
		      const struct fz_rule *r, const struct fz_act *a)
{
	bool watch = fz_table_watches(table);
	unsigned int ring = fz_table_ring(table);

	fputs("\t\t", f);
	switch (a->verb) {
	case FZ_ISSUE:
	case FZ_LINK:
		fprintf(f, "bpf_io_uring_%s(", a->verb == FZ_ISSUE ? "issue" : "link");
		print_tmpl(f, c, ring, a);
		fz_put_flags(f, issue_names, a->flags);
		fputs(");", f);
		if (a->verb == FZ_ISSUE && a->len != 1)
			fprintf(f, " /* up to %u times */", a->len);
		break;
	case FZ_AGAIN:
		print_again(f, r, a);
		break;
	case FZ_POST:
		fprintf(f, "bpf_io_uring_post_cqe({ user_data=%u, res=%d, flags=%#llx }, %d);",
			(int)a->off & (FZ_IDS - 1), (int)a->len,
			(unsigned long long)a->flags & 0xffffffff,
			a->size == 16 || a->size == 32 ? a->size : 8);
		if (a->msg > 1)
			fprintf(f, " /* up to %u times */", a->msg);
		break;
	case FZ_COMPLETE:
		fprintf(f, "bpf_io_uring_complete(%d);", (int)a->len);
		break;
	case FZ_DROP:
	case FZ_UNLINK:
		print_edit(f, a);
		break;
	case FZ_CANCEL:
		fprintf(f, "bpf_io_uring_cancel(%s, %#llx);",
			a->flags & 1 ? "0" : "its user_data",
			(unsigned long long)a->flags);
		break;
	case FZ_REQ:
		fprintf(f, "bpf_io_uring_req(&req, sizeof(req)%s);",
			a->size == 64 ? "" : " - 8");
		break;
	case FZ_GIVE:
		fprintf(f, "bpf_io_uring_buf_give(%u, %u, %s, %u);", a->tmpl,
			(__u32)a->off, a->addr ? "its address" : "0", a->len);
		break;
	case FZ_COPY:
		print_copy(f, a);
		break;
	case FZ_MEM:
		fputs("/* check, and write all of it: */ bpf_io_uring_flow_mem();", f);
		break;
	case FZ_ITER:
		fputs("bpf_for_each(io_uring_chain, member, ctx);", f);
		break;
	case FZ_BUF_DATA ... FZ_BUF_MOVE:
		print_buf(f, a);
		break;
	default:
		print_set(f, a, watch);
	}
	fputc('\n', f);
}

static void print_verdict(FILE *f, unsigned int v)
{
	static const char *const names[] = { "DEFAULT", "POST", "DROP", "DROP_BUF" };

	if (v > 23)
		v = 0;
	fprintf(f, "\t\treturn %s%s%s%s;\n", names[v & 3], v & 4 ? " | NEXT" : "",
		v & 8 ? " | GO_ON" : "", v & 16 ? " | CUT" : "");
}

static void print_table(FILE *f, const struct fz_case *c, unsigned int table)
{
	unsigned int i, j;

	if (table < 2 * FZ_RINGS)
		fprintf(f, "\nflows of ring %u with table %u\n", table / 2, table & 1);
	else
		fprintf(f, "\nwatching program in slot %u of ring %u\n",
			2 * (table / FZ_RINGS) - 2, fz_table_ring(table));
	for (i = 0; i < FZ_RULES; i++) {
		const struct fz_rule *r = &c->tables[table].rules[i];

		if (!r->left || !r->events)
			continue;
		fputs("\ton ", f);
		fz_put_flags(f, event_names, r->events);
		fputs(" of ", f);
		fz_put_opcode(f, r->opcode);
		if (r->left == ~0U)
			fputs(", always:\n", f);
		else
			fprintf(f, ", %u time%s:\n", r->left, r->left == 1 ? "" : "s");
		for (j = 0; j < r->nr_acts && j < FZ_ACTS; j++) {
			if (r->acts[j].verb != FZ_NOTHING && r->acts[j].verb < FZ_NR_VERBS)
				print_act(f, c, table, r, &r->acts[j]);
		}
		print_verdict(f, r->verdict);
	}
}

static void print_ring(FILE *f, const struct fz_case *c, unsigned int i)
{
	const struct fz_ring *r = &c->rings[i];

	fprintf(f, "ring %u: entries %u, CQ %u, setup ", i, r->entries, r->cq_entries);
	fz_put_flags(f, setup_names, r->setup);
	if (r->attach_wq)
		fputs(", created by uid 1002 with ATTACH_WQ to ring 0", f);
	if (r->registered_fd)
		fputs(", registered ring descriptor", f);
	if (r->restricted && (r->setup & IORING_SETUP_R_DISABLED))
		fputs(", restricted: no OPENAT, SOCKET, TIMEOUT", f);
	fputc('\n', f);
}

static void print_attach(FILE *f, const struct fz_attach *a)
{
	const char *sep = "";
	unsigned int i;

	fprintf(f, "attach(ring %u, slot %u): %s%s%s", a->ring, a->slot,
		fz_slot_plain(a->slot) ? "plain " : "",
		a->sleepable && !fz_slot_plain(a->slot) ? "sleepable " : "",
		fz_slot_watches(a->slot) ? "watching program" : "program of flows");
	if (a->flow_size)
		fprintf(f, ", %u bytes of memory", a->flow_size);
	if (a->opcodes) {
		fputs(", opcodes ", f);
		for (i = 0; i < 64; i++) {
			if (!(a->opcodes >> i & 1))
				continue;
			fputs(sep, f);
			fz_put_opcode(f, i);
			sep = "|";
		}
	}
	if (a->user_data_mask)
		fprintf(f, ", user_data & %#llx == %#llx",
			(unsigned long long)a->user_data_mask,
			(unsigned long long)a->user_data);
	fputc('\n', f);
}

static void print_submit(FILE *f, const struct fz_case *c, const struct fz_step *s)
{
	unsigned int i;

	fputs("submit\n", f);
	for (i = s->first; i < (unsigned int)s->first + s->nr && i < FZ_SQES; i++) {
		if (c->sqes[i].op >= OP_NR)
			continue;
		fputs("\t\t", f);
		fz_put_sqe(f, c, &c->sqes[i]);
		fputc('\n', f);
	}
}

static void print_cancel(FILE *f, const struct fz_step *s)
{
	static const char *const ops[] = { "BPF", "POLL_ADD", "READ", "TIMEOUT" };
	__u32 all = s->arg & 0x100 ? IORING_ASYNC_CANCEL_ALL : 0;

	fputs("IORING_REGISTER_SYNC_CANCEL(", f);
	switch (s->arg % 4) {
	case 0:
		fz_put_flags(f, cancel_names, IORING_ASYNC_CANCEL_ANY | all);
		break;
	case 1:
		fz_put_flags(f, cancel_names, IORING_ASYNC_CANCEL_OP | all);
		fprintf(f, ", opcode %s", ops[s->arg2 % 4]);
		break;
	case 2:
		fz_put_flags(f, cancel_names, IORING_ASYNC_CANCEL_FD | all);
		fprintf(f, ", fd %s", fz_fd_name(s->arg2 % FD_NR));
		break;
	case 3:
		fz_put_flags(f, cancel_names, all);
		fprintf(f, ", user_data %u", (__u8)s->arg2);
		break;
	}
	fputs(")\n", f);
}

static void print_trigger(FILE *f, unsigned int what)
{
	static const char *const names[] = {
		"write(PIPE0_W, 8 bytes)", "write(EVENT0, 1)", "send(SOCK_B, 8 bytes)",
		"send(DATA_B, 8 bytes)", "connect to LISTEN, send 8 bytes",
		"send(TCP_B, 8 bytes)", "TIMER expires in 1 ms, then every 10 ms",
		"futex[0]++ and FUTEX_WAKE",
	};

	fprintf(f, "%s\n", names[what % 8]);
}

/* Print a step that changes a ring or its resources. Return false for other steps. */
static bool print_ring_step(FILE *f, const struct fz_case *c, const struct fz_step *s)
{
	unsigned int slot = s->arg % FZ_SLOTS;

	switch (s->kind) {
	case ST_DETACH:
		fprintf(f, "%sbpf_link__destroy(slot %u)\n",
			s->arg2 & 1 ? "bpf_link__detach(), " : "", slot);
		break;
	case ST_UPDATE:
		fprintf(f, "bpf_link__update_program(slot %u, %s%s)\n", slot,
			fz_slot_plain(slot) ? "plain " : s->arg2 & 1 ? "sleepable " : "",
			fz_slot_watches(slot) ? "watching program" : "program of flows");
		break;
	case ST_ATTACH:
		if (c->nr_attach)
			print_attach(f, &c->attach[s->arg2 % c->nr_attach]);
		else
			fputs("nothing to attach\n", f);
		break;
	case ST_RESIZE:
		fprintf(f, "IORING_REGISTER_RESIZE_RINGS(SQ %d, CQ %d)\n",
			8 << s->arg % 3, 16 << s->arg2 % 4);
		break;
	case ST_CLONE_BUFS:
		fprintf(f, "IORING_REGISTER_CLONE_BUFFERS(from ring %u%s)\n",
			s->arg % FZ_RINGS, s->arg2 & 1 ? ", DST_REPLACE" : "");
		break;
	case ST_BUFS:
		fprintf(f, "IORING_UNREGISTER_BUFFERS%s\n",
			s->arg & 3 ? ", IORING_REGISTER_BUFFERS" : "");
		break;
	case ST_FILES:
		fprintf(f, "IORING_REGISTER_FILES_UPDATE2(%u, %s)\n",
			s->arg % FD_IN_TABLE,
			s->arg & 0x100 ? fz_fd_name(s->arg2 % FD_IN_TABLE) : "-1");
		break;
	case ST_IOWQ:
		fprintf(f, "IORING_REGISTER_IOWQ_MAX_WORKERS(%u, %u)\n",
			1 + s->arg % 4, 1 + (int)(s->arg2 % 4));
		break;
	case ST_CLOSE_RING:
		fputs("close() and munmap()\n", f);
		break;
	case ST_DUP_RING:
		fprintf(f, "dup()%s\n", s->arg & 1 ? ", close()" : "");
		break;
	default:
		return false;
	}
	return true;
}

static void print_step(FILE *f, const struct fz_case *c, const struct fz_step *s)
{
	fprintf(f, "\tring %u: ", s->ring);
	if (print_ring_step(f, c, s))
		return;
	switch (s->kind) {
	case ST_SUBMIT:
		print_submit(f, c, s);
		break;
	case ST_WAIT:
		fprintf(f, "wait for %u CQEs, at most %u ms%s\n", 1 + (int)(s->arg2 % 3),
			1 + s->arg % 25, c->noreap ? "" : ", reap CQEs");
		break;
	case ST_REAP:
		fputs("reap CQEs\n", f);
		break;
	case ST_SPIN:
		fprintf(f, "enter(GETEVENTS)%s for %u ms%s\n",
			c->noreap ? "" : " and reap CQEs",
			c->noreap ? 60 : 5 + s->arg % 40,
			s->arg & 1 ? ", with usleep(1000)" : "");
		break;
	case ST_SYNC_CANCEL:
		print_cancel(f, s);
		break;
	case ST_TRIGGER:
		print_trigger(f, s->arg);
		break;
	case ST_SLEEP:
		fprintf(f, "usleep(%u)\n", s->arg % 20000);
		break;
	case ST_SETUID:
		fprintf(f, "setresuid(%d, 0, 0), only this thread\n",
			s->arg & 1 ? 1000 : 0);
		break;
	case ST_FORK:
		fprintf(f, "fork(), the child exits after %u ms%s\n", s->arg % 150,
			s->arg2 & 1 ? " of enter(GETEVENTS)" : "");
		break;
	case ST_SIGNAL:
		fputs("tgkill(main thread, SIGUSR1)\n", f);
		break;
	case ST_EXIT_THREAD:
		fputs("pthread_exit()\n", f);
		break;
	case ST_HOLE:
		fputs("madvise(hole, MADV_DONTNEED)\n", f);
		break;
	case ST_SHUT:
		fputs("shutdown(SOCK_A, SHUT_WR)\n", f);
		break;
	default:
		fprintf(f, "step %u\n", s->kind);
	}
}

static void print_head(FILE *f, const struct fz_case *c)
{
	static const char *const ends[END_NR] = {
		[END_SETTLE] = "cancel all requests, check CQEs",
		[END_KILL] = "SIGKILL", [END_EXIT] = "exit", [END_EXEC] = "exec",
	};

	fprintf(f, "case %s%s\n", c->name, c->innocent ? ", without cancellation" : "");
	if (c->end == END_KILL)
		fprintf(f, "end: SIGKILL after %u ms\n", c->kill_ms);
	else
		fprintf(f, "end: %s\n", c->end < END_NR ? ends[c->end] : "?");
	if (c->repeats)
		fprintf(f, "repeated %u times, memory must not grow\n", c->repeats);
	if (c->reaper)
		fputs("another process reaps the CQEs of ring 0\n", f);
	if (c->noreap)
		fputs("CQEs are not reaped before the end\n", f);
	if (strtoull(c->name, NULL, 10) % 4 == 0)
		fputs("sleepable programs of flows read the hole\n", f);
	if (fz_plain_next(c))
		fputs("plain watching programs return NEXT\n", f);
}

void fz_print(FILE *f, const struct fz_case *c)
{
	unsigned int i, j;

	print_head(f, c);
	fputc('\n', f);
	for (i = 0; i < FZ_RINGS; i++) {
		if (c->rings[i].on)
			print_ring(f, c, i);
	}
	for (i = 0; i < c->nr_attach; i++) {
		if (c->attach[i].on && c->rings[c->attach[i].ring].on)
			print_attach(f, &c->attach[i]);
	}
	for (i = 0; i < FZ_TABLES; i++) {
		if (fz_table_used(c, i))
			print_table(f, c, i);
	}
	for (i = 0; i < c->nr_threads; i++) {
		fprintf(f, "\nthread %u\n", i);
		for (j = 0; j < c->threads[i].nr; j++) {
			if (c->rings[c->threads[i].steps[j].ring].on)
				print_step(f, c, &c->threads[i].steps[j]);
		}
	}
}
