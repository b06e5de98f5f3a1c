#!/usr/bin/env bash
# usage: scripts/check-fault.sh [TEST...]
#
# Tests io_uring's BPF programs under memory pressure: each allocation fails in turn, in a
# kernel with leak detection. Runs the given selftests (default: all fault*_test).

. "$(dirname "$0")/lib.sh"

if [ $# = 0 ]; then
	for t in "$TOP"/tools/testing/selftests/io_uring_bpf/fault*_test.c; do
		set -- "$@" "$(basename "$t" .c)"
	done
fi
IOU_BPF_LEAKS=y exec "$TOP/scripts/check.sh" "$@"
