#!/usr/bin/env bash
# usage: scripts/fuzz-guest.sh RESULTS PROGRAM_DIR
#
# Runs in the guest. Each line of RESULTS/plan describes a run: its name, its folder
# in RESULTS, the number of the fault to switch on (0: none), a time limit in seconds,
# and a command. Output and exit status go to the files "output" and "rc" of the
# folder. RESULTS/current has the name of the current run. The guest skips the rest of
# the plan after an exit status above 1, or if the kernel is tainted.

results=$1
dir=$2
. "$(dirname "$(realpath "$0")")/guestlib.sh"

mount -t debugfs none /sys/kernel/debug 2>/dev/null
early_complaints

switch=$(echo /sys/module/*/parameters/io_bpf_mutant)
cd "$dir" || exit 1
while read -r name folder number limit command; do
	mkdir -p "$results/$folder"
	echo "$name" >"$results/current"
	echo "selftest: running $name" >/dev/kmsg
	[ "$number" = 0 ] || echo "$number" >"$switch" || exit 1
	# shellcheck disable=SC2086 # words
	"$session" "$limit" "$results/$folder/output" $command
	rc=$?
	[ "$number" = 0 ] || echo 0 >"$switch"
	echo $rc >"$results/$folder/rc"
	read -r tainted </proc/sys/kernel/tainted
	# 0: no failures, 1: failures
	if [ $rc -gt 1 ] || [ "$tainted" != 0 ]; then
		break
	fi
done <"$results/plan"
echo 'selftest: running end' >/dev/kmsg
touch "$results/end"
umount "$TMPDIR"
