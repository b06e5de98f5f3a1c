// SPDX-License-Identifier: GPL-2.0
/* Execution of the steps of a thread */
#include "env.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "fuzz.skel.h"

/* Prepare @q as a flow, or as a NOP if there are too many flows. */
static void start_flow(struct fz_env *e, const struct fz_step *st,
		       const struct fz_sqe *s, struct io_uring_sqe *q,
		       unsigned int thread, bool timed)
{
	bool sqpoll = e->rings[st->ring].setup & IORING_SETUP_SQPOLL;
	__u32 idx = __atomic_fetch_add(&e->next_flow, 1, __ATOMIC_RELAXED);
	__u64 table = 2 * st->ring + (s->off & 1);
	struct fz_flow *f;

	if (idx >= FZ_FLOWS) {
		q->opcode = IORING_OP_NOP;
		q->len = 0;
		return;
	}
	f = &skel->bss->flows[idx];
	memset(f, 0, sizeof(*f));
	f->state[0] = FZ_MAGIC << 32 | table << 16 | idx;
	f->state[1] = s->opt;
	f->state[2] = idx;
	f->state[3] = ~0ULL;
	f->user_data = q->user_data;
	f->tid = gettid();
	f->thread = s->personality ? ROOT_THREAD + s->personality - 1 :
		    sqpoll ? SQ_THREADS + st->ring : thread;
	f->innocent = !timed;
	f->mem_size = e->rings[st->ring].flow_size[q->len];
	q->off = f->state[0];
	q->addr = f->state[1];
	q->addr3 = f->state[2];
	q->bpf_arg = f->state[3];
	/* a request may be submitted by two steps */
	if (!e->c->ids && !e->c->repeats)
		e->id_flow[s->id] = e->id_flow[s->id] ? SHARED_ID : idx + 1;
}

/* With --control, replace a flow by a plain request. */
static void plain_request(struct fz_env *e, const struct fz_step *st,
			  const struct fz_sqe *s, struct io_uring_sqe *q)
{
	struct fz_sqe t = e->c->tmpls[st->ring * FZ_RING_TMPLS + s->opt % FZ_RING_TMPLS];

	t.sqe_flags = (t.sqe_flags & ~(IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) |
		      (s->sqe_flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK));
	if (t.op == OP_FLOW || t.op == OP_LINK_TIMEOUT)
		t.op = OP_NOP;
	t.id = s->id;
	fz_fill(e, e->c, &t, q);
}

/* Expect the CQEs of a submitted request. @maybe: there may be none. */
static void owe(struct fz_env *e, const struct fz_sqe *s, bool maybe)
{
	struct fz_owe *o = &skel->bss->owe[s->id];
	/* a zero-copy send cancelled with its chain still has a notification */
	int most = fz_op_flags(s) & FZ_T_ZC ? 2 : 1;

	__atomic_fetch_add(&o->hi, most, __ATOMIC_RELAXED);
	__atomic_fetch_add(&e->owed, 1, __ATOMIC_RELAXED);
	if (!maybe)
		__atomic_fetch_add(&o->lo, 1, __ATOMIC_RELAXED);
}

static void step_submit(struct fz_env *e, const struct fz_step *st,
			unsigned int thread)
{
	struct fz_rings *r = &e->rings[st->ring];
	const struct fz_sqe *all = &e->c->sqes[st->first];
	const struct fz_sqe *batch[FZ_SQES];
	bool skipped = false;
	unsigned int n = 0, i;
	int ret;

	for (i = 0; i < st->nr && n < r->sq_entries; i++) {
		if (all[i].op < OP_NR)
			batch[n++] = &all[i];
	}
	pthread_mutex_lock(&r->sq_lock);
	for (i = 0; i < n && r->alive; i++) {
		struct io_uring_sqe *q = fz_ring_sqe(r, i);

		fz_fill(e, e->c, batch[i], q);
		if (batch[i]->op == OP_FLOW && opt.control)
			plain_request(e, st, batch[i], q);
		else if (batch[i]->op == OP_FLOW)
			start_flow(e, st, batch[i], q, thread, i + 1 < n &&
				   batch[i + 1]->op == OP_LINK_TIMEOUT);
	}
	ret = r->alive ? fz_ring_push(r, n) : 0;
	for (i = 0; i < (unsigned int)ret; i++) {
		skipped |= batch[i]->sqe_flags & IOSQE_CQE_SKIP_SUCCESS;
		owe(e, batch[i], skipped || opt.control ||
		    (batch[i]->op == OP_LINK_TIMEOUT && e->c->drops));
		if (!(batch[i]->sqe_flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)))
			skipped = false;
	}
	pthread_mutex_unlock(&r->sq_lock);
}

