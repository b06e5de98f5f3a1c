// SPDX-License-Identifier: GPL-2.0
/* Printing of numbers, flags and requests of a case */
#include "env.h"
#include "print.h"

/* first descriptor of the environment that fill() fakes for fz_fill() */
#define FAKE_FD		1000

static const struct name sqe_names[] = {
	{ IOSQE_FIXED_FILE, "FIXED_FILE" }, { IOSQE_IO_DRAIN, "DRAIN" },
	{ IOSQE_IO_LINK, "LINK" }, { IOSQE_IO_HARDLINK, "HARDLINK" },
	{ IOSQE_ASYNC, "ASYNC" }, { IOSQE_BUFFER_SELECT, "BUFFER_SELECT" },
	{ IOSQE_CQE_SKIP_SUCCESS, "CQE_SKIP_SUCCESS" }, { }
};

#define OPCODE(x) [IORING_OP_##x] = #x
static const char *const opcodes[IORING_OP_LAST] = {
	OPCODE(NOP), OPCODE(READV), OPCODE(WRITEV), OPCODE(FSYNC), OPCODE(READ_FIXED),
	OPCODE(WRITE_FIXED), OPCODE(POLL_ADD), OPCODE(POLL_REMOVE),
	OPCODE(SYNC_FILE_RANGE), OPCODE(SENDMSG), OPCODE(RECVMSG), OPCODE(TIMEOUT),
	OPCODE(TIMEOUT_REMOVE), OPCODE(ACCEPT), OPCODE(ASYNC_CANCEL),
	OPCODE(LINK_TIMEOUT), OPCODE(CONNECT), OPCODE(FALLOCATE), OPCODE(OPENAT),
	OPCODE(CLOSE), OPCODE(FILES_UPDATE), OPCODE(STATX), OPCODE(READ),
	OPCODE(WRITE), OPCODE(FADVISE), OPCODE(MADVISE), OPCODE(SEND), OPCODE(RECV),
	OPCODE(OPENAT2), OPCODE(EPOLL_CTL), OPCODE(SPLICE), OPCODE(PROVIDE_BUFFERS),
	OPCODE(REMOVE_BUFFERS), OPCODE(TEE), OPCODE(SHUTDOWN), OPCODE(RENAMEAT),
	OPCODE(UNLINKAT), OPCODE(MKDIRAT), OPCODE(SYMLINKAT), OPCODE(LINKAT),
	OPCODE(MSG_RING), OPCODE(FSETXATTR), OPCODE(SETXATTR), OPCODE(FGETXATTR),
	OPCODE(GETXATTR), OPCODE(SOCKET), OPCODE(URING_CMD), OPCODE(SEND_ZC),
	OPCODE(SENDMSG_ZC), OPCODE(READ_MULTISHOT), OPCODE(WAITID),
	OPCODE(FUTEX_WAIT), OPCODE(FUTEX_WAKE), OPCODE(FUTEX_WAITV),
	OPCODE(FIXED_FD_INSTALL), OPCODE(FTRUNCATE), OPCODE(BIND), OPCODE(LISTEN),
	OPCODE(RECV_ZC), OPCODE(EPOLL_WAIT), OPCODE(READV_FIXED),
	OPCODE(WRITEV_FIXED), OPCODE(PIPE), OPCODE(NOP128), OPCODE(URING_CMD128),
	OPCODE(BPF),
};

#define FD(x) [FD_##x] = #x
static const char *const fd_names[FD_NR] = {
	FD(PIPE0_R), FD(PIPE0_W), FD(PIPE1_R), FD(PIPE1_W), FD(EVENT0), FD(EVENT1),
	FD(SOCK_A), FD(SOCK_B), FD(DATA_A), FD(DATA_B), FD(MSG), FD(LISTEN), FD(FILE),
	FD(DIRECT), FD(NULLB), FD(ZERO), FD(EPOLL), FD(TIMER), FD(DIR), FD(DUP),
	FD(BAD), FD(TCP_A), FD(TCP_B), FD(RING0), FD(RING1), FD(RING2),
};

#define MEM(x) { #x, offsetof(struct fz_mem, x), sizeof(((struct fz_mem *)0)->x), \
		 sizeof(((struct fz_mem *)0)->x[0]) }
#define MEM1(x) { #x, offsetof(struct fz_mem, x), sizeof(((struct fz_mem *)0)->x), 0 }
static const struct {
	const char *name;
	size_t start, size, one;
} members[] = {
	MEM(data), MEM(provided), MEM(msgs), MEM(iov), MEM(msg), MEM(ts), MEM1(un),
	MEM(ev), MEM(waitv), MEM1(statx), MEM1(info), MEM(futex), MEM1(one), MEM(fds), MEM(pipe),
	MEM(path), { }
};

static struct fz_mem fake_mem;
static char fake_hole[1];

/* Print the names of bits, and bits without a name as a number. */
void fz_put_flags(FILE *f, const struct name *n, __u64 v)
{
	const char *sep = "";

	if (!v)
		fputc('0', f);
	for (; n->name; n++) {
		if (!(v & n->bit))
			continue;
		fprintf(f, "%s%s", sep, n->name);
		v &= ~n->bit;
		sep = "|";
	}
	if (v)
		fprintf(f, "%s%#llx", sep, (unsigned long long)v);
}

