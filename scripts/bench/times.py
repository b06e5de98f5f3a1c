#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/bench/times.py ROWS

Prints nanoseconds per operation, from the best repeat of each row of a timed run. These
mean nothing in an emulated guest.
"""
import sys

import rows


def main():
    """See the top of the file."""
    if len(sys.argv) != 2:
        print(__doc__, end='')
        return 2
    best = {}
    for row in rows.read_lines(sys.argv[1]):
        if 'ns' in row:
            ns = row['ns'] / row['ops']
            best[rows.label(row)] = min(ns, best.get(rows.label(row), ns))
    print('wall time, nanoseconds per operation')
    for label, ns in best.items():
        print('  %-40s%10.1f' % (label, ns))
    return 0


if __name__ == '__main__':
    sys.exit(main())
