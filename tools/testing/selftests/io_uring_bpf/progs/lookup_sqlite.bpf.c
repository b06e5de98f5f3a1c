// SPDX-License-Identifier: GPL-2.0
/* The program of iou-lookup for SQLite */
#include "../../../../io_uring/apps/lookup/lookup_sqlite.bpf.c"
