#!/usr/bin/env bash
# usage: scripts/selftests.sh [--config NAME PROGRAM...]
#
# Builds the selftests, and the programs that come with them, against the
# kernel that scripts/kernel.sh has built. Result: build/kselftest. With a
# configuration of that kernel (default: debug), only these programs, in
# build/kselftest-NAME.

. "$(dirname "$0")/lib.sh"

config=debug
if [ "${1:-}" = --config ]; then
	config=$2
	shift 2
fi
out=$KBUILDS/$config
log=$BUILD/log/selftests-$config

clang()
{
	local c
	for c in clang-21 clang-20 clang-19 clang; do
		command -v $c && return
	done
	die "no clang"
}

# upstream FILE FUNCTION: a test of the kernel tree that knows each program type
# by name, unmodified
upstream()
{
	local src=$TREE/tools/testing/selftests/bpf/prog_tests
	local lib=$out/kselftest/io_uring_bpf/build
	gcc -O2 -g -Wall -I"$TOP/scripts/upstream" -I"$lib/include" \
		-I"$TREE/tools/include/uapi" -I"$TREE/tools/include" \
		-DTEST="$2" -include "$src/$1.c" "$TOP/scripts/upstream/main.c" \
		"$lib/libbpf/libbpf.a" -lelf -lz -lzstd \
		-o "$BUILD/kselftest/io_uring_bpf/$1"
}

programs()
{
	local dir=$out/kselftest/io_uring_bpf dest=$BUILD/kselftest-$config/io_uring_bpf p
	mkdir -p "$dir" "$dest"
	for p; do
		quiet "$log" make -C "$TREE/tools/testing/selftests/io_uring_bpf" O="$out" \
			OUTPUT="$dir" KHDR_INCLUDES="-isystem $out/usr/include" \
			CLANG="$(clang)" -j"$JOBS" "$dir/$p" ||
			die "$p does not build, see ${log#"$TOP/"}"
		cp --remove-destination "$dir/$p" "$dest/"
	done
}

all()
{
	rm -rf "$BUILD/kselftest"
	quiet "$log" make -C "$TREE/tools/testing/selftests" O="$out" \
		TARGETS=io_uring_bpf SKIP_TARGETS= CLANG="$(clang)" FORCE_TARGETS=1 \
		INSTALL_PATH="$BUILD/kselftest" -j"$JOBS" install ||
		die "the selftests do not build, see ${log#"$TOP/"}"
	quiet "$log-upstream" upstream libbpf_str test_libbpf_str &&
	quiet "$log-upstream" upstream libbpf_probes test_libbpf_probe_prog_types ||
		die "the kernel tree's own tests do not build, see ${log#"$TOP/"}-upstream"
}

main()
{
	lock "${IOU_BPF_TREE:-tree}"
	say "building the selftests ($config), log in ${log#"$TOP/"}"
	quiet "$log" make -C "$TREE" O="$out" -j"$JOBS" headers ||
		die "cannot install the kernel's headers"
	if [ $# != 0 ]; then
		programs "$@"
	else
		all
	fi
}

main "$@"
