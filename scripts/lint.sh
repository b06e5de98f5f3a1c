#!/usr/bin/env bash
# usage: scripts/lint.sh
#
# Runs the checks that maintainers run: checkpatch --strict on each patch, W=1 and sparse
# for the lines that the series adds, with the option on and off, kernel-doc, and Sphinx
# for the documents that the series touches. The last line is a summary.

. "$(dirname "$0")/lib.sh"

# Debian's python3 has the modules that Debian packages
export PATH=/usr/bin:$PATH

log=$BUILD/log/lint
bad=0

complain()
{
	bad=1
	printf '%s%s%s\n' "$RED" "$1" "$OFF"
	head -n 40 "$2"
}

# Ignored: the sender adds the sign-off, one patch at the end updates MAINTAINERS, and
# BPF code may use Tasks Trace RCU.
IGNORE=MISSING_SIGN_OFF,FILE_PATH_CHANGES,RCU_TASKS_TRACE
# Also ignored in user space, as the existing code does the same: libbpf's option structs,
# macros of kselftest_harness, FIXTURE_DATA(x) *self, and memory that processes share.
IGNORE_USER=$IGNORE,SPACING,LINE_SPACING,VOLATILE,BIT_MACRO,AVOID_EXTERNS
IGNORE_USER=$IGNORE_USER,COMPLEX_MACRO,MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE,MACRO_WITH_FLOW_CONTROL
IGNORE_USER=$IGNORE_USER,MULTISTATEMENT_MACRO_USE_DO_WHILE,ARRAY_SIZE

# ours PATCH: filter the output of checkpatch. Drop remarks on upstream's text in lines
# that the patch moves, and on the style of uapi/linux/bpf.h and of trace headers.
ours()
{
	awk -F: '
		NR == FNR && /^\+\+\+ / { file = $0 }
		NR == FNR { text[FNR] = substr($0, 2); of[FNR] = file }
		NR == FNR && /^-/ { was[substr($0, 2)] = 1 }
		NR == FNR || text[$2] in was { next }
		of[$2] ~ /uapi\/linux\/bpf.h$/ && $4 ~ /^(SPACING|BIT_MACRO)$/ { next }
		of[$2] ~ /include\/trace\/events\// &&
			$4 ~ /^(PARENTHESIS_ALIGNMENT|OPEN_ENDED_LINE|SPLIT_STRING|SPACING)$/ { next }
		{ print }' "$1" -
}

patches()
{
	local p ignore
	for p in "$BUILD"/series/*.patch; do
		[[ $p != */0000-* ]] || continue
		ignore=$IGNORE
		! grep -q '^+++ b/tools/\(lib\|bpf\|io_uring\|testing\)/' "$p" || ignore=$IGNORE_USER
		(cd "$TREE" && perl scripts/checkpatch.pl --strict --terse --show-types \
			--no-summary --codespell --ignore "$ignore" "$p" || [ $? = 1 ]) |
			ours "$p" >"$log-checkpatch"
		[ ! -s "$log-checkpatch" ] ||
			complain "checkpatch: $(basename "$p")" "$log-checkpatch"
	done
}

# Print FILE:LINE of each line that the series adds.
added_lines()
{
	git -C "$TREE" diff -U0 base series -- '*.c' '*.h' | awk '
		/^\+\+\+ / { file = substr($2, 3) }
		/^@@/ {
			split(substr($3, 2), a, ",")
			n = a[2] == "" ? 1 : a[2]
			for (i = 0; i < n; i++)
				print file ":" a[1] + i
		}'
}

# Print the objects whose source the series touches and the configuration builds.
objects()
{
	git -C "$TREE" diff --name-only base series -- io_uring/'*.c' kernel/'*.c' |
		while read -r f; do
			[ "$1" = off ] && [[ $f == io_uring/bpf* ]] || echo "${f%.c}.o"
		done
}

# new_warnings WHAT CONFIG MAKE_ARGUMENT...: compile, and complain about warnings in added
# lines. kfuncs need no declaration, because only programs call them.
new_warnings()
{
	local what=$1 config=$2
	shift 2
	# shellcheck disable=SC2046 # a list
	"$TOP/scripts/kernel.sh" --config "$config" \
		-k "$@" $(objects "$config") >"$log-$what-$config" 2>&1 ||
		complain "$what: does not build with the option $config" "$log-$what-$config"
	! grep -q 'sparse is not available' "$BUILD/log/kernel-$config" ||
		die "sparse is missing, or too old for this kernel"
	sed -nE 's/^([^ ]*\/)?((io_uring|kernel|include)\/[^:]+:[0-9]+):[0-9]*:? *(.*)/\2 \4/p' \
		"$BUILD/log/kernel-$config" | sort -u |
		awk 'NR == FNR { added[$1] = 1; next }
			/symbol .bpf_(iter_)?io_uring_.* was not declared/ { next }
			$1 in added && /warning|error/' \
			<(added_lines) - >"$log-new"
	[ ! -s "$log-new" ] || complain "$what, option $config:" "$log-new"
	rm -f "$BUILD/log/kernel-$config"
}

kernel_doc()
{
	local files
	files=$(git -C "$TREE" diff --name-only base series -- io_uring/'bpf*' include/linux/bpf_io_uring.h)
	# shellcheck disable=SC2086 # a list
	(cd "$TREE" && ./scripts/kernel-doc -none -Werror $files) >"$log-doc" 2>&1 ||
		complain "kernel-doc:" "$log-doc"
}

# Build the whole folder, to resolve references to other documents.
documents()
{
	if ! (cd "$TREE/Documentation" && srctree=.. PYTHONDONTWRITEBYTECODE=1 \
		$PYTHON -m sphinx -q -E -b dummy -c . bpf "$log-doctrees") >"$log-sphinx" 2>&1; then
		complain "Sphinx:" "$log-sphinx"
	elif git -C "$TREE" diff --name-only base series |
		grep -F -f - "$log-sphinx" >"$log-new"; then
		complain "Sphinx:" "$log-new"
	fi
}

main()
{
	local config
	mkdir -p "$BUILD/log"
	say "checkpatch"
	patches
	say "kernel-doc"
	kernel_doc
	say "documents"
	documents
	for config in bench off; do
		say "W=1 and sparse, configuration $config"
		new_warnings W=1 $config W=1
		# sparse of Debian 12 does not know the operator yet
		new_warnings sparse $config C=2 CF=-D__typeof_unqual__=__typeof__
	done
	[ $bad = 0 ] || die "lint has found problems"
	say "lint has found no problems"
}

main
