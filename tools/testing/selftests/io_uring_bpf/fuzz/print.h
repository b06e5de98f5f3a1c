/* SPDX-License-Identifier: GPL-2.0 */
/* Printing of numbers, flags and requests, see print_sqe.c */
#ifndef PRINT_H
#define PRINT_H

struct name {
	__u64	bit;
	const char *name;
};

void fz_put_flags(FILE *f, const struct name *n, __u64 v);
void fz_put_opcode(FILE *f, unsigned int op);
void fz_put_number(FILE *f, __u64 v);
const char *fz_fd_name(unsigned int fd);
void fz_put_sqe(FILE *f, const struct fz_case *c, const struct fz_sqe *s);

#endif
