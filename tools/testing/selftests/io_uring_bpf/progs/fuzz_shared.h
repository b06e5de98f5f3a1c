/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the fuzzer and its BPF programs. Requires __u8 to __u64. */
#ifndef FUZZ_SHARED_H
#define FUZZ_SHARED_H

#define FZ_RINGS	3
/* watching programs of a ring that have a table */
#define FZ_WATCHERS	2
/* per ring: two tables for flows, and one for each of these watching programs */
#define FZ_TABLES	((2 + FZ_WATCHERS) * FZ_RINGS)
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
/* requests that one FZ_ISSUE may issue, and that a run may issue */
#define FZ_ISSUES	200
#define FZ_MAX_ISSUES	128
/* index of the registered buffer with known contents, see fz_known() */
#define FZ_BUF_KNOWN	4
/* of the registered buffer that only copies of the ring's programs write to */
#define FZ_BUF_OWN	5
/* size of both */
#define FZ_BUF_SIZE	(4 * 4096)

/* upper half of each user_data, and of state[0] of each flow */
#define FZ_COOKIE	0xf0221e00ULL
/* first id of each range; ids are the low bits of user_data, 0: not counted */
#define ID_APP		1
#define ID_TMPL		120
#define ID_POST		200
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
	/* writes to the memory of the flow */
	FZ_MEM,
	FZ_COPY,
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
	/* FZ_ISSUE: number of requests. FZ_COPY: bytes, from tmpl:off to msg:addr */
	__u32	len;
	__u64	flags;
	__u64	off;
	__u64	addr;
};

/* BPF_IO_URING_DROP, also part of DROP_BUF, and _NEXT, which user space headers lack */
#define FZ_VERDICT_DROP	(1 << 1)
#define FZ_VERDICT_NEXT	(1 << 2)

/* An event applies the first rule of the table that matches, and no other. */
struct fz_rule {
	/* number of times the rule may still apply, ~0: unlimited */
	__u32	left;
	/* bits: enum bpf_io_uring_event */
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
	/* transfers at the offset of the SQE, in a file that has a position */
	FZ_T_POS	= 1 << 4,
	/* may legitimately fail with -ECANCELED, e.g. as part of a chain */
	FZ_T_GUILTY	= 1 << 5,
};

/* flags of an id (the low bits of user_data), besides FZ_T_GUILTY */
enum {
	FZ_ID_APP	= 1 << 0,
	FZ_ID_PROG	= 1 << 1,
	/* a program has changed the result of its CQE */
	FZ_ID_RES	= 1 << 3,
	/* a child was reissued, possibly with other arguments */
	FZ_ID_AGAIN	= 1 << 4,
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
	/* size of the memory, and how often the flow has written to it */
	__u32	mem_size;
	__u32	mem_writes;
	__u8	pad[4];
};

/* A watching program of a ring */
struct fz_watcher {
	/* filter */
	__u64	opcodes[2];
	__u64	user_data;
	__u64	user_data_mask;
	/* programs that may run. 1: "iouring", 2: "iouring.s" */
	__u32	ok;
	__u32	pad;
};

/* The completion that a watching program has passed on with BPF_IO_URING_NEXT */
struct fz_seen {
	/* of the request */
	__u64	app_user_data;
	/* as the program has left them */
	__u64	user_data;
	__s32	res;
	__u32	cflags;
	/* verdict about the CQE so far */
	__u32	verdict;
	__u8	event;
	__u8	opcode;
	/* number of the watcher that sees the completion next, from 1 on. 0: none */
	__u8	next;
	__u8	pad;
};

struct fz_ring_state {
	/* number of programs that currently run */
	__u32	inside;
	__u32	sqpoll;
	/* tid of the SQ thread, 0 before it runs a program */
	__u32	sq_tid;
	/* by bpf_io_uring_post_cqe() */
	__u32	posted;
	__u64	runs;
	struct fz_watcher watchers[FZ_WATCHERS];
	/* a plain watching program is attached, in front of the second of these */
	__u32	plain;
	/* the registered buffers are those of fz_ring_buffers() */
	__u32	buffers;
	struct fz_seen seen;
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
	FZ_WATCH_ORDER,
	FZ_WATCH_NEXT,
	FZ_WATCH_LEFT,
	FZ_BUF_WRONG,
	FZ_COPY_RESULT,
	FZ_COPY_WRONG,
	FZ_REQ_RESULT,
	FZ_REQ_ARGS,
	FZ_ERROR,
	FZ_LIMIT,
	FZ_MEM_SIZE,
	FZ_MEM_WRONG,
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

/* Return the table of a watching program of a ring. */
static inline __u32 fz_watch_table(__u32 ring, __u32 watcher)
{
	return (2 + watcher) * FZ_RINGS + ring;
}

/* Return the byte at this offset of registered buffer FZ_BUF_KNOWN. */
static inline __u8 fz_known(__u64 off)
{
	return off + 31 * (off >> 12);
}

#endif
