#!/usr/bin/env bash
# usage: scripts/guest.sh RESULTS PROGRAM_DIR
#
# Runs in a guest. RESULTS/../tests names test programs, one a line. Runs those that
# no other guest has taken, one by one, each with a time limit and a note in the
# kernel log, so that a complaint of the kernel can be laid at the door of one. Output
# and exit status of test T go to RESULTS/T.tap and RESULTS/T.rc.

results=$1
dir=$2
. "$(dirname "$(realpath "$0")")/guestlib.sh"

# if the kernel looks for lost memory: from here on, and what it has found. It
# gives that up if it runs out of memory itself: then there is no report. On its
# stack a task has what others have left there, and that is no reference.
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
	# an object is old enough after 5 seconds, and may be in a register once
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
	# succeeds in one guest only
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
