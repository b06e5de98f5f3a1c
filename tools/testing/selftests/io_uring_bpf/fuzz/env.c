// SPDX-License-Identifier: GPL-2.0
/* Environment of a worker: files and memory */
#include "env.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#define NR_CLIENTS	3

static int env_pipes(struct fz_env *e)
{
	char data[600] = "data";
	int p[2];

	if (pipe2(p, 0))
		return -errno;
	e->fds[FD_PIPE0_R] = p[0];
	e->fds[FD_PIPE0_W] = p[1];
	if (pipe2(p, 0))
		return -errno;
	e->fds[FD_PIPE1_R] = p[0];
	e->fds[FD_PIPE1_W] = p[1];
	if (write(p[1], data, sizeof(data)) != sizeof(data))
		return -EIO;
	e->fds[FD_EVENT0] = eventfd(0, EFD_NONBLOCK);
	e->fds[FD_EVENT1] = eventfd(1, 0);
	e->fds[FD_TIMER] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	return 0;
}

static int env_unix(struct fz_env *e)
{
	int sv[2], one = 1, i;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
		return -errno;
	e->fds[FD_SOCK_A] = sv[0];
	e->fds[FD_SOCK_B] = sv[1];
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
		return -errno;
	e->fds[FD_DATA_A] = sv[0];
	e->fds[FD_DATA_B] = sv[1];
	if (write(sv[1], e->mem->data[0], 512) != 512)
		return -EIO;
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, sv))
		return -errno;
	e->fds[FD_MSG] = sv[0];
	e->msg_peer = sv[1];
	setsockopt(sv[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));

	e->mem->un.sun_family = AF_UNIX;
	snprintf(e->mem->un.sun_path + 1, 12, "fz%09d", getpid());
	e->fds[FD_LISTEN] = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(e->fds[FD_LISTEN], (void *)&e->mem->un,
		 sizeof(e->mem->un.sun_family) + 12) ||
	    listen(e->fds[FD_LISTEN], 16))
		return -errno;
	for (i = 0; i < NR_CLIENTS; i++)
		fz_env_trigger(e, 4);
	return 0;
}

/* Create a TCP connection for zero-copy sends, if the loopback device is up. */
static void env_tcp(struct fz_env *e)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(in);
	int l = socket(AF_INET, SOCK_STREAM, 0);
	int a = socket(AF_INET, SOCK_STREAM, 0);

	if (!bind(l, (void *)&in, len) && !listen(l, 1) &&
	    !getsockname(l, (void *)&in, &len) && !connect(a, (void *)&in, len)) {
		e->fds[FD_TCP_A] = a;
		e->fds[FD_TCP_B] = accept(l, NULL, NULL);
	} else {
		close(a);
	}
	close(l);
}

static void env_files(struct fz_env *e)
{
	const char *dir = getenv("TMPDIR") ?: "/tmp";
	int i;

	for (i = 0; i < 4; i++)
		snprintf(e->mem->path[i], sizeof(e->mem->path[i]), "%s/iou_fuzz.%d",
			 dir, i);
	e->fds[FD_FILE] = open(e->mem->path[0], O_RDWR | O_CREAT, 0600);
	if (ftruncate(e->fds[FD_FILE], 65536))
		e->fds[FD_FILE] = -1;
	e->fds[FD_DIRECT] = open(e->mem->path[0], O_RDWR | O_DIRECT);
	e->fds[FD_NULLB] = open("/dev/nullb0", O_RDWR | O_DIRECT);
	e->fds[FD_ZERO] = open("/dev/zero", O_RDWR);
	e->fds[FD_DIR] = open(dir, O_RDONLY | O_DIRECTORY);
	e->fds[FD_DUP] = dup(e->fds[FD_EVENT1]);
	e->fds[FD_EPOLL] = epoll_create1(0);
	e->mem->ev[3].events = EPOLLIN;
	epoll_ctl(e->fds[FD_EPOLL], EPOLL_CTL_ADD, e->fds[FD_EVENT0],
		  &(struct epoll_event){ .events = EPOLLIN });
}

