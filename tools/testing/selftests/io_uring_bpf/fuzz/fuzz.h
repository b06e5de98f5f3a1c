/* SPDX-License-Identifier: GPL-2.0 */
/*
 * iou_fuzz: random programs on random rings
 *
 * A case consists of rings, tables of actions for programs, and threads with steps.
 * Its name determines its contents: a seed and the seeds of mutations, such as
 * "1234.7.9". The controller (ctl.c) forks a worker (worker.c) for each case, and
 * checks after the exit of the worker that nothing is left behind.
 */
#ifndef FUZZ_H
#define FUZZ_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <linux/io_uring.h>
#include <linux/bpf.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "iou_count.h"
#include "progs/fuzz_shared.h"

#define FZ_SQES		96
#define FZ_STEPS	16
/* 0, 1: flows. 2, 4: watching programs with a table. 3, 5: plain ones. 6, 7: empty */
#define FZ_SLOTS	8
#define FZ_NAME		96
#define FZ_REPEATS	120
#define FZ_MAX_PART	400

/* kinds of requests, see ops.c */
enum fz_op {
	OP_NOP, OP_READ, OP_WRITE, OP_READV, OP_WRITEV, OP_READ_FIXED,
	OP_WRITE_FIXED, OP_READ_MULTI, OP_FSYNC, OP_POLL, OP_POLL_REMOVE,
	OP_TIMEOUT, OP_TIMEOUT_REMOVE, OP_LINK_TIMEOUT, OP_ACCEPT, OP_CONNECT,
	OP_SEND, OP_RECV, OP_SENDMSG, OP_RECVMSG, OP_SEND_ZC, OP_SENDMSG_ZC,
	OP_CANCEL, OP_CLOSE, OP_OPENAT, OP_SOCKET, OP_FILES_UPDATE,
	OP_PROVIDE, OP_REMOVE, OP_SPLICE, OP_TEE, OP_MSG_RING, OP_EPOLL_CTL,
	OP_EPOLL_WAIT, OP_FUTEX_WAIT, OP_FUTEX_WAKE, OP_FUTEX_WAITV, OP_WAITID,
	OP_STATX, OP_FALLOCATE, OP_FADVISE, OP_SHUTDOWN, OP_URING_CMD,
	OP_FD_INSTALL, OP_PIPE, OP_FTRUNCATE, OP_MSG, OP_RAW, OP_FLOW,
	OP_NR
};

/* a request, with symbolic descriptors and addresses, see fill.c */
struct fz_sqe {
	__u8	op;
	__u8	sqe_flags;
	__u8	fd;
	__u8	buf;
	__u8	id;
	__u8	personality;
	/* random bits for options of the op */
	__u16	opt;
	__u32	len;
	__u64	off;
};

enum fz_step_kind {
	ST_SUBMIT, ST_WAIT, ST_REAP, ST_SPIN, ST_SYNC_CANCEL, ST_DETACH, ST_ATTACH,
	ST_UPDATE, ST_TRIGGER, ST_SLEEP, ST_SETUID, ST_FORK, ST_CLOSE_RING,
	ST_RESIZE, ST_CLONE_BUFS, ST_BUFS, ST_FILES, ST_SIGNAL, ST_EXIT_THREAD,
	ST_HOLE, ST_DUP_RING, ST_IOWQ, ST_SHUT,
	ST_NR
};

struct fz_step {
	__u8	kind;
	__u8	ring;
	/* range of fz_case.sqes[] */
	__u8	first;
	__u8	nr;
	__u32	arg;
	__u64	arg2;
};

struct fz_attach {
	__u8	on;
	__u8	ring;
	__u8	slot;
	__u8	sleepable;
	__u32	flow_size;
	__u64	opcodes;
	__u64	user_data;
	__u64	user_data_mask;
};

struct fz_ring {
	__u8	on;
	__u8	registered_fd;
	__u8	restricted;
	/* created by another user, with IORING_SETUP_ATTACH_WQ to ring 0 */
	__u8	attach_wq;
	__u32	setup;
	__u32	entries;
	__u32	cq_entries;
};

enum fz_end {
	/* cancels all requests, then checks CQEs */
	END_SETTLE,
	/* is killed with requests in flight */
	END_KILL,
	/* exits with requests in flight */
	END_EXIT,
	/* calls exec() with requests in flight */
	END_EXEC,
	END_NR
};

