// SPDX-License-Identifier: GPL-2.0
/* Counts the lines of a file, up to 2^31 - 1, with one system call. */
#include "iou_bpf.h"
#include "hello.skel.h"

int main(int argc, char **argv)
{
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	struct hello *skel;
	int fd;

	fd = open(argc == 2 ? argv[1] : "", O_RDONLY);
	if (fd < 0) {
		fprintf(stderr, "usage: hello FILE\n");
		return 2;
	}

	/* a ring, and the program in its slot 0 */
	skel = hello__open_and_load();
	if (!skel || io_uring_queue_init(8, &ring, 0) ||
	    !bpf_program__attach_iouring(skel->progs.hello, ring.ring_fd, NULL)) {
		perror("hello");
		return 1;
	}

	/* a flow for slot 0, and the words that its state begins with */
	sqe = iou_queue_bpf(&ring, 0, 0);
	sqe->off = fd;
	sqe->addr = (unsigned long)skel->bss->text;

	if (io_uring_submit_and_wait(&ring, 1) < 0 || io_uring_peek_cqe(&ring, &cqe) ||
	    cqe->res < 0) {
		fprintf(stderr, "hello: the flow has failed\n");
		return 1;
	}
	printf("%d %s\n", cqe->res, argv[1]);
	return 0;
}
