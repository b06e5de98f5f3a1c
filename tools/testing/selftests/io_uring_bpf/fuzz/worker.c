// SPDX-License-Identifier: GPL-2.0
/*
 * The worker: the process that runs a case, and checks its CQEs
 *
 * Programs and the application add the CQEs that they expect to owe[], by user_data,
 * and each reaped CQE is subtracted. After all requests have been cancelled, zero
 * must be within the bounds in owe[].
 */
#include "env.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <stdarg.h>

#include "fuzz.skel.h"

/* limit in milliseconds for the end of all requests */
#define SETTLE_MS	fz_ms(6000)
/* run time of a case that is repeated */
#define REPEAT_MS	2500

static struct fz_env env;

/* Report a failure to the controller. Only the first one of a case counts. */
void fz_report(const char *kind, const char *fmt, ...)
{
	va_list ap;

	if (__atomic_exchange_n(&shm->failed, 1, __ATOMIC_ACQ_REL))
		return;
	snprintf(shm->report.kind, sizeof(shm->report.kind), "%s", kind);
	va_start(ap, fmt);
	vsnprintf(shm->report.text, sizeof(shm->report.text), fmt, ap);
	va_end(ap);
}

/* Check a CQE: if it ends a flow, its result must be the one that the program set. */
void fz_flow_done(struct fz_env *e, __u64 ud, __s32 res)
{
	__u32 idx = e->id_flow[ud & (FZ_IDS - 1)];
	struct fz_flow *f;

	if (!idx || ud >> 32 != FZ_COOKIE)
		return;
	f = &skel->bss->flows[idx - 1];
	/* the program of a later flow in the chain has replaced the result */
	if (skel->bss->id_flags[ud & (FZ_IDS - 1)] & FZ_ID_RES)
		return;
	if (f->over && f->res_known && res != f->res)
		fz_report("result", "flow %u ended with %d, its program set %d",
			  idx - 1, res, f->res);
	/*
	 * A flow that ends without its program is cancelled, by a detached link or
	 * the exit of its thread. Skip flows that have not run, as these may have been
	 * rejected, and those with an uncertain number of children.
	 */
	if (!f->over && f->runs && !f->vague && res != -ECANCELED)
		fz_report("result", "flow %u ended with %d, without its program",
			  idx - 1, res);
	f->over = 1;
	f->res_known = 0;
}

static void prepare_tables(struct fz_env *e)
{
	const struct fz_case *c = e->c;
	unsigned int i, j, k;

	memcpy(skel->bss->tables, c->tables, sizeof(c->tables));
	/* addresses and offsets depend on the process: insert them here */
	for (i = 0; i < FZ_TABLES; i++) {
		for (j = 0; j < FZ_RULES; j++) {
			for (k = 0; k < FZ_ACTS; k++) {
				struct fz_act *a = &skel->bss->tables[i].rules[j].acts[k];
				struct fz_rings *r;

				r = &e->rings[i < 2 * FZ_RINGS ? i / 2 : i - 2 * FZ_RINGS];
				if (a->verb == FZ_AGAIN && a->addr)
					a->addr = (unsigned long)e->mem->data[1];
				if (a->verb == FZ_BUF_MOVE && a->tmpl == 1 && r->alive) {
					a->off = r->p.cq_off.tail;
					a->addr = r->p.cq_off.head;
				}
			}
		}
	}
}

static void prepare_templates(struct fz_env *e)
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

static void prepare_filters(const struct fz_case *c)
{
	unsigned int i;

	for (i = 0; i < c->nr_attach; i++) {
		const struct fz_attach *a = &c->attach[i];
		struct fz_ring_state *r = &skel->bss->rings[a->ring];

		if (!a->on || !a->watch || a->plain)
			continue;
		r->opcodes[0] = a->opcodes;
		r->user_data = a->user_data;
		r->user_data_mask = a->user_data_mask;
	}
}

