#!/usr/bin/env bash
# usage: scripts/bisect.sh [--build-only] [FIRST..LAST]
#
# Builds, boots and tests the kernel after each patch of the series, so that git bisect
# can stop at any patch. FIRST and LAST are slugs, and default to the ends of the series.
# For each patch:
#
#   option off  the objects that the series touches compile with W=1, without warnings
#   option on   the same, from the patch that adds the option on
#   kernel      the kernel links, with the option on if there is one
#   boot        the kernel boots, and passes the selftests that exist by then
#
# The kernel has no debugging options, which saves time. With --build-only, no kernel is
# booted. Stops at the first failure. Successes are recorded in bisect.good, in the cache,
# and are not repeated: a kernel by its sources, a test program by its contents and the
# kernel. So a patch that adds a test builds no kernel, and runs that test only. Writes a
# table of the patches to build/bisect/table: number, lines of kernel code added and
# removed, recorded success, number of tests that passed on the kernel of that patch,
# subject. The last line is a summary.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"

wt=$CACHE/bisect
good=$CACHE/bisect.good
out=$BUILD/bisect
log=$out/log/bisect
# the other scripts use this tree, with build folders of its own
export IOU_BPF_TREE=bisect IOU_BPF_CONFIG=on

# patch SLUG [^]: print the commit of a patch, or its parent
patch()
{
	git -C "$TREE" rev-parse -q --verify "refs/patches/$1${2:-}" ||
		die "no patch of the series is called \"$1\""
}

# content COMMIT: print the id of the tree after a patch
content()
{
	git -C "$TREE" rev-parse "$1^{tree}"
}

# kernel_of COMMIT: print a hash of the kernel's sources, without tools and documents
kernel_of()
{
	git -C "$TREE" ls-tree "$1" |
		grep -vE '[[:space:]](tools|Documentation|MAINTAINERS)$' | sha1sum | cut -c 1-40
}

# entry built|good COMMIT: print the line that records this result
entry()
{
	local id
	[ "$1" = built ] && id=$(kernel_of "$2") || id=$(content "$2")
	echo "$id $1"
}

# noted built|good COMMIT: succeed if this result is recorded
noted()
{
	grep -qsxF "$(entry "$@")" "$good"
}

# note built|good COMMIT: record this result
note()
{
	noted "$@" || entry "$@" >>"$good"
}

# check_out COMMIT
check_out()
{
	git -C "$TREE" worktree prune
	[ -d "$wt" ] || git -C "$TREE" worktree add -q --detach "$wt" base ||
		die "cannot make the work tree $wt"
	git -C "$wt" checkout -q -f --detach "$1" || die "cannot check out $1"
}

has_option()
{
	grep -q '^config IO_URING_BPF_PROG' "$wt/io_uring/Kconfig"
}

