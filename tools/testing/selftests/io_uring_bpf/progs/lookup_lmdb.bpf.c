// SPDX-License-Identifier: GPL-2.0
/* The program of iou-lookup for LMDB */
#include "../../../../io_uring/apps/lookup/lookup_lmdb.bpf.c"
