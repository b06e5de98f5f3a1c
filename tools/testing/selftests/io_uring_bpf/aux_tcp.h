/* SPDX-License-Identifier: GPL-2.0 */
/* A flow that sends over a TCP connection without a copy */
#ifndef IOU_AUX_TCP_H
#define IOU_AUX_TCP_H

#include <linux/sockios.h>
#include <netinet/tcp.h>

#include "aux.h"
#include "loopback.h"

#define LEN	4096

/* a connection over the loopback device */
static int sender, receiver;
static char data[LEN];

static inline int tcp_connect(void)
{
	struct sockaddr_in addr = {
		.sin_family	= AF_INET,
		.sin_addr	= { htonl(INADDR_LOOPBACK) },
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0), size = 16384, one = 1;
	socklen_t len = sizeof(addr);

	sender = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || sender < 0 || loopback_up(fd))
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* no Nagle: unsent data lacks room, and does not just wait for more data */
	setsockopt(sender, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (void *)&addr, len) || listen(fd, 1) ||
	    getsockname(fd, (void *)&addr, &len) ||
	    connect(sender, (void *)&addr, len))
		return -errno;
	receiver = accept(fd, NULL, NULL);
	close(fd);
	return receiver < 0 ? -errno : 0;
}

static inline struct io_uring_sqe *prep_send(FIXTURE_DATA(aux) *self)
{
	struct io_uring_sqe *sqe = aux_sqe(self, 0, CHILD);

	sqe->opcode = IORING_OP_SEND_ZC;
	sqe->fd = sender;
	sqe->addr = (unsigned long)data;
	sqe->len = LEN;
	return sqe;
}

#define ASSERT_SENT(n, _opcode, _res) do {				\
	struct iou_event *__ev = aux_event(self, n);			\
									\
	ASSERT_EQ(BPF_IO_URING_COMPLETE, __ev->event);			\
	ASSERT_EQ(_opcode, __ev->opcode);				\
	ASSERT_EQ(_res, __ev->res);					\
	ASSERT_EQ(IORING_CQE_F_MORE, __ev->cflags);			\
	/* the notification is a child in flight */			\
	ASSERT_EQ(1, __ev->nr_children);				\
} while (0)

/* Send until the receiver is full and the sender is not. */
static inline bool tcp_fill(void)
{
	for (int i = 0; i < 100; i++) {
		int unsent = 0;

		if (send(sender, data, LEN, MSG_DONTWAIT) < 0)
			return false;
		usleep(20000);
		if (!ioctl(sender, SIOCOUTQNSD, &unsent) && unsent >= LEN)
			return true;
	}
	return false;
}

/* Discard unsent data. This also works while other processes have the sockets open. */
static inline int tcp_reset(void)
{
	struct sockaddr any = { .sa_family = AF_UNSPEC };

	return connect(sender, &any, sizeof(any)) ? -errno : 0;
}

#endif
