// SPDX-License-Identifier: GPL-2.0
/* Conversion of requests of a case to SQEs, with real descriptors and addresses */
#include "env.h"

#include <linux/stat.h>
#include <poll.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#ifndef SOCKET_URING_OP_SIOCINQ
#define SOCKET_URING_OP_SIOCINQ 0
#endif
/* BLOCK_URING_CMD_DISCARD = _IO(0x12, 0) of linux/blkdev.h, absent from old headers */
#define FZ_BLOCK_DISCARD	0x1200

static __u64 addr_of(struct fz_env *e, __u8 buf)
{
	if (buf == BUF_HOLE)
		return (unsigned long)e->hole;
	if (buf == BUF_BAD)
		return 0xdead0000;
	return (unsigned long)e->mem->data[buf % FZ_DATA];
}

/* Return the address of an iovec array, which may be in the absent page. */
static __u64 vec_of(struct fz_env *e, __u8 buf)
{
	if (buf == BUF_HOLE)
		return (unsigned long)e->hole;
	return (unsigned long)e->mem->iov[buf % FZ_DATA];
}

static __u64 msg_of(struct fz_env *e, __u8 buf)
{
	if (buf == BUF_HOLE)
		return (unsigned long)e->hole;
	return (unsigned long)&e->mem->msg[buf % FZ_DATA];
}

static void fill_rw(struct fz_env *e, const struct fz_sqe *s,
		    struct io_uring_sqe *q)
{
	q->addr = addr_of(e, s->buf);
	q->len = s->len;
	q->off = s->off;
	if (s->op == OP_READV || s->op == OP_WRITEV) {
		q->addr = vec_of(e, s->buf);
		q->len = 1 + (s->opt & 1);
	}
	if (s->op == OP_READ_FIXED || s->op == OP_WRITE_FIXED) {
		/* buffer 1 is the memory of the ring, see fz_ring_buffers() */
		q->buf_index = s->opt % 4 == 1 ? 2 : s->opt % 4;
		q->addr = (unsigned long)e->mem->data[q->buf_index * 2 % FZ_DATA];
	}
	/* other values would fail, or block */
	if (s->op == OP_WRITE && (s->fd == FD_EVENT0 || s->fd == FD_EVENT1))
		q->addr = (unsigned long)&e->mem->one;
	if (s->sqe_flags & IOSQE_BUFFER_SELECT) {
		q->addr = s->op == OP_READV ? q->addr : 0;
		q->buf_group = s->buf;
	}
	if (s->op == OP_READ_MULTI)
		q->len = 0;
}

static void fill_net(struct fz_env *e, const struct fz_sqe *s,
		     struct io_uring_sqe *q)
{
	q->addr = addr_of(e, s->buf);
	q->len = s->len;
	if (s->op == OP_SENDMSG || s->op == OP_RECVMSG || s->op == OP_SENDMSG_ZC) {
		q->addr = msg_of(e, s->buf);
		q->len = 1;
	}
	if (s->opt & 1)
		q->msg_flags |= MSG_DONTWAIT;
	if ((s->opt & 6) == 6)
		q->msg_flags |= MSG_WAITALL;
	if ((s->opt & 0x18) == 0x18)
		q->ioprio |= IORING_RECVSEND_POLL_FIRST;
	if (s->sqe_flags & IOSQE_BUFFER_SELECT) {
		q->buf_group = s->buf;
		q->addr = s->op == OP_RECVMSG ? q->addr : 0;
		if (s->opt & 0x20) {
			q->ioprio |= IORING_RECV_MULTISHOT;
			q->len = s->op == OP_RECVMSG ? q->len : 0;
			q->msg_flags &= ~MSG_WAITALL;
		}
		if (s->op == OP_RECV && (s->opt & 0xc0) == 0xc0)
			q->ioprio |= IORING_RECVSEND_BUNDLE;
	}
	if ((s->op == OP_SEND_ZC || s->op == OP_SENDMSG_ZC) && (s->opt & 0x100))
		q->ioprio |= IORING_SEND_ZC_REPORT_USAGE;
	if (s->op == OP_SEND_ZC && (s->opt & 0x600) == 0x600) {
		q->ioprio |= IORING_RECVSEND_FIXED_BUF;
		q->buf_index = 0;
		q->addr = (unsigned long)e->mem->data[0];
	}
	if (s->op == OP_MSG) {
		q->addr = (unsigned long)e->mem->msgs[0];
		q->len = 8;
		q->msg_flags = 0;
		q->ioprio = 0;
	}
}

