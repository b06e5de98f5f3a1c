#!/usr/bin/env bash
# usage: scripts/liburing-all.sh [TEST...]
#
# Runs all of liburing's own tests in a guest, twice: without a program, and with a
# program on each ring that watches all requests and changes nothing. Prints how many rings
# had the program, and why others had none. Takes hours without KVM, and continues an
# interrupted run. A test must have the same result in both runs. It must not fail unless
# liburing/test/fails lists it, with the reason. Some tests measure time: what fails is run
# again, twice at most, with one guest at a time.
#
# Results: build/liburing-all/{plain,watch}. Remove that folder to start again.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"
. "$TOP/scripts/liburinglib.sh"

out=$BUILD/liburing-all
tests=$out/tests
log=$BUILD/log/liburing-all

# Make all tests call iou_bpf_watch() for a new ring: this function creates all rings.
hook()
{
	local file=$1/src/arch/syscall-defs.h
	local call='(int) __do_syscall2(__NR_io_uring_setup, entries, p)'
	sed -i "s/return $call;/return iou_bpf_watch($call, p);/" "$file" &&
		grep -q iou_bpf_watch "$file" &&
		echo 'struct io_uring_params; int iou_bpf_watch(int, const struct io_uring_params *);' \
			>"$1/watch.h"
}

build_tests()
{
	local dir=$out/source flags="-include $out/source/watch.h"
	liburing_unpack "$dir" && hook "$dir" &&
		(liburing_configure "$dir" --use-libc) &&
		liburing_make "$dir/src" ENABLE_SHARED=0 CPPFLAGS="$flags" &&
		gcc -O2 -Wall -Wextra -Werror -I"$dir/src/include" -c \
			"$TOP/liburing/test/watch.c" -o "$dir/watch.o" &&
		ar r "$dir/src/liburing.a" "$dir/watch.o" &&
		liburing_make "$dir/test" CPPFLAGS="$flags" &&
		with_toolchain clang -g -O2 --target=bpf -c "$TOP/liburing/test/watch.bpf.c" \
			-o "$dir/watch.bpf.o" &&
		mkdir "$tests.new" &&
		cp "$dir"/test/*.t "$dir"/test/*.tt "$dir/watch.bpf.o" \
			"$KTOOLS/bpftool/bpftool" "$tests.new"
}

build()
{
	[ ! -d "$tests" ] || return 0
	say "building liburing's tests, log in ${log#"$TOP/"}"
	rm -rf "$tests.new"
	quiet "$log" build_tests || die "liburing's tests do not build, see ${log#"$TOP/"}"
	mv "$tests.new" "$tests"
}

# left MODE TEST...: print the tests without a result
left()
{
	local mode=$1
	shift
	printf '%s\n' "$@" | grep -vxF -f <(cut -d' ' -f1 "$out/$mode/tests")
}

# guest MODE TEST...: boot until all tests have a result. A test that kills or hangs the
# guest gets the status "died".
guest()
{
	local mode=$1 last
	shift
	mkdir -p "$out/$mode"
	touch "$out/$mode/tests"
	while left "$mode" "$@" >"$out/$mode/todo"; do
		"$TOP/scripts/boot.sh" "$out/disk-$mode.img" "$log-$mode.new" \
			"${IOU_BPF_BOOT_TIMEOUT:-14400}" -- env \
			IOU_BPF_LIBURING_TIMEOUT="${IOU_BPF_LIBURING_TIMEOUT:-}" \
			"$TOP/scripts/liburing-guest.sh" \
			"$GUEST_BUILD/liburing-all/$mode" "$GUEST_BUILD/liburing-all/tests" \
			"$mode" || true
		cat "$log-$mode.new" >>"$log-$mode"
		last=$(sed -n 's/.*selftest: running \([^ \r]*\).*/\1/p' "$log-$mode.new" | tail -n 1)
		[ -n "$last" ] || die "the guest does not come up, see ${log#"$TOP/"}-$mode"
		[ "$last" = end ] || echo "$last died 0" >>"$out/$mode/tests"
	done
}

# Print a line for each test that did not simply pass, and "N passed, N failed, ...".
compare()
{
	awk -v known="$TOP/liburing/test/fails" '
		function result(status) {
			if (status == 0)
				return "ok"
			if (status == 77)
				return "skipped"
			return status == 124 ? "too slow" : "failed (" status ")"
		}
		FILENAME == known { if (!/^(#|$)/) fails[$1] = $2; next }
		FILENAME ~ /plain/ { plain[$1] = result($2); next }
		{
			watch = result($2)
			if (plain[$1] == "too slow" || watch == "too slow") {
				verdict = "not compared"; skipped++
			} else if ($1 in fails) {
				verdict = "known"; skipped++
			} else if (watch != plain[$1] || watch ~ /failed/) {
				verdict = "FAILED"; failed++
			} else {
				passed++
				next
			}
			printf "%-12s %-28s plain %s, watched %s\n", verdict, $1, plain[$1], watch
		}
		END {
			printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
			exit failed != 0
		}
	' "$TOP/liburing/test/fails" "$out/plain/tests" "$out/watch/tests"
}

# Run tests with the verdict "FAILED" again, in both modes. Forget their earlier results.
repeat_failed()
{
	local try mode names
	for try in 1 2; do
		mapfile -t names < <(compare | sed -n 's/^FAILED *\([^ ]*\) .*/\1/p')
		[ ${#names[@]} != 0 ] || return 0
		say "running again what has failed, try $try: ${names[*]}"
		for mode in plain watch; do
			awk -v names=" ${names[*]} " '!index(names, " " $1 " ")' "$out/$mode/tests" \
				>"$out/$mode/tests.new"
			mv "$out/$mode/tests.new" "$out/$mode/tests"
			guest $mode "${names[@]}"
		done
	done
}

# all_run TEST...: each test has a result in both modes
all_run()
{
	local mode
	for mode in plain watch; do
		! left "$mode" "$@" >/dev/null || die "not all tests have run ($mode)"
	done
}

main()
{
	local mode bad=0
	"$TOP/scripts/liburing.sh" || exit
	lock liburing-all
	mkdir -p "$out"
	build
	[ $# != 0 ] || mapfile -t all < <(cd "$tests" && ls -- *.t *.tt)
	[ $# = 0 ] || all=("$@")
	say "running ${#all[@]} tests of liburing, twice, log in ${log#"$TOP/"}-{plain,watch}"
	for mode in plain watch; do
		guest $mode "${all[@]}" &
		[ "$(vm_guests ${#all[@]})" != 1 ] || wait
	done
	wait
	all_run "${all[@]}"
	repeat_failed
	all_run "${all[@]}"
	for mode in plain watch; do
		"$TOP/scripts/splat.sh" "$log-$mode" || bad=1
	done
	cat "$out/watch/watch"
	# or nothing was compared
	grep -q ' attached$' "$out/watch/watch" && grep -q '^run_cnt [1-9]' "$out/watch/watch" ||
		die "no program has run"
	compare && [ $bad = 0 ]
}

main "$@"
