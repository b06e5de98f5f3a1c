#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/bench/patterns.py FOLDER

Prints the table of patterns from results.json: the cost of an operation with the
pattern, with a loop using liburing, and with plain system calls. Marks the patterns
that are more expensive.
"""
import sys

from rows import PATTERN, PATTERN_ARMS, is_pattern, losses, steady
from table import by_workload, load

# column of a result, its format, and the arms for which it has a meaning
COLUMNS = (('insn', '%.0f', PATTERN_ARMS), ('syscalls', '%.3g', PATTERN_ARMS),
           ('cqes', '%.3g', PATTERN_ARMS[:2]))


def verdict(mine, loses):
    """Return the remark about a pattern."""
    words = ['loses to ' + ', '.join(loses)] if loses else []
    return '; '.join(words + ['varies'] * (not all(map(steady, mine.values()))))


def line(first, cells, last=''):
    """Print a line, with wider columns for instructions."""
    widths = (10,) * 3 + (9,) * 5
    print(('  %-13s%s  %s' % (first, ''.join('%*s' % c for c in zip(widths, cells)),
                              last)).rstrip())


def main():
    """See the top of the file."""
    if len(sys.argv) != 2:
        print(__doc__, end='')
        return 2
    results = [r for r in load(sys.argv[1], 'results.json') if is_pattern(r)]
    lost = losses(results)
    print('PATTERNS: the same by a loop with liburing, and by plain system calls')
    print('  %-13s%30s%27s%18s' % ('', 'instructions', 'system calls', 'CQEs'))
    line('', [arm for _, _, arms in COLUMNS for arm in arms])
    for workload, rows in by_workload(results):
        mine = {r['arm']: r for r in rows}
        line(workload[len(PATTERN):],
             [text % mine[arm][column] if arm in mine else '-'
              for column, text, arms in COLUMNS for arm in arms],
             verdict(mine, lost.get(workload)))
    print('per operation; loses: more instructions; quiet, count: liburing is the same '
          'ring without the watcher\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
