#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# iou-patterns: what it loads, pins, prints and refuses, and its use without privileges

cd "$(dirname "$0")" || exit 1
example=./pattern.py
[ -x $example ] || example=../../../io_uring/pattern.py
completion=./iou-patterns.bash-completion
[ -e $completion ] || completion=../../../io_uring/iou-patterns/iou-patterns.bash-completion
bpftool=${BPFTOOL:-./bpftool}
pins=/run/iou-patterns
sysctl=/proc/sys/kernel/unprivileged_bpf_disabled
start=$(date +%s)
. ./check.sh
chmod 755 "$tmp"

tool()
{
	"$tmp/iou-patterns" --dir patterns "$@"
}

# nobody COMMAND...: as a user without privileges
nobody()
{
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

# prog_id NAME: of the program that is loaded
prog_id()
{
	tool list | awk -v name="$1" '$1 == name { print $2 }'
}

loads()
{
	tool unload --all
	tool load read_full copy && tool list && [ "$(tool list | wc -l)" = 2 ] &&
		[ "$(stat -c %a:%u $pins/copy)" = 444:0 ] &&
		tool load --all --replace && [ "$(tool list | wc -l)" = 18 ] &&
		[ "$(stat -c %a:%u $pins/count_map)" = 600:0 ] &&
		# no pin that was being made is left
		[ "$(find $pins -type f | wc -l)" = 19 ]
}

replaces()
{
	before=$(prog_id copy)
	fails 1 'copy: is loaded already' tool load copy &&
		[ "$(prog_id copy)" = "$before" ] && tool load --replace copy &&
		[ "$(prog_id copy)" -gt "$before" ] && [ "$(stat -c %a $pins/copy)" = 444 ]
}

unloads()
{
	tool unload join count && [ ! -e $pins/join ] && [ ! -e $pins/count_map ] &&
		[ "$(tool list | wc -l)" = 16 ] &&
		fails 1 'join: No such file' tool unload join copy &&
		[ ! -e $pins/copy ] && tool load join count copy
}

checks()
{
	tool check copy read_full && tool check --quick &&
		nobody "$tmp/iou-patterns" check --quick &&
		fails 1 'nothere.bpf.o' tool check nothere read_full &&
		fails 4 'read_full' nobody "$tmp/iou-patterns" --dir patterns check read_full
}

# As on a system where nobody but root may create rings
checks_disabled()
{
	local sysctl=/proc/sys/kernel/io_uring_disabled was
	was=$(cat $sysctl)
	echo 2 >$sysctl
	fails 3 'io_uring is disabled' nobody "$tmp/iou-patterns" check --quick
	rc=$?
	echo "$was" >$sysctl
	return $rc
}

# With the capabilities of the service, and without privileges to gain
loads_as_service()
{
	tool unload --all
	setpriv --bounding-set=-all,+bpf,+perfmon --no-new-privs \
		"$tmp/iou-patterns" --dir patterns load --all --replace &&
		[ "$(tool list | wc -l)" = 18 ]
}

# Also on a kernel that mitigates speculation, where the verifier is stricter then
loads_with_cap_bpf()
{
	setpriv --bounding-set=-all,+bpf "$tmp/iou-patterns" --dir patterns check
}

# What is no pattern: maps, and global variables, are refused.
rejects()
{
	mkdir -p "$tmp/dir" && cp patterns/count.bpf.o "$tmp/dir/other.bpf.o" &&
		fails 1 'no program other' "$tmp/iou-patterns" --dir "$tmp/dir" check other &&
		LC_ALL=C sed 's/count_map/other_map/g' patterns/count.bpf.o \
			>"$tmp/dir/count.bpf.o" &&
		fails 1 'users would share: other_map' "$tmp/iou-patterns" --dir "$tmp/dir" \
			check count &&
		echo rubbish >"$tmp/dir/rubbish.bpf.o" &&
		fails 1 rubbish "$tmp/iou-patterns" --dir "$tmp/dir" check &&
		fails 1 'No such file' "$tmp/iou-patterns" --dir "$tmp/none" load --all
}

# The patterns call nothing that prints: a helper or kfunc for a trace or a stream, or the
# function that the verifier calls for cond_break. They use no arena, and no map but that of
# count. The dumps are binary: bpftool would read the symbols of the kernel for each text.
calls()
{
	names=$(tool list | awk '{ print $1 }')
	for name in $names; do
		echo "prog dump xlated pinned $pins/$name file $tmp/$name.xlated"
	done >"$tmp/batch"
	"$bpftool" batch file "$tmp/batch" &&
		grep -E 'bpf|array_map' /proc/kallsyms >"$tmp/symbols" || return 1
	# shellcheck disable=SC2086 # words
	python3 - "$tmp" $names <<'END'
import re, struct, sys
CALL, PSEUDO_CALL = 0x85, 1             # the latter is a function of the program itself
MAY_GOTO, MOV, ADDR_SPACE_CAST, LD_IMM64 = 0xe5, 0xbf, 1, 0x18
tmp, names = sys.argv[1], sys.argv[2:]
symbols = {}
with open(tmp + "/symbols") as f:
    for line in f:
        address, _, symbol = line.split()[:3]
        symbols[int(address, 16)] = symbol
# what the calls are relative to
base = [a for a, symbol in symbols.items() if symbol == "__bpf_call_base"][0]
assert len(names) == 18
for name in names:
    # the lookup is inline, unless the architecture has no code for that
    allowed = r"bpf_(io_uring|iter_num)_\w+" + (r"|\w*map_lookup_elem" if name == "count" else "")
    found = set()
    with open(f"{tmp}/{name}.xlated", "rb") as f:
        for code, regs, off, imm in struct.iter_unpack("=BBhi", f.read()):
            src = regs >> 4
            if code == CALL and src != PSEUDO_CALL:
                found.add(symbols.get(base + imm, hex(base + imm)))
            assert code != MAY_GOTO, name
            assert code != MOV or off != ADDR_SPACE_CAST, name
            assert code != LD_IMM64 or not src or name == "count", name + ": a map"
    print(name, *sorted(found))
    assert all(re.fullmatch(allowed, x) for x in found), name
    assert any(x.startswith("bpf_io_uring_") for x in found), name
END
}

usage()
{
	for args in '' load unload show nonsense 'load --all copy' 'list copy' \
		'load ../copy' 'load .copy' 'load COPY' 'load abcdefghijklmnop' '--nonsense'; do
		# shellcheck disable=SC2086 # words
		fails 2 . tool $args || return 1
	done
	tool --help && tool --version
}

# A folder for the pins that others can write to, or that is none of a bpffs
refuses_folder()
{
	dir=$tmp/pins
	mkdir -p "$dir" || return 1
	fails 1 'no bpffs' tool --pin-dir "$dir" load copy || return 1
	mount -t bpf -o mode=0777 bpf "$dir" || return 1
	fails 1 'others can write' tool --pin-dir "$dir" load copy
	rc=$?
	chmod 755 "$dir" && tool --pin-dir "$dir" load copy && [ $rc = 0 ] &&
		chown 65534 "$dir" && fails 1 'others can write' tool --pin-dir "$dir" load join
	rc=$?
	umount "$dir"
	return $rc
}

lists_for_everybody()
{
	nobody "$tmp/iou-patterns" list && [ "$(nobody "$tmp/iou-patterns" list | wc -l)" = 18 ] &&
		nobody "$tmp/iou-patterns" --dir patterns show copy forward &&
		fails 4 'count_map' nobody "$tmp/iou-patterns" counts &&
		fails 4 . nobody "$tmp/iou-patterns" --dir patterns load --replace copy &&
		fails 4 . nobody "$tmp/iou-patterns" unload copy
}

# The documentation of each pattern is complete.
documents()
{
	# shellcheck disable=SC2046 # words
	tool show $(tool list | awk '{ print $1 }') >"$tmp/show" || return 1
	for word in 'kind: ' 'arguments:' 'errors:' '  EINVAL' 'result: ' 'wins when: ' \
		'loses when: ' 'loaded: id'; do
		nr_found=$(grep -c "^$word" "$tmp/show")
		echo "$nr_found of $word"
		[ "$nr_found" = 18 ] || return 1
	done
}

# JSON, and that the sizes in the header are those of the documentation
json()
{
	tool -j show copy join >"$tmp/json" && tool -p list >"$tmp/list" &&
		tool -j list --available >"$tmp/available" || return 1
	# shellcheck disable=SC2046 # words
	tool -j show $(tool list | awk '{ print $1 }') >"$tmp/all" || return 1
	python3 - "$tmp" "$start" <<'END'
import json, sys, time
copy, join = json.load(open(sys.argv[1] + "/json"))
assert copy["name"] == "copy" and copy["loaded"] and copy["kind"] == "flow"
assert copy["type"] == "iouring" and copy["nr_map_ids"] == 0 and copy["uid"] == 0
# the times are rounded
assert int(sys.argv[2]) - 2 <= copy["loaded_at"] <= time.time() + 2
assert copy["pinned"] == "/run/iou-patterns/copy" and len(copy["tag"]) == 16
assert copy["flow_size"] == 8 and join["flow_size"] == 0
assert [a["name"] for a in copy["arguments"]] == ["in", "out", "buf", "off", "len",
                                                  "block", "depth"]
assert "EINVAL" in [e["name"] for e in copy["errors"]]
assert len(json.load(open(sys.argv[1] + "/list"))) == 18
assert len(json.load(open(sys.argv[1] + "/available"))) == 18
sizes = {p["name"]: p["flow_size"] for p in json.load(open(sys.argv[1] + "/all"))
         if p["flow_size"]}
assert sizes == {"append": 8, "copy": 8, "forward": 64, "recv_file": 16, "send_file": 8}
END
}

# As with systemd: users may not use BPF, and cannot reach what is in the usual place
restrict()
{
	was=$(cat $sysctl)
	# refused if the value is 1, which is as strict
	echo 2 >$sysctl
	mounted=
	mount -t bpf -o mode=0700 bpf /sys/fs/bpf && mounted=y
}

unrestrict()
{
	[ -z "$mounted" ] || umount /sys/fs/bpf
	# refused if the value is 1
	echo "$was" >$sysctl
}

restricted()
{
	cat $sysctl && [ "$(cat $sysctl)" != 0 ] && [ "$(stat -c %a:%u /sys/fs/bpf)" = 1700:0 ] &&
		fails 2 'Permission denied' nobody ls /sys/fs/bpf/.
}

# Files for the examples: two that everybody can read, and one that only root can read
files()
{
	echo one >"$tmp/1" && printf 'two\nlines\n' >"$tmp/2" && chmod 644 "$tmp/1" "$tmp/2" &&
		echo secret >"$tmp/3" && chmod 600 "$tmp/3"
}

# The example in Python, with more files than it can read
python()
{
	files || return 1
	nobody $example "$tmp/1" "$tmp/2" >"$tmp/text" && cat "$tmp/text" &&
		grep -q "^4 bytes, 1 lines: $tmp/1$" "$tmp/text" &&
		grep -q "^10 bytes, 2 lines: $tmp/2$" "$tmp/text" &&
		fails 1 'Permission denied' nobody $example "$tmp/1" "$tmp/3" "$tmp/2" &&
		fails 1 'No such file' nobody $example "$tmp/none"
}

# The example in C
c_program()
{
	files || return 1
	nobody ./pattern "$tmp/2" >"$tmp/text" && cmp "$tmp/2" "$tmp/text" &&
		fails 1 'Permission denied' nobody ./pattern "$tmp/3" && [ ! -s "$tmp/stdout" ] &&
		fails 1 'No such file' nobody ./pattern "$tmp/none" &&
		fails 2 usage nobody ./pattern
}

# What the patterns have counted
counts()
{
	tool counts >"$tmp/counts" && tool -j counts | python3 -m json.tool
}

words()
{
	bash -c '
		. '"$completion"'
		PATH='"$tmp"':$PATH
		COMP_WORDS=(iou-patterns --dir patterns "$@" "") COMP_CWORD=$((3 + $#))
		_iou_patterns
		echo ${COMPREPLY[*]}' bash "$@"
}

completes()
{
	words load; words unload
	words load | grep -q -- '--all --replace append copy count' &&
		words unload | grep -q -- '--all append copy' &&
		words | grep -q '^load unload list show' && words list | grep -q -- --available
}

[ "$(id -u)" = 0 ] || skip_all needs root, to load programs
./iou-patterns check --quick 2>/dev/null || skip_all no IORING_OP_BPF
[ -d $pins ] || mkdir -m 755 $pins
[ "$(stat -f -c %T $pins)" = bpf_fs ] ||
	mount -t bpf -o mode=0755,nosuid,nodev,noexec bpf $pins
# once, as a program on a network file system is read each time
cp iou-patterns "$tmp" || exit 1

plan 19
check load loads
check replace replaces
check unload unloads
check check checks
check check_disabled checks_disabled
check check_with_cap_bpf loads_with_cap_bpf
check load_as_service loads_as_service
check rejected_objects rejects
if [ -x "$bpftool" ]; then
	case $(uname -m) in
	x86_64 | aarch64 | riscv64)
		check calls calls ;;
	*)
		# on some others, the call of a kfunc has the id of its type, and no address
		ktap_test_skip "calls: not known for this architecture" ;;
	esac
else
	ktap_test_skip "calls: no bpftool"
fi
check usage usage
check folder_of_others refuses_folder
check list_for_everybody lists_for_everybody
check documentation documents
check json json
restrict
check restrictions restricted
check python python
check c_program c_program
unrestrict
check counts counts
check completion completes
ktap_finished