static void fill_time(struct fz_env *e, const struct fz_sqe *s,
		      struct io_uring_sqe *q)
{
	q->fd = -1;
	q->len = 1;
	q->addr = (unsigned long)&e->mem->ts[s->opt % 5];
	if (s->op == OP_TIMEOUT_REMOVE) {
		q->addr = fz_ud(s->len);
		q->len = 0;
		if (s->opt & 0x100) {
			q->timeout_flags = IORING_TIMEOUT_UPDATE;
			q->off = (unsigned long)&e->mem->ts[1];
			if (s->opt & 0x200)
				q->timeout_flags |= IORING_LINK_TIMEOUT_UPDATE;
		}
		return;
	}
	if (s->opt & 0x100)
		q->timeout_flags |= IORING_TIMEOUT_ETIME_SUCCESS;
	if (s->op == OP_LINK_TIMEOUT)
		return;
	if ((s->opt & 0x600) == 0x600)
		q->off = 1 + (s->opt >> 12) % 4;
	if ((s->opt & 0x1800) == 0x1800) {
		q->timeout_flags |= IORING_TIMEOUT_MULTISHOT;
		q->off = (s->opt >> 12) % 4;
	}
}

static void fill_cancel(const struct fz_sqe *s, struct io_uring_sqe *q)
{
	q->addr = fz_ud(s->len);
	switch (s->opt % 6) {
	case 0:
		q->cancel_flags = IORING_ASYNC_CANCEL_ANY;
		break;
	case 1:
		q->cancel_flags = IORING_ASYNC_CANCEL_FD;
		if (s->sqe_flags & IOSQE_FIXED_FILE) {
			q->flags &= ~IOSQE_FIXED_FILE;
			q->cancel_flags |= IORING_ASYNC_CANCEL_FD_FIXED;
		}
		break;
	case 2:
		q->cancel_flags = IORING_ASYNC_CANCEL_OP;
		q->len = PICK(&(struct fz_rng){ s->off + s->len }, IORING_OP_BPF,
			      IORING_OP_POLL_ADD, IORING_OP_READ, IORING_OP_TIMEOUT);
		break;
	case 3:
		q->cancel_flags = IORING_ASYNC_CANCEL_USERDATA;
		break;
	}
	if (s->opt & 0x100)
		q->cancel_flags |= IORING_ASYNC_CANCEL_ALL;
	if (q->cancel_flags & IORING_ASYNC_CANCEL_FD)
		return;
	q->fd = -1;
	q->flags &= ~IOSQE_FIXED_FILE;
}

/* Requests that open a file, as a direct or normal descriptor. */
static void fill_opens(struct fz_env *e, const struct fz_sqe *s,
		       struct io_uring_sqe *q)
{
	__u32 place = s->opt & 0x40 ? IORING_FILE_INDEX_ALLOC :
		      TABLE_FREE + (s->opt >> 8) % 8 - 1;

	if (place == TABLE_LIFELINE)
		place--;
	if (s->opt & 0x20)
		q->file_index = place == IORING_FILE_INDEX_ALLOC ? place : place + 1;
	switch (s->op) {
	case OP_OPENAT:
		q->fd = AT_FDCWD;
		q->flags &= ~IOSQE_FIXED_FILE;
		q->addr = (unsigned long)e->mem->path[s->opt % 4];
		q->open_flags = s->opt & 0x80 ? O_RDWR | O_CREAT : O_RDONLY;
		q->len = 0600;
		break;
	case OP_ACCEPT:
		if (s->opt & 1)
			q->ioprio |= IORING_ACCEPT_MULTISHOT;
		if ((s->opt & 0xe) == 0xe)
			q->ioprio |= IORING_ACCEPT_DONTWAIT;
		break;
	case OP_SOCKET:
		q->fd = AF_UNIX;
		q->off = SOCK_STREAM;
		q->flags &= ~IOSQE_FIXED_FILE;
		break;
	case OP_PIPE:
		q->fd = 0;
		q->flags &= ~IOSQE_FIXED_FILE;
		q->addr = (unsigned long)e->mem->pipe;
		break;
	case OP_FD_INSTALL:
		q->flags |= IOSQE_FIXED_FILE;
		q->file_index = 0;
		break;
	}
}

static void fill_buffers(struct fz_env *e, const struct fz_sqe *s,
			 struct io_uring_sqe *q)
{
	q->flags &= ~IOSQE_FIXED_FILE;
	q->fd = 1 + s->opt % 4;
	q->buf_group = BGID_CLASSIC;
	if (s->op == OP_REMOVE)
		return;
	q->addr = (unsigned long)e->mem->provided[BGID_CLASSIC];
	q->len = 256;
	q->off = (s->opt >> 4) % 4;
}

