#!/usr/bin/env bash
# usage: scripts/shell.sh
#
# A shell in the booted kernel, on the host's files (changes to them stay in
# the guest, except below build/). The selftests are in build/kselftest.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/vm.sh"

[ -f "$IMAGE" ] || die "there is no kernel, run: make kernel"
opts=()
[ "$(vm_accel)" = kvm ] || opts=(--disable-kvm)
say "booting the kernel ($(vm_accel)), leave with: exit"
vng --run "$IMAGE" --user root --cpus 2 --memory 3G --rwdir "$BUILD" "${opts[@]}"