static void step_spin(struct fz_env *e, const struct fz_step *s)
{
	struct fz_rings *r = &e->rings[s->ring];
	__u64 end = now_ms() + (e->c->noreap ? 60 : 5 + s->arg % 40);

	while (now_ms() < end && r->alive) {
		fz_ring_enter(r, 0, 0, IORING_ENTER_GETEVENTS, 0);
		if (!e->c->noreap)
			fz_ring_reap(e, r);
		/* let other threads of this CPU run */
		if (s->arg & 1)
			usleep(1000);
	}
}

static void step_cancel(struct fz_env *e, const struct fz_step *s)
{
	struct fz_rings *r = &e->rings[s->ring];
	static const __u8 ops[] = { IORING_OP_BPF, IORING_OP_POLL_ADD, IORING_OP_READ,
				    IORING_OP_TIMEOUT };
	__u32 all = s->arg & 0x100 ? IORING_ASYNC_CANCEL_ALL : 0;

	switch (s->arg % 4) {
	case 0:
		fz_ring_sync_cancel(r, 0, IORING_ASYNC_CANCEL_ANY | all, -1, 0);
		break;
	case 1:
		fz_ring_sync_cancel(r, 0, IORING_ASYNC_CANCEL_OP | all, -1,
				    ops[s->arg2 % 4]);
		break;
	case 2:
		fz_ring_sync_cancel(r, 0, IORING_ASYNC_CANCEL_FD | all,
				    e->fds[s->arg2 % FD_NR], 0);
		break;
	case 3:
		fz_ring_sync_cancel(r, fz_ud(s->arg2), all, -1, 0);
		break;
	}
}

static void step_setuid(struct fz_env *e, const struct fz_step *s, unsigned int thread)
{
	__u32 n = __atomic_fetch_add(&e->nr_uids, 1, __ATOMIC_RELAXED);
	__u32 uid = s->arg & 1 ? 1000 : 0;

	if (n >= FZ_UIDS)
		return;
	e->uids[n] = uid;
	/* the system call affects only this thread; the saved uid remains root */
	if (!syscall(__NR_setresuid, uid, 0, 0))
		skel->bss->threads[thread].uid_from = n;
}

/* Start a process that keeps the rings alive for a while, and may enter a ring. */
static void step_fork(struct fz_env *e, const struct fz_step *s)
{
	struct fz_rings *r = &e->rings[s->ring];
	__u64 end = now_ms() + s->arg % 150;
	pid_t pid = fork();
	__u32 n;

	if (!pid) {
		while (now_ms() < end) {
			if (s->arg2 & 1)
				fz_ring_enter(r, 0, 0, IORING_ENTER_GETEVENTS, 0);
			usleep(2000);
		}
		_exit(0);
	}
	n = __atomic_fetch_add(&shm->nr_helpers, 1, __ATOMIC_RELAXED);
	if (n < 8)
		shm->helpers[n] = pid;
}

static void step_files(struct fz_env *e, const struct fz_step *s)
{
	__s32 fd = s->arg & 0x100 ? e->fds[s->arg2 % FD_IN_TABLE] : -1;
	struct io_uring_rsrc_update2 up = {
		.offset = s->arg % FD_IN_TABLE,
		.data = (unsigned long)&fd,
		.nr = 1,
	};

	fz_ring_register(&e->rings[s->ring], IORING_REGISTER_FILES_UPDATE2, &up,
			 sizeof(up));
}

static void step_buffers(struct fz_env *e, const struct fz_step *s)
{
	struct fz_rings *r = &e->rings[s->ring];
	struct io_uring_clone_buffers clone = { .src_fd = e->rings[s->arg % FZ_RINGS].fd };

	if (s->kind == ST_CLONE_BUFS) {
		clone.flags = s->arg2 & 1 ? IORING_REGISTER_DST_REPLACE : 0;
		fz_ring_register(r, IORING_REGISTER_CLONE_BUFFERS, &clone, 1);
		return;
	}
	fz_ring_register(r, IORING_UNREGISTER_BUFFERS, NULL, 0);
	if (s->arg & 3)
		fz_ring_buffers(e, r);
}