void fz_put_opcode(FILE *f, unsigned int op)
{
	if (op == FZ_ANY_OPCODE)
		fputs("any opcode", f);
	else if (op < IORING_OP_LAST && opcodes[op])
		fputs(opcodes[op], f);
	else
		fprintf(f, "opcode %u", op);
}

void fz_put_number(FILE *f, __u64 v)
{
	if (v + 4096 < 4096)
		fprintf(f, "%lld", (long long)v);
	else if (v < 10000)
		fprintf(f, "%llu", (unsigned long long)v);
	else
		fprintf(f, "%#llx", (unsigned long long)v);
}

const char *fz_fd_name(unsigned int fd)
{
	return fd_names[fd];
}

/* Print an address, a user_data or a number. */
static void value(FILE *f, __u64 v)
{
	size_t at = v - (unsigned long)&fake_mem, i;

	if (v >> 32 == FZ_COOKIE) {
		fprintf(f, "user_data %u", (__u32)v);
		return;
	}
	if (v == (unsigned long)fake_hole) {
		fputs("hole", f);
		return;
	}
	for (i = 0; at < sizeof(fake_mem) && members[i].name; i++) {
		if (at - members[i].start >= members[i].size)
			continue;
		at -= members[i].start;
		fprintf(f, "&%s", members[i].name);
		if (members[i].one)
			fprintf(f, "[%zu]", at / members[i].one);
		if (members[i].one && at % members[i].one)
			fprintf(f, " + %zu", at % members[i].one);
		return;
	}
	fz_put_number(f, v);
}

static void descriptor(FILE *f, __s32 fd, bool fixed)
{
	if (fixed && fd >= 0 && fd < FD_IN_TABLE)
		fprintf(f, "fixed %s", fd_names[fd]);
	else if (fixed)
		fprintf(f, "fixed %d", fd);
	else if (fd >= FAKE_FD && fd < FAKE_FD + FD_NR)
		fputs(fd_names[fd - FAKE_FD], f);
	else
		fprintf(f, "%d", fd);
}

static void fill(const struct fz_case *c, const struct fz_sqe *s,
		 struct io_uring_sqe *q)
{
	static struct fz_env e;
	unsigned int i;

	e.mem = &fake_mem;
	e.hole = fake_hole;
	e.c = c;
	for (i = 0; i < FD_NR; i++)
		e.fds[i] = FAKE_FD + i;
	/* the registered personalities, see fz_fill() */
	e.rings[0].personality[0] = 1;
	e.rings[0].personality[1] = 2;
	fz_fill(&e, c, s, q);
}

static void field(FILE *f, const char *name, __u64 v)
{
	if (!v)
		return;
	fprintf(f, ", %s=", name);
	value(f, v);
}

/* Print the members that are common to all requests. */
static void common(FILE *f, const struct fz_sqe *s, const struct io_uring_sqe *q)
{
	fprintf(f, ", user_data=%u", s->id);
	if (q->flags) {
		fputs(", flags=", f);
		fz_put_flags(f, sqe_names, q->flags);
	}
	if (q->personality == 77)
		fputs(", personality=unknown", f);
	else if (q->personality)
		fprintf(f, ", personality=%s", q->personality == 1 ? "root" : "uid 1001");
}

void fz_put_sqe(FILE *f, const struct fz_case *c, const struct fz_sqe *s)
{
	struct io_uring_sqe q;

	fill(c, s, &q);
	if (s->op == OP_FLOW) {
		fprintf(f, "flow(slot=%u, table=%u", s->len & 1, (int)s->off & 1);
		fprintf(f, ", state[1]=%#x", s->opt);
		common(f, s, &q);
		fputc(')', f);
		return;
	}
	fprintf(f, "sqe(%s", fz_op_name(s->op));
	if (s->op == OP_RAW) {
		fputc(' ', f);
		fz_put_opcode(f, q.opcode);
	}
	fputs(", fd=", f);
	descriptor(f, q.fd, q.flags & IOSQE_FIXED_FILE);
	field(f, "ioprio", q.ioprio);
	field(f, "addr", q.addr);
	field(f, "len", q.len);
	if (s->op == OP_EPOLL_CTL) {
		fputs(", off=", f);
		descriptor(f, q.off, false);
	} else {
		field(f, "off", q.off);
	}
	if (q.rw_flags)
		fprintf(f, ", op_flags=%#x", q.rw_flags);
	field(f, "buf_index", q.buf_index);
	if (s->op == OP_SPLICE || s->op == OP_TEE) {
		fputs(", splice_fd_in=", f);
		descriptor(f, q.splice_fd_in, false);
	} else {
		field(f, "file_index", q.file_index);
	}
	field(f, "addr3", q.addr3);
	common(f, s, &q);
	if (s->opt)
		fprintf(f, ", opt=%#x", s->opt);
	fputc(')', f);
}
