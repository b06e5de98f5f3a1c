#!/usr/bin/env bash
# usage: scripts/check-fault.sh [TEST...]
#
# What becomes of io_uring's BPF programs when memory runs out: a kernel whose
# allocations fail when they are told to, one after the other, and which finds the
# memory that is lost then. It also knows who is charged for memory. With names,
# those selftests on that kernel.

. "$(dirname "$0")/lib.sh"

if [ $# = 0 ]; then
	for t in "$TOP"/tools/testing/selftests/io_uring_bpf/fault*_test.c; do
		set -- "$@" "$(basename "$t" .c)"
	done
	set -- "$@" memcg_test
fi
"$TOP/scripts/kernel.sh" --config fault
IOU_BPF_CONFIG=fault exec "$TOP/scripts/check.sh" "$@"
