/* SPDX-License-Identifier: GPL-2.0 */
/* A request of each opcode, which completes without further help */
#ifndef IOU_OPCODE_H
#define IOU_OPCODE_H

#include "process.h"

#include <linux/futex.h>
#include <linux/openat2.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "mode.h"
#include "flow.skel.h"

#define UNKNOWN	0x0b0d7ULL
#define GROUP	1
#define LEN	16
#define SIZE	4096
#define XATTR	"user.iou_bpf"

/* slot in the table of fixed files */
#define SLOT_FILE	0
#define SLOT_FREE	1
#define NR_SLOTS	4

FIXTURE(opcode) {
	struct io_uring ring;
	/* target of messages */
	struct io_uring target;
	struct flow *flow;
	struct mode *mode;
	struct bpf_link *link;
	/* has SIZE bytes, and is in SLOT_FILE */
	int file;
	/* source and destination of copies */
	int pipe[2];
	int out[2];
	/* read end of a pipe without a writer, and an epoll that watches it */
	int eof;
	int epoll;
	int sock[2];
	int listen;
	/* for a single opcode */
	int fd;
	pid_t pid;
	char dir[128];
	char a[160];
	char b[160];
	/* registered */
	char *buf;
};

/* Memory that SQEs refer to */
static struct iovec op_iov;
static struct msghdr op_msg = { .msg_iov = &op_iov, .msg_iovlen = 1 };
static struct __kernel_timespec op_timeout = { .tv_nsec = 1 };
static struct open_how op_how;
static struct statx op_statx;
static struct epoll_event op_event;
static struct sockaddr_un op_addr, op_any = { .sun_family = AF_UNIX };
static socklen_t op_addr_len;
static siginfo_t op_info;
static __u32 op_word;
static struct futex_waitv op_waitv = {
	.val	= 1,
	.flags	= FUTEX2_SIZE_U32,
};
static int op_fds[2];
static int op_no_file = -1;

static inline bool op_prep_file(FIXTURE_DATA(opcode) *self,
				struct io_uring_sqe *sqe, int op)
{
	switch (op) {
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
	case IORING_OP_READV_FIXED:
	case IORING_OP_WRITEV_FIXED:
		io_uring_prep_rw(op, sqe, self->file, &op_iov, 1, 0);
		return true;
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_READ_FIXED:
	case IORING_OP_WRITE_FIXED:
		io_uring_prep_rw(op, sqe, self->file, self->buf, LEN, 0);
		return true;
	case IORING_OP_FSYNC:
	case IORING_OP_SYNC_FILE_RANGE:
	case IORING_OP_FADVISE:
		io_uring_prep_rw(op, sqe, self->file, NULL, 0, 0);
		return true;
	case IORING_OP_FALLOCATE:
		io_uring_prep_fallocate(sqe, self->file, 0, 0, SIZE);
		return true;
	case IORING_OP_FTRUNCATE:
		io_uring_prep_rw(op, sqe, self->file, NULL, 0, SIZE);
		return true;
	case IORING_OP_FSETXATTR:
		io_uring_prep_fsetxattr(sqe, self->file, XATTR, "data", 0, 4);
		return true;
	case IORING_OP_FGETXATTR:
		io_uring_prep_fgetxattr(sqe, self->file, XATTR, self->buf, LEN);
		return true;
	case IORING_OP_FIXED_FD_INSTALL:
		io_uring_prep_rw(op, sqe, SLOT_FILE, NULL, 0, 0);
		sqe->flags = IOSQE_FIXED_FILE;
		return true;
	case IORING_OP_CLOSE:
		io_uring_prep_close(sqe, self->fd);
		return true;
	}
	return false;
}

static inline bool op_prep_pipe(FIXTURE_DATA(opcode) *self,
				struct io_uring_sqe *sqe, int op)
{
	switch (op) {
	case IORING_OP_POLL_ADD:
		io_uring_prep_poll_add(sqe, self->pipe[0], POLLIN);
		return true;
	case IORING_OP_EPOLL_CTL:
		io_uring_prep_epoll_ctl(sqe, self->epoll, self->pipe[0],
					EPOLL_CTL_ADD, &op_event);
		return true;
	case IORING_OP_EPOLL_WAIT:
		io_uring_prep_rw(op, sqe, self->epoll, &op_event, 1, 0);
		return true;
	case IORING_OP_SPLICE:
		io_uring_prep_splice(sqe, self->pipe[0], -1, self->out[1], -1,
				     4, 0);
		return true;
	case IORING_OP_TEE:
		io_uring_prep_tee(sqe, self->pipe[0], self->out[1], 4, 0);
		return true;
	/* one completion, which reports the end of the data */
	case IORING_OP_READ_MULTISHOT:
		io_uring_prep_rw(op, sqe, self->eof, NULL, 0, 0);
		sqe->flags = IOSQE_BUFFER_SELECT;
		sqe->buf_group = GROUP;
		return true;
	case IORING_OP_PIPE:
		io_uring_prep_rw(op, sqe, 0, op_fds, 0, 0);
		return true;
	}
	return false;
}

