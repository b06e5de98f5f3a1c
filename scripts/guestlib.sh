# Common parts of the scripts that run in a guest; sourced by guest.sh, mutants.sh and
# fuzz-guest.sh. $results is the folder of results, $dir that of the programs. TMPDIR is
# on ext4, because 9p, the root file system, has no non-blocking I/O.

session=$(dirname "$(realpath "$0")")/session.sh
limit=${IOU_BPF_TEST_TIMEOUT:-1800}
export TMPDIR=/run/iou-bpf BPFTOOL="$dir/bpftool"
mkdir -p "$TMPDIR"
mount -t ext4 /dev/vda "$TMPDIR" || { echo 'no disk' >"$results/error"; exit 1; }
# a disk that tests may overwrite, see scripts/boot.sh
if grep -qs iou-bpf /sys/block/nvme0n1/device/serial; then
	export IOU_LOOKUP_DEVICE=/dev/nvme0n1
fi
ulimit -c 0

# Report a hung task within 30 to 40 seconds instead of minutes, while its test is still
# known. No test waits for more than 15 seconds. Soft lockups and RCU stalls are reported
# after about 20 seconds by default. Shorter limits could trigger on slow emulation.
early_complaints()
{
	echo 10 >/proc/sys/kernel/hung_task_check_interval_secs
	echo 30 >/proc/sys/kernel/hung_task_timeout_secs
}
