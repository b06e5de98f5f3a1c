#!/usr/bin/env bash
# usage: scripts/session.sh LIMIT OUTPUT PROGRAM [ARGUMENT...]
#
# Runs a program for at most LIMIT seconds, in a session of its own, with its output in
# OUTPUT. Then kills what is left of the session, including other process groups, which
# kselftest_harness creates for its children. Exit status: that of the program, 124 if it
# exceeded the limit, or 125 if a process cannot be killed.

limit=$1
output=$2
shift 2

# Print the processes of the session, without zombies.
members()
{
	local stat
	for stat in /proc/[0-9]*/stat; do
		# a name in parentheses, state, parent, group, session
		{ read -r stat <"$stat"; } 2>/dev/null || continue
		set -- ${stat##*) }
		[ "$4" != "$sid" ] || [ "$1" = Z ] || echo "${stat%% *}"
	done
}

# On 9p, output of another user would be lost, so use a pipe. A pipeline would not do: it
# ends only with its last process.
exec {pipe}> >(exec cat >"$output")
reader=$!
setsid timeout -k 10 "$limit" "$@" >&$pipe 2>&1 {pipe}>&- &
sid=$!
wait $sid
rc=$?

took=$SECONDS
while mapfile -t left < <(members); [ ${#left[@]} != 0 ]; do
	[ $SECONDS -lt $((took + 10)) ] || break
	kill -KILL "${left[@]}" 2>/dev/null
	sleep 0.1
done
# the harness reports nothing if it is killed
if [ $took -ge "$limit" ]; then
	echo "# killed after $limit seconds" >&$pipe
fi
if [ ${#left[@]} != 0 ]; then
	echo "# not killable: ${left[*]}" >&$pipe
	rc=125
	exec {pipe}>&-
	sleep 1
	kill $reader
else
	exec {pipe}>&-
fi
wait $reader
exit $rc
