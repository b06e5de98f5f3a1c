#!/usr/bin/env bash
# usage: scripts/check-fault.sh [TEST...]
#
# What becomes of io_uring's BPF programs when memory runs out: allocations fail,
# one after the other, in a kernel that finds the memory that is lost then. With
# names, those selftests in that kernel.

. "$(dirname "$0")/lib.sh"

if [ $# = 0 ]; then
	for t in "$TOP"/tools/testing/selftests/io_uring_bpf/fault*_test.c; do
		set -- "$@" "$(basename "$t" .c)"
	done
fi
IOU_BPF_LEAKS=y exec "$TOP/scripts/check.sh" "$@"
