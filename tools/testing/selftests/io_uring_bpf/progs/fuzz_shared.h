/* SPDX-License-Identifier: GPL-2.0 */
/* What the fuzzer and its programs share. Include the types it needs first. */
#ifndef FUZZ_SHARED_H
#define FUZZ_SHARED_H

#define FZ_RINGS	3
/* two tables a ring for its flows, and one for what watches it */
#define FZ_TABLES	(3 * FZ_RINGS)
#define FZ_RULES	8
#define FZ_ACTS		8
/* templates of SQEs, FZ_RING_TMPLS for each ring */
#define FZ_RING_TMPLS	16
#define FZ_TMPLS	(FZ_RINGS * FZ_RING_TMPLS)
/* powers of two, so that an index is masked to be within */
#define FZ_TMPLS_SIZE	64
#define FZ_TABLES_SIZE	16
#define FZ_FLOWS	2048
#define FZ_IDS		256
#define FZ_MSGS		512
#define FZ_THREADS	8
#define FZ_ANY_OPCODE	0xff

/* upper half of each user_data, and of state[0] of each flow */
#define FZ_COOKIE	0xf0221e00ULL
#define FZ_MAGIC	0x5eedf10eULL

/* what a run does, in the order of its rule */
enum fz_verb {
	FZ_NOTHING,
	FZ_ISSUE,
	FZ_AGAIN,
	FZ_POST,
	FZ_COMPLETE,
	FZ_DROP,
	FZ_UNLINK,
	FZ_LINK,
	FZ_ITER,
	FZ_BUF_DATA,
	FZ_BUF_DATA_RW,
	FZ_BUF_READ,
	FZ_BUF_WRITE,
	/* four bytes of a registered buffer go to another place of it */
	FZ_BUF_MOVE,
	FZ_SET_UD,
	FZ_SET_RES,
	FZ_SET_CFLAGS,
	FZ_SET_STATE,
	FZ_NR_VERBS,
};

struct fz_act {
	__u8	verb;
	/* of the ring: index of the SQE */
	__u8	tmpl;
	/* bytes of what a kfunc is told the size of */
	__u8	size;
	__u8	msg;
	__u32	len;
	__u64	flags;
	__u64	off;
	__u64	addr;
};

/* the first rule that fits an event is carried out */
struct fz_rule {
	/* so many times; ~0 is for ever */
	__u32	left;
	__u8	events;
	__u8	opcode;
	__u8	verdict;
	__u8	nr_acts;
	struct fz_act acts[FZ_ACTS];
};

struct fz_table {
	struct fz_rule rules[FZ_RULES];
};

/* what is not checked because of a fault that is known */
enum {
	FZ_LOOSE_LINKS	= 1 << 0,
};

/* of a template */
enum {
	/* a datagram whose sender's uid is looked at */
	FZ_T_MSG	= 1 << 0,
	/* posts no CQE when it goes well */
	FZ_T_SKIP	= 1 << 1,
	/* has a CQE though nobody is there to see its completion */
	FZ_T_SLACK	= 1 << 2,
	/* has a notification */
	FZ_T_ZC		= 1 << 3,
	/* may be cancelled, by its chain or a timeout */
	FZ_T_GUILTY	= 1 << 5,
};

/* of an id, the lower bits of a user_data */
enum {
	FZ_ID_APP	= 1 << 0,
	FZ_ID_PROG	= 1 << 1,
};

/* CQEs of an id that do not say IORING_CQE_F_MORE */
struct fz_owe {
	__s64	lo;
	__s64	hi;
};

struct fz_flow {
	__u64	state[4];
	__u64	user_data;
	__u32	runs;
	__s32	children;
	/*
	 * How often it did what leaves the number of its children open: a zero-copy
	 * send that fails may still have its notification
	 */
	__u32	vague;
	__s32	res;
	__u32	tid;
	__u8	over;
	/* the result is known */
	__u8	res_known;
	/* nothing of the case names it or ends it */
	__u8	innocent;
	/* the index of the thread */
	__u8	thread;
	__u8	pad[4];
};

struct fz_ring_state {
	__u32	inside;
	__u32	sqpoll;
	/* of the SQ thread, when it has run a program */
	__u32	sq_tid;
	__u32	pad;
	/* the filter of what watches */
	__u64	opcodes[2];
	__u64	user_data;
	__u64	user_data_mask;
	__u64	runs;
};

struct fz_thread_state {
	__u32	tid;
	/* index of the last entry of uids[] that counts, see FZ_T_MSG */
	__u32	uid_from;
};

/* what is wrong */
enum fz_wrong {
	FZ_OK,
	FZ_TWO_RUNS,
	FZ_STATE_TAG,
	FZ_STATE_CHANGED,
	FZ_START_TWICE,
	FZ_NO_START,
	FZ_AFTER_END,
	FZ_CHILDREN,
	FZ_FOREIGN_TASK,
	FZ_FLOW_USER_DATA,
	FZ_USER_DATA,
	FZ_INNOCENT_FLOW,
	FZ_INNOCENT_CHILD,
	FZ_WATCH_CONTEXT,
	FZ_WATCH_FILTER,
	FZ_WATCH_PROG,
	FZ_NR_WRONG,
};

struct fz_wrong_what {
	__u32	what;
	__u32	ring;
	__s64	a;
	__s64	b;
	/* of the context, where there is one */
	__u8	event;
	__u8	opcode;
	__u16	flags;
	__s32	res;
};

#endif
