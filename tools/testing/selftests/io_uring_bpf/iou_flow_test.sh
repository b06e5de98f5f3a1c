#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# iou-flow: what it reads from a recording, what it draws, and a recording of its own.
# Also the other use of the tracepoints: histograms of latencies.

cd "$(dirname "$0")" || exit 1
flow=./iou-flow.py
[ -x $flow ] || flow=../../../io_uring/iou-flow.py
# -S: the standard library is all that is needed, and others' modules take time
flow="python3 -S $flow"
sample=iou_flow_sample.txt
tracing=/sys/kernel/tracing
. ./check.sh

# prints_only_an_error STATUS TEXT COMMAND...: it fails, with nothing on its output
prints_only_an_error()
{
	fails "$@" && [ ! -s "$tmp/stdout" ]
}

# count NUMBER PATTERN FILE
count()
{
	n=$(grep -cE "$2" "$3")
	echo "$n of $2, expected $1"
	[ "$n" = "$1" ]
}

lists()
{
	$flow list $sample >"$tmp/list" && cat "$tmp/list" &&
		count 3 'complete\)|no_children\)|cancelled\)' "$tmp/list" &&
		grep -qE '^ +1  0xf10a .* 0 .* 6 +5 +1 +5 +0  6 \(complete\)$' "$tmp/list" &&
		grep -qE '^ +2  0xf10b .* 5 +2 +3 +2 +1  EIO \(no_children\)$' "$tmp/list" &&
		grep -qE '^ +3  0xf10c .* 3 +1 +1 +1 +0  ECANCELED \(cancelled\)$' "$tmp/list" &&
		grep -qE '^2 runs of programs that watch$' "$tmp/list"
}

shows()
{
	$flow show -f 2 $sample >"$tmp/show" && cat "$tmp/show" &&
		count 1 'START .*-> 1 READ 0x10, 2 NOP 0x11$' "$tmp/show" &&
		count 2 '1 READ 0x10 = 512 .*-> again$' "$tmp/show" &&
		count 1 '2 NOP 0x11 = 3  CQE posted  POST\|GO_ON$' "$tmp/show" &&
		count 1 'bpf_io_uring_issue\(\) EINVAL' "$tmp/show" &&
		count 1 '1 READ 0x10 = EIO  CQE spared' "$tmp/show"
}

draws()
{
	$flow draw -f 1 -o "$tmp/1.svg" $sample &&
		count 5 '<rect class="child"' "$tmp/1.svg" &&
		count 6 '<rect class="run"' "$tmp/1.svg" &&
		count 5 'class="arrow" d' "$tmp/1.svg" &&
		count 5 'class="cqe spared"' "$tmp/1.svg" &&
		count 1 'class="cqe posted"' "$tmp/1.svg"
}

# a CQE of a child is drawn at the child and in the lane of the CQ
draws_reissues()
{
	$flow draw -f 2 -o - $sample >"$tmp/2.svg" &&
		count 2 '<rect class="child"' "$tmp/2.svg" &&
		count 2 '<rect class="again" ' "$tmp/2.svg" &&
		count 5 'class="cqe posted"' "$tmp/2.svg" &&
		count 2 'class="cqe spared"' "$tmp/2.svg" &&
		count 1 '^<text .*bpf_io_uring_issue\(\) returns -EINVAL<' "$tmp/2.svg"
}

draws_a_part()
{
	$flow draw -f 1 -c 2-3 -o "$tmp/part.svg" $sample &&
		count 2 '<rect class="child"' "$tmp/part.svg" &&
		count 1 '3 more requests are not shown' "$tmp/part.svg"
}