# objects on|off: print the objects that the series touches and this commit builds
objects()
{
	local f not=CONFIG_IO_URING_BPF_PROG
	[ "$1" = off ] || not='^$'
	git -C "$TREE" diff --name-only base series -- 'io_uring/*.c' 'kernel/*.c' |
	while read -r f; do
		# join continuation lines
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

# comes_up: boot the kernel, without running tests
comes_up()
{
	rm -f "$out/up"
	quiet "$log" "$TOP/scripts/boot.sh" "$out/disk.img" "$out/log/console1" \
		"${IOU_BPF_BOOT_TIMEOUT:-3600}" -- "touch $GUEST_BUILD/up" || true
	[ -f "$out/up" ] && quiet "$log" "$TOP/scripts/splat.sh" "$out/log/console1"
}

# selftests COMMIT: build all selftests, and run those without a recorded success
selftests()
{
	local -a tests todo=() keys=()
	local t kernel key
	quiet "$log" "$TOP/scripts/selftests.sh" || return 1
	kernel=$(kernel_of "$1")
	mapfile -t tests < <(sed -n 's/^io_uring_bpf://p' "$out/kselftest/kselftest-list.txt")
	for t in "${tests[@]}"; do
		key="$kernel $(sha1sum <"$out/kselftest/io_uring_bpf/$t" | cut -c 1-40)"
		# a script depends on other files, which the hash does not cover
		if [[ $t == *.sh || $t == *.py ]]; then
			todo+=("$t")
		elif ! grep -qsxF "$key passed" "$good"; then
			todo+=("$t") keys+=("$key passed")
		fi
	done
	quiet "$log" "$TOP/scripts/check.sh" "${todo[@]}" libbpf_str libbpf_probes || return 1
	[ ${#keys[@]} = 0 ] || printf '%s\n' "${keys[@]}" >>"$good"
}

# one COMMIT NAME built|good: build a commit, and for "good" test it
one()
{
	check_out "$1"
	if ! noted built "$1"; then
		compile off || die "$2 does not compile with the option off, see $log"
		! has_option || compile on ||
			die "$2 does not compile with the option on, see $log"
	fi
	# the last kernel may be that of another commit
	if [ "$(cat "$out/kernel" 2>/dev/null)" != "$(kernel_of "$1")" ]; then
		rm -f "$out/kernel"
		quiet "$log" "$TOP/scripts/kernel.sh" --config on ||
			die "$2 does not build, see $log"
		kernel_of "$1" >"$out/kernel"
	fi
	note built "$1"
	[ "$3" = good ] || return 0
	if has_option && [ -d "$wt/tools/testing/selftests/io_uring_bpf" ]; then
		selftests "$1" || die "$2 fails its selftests, see $log"
	else
		comes_up || die "$2 does not boot, see $log"
	fi
	note good "$1"
}

# lines COMMIT: print the lines of kernel code that a patch adds and removes
lines()
{
	git -C "$TREE" diff --numstat "$1^" "$1" -- . ':!tools' ':!Documentation' \
		':!MAINTAINERS' | awk '{ a += $1; d += $2 } END { printf "+%d -%d", a, d }'
}

# table: print a line for each patch, with its recorded results
table()
{
	local id nr=0 state kernel
	while read -r id; do
		kernel=$(kernel_of "$id") state=-
		! noted built "$id" || state=built
		! noted good "$id" || state=good
		printf '%3d  %-10s  %-5s  %3d  %s\n' $((++nr)) "$(lines "$id")" $state \
			"$(grep -c "^$kernel [0-9a-f]* passed$" "$good")" \
			"$(git -C "$TREE" log -1 --format=%s "$id")"
	done < <(git -C "$TREE" rev-list --reverse base..series)
}

main()
{
	local what=good range from=base to=series all id name
	if [ "${1:-}" = --build-only ]; then
		what=built
		shift
	fi
	range=${1:-..}
	[[ $# -le 1 && $range == *..* ]] || die "usage: scripts/bisect.sh [--build-only] [FIRST..LAST]"
	[ -z "${range%%..*}" ] || from=$(patch "${range%%..*}" ^)
	[ -z "${range##*..}" ] || to=$(patch "${range##*..}")
	lock bisect-run
	mkdir -p "$out/log"
	touch "$good"
	all=$(git -C "$TREE" rev-list --count base..series 2>/dev/null) ||
		die "there is no series, run: make series"
	trap 'table >"$out/table"' EXIT
	while read -r id <&3; do
		name="patch $(git -C "$TREE" rev-list --count "base..$id") of $all, $(git -C "$TREE" log -1 --format=%s "$id"),"
		if noted $what "$id"; then
			say "${name%,}: already $what"
		else
			say "${name%,}: not yet $what"
			one "$id" "$name" $what
		fi
	done 3< <(git -C "$TREE" rev-list --reverse "$from..$to")
	[ -n "${name:-}" ] || die "there is no patch from ${range%%..*} to ${range##*..}"
	say "everything is $what, up to ${name%,}; table in ${out#"$TOP/"}/table"
}

main "$@"
