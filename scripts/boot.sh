#!/usr/bin/env bash
# usage: scripts/boot.sh DISK CONSOLE LIMIT [VNG OPTION...] -- COMMAND
#
# Runs a command in a guest, as vm_run of scripts/vm.sh does, with an empty ext4
# file system on /dev/vda. DISK is the image of the disk, which is removed at the
# end. CONSOLE is the log of the console, LIMIT the time limit in seconds. Output
# of the command goes to stderr. Exit status: that of vm_run.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"

disk=$1 console=$2 seconds=$3
shift 3
trap 'rm -f "$disk"' EXIT
"$TOP/scripts/disk.sh" "$disk"
vm_run "$seconds" "$console" \
	--qemu-opts="-drive file=$disk,format=raw,if=virtio,cache=unsafe" "$@" >&2