static int prepare(struct fz_env *e, const struct fz_case *c, int lifeline)
{
	unsigned int i;
	int ret;

	memset(skel->bss, 0, sizeof(*skel->bss));
	ret = fz_env_init(e, c);
	if (ret)
		return ret;
	e->uids[e->nr_uids++] = 0;
	skel->bss->innocent = c->innocent;
	skel->bss->loose = c->loose;
	skel->bss->msg_base = (unsigned long)e->mem->msgs;
	for (i = 0; i < FZ_RINGS; i++) {
		skel->bss->rings[i].sqpoll = c->rings[i].setup & IORING_SETUP_SQPOLL;
		if (!c->rings[i].on)
			continue;
		ret = fz_ring_init(e, i, lifeline);
		/* the kernel rejects some combinations of flags */
		if (ret)
			e->rings[i].alive = false;
	}
	close(lifeline);
	if (strtoull(c->name, NULL, 10) % 4 == 0)
		skel->bss->user_word = (unsigned long)e->hole;
	prepare_filters(c);
	prepare_templates(e);
	prepare_tables(e);
	for (i = 0; i < c->nr_attach && !opt.control; i++) {
		if (c->attach[i].on)
			fz_ring_attach(e, &c->attach[i]);
	}
	return 0;
}

/* Check that each datagram has the uid of its thread when it was prepared, or later. */
static void check_uids(struct fz_env *e)
{
	char cb[CMSG_SPACE(sizeof(struct ucred))], buf[16];
	struct iovec iov = { buf, sizeof(buf) - 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = cb };

	for (;;) {
		struct ucred *uc;
		unsigned int n, i;
		ssize_t len;

		m.msg_controllen = sizeof(cb);
		len = recvmsg(e->msg_peer, &m, MSG_DONTWAIT);
		if (len < 0)
			return;
		buf[len] = 0;
		n = atoi(buf);
		if (!CMSG_FIRSTHDR(&m) || !n || n > FZ_MSGS)
			continue;
		uc = (void *)CMSG_DATA(CMSG_FIRSTHDR(&m));
		for (i = skel->bss->msg_uid_from[n - 1]; i < e->nr_uids && i < FZ_UIDS; i++) {
			if (e->uids[i] == uc->uid)
				break;
		}
		if (skel->bss->msg_thread[n - 1] == FZ_THREADS - 1)
			i = uc->uid ? FZ_UIDS : 0;
		if (i >= e->nr_uids || i >= FZ_UIDS)
			fz_report("creds", "a send used uid %u, which is outdated",
				  uc->uid);
	}
}

/* Serve what requests wait for: memory that is missing, and room for datagrams. */
static void *serve(void *arg)
{
	struct fz_env *e = arg;
	unsigned int i;

	for (i = 1;; i++) {
		usleep(5000);
		check_uids(e);
		if (i % 8 == 0)
			fz_env_fill_hole(e);
	}
	return NULL;
}

/* Start a process that reaps the CQEs of ring 0 until the controller ends it. */
static void reaper(struct fz_env *e)
{
	struct fz_rings *r = &e->rings[0];

	if (!r->alive || fork())
		return;
	while (getppid() == e->pid || shm->progress < 100000) {
		store(r->mem + r->p.cq_off.head, load(r->mem + r->p.cq_off.tail));
		usleep(50);
	}
	_exit(0);
}

struct thread {
	pthread_t	id;
	unsigned int	nr;
};

static void *run_thread(void *arg)
{
	const struct fz_thread *t;
	struct thread *th = arg;
	unsigned int i;

	skel->bss->threads[th->nr].tid = gettid();
	t = &env.c->threads[th->nr];
	for (i = 0; i < t->nr; i++)
		fz_step(&env, &t->steps[i], th->nr);
	return NULL;
}

/* Return an id whose CQEs are missing, or 0. */
static unsigned int unpaid(void)
{
	unsigned int i;

	for (i = 1; i < FZ_IDS; i++) {
		if (__atomic_load_n(&skel->bss->owe[i].lo, __ATOMIC_RELAXED) > 0)
			return i;
	}
	return 0;
}

/* Return the number of runs of programs, on all rings of the case. */
unsigned long long fz_runs(void)
{
	unsigned long long n = 0;
	unsigned int i;

	for (i = 0; i < FZ_RINGS; i++)
		n += __atomic_load_n(&skel->bss->rings[i].runs, __ATOMIC_RELAXED);
	return n;
}

