#!/usr/bin/env bash
# usage: scripts/log-kill.sh [KILLS]
#
# Kills the guest (QEMU, by SIGKILL) while iou-log appends to a disk through the page
# cache of the guest, KILLS times (default: 5). All records that iou-log has reported as
# durable must be on the disk, without a gap. Writers that do not sync, or report before the
# sync, must lose some. The kernel of a guest must not have complained.
#
# The reports go to the host by 9p, which has no cache in the guest. The disk is a raw
# image with cache=writeback, so data that the guest has written survives QEMU even
# without a flush. This detects a missing sync, but not a missing flush. For the latter
# see iou_log_test.py.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"

kills=${1:-5}
dir=$BUILD/log-kill
tool=$BUILD/kselftest/io_uring_bpf/iou-log
limit=${IOU_BPF_BOOT_TIMEOUT:-600}
console=$BUILD/log/console-log-kill

# awk: print the records from "first" to "last", or endlessly if last is 0
generator='BEGIN {
	pad = "abcdefghij"
	while (length(pad) < 200)
		pad = pad pad
	for (i = first; !last || i <= last; i++)
		print i " " substr(pad, 1, i * 37 % 200)
}'

# last_report: print the highest number that was reported, or 0
last_report()
{
	local n
	n=$(sed -n 's/^durable \([0-9]*\)$/\1/p' "$dir/report" 2>/dev/null | tail -n 1)
	echo "${n:-0}"
}

# Fail if the kernel of the last guest has complained.
silent()
{
	local out
	out=$("$TOP/scripts/splat.sh" "$console") ||
		die "the kernel complained, see ${console#"$TOP/"}:"$'\n'"$(head -n 20 <<<"$out")"
}

# kill_guest FIRST OPTION...: run a writer with records from FIRST on, and kill the guest
# when some are durable
kill_guest()
{
	local first=$1 guest end qemu
	shift
	rm -f "$dir/report" "$dir/pid" "$console"
	printf '%s\n' "cd $GUEST_BUILD/log-kill" \
		"awk -v first=$first -v last=0 -f generator.awk |" \
		"	$tool append -b -k 50 -t 5 $* /dev/vda >report 2>errors" >"$dir/guest.sh"
	vm_run "$limit" "$console" \
		"--qemu-opts=-drive file=$dir/disk,format=raw,if=virtio,cache=writeback -pidfile $dir/pid" \
		-- bash "$GUEST_BUILD/log-kill/guest.sh" >&2 &
	guest=$!
	end=$((SECONDS + limit))
	until [ "$(last_report)" -ge "$first" ]; do
		if ! kill -0 $guest 2>/dev/null || [ $SECONDS -ge $end ]; then
			[ ! -f "$console" ] || silent
			die "the writer did not start: $(cat "$dir/errors" 2>/dev/null)"
		fi
		sleep 0.1
	done
	sleep $((RANDOM % 3)).$((RANDOM % 10))
	read -r qemu <"$dir/pid"
	kill -KILL "$qemu"
	rm -f "$dir/pid"
	wait $guest || true
	silent
}

# Kill a guest that is still running after a failure.
clean_up()
{
	[ ! -s "$dir/pid" ] || kill -KILL "$(cat "$dir/pid")"
}

# found: verify the records on the disk, and print their number
found()
{
	local nr
	"$tool" cat -b "$dir/disk" >"$dir/records" || die "cannot read the log"
	nr=$(wc -l <"$dir/records")
	[ "$nr" = 0 ] || awk -v first=1 -v last="$nr" -f "$dir/generator.awk" |
		cmp - "$dir/records" >&2 || die "one of $nr records differs from what was appended"
	echo "$nr"
}

new_disk()
{
	rm -f "$dir/disk"
	truncate -s 256M "$dir/disk"
}

# loses FAULT WHAT: a writer with this fault must lose records, in one of 5 kills
loses()
{
	local i nr reported
	for ((i = 0; i < 5; i++)); do
		new_disk
		kill_guest 1 --fault "$1"
		reported=$(last_report)
		nr=$(found)
		say "$2: $reported records reported, $nr found"
		[ "$nr" -ge "$reported" ] || return 0
	done
	die "was not noticed: $2"
}

main()
{
	local i nr=0 reported
	[ -x "$tool" ] || die "there is no iou-log, run: make kernel"
	mkdir -p "$dir" "$BUILD/log"
	echo "$generator" >"$dir/generator.awk"
	rm -f "$dir/pid"
	trap clean_up EXIT
	new_disk
	for ((i = 1; i <= kills; i++)); do
		kill_guest $((nr + 1))
		reported=$(last_report)
		nr=$(found)
		say "kill $i: $reported records reported, $nr found"
		[ "$nr" -ge "$reported" ] || die "records are lost"
	done
	loses no-sync 'without a sync'
	loses early 'reported before the sync'
	rm -f "$dir/disk" "$dir/records"
	echo "$kills kills of the guest: nothing lost"
}

main
