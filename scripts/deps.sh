#!/usr/bin/env bash
# usage: scripts/deps.sh [bench | lint | long]
#
# Installs the packages that building and booting the kernel requires, from the machine's
# own Debian (12 or 13). virtme-ng goes to the cache, because Debian 12 does not have it.
# Does nothing if all packages are installed. The argument adds packages:
#
#   bench  for the plots and XFS of the benchmark
#   lint   Sphinx
#   long   servers for "make check-long", which Debian starts on installation

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/apt-private.sh"
. "$TOP/scripts/base.env"

PACKAGES=(
	# the kernel
	gcc make ccache flex bison bc libelf-dev libssl-dev libdw-dev
	zlib1g-dev libzstd-dev pahole kmod cpio rsync xz-utils git patch
	# BPF programs, bpftool and the tests
	clang-19 llvm-19 liburing-dev libcap-dev pkg-config
	# for the applications
	liblmdb0 lmdb-utils libsqlite3-0 sqlite3 curl apache2-utils iperf3
	# the guest; virtme-ng needs the python3 packages and udev
	qemu-system-x86 udev e2fsprogs busybox-static
	python3 python3-argcomplete python3-requests python3-pkg-resources
	# checks of the series and of the man pages
	sparse perl codespell python3-ply python3-git man-db
)

[ "${1:-}" != bench ] || PACKAGES+=(python3-matplotlib xfsprogs)
[ "${1:-}" != lint ] || PACKAGES+=(python3-sphinx python3-yaml)
[ "${1:-}" != long ] || PACKAGES+=(nginx-light haproxy wrk)

missing()
{
	local p
	for p in "${PACKAGES[@]}"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null |
			grep -q 'ok installed' || echo "$p"
	done
}

packages()
{
	local todo
	todo=$(missing | tr '\n' ' ')
	[ -n "$todo" ] || return 0
	[ "$(id -u)" = 0 ] || die "not root, please install: $todo"
	say "installing $todo"
	export DEBIAN_FRONTEND=noninteractive
	quiet "$BUILD/log/deps" apt-get -q update ||
		die "apt-get update failed, no network?"
	# shellcheck disable=SC2086 # a list
	quiet "$BUILD/log/deps" apt-get -q install -y --no-install-recommends $todo ||
		die "cannot install: $todo (see build/log/deps)"
}

virtme()
{
	local dir=$CACHE/vng
	[ "$(cat "$dir/version" 2>/dev/null)" != "$VNG_VERSION" ] || return 0
	lock vng
	say "fetching virtme-ng $VNG_VERSION"
	apt_setup "$VNG_SUITE"
	apt_fetch "$VNG_PACKAGE" "$VNG_VERSION" "$VNG_DEB_SHA256" "$CACHE/vng.deb"
	rm -rf "$dir.new" "$dir"
	dpkg-deb -x "$CACHE/vng.deb" "$dir.new" ||
		die "cannot unpack virtme-ng (disk full?)"
	echo "$VNG_VERSION" >"$dir.new/version"
	mv "$dir.new" "$dir"
}

[ -r /etc/debian_version ] || die "this is not Debian: see scripts/deps.sh for the required packages"
packages
virtme
