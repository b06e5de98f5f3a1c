#!/bin/bash
# Runs in the guest, as liburing_test beside the selftests: the programs of the patches
# of liburing, of both builds, and the example of io_uring_bpf(7) as a user without
# privileges. Prints TAP.

build=$(realpath "$(dirname "$0")")/../../liburing
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

# Nothing is to be skipped on this kernel, so the status 77 is a failure, too.
run()
{
	"$build/$1" 2>&1 | sed 's/^/# /'
	report "${PIPESTATUS[0]}" "$1"
}

example()
{
	local got
	"$BPFTOOL" prog load "$build/libc/example/size.bpf.o" /sys/fs/bpf/size &&
		chmod 0444 /sys/fs/bpf/size &&
		got=$(setpriv --reuid=65534 --regid=65534 --clear-groups "$size" "$size") &&
		[ "$got" = "$(stat -c %s "$size")" ]
	report $? example
	rm -f /sys/fs/bpf/size
}

cd "$work" || exit 1
mount -t bpf -o mode=0755 none /sys/fs/bpf || exit 1
echo 'TAP version 13'
echo 1..5
for t in bpf-attach.t bpf_flow.tt; do
	run libc/test/$t
	run nolibc/test/$t
done
example
umount /sys/fs/bpf
rm -rf "$work"
