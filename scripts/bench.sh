#!/usr/bin/env bash
# usage: scripts/bench.sh [run | count | profile WORKLOAD "ARM..." [KERNEL]]
#
# Measures the cost of operations, with the series (patched) and without (base), and of a
# hop where the kernel also has tracepoints (traced). The guests are emulated: instruction
# counts then do not depend on the machine.
#
#   run      build, measure all workloads on both kernels, print tables, draw plots and
#            check the figures against their bars; results in build/bench
#   count    like run, without building
#   profile  print instructions by function of the kernel, without building
#
# Environment: REPEATS (5) is the number of measurements of each row.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"
. "$TOP/scripts/bench/boot.sh"

repeats=${REPEATS:-5}
py=$TOP/scripts/bench

folder_of()
{
	case $1 in
	patched) echo bench ;;
	base)	 echo bench-base ;;
	traced)	 echo bench-trace ;;
	*)	 die "no such kernel: $1 (base, patched or traced)" ;;
	esac
}

# Measure wall time, which requires KVM.
time_bench()
{
	[ "$(vm_accel)" = kvm ] || return 0
	boot_bench time bench -- "--repeat $repeats --time"
	$PYTHON "$py/times.py" "$BENCH/time.rows" | tee -a "$BENCH/table.txt"
}

build()
{
	"$TOP/scripts/kernel.sh" --config bench
	"$TOP/scripts/kernel.sh" --config bench-base
	"$TOP/scripts/kernel.sh" --config bench-trace
	"$TOP/scripts/selftests.sh" bench
	"$py/bloat.sh" >/dev/null
}

count()
{
	local rc=0 kernel
	for kernel in base patched; do
		count_bench $kernel "$(folder_of $kernel)" \
			"--repeat $repeats" "--repeat $repeats --scaling"
	done
	count_bench traced bench-trace "--repeat $repeats --workload nop"
	$PYTHON "$py/merge.py" "$BENCH"
	$PYTHON "$py/patterns.py" "$BENCH" >"$BENCH/table.txt"
	$PYTHON "$py/table.py" "$BENCH" >>"$BENCH/table.txt" || rc=$?
	cat "$BENCH/table.txt"
	$PYTHON "$py/plot.py" "$BENCH"
	time_bench
	return $rc
}

profile()
{
	local options=() arm
	[ -n "${1:-}" ] && [ -n "${2:-}" ] || die "no workload or arm given, example: make bench-profile WORKLOAD=nop ARM=flow"
	for arm in $2; do
		options+=("--repeat $repeats --workload $1 --arm $arm")
	done
	count_bench profile "$(folder_of "${3:-patched}")" "${options[@]}"
	$PYTHON "$py/profile.py" "$BENCH/profile.rows" "$BENCH/profile.counts"
}

main()
{
	mkdir -p "$BENCH" "$BUILD/log"
	case ${1:-run} in
	run)	 build; count ;;
	count)	 count ;;
	profile) profile "${@:2}" ;;
	*)	 die "usage: scripts/bench.sh [run | count | profile WORKLOAD \"ARM...\" [KERNEL]]" ;;
	esac
}

main "$@"
