# SPDX-License-Identifier: GPL-2.0
"""Rows of the benchmark: a workload, a way to do it (an "arm"), and a kernel."""
import json

from counters import events

# columns that identify a row
KEYS = ('workload', 'arm', 'base', 'length', 'flows')
KERNELS = ('base', 'patched', 'traced')

# threshold: work for io-wq per operation
IOWQ = 0.01

# prefix of the workloads of patterns, which have their own table, and their arms
PATTERN = 'pattern-'
PATTERN_ARMS = ('pattern', 'liburing', 'syscalls')


class Error(Exception):
    """A failure to report to the user."""


def key(row):
    """Return the identity of a row within one kernel."""
    return tuple(row.get(k) for k in KEYS)


def steady(row):
    """Return true if the row is reproducible. Rows that use io-wq or wait for syncs
    depend on timing."""
    return row['iowq'] < IOWQ and 'append' not in row['workload'].split('-')


def is_pattern(row):
    """Return true for a row of a pattern."""
    return row['workload'].startswith(PATTERN)


def losses(found):
    """Return {workload: arms that take fewer instructions than its pattern}."""
    insn = {(r['workload'], r['arm']): r['insn'] for r in found if is_pattern(r)}
    return {w: [a for a in PATTERN_ARMS if insn.get((w, a), least) < least]
            for (w, arm), least in insn.items() if arm == 'pattern'}


def label(row):
    """Return the name of a row for humans."""
    extra = ['%s=%s' % (k, row[k]) for k in KEYS[2:] if row.get(k) is not None]
    return ' '.join(['%s/%s' % (row['workload'], row['arm'])] + extra)


def read_lines(path):
    """Return the JSON objects of a file, one per line."""
    try:
        with open(path) as f:
            return [json.loads(line) for line in f if line.strip()]
    except (OSError, ValueError) as e:
        raise Error('cannot read %s: %s' % (path, e))


def read_run(rows_path, counts_path):
    """Return the repeats of each row, as {key: [row, ...]}. The n-th measurement in the
    guest's output belongs to the n-th pair of markers."""
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
    """Return the instructions of the kernel's own text."""
    return count['other'] + sum(i for i, _ in count['functions'].values())


def insns(run):
    """Return all instructions of a repeat, per operation."""
    count = run['counts']
    return (count['user'] + count['jit'] + kernel_insns(count)) / run['ops']


def best(group):
    """Return the repeat with the fewest instructions."""
    return min(group, key=insns)


def reduce(group, kernel):
    """Return one row for all repeats: figures per operation of the best one, and by how
    many per cent the second best is above it. The worst repeat means nothing, because
    kernel threads wake up at times."""
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
