#!/usr/bin/env bash
# usage: scripts/disk.sh IMAGE [FILE...]
#
# Makes a sparse ext4 image of 1 GiB that contains the files.

. "$(dirname "$0")/lib.sh"

image=$1
shift
dir=$(mktemp -d "$BUILD/disk.XXXXXX") || die "cannot write to $BUILD"
trap 'rm -rf "$dir"' EXIT
for f; do
	ln -L "$f" "$dir/" 2>/dev/null || cp -L "$f" "$dir/" || die "cannot copy $f"
done
rm -f "$image"
truncate -s 1G "$image" &&
	quiet "$BUILD/log/mkfs" /sbin/mkfs.ext4 -q -F -d "$dir" "$image" ||
	die "cannot make the disk image (disk full?)"
