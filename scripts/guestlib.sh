# What runs in a guest: sourced by scripts/guest.sh, mutants.sh and fuzz-guest.sh,
# with the results' folder in $results and that of the programs in $dir. Tests find a
# file system that does non-blocking I/O in TMPDIR, which root's own, on 9p, does
# not.

session=$(dirname "$(realpath "$0")")/session.sh
limit=${IOU_BPF_TEST_TIMEOUT:-600}
export TMPDIR=/run/iou-bpf BPFTOOL="$dir/bpftool"
mkdir -p "$TMPDIR"
mount -t ext4 /dev/vda "$TMPDIR" || { echo 'no disk' >"$results/error"; exit 1; }
# a disk that tests may overwrite, see scripts/boot.sh
if grep -qs iou-bpf /sys/block/nvme0n1/device/serial; then
	export IOU_LOOKUP_DEVICE=/dev/nvme0n1
fi
# what is printed belongs to the tests, the kernel's own goes to the console
ulimit -c 0

# A task that hangs is to be complained about before its test is forgotten, not
# after minutes: within 30 to 40 seconds, where no test waits for more than 15. A
# CPU that is stuck, or keeps RCU waiting, is after 20 as it is. Less than that
# may be the emulation's fault.
early_complaints()
{
	echo 10 >/proc/sys/kernel/hung_task_check_interval_secs
	echo 30 >/proc/sys/kernel/hung_task_timeout_secs
}
