# SPDX-License-Identifier: GPL-2.0
# For tests in shell, on top of the helpers of kselftest. A test has the folder $tmp.
. ../kselftest/ktap_helpers.sh

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# skip_all WHY...: end the test, which needs something that is not there
skip_all()
{
	ktap_skip_all "$@"
	exit "$KSFT_SKIP"
}

# plan NUMBER: begin with the tests
plan()
{
	ktap_print_header
	ktap_set_plan "$1"
}

# check NAME COMMAND...: a test that the command succeeds
check()
{
	name=$1
	shift
	if "$@" >"$tmp/out" 2>&1; then
		ktap_test_pass "$name"
	else
		sed 's/^/# /' "$tmp/out"
		ktap_test_fail "$name"
	fi
}

# fails STATUS TEXT COMMAND...: the command fails with this status and message
fails()
{
	status=$1 text=$2
	shift 2
	"$@" >"$tmp/stdout" 2>"$tmp/stderr"
	rc=$?
	cat "$tmp/stderr"
	echo "status $rc of $*, expected $status"
	[ $rc = "$status" ] && grep -q "$text" "$tmp/stderr"
}
