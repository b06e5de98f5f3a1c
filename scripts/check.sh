#!/usr/bin/env bash
# usage: scripts/check.sh [TEST...]
#
# All tests: of the scripts, of the series, and in a booted kernel the
# selftests, the kernel tree's own tests that touch what the series touches,
# and the demonstration. With names, only those selftests. The kernel has lock
# debugging and KASAN on, and any complaint in its log is a failure. If it looks
# for lost memory as well, then that must not be ours.
# Last line: "N passed, N failed".

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"

passed=0 failed=0 skipped=0
declare -a failures=()

fail()
{
	failed=$((failed + 1))
	failures+=("$*")
}

# add NAME TAP_FILE EXIT_STATUS
add()
{
	local p f s lines
	lines=$("$TOP/scripts/tap.sh" "$2" "$3")
	read -r p f s <<<"$(head -n 1 <<<"$lines")"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	printf '%-24s %3d passed %3d failed %3d skipped\n' "$1" "$p" "$f" "$s"
	[ "$f" = 0 ] || failures+=("$1:"$'\n'"$(tail -n +2 <<<"$lines")")
}

scripts()
{
	local rc=0
	"$TOP/scripts/tests/run" >"$BUILD/scripts.tap" 2>"$BUILD/log/scripts" || rc=$?
	add scripts "$BUILD/scripts.tap" $rc
}

in_guest()
{
	local results=$BUILD/results dir=$BUILD/kselftest/io_uring_bpf tests=("$@") t rc=0
	if [ $# = 0 ]; then
		mapfile -t tests < <(cd "$dir" && ls -- *_test libbpf_str libbpf_probes)
	fi
	rm -rf "$results"
	mkdir -p "$results"
	"$TOP/scripts/disk.sh" "$BUILD/disk.img"
	say "booting the kernel ($(vm_accel)), ${#tests[@]} test programs, log in build/log/console"
	vm_run "${IOU_BPF_BOOT_TIMEOUT:-2400}" "$BUILD/log/console" \
		--qemu-opts="-drive file=$BUILD/disk.img,format=raw,if=virtio,cache=unsafe" -- \
		"$TOP/scripts/guest.sh" "$GUEST_BUILD/results" \
		"$GUEST_BUILD/kselftest/io_uring_bpf" "${tests[*]}" >&2 || rc=$?
	rm -f "$BUILD/disk.img"
	for t in "${tests[@]}"; do
		if [ -f "$results/$t.rc" ]; then
			add "$t" "$results/$t.tap" "$(cat "$results/$t.rc")"
		else
			fail "$t: has not run to its end"
		fi
	done
	[ -f "$results/end" ] || fail "the guest did not come to its end (status $rc), see build/log/console"
	splats console
	! [ -f "$results/kmemleak" ] || leaks "$results/kmemleak"
}

# splats LOG: the kernel was silent
splats()
{
	local out
	if out=$("$TOP/scripts/splat.sh" "$BUILD/log/$1"); then
		passed=$((passed + 1))
	else
		fail "the kernel complained, see build/log/$1:"$'\n'"$(head -n 5 <<<"$out")"
	fi
}

# leaks REPORT: nothing of ours is in it
leaks()
{
	local out
	if out=$("$TOP/scripts/leaks.sh" "$1"); then
		passed=$((passed + 1))
	else
		fail "memory is lost, see $1:"$'\n'"$(head -n 20 <<<"$out")"
	fi
}

demo()
{
	if "$TOP/scripts/demo.sh"; then
		passed=$((passed + 1))
	else
		fail "the demonstration does not do what it promises"
	fi
}

main()
{
	local f
	mkdir -p "$BUILD/log"
	[ $# != 0 ] || scripts
	in_guest "$@"
	[ $# != 0 ] || demo
	echo
	for f in "${failures[@]}"; do
		printf '%sfailed:%s %s\n' "$RED" "$OFF" "$f"
	done
	[ $skipped = 0 ] || echo "$skipped skipped"
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
}

main "$@"