static void fill_wait(struct fz_env *e, const struct fz_sqe *s,
		      struct io_uring_sqe *q)
{
	q->flags &= ~IOSQE_FIXED_FILE;
	switch (s->op) {
	case OP_FUTEX_WAIT:
	case OP_FUTEX_WAKE:
		q->fd = FUTEX2_SIZE_U32 | (s->opt & 4 ? FUTEX2_PRIVATE : 0);
		q->addr = (unsigned long)&e->mem->futex[s->opt & 3];
		q->off = s->op == OP_FUTEX_WAKE;
		q->addr3 = FUTEX_BITSET_MATCH_ANY;
		break;
	case OP_FUTEX_WAITV:
		q->fd = -1;
		q->addr = (unsigned long)e->mem->waitv;
		q->len = 1 + (s->opt & 1);
		break;
	case OP_WAITID:
		q->fd = 0;
		q->len = P_ALL;
		q->file_index = WEXITED | (s->opt & 1 ? WNOHANG : 0);
		q->off = (unsigned long)&e->mem->info;
		break;
	case OP_EPOLL_WAIT:
		q->fd = e->fds[FD_EPOLL];
		q->addr = (unsigned long)e->mem->ev;
		q->len = 1 + (s->opt & 1);
		break;
	case OP_EPOLL_CTL:
		q->fd = e->fds[FD_EPOLL];
		q->len = s->opt & 1 ? EPOLL_CTL_DEL : EPOLL_CTL_ADD;
		q->off = e->fds[s->opt & 2 ? FD_EVENT1 : FD_DATA_A];
		q->addr = (unsigned long)&e->mem->ev[3];
		break;
	}
}

static void fill_msg_ring(struct fz_env *e, const struct fz_sqe *s,
			  struct io_uring_sqe *q)
{
	q->flags &= ~IOSQE_FIXED_FILE;
	/* user_data whose CQEs are not counted */
	q->off = fz_ud(0);
	q->len = s->len;
	if ((s->opt & 3) == 3) {
		q->addr = IORING_MSG_SEND_FD;
		q->len = 0;
		q->addr3 = FD_ZERO;
		q->file_index = TABLE_FREE + 1;
	}
	if (s->opt & 4)
		q->msg_ring_flags = IORING_MSG_RING_CQE_SKIP;
}

static void fill_rest(struct fz_env *e, const struct fz_sqe *s,
		      struct io_uring_sqe *q)
{
	switch (s->op) {
	case OP_STATX:
		q->fd = AT_FDCWD;
		q->flags &= ~IOSQE_FIXED_FILE;
		q->addr = (unsigned long)e->mem->path[1];
		q->len = STATX_BASIC_STATS;
		q->off = (unsigned long)&e->mem->statx;
		break;
	case OP_FALLOCATE:
		q->addr = 8192;
		q->off = 4096;
		break;
	case OP_FTRUNCATE:
		q->off = 16384;
		break;
	case OP_FADVISE:
		q->len = 4096;
		q->fadvise_advice = POSIX_FADV_DONTNEED;
		break;
	case OP_SHUTDOWN:
		q->len = s->opt & 1 ? SHUT_WR : SHUT_RD;
		break;
	case OP_CONNECT:
		q->addr = (unsigned long)&e->mem->un;
		q->off = sizeof(e->mem->un.sun_family) + 12;
		break;
	case OP_SPLICE:
	case OP_TEE:
		q->len = s->len;
		q->splice_fd_in = e->fds[s->opt & 1 ? FD_PIPE1_R : FD_PIPE0_R];
		q->splice_off_in = -1;
		q->off = -1;
		if (s->opt & 2)
			q->splice_flags = 2; /* SPLICE_F_NONBLOCK */
		break;
	case OP_FILES_UPDATE:
		q->fd = -1;
		q->flags &= ~IOSQE_FIXED_FILE;
		q->addr = (unsigned long)e->mem->fds;
		q->len = 1;
		q->off = s->opt & 1 ? FD_DUP : TABLE_FREE + 2;
		break;
	case OP_URING_CMD:
		q->addr3 = 4096;
		q->addr = 0;
		q->cmd_op = s->fd == FD_NULLB ? FZ_BLOCK_DISCARD :
			    SOCKET_URING_OP_SIOCINQ;
		break;
	}
}

