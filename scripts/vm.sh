# Booting the kernel under virtme-ng; sourced after lib.sh.

VNG_DIR=$CACHE/vng
# where the guest finds build/, writable: virtme-ng wants a path below one of
# the folders that it puts an overlay on
GUEST_BUILD=/tmp/iou-bpf-build
# of the configuration in question, see scripts/kernel.sh
IMAGE=$KBUILDS/${IOU_BPF_CONFIG:-debug}/arch/x86/boot/bzImage

# vng [timeout OPTION... LIMIT] OPTION...: the guest that all of this uses.
# Nobody changes the host's files meanwhile, so the guest may keep what it has
# read of them, else it would read a library anew for each command. And what
# udev and systemd-tmpfiles find to do takes an emulated machine a minute:
# one rule is all that is needed. QEMU polls an eventfd for each virtqueue, and
# virtme-ng has six serial devices of 64 queues, of which it uses one port each.
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

# A /dev/kvm may be there and still not run a kernel, as on some nested hosts.
# So boot once and see; the answer holds until the machine is booted again.
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

# vm_run TIMEOUT LOG [VNG OPTION...] -- COMMAND: runs a command in the guest,
# as root, with the host's files below it read-only and build/ at GUEST_BUILD.
# Output of the command goes to stdout, the console to LOG. Fails if the guest
# hangs, and says so with the end of LOG. The command's own result has to come
# back in a file.
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
	# pipes, as QEMU opens its output more than once, and in a file one
	# would write over the other
	{ vng timeout -k 10 "$limit" --verbose --append 'panic=-1' "${opts[@]}" \
		--exec "$cmd" </dev/null 2>&3 | cat; rc=${PIPESTATUS[0]}; } \
		3> >(cat >"$log") || true
	if [ $rc = 124 ] || [ $rc = 137 ]; then
		tail -n 15 "$log" >&2
		say "the guest was stopped after $limit seconds, see $log"
	fi
	return $rc
}
