# Common parts of the scripts; sourced, with bash.
#
# Environment:
#   IOU_BPF_CACHE   downloads, the kernel's work tree, build folders and the
#                   compiler cache (default: ~/.cache/io-uring-bpf)
#   IOU_BPF_TREE    another work tree in the cache than "linux"; what is made of it
#                   is in folders of that name below the usual ones
#   IOU_BPF_MIRROR  a Debian mirror, if not the one of the machine's own apt
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

# Nothing of the user's git configuration may change a commit id or a patch.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export CCACHE_DIR=$CACHE/ccache CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-5G}
export LC_ALL=C.UTF-8 TZ=UTC

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
	BOLD=$'\e[1m' RED=$'\e[31m' OFF=$'\e[0m'
else
	BOLD='' RED='' OFF=''
fi

# kmake TREE BUILD_FOLDER ARGUMENT...: make of a kernel. Fixed build identity:
# otherwise each build differs in what it says of itself, and the compiler cache
# is of no use for those files.
kmake()
{
	make -C "$1" O="$2" CC='ccache gcc' -j"$JOBS" \
		KBUILD_BUILD_TIMESTAMP='1970-01-01' KBUILD_BUILD_USER=x \
		KBUILD_BUILD_HOST=x "${@:3}"
}

# say TEXT: one line of progress
say()
{
	printf '%s==>%s %s\n' "$BOLD" "$OFF" "$*" >&2
}

# die TEXT: the one line that a failure ends in
die()
{
	printf '%serror:%s %s\n' "$RED" "$OFF" "$*" >&2
	exit 1
}

# lock NAME: one process at a time, until this one ends
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

# quiet LOG COMMAND...: runs a command with its output in a log, and shows the
# end of that log only if the command fails
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
