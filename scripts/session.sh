#!/usr/bin/env bash
# usage: scripts/session.sh LIMIT OUTPUT PROGRAM [ARGUMENT...]
#
# Runs a program for at most LIMIT seconds, with its output in OUTPUT, and leaves
# nothing of it behind: it is a session of its own, and whatever is left of that
# in the end gets killed, be it in another process group, as the children of
# kselftest_harness are. Exit status: that of the program, 124 if it took too
# long, or 125 if something of it cannot be killed.

limit=$1
output=$2
shift 2

# the processes of a session
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

# Through a pipe: on 9p, what is printed as another user would be lost. Not that
# of a pipeline, whose end would come with that of the last process only.
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
# the harness is silent about a program that was killed
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
