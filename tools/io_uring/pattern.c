// SPDX-License-Identifier: GPL-2.0
/*
 * Opens, reads and closes a file with one request, by a pattern that the administrator
 * has loaded: iou-patterns load read_file. Needs no privilege.
 */
#include <stdio.h>
#include <liburing.h>
#include <iou/patterns.h>

int main(int argc, char **argv)
{
	static char buf[1 << 20];
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int ret;

	io_uring_queue_init(8, &ring, 0);
	ret = iou_pattern_attach(ring.ring_fd, 0, "read_file");
	if (ret < 0 || argc != 2) {
		fprintf(stderr, "pattern: %s\n", ret < 0 ? strerror(-ret) : "no file");
		return 1;
	}
	iou_prep_read_file(io_uring_get_sqe(&ring), 0, AT_FDCWD, argv[1], O_RDONLY, buf,
			   sizeof(buf));
	io_uring_submit_and_wait(&ring, 1);
	if (io_uring_peek_cqe(&ring, &cqe) || cqe->res < 0)
		return 1;
	fwrite(buf, 1, cqe->res, stdout);
	return 0;
}
