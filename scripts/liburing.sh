#!/usr/bin/env bash
# usage: scripts/liburing.sh [fetch]
#
# Downloads liburing, applies the patches in liburing/ with git am, builds it after each
# patch and with libc and without, checks the man pages, and installs the tests of the
# patches as selftest liburing_test, with a selftest that is built with the patched
# library. Requires the results of scripts/selftests.sh. With "fetch", only downloads.
#
# Exit status 77, without a test, if no available liburing fits the patches.

. "$(dirname "$0")/lib.sh"
. "$TOP/scripts/apt-private.sh"
. "${IOU_BPF_BASE_ENV:-$TOP/scripts/base.env}"
. "$TOP/scripts/liburinglib.sh"

archive=$CACHE/liburing.tar.gz
log=$BUILD/log/liburing

# skip TEXT
skip()
{
	say "WARNING: liburing is not tested: $*"
	exit 77
}

versions()
{
	grep . <<<"$LIBURING_VERSIONS"
}

# fetch_from ANY SUITE VERSION SHA256: download this version, or with ANY the newest
fetch_from()
{
	local any=$1 suite=$2 version=$3 sha=$4 served
	apt_setup_source "$suite"
	served=$(apt_served liburing)
	if ! grep -qxF "$version" <<<"$served"; then
		[ -n "$served" ] && [ -n "$any" ] || die "$suite has no liburing $version"
		version=$(head -n 1 <<<"$served") sha=
		say "WARNING: $suite has liburing $version now, against which the patches were not tested"
	fi
	say "fetching liburing $version from $suite"
	apt_fetch_source liburing "$version" "$sha" "$archive"
}

# Download the first pinned version that is available, or else the newest version.
fetch()
{
	local have any suite version sha
	have=$(sha256_of "$archive" 2>/dev/null || true)
	! versions | cut -f3 | grep -qxF "${have:-none}" || return 0
	for any in '' any; do
		while read -r suite version sha; do
			# fetch_from exits on failure
			if (fetch_from "$any" "$suite" "$version" "$sha") </dev/null 2>"$log-fetch"; then
				cat "$log-fetch" >&2
				return
			fi
		done < <(versions)
	done
	skip "$(sed -n 's/^.*error:[^ ]* //p' "$log-fetch")"
}

# Commit the released source, and apply the patches.
apply()
{
	local dir=$LIBURING/source
	export GIT_COMMITTER_NAME='io_uring BPF' GIT_COMMITTER_EMAIL=series@localhost
	export GIT_AUTHOR_NAME=$GIT_COMMITTER_NAME GIT_AUTHOR_EMAIL=$GIT_COMMITTER_EMAIL
	mkdir -p "$dir" &&
		tar -xf "$archive" -C "$dir" --strip-components=1 &&
		git -C "$dir" init -q -b upstream &&
		git -C "$dir" add -A -f &&
		git -C "$dir" commit -q -m 'liburing, as released' &&
		git -C "$dir" tag released &&
		git -C "$dir" am --committer-date-is-author-date "$TOP"/liburing/0*.patch
}

# example FOLDER: compile the example of io_uring_bpf(7) as the page says
example()
{
	local dir=$1/example
	mkdir "$dir"
	awk '	/^\.EX/ { shown = 1; file = ""; next }
		/^\.EE/ { shown = 0 }
		!shown { next }
		/^\/\* [a-z.]+ \*\/$/ { file = $2 }
		file { gsub(/\\\\/, "\\"); gsub(/\\-/, "-"); print >(dir "/" file) }
	' dir="$dir" "$1/man/io_uring_bpf.7"
	cd "$dir" &&
		with_toolchain clang -g -O2 -mcpu=v3 --target=bpf -fms-extensions \
			-Wno-microsoft-anon-tag -c size.bpf.c &&
		gcc -O2 -Wall -Wextra -Werror -I../src/include size.c ../src/liburing.a \
			-o size
}

