# Functions to build liburing with the patches in liburing/; sourced after lib.sh.

LIBURING=$BUILD/liburing
# libbpf and bpftool of the kernel, built by scripts/selftests.sh
KTOOLS=$KBUILDS/debug/kselftest/io_uring_bpf/build

# Make liburing's configure find the newest clang, and the kernel's bpftool and libbpf:
# those of Debian 12 are too old for BPF_PROG_TYPE_IOURING.
liburing_toolchain()
{
	local dir=$LIBURING/toolchain c
	mkdir -p "$dir/bin" "$dir/lib"
	for c in clang-21 clang-20 clang-19 clang; do
		! command -v $c >/dev/null || break
	done
	ln -sfn "$(command -v $c)" "$dir/bin/clang"
	ln -sfn "$KTOOLS/bpftool/bootstrap/bpftool" "$dir/bin/bpftool"
	ln -sfn "$KTOOLS/libbpf/libbpf.pc" "$dir/lib/libbpf.pc"
	echo "INPUT($KTOOLS/libbpf/libbpf.a -lelf -lz)" >"$dir/lib/libbpf.so"
}

# with_toolchain COMMAND...
with_toolchain()
{
	local dir=$LIBURING/toolchain
	PATH=$dir/bin:$PATH PKG_CONFIG_PATH=$dir/lib LIBRARY_PATH=$dir/lib \
		CPATH=$KTOOLS/include "$@"
}

# liburing_unpack FOLDER [COMMIT]: copy the source, with all patches or as of a commit
liburing_unpack()
{
	rm -rf "$1"
	mkdir -p "$1"
	git -C "$LIBURING/source" archive "${2:-HEAD}" | tar -x -C "$1"
}

# liburing_configure FOLDER OPTION...
liburing_configure()
{
	cd "$1" && with_toolchain ./configure "${@:2}"
}

# liburing_make FOLDER ARGUMENT...: run make in a folder of the source
liburing_make()
{
	with_toolchain make -C "$1" -j"$JOBS" "${@:2}"
}
