# SPDX-License-Identifier: GPL-2.0
"""Rows of the benchmark: one workload done one way (an "arm"), on one kernel."""
import json

from counters import events

# what tells one row from another
KEYS = ('workload', 'arm', 'base', 'length', 'flows')
KERNELS = ('base', 'patched')

# work for io-wq per operation
IOWQ = 0.01

# workloads of patterns, which the table of their own has, and their arms
PATTERN = 'pattern-'
PATTERN_ARMS = ('pattern', 'liburing', 'syscalls')


class Error(Exception):
    """What the user is told."""


def key(row):
    """Identity of a row within one kernel."""
    return tuple(row.get(k) for k in KEYS)


def steady(row):
    """Does the row come out the same each time? Not if io-wq does the work, or if
    it waits for syncs: what happens there depends on who comes first."""
    return row['iowq'] < IOWQ and 'append' not in row['workload'].split('-')


def is_pattern(row):
    """Is it about a pattern?"""
    return row['workload'].startswith(PATTERN)


def losses(found):
    """{workload: arms that take fewer instructions than its pattern}"""
    insn = {(r['workload'], r['arm']): r['insn'] for r in found if is_pattern(r)}
    return {w: [a for a in PATTERN_ARMS if insn.get((w, a), least) < least]
            for (w, arm), least in insn.items() if arm == 'pattern'}


def label(row):
    """A row's name for humans."""
    extra = ['%s=%s' % (k, row[k]) for k in KEYS[2:] if row.get(k) is not None]
    return ' '.join(['%s/%s' % (row['workload'], row['arm'])] + extra)


def read_lines(path):
    """The objects of a file that has one a line."""
    try:
        with open(path) as f:
            return [json.loads(line) for line in f if line.strip()]
    except (OSError, ValueError) as e:
        raise Error('cannot read %s: %s' % (path, e))


def read_run(rows_path, counts_path):
    """Repeats of each row, as {key: [row, ...]}. The guest's n-th line about a
    measurement belongs to the n-th pair of markers."""
    rows = [r for r in read_lines(rows_path) if 'missing' not in r]
    counts = read_lines(counts_path)
    if len(rows) != len(counts):
        raise Error('%d measurements in %s, but %d in %s' %
                    (len(rows), rows_path, len(counts), counts_path))
    groups = {}
    for row, count in zip(rows, counts):
        groups.setdefault(key(row), []).append(dict(row, counts=count))
    return groups


def kernel_insns(count):
    """Instructions of the kernel's own text."""
    return count['other'] + sum(i for i, _ in count['functions'].values())


def insns(run):
    """All instructions of a repeat, per operation."""
    count = run['counts']
    return (count['user'] + count['jit'] + kernel_insns(count)) / run['ops']


def best(group):
    """The repeat with the fewest instructions."""
    return min(group, key=insns)


def reduce(group, kernel):
    """Repeats of a row made one: figures per operation of the best one, and by
    how many per cent the next best is above it. Now and then a kernel's thread
    wakes up in a repeat, so the worst says nothing."""
    run = best(group)
    count, ops = run['counts'], run['ops']
    row = {k: run[k] for k in KEYS if k in run}
    row.update(kernel=kernel, ops=ops, repeats=len(group),
               insn=round(insns(run), 3),
               insn_user=round(count['user'] / ops, 3),
               insn_kernel=round(kernel_insns(count) / ops, 3),
               insn_jit=round(count['jit'] / ops, 3),
               spread=round(100 * (sorted(map(insns, group))[:2][-1] / insns(run) - 1), 4))
    for column in ('cqes', 'runs'):
        row[column] = round(run.get(column, 0) / ops, 6)
    for column, n in events(count['functions']).items():
        row[column] = round(n / ops, 6)
    return row
