#!/usr/bin/env bash
# usage: scripts/check.sh [TEST...]
#
# Runs all tests: those of the scripts and of the series, and in guests the selftests,
# tests of the kernel tree that cover files of the series, and the demonstration. With
# TEST, runs only these selftests. The kernel has lock debugging and KASAN, and a
# complaint in its log is a failure. With IOU_BPF_LEAKS=1, kmemleak is on, and memory that
# the series has lost is a failure, too. With IOU_LONG=1, the tests of the applications
# use more keys, connections and crashes, and may take hours. build/skipped lists the
# skipped tests. A program with a failed test runs once more in a guest of its own, because
# an emulated machine under load can exceed any time limit. If all of its tests pass then,
# build/unstable has the failures of the first run. Last line: "N passed, N failed".

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"

passed=0 failed=0 skipped=0 skips=$BUILD/skipped unstable=$BUILD/unstable
# more failed programs than these are no accident
MAX_REPEATS=4
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
	lines=$("$TOP/scripts/tap.sh" "$2" "$3" "$skips")
	read -r p f s <<<"$(head -n 1 <<<"$lines")"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	printf '%-24s %3d passed %3d failed %3d skipped\n' "$1" "$p" "$f" "$s"
	[ "$f" = 0 ] || failures+=("$1:"$'\n'"$(tail -n +2 <<<"$lines")")
}

# guest NUMBER: run a guest, with a disk, a console and a folder of results. On a busy
# machine, virtme-ng may time out before it has run the command. Then start the guest
# once more.
guest()
{
	local n=$1 results=$BUILD/results/$1 try rc
	mkdir -p "$results"
	for try in 1 2; do
		rc=0
		"$TOP/scripts/boot.sh" "$BUILD/disk$n.img" "$BUILD/log/console$n" \
			"${IOU_BPF_BOOT_TIMEOUT:-3600}" ${IOU_BPF_LEAKS:+--append kmemleak=on} -- \
			${IOU_LONG:+env IOU_LONG="$IOU_LONG" IOU_BPF_TEST_TIMEOUT=7200} \
			"$TOP/scripts/guest.sh" "$GUEST_BUILD/results/$n" \
			"$BUILD/kselftest/io_uring_bpf" || rc=$?
		grep -q 'cannot find script I/O ports' "$BUILD/log/console$n" || break
		say "guest $n has not come up, try $try"
	done
	[ -f "$results/end" ] || echo $rc >"$results/status"
}

# A test is skipped if the patches do not fit Debian's version of liburing, or without a
# network.
liburing()
{
	local rc=0
	"$TOP/scripts/liburing.sh" || rc=$?
	case $rc in
	0)	;;
	77)	skipped=$((skipped + 1))
		echo 'liburing: # SKIP no available version fits the patches' >>"$skips" ;;
	*)	fail "liburing does not build with the patches" ;;
	esac
}

# Print the test programs, first those that take minutes. As the last ones, they would
# leave the other guests without work.
all_tests()
{
	local long=(termination_test fuzz_test.sh iou_patterns_test.sh)
	printf '%s\n' "${long[@]}"
	sed -n 's/^io_uring_bpf://p' "$BUILD/kselftest/kselftest-list.txt" |
		grep -vxF "$(printf '%s\n' "${long[@]}")"
	printf '%s\n' libbpf_str libbpf_probes
	[ ! -f "$BUILD/kselftest/io_uring_bpf/liburing_test" ] || echo liburing_test
}

