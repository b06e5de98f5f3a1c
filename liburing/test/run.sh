#!/bin/bash
# Runs in the guest, as liburing_test beside the selftests: the programs of the patches
# of liburing, of both builds, the example of io_uring_bpf(7) as a user without
# privileges, and a selftest that uses the patched library. Prints TAP.

tests=$(realpath "$(dirname "$0")")
build=$tests/../../liburing
work=$(mktemp -d)
size=$build/libc/example/size
nr=0

# report STATUS NAME
report()
{
	nr=$((nr + 1))
	[ "$1" = 0 ] || printf 'not '
	echo "ok $nr $2"
}

# Nothing is to be skipped on this kernel: neither a test, with the status 77, nor a part
# of a test, with a message. "skip:0" is in the last line of a selftest.
run()
{
	local out rc=0
	out=$("$build/$1" 2>&1) || rc=$?
	[[ ! $out =~ skip([^:]|:[^0]|$) ]] || rc=77
	[ -z "$out" ] || sed 's/^/# /' <<<"$out"
	report $rc "$1"
}

as_nobody()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

example()
{
	local pin=/run/io_uring/size got
	! as_nobody ls /sys/fs/bpf 2>/dev/null &&
		"$BPFTOOL" prog load "$build/libc/example/size.bpf.o" $pin &&
		chmod 0444 $pin &&
		got=$(as_nobody "$size" "$size") &&
		[ "$got" = "$(stat -c %s "$size")" ]
	report $? example
	rm -f $pin
}

cd "$work" || exit 1
# for root alone, as systemd does, and for all users, as the page says
mount -t bpf -o mode=0700 bpf /sys/fs/bpf || exit 1
mkdir -p /run/io_uring
mount -t bpf -o mode=0755 bpf /run/io_uring || exit 1
echo 'TAP version 13'
echo 1..6
for t in bpf-attach.t bpf_flow.tt; do
	run libc/test/$t
	run nolibc/test/$t
done
example
# which loads patterns from the folder of the selftests
cd "$tests" && run libc/pattern_file_test
umount /run/io_uring /sys/fs/bpf
rm -rf "$work"