static inline bool op_prep_net(FIXTURE_DATA(opcode) *self,
			       struct io_uring_sqe *sqe, int op)
{
	switch (op) {
	case IORING_OP_SENDMSG:
	case IORING_OP_RECVMSG:
	/* AF_UNIX has no zero-copy send, but notifies of the end */
	case IORING_OP_SENDMSG_ZC:
		io_uring_prep_rw(op, sqe, self->sock[0], &op_msg, 1, 0);
		return true;
	case IORING_OP_SEND:
	case IORING_OP_RECV:
	case IORING_OP_SEND_ZC:
		io_uring_prep_rw(op, sqe, self->sock[0], self->buf, LEN, 0);
		return true;
	case IORING_OP_ACCEPT:
		io_uring_prep_rw(op, sqe, self->listen, NULL, 0, 0);
		return true;
	case IORING_OP_LISTEN:
		io_uring_prep_rw(op, sqe, self->listen, NULL, LEN, 0);
		return true;
	case IORING_OP_CONNECT:
		io_uring_prep_rw(op, sqe, self->fd, &op_addr, 0, op_addr_len);
		return true;
	case IORING_OP_BIND:
		io_uring_prep_rw(op, sqe, self->fd, &op_any, 0,
				 sizeof(op_any.sun_family));
		return true;
	case IORING_OP_SHUTDOWN:
		io_uring_prep_rw(op, sqe, self->fd, NULL, SHUT_RDWR, 0);
		return true;
	case IORING_OP_SOCKET:
		io_uring_prep_rw(op, sqe, AF_UNIX, NULL, 0, SOCK_STREAM);
		return true;
	case IORING_OP_URING_CMD:
		io_uring_prep_rw(op, sqe, self->sock[0], NULL, 0,
				 SOCKET_URING_OP_GETSOCKOPT);
		sqe->level = SOL_SOCKET;
		sqe->optname = SO_TYPE;
		sqe->optlen = sizeof(int);
		sqe->optval = (unsigned long)self->buf;
		return true;
	}
	return false;
}

static inline bool op_prep_path(FIXTURE_DATA(opcode) *self,
				struct io_uring_sqe *sqe, int op)
{
	switch (op) {
	case IORING_OP_OPENAT:
		io_uring_prep_openat(sqe, AT_FDCWD, self->dir, O_RDONLY, 0);
		return true;
	case IORING_OP_OPENAT2:
		io_uring_prep_openat2(sqe, AT_FDCWD, self->dir, &op_how);
		return true;
	case IORING_OP_STATX:
		io_uring_prep_statx(sqe, AT_FDCWD, self->dir, 0, STATX_SIZE,
				    &op_statx);
		return true;
	case IORING_OP_RENAMEAT:
		io_uring_prep_renameat(sqe, AT_FDCWD, self->a, AT_FDCWD,
				       self->b, 0);
		return true;
	case IORING_OP_UNLINKAT:
		io_uring_prep_unlinkat(sqe, AT_FDCWD, self->a, 0);
		return true;
	case IORING_OP_MKDIRAT:
		io_uring_prep_mkdirat(sqe, AT_FDCWD, self->b, 0700);
		return true;
	case IORING_OP_SYMLINKAT:
		io_uring_prep_symlinkat(sqe, "to", AT_FDCWD, self->b);
		return true;
	case IORING_OP_LINKAT:
		io_uring_prep_linkat(sqe, AT_FDCWD, self->a, AT_FDCWD, self->b,
				     0);
		return true;
	case IORING_OP_SETXATTR:
		io_uring_prep_setxattr(sqe, XATTR, "data", self->dir, 0, 4);
		return true;
	case IORING_OP_GETXATTR:
		io_uring_prep_getxattr(sqe, XATTR, self->buf, self->dir, LEN);
		return true;
	}
	return false;
}

static inline bool op_prep_wait(FIXTURE_DATA(opcode) *self,
				struct io_uring_sqe *sqe, int op)
{
	switch (op) {
	case IORING_OP_TIMEOUT:
		io_uring_prep_timeout(sqe, &op_timeout, 0, 0);
		return true;
	case IORING_OP_POLL_REMOVE:
	case IORING_OP_TIMEOUT_REMOVE:
	case IORING_OP_ASYNC_CANCEL:
		io_uring_prep_rw(op, sqe, -1, NULL, 0, 0);
		sqe->addr = UNKNOWN;
		return true;
	case IORING_OP_WAITID:
		io_uring_prep_rw(op, sqe, self->pid, NULL, P_PID,
				 (unsigned long)&op_info);
		sqe->file_index = WEXITED | WNOWAIT;
		return true;
	/* the futex word is not 1 */
	case IORING_OP_FUTEX_WAIT:
	case IORING_OP_FUTEX_WAKE:
		io_uring_prep_rw(op, sqe, FUTEX2_SIZE_U32, &op_word, 0, 1);
		sqe->addr3 = ~0U;
		return true;
	case IORING_OP_FUTEX_WAITV:
		io_uring_prep_rw(op, sqe, 0, &op_waitv, 1, 0);
		return true;
	}
	return false;
}