static void env_memory(struct fz_env *e)
{
	static const long ns[] = { 1000000, 5000000, 30000000, 300000, 0 };
	struct fz_mem *m = e->mem;
	int i;

	for (i = 0; i < FZ_DATA; i++) {
		m->iov[i][0] = (struct iovec){ m->data[i], 512 };
		m->iov[i][1] = (struct iovec){ m->data[i] + 512, 8 };
		m->msg[i].msg_iov = m->iov[i];
		m->msg[i].msg_iovlen = 1 + (i & 1);
	}
	for (i = 0; i < 5; i++)
		m->ts[i].tv_nsec = ns[i];
	/* longer than any case runs */
	m->ts[4].tv_sec = 100;
	m->one = 1;
	for (i = 0; i < 2; i++) {
		m->waitv[i].uaddr = (unsigned long)&m->futex[i];
		m->waitv[i].flags = FUTEX2_SIZE_U32;
	}
	m->fds[0] = -1;
	for (i = 0; i <= FZ_MSGS; i++)
		snprintf(m->msgs[i], 8, "%07d", i);
	memset(m->data[0], 1, 8);
	for (i = 0; i < (int)sizeof(m->known); i++)
		m->known[i] = fz_known(i);
}

static void env_hole(struct fz_env *e)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	e->hole = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	e->uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (e->uffd < 0)
		return;
	reg.range.start = (unsigned long)e->hole;
	reg.range.len = 4096;
	if (ioctl(e->uffd, UFFDIO_API, &api) ||
	    ioctl(e->uffd, UFFDIO_REGISTER, &reg)) {
		close(e->uffd);
		e->uffd = -1;
	}
}

/* Resolve page faults in the hole, with a page that contains a valid iovec. */
void fz_env_fill_hole(struct fz_env *e)
{
	char page[4096] = "";
	struct uffdio_copy copy = {
		.dst = (unsigned long)e->hole,
		.src = (unsigned long)page,
		.len = sizeof(page),
	};

	if (e->uffd < 0)
		return;
	memcpy(page, e->mem->iov[0], sizeof(e->mem->iov[0]));
	ioctl(e->uffd, UFFDIO_COPY, &copy);
}

void fz_env_empty_hole(struct fz_env *e)
{
	madvise(e->hole, 4096, MADV_DONTNEED);
}

/* Cause an event on a file, timer or futex, selected by @what. */
void fz_env_trigger(struct fz_env *e, unsigned int what)
{
	__u64 one = 1;
	int fd;

	switch (what % 8) {
	case 0:
		fd = e->fds[FD_PIPE0_W];
		break;
	case 1:
		fd = e->fds[FD_EVENT0];
		break;
	case 2:
		fd = e->fds[FD_SOCK_B];
		break;
	case 3:
		fd = e->fds[FD_DATA_B];
		break;
	case 5:
		fd = e->fds[FD_TCP_B];
		break;
	case 6:
		timerfd_settime(e->fds[FD_TIMER], 0, &(struct itimerspec){
				.it_value.tv_nsec = 1000000,
				.it_interval.tv_nsec = 10000000 }, NULL);
		return;
	case 7:
		__atomic_fetch_add(&e->mem->futex[0], 1, __ATOMIC_RELAXED);
		syscall(__NR_futex, &e->mem->futex[0], 1 /* FUTEX_WAKE */, 8, NULL,
			NULL, 0);
		return;
	default:
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (!connect(fd, (void *)&e->mem->un,
			     sizeof(e->mem->un.sun_family) + 12))
			send(fd, &one, 8, MSG_DONTWAIT);
		return;
	}
	/* do not block on a full pipe */
	if (what % 8 == 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	if (what % 8 > 1)
		send(fd, &one, 8, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (write(fd, &one, 8) != 8)
		return;
}

/* Read all that a socket has received. A zero-copy send may wait for that. */
static void drain_socket(int fd)
{
	char buf[4096];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

/* Wake up all requests: shut all sockets down and cause all events. */
void fz_env_shut(struct fz_env *e)
{
	static const __u8 ends[] = { FD_SOCK_A, FD_SOCK_B, FD_DATA_A, FD_DATA_B,
				     FD_TCP_A, FD_TCP_B, FD_LISTEN };
	unsigned int i;

	fz_env_fill_hole(e);
	for (i = 0; i < sizeof(ends); i++)
		shutdown(e->fds[ends[i]], SHUT_RDWR);
	drain_socket(e->fds[FD_TCP_A]);
	drain_socket(e->fds[FD_TCP_B]);
	for (i = 0; i < 8; i++)
		fz_env_trigger(e, i);
	fz_env_trigger(e, 1);
}

int fz_env_init(struct fz_env *e, const struct fz_case *c)
{
	int i, ret;

	memset(e, 0, sizeof(*e));
	e->c = c;
	e->pid = getpid();
	for (i = 0; i < FD_NR; i++)
		e->fds[i] = -1;
	e->mem = mmap(NULL, sizeof(*e->mem), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (e->mem == MAP_FAILED)
		return -ENOMEM;
	env_memory(e);
	env_hole(e);
	ret = env_pipes(e) ?: env_unix(e);
	if (ret)
		return ret;
	env_tcp(e);
	env_files(e);
	return 0;
}
