#!/usr/bin/env bash
# usage: scripts/selftests.sh [CONFIG]
#
# Builds the selftests and tools/io_uring against the kernel that scripts/kernel.sh has
# built. Results: build/kselftest and build/tools-debug. With CONFIG, a configuration of
# that kernel, builds only tools/io_uring, in build/tools-CONFIG. IOU_BPF_CONFIG replaces
# the default configuration "debug".

. "$(dirname "$0")/lib.sh"

config=${1:-${IOU_BPF_CONFIG:-debug}}
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

# upstream FILE FUNCTION: build an unmodified test of the kernel tree that knows each
# program type by name
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

tools()
{
	local dir=$out/io_uring_tools
	# the first patches of the series do not have it
	[ -d "$TREE/tools/io_uring" ] || return 0
	mkdir -p "$dir"
	quiet "$log-tools" make -C "$TREE/tools/io_uring" O="$dir" VMLINUX_BTF="$out/vmlinux" \
		CLANG="$(clang)" -j"$JOBS" ||
		die "tools/io_uring does not build, see ${log#"$TOP/"}-tools"
	rm -rf "$BUILD/tools-$config"
	cp -r "$dir/build/bin" "$BUILD/tools-$config"
	[ ! -d "$dir/build/patterns" ] || cp -r "$dir/build/patterns" "$BUILD/tools-$config"
}

selftests()
{
	rm -rf "$BUILD/kselftest"
	quiet "$log" make -C "$TREE" O="$out" -j"$JOBS" headers ||
		die "cannot install the kernel's headers"
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
	[ $# != 0 ] || selftests
	tools
}

main "$@"
