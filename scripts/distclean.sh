#!/usr/bin/env bash
# usage: scripts/distclean.sh
#
# Removes the cache folder, if it looks like ours.

. "$(dirname "$0")/lib.sh"

[ -d "$CACHE" ] || exit 0
[ -d "$CACHE/linux" ] || [ -d "$CACHE/apt" ] ||
	die "$CACHE does not look like a cache of this project, remove it by hand"
rm -rf "$CACHE"
