// SPDX-License-Identifier: GPL-2.0
/*
 * Patterns for a socket and a file
 *
 * send_file: 256 KiB of a cached file, by splice. A worker does each splice of
 * io_uring, so the figures vary from run to run. recv_file: 64 KiB to a file, of which
 * each receive takes 4 KiB.
 */
#include "pattern.h"

#include <sys/sendfile.h>

#define PASS		32	/* operations of files */
#define PIPE		(64 * 1024)
#define FILE_SIZE	(4 * PIPE)

static int peer;
static int pipe_fd[2];

static void send_file_open(struct bench *b)
{
	unsigned int i;
	int fd[2];

	pattern_alloc(b);
	pattern_file(b, 0);
	for (i = 1; i < FILE_SIZE / PATTERN_BUF; i++)
		bench_check(b, pwrite(b->fd[0], pattern_data, PATTERN_BUF,
				      i * PATTERN_BUF) == PATTERN_BUF);
	bench_check(b, !fsync(b->fd[0]));
	pattern_sockets(b, fd);
	b->fd[1] = fd[0];
	peer = fd[1];
	bench_check(b, !pipe(pipe_fd));
	bench_check(b, fcntl(pipe_fd[0], F_GETPIPE_SZ) == PIPE);
}

static void send_file_after(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < PASS * FILE_SIZE / PATTERN_BUF; i++)
		pattern_recv(b, peer, PATTERN_BUF);
	pattern_empty(b, peer);
}

static void send_file_exit(struct bench *b)
{
	close(peer);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static void send_file_pattern(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		PATTERN_RUN(b, FILE_SIZE, send_file, b->fd[1], b->fd[0], 0,
			    FILE_SIZE, pipe_fd);
}

static void send_file_liburing(struct bench *b, unsigned int ops)
{
	int pos, held, sent;

	for (; ops; ops--) {
		for (pos = 0; pos < FILE_SIZE; pos += held) {
			io_uring_prep_splice(bench_sqe(b), b->fd[0], pos, pipe_fd[1],
					     -1, FILE_SIZE - pos, 0);
			held = pattern_do(b);
			bench_check(b, held > 0);
			for (sent = 0; sent < held; ) {
				io_uring_prep_splice(bench_sqe(b), pipe_fd[0], -1,
						     b->fd[1], -1, held - sent, 0);
				sent += pattern_do(b);
			}
			bench_check(b, sent == held);
		}
	}
}

static void send_file_syscalls(struct bench *b, unsigned int ops)
{
	off_t off;

	for (; ops; ops--) {
		for (off = 0; off < FILE_SIZE; )
			bench_check(b, sendfile(b->fd[1], b->fd[0], &off,
						FILE_SIZE - off) > 0);
	}
}

static void recv_file_open(struct bench *b)
{
	int fd[2];

	pattern_alloc(b);
	pattern_file(b, 1);
	pattern_sockets(b, fd);
	b->fd[0] = fd[0];
	peer = fd[1];
}

static void recv_file_before(struct bench *b)
{
	unsigned int i;

	memset(b->buf, 0, PATTERN_BUF);
	bench_check(b, pwrite(b->fd[1], b->buf, PATTERN_BUF, 0) == PATTERN_BUF);
	bench_check(b, !fsync(b->fd[1]));
	for (i = 0; i < PASS; i++)
		pattern_send(b, peer, PATTERN_BUF);
}

static void recv_file_after(struct bench *b)
{
	bench_check(b, pread(b->fd[1], b->buf, PATTERN_BUF, 0) == PATTERN_BUF);
	bench_check(b, !memcmp(b->buf, pattern_data, PATTERN_BUF));
	pattern_empty(b, b->fd[0]);
}

static void recv_file_exit(struct bench *b)
{
	close(peer);
}

static void recv_file_pattern(struct bench *b, unsigned int ops)
{
	for (; ops; ops--)
		PATTERN_RUN(b, PATTERN_BUF, recv_file, b->fd[0], b->fd[1], 0,
			    PATTERN_BUF, b->buf, BENCH_BLOCK);
}

static void recv_file_liburing(struct bench *b, unsigned int ops)
{
	int pos, len;

	for (; ops; ops--) {
		for (pos = 0; pos < PATTERN_BUF; pos += len) {
			io_uring_prep_recv(bench_sqe(b), b->fd[0], b->buf,
					   BENCH_BLOCK, 0);
			len = pattern_do(b);
			bench_check(b, len > 0);
			io_uring_prep_write(bench_sqe(b), b->fd[1], b->buf, len, pos);
			pattern_reap(b, 1, 1, len);
		}
	}
}

static void recv_file_syscalls(struct bench *b, unsigned int ops)
{
	int pos, len;

	for (; ops; ops--) {
		for (pos = 0; pos < PATTERN_BUF; pos += len) {
			len = recv(b->fd[0], b->buf, BENCH_BLOCK, 0);
			bench_check(b, len > 0);
			bench_check(b, pwrite(b->fd[1], b->buf, len, pos) == len);
		}
	}
}

PATTERN_ARMS(send_file);
PATTERN_ARMS(recv_file);

const struct bench_workload bench_pattern_socket_workloads[] = {
	{ "pattern-send_file", .ops = PASS, .need = NEED_PATTERN | NEED_XFS,
	  .arms = send_file_arms, .open = send_file_open,
	  .after = send_file_after, .exit = send_file_exit },
	{ "pattern-recv_file", .ops = PASS, .need = NEED_PATTERN | NEED_XFS,
	  .arms = recv_file_arms, .open = recv_file_open,
	  .before = recv_file_before, .after = recv_file_after,
	  .exit = recv_file_exit },
	{}
};
