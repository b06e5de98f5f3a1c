#!/usr/bin/env bash
# usage: scripts/boot.sh DISK CONSOLE LIMIT [VNG OPTION...] -- COMMAND
#
# Runs a command in a guest, with vm_run of scripts/vm.sh. The guest has an empty ext4
# file system on /dev/vda, and an empty NVMe disk with poll queues that tests may
# overwrite. DISK is the image of the first disk. Both images are removed at the end.
# CONSOLE is the log of the console, LIMIT the time limit in seconds. The output of the
# command goes to stderr. Exit status: that of vm_run.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"

disk=$1 console=$2 seconds=$3
shift 3
trap 'rm -f "$disk" "$disk.nvme"' EXIT
truncate -s 256M "$disk.nvme"
"$TOP/scripts/disk.sh" "$disk"
vm_run "$seconds" "$console" \
	--qemu-opts="-drive file=$disk,format=raw,if=virtio,cache=unsafe" \
	--qemu-opts="-drive file=$disk.nvme,format=raw,if=none,id=nvme,cache=unsafe" \
	--qemu-opts="-device nvme,serial=iou-bpf,drive=nvme,max_ioqpairs=4" \
	--append nvme.poll_queues=1 "$@" >&2