/* Cancel all requests, and reap. Return true if there were no requests and no CQEs. */
static bool settle_once(struct fz_env *e)
{
	bool quiet = true;
	unsigned int i;
	int ret;

	fz_env_fill_hole(e);
	for (i = 0; i < FZ_RINGS; i++) {
		struct fz_rings *r = &e->rings[i];

		if (!r->alive)
			continue;
		fz_doing("settle: cancel all");
		/* returns the number of cancelled requests, 0 or -ENOENT if none */
		ret = fz_ring_sync_cancel(r, 0, IORING_ASYNC_CANCEL_ANY |
					  IORING_ASYNC_CANCEL_ALL, -1, 0);
		if (ret && ret != -ENOENT)
			quiet = false;
		fz_doing("settle: enter the ring");
		fz_ring_enter(r, 0, 0, IORING_ENTER_GETEVENTS, 0);
		if (r->setup & IORING_SETUP_SQPOLL)
			fz_ring_enter(r, 0, 0, IORING_ENTER_SQ_WAKEUP, 0);
		fz_doing("settle: reap CQEs");
		if (fz_ring_reap(e, r))
			quiet = false;
	}
	return quiet;
}

/* Return true if some requests end only when their file has an event. */
static bool needs_shut(struct fz_env *e)
{
	const struct fz_case *c = e->c;
	const struct fz_sqe *s;
	unsigned int i;

	/* IORING_REGISTER_SYNC_CANCEL does not search the workers of an SQ thread */
	for (i = 0; i < FZ_RINGS; i++) {
		if (e->rings[i].alive && (e->rings[i].setup & IORING_SETUP_SQPOLL))
			return true;
	}
	/* the notification waits until the data is consumed */
	for_each_request(c, i, s) {
		if (s->op < OP_NR && (fz_op_flags(s) & FZ_T_ZC) &&
		    (i >= FZ_TMPLS || fz_tmpl_used(c, i)))
			return true;
	}
	return false;
}

/* Cancel until no requests are left. Report a failure if some remain. */
static void settle(struct fz_env *e)
{
	__u64 end = now_ms() + SETTLE_MS, runs = 0;
	__u64 shut = needs_shut(e) ? 0 : end - SETTLE_MS / 2;
	unsigned int quiet = 0;

	skel->bss->settling = 1;
	while (quiet < 3 && now_ms() < end) {
		if (shut && now_ms() > shut && !e->lost && unpaid() &&
		    fz_runs() - runs < 100)
			fz_report("cancel", "user_data %u is still in flight", unpaid());
		if (now_ms() > shut)
			fz_env_shut(e);
		runs = fz_runs();
		quiet = settle_once(e) && !unpaid() ? quiet + 1 : 0;
		if (e->lost && now_ms() + SETTLE_MS > end + 200)
			break;
		usleep(quiet ? 3000 : 500);
	}
	if (quiet < 3 && !e->lost && fz_runs() - runs > 100)
		fz_report("busy", "programs ran %llu times since the last cancellation",
			  (unsigned long long)(fz_runs() - runs));
	if (quiet < 3 && !e->lost && !unpaid())
		fz_report("rest", "requests remain, but no CQE is missing");
	skel->bss->settling = 0;
}

/* With --case, print the fdinfo of the rings. */
static void show_rings(struct fz_env *e)
{
	char cmd[64];
	unsigned int i;

	for (i = 0; i < FZ_RINGS && opt.one; i++) {
		if (!e->rings[i].alive)
			continue;
		snprintf(cmd, sizeof(cmd), "sed 's/^/# /' /proc/%d/fdinfo/%d", e->pid,
			 e->rings[i].fd);
		if (system(cmd))
			return;
	}
}

static void check_cqes(struct fz_env *e)
{
	unsigned int i;

	if (e->lost || opt.control)
		return;
	if (unpaid())
		show_rings(e);
	for (i = 1; i < FZ_IDS; i++) {
		struct fz_owe *o = &skel->bss->owe[i];

		if (o->lo > 0)
			fz_report("cqe", "user_data %u: %lld CQEs are missing", i,
				  (long long)o->lo);
		if (o->hi < 0)
			fz_report("cqe", "user_data %u: %lld CQEs too many", i,
				  -(long long)o->hi);
	}
}

/* Check that the overflow lists are bounded if CQEs are not reaped. */
static void check_overflow(struct fz_env *e)
{
	unsigned int i, n, most;

	for (i = 0; i < FZ_RINGS; i++) {
		struct fz_rings *r = &e->rings[i];

		if (!r->alive)
			continue;
		n = fz_ring_overflow(r);
		/* generous bound: requests of the application, a CQ of CQEs per flow */
		most = 200 + e->owed + e->next_flow * (r->cq_entries + 32) +
		       r->cq_entries;
		if (n > most)
			fz_report("overflow", "%u overflowed CQEs, of %u flows",
				  n, e->next_flow);
	}
}

