// SPDX-License-Identifier: GPL-2.0
/* What the workloads of patterns have in common */
#include "pattern.h"

#include <sys/poll.h>

/* what waits in a socket or pipe */
#define ROOM	(16 << 20)

__u8 pattern_data[PATTERN_BUF];

/* Less than libbpf has to say: it doesn't know the section of the documentation. */
static int print_warning(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, args) : 0;
}

static void load_pattern(struct bench *b)
{
	char path[4096];

	libbpf_set_print(print_warning);
	snprintf(path, sizeof(path), "%s/%s.bpf.o", b->patterns, b->arm->prog);
	b->pattern = bpf_object__open_file(path, NULL);
	if (!b->pattern || bpf_object__load(b->pattern))
		bench_die(b, "cannot load %s", path);
	b->prog = bpf_object__find_program_by_name(b->pattern, b->arm->prog);
	if (!b->prog)
		bench_die(b, "no program %s", b->arm->prog);
}

/* The buffer is a registered one as well, for patterns that need one. */
void bench_init_pattern(struct bench *b)
{
	LIBBPF_OPTS(bpf_iouring_opts, opts, .flags = b->arm->attach_flags);

	opts.flow_size = iou_pattern_flow_size(b->arm->prog);
	bench_ring(b, 0);
	b->workload->open(b);
	bench_register_buf(b, PATTERN_BUF);
	load_pattern(b);
	b->link = bpf_program__attach_iouring(b->prog, b->ring.ring_fd, &opts);
	if (!b->link)
		bench_die(b, "cannot attach the program");
}

/* The buffer of the workload, and what is going to be transferred. */
void pattern_alloc(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < PATTERN_BUF; i++)
		pattern_data[i] = i * 2654435761U >> 13;
	memset(bench_alloc(b, PATTERN_BUF), 0, PATTERN_BUF);
}

/* A file with the data, which is b->fd[i]. */
void pattern_file(struct bench *b, unsigned int i)
{
	b->fd[i] = bench_file(b, i ? "to" : "from");
	bench_check(b, pwrite(b->fd[i], pattern_data, PATTERN_BUF, 0) ==
		       PATTERN_BUF);
	bench_check(b, !fsync(b->fd[i]));
}

/* A read of this pipe returns what one write has written. */
void pattern_pipe(struct bench *b, int fd[2])
{
	bench_check(b, !pipe2(fd, O_DIRECT));
	bench_check(b, fcntl(fd[1], F_SETPIPE_SZ, ROOM) == ROOM);
}

void pattern_sockets(struct bench *b, int fd[2])
{
	int i, room = ROOM;

	bench_check(b, !socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	for (i = 0; i < 2; i++)
		bench_check(b, !setsockopt(fd[i], SOL_SOCKET, SO_SNDBUFFORCE,
					   &room, sizeof(room)));
}

/* A connection with b->fd[0] at this end, and with peer[0] at the other */
void pattern_connect(struct bench *b, int peer[2])
{
	int fd[2];

	pattern_sockets(b, fd);
	b->fd[0] = fd[0];
	peer[0] = fd[1];
	peer[1] = -1;
}

/* The start of the data, @len bytes of it */
void pattern_send(struct bench *b, int fd, size_t len)
{
	bench_check(b, send(fd, pattern_data, len, 0) == (ssize_t)len);
}

/* The same as somebody else has sent it */
void pattern_recv(struct bench *b, int fd, size_t len)
{
	static __u8 buf[PATTERN_BUF];

	bench_check(b, recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len);
	bench_check(b, !memcmp(buf, pattern_data, len));
}

/* Nothing is left to be read. */
void pattern_empty(struct bench *b, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	bench_check(b, !poll(&pfd, 1, 0));
}
