# Functions to download packages of other Debian suites with a private apt configuration,
# which leaves the machine's own sources alone; sourced after lib.sh.

APT_DIR=$CACHE/apt
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Print the Debian mirror that the machine's own apt uses.
apt_mirror()
{
	local site
	if [ -n "${IOU_BPF_MIRROR:-}" ]; then
		echo "$IOU_BPF_MIRROR"
		return
	fi
	site=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' \
		'Created-By: Packages' 2>/dev/null |
		awk '$2 == "Debian" { print $1; exit }')
	[ -n "$site" ] || site=$(grep -hoE 'https?://[^ ]*/debian/?( |$)' \
		/etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
		head -n 1 | tr -d ' ')
	[ -n "$site" ] || die "the machine's apt names no Debian mirror: set IOU_BPF_MIRROR"
	echo "$site"
}

# apt_private COMMAND...: run apt-get with our suites only
apt_private()
{
	apt-get -q \
		-o Dir::Etc::sourcelist="$APT_DIR/sources.list" \
		-o Dir::Etc::sourceparts=- \
		-o Dir::Etc::preferencesparts=- \
		-o Dir::State::lists="$APT_DIR/lists" \
		-o Dir::Cache="$APT_DIR/cache" \
		-o APT::Architecture=amd64 \
		-o APT::Sandbox::User=root \
		-o Acquire::Retries=3 \
		"$@"
}

# apt_lists KIND INDEX SUITE...: download package lists. KIND is deb or deb-src.
apt_lists()
{
	local kind=$1 index=$2 mirror suite
	shift 2
	[ -r "$KEYRING" ] || die "no Debian archive keyring at $KEYRING: install debian-archive-keyring"
	mirror=$(apt_mirror)
	mkdir -p "$APT_DIR/lists/partial" "$APT_DIR/cache/archives/partial" ||
		die "cannot write to $APT_DIR"
	for suite; do
		echo "$kind [signed-by=$KEYRING] $mirror $suite main"
	done >"$APT_DIR/sources.list"
	apt_private update >"$APT_DIR/log" 2>&1 ||
		die "cannot read the package lists of $*: $(grep -m1 -E '^(E|W|Err)' "$APT_DIR/log" || echo "see $APT_DIR/log")"
	# apt-get update succeeds even if no server can be reached
	[ -n "$(find "$APT_DIR/lists" -name "*_$index*" -print -quit)" ] ||
		die "no network? no package list of $* could be read: $(grep -m1 -E '^(E|W|Err)' "$APT_DIR/log")"
}

# apt_setup SUITE...: download the lists of binary packages
apt_setup()
{
	apt_lists deb Packages "$@"
}

# apt_setup_source SUITE...: download the lists of source packages
apt_setup_source()
{
	apt_lists deb-src Sources "$@"
}

# apt_served PACKAGE: print the available versions, newest first
apt_served()
{
	apt-cache -o Dir::Etc::sourcelist="$APT_DIR/sources.list" \
		-o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- \
		-o Dir::State::lists="$APT_DIR/lists" \
		-o Dir::Cache="$APT_DIR/cache" -o APT::Architecture=amd64 \
		madison "$1" 2>/dev/null | awk -F' *[|] *' '{ print $2 }'
}

# apt_download WHAT GLOB SHA256 FILE COMMAND...: run apt_private with the command, and
# move the downloaded file that matches GLOB to FILE. An empty SHA256 skips the check.
apt_download()
{
	local what=$1 glob=$2 want=$3 file=$4 dir got
	shift 4
	dir=$(mktemp -d "$CACHE/fetch.XXXXXX") || die "cannot write to $CACHE"
	if ! (cd "$dir" && apt_private "$@") >"$APT_DIR/log" 2>&1; then
		rm -rf "$dir"
		die "cannot download $what: $(grep -m1 -E '^(E|W|Err)' "$APT_DIR/log")"
	fi
	# shellcheck disable=SC2086 # a pattern
	got=$(sha256_of "$dir"/$glob)
	if [ -n "$want" ] && [ "$got" != "$want" ]; then
		rm -rf "$dir"
		die "$what has the wrong checksum: $got, not $want"
	fi
	# shellcheck disable=SC2086
	mv "$dir"/$glob "$file" || { rm -rf "$dir"; die "cannot write $file"; }
	rm -rf "$dir"
}

# apt_fetch PACKAGE VERSION SHA256 FILE: download a package to FILE
apt_fetch()
{
	apt_download "$1 $2" '*.deb' "$3" "$4" download "$1=$2"
}

# apt_fetch_source PACKAGE VERSION SHA256 FILE: download the upstream archive of a
# source package to FILE
apt_fetch_source()
{
	apt_download "$1 $2" '*.orig.tar.?z' "$3" "$4" source --download-only "$1=$2"
}