static inline bool op_prep_ring(FIXTURE_DATA(opcode) *self,
				struct io_uring_sqe *sqe, int op)
{
	switch (op) {
	case IORING_OP_NOP:
		iou_prep_nop(sqe, 5, 0, 0);
		return true;
	case IORING_OP_MSG_RING:
		io_uring_prep_msg_ring(sqe, self->target.ring_fd, 5, 0, 0);
		return true;
	case IORING_OP_FILES_UPDATE:
		io_uring_prep_files_update(sqe, &op_no_file, 1, SLOT_FREE);
		return true;
	case IORING_OP_PROVIDE_BUFFERS:
		io_uring_prep_provide_buffers(sqe, self->buf, LEN, 2, GROUP, 0);
		return true;
	/* fewer than all, to leave some for reads */
	case IORING_OP_REMOVE_BUFFERS:
		io_uring_prep_remove_buffers(sqe, 1, GROUP);
		return true;
	case IORING_OP_MADVISE:
		io_uring_prep_madvise(sqe, self->buf, SIZE, MADV_NORMAL);
		return true;
	}
	return false;
}

/* Return false for an unknown opcode. */
static inline bool op_prep(FIXTURE_DATA(opcode) *self, struct io_uring_sqe *sqe,
			   int op)
{
	memset(sqe, 0, sizeof(*sqe));
	return op_prep_file(self, sqe, op) || op_prep_pipe(self, sqe, op) ||
	       op_prep_net(self, sqe, op) || op_prep_path(self, sqe, op) ||
	       op_prep_wait(self, sqe, op) || op_prep_ring(self, sqe, op);
}

/* Create the state that the request requires. Return 0 or an error. */
static inline int op_before(FIXTURE_DATA(opcode) *self, int op)
{
	switch (op) {
	case IORING_OP_POLL_ADD:
	case IORING_OP_SPLICE:
	case IORING_OP_TEE:
		return write(self->pipe[1], "data", 4) == 4 ? 0 : -errno;
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
		return write(self->sock[1], "data", 4) == 4 ? 0 : -errno;
	case IORING_OP_CLOSE:
		self->fd = dup(self->pipe[0]);
		return self->fd < 0 ? -errno : 0;
	case IORING_OP_CONNECT:
	case IORING_OP_BIND:
	case IORING_OP_SHUTDOWN:
		self->fd = socket(AF_UNIX, SOCK_STREAM, 0);
		return self->fd < 0 ? -errno : 0;
	case IORING_OP_ACCEPT:
		self->fd = socket(AF_UNIX, SOCK_STREAM, 0);
		return connect(self->fd, (void *)&op_addr, op_addr_len) ?
		       -errno : 0;
	case IORING_OP_RENAMEAT:
	case IORING_OP_UNLINKAT:
	case IORING_OP_LINKAT:
		return mknod(self->a, S_IFREG | 0600, 0) ? -errno : 0;
	case IORING_OP_WAITID:
		self->pid = fork();
		if (!self->pid)
			_exit(0);
		return waitid(P_PID, self->pid, &op_info, WEXITED | WNOWAIT) ?
		       -errno : 0;
	}
	return 0;
}

static inline void op_drain(int fd)
{
	char buf[SIZE];

	while (iou_fd_gets(fd, POLLIN, 0) && read(fd, buf, sizeof(buf)) > 0)
		;
}

/* Restore the previous state. */
static inline void op_after(FIXTURE_DATA(opcode) *self, int op)
{
	op_drain(self->pipe[0]);
	op_drain(self->out[0]);
	op_drain(self->sock[0]);
	op_drain(self->sock[1]);
	if (self->fd >= 0 && op != IORING_OP_CLOSE)
		close(self->fd);
	self->fd = -1;
	if (op == IORING_OP_CONNECT && iou_fd_gets(self->listen, POLLIN, 0))
		close(accept(self->listen, NULL, NULL));
	if (op == IORING_OP_EPOLL_CTL)
		epoll_ctl(self->epoll, EPOLL_CTL_DEL, self->pipe[0], NULL);
	if (op == IORING_OP_WAITID)
		waitpid(self->pid, NULL, 0);
	if (op == IORING_OP_MSG_RING)
		io_uring_cq_advance(&self->target,
				    io_uring_cq_ready(&self->target));
	if (op == IORING_OP_MKDIRAT)
		rmdir(self->b);
	unlink(self->a);
	unlink(self->b);
}

#endif
