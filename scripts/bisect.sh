#!/usr/bin/env bash
# usage: scripts/bisect.sh
#
# Compiles all that the series touches after each of its patches, so that a git
# bisect that lands there finds something that builds: with the option off, and
# from the patch that adds the option on as well. The whole is linked by "make
# kernel". Ends in one line.

. "$(dirname "$0")/lib.sh"

wt=$CACHE/bisect

# build on|off
build()
{
	local out=$CACHE/build/bisect-$1
	mkdir -p "$out"
	cat "$TOP/scripts/config/kernel.config" "$TOP/scripts/config/types.config" >"$out/fragment"
	[ "$1" = on ] || echo 'CONFIG_IO_URING_BPF_PROG=n' >>"$out/fragment"
	quiet "$BUILD/log/bisect" kmake "$wt" "$out" -s KCONFIG_ALLCONFIG="$out/fragment" allnoconfig &&
	quiet "$BUILD/log/bisect" kmake "$wt" "$out" io_uring/ kernel/bpf/
}

main()
{
	local commit n=0
	lock tree
	git -C "$TREE" worktree prune
	[ -d "$wt" ] || git -C "$TREE" worktree add -q --detach "$wt" base ||
		die "cannot make a work tree for this"
	while read -r commit; do
		n=$((n + 1))
		git -C "$wt" checkout -q -f --detach "$commit" || die "cannot check out $commit"
		say "patch $n: $(git -C "$wt" log -1 --format=%s)"
		build off || die "patch $n does not build with the option off"
		! grep -q 'config IO_URING_BPF_PROG' "$wt/io_uring/Kconfig" || build on ||
			die "patch $n does not build with the option on"
	done < <(git -C "$TREE" rev-list --reverse base..series)
	[ $n != 0 ] || die "there is no series, run: make series"
	say "all $n patches build"
}

main
