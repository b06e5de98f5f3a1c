#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/bench/merge.py FOLDER

Joins what the guest program said with what the counter saw, for each kernel
(KERNEL.rows and KERNEL.counts in the folder). Writes results.json, a row for
each workload and arm with figures per operation, and scaling.json, the same by
length of a chain and by flows at once. Says in which rows the two best repeats
are not within 0.1 per cent, and which could not be measured.
"""
import json
import os
import sys

import rows

# per cent
SPREAD = 0.1


def read_kernel(folder, kernel):
    """Rows of one kernel."""
    paths = [os.path.join(folder, '%s.%s' % (kernel, end)) for end in ('rows', 'counts')]
    return [rows.reduce(group, kernel) for group in rows.read_run(*paths).values()]


def complaints(folder, found):
    """What a reader of the figures has to know."""
    for row in found:
        if row['spread'] > SPREAD:
            yield '%s (%s): repeats differ by %.2f %%' % (
                rows.label(row), row['kernel'], row['spread'])
    for row in rows.read_lines(os.path.join(folder, 'patched.rows')):
        if 'missing' in row:
            yield '%s: not measured, %s' % (rows.label(row), row['missing'])


def write(path, found):
    """A row a line."""
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
