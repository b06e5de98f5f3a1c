#!/usr/bin/env bash
# usage: scripts/check.sh [TEST...]
#
# All tests: of the scripts, of the series, and in a booted kernel the
# selftests, the kernel tree's own tests that touch what the series touches,
# and the demonstration. With names, only those selftests. The kernel has lock
# debugging and KASAN on, and any complaint in its log is a failure. If it looks
# for lost memory as well, then that must not be ours. With IOU_LONG=1, the tests of
# the applications use more keys, connections and crashes, and may take hours.
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

# guest NUMBER TEST...: one of them, with its disk, console and results. On a
# machine that is busy, virtme-ng may lose patience before it has run anything:
# that is worth another try.
guest()
{
	local n=$1 results=$BUILD/results/$1 try rc
	shift
	mkdir -p "$results"
	# not on the command line of the kernel, which has 2048 bytes
	printf '%s\n' "$@" >"$results/tests"
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

# Debian may have another liburing by now, or no network may be there: no failure of ours
liburing()
{
	local rc=0
	"$TOP/scripts/liburing.sh" || rc=$?
	case $rc in
	0)	;;
	77)	skipped=$((skipped + 1)) ;;
	*)	fail "liburing does not build with the patches" ;;
	esac
}

in_guest()
{
	local tests=("$@") t n nr i=0
	local -a share=()
	local -A guest_of=()
	if [ $# = 0 ]; then
		mapfile -t tests < <(sed -n 's/^io_uring_bpf://p' "$BUILD/kselftest/kselftest-list.txt")
		tests+=(libbpf_str libbpf_probes)
		[ ! -f "$BUILD/kselftest/io_uring_bpf/liburing_test" ] || tests+=(liburing_test)
	fi
	nr=$(vm_guests ${#tests[@]})
	rm -rf "$BUILD/results"
	for t in "${tests[@]}"; do
		n=$((i++ % nr + 1))
		guest_of[$t]=$n
		share[n]="${share[n]:-} $t"
	done
	say "booting the kernel ($(vm_accel)) in $nr guests, ${#tests[@]} test programs, log in ${BUILD#"$TOP/"}/log/console<N>"
	for ((n = 1; n <= nr; n++)); do
		# shellcheck disable=SC2086 # names of programs
		guest $n ${share[n]} &
	done
	wait
	for t in "${tests[@]}"; do
		n=${guest_of[$t]}
		if [ -f "$BUILD/results/$n/$t.rc" ]; then
			add "$t" "$BUILD/results/$n/$t.tap" "$(cat "$BUILD/results/$n/$t.rc")"
		else
			fail "$t: has not run to its end"
		fi
	done
	for ((n = 1; n <= nr; n++)); do
		of_guest $n "$BUILD/results/$n"
	done
}

# of_guest NUMBER RESULTS: what is to be said of a guest as a whole
of_guest()
{
	[ -f "$2/end" ] ||
		fail "guest $1 did not come to its end (status $(cat "$2/status")), see ${BUILD#"$TOP/"}/log/console$1"
	silent splat.sh "$BUILD/log/console$1" 'the kernel complained'
	[ -z "${IOU_BPF_LEAKS:-}" ] ||
		silent leaks.sh "$2/kmemleak" 'memory is lost, or was not looked for'
}

# silent SCRIPT FILE TEXT: the script finds nothing in the file, or TEXT is the
# failure
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
	[ $# != 0 ] || liburing
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
