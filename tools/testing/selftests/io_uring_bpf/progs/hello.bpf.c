// SPDX-License-Identifier: GPL-2.0
/* The first program of the documentation */
#include "../../../../io_uring/hello.bpf.c"
