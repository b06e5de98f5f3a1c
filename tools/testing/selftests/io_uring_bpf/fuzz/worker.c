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
	skel->bss->drops = c->drops;
	skel->bss->ordered = c->ordered;
	skel->bss->unique_ids = !c->ids;
	skel->bss->plain_next = fz_plain_next(c);
	skel->bss->msg_base = (unsigned long)e->mem->msgs;
	for (i = 0; i < FZ_RINGS; i++) {
		skel->bss->rings[i].sqpoll = c->rings[i].setup & IORING_SETUP_SQPOLL;
		if (!c->rings[i].on)
			continue;
		ret = fz_ring_init(e, i, lifeline);
		/* the kernel rejects some combinations of flags */
		if (ret)
			e->rings[i].alive = false;
		skel->bss->rings[i].buffers = e->rings[i].buffers && c->same_buffers;
	}
	close(lifeline);
	if (strtoull(c->name, NULL, 10) % 4 == 0)
		skel->bss->user_word = (unsigned long)e->hole;
	fz_prepare_filters(c);
	fz_prepare_templates(e);
	fz_prepare_tables(e);
	for (i = 0; i < c->nr_attach && !opt.control; i++) {
		if (c->attach[i].on)
			fz_ring_attach(e, &c->attach[i]);
	}
	return 0;
}

/* Serve what requests wait for: memory that is missing, and room for datagrams. */
static void *serve(void *arg)
{
	struct fz_env *e = arg;
	unsigned int i;

	for (i = 1;; i++) {
		usleep(5000);
		fz_check_uids(e);
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

/* What settle_once() has found: the result of a cancellation, and the number of CQEs */
struct found {
	int	cancelled, reaped;
};

/* Cancel all requests, and reap. Return true if there were no requests and no CQEs. */
static bool settle_once(struct fz_env *e, struct found *found)
{
	unsigned int i;
	int ret;

	*found = (struct found){ };
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
			found->cancelled = ret;
		fz_doing("settle: enter the ring");
		fz_ring_enter(r, 0, 0, IORING_ENTER_GETEVENTS, 0);
		if (r->setup & IORING_SETUP_SQPOLL)
			fz_ring_enter(r, 0, 0, IORING_ENTER_SQ_WAKEUP, 0);
		fz_doing("settle: reap CQEs");
		found->reaped += fz_ring_reap(e, r);
	}
	return !found->cancelled && !found->reaped;
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
	struct fz_limit limit = fz_limit(SETTLE_MS);
	/* all files have an event as soon as no more than this is left */
	__u64 shut = needs_shut(e) ? SETTLE_MS : SETTLE_MS / 2, runs = 0;
	unsigned int quiet = 0, passes = 0;
	struct found found = { };

	skel->bss->settling = 1;
	for (; quiet < 3 && fz_goes_on(&limit); passes++) {
		if (shut < SETTLE_MS && limit.left < shut && !e->lost && fz_unpaid() &&
		    fz_runs() - runs < 100)
			fz_report("cancel", "user_data %u is still in flight", fz_unpaid());
		if (limit.left <= shut)
			fz_env_shut(e);
		runs = fz_runs();
		quiet = settle_once(e, &found) && !fz_unpaid() ? quiet + 1 : 0;
		if (e->lost && limit.left + 200 < SETTLE_MS)
			break;
		usleep(quiet ? 3000 : 500);
	}
	if (quiet < 3 && !e->lost && fz_runs() - runs > 100)
		fz_report("busy", "programs ran %llu times since the last cancellation",
			  (unsigned long long)(fz_runs() - runs));
	if (quiet < 3 && !e->lost && !fz_unpaid())
		fz_report("rest",
			  "no CQE is missing, but pass %u found requests (%d) or CQEs (%d)",
			  passes, found.cancelled, found.reaped);
	skel->bss->settling = 0;
}

/* Repeat the steps of the first thread, and check that io_kiocbs do not accumulate. */
static void repeat(struct fz_env *e)
{
	__u64 end = now_ms() + REPEAT_MS;
	/* number of io_kiocbs after every fourth repetition, as counting is slow */
	long n[FZ_REPEATS / 4 + 1], grown[3];
	unsigned int i, third;

	n[0] = iou_nr_requests();
	for (i = 0; i < e->c->repeats && now_ms() < end; i++) {
		fz_prepare_tables(e);
		run_thread(&(struct thread){ .nr = 0 });
		fz_ring_enter(&e->rings[0], 0, 0, IORING_ENTER_GETEVENTS, 0);
		fz_ring_reap(e, &e->rings[0]);
		if (i % 8 == 7 || fz_unpaid())
			settle(e);
		if (i % 4 == 3)
			n[(i + 1) / 4] = iou_nr_requests();
		if (shm->failed)
			return;
	}
	third = i / 4 / 3;
	grown[0] = n[third] - n[0];
	grown[1] = n[2 * third] - n[third];
	grown[2] = n[3 * third] - n[2 * third];
	/*
	 * Compare two thirds of the run: slab caches cause a temporary growth. Requests
	 * are allocated by eight, so that the thirds must not be too short.
	 */
	if (third >= 4 && grown[1] > third * 3 && grown[2] > third * 3)
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
	unsigned int i, what;

	for (what = 0;; what++) {
		for (i = 0; i < FZ_RINGS; i++) {
			if (!e->rings[i].alive)
				continue;
			fz_ring_enter(&e->rings[i], 0, 0, IORING_ENTER_GETEVENTS, 0);
			if (!e->c->noreap)
				fz_ring_reap(e, &e->rings[i]);
		}
		fz_env_trigger(e, what);
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
	fz_check_overflow(e);
	settle(e);
	fz_check_cqes(e);
	fz_check_uids(e);
	close_rings(e);
	_exit(0);
}