# compile FOLDER COMMIT CONFIGURE_OPTION...: build the library, and those tests of the
# patches that the commit has
compile()
{
	local dir=$1 test
	liburing_unpack "$dir" "$2" &&
		(liburing_configure "$dir" "${@:3}") &&
		liburing_make "$dir/src" \
			CFLAGS='-O3 -Wall -Wextra -Werror -fno-stack-protector' || return
	for test in bpf-attach.t bpf_flow.tt; do
		[ ! -f "$dir/test/${test%.*}.c" ] || liburing_make "$dir/test" $test || return
	done
}

# Build after each patch that changes code.
each()
{
	local source=$LIBURING/source dir=$LIBURING/each commit
	for commit in $(git -C "$source" rev-list --reverse released..HEAD -- src test); do
		quiet "$log-each" compile "$dir" "$commit" --use-libc ||
			die "liburing does not build after \"$(git -C "$source" show -s \
				--format=%s "$commit")\", see ${log#"$TOP/"}-each"
	done
	rm -rf "$dir"
}

# build NAME CONFIGURE_OPTION...
build()
{
	local dir=$LIBURING/$1
	quiet "$log-$1" compile "$dir" HEAD "${@:2}" &&
	(quiet "$log-$1" example "$dir") ||
		die "liburing ($1) does not build, see ${log#"$TOP/"}-$1"
}

# Build a selftest that uses the functions of liburing where they are.
selftest()
{
	local dir=$LIBURING/libc tests=$TREE/tools/testing/selftests
	gcc -g -O2 -Wall -Werror -D_GNU_SOURCE= -DHAVE_IO_URING_BPF \
		-I"$dir/src/include" -I"$KTOOLS/include" -I"$tests/io_uring_bpf" -I"$tests" \
		-I"$TREE/tools/io_uring/include" -isystem "$KBUILDS/debug/usr/include" \
		"$tests/io_uring_bpf/pattern_file_test.c" "$KTOOLS/libbpf/libbpf.a" \
		"$dir/src/liburing.a" -lelf -lz -lpthread -o "$dir/pattern_file_test"
}

# lint_page STATUS PAGE: STATUS is A for a new page
lint_page()
{
	man --warnings -l "$2" >/dev/null
	# the pages of liburing have what mandoc warns of
	[ "$1" != A ] || ! command -v mandoc >/dev/null || mandoc -T lint -W warning "$2"
}

# Check the man pages that the patches change or add.
pages()
{
	local status page
	(cd "$LIBURING/source" && git diff --name-status --no-renames released HEAD -- man |
		while read -r status page; do
			# a link is a second name of a page
			[ -L "$page" ] || lint_page "$status" "$page" || true
		done) >"$log-man" 2>&1
	[ ! -s "$log-man" ] || die "there are errors in man pages, see ${log#"$TOP/"}-man"
}

# Print a hash of the files that a build depends on.
build_id()
{
	cat "$archive" "$TOP"/liburing/0*.patch "$TOP/scripts/liburing.sh" "$TOP/scripts/liburinglib.sh" \
		"$KTOOLS/libbpf/libbpf.a" | sha256sum
}

main()
{
	local id tests=$BUILD/kselftest/io_uring_bpf
	mkdir -p "$BUILD/log"
	lock liburing
	rm -f "$tests/liburing_test"
	fetch
	[ "${1:-}" != fetch ] || return 0
	[ -d "$tests" ] && [ -d "$KTOOLS" ] || die "there are no selftests, run: make kernel"
	id=$(build_id)
	if [ "$(cat "$LIBURING/stamp" 2>/dev/null)" != "$id" ]; then
		say "building liburing with our patches, log in ${log#"$TOP/"}-*"
		rm -rf "$LIBURING"
		liburing_toolchain
		apply >"$log-am" 2>&1 ||
			skip "$(grep -m1 'Patch failed' "$log-am" || tail -n 1 "$log-am")"
		pages
		each
		build libc --use-libc
		build nolibc
		echo "$id" >"$LIBURING/stamp"
	fi
	quiet "$log-selftest" selftest ||
		die "a selftest does not build with liburing, see ${log#"$TOP/"}-selftest"
	cp "$TOP/liburing/test/run.sh" "$tests/liburing_test"
}

main "$@"