is_xml()
{
	for svg in "$tmp"/*.svg; do
		python3 -c 'import sys, xml.dom.minidom
xml.dom.minidom.parse(sys.argv[1])' "$svg" || return
	done
}

refuses()
{
	echo "# nothing" >"$tmp/empty"
	prints_only_an_error 1 'no event of io_uring' $flow draw "$tmp/empty" &&
		prints_only_an_error 1 'No such file' $flow list "$tmp/none" &&
		prints_only_an_error 1 'no flow 4' $flow show -f 4 $sample &&
		prints_only_an_error 1 '5 requests only' $flow draw -f 1 -c 6-9 $sample &&
		prints_only_an_error 2 'no range' $flow draw -c 3 $sample &&
		prints_only_an_error 2 'usage' $flow &&
		prints_only_an_error 1 'what is to be recorded' $flow record
}

# another test has flows; the status of the command is kept
records()
{
	$flow record -o "$tmp/rec" -- sh -c './end_test -t data_in_place >&2; exit 3'
	[ $? = 3 ] || return
	$flow list "$tmp/rec" >"$tmp/list" && cat "$tmp/list" &&
		grep -q '(complete)$' "$tmp/list" &&
		$flow draw -o "$tmp/rec.svg" "$tmp/rec" &&
		grep -q 'class="child"' "$tmp/rec.svg" &&
		prints_only_an_error 127 'No such file' $flow record -o "$tmp/rec" -- ./no_such_command
}

# The commands of "Latencies" in Documentation/bpf/io_uring_debug.rst
set_triggers()
{
	sh -e <<'END'
cd /sys/kernel/tracing/events
echo 'io_uring_latency u8 opcode; u64 lat' >> ../synthetic_events
echo 'hist:keys=req:t=common_timestamp,op=opcode' > io_uring/io_uring_submit_req/trigger
lat='lat=common_timestamp-$t:onmatch(io_uring.io_uring_submit_req)'
lat=$lat'.trace(io_uring_latency,$op,$lat)'
echo "hist:keys=req:$lat" > io_uring/io_uring_complete/trigger
echo 'hist:keys=opcode,lat.log2:sort=opcode,lat' > synthetic/io_uring_latency/trigger
echo "hist:keys=req:$lat if flags & 1" > io_uring/io_uring_bpf_run/trigger
END
}

remove_triggers()
{
	sh -e <<'END'
cd /sys/kernel/tracing/events
for e in synthetic/io_uring_latency io_uring/io_uring_bpf_run \
	io_uring/io_uring_complete io_uring/io_uring_submit_req; do : > $e/trigger; done
echo '!io_uring_latency' >> ../synthetic_events
END
}

# A flow posts a CQE, its reads do not.
counts_latencies()
{
	clock=$(sed 's/.*\[\(.*\)\].*/\1/' $tracing/trace_clock)
	: >"$tmp/hist"
	set_triggers && ./hello_test -t cap_bpf_only &&
		cp $tracing/events/synthetic/io_uring_latency/hist "$tmp/hist"
	rc=$?
	[ $rc = 0 ] || cat $tracing/error_log
	remove_triggers || rc=1
	# the triggers have changed it
	echo "$clock" >$tracing/trace_clock
	cat "$tmp/hist"
	[ $rc = 0 ] && grep -qE '^\{ opcode: +22, lat: ~ 2\^[0-9]+ +\} hitcount: +[1-9]' "$tmp/hist" &&
		grep -qE '^\{ opcode: +65, lat: ~ 2\^[0-9]+ +\} hitcount: +[1-9]' "$tmp/hist"
}

python3 -c '' 2>/dev/null || skip_all no python3
plan 9
check a_list lists
check the_runs_of_a_flow shows
check a_picture draws
check reissues draws_reissues
check a_part_of_a_flow draws_a_part
check errors refuses
[ -d $tracing/instances ] || mount -t tracefs nodev $tracing
if [ -d $tracing/events/io_uring/io_uring_bpf_run ] && [ -x end_test ]; then
	check a_recording records
else
	ktap_test_skip "a_recording: no tracepoints"
fi
if [ -e $tracing/events/io_uring/io_uring_bpf_run/hist ] && [ -e $tracing/synthetic_events ] &&
	[ -x hello_test ]; then
	check latencies counts_latencies
else
	ktap_test_skip "latencies: no histogram triggers"
fi
check xml is_xml
ktap_finished
