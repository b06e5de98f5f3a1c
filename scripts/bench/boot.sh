# Functions to boot a kernel for the benchmark, with QEMU counting its instructions;
# sourced after lib.sh and vm.sh.

BENCH=$BUILD/bench
# the guest program and the programs that it loads, in build/
BENCH_PROGRAM=tools-bench/iou_bench
BENCH_PATTERNS=tools-bench/patterns

# Print the version of QEMU's plugin interface, see bench/qemu_api.h.
plugin_api()
{
	local major
	major=$(qemu-system-x86_64 --version | sed -n '1s/.*version \([0-9]*\)\..*/\1/p')
	[ "${major:-0}" -ge 7 ] || die "cannot tell the version of QEMU, or it is too old"
	[ "$major" -ge 9 ] && echo 3 || echo 1
}

build_plugin()
{
	quiet "$BUILD/log/bench-plugin" gcc -O2 -Wall -fPIC -shared \
		-fvisibility=hidden -DPLUGIN_API="$(plugin_api)" \
		-o "$BENCH/counter.so" "$TOP/scripts/bench/counter.c" ||
		die "the counter does not build, see build/log/bench-plugin"
}

# Print commands that mount XFS, if the kernel has it, on a memory-backed null_blk disk,
# so that no task waits for the host. lazytime, because otherwise the first write after
# each clock tick sleeps to log the new time of the file.
guest_xfs()
{
	local dev=/sys/kernel/config/nullb/iou_xfs
	echo "xfs="
	echo "if grep -qw xfs /proc/filesystems; then"
	echo "	[ -d /sys/kernel/config/nullb ] || mount -t configfs none /sys/kernel/config"
	echo "	mkdir -p $dev /run/bench-xfs"
	printf '\techo %s >%s\n' 1 $dev/memory_backed 512 $dev/blocksize \
		512 $dev/size 1 $dev/power
	echo "	/sbin/mkfs.xfs -q /dev/iou_xfs &&"
	echo "		mount -t xfs -o lazytime /dev/iou_xfs /run/bench-xfs &&"
	echo "		xfs='--xfs /run/bench-xfs'"
	echo "fi"
}

# guest_script NAME OPTIONS...: print a script for the guest that runs the program once
# for each string of options. The program writes to memory, because 9p would disturb the
# measurement. The pause lets the work that a boot leaves behind finish.
guest_script()
{
	local out=$GUEST_BUILD/bench/$1 options
	shift
	echo "mkdir -p /run/bench"
	echo "mount -t ext4 /dev/vda /run/bench"
	guest_xfs
	echo "sleep 3"
	echo "echo selftest: running bench >/dev/kmsg"
	for options; do
		printf '%s &&\n' "$GUEST_BUILD/$BENCH_PROGRAM --output /run/rows --dir /run/bench \$xfs \
			--patterns $GUEST_BUILD/$BENCH_PATTERNS $options 2>>$out.err"
	done
	echo "true"
	echo "echo \$? >$out.status"
	echo "cp /run/rows $out.rows"
	echo "umount /run/bench"
}

# boot_bench NAME BUILD_FOLDER VNG_OPTION... -- OPTIONS...: run the guest program on the
# kernel of that folder. The results are in build/bench/NAME.rows.
boot_bench()
{
	local name=$1 folder=$2 opts=()
	shift 2
	while [ "$1" != -- ]; do
		opts+=("$1")
		shift
	done
	shift
	[ -x "$BUILD/$BENCH_PROGRAM" ] || die "the guest program is not built, run: make bench"
	[ -x /sbin/mkfs.xfs ] || die "no mkfs.xfs, run: scripts/deps.sh bench"
	rm -f "$BENCH/$name".{rows,status,err}
	guest_script "$name" "$@" >"$BENCH/$name.sh"
	say "booting the kernel of build/$folder, log in build/log/console-bench-$name"
	IOU_BPF_CONFIG=$folder "$TOP/scripts/boot.sh" "$BENCH/$name.img" \
		"$BUILD/log/console-bench-$name" "${IOU_BPF_BOOT_TIMEOUT:-3600}" \
		--cpus 1 "${opts[@]}" -- "sh $GUEST_BUILD/bench/$name.sh" || true
	[ -f "$BENCH/$name.status" ] || die "the guest did not finish, see build/log/console-bench-$name"
	[ "$(cat "$BENCH/$name.status")" = 0 ] ||
		die "the benchmark failed: $(tail -n 1 "$BENCH/$name.err")"
}

# count_bench NAME BUILD_FOLDER OPTIONS...: like boot_bench, and count instructions. An
# instruction takes a nanosecond of guest time, so that timer interrupts always hit the
# same instruction. A copy costs an instruction per 8 bytes, not per byte.
count_bench()
{
	local name=$1 folder=$2 end
	shift 2
	build_plugin
	end=$($PYTHON "$TOP/scripts/bench/symbols.py" "$CACHE/build/$folder/vmlinux" "$BENCH/$name.symbols") ||
		die "cannot count on the kernel of build/$folder"
	rm -f "$BENCH/$name.counts"
	boot_bench "$name" "$folder" --disable-kvm --qemu-opts="-cpu max,-erms,-fsrm \
-icount shift=0,sleep=off -plugin $BENCH/counter.so,symbols=$BENCH/$name.symbols,end=$end,out=$BENCH/$name.counts" -- "$@"
}
