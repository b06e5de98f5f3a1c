// SPDX-License-Identifier: GPL-2.0
/* Kinds of requests, and their random generation */
#include "env.h"

struct op_info {
	const char *name;
	__u8 opcode;
	/* weights for requests of the application and of programs */
	__u8 app, child;
	/* suitable descriptors */
	__u8 nr_fds;
	__u8 fds[8];
};

#define FDS(...) sizeof((__u8[]){ __VA_ARGS__ }), { __VA_ARGS__ }
#define NOFD 0, { }
#define BYTES_IN FDS(FD_PIPE0_R, FD_PIPE1_R, FD_EVENT0, FD_SOCK_A, FD_DATA_A, FD_FILE,	\
		     FD_DIRECT, FD_ZERO)
#define BYTES_OUT FDS(FD_PIPE0_W, FD_PIPE1_W, FD_EVENT0, FD_EVENT1, FD_SOCK_B, FD_FILE,	\
		      FD_DIRECT, FD_NULLB)
#define BLOCKS FDS(FD_FILE, FD_DIRECT, FD_NULLB, FD_DIRECT, FD_NULLB)
#define POLLED FDS(FD_PIPE0_R, FD_EVENT0, FD_EVENT1, FD_SOCK_A, FD_DATA_A, FD_PIPE1_W,	\
		   FD_TIMER, FD_RING1)
#define STREAMS FDS(FD_SOCK_A, FD_SOCK_B, FD_DATA_A, FD_DATA_B, FD_TCP_A, FD_TCP_B)

