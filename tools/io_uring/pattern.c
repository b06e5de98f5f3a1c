// SPDX-License-Identifier: GPL-2.0
/*
 * Opens, reads and closes a file with one request, by a pattern that the administrator
 * has loaded: iou-patterns load read_file. Needs no privilege.
 */
#include <error.h>
#include <stdio.h>
#include <liburing.h>
#include <iou/patterns.h>

#define SIZE	(1 << 20)

int main(int argc, char **argv)
{
	static char buf[SIZE];
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int ret;

	if (argc != 2) {
		fprintf(stderr, "usage: pattern FILE\n");
		return 2;
	}

	ret = io_uring_queue_init(8, &ring, 0) ?:
	      iou_pattern_attach(ring.ring_fd, 0, "read_file");
	if (ret < 0)
		error(1, -ret, "read_file");
	iou_prep_read_file(io_uring_get_sqe(&ring), 0, AT_FDCWD, argv[1], O_RDONLY, buf, SIZE);
	ret = io_uring_submit_and_wait(&ring, 1);
	ret = ret < 0 ? ret : io_uring_peek_cqe(&ring, &cqe) ?: cqe->res;
	if (ret < 0)
		error(1, -ret, "%s", argv[1]);
	if (fwrite(buf, 1, ret, stdout) != (size_t)ret || fflush(stdout))
		error(1, errno, "standard output");
	return 0;
}
