/* SPDX-License-Identifier: GPL-2.0 */
/* Calls of functions that the header for programs and liburing both have */
io_uring_prep_nop(SQE);
io_uring_prep_read(SQE, 1, ADDRESS(1), 100, 200);
io_uring_prep_write(SQE, 2, ADDRESS(2), 101, 201);
io_uring_prep_readv(SQE, 3, ADDRESS(3), 4, 202);
io_uring_prep_writev(SQE, 4, ADDRESS(4), 5, 203);
io_uring_prep_read_fixed(SQE, 5, ADDRESS(5), 102, 204, 6);
io_uring_prep_write_fixed(SQE, 6, ADDRESS(6), 103, 205, 7);
io_uring_prep_fsync(SQE, 7, IORING_FSYNC_DATASYNC);
io_uring_prep_openat(SQE, 8, ADDRESS(8), 2, 0600);
io_uring_prep_close(SQE, 9);
io_uring_prep_close_direct(SQE, 10);
io_uring_prep_splice(SQE, 11, 206, 12, -1, 104, 1);
io_uring_prep_poll_add(SQE, 13, POLLIN | POLLOUT);
io_uring_prep_timeout(SQE, ADDRESS(14), 3, IORING_TIMEOUT_ABS);
io_uring_prep_link_timeout(SQE, ADDRESS(15), IORING_TIMEOUT_BOOTTIME);
io_uring_prep_accept(SQE, 16, ADDRESS(16), ADDRESS(17), 1);
io_uring_prep_multishot_accept(SQE, 17, ADDRESS(18), ADDRESS(19), 2);
io_uring_prep_connect(SQE, 18, ADDRESS(20), 16);
io_uring_prep_socket(SQE, 1, 2, 3, 4);
io_uring_prep_shutdown(SQE, 20, SHUT_WR);
io_uring_prep_send(SQE, 21, ADDRESS(21), 105, MSG_WAITALL);
io_uring_prep_send_zc(SQE, 22, ADDRESS(22), 106, 3, IORING_RECVSEND_POLL_FIRST);
io_uring_prep_recv(SQE, 23, ADDRESS(23), 107, MSG_WAITALL);
io_uring_prep_recv_multishot(SQE, 24, ADDRESS(24), 108, 4);
io_uring_prep_provide_buffers(SQE, ADDRESS(25), 109, 10, 11, 12);
