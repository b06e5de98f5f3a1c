#!/usr/bin/env bash
# usage: scripts/liburing-guest.sh RESULTS TEST_DIR MODE
#
# Runs in the guest. Runs the tests of liburing that RESULTS/todo lists, each with a time
# limit and in an empty folder. MODE is "plain", or "watch" for a program on each ring
# that changes nothing, see liburing/test/watch.c. Appends a line "TEST STATUS SECONDS"
# for each test to RESULTS/tests. The output of a test goes to RESULTS/TEST, and
# statistics of the program to RESULTS/watch.

results=$1
dir=$2
mode=$3
session=$(dirname "$(realpath "$0")")/session.sh
limit=${IOU_BPF_LIBURING_TIMEOUT:-120}
bpffs=/sys/fs/bpf
work=/run/liburing

# Load the program, for use by tests that give up their privileges as well.
watch()
{
	"$dir/bpftool" prog load "$dir/watch.bpf.o" $bpffs/watch &&
		chmod 0444 $bpffs/watch &&
		mkdir -m 1777 $bpffs/links || return
	echo 1 >/proc/sys/kernel/bpf_stats_enabled
	export IOU_BPF_WATCH=$bpffs/watch IOU_BPF_WATCH_LINKS=$bpffs/links
	export IOU_BPF_WATCH_LOG=/run/watch
	install -m 0666 /dev/null $IOU_BPF_WATCH_LOG
}

# Print the rings with the program, errors of other rings, and the run count.
watched()
{
	sort /run/watch | uniq -c
	"$dir/bpftool" prog show pinned $bpffs/watch | grep -o 'run_cnt [0-9]*'
}

run()
{
	local rc
	rm -rf $work/test
	mkdir -m 1777 $work/test
	cd $work/test || exit 1
	# some tests start others
	ln -s "$dir"/*.t .
	echo "selftest: running $1" >/dev/kmsg
	SECONDS=0
	"$session" "$limit" "$results/$1" "$dir/$1" </dev/null
	rc=$?
	echo "$1 $rc $SECONDS" >>"$results/tests"
	[ "$mode" = plain ] || rm -f $bpffs/links/*
}

mkdir -p $work
mount -t ext4 /dev/vda $work && mount -t bpf -o mode=0755 none $bpffs || exit 1
ulimit -c 0
[ "$mode" = plain ] || watch || exit 1
while read -r t <&3; do
	run "$t"
done 3<"$results/todo"
[ "$mode" = plain ] || watched >>"$results/watch"
echo 'selftest: running end' >/dev/kmsg
