#!/usr/bin/env bash
# usage: scripts/bisect.sh [--build-only] [FIRST..LAST]
#
# Builds, boots and tests the kernel as it is after each patch of the series, so
# that a git bisect that lands there finds something that works. FIRST and LAST
# are slugs or numbers of patches, and may be left out. For each patch:
#
#   option off  what the series touches compiles with W=1 and without a warning
#   option on   the same, from the patch that adds the option on
#   kernel      one for debugging links, with the option on if there is one
#   boot        it comes up, and passes the selftests if they are there by then
#
# With --build-only nothing is booted. Stops at the first failure. What was good
# is noted in the cache, in bisect.good, by commit, and is not done again. Ends in
# one line.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"

wt=$CACHE/bisect
good=$CACHE/bisect.good
out=$BUILD/bisect
log=$out/log/bisect
declare -a commits slugs
# scripts work on that tree, and on build folders of its own
export IOU_BPF_TREE=bisect

# read_series: numbers begin at 1
read_series()
{
	local id
	commits=('') slugs=('')
	while read -r id; do
		commits+=("$id")
		slugs+=("$(git -C "$TREE" for-each-ref --points-at "$id" \
			--format='%(refname:lstrip=2)' refs/patches)")
	done < <(git -C "$TREE" rev-list --reverse base..series 2>/dev/null)
	[ ${#commits[@]} != 1 ] || die "there is no series, run: make series"
}

# number PATCH: of a slug or a number
number()
{
	local n
	for ((n = 1; n < ${#commits[@]}; n++)); do
		if [ "$1" = "$n" ] || [ "$1" = "${slugs[n]}" ]; then
			echo "$n"
			return
		fi
	done
	die "no patch of the series is called \"$1\""
}

# noted WHAT COMMIT: was that good?
noted()
{
	grep -qsxF "$2 $1" "$good"
}

# check_out COMMIT
check_out()
{
	git -C "$TREE" worktree prune
	[ -d "$wt" ] || git -C "$TREE" worktree add -q --detach "$wt" base ||
		die "cannot make a work tree for this"
	git -C "$wt" checkout -q -f --detach "$1" || die "cannot check out $1"
}

has_option()
{
	grep -q '^config IO_URING_BPF_PROG' "$wt/io_uring/Kconfig"
}

# objects on|off: of sources that the series touches, those that are built here
objects()
{
	local f not=CONFIG_IO_URING_BPF_PROG
	[ "$1" = off ] || not='^$'
	git -C "$TREE" diff --name-only base series -- 'io_uring/*.c' 'kernel/*.c' |
	while read -r f; do
		# a line that ends in a backslash goes on in the next one
		! sed -e ':a' -e '/\\$/{N;s/\\\n//;ta' -e '}' "$wt/$(dirname "$f")/Makefile" |
			grep -v "$not" | tr -s '[:space:]' '\n' |
			grep -xF "$(basename "$f" .c).o" >/dev/null || echo "${f%.c}.o"
	done
}

# compile on|off
compile()
{
	local -a list
	mapfile -t list < <(objects "$1")
	[ ${#list[@]} = 0 ] ||
		quiet "$log" "$TOP/scripts/kernel.sh" --config "$1" W=1 KCFLAGS=-Werror "${list[@]}"
}

# boot: runs nothing, if there are no tests yet
boot()
{
	rm -f "$out/up"
	quiet "$log" "$TOP/scripts/boot.sh" "$out/disk.img" "$out/log/console1" \
		"${IOU_BPF_BOOT_TIMEOUT:-3600}" -- \
		"touch $GUEST_BUILD/up" || true
	[ -f "$out/up" ] || return 1
	quiet "$log" "$TOP/scripts/splat.sh" "$out/log/console1"
}

# selftests: all that there are
selftests()
{
	local -a tests
	quiet "$log" "$TOP/scripts/selftests.sh" || return 1
	mapfile -t tests < <(sed -n 's/^io_uring_bpf://p' "$out/kselftest/kselftest-list.txt")
	quiet "$log" "$TOP/scripts/check.sh" "${tests[@]}" libbpf_str libbpf_probes
}

# build COMMIT NAME
build()
{
	if ! noted built "$1"; then
		compile off || die "$2 does not compile with the option off, see $log"
		! has_option || compile on ||
			die "$2 does not compile with the option on, see $log"
	fi
	# its kernel is that of the commit before, if this one was built earlier
	quiet "$log" "$TOP/scripts/kernel.sh" || die "$2 does not build, see $log"
	noted built "$1" || echo "$1 built" >>"$good"
}

# test_kernel COMMIT NAME
test_kernel()
{
	if has_option && [ -d "$wt/tools/testing/selftests/io_uring_bpf" ]; then
		selftests || die "$2 fails its selftests, see $log"
	else
		boot || die "$2 does not boot, see $log"
	fi
	echo "$1 good" >>"$good"
}

main()
{
	local what=good range first last n name
	if [ "${1:-}" = --build-only ]; then
		what=built
		shift
	fi
	range=${1:-..}
	[[ $# -le 1 && $range == *..* ]] || die "usage: scripts/bisect.sh [--build-only] [FIRST..LAST]"
	lock bisect-run
	mkdir -p "$out/log"
	read_series
	first=${range%%..*} last=${range##*..}
	first=$(number "${first:-1}")
	last=$(number "${last:-$((${#commits[@]} - 1))}")
	[ "$first" -le "$last" ] || die "patch $first is not before patch $last"
	for ((n = first; n <= last; n++)); do
		name="patch $n of $((${#commits[@]} - 1)) (${slugs[n]})"
		if noted good "${commits[n]}" || noted $what "${commits[n]}"; then
			say "$name was $what"
			continue
		fi
		say "$name: $(git -C "$TREE" log -1 --format=%s "${commits[n]}")"
		check_out "${commits[n]}"
		build "${commits[n]}" "$name"
		[ $what = built ] || test_kernel "${commits[n]}" "$name"
	done
	say "patches $first to $last are $what"
}

main "$@"
