// SPDX-License-Identifier: GPL-2.0
/* Runs a file of the BPF selftests, each subtest as a TAP test. */
#include <stdio.h>
#include "test_progs.h"

static int nr, failed;
static bool subtest_ok = true;
static char subtest[128];

static void end_subtest(void)
{
	if (!subtest[0])
		return;
	printf("%sok %d %s\n", subtest_ok ? "" : "not ", ++nr, subtest);
	failed += !subtest_ok;
}

bool test__start_subtest(const char *name)
{
	end_subtest();
	snprintf(subtest, sizeof(subtest), "%s", name);
	subtest_ok = true;
	return true;
}

bool test_assert(bool ok, const char *what)
{
	if (!ok) {
		printf("# %s: assertion failed\n", what);
		subtest_ok = false;
		/* one before the first subtest must not get lost */
		if (!subtest[0])
			snprintf(subtest, sizeof(subtest), "set-up");
	}
	return ok;
}

int main(void)
{
	printf("TAP version 13\n");
	TEST();
	end_subtest();
	printf("1..%d\n", nr);
	return failed || !nr;
}
