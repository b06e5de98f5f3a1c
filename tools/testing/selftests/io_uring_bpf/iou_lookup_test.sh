#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# iou-lookup: what it prints for databases that other programs have made

cd "$(dirname "$0")" || exit 1
. ./check.sh

# lookup OPTION...: by a program that is loaded, which takes longer than most tests
lookup()
{
	# shellcheck disable=SC2086 # words, or none
	"$tmp/iou-lookup" $program "$@"
}

# pin FILE NAME: load the program for the file, and use it from now on
pin()
{
	program=
	"$tmp/iou-lookup" --pin "$tmp/bpf/$2" "$1" || return 1
	program="--program $tmp/bpf/$2"
}

# matches PATTERN FILE: a line of the file matches, or both are empty
matches()
{
	if [ -n "$1" ]; then
		grep -q "$1" "$2"
	else
		[ ! -s "$2" ]
	fi
}

# gives STATUS STDOUT STDERR OPTION...: iou-lookup ends like this; STDERR is a pattern
gives()
{
	status=$1 out=$2 err=$3
	shift 3
	stdout=$(lookup "$@" 2>"$tmp/stderr" </dev/null)
	rc=$?
	if [ $rc != "$status" ] || [ "$stdout" != "$out" ] || ! matches "$err" "$tmp/stderr"; then
		printf '%.300s\n' "$stdout"
		cat "$tmp/stderr"
		echo "status $rc of $*, expected $status"
		return 1
	fi
}

# eventually COMMAND...: repeat the command until it succeeds, for a minute at most
eventually()
{
	end=$(($(date +%s) + 60))
	until "$@"; do
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 0.1
	done
}

# nobody_finds VALUE FILE ARGUMENT...: without privileges, with the program that is pinned,
# but not if a program has to be loaded
nobody_finds()
{
	value=$1 file=$2
	shift
	chmod 755 "$tmp" && chmod 644 "$file" || return 1
	set -- setpriv --reuid 65534 --regid 65534 --clear-groups "$tmp/iou-lookup" "$@"
	"$@" && return 1
	# shellcheck disable=SC2086 # words
	[ "$("$@" $program)" = "$value" ]
}

# The lock file is for those who can write to it, a copy has none.
lmdb_nobody()
{
	cp "$tmp/db" "$tmp/copy" && nobody_finds 'value of 1' "$tmp/copy" key1
}

header()
{
	printf 'VERSION=3\nformat=print\ntype=btree\nmapsize=67108864\nHEADER=END\n'
}

# Records of mdb_load: odd numbers with themselves
records()
{
	header
	seq 1 2 2000 | while read -r n; do
		printf ' key%s\n value of %s\n' "$n" "$n"
	done
	printf ' long\n %050000d\nDATA=END\n' 0
}

lmdb_found()
{
	gives 0 "value of 1
value of 1999
$(printf %050000d 0)" '' "$tmp/db" key1 key1999 long &&
		gives 0 'value of 7' '^1 lookups, [3-9] reads, 1 system calls, 1 CQEs,' -s \
			-n sub "$tmp/db" key7
}

lmdb_absent()
{
	gives 1 'value of 3' 'key2: no such key' "$tmp/db" key2 key3 &&
		gives 3 '' 'no database with this name' -n other "$tmp/db" key1 &&
		gives 3 'value of 3' 'has 50000 bytes' -m 100 "$tmp/db" long key3
}

# All keys of stdin, in their order
lmdb_many()
{
	seq 1 2 2000 | sed 's/^/key/' >"$tmp/keys"
	seq 1 2 2000 | sed 's/^/value of /' >"$tmp/values"
	lookup -q 7 "$tmp/db" <"$tmp/keys" >"$tmp/stdout" && cmp "$tmp/values" "$tmp/stdout"
}

