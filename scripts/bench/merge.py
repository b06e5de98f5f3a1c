#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/bench/merge.py FOLDER

Joins the output of the guest program with that of the counter, for each kernel
(KERNEL.rows and KERNEL.counts in the folder). Writes results.json, with figures per
operation for each workload and arm, and scaling.json, with figures by the length of a
chain and the number of concurrent flows. Prints notes about rows whose two best repeats
differ by more than 0.1 per cent, and about rows that could not be measured.
"""
import json
import os
import sys

import rows

# per cent
SPREAD = 0.1


def read_kernel(folder, kernel):
    """Return the rows of one kernel, none for the optional one."""
    if kernel == 'traced' and not os.path.exists(os.path.join(folder, 'traced.rows')):
        return []
    paths = [os.path.join(folder, '%s.%s' % (kernel, end)) for end in ('rows', 'counts')]
    return [rows.reduce(group, kernel) for group in rows.read_run(*paths).values()]


def complaints(folder, found):
    """Yield notes for readers of the figures."""
    for row in found:
        if row['spread'] > SPREAD:
            yield '%s (%s): repeats differ by %.2f %%' % (
                rows.label(row), row['kernel'], row['spread'])
    for row in rows.read_lines(os.path.join(folder, 'patched.rows')):
        if 'missing' in row:
            yield '%s: not measured, %s' % (rows.label(row), row['missing'])


def write(path, found):
    """Write one row per line."""
    with open(path, 'w') as f:
        f.write('[\n%s\n]\n' % ',\n'.join(json.dumps(row) for row in found))


def main():
    """See the top of the file."""
    if len(sys.argv) != 2:
        print(__doc__, end='')
        return 2
    folder = sys.argv[1]
    try:
        found = [row for kernel in rows.KERNELS for row in read_kernel(folder, kernel)]
        for text in complaints(folder, found):
            print('note: ' + text, file=sys.stderr)
    except rows.Error as e:
        print('error: %s' % e, file=sys.stderr)
        return 1
    for name, series in ('results', False), ('scaling', True):
        write(os.path.join(folder, name + '.json'),
              [row for row in found if ('length' in row) == series])
    return 0


if __name__ == '__main__':
    sys.exit(main())
