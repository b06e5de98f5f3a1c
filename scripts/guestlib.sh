# What runs in a guest: sourced by scripts/guest.sh and scripts/mutants.sh, with
# the results' folder in $results and that of the programs in $dir. Tests find a
# file system that does non-blocking I/O in TMPDIR, which root's own, on 9p, does
# not.

session=$(dirname "$(realpath "$0")")/session.sh
limit=${IOU_BPF_TEST_TIMEOUT:-600}
export TMPDIR=/run/iou-bpf BPFTOOL="$dir/bpftool"
mkdir -p "$TMPDIR"
mount -t ext4 /dev/vda "$TMPDIR" || { echo 'no disk' >"$results/error"; exit 1; }
# what is printed belongs to the tests, the kernel's own goes to the console
ulimit -c 0