# The library and a lookup keep each other out.
lmdb_busy()
{
	mkfifo "$tmp/fifo" && exec 9<>"$tmp/fifo" || return 1
	# waits for a record
	mdb_load -n "$tmp/db" <"$tmp/fifo" 9>&- &
	loader=$!
	header >&9
	eventually gives 3 '' 'another process' "$tmp/db" key1 &&
		gives 0 'value of 1' '' -f "$tmp/db" key1
	ret=$?
	printf ' new\n value\nDATA=END\n' >&9
	exec 9>&-
	wait $loader && [ $ret = 0 ] && gives 0 value '' "$tmp/db" new
}

# counts WAY CONDITION OPTION...: the output of this way is in $tmp/WAY, and the numbers that
# it prints at the end satisfy a condition of awk
counts()
{
	way=$1 condition=$2
	shift 2
	lookup -s -w "$way" "$@" >"$tmp/$way" 2>"$tmp/counts"
	cat "$tmp/counts"
	awk "{ lookups = \$1; reads = \$3; calls = \$5; cqes = \$8 }
		{ interrupts = \$13 == \"interrupts\" ? \$12 : -1 }
		END { exit !(lookups && $condition) }" "$tmp/counts"
}

# ways OPTION...: all ways give the same, but need more or less calls and CQEs.
ways()
{
	counts flow 'calls == lookups && cqes == lookups && reads > 2 * lookups' "$@" &&
		counts loop 'calls == reads && cqes == reads' "$@" &&
		counts pread 'calls == reads && !cqes' "$@" &&
		[ -s "$tmp/flow" ] && cmp "$tmp/flow" "$tmp/loop" &&
		cmp "$tmp/flow" "$tmp/pread"
}

# fill FILE: copy it to the device, whose last block is filled up
fill()
{
	dd if="$1" of="$IOU_LOOKUP_DEVICE" bs=256k conv=sync oflag=direct 2>&1
}

# row WAY CONDITION OPTION...: as counts(), and store a row of the comparison. Others, such as
# udev, can use the device at the same time, so there are several attempts.
row()
{
	for _ in 1 2 3 4 5; do
		if counts "$@" <"$tmp/keys"; then
			echo "$kind, $1: $(cat "$tmp/counts")" >>"$tmp/rows"
			return
		fi
		sleep 1
	done
	return 1
}

# on_device KIND FILE OPTION...: the ways on a device, for the keys in $tmp/keys. There is an
# interrupt for each read.
on_device()
{
	kind=$1 file=$2 near='interrupts >= reads && interrupts <= 1.1 * reads + 10'
	shift 2
	fill "$file" || return 1
	set -- -f -d "$@" "$IOU_LOOKUP_DEVICE"
	row flow "calls == lookups && cqes == lookups && $near" "$@" &&
		row loop "calls == reads && cqes == reads && $near" "$@" &&
		row pread "calls == reads && !cqes && $near" "$@" &&
		[ -s "$tmp/flow" ] && cmp "$tmp/flow" "$tmp/loop" &&
		cmp "$tmp/flow" "$tmp/pread"
}

# polled KIND OPTION...: the same without interrupts. A call can return before a read has
# ended.
polled()
{
	kind=$1
	shift
	set -- -f -p "$@" "$IOU_LOOKUP_DEVICE"
	row flow 'cqes == lookups && interrupts == 0' "$@" &&
		row loop 'cqes == reads && interrupts == 0' "$@" &&
		[ -s "$tmp/flow" ] && cmp "$tmp/flow" "$tmp/loop" &&
		cmp "$tmp/flow" "$tmp/pread"
}

# device_tests FORMAT FILE OPTION...: and print the rows
device_tests()
{
	format=$1 file=$2
	shift 2
	if [ -z "$IOU_LOOKUP_DEVICE" ]; then
		ktap_test_skip "${format}_device: IOU_LOOKUP_DEVICE is not set"
		return
	fi
	: >"$tmp/rows"
	check "${format}_device" on_device "$format" "$file" "$@"
	check "${format}_polled" polled "$format, polled" "$@"
	sed 's/^/# /' "$tmp/rows"
}

# A tree of five levels: the keys are long
lmdb_deep()
{
	{
		header
		awk 'BEGIN { for (i = 1; i <= 4000; i++) printf " %0511d\n value of %d\n", i, i
			print "DATA=END" }'
	} | mdb_load -n "$tmp/deep" || return 1
	nr=${IOU_LONG:+200}
	awk -v nr="${nr:-20}" 'BEGIN {
		for (i = 1; i <= nr; i++) printf "%0511d\n", i * 4000 / nr }' >"$tmp/keys"
}

