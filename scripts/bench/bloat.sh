#!/usr/bin/env bash
# usage: scripts/bench/bloat.sh
#
# What the series costs a kernel that has it switched off: compares the objects
# of io_uring/ and kernel/bpf/ with those of the kernel without it. Prints the
# kernel's own comparison, and writes the bytes to build/bench/bloat.bytes.

. "$(dirname "$0")/../lib.sh"

# objects CONFIGURATION: builds them, and links them into one
objects()
{
	local out=$CACHE/build/$1
	"$TOP/scripts/kernel.sh" --config "$1" io_uring/ kernel/bpf/
	ld -r -o "$BUILD/bench/$1.o" --whole-archive \
		"$out/io_uring/built-in.a" "$out/kernel/bpf/built-in.a" ||
		die "cannot link the objects of $1"
}

main()
{
	mkdir -p "$BUILD/bench"
	objects bench-base
	objects bench-off
	$PYTHON "$TREE/scripts/bloat-o-meter" -t "$BUILD"/bench/bench-{base,off}.o |
		tee "$BUILD/bench/bloat.txt"
	sed -n 's/^Total: Before=\([0-9]*\), After=\([0-9]*\),.*/\2 - \1/p' "$BUILD/bench/bloat.txt" |
		bc >"$BUILD/bench/bloat.bytes"
}

main