static void step_iowq(struct fz_env *e, const struct fz_step *s)
{
	__u32 max[2] = { 1 + s->arg % 4, 1 + s->arg2 % 4 };

	fz_ring_register(&e->rings[s->ring], IORING_REGISTER_IOWQ_MAX_WORKERS, max, 2);
}

static void step_wait(struct fz_env *e, const struct fz_step *s)
{
	struct fz_rings *r = &e->rings[s->ring];

	fz_ring_enter(r, 0, 1 + s->arg2 % 3, 0, 1 + s->arg % 25);
	if (!e->c->noreap)
		fz_ring_reap(e, r);
}

static const char *const step_names[ST_NR] = {
	[ST_SUBMIT] = "submit", [ST_WAIT] = "wait for CQEs", [ST_REAP] = "reap CQEs",
	[ST_SPIN] = "enter the ring in a loop", [ST_SYNC_CANCEL] = "synchronous cancel",
	[ST_DETACH] = "detach a link", [ST_ATTACH] = "attach a program",
	[ST_UPDATE] = "update a link", [ST_TRIGGER] = "cause an event",
	[ST_SLEEP] = "sleep", [ST_SETUID] = "change the uid", [ST_FORK] = "fork",
	[ST_CLOSE_RING] = "close a ring", [ST_RESIZE] = "resize a ring",
	[ST_CLONE_BUFS] = "clone buffers", [ST_BUFS] = "register buffers",
	[ST_FILES] = "update files", [ST_SIGNAL] = "send a signal",
	[ST_EXIT_THREAD] = "exit the thread", [ST_HOLE] = "empty the hole",
	[ST_DUP_RING] = "duplicate a ring", [ST_IOWQ] = "limit the workers",
	[ST_SHUT] = "shut down a socket",
};

void fz_step(struct fz_env *e, const struct fz_step *s, unsigned int thread)
{
	struct fz_rings *r = &e->rings[s->ring];
	int fd;

	__atomic_fetch_add(&shm->progress, 1, __ATOMIC_RELAXED);
	if (!thread)
		fz_doing(step_names[s->kind]);
	if (!r->alive)
		return;
	switch (s->kind) {
	case ST_SUBMIT:
		step_submit(e, s, thread);
		break;
	case ST_WAIT:
		step_wait(e, s);
		break;
	case ST_REAP:
		fz_ring_reap(e, r);
		break;
	case ST_SPIN:
		step_spin(e, s);
		break;
	case ST_SYNC_CANCEL:
		step_cancel(e, s);
		break;
	case ST_DETACH:
	case ST_ATTACH:
	case ST_UPDATE:
		fz_step_link(e, s);
		break;
	case ST_TRIGGER:
		fz_env_trigger(e, s->arg);
		break;
	case ST_SLEEP:
		usleep(s->arg % 20000);
		break;
	case ST_SETUID:
		step_setuid(e, s, thread);
		break;
	case ST_FORK:
		step_fork(e, s);
		break;
	case ST_CLOSE_RING:
		e->lost = true;
		fz_ring_close(r);
		break;
	case ST_RESIZE:
		fz_ring_resize(r, 8 << s->arg % 3, 16 << s->arg2 % 4);
		break;
	case ST_CLONE_BUFS:
	case ST_BUFS:
		step_buffers(e, s);
		break;
	case ST_FILES:
		step_files(e, s);
		break;
	case ST_SIGNAL:
		syscall(__NR_tgkill, e->pid, e->pid, SIGUSR1);
		break;
	case ST_EXIT_THREAD:
		pthread_exit(NULL);
	case ST_HOLE:
		fz_env_empty_hole(e);
		break;
	case ST_DUP_RING:
		fd = dup(r->fd);
		if (s->arg & 1)
			close(fd);
		break;
	case ST_IOWQ:
		step_iowq(e, s);
		break;
	case ST_SHUT:
		shutdown(e->fds[FD_SOCK_A], SHUT_WR);
		break;
	}
}