static const struct op_info ops[OP_NR] = {
	[OP_NOP]	= { "nop", IORING_OP_NOP, 14, 20, NOFD },
	[OP_READ]	= { "read", IORING_OP_READ, 10, 12, BYTES_IN },
	[OP_WRITE]	= { "write", IORING_OP_WRITE, 6, 10, BYTES_OUT },
	[OP_READV]	= { "readv", IORING_OP_READV, 3, 4, BYTES_IN },
	[OP_WRITEV]	= { "writev", IORING_OP_WRITEV, 3, 3, BYTES_OUT },
	[OP_READ_FIXED]	= { "read_fixed", IORING_OP_READ_FIXED, 2, 4, BLOCKS },
	[OP_WRITE_FIXED] = { "write_fixed", IORING_OP_WRITE_FIXED, 2, 3, BLOCKS },
	[OP_READ_MULTI]	= { "read_multishot", IORING_OP_READ_MULTISHOT, 3, 3,
			    FDS(FD_PIPE0_R, FD_PIPE1_R, FD_EVENT0, FD_SOCK_A, FD_DATA_A) },
	[OP_FSYNC]	= { "fsync", IORING_OP_FSYNC, 1, 2, BLOCKS },
	[OP_POLL]	= { "poll", IORING_OP_POLL_ADD, 10, 10, POLLED },
	[OP_POLL_REMOVE] = { "poll_remove", IORING_OP_POLL_REMOVE, 2, 2, NOFD },
	[OP_TIMEOUT]	= { "timeout", IORING_OP_TIMEOUT, 6, 7, NOFD },
	[OP_TIMEOUT_REMOVE] = { "timeout_remove", IORING_OP_TIMEOUT_REMOVE, 2, 2, NOFD },
	[OP_LINK_TIMEOUT] = { "link_timeout", IORING_OP_LINK_TIMEOUT, 3, 4, NOFD },
	[OP_ACCEPT]	= { "accept", IORING_OP_ACCEPT, 5, 5, FDS(FD_LISTEN) },
	[OP_CONNECT]	= { "connect", IORING_OP_CONNECT, 1, 1, FDS(FD_SOCK_A, FD_DUP) },
	[OP_SEND]	= { "send", IORING_OP_SEND, 4, 5, STREAMS },
	[OP_RECV]	= { "recv", IORING_OP_RECV, 6, 8, STREAMS },
	[OP_SENDMSG]	= { "sendmsg", IORING_OP_SENDMSG, 2, 2, STREAMS },
	[OP_RECVMSG]	= { "recvmsg", IORING_OP_RECVMSG, 2, 3, STREAMS },
	[OP_SEND_ZC]	= { "send_zc", IORING_OP_SEND_ZC, 3, 4, FDS(FD_TCP_A, FD_TCP_B) },
	[OP_SENDMSG_ZC]	= { "sendmsg_zc", IORING_OP_SENDMSG_ZC, 2, 4,
			    FDS(FD_TCP_A, FD_TCP_B) },
	[OP_CANCEL]	= { "async_cancel", IORING_OP_ASYNC_CANCEL, 5, 4, POLLED },
	[OP_CLOSE]	= { "close", IORING_OP_CLOSE, 2, 2, FDS(FD_DUP) },
	[OP_OPENAT]	= { "openat", IORING_OP_OPENAT, 2, 3, NOFD },
	[OP_SOCKET]	= { "socket", IORING_OP_SOCKET, 1, 2, NOFD },
	[OP_FILES_UPDATE] = { "files_update", IORING_OP_FILES_UPDATE, 1, 1, NOFD },
	[OP_PROVIDE]	= { "provide_buffers", IORING_OP_PROVIDE_BUFFERS, 2, 2, NOFD },
	[OP_REMOVE]	= { "remove_buffers", IORING_OP_REMOVE_BUFFERS, 1, 1, NOFD },
	[OP_SPLICE]	= { "splice", IORING_OP_SPLICE, 1, 2,
			    FDS(FD_PIPE0_W, FD_PIPE1_W, FD_SOCK_B, FD_FILE) },
	[OP_TEE]	= { "tee", IORING_OP_TEE, 1, 1, FDS(FD_PIPE0_W, FD_PIPE1_W) },
	[OP_MSG_RING]	= { "msg_ring", IORING_OP_MSG_RING, 3, 4,
			    FDS(FD_RING0, FD_RING1, FD_RING2) },
	[OP_EPOLL_CTL]	= { "epoll_ctl", IORING_OP_EPOLL_CTL, 1, 1, FDS(FD_EPOLL) },
	[OP_EPOLL_WAIT]	= { "epoll_wait", IORING_OP_EPOLL_WAIT, 2, 2, FDS(FD_EPOLL) },
	[OP_FUTEX_WAIT]	= { "futex_wait", IORING_OP_FUTEX_WAIT, 3, 3, NOFD },
	[OP_FUTEX_WAKE]	= { "futex_wake", IORING_OP_FUTEX_WAKE, 2, 2, NOFD },
	[OP_FUTEX_WAITV] = { "futex_waitv", IORING_OP_FUTEX_WAITV, 2, 2, NOFD },
	[OP_WAITID]	= { "waitid", IORING_OP_WAITID, 2, 2, NOFD },
	[OP_STATX]	= { "statx", IORING_OP_STATX, 1, 1, NOFD },
	[OP_FALLOCATE]	= { "fallocate", IORING_OP_FALLOCATE, 1, 1, FDS(FD_FILE) },
	[OP_FADVISE]	= { "fadvise", IORING_OP_FADVISE, 1, 1, FDS(FD_FILE) },
	[OP_SHUTDOWN]	= { "shutdown", IORING_OP_SHUTDOWN, 1, 1, STREAMS },
	[OP_URING_CMD]	= { "uring_cmd", IORING_OP_URING_CMD, 2, 3,
			    FDS(FD_NULLB, FD_SOCK_A, FD_DATA_A) },
	[OP_FD_INSTALL]	= { "fixed_fd_install", IORING_OP_FIXED_FD_INSTALL, 1, 1,
			    FDS(FD_PIPE0_R, FD_ZERO) },
	[OP_PIPE]	= { "pipe", IORING_OP_PIPE, 1, 1, NOFD },
	[OP_FTRUNCATE]	= { "ftruncate", IORING_OP_FTRUNCATE, 1, 1, FDS(FD_FILE) },
	[OP_MSG]	= { "send(uid)", IORING_OP_SEND, 3, 6, FDS(FD_MSG) },
	[OP_RAW]	= { "raw", 0, 2, 3, POLLED },
	[OP_FLOW]	= { "flow", IORING_OP_BPF, 45, 1, NOFD },
};

const char *fz_op_name(int op)
{
	return op < OP_NR ? ops[op].name : "?";
}

int fz_op_opcode(int op)
{
	return ops[op].opcode;
}

/* Return true if the request may cancel or end other requests. */
bool fz_op_cancels(const struct fz_sqe *s)
{
	switch (s->op) {
	case OP_POLL_REMOVE:
	case OP_TIMEOUT_REMOVE:
	case OP_CANCEL:
	case OP_RAW:
	/* may close a file that other requests use */
	case OP_CLOSE:
	case OP_FILES_UPDATE:
		return true;
	}
	return false;
}