/* Any opcode with random arguments, except opcodes that could break the worker. */
static void fill_raw(struct fz_env *e, const struct fz_sqe *s,
		     struct io_uring_sqe *q)
{
	q->opcode = s->opt % (IORING_OP_LAST + 2);
	q->addr = s->off & 1 ? 0 : addr_of(e, s->buf);
	q->off = s->off;
	q->len = s->len;
	q->rw_flags = s->opt >> 8;
	q->ioprio = s->opt >> 12;
	q->buf_index = s->opt & 3;
	if (q->opcode == IORING_OP_CLOSE || q->opcode == IORING_OP_MSG_RING ||
	    q->opcode == IORING_OP_FILES_UPDATE || q->opcode == IORING_OP_BPF ||
	    q->opcode == IORING_OP_MADVISE || q->opcode == IORING_OP_UNLINKAT ||
	    q->opcode == IORING_OP_NOP128 || q->opcode == IORING_OP_URING_CMD128 ||
	    q->opcode == IORING_OP_RECV_ZC || q->opcode == IORING_OP_SEND_ZC ||
	    q->opcode == IORING_OP_SENDMSG_ZC || q->opcode == IORING_OP_WAITID ||
	    q->opcode == IORING_OP_PROVIDE_BUFFERS ||
	    q->opcode == IORING_OP_LINK_TIMEOUT || q->opcode == IORING_OP_TIMEOUT)
		q->opcode = IORING_OP_NOP;
}

/* Convert request @s of a case to SQE @q. */
void fz_fill(struct fz_env *e, const struct fz_case *c, const struct fz_sqe *s,
	     struct io_uring_sqe *q)
{
	memset(q, 0, sizeof(*q));
	q->opcode = fz_op_opcode(s->op);
	q->flags = s->sqe_flags;
	q->user_data = fz_ud(s->id);
	q->fd = s->sqe_flags & IOSQE_FIXED_FILE ? s->fd : e->fds[s->fd];
	if (s->personality)
		/* 77 is not a registered personality */
		q->personality = s->personality < 3 ?
			e->rings[0].personality[s->personality - 1] : 77;
	switch (s->op) {
	case OP_NOP:
		q->fd = -1;
		q->flags &= ~IOSQE_FIXED_FILE;
		if (s->opt & 1) {
			q->nop_flags |= IORING_NOP_INJECT_RESULT;
			q->len = (s->opt & 6) == 6 ? -EIO : s->len;
		}
		if (s->opt & 8)
			q->nop_flags |= IORING_NOP_TW;
		break;
	case OP_READ ... OP_READ_MULTI:
		fill_rw(e, s, q);
		break;
	case OP_POLL:
		q->poll32_events = s->fd == FD_PIPE1_W ? POLLOUT : POLLIN;
		if (s->opt & 1)
			q->len = IORING_POLL_ADD_MULTI;
		if ((s->opt & 6) == 6)
			q->len |= IORING_POLL_ADD_LEVEL;
		break;
	case OP_POLL_REMOVE:
		q->fd = -1;
		q->flags &= ~IOSQE_FIXED_FILE;
		q->addr = fz_ud(s->len);
		if (s->opt & 1) {
			q->len = IORING_POLL_UPDATE_EVENTS;
			q->poll32_events = POLLIN;
		}
		break;
	case OP_TIMEOUT ... OP_LINK_TIMEOUT:
		fill_time(e, s, q);
		break;
	case OP_SEND ... OP_SENDMSG_ZC:
	case OP_MSG:
		fill_net(e, s, q);
		break;
	case OP_CANCEL:
		fill_cancel(s, q);
		break;
	case OP_CLOSE:
		if (s->opt & 1) {
			q->fd = 0;
			q->flags &= ~IOSQE_FIXED_FILE;
			q->file_index = TABLE_FREE + 1 + (s->opt >> 8) % 6;
		} else if (s->fd != FD_DUP) {
			q->fd = -1;
		}
		break;
	case OP_ACCEPT:
	case OP_OPENAT:
	case OP_SOCKET:
	case OP_FD_INSTALL:
	case OP_PIPE:
		fill_opens(e, s, q);
		break;
	case OP_PROVIDE:
	case OP_REMOVE:
		fill_buffers(e, s, q);
		break;
	case OP_EPOLL_CTL ... OP_WAITID:
		fill_wait(e, s, q);
		break;
	case OP_MSG_RING:
		fill_msg_ring(e, s, q);
		break;
	case OP_RAW:
		fill_raw(e, s, q);
		break;
	case OP_FLOW:
		q->fd = -1;
		q->len = s->len & 1;
		break;
	default:
		fill_rest(e, s, q);
	}
}
