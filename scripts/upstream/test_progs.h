/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Just enough of the BPF selftests' runner for those of its files that only
 * look at libbpf. The runner itself drags in all skeletons of that directory.
 */
#ifndef UPSTREAM_TEST_PROGS_H
#define UPSTREAM_TEST_PROGS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <linux/kernel.h>
#include <linux/types.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* Each assertion belongs to the subtest that was started last. */
bool test__start_subtest(const char *name);
bool test_assert(bool ok, const char *what);

#define ASSERT_OK_PTR(ptr, name)	test_assert((ptr) != NULL, name)
#define ASSERT_GT(a, b, name)		test_assert((a) > (b), name)
#define ASSERT_EQ(a, b, name)		test_assert((a) == (b), name)
#define ASSERT_STREQ(a, b, name)	test_assert(!strcmp(a, b), name)

#endif