# start_guests TEST...: start guests that share these tests. A guest takes the next test
# when it has finished one. A file has the names, because the kernel's command line is
# limited to 2048 bytes.
start_guests()
{
	local n
	rm -rf "$BUILD/results"
	mkdir -p "$BUILD/results/taken"
	printf '%s\n' "$@" >"$BUILD/results/tests"
	nr_guests=$(vm_guests $#)
	say "booting the kernel ($(vm_accel)) in $nr_guests guests, $# test programs, log in ${BUILD#"$TOP/"}/log/console<N>"
	for ((n = 1; n <= nr_guests; n++)); do
		guest $n &
	done
}

# rc_of TEST: print the file with the exit status of the test, in the folder of its guest
rc_of()
{
	echo "$BUILD"/results/*/"$1.rc"
}

# repeat TEST...: run those that have failed once more, in a guest of its own
repeat()
{
	local t rc f lines again=()
	for t; do
		rc=$(rc_of "$t")
		[ -f "$rc" ] || continue
		lines=$("$TOP/scripts/tap.sh" "${rc%.rc}.tap" "$(cat "$rc")")
		read -r _ f _ <<<"$lines"
		[ "$f" != 0 ] || continue
		again+=("$t")
		printf '%s:\n%s\n' "$t" "$(tail -n +2 <<<"$lines")" >>"$unstable"
	done
	[ ${#again[@]} -gt 0 ] || return 0
	if [ ${#again[@]} -gt $MAX_REPEATS ]; then
		rm "$unstable"
		return 0
	fi
	for t in "${again[@]}"; do
		rc=$(rc_of "$t")
		rm -r "$rc" "${rc%.rc}.tap" "$BUILD/results/taken/$t"
	done
	printf '%s\n' "${again[@]}" >"$BUILD/results/tests"
	nr_guests=$((nr_guests + 1))
	say "failed, and repeated: ${again[*]}"
	guest $nr_guests
}

# not_skipped TEST TAP_FILE: fail if the kernel lacks the mitigations that the test
# requires. The verifier rejects programs only with them.
not_skipped()
{
	[ "$1" = speculation_test ] || return 0
	! grep -q '^ok [0-9]* speculation\.cap_bpf # SKIP' "$2" ||
		fail "$1: cap_bpf was skipped, so the kernel has no mitigations"
}

# of_tests TEST...: add the results of the tests and of the guests
of_tests()
{
	local t n rc
	for t; do
		rc=$(rc_of "$t")
		if [ -f "$rc" ]; then
			add "$t" "${rc%.rc}.tap" "$(cat "$rc")"
			not_skipped "$t" "${rc%.rc}.tap"
		else
			fail "$t: has not run to its end"
		fi
	done
	for ((n = 1; n <= nr_guests; n++)); do
		of_guest $n "$BUILD/results/$n"
	done
}

# of_guest NUMBER RESULTS: add what concerns the guest as a whole
of_guest()
{
	[ -f "$2/end" ] ||
		fail "guest $1 did not come to its end (status $(cat "$2/status")), see ${BUILD#"$TOP/"}/log/console$1"
	silent splat.sh "$BUILD/log/console$1" 'the kernel complained'
	[ -z "${IOU_BPF_LEAKS:-}" ] ||
		silent leaks.sh "$2/kmemleak" 'memory is lost, or was not looked for'
}

# silent SCRIPT FILE TEXT: fail with TEXT if the script finds something in the file
silent()
{
	local out
	if out=$("$TOP/scripts/$1" "$2"); then
		passed=$((passed + 1))
	else
		fail "$3, see ${2#"$TOP/"}:"$'\n'"$(head -n 20 <<<"$out")"
	fi
}

demo()
{
	cat "$BUILD/log/demo"
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
	else
		fail "the demonstration failed, see ${BUILD#"$TOP/"}/log/demo"
	fi
}

# beside NAME COMMAND...: run a command while the guests run
beside()
{
	local name=$1 rc=0
	shift
	"$@" || rc=$?
	echo $rc >"$BUILD/log/$name.rc"
}

# The tests of the scripts and the demonstration take little CPU time, and run beside the
# guests.
everything()
{
	local tests
	liburing
	mapfile -t tests < <(all_tests)
	start_guests "${tests[@]}"
	beside scripts "$TOP/scripts/tests/run" >"$BUILD/scripts.tap" 2>"$BUILD/log/scripts" &
	beside demo "$TOP/scripts/demo.sh" >"$BUILD/log/demo" 2>&1 &
	wait
	repeat "${tests[@]}"
	add scripts "$BUILD/scripts.tap" "$(cat "$BUILD/log/scripts.rc")"
	of_tests "${tests[@]}"
	demo "$(cat "$BUILD/log/demo.rc")"
}

main()
{
	local f
	mkdir -p "$BUILD/log"
	rm -f "$skips" "$unstable"
	if [ $# = 0 ]; then
		everything
	else
		start_guests "$@"
		wait
		repeat "$@"
		of_tests "$@"
	fi
	echo
	for f in "${failures[@]}"; do
		printf '%sfailed:%s %s\n' "$RED" "$OFF" "$f"
	done
	[ ! -f "$unstable" ] || sed 's/^/failed at first: /' "$unstable"
	[ $skipped = 0 ] || echo "$skipped skipped, see ${skips#"$TOP/"}"
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
}

main "$@"
