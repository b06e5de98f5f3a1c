#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/bench/profile.py ROWS COUNTS [MINIMUM]

Prints the instructions and calls per operation, by function of the kernel, with a
column for each row (workload and arm) of a run. Sums up functions with less than
MINIMUM (0.5) instructions.
"""
import sys

from counters import plain
from rows import best, label, read_run


def by_function(run):
    """Return {function: (instructions, calls)} per operation. Cold parts are merged."""
    found = {}
    for name, counts in run['counts']['functions'].items():
        old = found.get(plain(name), (0, 0))
        found[plain(name)] = tuple(o + c / run['ops'] for o, c in zip(old, counts))
    found['(BPF program)'] = (run['counts']['jit'] / run['ops'], 0)
    found['(user space)'] = (run['counts']['user'] / run['ops'], 0)
    return found


def line(name, cells):
    """Print one function."""
    print('%-36s%s' % (name[:36], ''.join('%12s%8s' % c for c in cells)))


def cell(counts):
    """Return the text for one function in one row: instructions and calls."""
    insns, calls = counts
    return '%.1f' % insns if insns else '', '%.2f' % calls if calls else ''


def total(columns, names):
    """Return the sum of these functions in each column."""
    return [cell((sum(c.get(n, (0, 0))[0] for n in names), 0)) for c in columns]


def main():
    """See the top of the file."""
    if len(sys.argv) not in (3, 4):
        print(__doc__, end='')
        return 2
    minimum = float(sys.argv[3]) if len(sys.argv) == 4 else 0.5
    runs = [best(group) for group in read_run(sys.argv[1], sys.argv[2]).values()]
    columns = [by_function(run) for run in runs]
    names = {n for c in columns for n in c}
    peak = {n: max(c.get(n, (0, 0))[0] for c in columns) for n in names}
    small = [n for n in names if peak[n] < minimum]
    line('', [(label(run)[-19:], '') for run in runs])
    line('function', [('insn/op', 'calls')] * len(runs))
    for name in sorted(names.difference(small), key=lambda n: (-peak[n], n)):
        line(name, [cell(c.get(name, (0, 0))) for c in columns])
    line('(%d more)' % len(small), total(columns, small))
    line('total', total(columns, names))
    return 0


if __name__ == '__main__':
    sys.exit(main())