lmdb_tests()
{
	if ! command -v mdb_load >/dev/null; then
		ktap_test_skip "lmdb: needs the package lmdb-utils"
		return
	fi
	program=
	records | mdb_load -n "$tmp/db" && records | mdb_load -n -s sub "$tmp/db" || exit 1
	check lmdb_load gives 0 'value of 1' '' "$tmp/db" key1
	check lmdb_pin pin "$tmp/db" lmdb
	check lmdb_nobody lmdb_nobody
	check lmdb_found lmdb_found
	check lmdb_absent lmdb_absent
	check lmdb_many lmdb_many
	check lmdb_ways ways "$tmp/db" key1 key7 long key1999
	check lmdb_deep lmdb_deep
	device_tests lmdb "$tmp/deep"
	check lmdb_busy lmdb_busy
}

# sql COMMANDS...: of sqlite3, in the database of the tests
sql()
{
	sqlite3 "$tmp/sqlite" "$@"
}

sqlite_make()
{
	sql 'PRAGMA synchronous = OFF;
		CREATE TABLE numbers (i INTEGER, r REAL, t TEXT, b BLOB, n);
		WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 2 FROM s WHERE i < 1999)
		INSERT INTO numbers (rowid, i, r, t, b)
			SELECT i, i * i * (CASE i % 3 WHEN 0 THEN -1 ELSE 1 END),
			       i / 8.0, "text of " || i, x'"'616263'"' FROM s;
		INSERT INTO numbers (rowid, t) VALUES (-5, printf("%050000d", 0));'
}

sqlite_found()
{
	gives 0 "$(sql 'SELECT * FROM numbers WHERE rowid IN (1, 3, 1999) ORDER BY rowid')" '' \
		-n numbers "$tmp/sqlite" 1 3 1999 &&
		gives 0 "$(sql 'SELECT * FROM numbers WHERE rowid = -5')" \
			'^1 lookups, 1[0-9] reads, 1 system calls, 1 CQEs,' -s -n NUMBERS \
			"$tmp/sqlite" -- -5 &&
		gives 0 "$(sql 'SELECT * FROM sqlite_schema')" '' -n sqlite_schema \
			"$tmp/sqlite" 1
}

# Records of 1 MiB
sqlite_long()
{
	nr=${IOU_LONG:+10}
	seq "${nr:-1}" >"$tmp/keys"
	(
		echo 'CREATE TABLE data (t); BEGIN;'
		sed "s/.*/INSERT INTO data (rowid, t) VALUES (&, printf('%01048576d', &));/" \
			"$tmp/keys"
		echo 'COMMIT;'
	) | sqlite3 "$tmp/records"
}

sqlite_absent()
{
	gives 1 '' '2: no such key' -n numbers "$tmp/sqlite" 2 &&
		gives 3 '' 'no database with this name' -n other "$tmp/sqlite" 1 &&
		gives 3 "$first" 'no number' -n numbers "$tmp/sqlite" key 1 &&
		gives 3 '' 'has 5[0-9]* bytes' -m 100 -n numbers "$tmp/sqlite" -- -5
}

sqlite_many()
{
	seq 1 2 1999 >"$tmp/keys"
	sql 'SELECT * FROM numbers WHERE rowid > 0 ORDER BY rowid' >"$tmp/values"
	lookup -q 64 -d -n numbers "$tmp/sqlite" <"$tmp/keys" >"$tmp/stdout" &&
		cmp "$tmp/values" "$tmp/stdout"
}

