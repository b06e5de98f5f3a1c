// SPDX-License-Identifier: GPL-2.0
/* What the worker checks: CQEs, results of flows, credentials, overflowed CQEs */
#include "env.h"

#include "fuzz.skel.h"

/* If a CQE ends a flow, its result must be the one that the program set. */
static void flow_done(struct fz_env *e, __u64 ud, __s32 res)
{
	__u32 idx = e->id_flow[ud & (FZ_IDS - 1)];
	struct fz_flow *f;

	if (!idx || idx == SHARED_ID || ud >> 32 != FZ_COOKIE)
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

/* Report the CQE of a request of a program that no request or step has cancelled. */
static void check_canceled(__u64 ud, __s32 res)
{
	__u8 flags = skel->bss->id_flags[ud & (FZ_IDS - 1)];

	if (res == -ECANCELED && skel->bss->innocent && !skel->bss->settling &&
	    (flags & (FZ_ID_PROG | FZ_ID_APP | FZ_T_GUILTY)) == FZ_ID_PROG)
		fz_report("canceled", "user_data %u was cancelled by no request",
			  (__u32)ud & (FZ_IDS - 1));
}

static void count_cqe(struct fz_env *e, __u64 ud, __s32 res, __u32 flags)
{
	struct fz_owe *owe = &skel->bss->owe[ud & (FZ_IDS - 1)];

	/* the reaper process may move the head, and the kernel overwrite the CQE */
	if (e->c->reaper)
		return;
	if (ud >> 32 != FZ_COOKIE) {
		fz_report("user_data", "CQE with user_data %#llx, res %d, flags %#x",
			  (unsigned long long)ud, res, flags);
		return;
	}
	check_canceled(ud, res);
	if (flags & IORING_CQE_F_MORE)
		return;
	__atomic_fetch_sub(&owe->lo, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&owe->hi, 1, __ATOMIC_RELAXED);
}

/* CQEs of bpf_io_uring_post_cqe() come in the order of the calls. */
static void check_order(struct fz_env *e, struct fz_rings *r, __u64 ud)
{
	__u32 seq = (__u32)ud >> FZ_SEQ_SHIFT;

	if (!seq || e->c->reaper)
		return;
	if (seq <= r->posted)
		fz_report("order", "CQE %u that a program has posted comes after CQE %u",
			  seq, r->posted);
	r->posted = seq;
}

/* Check a CQE that was reaped. */
void fz_check_cqe(struct fz_env *e, struct fz_rings *r, const struct io_uring_cqe *cqe)
{
	count_cqe(e, cqe->user_data, cqe->res, cqe->flags);
	check_order(e, r, cqe->user_data);
	flow_done(e, cqe->user_data, cqe->res);
}

/* Check that each datagram has the uid of its thread when it was prepared, or later. */
void fz_check_uids(struct fz_env *e)
{
	char cb[CMSG_SPACE(sizeof(struct ucred))], buf[16];
	struct iovec iov = { buf, sizeof(buf) - 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = cb };

	for (;;) {
		struct ucred *uc;
		unsigned int n, i, thread;
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
		thread = skel->bss->msg_thread[n - 1];
		if (thread >= SQ_THREADS)
			i = uc->uid == e->rings[thread - SQ_THREADS].sq_uid ? 0 : FZ_UIDS;
		else if (thread >= ROOT_THREAD)
			i = uc->uid == (thread == ROOT_THREAD ? 0 : 1001) ? 0 : FZ_UIDS;
		if (i >= e->nr_uids || i >= FZ_UIDS)
			fz_report("creds", "a send used uid %u, which is outdated",
				  uc->uid);
	}
}

/* Return an id whose CQEs are missing, or 0. */
unsigned int fz_unpaid(void)
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

void fz_check_cqes(struct fz_env *e)
{
	unsigned int i;

	if (e->lost || opt.control)
		return;
	if (fz_unpaid())
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
void fz_check_overflow(struct fz_env *e)
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