struct fz_thread {
	__u8	nr;
	struct fz_step steps[FZ_STEPS];
};

struct fz_case {
	char	name[FZ_NAME];
	/* parts that the minimiser removes, see min.c */
	__u8	dropped[FZ_MAX_PART];
	struct fz_ring rings[FZ_RINGS];
	struct fz_attach attach[FZ_RINGS * FZ_SLOTS];
	__u8	nr_attach;
	struct fz_table tables[FZ_TABLES];
	struct fz_sqe	tmpls[FZ_TMPLS];
	struct fz_sqe	sqes[FZ_SQES];
	__u8	nr_sqes;
	struct fz_thread threads[3];
	__u8	nr_threads;
	/* another process reaps the CQEs of ring 0 */
	__u8	reaper;
	/* CQEs are not reaped before the end */
	__u8	noreap;
	__u8	ids;
	__u8	end;
	__u16	kill_ms;
	/* repetitions of the first thread, to detect memory that grows */
	__u16	repeats;
	/* derived: no request or step cancels another request */
	__u8	innocent;
	/* derived: programs drop members of chains */
	__u8	drops;
	/* derived: the programs of the rings stay as they are */
	__u8	ordered;
	/* derived: the registered buffers of the rings stay as they are */
	__u8	same_buffers;
};

/* Return true if plain watching programs return BPF_IO_URING_NEXT. */
static inline bool fz_plain_next(const struct fz_case *c)
{
	return strtoull(c->name, NULL, 10) % 2;
}

static inline bool fz_slot_watches(unsigned int slot)
{
	return slot >= 2;
}

static inline bool fz_slot_plain(unsigned int slot)
{
	return fz_slot_watches(slot) && slot % 2;
}

static inline bool fz_table_watches(unsigned int table)
{
	return table >= 2 * FZ_RINGS;
}

static inline unsigned int fz_table_ring(unsigned int table)
{
	return fz_table_watches(table) ? table % FZ_RINGS : table / 2;
}

#define for_each_act(c, i, j, k, a)					\
	for (i = 0; i < FZ_TABLES; i++)					\
		for (j = 0; j < FZ_RULES; j++)				\
			for (k = 0, a = (c)->tables[i].rules[j].acts;	\
			     k < FZ_ACTS; k++, a++)

/* all templates, then all requests of the application */
#define for_each_request(c, i, s)					\
	for (i = 0; i < FZ_TMPLS + (c)->nr_sqes &&			\
		    (s = i < FZ_TMPLS ? &(c)->tmpls[i] :		\
					&(c)->sqes[i - FZ_TMPLS], true); \
	     i++)

/* splitmix64 */
struct fz_rng {
	__u64	s;
};

static inline __u64 rnd(struct fz_rng *r)
{
	__u64 z = (r->s += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* Return a random number from 0 to @n - 1. */
static inline __u32 below(struct fz_rng *r, __u32 n)
{
	return n ? rnd(r) % n : 0;
}

static inline bool chance(struct fz_rng *r, __u32 percent)
{
	return below(r, 100) < percent;
}

#define PICK(r, ...) ({							\
	const __u64 __v[] = { __VA_ARGS__ };				\
									\
	__v[below(r, ARRAY_SIZE(__v))];					\
})

/* a failure of a case: the kind is one word, without spaces or colons */
struct fz_report {
	char	kind[32];
	char	text[200];
};

static inline void fz_kind(struct fz_report *report, const char *kind)
{
	snprintf(report->kind, sizeof(report->kind), "%s", kind);
}

/* shared by the controller, the worker and its helpers */
struct fz_shm {
	__u32	progress;
	__u32	failed;
	struct fz_report report;
	/* current activity of the main thread, a string literal */
	const char *doing;
	pid_t	helpers[8];
	__u32	nr_helpers;
};

struct fz_options {
	unsigned int seconds;
	unsigned long long seed;
	bool seeded;
	const char *one;
	unsigned int tries;
	const char *mode;
	const char *out;
	const char *min;
	const char *drop;
	bool gcov;
	bool control;
	bool set;
	bool stop;
	bool verbose;
};

extern struct fz_options opt;

