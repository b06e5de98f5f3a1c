#!/usr/bin/env bash
# usage: scripts/guest.sh RESULTS PROGRAM_DIR
#
# Runs test programs in a guest. RESULTS/../tests has their names, one per line. Runs
# those that no other guest has taken, with a time limit each. A line in the kernel log
# precedes each program, and tells which program has caused a complaint. Output and exit
# status of test T go to RESULTS/T.tap and RESULTS/T.rc.

results=$1
dir=$2
. "$(dirname "$(realpath "$0")")/guestlib.sh"

# With kmemleak, report the memory that is lost from here on. kmemleak disables itself if
# it runs out of memory. Then there is no report. A stale word on a stack is not a
# reference, so stacks are not scanned.
kmemleak=/sys/kernel/debug/kmemleak
mount -t debugfs none /sys/kernel/debug 2>/dev/null
if grep -q kmemleak=on /proc/cmdline; then
	look_for_leaks=y
	echo stack=off >$kmemleak
	echo scan >$kmemleak
	echo clear >$kmemleak
fi
leaks()
{
	local i
	# An object is reported after 5 seconds. During one scan, the only pointer to it may
	# be in a register.
	for i in 1 2; do
		sleep 6
		echo scan >$kmemleak || return
	done
	cat $kmemleak >"$results/kmemleak"
}

early_complaints

cd "$dir" || exit 1
mapfile -t tests <"$results/../tests"
for t in "${tests[@]}"; do
	# mkdir succeeds in one guest only
	mkdir "$results/../taken/$t" 2>/dev/null || continue
	echo "selftest: running $t" >/dev/kmsg
	SECONDS=0
	"$session" "$limit" "$results/$t.tap" "./$t"
	rc=$?
	echo $rc >"$results/$t.rc"
	echo "$t: $rc, $SECONDS seconds"
done
[ -z "${look_for_leaks:-}" ] || leaks
echo 'selftest: running end' >/dev/kmsg
umount "$TMPDIR"
touch "$results/end"
