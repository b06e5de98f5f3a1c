#!/usr/bin/env bash
# usage: scripts/check-fault.sh [TEST...]
#
# What becomes of io_uring's BPF programs when memory runs out: a kernel whose
# allocations fail when they are told to, one after the other, and which finds the
# memory that is lost then. With names, those selftests on that kernel.

. "$(dirname "$0")/lib.sh"

[ $# != 0 ] || set -- fault_test fault_all_test
"$TOP/scripts/kernel.sh" --config fault
IOU_BPF_CONFIG=fault exec "$TOP/scripts/check.sh" "$@"
