#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/bench/compare.py OLD NEW
       scripts/bench/compare.py --record RESULTS FILE

Prints two result files side by side. Exit status 1 if a row falls behind or is missing
in NEW. A row falls behind if it has more of an event (system calls, CQEs, runs of a
program, work for io-wq), or, without a program, more than 1 per cent and 3 instructions
more. Some rows are only marked: those with a program and more than 2 per cent more
instructions, and those that are not reproducible, because of io-wq or syncs.

With --record, writes the compared columns to a file, for both kernels.
"""
import json
import os
import sys

from rows import KERNELS, KEYS, Error, key, label, steady

EVENTS = ('enters', 'cqes', 'runs', 'iowq', 'syscalls')
INSN_PERCENT, INSN_MORE, PROGRAM_PERCENT = 1, 3, 2
RED, YELLOW, OFF = '\033[31m', '\033[33m', '\033[0m'
FAIL, WARN, SAME = 'behind', 'more', ''


def read(path, kernels=('patched',)):
    """Return the rows of the kernel with the series, or of several kernels."""
    try:
        with open(path) as f:
            rows = json.load(f)
    except (OSError, ValueError) as e:
        raise Error('cannot read %s: %s' % (path, e))
    return {(r['kernel'],) + key(r): r for r in rows if r['kernel'] in kernels}


def has_program(row):
    """Return true if a BPF program runs in this row."""
    return row['runs'] or row['arm'].startswith(('flow', 'loop_step'))


def judge(old, new):
    """Return (verdict, reason) for a row that is in both files."""
    fail = FAIL if steady(old) else WARN
    for event in EVENTS:
        if new[event] > old[event]:
            return fail, '%s %g -> %g' % (event, old[event], new[event])
    more = new['insn'] - old['insn']
    percent = 100 * more / old['insn']
    if has_program(old):
        return (WARN, '') if percent > PROGRAM_PERCENT else (SAME, '')
    return (fail, '') if percent > INSN_PERCENT and more > INSN_MORE else (SAME, '')


def paint(verdict, text):
    """Add the color of the verdict, if stdout is a terminal."""
    color = {FAIL: RED, WARN: YELLOW}.get(verdict)
    if not color or not sys.stdout.isatty() or os.environ.get('NO_COLOR'):
        return text
    return color + text + OFF


def compare(old, new):
    """Print all rows. Return true if one falls behind."""
    behind = 0
    print('%-36s%12s%12s%9s' % ('', 'old insn', 'new insn', 'change'))
    for k in list(old) + [k for k in new if k not in old]:
        name = label(new.get(k) or old[k])
        if k not in new:
            verdict, text = FAIL, '%-36s%12.1f%12s' % (name, old[k]['insn'], 'gone')
        elif k not in old:
            verdict, text = SAME, '%-36s%12s%12.1f' % (name, 'new', new[k]['insn'])
        else:
            verdict, why = judge(old[k], new[k])
            a, b = old[k]['insn'], new[k]['insn']
            text = '%-36s%12.1f%12.1f%+8.2f%%  %s' % (
                name, a, b, round(100 * (b / a - 1), 2) + 0.0,
                ' '.join(filter(None, (verdict, why))))
        behind += verdict == FAIL
        print(paint(verdict, text.rstrip()))
    print('%d rows fall behind' % behind if behind else 'no row falls behind')
    return bool(behind)


def record(rows, path):
    """Write the compared columns."""
    keep = KEYS + ('kernel', 'insn') + EVENTS
    lines = [json.dumps({k: row[k] for k in keep if k in row}) for row in rows.values()]
    with open(path, 'w') as f:
        f.write('[\n%s\n]\n' % ',\n'.join(lines))


def main():
    """See the top of the file."""
    args = sys.argv[1:]
    recording = args[:1] == ['--record']
    if len(args) != 2 + recording or args[-1].startswith('-'):
        print(__doc__, end='')
        return 2
    try:
        if recording:
            record(read(args[1], KERNELS), args[2])
            return 0
        return 1 if compare(read(args[0]), read(args[1])) else 0
    except Error as e:
        print('error: %s' % e, file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
