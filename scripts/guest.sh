#!/usr/bin/env bash
# usage: scripts/guest.sh RESULTS PROGRAM_DIR [TEST...]
#
# Runs in the guest. Runs the test programs one by one, each with a time limit
# and a note in the kernel log, so that a complaint of the kernel can be laid
# at the door of one. Output and exit status of test T go to RESULTS/T.tap and
# RESULTS/T.rc. Tests find a file system that does non-blocking I/O in TMPDIR,
# which root's own, on 9p, does not.

results=$1
dir=$2
session=$(dirname "$(realpath "$0")")/session.sh
shift 2

limit=${IOU_BPF_TEST_TIMEOUT:-600}
export TMPDIR=/run/iou-bpf BPFTOOL="$dir/bpftool"
mkdir -p "$TMPDIR"
mount -t ext4 /dev/vda "$TMPDIR" || { echo 'no disk' >"$results/error"; exit 1; }
# what is printed belongs to the tests, the kernel's own goes to the console
ulimit -c 0

cd "$dir" || exit 1
for t in "$@"; do
	echo "selftest: running $t" >/dev/kmsg
	SECONDS=0
	"$session" "$limit" "$results/$t.tap" "./$t"
	rc=$?
	echo $rc >"$results/$t.rc"
	echo "$t: $rc, $SECONDS seconds"
done
echo 'selftest: running end' >/dev/kmsg
umount "$TMPDIR"
touch "$results/end"
