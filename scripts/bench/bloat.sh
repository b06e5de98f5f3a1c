#!/usr/bin/env bash
# usage: scripts/bench/bloat.sh
#
# Compares the size of io_uring/ and kernel/bpf/, with the option off, to the kernel
# without the series. Prints the output of bloat-o-meter, and writes the difference in
# bytes to build/bench/bloat.bytes.

. "$(dirname "$0")/../lib.sh"

# objects CONFIGURATION: build the objects, and link them into one
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
