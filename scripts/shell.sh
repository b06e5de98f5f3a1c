#!/usr/bin/env bash
# usage: scripts/shell.sh
#
# Boots the kernel and runs a shell, on the host's files (changes to them stay in the
# guest). build/ is at /tmp/iou-bpf-build, with the selftests in kselftest/ and
# tools/io_uring in tools-debug/.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"

[ -f "$IMAGE" ] || die "there is no kernel, run: make kernel"
say "booting the kernel ($(vm_accel)), leave with: exit"
vng
