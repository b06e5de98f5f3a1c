#!/usr/bin/env bash
# usage: scripts/splat.sh LOG
#
# Searches the log of a guest for complaints of the kernel. Prints each with the name of
# the test that was running, which scripts/guest.sh has written to the log. Exit status:
# 0 none, 1 some, 2 the log cannot be read.

. "$(dirname "$0")/lib.sh"

[ -r "${1:-}" ] || { echo "error: cannot read the log '${1:-}'" >&2; exit 2; }

# one extended regular expression per line, comments start with #
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