/* Repeat the steps of the first thread, and check that io_kiocbs do not accumulate. */
static void repeat(struct fz_env *e)
{
	__u64 end = now_ms() + REPEAT_MS;
	/* number of io_kiocbs after every fourth repetition, as counting is slow */
	long n[FZ_REPEATS / 4 + 1], grown[3];
	unsigned int i, third;

	n[0] = fz_kiocbs();
	for (i = 0; i < e->c->repeats && now_ms() < end; i++) {
		prepare_tables(e);
		run_thread(&(struct thread){ .nr = 0 });
		fz_ring_enter(&e->rings[0], 0, 0, IORING_ENTER_GETEVENTS, 0);
		fz_ring_reap(e, &e->rings[0]);
		if (i % 8 == 7 || unpaid())
			settle(e);
		if (i % 4 == 3)
			n[(i + 1) / 4] = fz_kiocbs();
		if (shm->failed)
			return;
	}
	third = i / 4 / 3;
	grown[0] = n[third] - n[0];
	grown[1] = n[2 * third] - n[third];
	grown[2] = n[3 * third] - n[2 * third];
	/* compare two thirds of the run: slab caches cause a temporary growth */
	if (third >= 2 && grown[1] > third * 3 && grown[2] > third * 3)
		fz_report("memory", "3 x %u repetitions leave %ld, %ld, %ld io_kiocbs",
			  4 * third, grown[0], grown[1], grown[2]);
}

static void run_threads(struct fz_env *e)
{
	struct thread th[3];
	struct timespec ts;
	unsigned int i;

	for (i = 1; i < e->c->nr_threads; i++) {
		th[i].nr = i;
		pthread_create(&th[i].id, NULL, run_thread, &th[i]);
	}
	th[0].nr = 0;
	run_thread(&th[0]);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += fz_ms(8000) / 1000;
	fz_doing("wait for other threads");
	for (i = 1; i < e->c->nr_threads; i++) {
		if (pthread_timedjoin_np(th[i].id, NULL, &ts))
			fz_report("stuck", "thread %u does not exit", i);
	}
}

static void nothing(int sig)
{
}

/* Enter and reap all rings, until SIGKILL. */
static void wait_for_the_end(struct fz_env *e)
{
	unsigned int i;

	for (;;) {
		for (i = 0; i < FZ_RINGS; i++) {
			if (!e->rings[i].alive)
				continue;
			fz_ring_enter(&e->rings[i], 0, 0, IORING_ENTER_GETEVENTS, 0);
			if (!e->c->noreap)
				fz_ring_reap(e, &e->rings[i]);
		}
		fz_env_trigger(e, i++);
		usleep(1000);
	}
}

static void close_rings(struct fz_env *e)
{
	__u64 start = now_ms();
	unsigned int i;

	fz_doing("close the rings");
	for (i = 0; i < FZ_RINGS; i++) {
		if (e->rings[i].alive)
			fz_ring_close(&e->rings[i]);
	}
	if (now_ms() - start > fz_ms(10000))
		fz_report("close", "closing took %llu ms",
			  (unsigned long long)(now_ms() - start));
}

void fz_worker(const struct fz_case *c, int lifeline)
{
	struct fz_env *e = &env;
	pthread_t server;
	int ret;

	prctl(PR_SET_DUMPABLE, 1);
	signal(SIGUSR1, nothing);
	signal(SIGPIPE, SIG_IGN);
	ret = prepare(e, c, lifeline);
	if (ret) {
		fz_report("setup", "cannot set up the environment: %s", strerror(-ret));
		_exit(1);
	}
	pthread_create(&server, NULL, serve, e);
	if (c->reaper)
		reaper(e);
	if (c->repeats)
		repeat(e);
	else
		run_threads(e);
	switch (c->end) {
	case END_KILL:
		wait_for_the_end(e);
	case END_EXIT:
		_exit(0);
	case END_EXEC:
		execl("/bin/true", "true", NULL);
		_exit(0);
	}
	fz_doing("count overflowed CQEs");
	check_overflow(e);
	settle(e);
	check_cqes(e);
	check_uids(e);
	close_rings(e);
	_exit(0);
}
