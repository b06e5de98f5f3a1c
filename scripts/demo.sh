#!/usr/bin/env bash
# usage: scripts/demo.sh
#
# Runs the demonstration in a guest: a single flow copies the kernel's source archive on
# an ext4 disk, compared to a loop with liburing, and a chain continues where a link is
# cut. Figures go to build/demo/result.json.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"

demo=$BUILD/demo
archive=$CACHE/archive.tar.xz

# Print the commands that the guest runs.
guest_command()
{
	printf '%s; ' \
		"mkdir -p /run/demo" \
		"mount -t ext4 /dev/vda /run/demo" \
		"echo selftest: running demo >/dev/kmsg" \
		"$GUEST_BUILD/tools-debug/demo $1 --json $GUEST_BUILD/demo/result.json /run/demo/archive.tar.xz /run/demo/copy" \
		"echo \$? >$GUEST_BUILD/demo/status" \
		"umount /run/demo"
}

main()
{
	local color=--no-color out
	[ -x "$BUILD/tools-debug/demo" ] || die "the demonstration is not built, run: make kernel"
	[ ! -t 1 ] || [ -n "${NO_COLOR:-}" ] || color=--color
	rm -rf "$demo"
	mkdir -p "$demo" "$BUILD/log"
	"$TOP/scripts/disk.sh" "$demo/disk.img" "$archive"
	say "booting the kernel ($(vm_accel)), log in build/log/console-demo"
	vm_run "${IOU_BPF_BOOT_TIMEOUT:-1200}" "$BUILD/log/console-demo" \
		--qemu-opts="-drive file=$demo/disk.img,format=raw,if=virtio,cache=unsafe" -- \
		"$(guest_command $color)" || true
	rm -f "$demo/disk.img"
	[ -f "$demo/status" ] || die "the demonstration did not finish, see build/log/console-demo"
	[ "$(cat "$demo/status")" = 0 ] || die "the demonstration failed (status $(cat "$demo/status"))"
	out=$("$TOP/scripts/splat.sh" "$BUILD/log/console-demo") ||
		die "the kernel complained during the demonstration: $(head -n 1 <<<"$out")"
	say "the demonstration passed, without kernel complaints"
}

main
