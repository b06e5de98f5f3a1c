#!/usr/bin/env bash
# usage: scripts/leaks.sh REPORT
#
# Prints the objects in a report of kmemleak that io_uring or a BPF link has allocated.
# Exit status: 0 no leaks, 1 leaks, 2 the report cannot be read.

[ -r "${1:-}" ] || { echo "error: cannot read the report '${1:-}'" >&2; exit 2; }

# an object is an unindented line, and the lines that follow
awk '
	function flush() {
		if (ours) {
			printf "%s", object
			bad = 1
		}
		object = ""
		ours = 0
	}
	/^[^ \t]/ { flush() }
	/io_uring|io_bpf|iouring|bpf_link/ { ours = 1 }
	{ object = object $0 "\n" }
	END { flush(); exit bad }
' "$1"