/* Time limits are wider in a test, which may run on a slow and busy machine. */
static inline unsigned int fz_ms(unsigned int ms)
{
	return opt.set ? 4 * ms : ms;
}

extern struct fuzz *skel;
extern struct fz_shm *shm;

/* Record the activity of the main thread, for the report of a hang. */
static inline void fz_doing(const char *what)
{
	__atomic_store_n(&shm->doing, what, __ATOMIC_RELAXED);
}

/* gen.c */
int fz_make(struct fz_case *c, const char *name);
void fz_derive(struct fz_case *c);
/* fill.c */
struct fz_env;
void fz_fill(struct fz_env *e, const struct fz_case *c, const struct fz_sqe *s,
	     struct io_uring_sqe *sqe);
/* setup.c */
bool fz_want(const char *word);
bool fz_mode_ok(const char *mode);
__u32 fz_gen_setup(struct fz_rng *r);
void fz_gen_limits(struct fz_ring *ring);
void fz_gen_ring(struct fz_rng *r, struct fz_case *c, unsigned int i);
void fz_gen_attach(struct fz_rng *r, struct fz_case *c, unsigned int ring);
/* rules.c */
void fz_swarm_acts(struct fz_rng *r);
void fz_gen_act(struct fz_rng *r, struct fz_act *a, bool watch, unsigned int pos);
void fz_gen_rule(struct fz_rng *r, struct fz_rule *rule, bool watch, unsigned int pos);
void fz_gen_table(struct fz_rng *r, struct fz_table *t, bool watch);
void fz_retrigger(struct fz_rng *r, struct fz_case *c);
/* ops.c */
void fz_swarm(struct fz_rng *r);
void fz_gen_sqe(struct fz_rng *r, struct fz_sqe *s, bool app);
const char *fz_op_name(int op);
int fz_op_opcode(int op);
bool fz_op_cancels(const struct fz_sqe *s);
bool fz_op_quiet(const struct fz_sqe *s);
__u8 fz_op_flags(const struct fz_sqe *s);
/* worker.c */
void __noreturn fz_worker(const struct fz_case *c, int lifeline);
unsigned long long fz_runs(void);
void __printf(2, 3) fz_report(const char *kind, const char *fmt, ...);
/* ctl.c */
enum fz_result { FZ_GOOD, FZ_FAILED, FZ_FATAL };
int fz_ctl_init(void);
enum fz_result fz_round(const struct fz_case *c, struct fz_report *out);
enum fz_result fz_drain(struct fz_report *out);
bool fz_try(const struct fz_case *c, struct fz_report *out);
/* after FZ_FATAL: the kernel is in an undefined state, a reboot is required */
extern bool fz_fatal;
/* cov.c */
int fz_cov_init(void);
int fz_cov_new(void);
void fz_cov_save(void);
extern unsigned int fz_cov_edges;
/* print.c */
void fz_print(FILE *f, const struct fz_case *c);
/* used.c */
bool fz_has_step(const struct fz_case *c, enum fz_step_kind kind);
bool fz_sqe_used(const struct fz_case *c, unsigned int nr);
bool fz_table_used(const struct fz_case *c, unsigned int table);
bool fz_tmpl_used(const struct fz_case *c, unsigned int tmpl);
/* min.c */
int fz_nr_parts(const struct fz_case *c);
void fz_drop_parts(struct fz_case *c);
void fz_parse_drop(struct fz_case *c, const char *hex);
int fz_minimise(const char *name);

static inline __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/*
 * Time left to a loop that polls. A pass counts as FZ_PASS_MS at most, so that a pause of
 * an emulated machine does not end the loop before what it waits for could happen.
 */
struct fz_limit {
	__u64	last, left;
};

#define FZ_PASS_MS	50

static inline struct fz_limit fz_limit(unsigned int ms)
{
	return (struct fz_limit){ .last = now_ms(), .left = ms };
}

/* Account for a pass. Return true if another one may follow. */
static inline bool fz_goes_on(struct fz_limit *l)
{
	__u64 now = now_ms(), spent = now - l->last;

	if (spent > FZ_PASS_MS)
		spent = FZ_PASS_MS;
	l->last = now;
	l->left -= spent < l->left ? spent : l->left;
	return l->left;
}

static inline __u64 fz_ud(__u8 id)
{
	return FZ_COOKIE << 32 | id;
}

#endif
