#!/usr/bin/env bash
# usage: scripts/kernel.sh [--config NAME] [TARGET...]
#
# Configures and builds the kernel of the work tree in the cache, to which
# scripts/tree.py has applied the series, or of the work tree IOU_BPF_TREE. The build
# folder is build/NAME in the cache.
#
#   debug       (default) for the tests, with lockdep, KASAN and the like
#   bench       for counting instructions, without debugging and with mitigations
#   bench-base  like bench, without the series
#   bench-trace like bench, with tracepoints, which are off
#   bench-off   like bench, with CONFIG_IO_URING_BPF_PROG off
#   on          like debug, without debugging
#   off         like on, with CONFIG_IO_URING_BPF_PROG off

. "$(dirname "$0")/lib.sh"

config=debug
if [ "${1:-}" = --config ]; then
	config=$2
	shift 2
fi
tree=$TREE
out=$KBUILDS/$config
log=$BUILD/log/kernel-$config

fragments()
{
	local dir=$TOP/scripts/config
	case $config in
	debug)	cat "$dir/kernel.config" "$dir/types.config" "$dir/debug.config" ;;
	bench)	cat "$dir/kernel.config" "$dir/bench.config" ;;
	bench-trace)
		cat "$dir/kernel.config" "$dir/bench.config" "$dir/trace.config" ;;
	bench-base | bench-off)
		grep -v '^CONFIG_IO_URING_BPF_PROG' "$dir/kernel.config"
		cat "$dir/bench.config" ;;
	on)	cat "$dir/kernel.config" "$dir/types.config" ;;
	off)	cat "$dir/kernel.config" "$dir/types.config"
		echo 'CONFIG_IO_URING_BPF_PROG=n' ;;
	*)	die "no such configuration: $config" ;;
	esac
}

# Use a work tree of its own, without the series.
base_tree()
{
	tree=$CACHE/bench-base
	git -C "$TREE" worktree prune
	{ [ -d "$tree" ] || git -C "$TREE" worktree add -q --detach "$tree" base; } &&
		git -C "$tree" checkout -q -f --detach base ||
		die "cannot make a work tree of the kernel without the series"
}

# Succeed if the kernel need not have the option: it is off, or the commit in another work
# tree precedes the patch that adds it.
may_lack_option()
{
	[ "$config" = off ] || { [ -n "${IOU_BPF_TREE:-}" ] &&
		! grep -q '^config IO_URING_BPF_PROG' "$tree/io_uring/Kconfig"; }
}

configure()
{
	local want none='^$'
	! may_lack_option || none=IO_URING_BPF_PROG
	fragments >"$out/fragment"
	kmake "$tree" "$out" -s KCONFIG_ALLCONFIG="$out/fragment" allnoconfig >"$log" 2>&1 ||
		{ tail -n 25 "$log" >&2; die "cannot configure the kernel"; }
	# allnoconfig drops options that it cannot honour without a message
	while read -r want; do
		grep -qxF "$want" "$out/.config" ||
			die "the kernel does not take $want"
	done < <(grep -E '^CONFIG_.*=[^n]' "$out/fragment" | grep -v "$none")
}

# Copy stdin, and report progress, because a build can take long.
progress()
{
	local n=0 line
	while IFS= read -r line; do
		printf '%s\n' "$line"
		[[ $line == "  "* ]] && n=$((n + 1))
		[ $((n % 400)) != 0 ] || [ $n = 0 ] ||
			{ say "built $n objects ($config)"; n=$((n + 1)); }
	done
}

main()
{
	lock "${IOU_BPF_TREE:-tree}"
	[ "$config" != bench-base ] || base_tree
	mkdir -p "$out" "$BUILD/log" || die "cannot make $out"
	configure
	[ $# != 0 ] || set -- bzImage
	say "building the kernel ($config), log in ${log#"$TOP/"}"
	if ! kmake "$tree" "$out" "$@" 2>&1 | progress >>"$log"; then
		grep -E -m5 'error|Error|undefined' "$log" >&2 || tail -n 25 "$log" >&2
		die "the kernel does not build, see ${log#"$TOP/"}"
	fi
	say "the kernel is built"
}

main "$@"