/* Return true if the request never completes with -ECANCELED by itself. */
bool fz_op_quiet(const struct fz_sqe *s)
{
	switch (s->op) {
	case OP_NOP:
		return !(s->opt & 1);
	case OP_READ:
	case OP_READV:
	case OP_WRITE:
	case OP_POLL:
	case OP_TIMEOUT:
	case OP_RECV:
	case OP_SEND:
	case OP_MSG:
	case OP_FUTEX_WAIT:
		return true;
	}
	return false;
}

/* Return true if the request transfers at its own offset in a file with a position. */
static bool has_pos(const struct fz_sqe *s)
{
	return s->op >= OP_READ && s->op <= OP_WRITE_FIXED && s->off != ~0ULL &&
	       (s->fd == FD_FILE || s->fd == FD_DIRECT) &&
	       !(s->sqe_flags & IOSQE_FIXED_FILE);
}

/* Return the FZ_T_* flags of a template or request. */
__u8 fz_op_flags(const struct fz_sqe *s)
{
	__u8 f = 0;

	if (s->sqe_flags & IOSQE_CQE_SKIP_SUCCESS)
		f |= FZ_T_SKIP;
	if (s->sqe_flags & IOSQE_BUFFER_SELECT)
		f |= FZ_T_SLACK;
	if (has_pos(s))
		f |= FZ_T_POS;
	switch (s->op) {
	case OP_MSG:
		return f | FZ_T_MSG;
	case OP_SEND_ZC:
	case OP_SENDMSG_ZC:
		return f | FZ_T_ZC;
	case OP_ACCEPT:
	case OP_OPENAT:
	case OP_SOCKET:
	case OP_FD_INSTALL:
	case OP_FILES_UPDATE:
	case OP_PIPE:
	case OP_RAW:
	case OP_READ_MULTI:
		return f | FZ_T_SLACK;
	}
	return f;
}

/* bitmaps of the kinds of requests and the descriptors of this case; percentages */
static struct {
	__u64 ops;
	__u64 fds;
	__u32 link, async, drain;
} swarm;

static int weight(int op, bool app)
{
	if (!(swarm.ops & 1ULL << op))
		return 0;
	return app ? ops[op].app : ops[op].child;
}

static int pick_op(struct fz_rng *r, bool app)
{
	int sum = 0, i, n;

	for (i = 0; i < OP_NR; i++)
		sum += weight(i, app);
	n = below(r, sum);
	for (i = 0; i < OP_NR && sum; i++) {
		n -= weight(i, app);
		if (n < 0)
			return i;
	}
	return OP_NOP;
}

#define BIT(fd) (1ULL << FD_##fd)
/* descriptors that belong together, such as both ends of a pipe */
static const __u64 channels[] = {
	BIT(PIPE0_R) | BIT(PIPE0_W), BIT(PIPE1_R) | BIT(PIPE1_W), BIT(EVENT0),
	BIT(EVENT1) | BIT(EPOLL), BIT(SOCK_A) | BIT(SOCK_B), BIT(DATA_A) | BIT(DATA_B),
	BIT(TCP_A) | BIT(TCP_B), BIT(LISTEN), BIT(FILE) | BIT(DIRECT), BIT(NULLB),
	BIT(TIMER), BIT(ZERO) | BIT(DUP), BIT(MSG), BIT(RING0) | BIT(RING1) | BIT(RING2),
};

/* Choose a channel, and most of the kinds of requests that may use it. */
static void swarm_channel(struct fz_rng *r)
{
	unsigned int op, i;

	swarm.fds = channels[below(r, ARRAY_SIZE(channels))];
	swarm.ops = 1ULL << OP_FLOW;
	for (op = 0; op < OP_NR; op++) {
		for (i = 0; i < ops[op].nr_fds; i++) {
			if ((swarm.fds & 1ULL << ops[op].fds[i]) && chance(r, 70))
				swarm.ops |= 1ULL << op;
		}
	}
	if (chance(r, 30))
		swarm.ops |= 1ULL << OP_NOP;
}

/*
 * Choose the kinds of requests and the descriptors of a case. Requests interact
 * more often if these are few: see "Swarm testing", Groce et al., ISSTA 2012.
 */
