#!/usr/bin/env bash
# usage: scripts/mutants.sh RESULTS NUMBER PROGRAM_DIR
#
# Runs in guest NUMBER. Each line of RESULTS/planNUMBER has the name of a run, the number
# of the fault to switch on (0: none), a program and its arguments. A run ends at the
# first test that fails. Output and exit status go to RESULTS/NAME.tap and
# RESULTS/NAME.rc. The guest skips the rest of the plan if a process cannot be killed, or
# if the kernel is tainted: mutants.py then boots another guest.
#
# The main loop runs hundreds of times. It uses only builtins of the shell, because any
# other command costs an emulated machine a second.

results=$1
guest=$2
dir=$3
: "${IOU_BPF_TEST_TIMEOUT:=100}"
. "$(dirname "$(realpath "$0")")/guestlib.sh"

switch=$(echo /sys/module/*/parameters/io_bpf_mutant)
serving=

# serve PROGRAM: start the program with mutants/server.c, and with dummy arguments, which
# each run replaces
serve()
{
	local nothing=()
	while [ ${#nothing[@]} -lt 80 ]; do
		nothing+=(-F none)
	done
	[ -z "$serving" ] || { exec {SERVER[1]}>&-; wait "$server" 2>/dev/null; }
	coproc SERVER { LD_PRELOAD=$results/server.so exec "./$1" "${nothing[@]}"; }
	server=$SERVER_PID
	serving=$1
}

# failed NAME: succeed if a test has failed in that run
failed()
{
	local line
	[ -f "$results/$1.tap" ] || return
	while read -r line; do
		[[ $line != 'not ok'* ]] || return 0
	done <"$results/$1.tap"
	return 1
}

# kill_session ID: kill the processes of a session, fail if there are none
kill_session()
{
	local stat pids=()
	for stat in /proc/[0-9]*/stat; do
		{ read -r stat <"$stat"; } 2>/dev/null || continue
		set -- "$1" ${stat##*) }
		[ "$5" != "$1" ] || [ "$2" = Z ] || pids+=("${stat%% *}")
	done
	[ ${#pids[@]} != 0 ] && kill -KILL "${pids[@]}" 2>/dev/null
}

# run NAME ARGUMENT...: let the server do a run, and set rc
run()
{
	local pid part end=$((SECONDS + limit))
	echo "$results/$1.tap ${*:2}" >&"${SERVER[1]}"
	read -r -u "${SERVER[0]}" pid || return
	rc=
	until read -r -t 0.5 -u "${SERVER[0]}" part; do
		# a number that was only partly read
		rc+=$part
		# the result is known
		if [ $SECONDS -ge $end ] || failed "$1"; then
			kill_session "$pid"
		fi
		[ $SECONDS -lt $((end + 10)) ] || { part=125; break; }
	done
	rc+=$part
	# give a ring that was left behind time to go away
	read -r -t 0.3 -u "${SERVER[0]}"
	while kill_session "$pid"; do
		read -r -t 0.1 -u "${SERVER[0]}"
		[ $SECONDS -lt $((end + 20)) ] || { rc=125; break; }
	done
}

cd "$dir" || exit 1
while read -r name number program arguments; do
	[ "$program" = "$serving" ] || serve "$program"
	echo "$name" >"$results/last$guest.name"
	echo "selftest: running $name" >/dev/kmsg
	SECONDS=0 rc=125
	echo "$number" >"$switch" || exit 1
	# shellcheck disable=SC2086 # words
	run "$name" $arguments
	echo 0 >"$switch"
	echo "$rc" >"$results/$name.rc"
	echo "$name: $rc, $SECONDS seconds"
	read -r tainted </proc/sys/kernel/tainted
	[ "$rc" != 125 ] && [ "$tainted" = 0 ] || break
done <"$results/plan$guest"
