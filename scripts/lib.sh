# Common parts of the scripts; sourced, with bash.
#
# Environment:
#   IOU_BPF_CACHE   downloads, the kernel's work tree, build folders and the
#                   compiler cache (default: ~/.cache/io-uring-bpf)
#   IOU_BPF_TREE    work tree in the cache to use instead of "linux", with build
#                   folders of the same name below the usual ones
#   IOU_BPF_MIRROR  Debian mirror (default: that of the machine's own apt)
#   JOBS            parallel jobs (default: number of processors)

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${IOU_BPF_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/io-uring-bpf}
JOBS=${JOBS:-$(nproc)}
TREE=$CACHE/${IOU_BPF_TREE:-linux}
BUILD=$TOP/build${IOU_BPF_TREE:+/$IOU_BPF_TREE}
# build folders of kernels
KBUILDS=$CACHE/build${IOU_BPF_TREE:+/$IOU_BPF_TREE}
PYTHON=/usr/bin/python3

# The user's git configuration must not change commit ids or patches.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export CCACHE_DIR=$CACHE/ccache CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}
export LC_ALL=C.UTF-8 TZ=UTC

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
	BOLD=$'\e[1m' RED=$'\e[31m' OFF=$'\e[0m'
else
	BOLD='' RED='' OFF=''
fi

# kmake TREE BUILD_FOLDER ARGUMENT...: run make on a kernel. The build identity is fixed,
# as ccache would otherwise miss each file that contains it.
kmake()
{
	make -C "$1" O="$2" CC='ccache gcc' -j"$JOBS" \
		KBUILD_BUILD_TIMESTAMP='1970-01-01' KBUILD_BUILD_USER=x \
		KBUILD_BUILD_HOST=x "${@:3}"
}

# say TEXT: print a line of progress
say()
{
	printf '%s==>%s %s\n' "$BOLD" "$OFF" "$*" >&2
}

# die TEXT: print an error message, and exit
die()
{
	printf '%serror:%s %s\n' "$RED" "$OFF" "$*" >&2
	exit 1
}

# lock NAME: hold a lock until this process exits
lock()
{
	mkdir -p "$CACHE" || die "cannot make the cache folder $CACHE"
	exec {LOCK_FD}>"$CACHE/$1.lock"
	if ! flock -n "$LOCK_FD"; then
		say "waiting for another run that uses $CACHE/$1"
		flock "$LOCK_FD"
	fi
}

# sha256_of FILE
sha256_of()
{
	sha256sum "$1" | cut -d' ' -f1
}

# quiet LOG COMMAND...: run a command with its output in a log, and print the end of
# the log if the command fails
quiet()
{
	local log=$1
	shift
	mkdir -p "$(dirname "$log")"
	if ! "$@" >"$log" 2>&1; then
		tail -n 25 "$log" >&2
		return 1
	fi
}