void fz_swarm(struct fz_rng *r)
{
	unsigned int i, n;
	__u64 few = 1ULL << OP_FLOW;

	swarm.ops = ~0ULL;
	swarm.fds = ~0ULL;
	swarm.link = PICK(r, 25, 25, 25, 60);
	swarm.async = PICK(r, 10, 10, 10, 40);
	swarm.drain = PICK(r, 4, 4, 4, 25);
	if (chance(r, 35))
		return;
	if (chance(r, 35)) {
		swarm_channel(r);
		return;
	}
	if (chance(r, 60))
		few |= 1ULL << OP_NOP;
	n = 1 + below(r, 7);
	for (i = 0; i < n; i++)
		few |= 1ULL << pick_op(r, false);
	swarm.ops = few;
	if (chance(r, 40))
		return;
	swarm.fds = 0;
	n = 1 + below(r, 3);
	for (i = 0; i < n; i++)
		swarm.fds |= channels[below(r, ARRAY_SIZE(channels))];
}

/* Return a suitable descriptor, if possible one of this case. */
static __u8 pick_fd(struct fz_rng *r, const struct op_info *op)
{
	__u8 some[sizeof(op->fds)];
	unsigned int i, n = 0;

	for (i = 0; i < op->nr_fds; i++) {
		if (swarm.fds & 1ULL << op->fds[i])
			some[n++] = op->fds[i];
	}
	return n ? some[below(r, n)] : op->fds[below(r, op->nr_fds)];
}

static void gen_flags(struct fz_rng *r, struct fz_sqe *s, bool app)
{
	if (chance(r, swarm.link))
		s->sqe_flags |= IOSQE_IO_LINK;
	else if (chance(r, 6))
		s->sqe_flags |= IOSQE_IO_HARDLINK;
	if (chance(r, s->sqe_flags & IOSQE_IO_LINK ? 2 * swarm.async : swarm.async))
		s->sqe_flags |= IOSQE_ASYNC;
	if (chance(r, app ? 12 : 6))
		s->sqe_flags |= IOSQE_CQE_SKIP_SUCCESS;
	if (app && chance(r, swarm.drain))
		s->sqe_flags |= IOSQE_IO_DRAIN;
	if (chance(r, 12))
		s->sqe_flags |= IOSQE_FIXED_FILE;
	if (chance(r, 8))
		s->personality = 1 + below(r, 3);
	if (s->op == OP_MSG)
		s->personality = 0;
	if (s->op == OP_FLOW) {
		s->sqe_flags &= ~(IOSQE_ASYNC | IOSQE_FIXED_FILE);
		/* what is behind a flow is what its program may edit */
		if (app && chance(r, 25))
			s->sqe_flags |= IOSQE_IO_LINK;
	}
	if (s->op == OP_LINK_TIMEOUT || s->op == OP_TIMEOUT)
		s->sqe_flags &= ~(IOSQE_FIXED_FILE | IOSQE_ASYNC);
}

/* Let a request that reads select a provided buffer. */
static void gen_select(struct fz_rng *r, struct fz_sqe *s, unsigned int percent)
{
	if (!chance(r, percent))
		return;
	s->sqe_flags |= IOSQE_BUFFER_SELECT;
	s->buf = below(r, BGID_NR);
	if (chance(r, 50))
		s->len = 0;
}

void fz_gen_sqe(struct fz_rng *r, struct fz_sqe *s, bool app)
{
	const struct op_info *op;

	memset(s, 0, sizeof(*s));
	s->op = pick_op(r, app);
	op = &ops[s->op];
	s->fd = op->nr_fds && chance(r, 95) ? pick_fd(r, op) : below(r, FD_NR);
	s->buf = chance(r, 92) ? below(r, 6) : below(r, FZ_DATA);
	s->opt = rnd(r);
	s->len = PICK(r, 1U, 8U, 8U, 16U, 64U, 512U, 512U, 4096U);
	s->off = PICK(r, 0ULL, 0ULL, 512ULL, 4096ULL, ~0ULL);
	gen_flags(r, s, app);
	switch (s->op) {
	case OP_READ:
	case OP_READV:
	case OP_RECVMSG:
		gen_select(r, s, 15);
		break;
	case OP_RECV:
		gen_select(r, s, 45);
		break;
	case OP_READ_MULTI:
		gen_select(r, s, 95);
		break;
	case OP_WRITE:
		if (s->fd == FD_EVENT0 || s->fd == FD_EVENT1)
			s->len = 8;
		break;
	}
}
