#!/usr/bin/env bash
# usage: scripts/splat.sh LOG
#
# Looks for kernel complaints in the log of a guest. For each it prints the
# line, and the test that was running, as scripts/guest.sh noted in the log.
# Exit status: 0 none, 1 some, 2 the log can't be read.

. "$(dirname "$0")/lib.sh"

[ -r "${1:-}" ] || { echo "error: cannot read the log '${1:-}'" >&2; exit 2; }

# one extended regular expression a line, comments start with #
patterns()
{
	grep -vE '^(#|$)' "$TOP/scripts/splat.$1" || true
}

awk -v deny="$(patterns deny | paste -sd'|')" \
    -v allow="$(patterns allow | paste -sd'|')" '
	match($0, /selftest: running [^ \r]+/) {
		test = substr($0, RSTART + 18, RLENGTH - 18)
	}
	$0 ~ deny && !(allow != "" && $0 ~ allow) {
		sub(/\r$/, "")
		printf "splat%s: %s\n", test == "" ? "" : " in " test, $0
		bad = 1
	}
	END { exit bad }
' "$1"
