#!/usr/bin/env bash
# usage: scripts/base.sh
#
# Downloads and verifies the kernel that the series applies to, and imports it as the
# only commit of branch "base" of the git repository in the cache. Does nothing if the
# base is there already. Files get their final names only when they are complete, so an
# interrupted run leaves no partial results.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/apt-private.sh"
. "${IOU_BPF_BASE_ENV:-$TOP/scripts/base.env}"

fetch()
{
	local deb=$CACHE/$BASE_PACKAGE.deb versions
	if [ -f "$deb" ] && [ "$(sha256_of "$deb")" = "$BASE_DEB_SHA256" ]; then
		say "the source package is in the cache"
		return
	fi
	say "fetching $BASE_PACKAGE $BASE_VERSION"
	apt_setup "$BASE_SUITE"
	versions=$(apt_served "$BASE_PACKAGE")
	if ! grep -qxF "$BASE_VERSION" <<<"$versions"; then
		[ -n "$versions" ] || die "$BASE_SUITE serves no $BASE_PACKAGE"
		BASE_VERSION=$(head -n 1 <<<"$versions")
		say "WARNING: the pinned version is no longer served; taking $BASE_VERSION, against which the series was not tested"
		BASE_DEB_SHA256='' BASE_TAR_SHA256='' BASE_COMMIT=''
	fi
	apt_fetch "$BASE_PACKAGE" "$BASE_VERSION" "$BASE_DEB_SHA256" "$deb"
}

unpack()
{
	local new=$1 tar
	dpkg-deb -x "$CACHE/$BASE_PACKAGE.deb" "$new/deb" ||
		die "cannot unpack the source package (disk full?)"
	tar=$(find "$new/deb" -name '*.tar.xz' -print -quit)
	[ -n "$tar" ] || die "the source package holds no archive"
	if [ -n "$BASE_TAR_SHA256" ] && [ "$(sha256_of "$tar")" != "$BASE_TAR_SHA256" ]; then
		die "the archive in the source package has the wrong checksum"
	fi
	mkdir "$new/linux"
	tar -xf "$tar" -C "$new/linux" --strip-components=1 ||
		die "cannot unpack the kernel source (disk full?)"
	# the demonstration copies this archive
	mv "$tar" "$new/archive.tar.xz"
}

import()
{
	local dir=$1 id
	export GIT_AUTHOR_NAME='io_uring BPF' GIT_AUTHOR_EMAIL=base@localhost
	export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
	export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
	git -C "$dir" init -q -b base || die "cannot make a git repository"
	git -C "$dir" config core.autocrlf false
	git -C "$dir" config gc.auto 0
	git -C "$dir" add -A -f || die "cannot import the kernel source (disk full?)"
	git -C "$dir" commit -q -m "Linux ${BASE_VERSION%%-*}" ||
		die "cannot import the kernel source (disk full?)"
	id=$(git -C "$dir" rev-parse base)
	if [ -n "$BASE_COMMIT" ] && [ "$id" != "$BASE_COMMIT" ]; then
		die "the import became commit $id, not $BASE_COMMIT"
	fi
}

new=

main()
{
	local id
	lock tree
	id=$(git -C "$TREE" rev-parse -q --verify base 2>/dev/null || true)
	if [ -n "$id" ] && { [ -z "$BASE_COMMIT" ] || [ "$id" = "$BASE_COMMIT" ]; } &&
	   [ -f "$CACHE/archive.tar.xz" ]; then
		say "the base is there: $(git -C "$TREE" log -1 --format=%s base)"
		return
	fi
	# left by a run that was killed
	rm -rf "$CACHE"/new.* "$CACHE"/fetch.*
	fetch
	new=$(mktemp -d "$CACHE/new.XXXXXX") || die "cannot write to $CACHE"
	trap 'rm -rf "$new"' EXIT
	say "unpacking"
	unpack "$new"
	say "importing it into git"
	import "$new/linux"
	# the old tree may contain edits, so keep it
	if [ -d "$TREE" ]; then
		mv "$TREE" "$TREE.$(date +%Y%m%d-%H%M%S)"
		say "the previous kernel tree is kept as $(ls -d "$TREE".2* | tail -n 1)"
	fi
	mv "$new/archive.tar.xz" "$CACHE/archive.tar.xz"
	mv "$new/linux" "$TREE"
	say "the base is ready: $(git -C "$TREE" log -1 --format='%s, commit %H' base)"
}

main
