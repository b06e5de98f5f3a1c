# Booting the kernel under virtme-ng; sourced after lib.sh.

VNG_DIR=$CACHE/vng
# build/ in the guest, writable. virtme-ng requires a path below a folder on which it
# mounts an overlay.
GUEST_BUILD=/tmp/iou-bpf-build
# the kernel of the configuration, see scripts/kernel.sh
IMAGE=$KBUILDS/${IOU_BPF_CONFIG:-debug}/arch/x86/boot/bzImage

# vng [timeout OPTION... LIMIT] OPTION...: run a guest. The host's files do not change
# meanwhile, so the guest caches them (cache=loose). Otherwise, it would read each library
# again for each command. The rules of udev and systemd-tmpfiles would take a minute in an
# emulated machine, and are replaced by one rule. QEMU polls an eventfd for each
# virtqueue. virtme-ng has six serial devices of 64 queues, and uses one port of each.
vng()
{
	local limit=()
	if [ "${1:-}" = timeout ]; then
		limit=("${@:1:4}")
		shift 4
	fi
	[ "$(vm_accel)" = kvm ] || set -- --disable-kvm "$@"
	PATH=$VNG_DIR/usr/bin:$PATH \
	PYTHONPATH=$VNG_DIR/usr/lib/python3/dist-packages \
		"${limit[@]}" $PYTHON "$VNG_DIR/usr/bin/vng" --run "$IMAGE" \
		--force-9p --user root --cpus 2 --memory 3G \
		--qemu-opts="-global virtio-serial-pci.max_ports=2" \
		--append "rootflags=version=9p2000.L,trans=virtio,access=any,cache=loose" \
		--rodir "/usr/lib/udev/rules.d=$TOP/scripts/rules.d" \
		--rodir "/usr/lib/tmpfiles.d=$TOP/scripts/rules.d" \
		--rwdir "$GUEST_BUILD=$BUILD" "$@"
}

# vm_guests NUMBER: the number of guests that share NUMBER test programs, one per CPU, but
# at most 3. Each guest has two CPUs and takes 3 GB. More guests than CPUs are not faster,
# and tests that compare times fail in them.
vm_guests()
{
	local free most
	free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
	most=$((free / 4000000))
	[ "$most" -le "$JOBS" ] || most=$JOBS
	if [ "$1" -ge 12 ] && [ "$most" -ge 3 ]; then
		echo 3
	elif [ "$1" -ge 4 ] && [ "$most" -ge 2 ]; then
		echo 2
	else
		echo 1
	fi
}

# Print "kvm" or "tcg". On some nested hosts, /dev/kvm exists, but a kernel does not boot.
# So boot a kernel, and keep the result until the machine is booted again.
vm_accel()
{
	local stamp=$CACHE/kvm boot
	boot=$(cat /proc/sys/kernel/random/boot_id)
	if [ "$(head -n 1 "$stamp" 2>/dev/null)" != "$boot" ]; then
		if [ -w /dev/kvm ] && vm_try_kvm; then
			printf '%s\nkvm\n' "$boot" >"$stamp"
		else
			printf '%s\ntcg\n' "$boot" >"$stamp"
		fi
	fi
	tail -n 1 "$stamp"
}

vm_try_kvm()
{
	timeout -k 5 20 qemu-system-x86_64 -accel kvm -cpu host -m 512M \
		-display none -nodefaults -no-reboot -serial stdio \
		-kernel "$IMAGE" -append 'console=ttyS0 panic=-1' \
		</dev/null 2>/dev/null | grep -aq 'Linux version'
}

# vm_run TIMEOUT LOG [VNG OPTION...] -- COMMAND: run a command in a guest, as root. The
# host's files are read-only there, and build/ is writable at GUEST_BUILD. The output of
# the command goes to stdout, the console to LOG. If the guest is not done in TIMEOUT
# seconds, fail, and print the end of LOG. The command has to report its result in a file.
vm_run()
{
	local limit=$1 log=$2 opts=() cmd rc=0
	shift 2
	while [ "$1" != -- ]; do
		opts+=("$1")
		shift
	done
	shift
	cmd=$*
	[ -f "$IMAGE" ] || die "there is no kernel, run: make kernel"
	mkdir -p "$BUILD" "$(dirname "$log")"
	# Pipes, because QEMU opens its output more than once, and would overwrite parts of a
	# file.
	{ vng timeout -k 10 "$limit" --verbose --append 'panic=-1' "${opts[@]}" \
		--exec "$cmd" </dev/null 2>&3 | cat; rc=${PIPESTATUS[0]}; } \
		3> >(cat >"$log") || true
	if [ $rc = 124 ] || [ $rc = 137 ]; then
		tail -n 15 "$log" >&2
		say "the guest was stopped after $limit seconds, see $log"
	fi
	return $rc
}
