#!/usr/bin/env bash
# usage: scripts/tap.sh FILE EXIT_STATUS [LIST]
#
# Reads the TAP output of one test program. Prints "PASSED FAILED SKIPPED", then a line
# for each failed test, behind the last lines of its diagnostics. A bad exit status without
# a failed test counts as a failure, as does an incomplete plan. Appends a line for each
# skipped test to the file LIST: the program, the test, and why.

. "$(dirname "$0")/lib.sh"

[ -r "${1:-}" ] || die "cannot read the test output '${1:-}'"
awk -v rc="${2:-0}" -v list="${3:-/dev/null}" -v program="$(basename "$1" .tap)" '
	# what a test that fails says: the last NR_HINTS lines that begin with a "#"
	function said(    text, i) {
		for (i = (hints > NR_HINTS ? hints - NR_HINTS + 1 : 1); i <= hints; i++)
			text = text hint[i] "\n  "
		return text
	}
	function skip(text) {
		sub(/^(ok [0-9]+|1\.\.[0-9]+) *(- )?/, "", text)
		print program ": " text >>list
		skipped++
	}
	BEGIN { NR_HINTS = 8 }
	{ sub(/\r$/, "") }
	/^#/ && !/^# +RUN / { hint[++hints] = $0 }
	/^1\.\.[0-9]+/ { plan = substr($1, 4) + 0; planned = 1
			 if (/# ?SKIP/) all_skipped = $0 }
	/^ok [0-9]+/ { seen++; if (/# ?SKIP/) skip($0); else passed++ }
	/^not ok [0-9]+/ { seen++; failed++; line[failed] = said() $0 }
	/^(not )?ok [0-9]+/ { hints = 0 }
	END {
		if (all_skipped && !seen)
			skip(all_skipped)
		else if (!planned)
			line[++failed] = said() "no plan, exit status " rc
		else if (seen != plan)
			line[++failed] = said() "ended after " seen + 0 " of " plan " tests, exit status " rc
		else if (rc != 0 && rc != 4 && !failed)
			line[++failed] = said() "exit status " rc
		print passed + 0, failed + 0, skipped + 0
		for (i = 1; i <= failed; i++)
			print "  " line[i]
	}
' "$1"