# A process has locked the file to write.
locked()
{
	[ -n "$(awk -v inode="$(stat -c %i "$tmp/sqlite")" \
		'$0 ~ "WRITE.*:" inode " "' /proc/locks)" ]
}

# busy MODE: while a transaction of this mode is open, a lookup is refused, or not
busy()
{
	sqlite3 -cmd "BEGIN $1" "$tmp/sqlite" <"$tmp/sql" >/dev/null &
	holder=$!
	exec 8>"$tmp/sql"
	eventually locked
}

# An exclusive lock keeps lookups out, one that is reserved does not, and a lookup waits
# neither.
sqlite_busy()
{
	mkfifo "$tmp/sql" || return 1
	busy EXCLUSIVE
	# the lock that busy() has seen can be the one before
	eventually gives 3 '' 'another process' -n numbers "$tmp/sqlite" 1 &&
		gives 0 "$first" '' -f -n numbers "$tmp/sqlite" 1
	ret=$?
	exec 8>&-
	wait "$holder" || return 1
	busy IMMEDIATE
	gives 0 "$first" '' -n numbers "$tmp/sqlite" 1 || ret=1
	exec 8>&-
	wait "$holder" && [ $ret = 0 ]
}

# A journal or a log that a process has left has to be applied first.
sqlite_journal()
{
	for suffix in journal wal; do
		echo content >"$tmp/sqlite-$suffix"
		gives 3 '' 'another process' -n numbers "$tmp/sqlite" 1 || return 1
		rm "$tmp/sqlite-$suffix"
	done
	head -c 100 /dev/zero >"$tmp/sqlite-journal"
	gives 0 "$first" '' -n numbers "$tmp/sqlite" 1 || return 1
	rm "$tmp/sqlite-journal"
	sqlite3 "$tmp/wal" 'PRAGMA journal_mode = WAL; CREATE TABLE numbers (i)'
	gives 3 '' 'a kind of database' -n numbers "$tmp/wal" 1
}

sqlite_tests()
{
	if ! command -v sqlite3 >/dev/null; then
		ktap_test_skip "sqlite: needs the package sqlite3"
		return
	fi
	program=
	sqlite_make || exit 1
	first=$(sql 'SELECT * FROM numbers WHERE rowid = 1')
	check sqlite_pin pin "$tmp/sqlite" sqlite
	check sqlite_nobody nobody_finds "$first" "$tmp/sqlite" -n numbers 1
	check sqlite_found sqlite_found
	check sqlite_absent sqlite_absent
	check sqlite_many sqlite_many
	check sqlite_ways ways -n numbers "$tmp/sqlite" 1 7 1999 -- -5
	check sqlite_long sqlite_long
	device_tests sqlite "$tmp/records" -n data -m 2000000
	check sqlite_busy sqlite_busy
	check sqlite_journal sqlite_journal
}

usage()
{
	for args in '-m -1' '-w x'; do
		# shellcheck disable=SC2086 # words
		gives 2 '' usage: $args || return 1
	done
	"$tmp/iou-lookup" --help | grep -q usage:
}

other_files()
{
	echo text >"$tmp/text"
	gives 3 '' 'not a database' "$tmp/text" key && gives 3 '' 'No such file' "$tmp/none" key
}

[ "$(id -u)" = 0 ] || skip_all needs root, to load programs
./iou-patterns check --quick 2>/dev/null || skip_all no IORING_OP_BPF
mkdir "$tmp/bpf" && mount -t bpf -o mode=0755 none "$tmp/bpf" || exit 1
trap 'umount "$tmp/bpf" && rm -rf "$tmp"' EXIT
program=
# once, as a program on a network file system is read each time
cp iou-lookup "$tmp" || exit 1

ktap_print_header
check usage usage
check other_files other_files
lmdb_tests
sqlite_tests
# at the end, as tests can be skipped
ktap_set_plan $((KTAP_TESTNO - 1))
ktap_finished
