/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the fuzzer and its BPF programs. Requires __u8 to __u64. */
#ifndef FUZZ_SHARED_H
#define FUZZ_SHARED_H

#define FZ_RINGS	3
/* per ring: two tables for flows, one for watching programs */
#define FZ_TABLES	(3 * FZ_RINGS)
#define FZ_RULES	8
#define FZ_ACTS		8
/* templates of SQEs, per ring and in total */
#define FZ_RING_TMPLS	16
#define FZ_TMPLS	(FZ_RINGS * FZ_RING_TMPLS)
/* array sizes: powers of two, so that a mask bounds the index */
#define FZ_TMPLS_SIZE	64
#define FZ_TABLES_SIZE	16
#define FZ_FLOWS	2048
#define FZ_IDS		256
#define FZ_MSGS		512
#define FZ_THREADS	8
#define FZ_ANY_OPCODE	0xff
/* CQEs that one FZ_POST may post */
#define FZ_BURST	48
/* index of the registered buffer with known contents, see fz_known() */
#define FZ_BUF_KNOWN	4

/* upper half of each user_data, and of state[0] of each flow */
#define FZ_COOKIE	0xf0221e00ULL
/* of what bpf_io_uring_post_cqe() posts: which one of the ring, above the id */
#define FZ_SEQ_SHIFT	8
#define FZ_MAGIC	0x5eedf10eULL

/* action of a program, see struct fz_rule */
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
	FZ_CANCEL,
	FZ_REQ,
	FZ_GIVE,
	FZ_BUF_DATA,
	FZ_BUF_DATA_RW,
	FZ_BUF_READ,
	FZ_BUF_WRITE,
	/* copies four bytes within a registered buffer */
	FZ_BUF_MOVE,
	FZ_SET_UD,
	FZ_SET_RES,
	FZ_SET_CFLAGS,
	FZ_SET_STATE,
	FZ_NR_VERBS,
};

struct fz_act {
	__u8	verb;
	/* template of the SQE, within those of the ring; or index or group of a buffer */
	__u8	tmpl;
	/* size argument of the kfunc */
	__u8	size;
	/* FZ_AGAIN of a send: use a checked datagram, see FZ_T_MSG */
	__u8	msg;
	__u32	len;
	__u64	flags;
	__u64	off;
	__u64	addr;
};

/* bits of fz_rule.events: BPF_IO_URING_*, which user space headers lack */
#define FZ_EVENT_COMPLETE	(1 << 1)
#define FZ_EVENT_AUX		(1 << 2)

/* An event applies the first rule of the table that matches, and no other. */
struct fz_rule {
	/* number of times the rule may still apply, ~0: unlimited */
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

/* flags of a template */
enum {
	/* sends a datagram, the receiver checks the uid of the sender */
	FZ_T_MSG	= 1 << 0,
	/* may post no CQE: IOSQE_CQE_SKIP_SUCCESS */
	FZ_T_SKIP	= 1 << 1,
	/* may post a CQE if no program can run for its completion */
	FZ_T_SLACK	= 1 << 2,
	/* zero-copy: has a notification */
	FZ_T_ZC		= 1 << 3,
	/* may legitimately fail with -ECANCELED, e.g. as part of a chain */
	FZ_T_GUILTY	= 1 << 5,
};

/* flags of an id (the low bits of user_data), besides FZ_T_GUILTY */
enum {
	FZ_ID_APP	= 1 << 0,
	FZ_ID_PROG	= 1 << 1,
	/* a program has changed the result of its CQE */
	FZ_ID_RES	= 1 << 3,
};

/* Bounds of the outstanding CQEs of an id, without those with IORING_CQE_F_MORE */
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
	 * Number of actions after which the number of children is uncertain: a
	 * failed zero-copy send may still have its notification.
	 */
	__u32	vague;
	__s32	res;
	__u32	tid;
	__u8	over;
	/* res is the expected result of the flow */
	__u8	res_known;
	/* no linked timeout may cancel the flow */
	__u8	innocent;
	/* index of the submitting thread */
	__u8	thread;
	__u8	pad[4];
};

struct fz_ring_state {
	/* number of programs that currently run */
	__u32	inside;
	__u32	sqpoll;
	/* tid of the SQ thread, 0 before it runs a program */
	__u32	sq_tid;
	__u32	pad;
	/* filter of the watching programs */
	__u64	opcodes[2];
	__u64	user_data;
	__u64	user_data_mask;
	__u64	runs;
	/* watching programs that may run. 1: "iouring", 2: "iouring.s" */
	__u32	watch_ok;
	/* by bpf_io_uring_post_cqe() */
	__u32	posted;
};

struct fz_thread_state {
	__u32	tid;
	/* current uid of the thread: index of fz_env.uids[] */
	__u32	uid_from;
};

/* violations that programs detect, see wrong_names[] */
enum fz_wrong {
	FZ_OK,
	FZ_TWO_RUNS,
	FZ_STATE_TAG,
	FZ_STATE_CHANGED,
	FZ_START_TWICE,
	FZ_NO_START,
	FZ_AFTER_END,
	FZ_ACTS_AFTER_END,
	FZ_CHILDREN,
	FZ_FOREIGN_TASK,
	FZ_FLOW_USER_DATA,
	FZ_USER_DATA,
	FZ_INNOCENT_FLOW,
	FZ_INNOCENT_CHILD,
	FZ_WATCH_CONTEXT,
	FZ_WATCH_FILTER,
	FZ_WATCH_PROG,
	FZ_WATCH_OLD,
	FZ_BUF_WRONG,
	FZ_NR_WRONG,
};

/* The first violation */
struct fz_wrong_what {
	__u32	what;
	__u32	ring;
	__s64	a;
	__s64	b;
	/* fields of the context */
	__u8	event;
	__u8	opcode;
	__u16	flags;
	__s32	res;
};

/* Return the byte at this offset of registered buffer FZ_BUF_KNOWN. */
static inline __u8 fz_known(__u64 off)
{
	return off + 31 * (off >> 12);
}

#endif
