#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/bench/table.py FOLDER

Prints tables of results.json and scaling.json: the cost of an operation by workload and
arm, other events, the overhead of the series on rings without a program, and the bars.
Exit status 1 if a bar fails.
"""
import json
import os
import sys

from bars import NOISE_MORE, NOISE_PERCENT, above, all_bars
from rows import is_pattern, steady

WIDTHS = (18, 9, 9, 9, 9, 9, 8, 7, 7)


def load(folder, name):
    """Return the contents of a result file, or an empty list."""
    try:
        with open(os.path.join(folder, name)) as f:
            return json.load(f)
    except FileNotFoundError:
        return []


def number(value):
    """Return a number with its significant digits."""
    if value is None:
        return '-'
    if value == 0:
        return '0'
    if value < 0.001:
        return '~0'
    if value < 10:
        return ('%.3f' % value).rstrip('0').rstrip('.')
    return '%.1f' % value


def line(cells):
    """Print a line, with the first cell aligned to the left."""
    print('  %-*s%s' % (WIDTHS[0], cells[0],
                        ''.join('%*s' % (w, c) for w, c in zip(WIDTHS[1:], cells[1:]))))


def name(row):
    """Return the name of an arm within its workload."""
    return ' '.join(filter(None, (row['arm'], row.get('base'))))


def by_workload(results):
    """Yield (workload, its rows), in the guest program's order."""
    for workload in dict.fromkeys(r['workload'] for r in results):
        yield workload, [r for r in results if r['workload'] == workload]


def costs(results):
    """Print the instructions of each arm."""
    line(['', 'insn', 'kernel', 'program', 'enters', 'CQEs', 'runs', 'ratio'])
    for workload, mine in by_workload(results):
        step = [r['insn'] for r in mine if r['arm'] == 'loop_step-qd1']
        print(workload)
        for row in mine:
            line([name(row)] +
                 [number(row[k]) for k in ('insn', 'insn_kernel', 'insn_jit',
                                           'enters', 'cqes', 'runs')] +
                 ['%.2f' % (row['insn'] / step[0]) if step else '-'])
    print('per operation; ratio: to loop_step-qd1\n')


def happenings(results):
    """Print other events."""
    line(['', 'task wk', 'io-wq', 'switches', 'allocs'])
    for workload, mine in by_workload(results):
        print(workload)
        for row in mine:
            line([name(row)] +
                 [number(row[k]) for k in ('taskwork', 'iowq', 'switches', 'allocs')])
    print('per operation\n')


def mark(row, old):
    """Return the remark about a row of the tax table."""
    if not steady(row):
        return '  varies'
    return '  ABOVE' if above(row, old) > NOISE_PERCENT else ''


def tax(results, base):
    """Print the overhead of the series for arms without a program, on both kernels."""
    print('TAX: rings without a program, on the kernels without the series and with it')
    line(['', 'base', 'patched', 'more', 'per cent'])
    for workload, mine in by_workload(results):
        pairs = [(row, base.get((workload, name(row)))) for row in mine]
        pairs = [(row, old) for row, old in pairs if old]
        if pairs:
            print(workload)
        for row, old in pairs:
            more = row['insn'] - old['insn']
            line([name(row), number(old['insn']), number(row['insn']), '%+.1f' % more,
                  '%+.2f' % (100 * more / old['insn']), mark(row, old)])
    print('instructions per operation; ABOVE: by over %g %% and over %g\n' %
          (NOISE_PERCENT, NOISE_MORE))


def traced(results):
    """Print what tracepoints that are off cost."""
    old = {name(r): r for r in results if r['kernel'] == 'patched' and r['workload'] == 'nop'}
    mine = [r for r in results if r['kernel'] == 'traced' and name(r) in old]
    if not mine:
        return
    print('TRACEPOINTS: the kernel with the series without them, and with them, off')
    line(['nop', 'without', 'with', 'more'])
    for row in mine:
        before = old[name(row)]['insn']
        line([name(row), number(before), number(row['insn']), '%+.1f' % (row['insn'] - before)])
    print('instructions per operation\n')


def series(scaling):
    """Print the cost of a hop by length and number of flows, with a column per arm."""
    mine = [r for r in scaling if r['kernel'] == 'patched']
    places = dict.fromkeys((r['workload'], r['length'], r['flows']) for r in mine)
    arms = list(dict.fromkeys(r['arm'] for r in mine))
    found = {(r['workload'], r['length'], r['flows'], r['arm']): r['insn'] for r in mine}
    print('  %-14s%10s%8s' % ('', 'length', 'flows') + ''.join('%12s' % a for a in arms))
    for place in places:
        print('  %-14s%10d%8d' % place +
              ''.join('%12s' % number(found.get(place + (a,))) for a in arms))
    print('instructions per hop\n')


def verdicts(bars):
    """Print the bars. Return the number of bars that fail."""
    print('  %-52s%10s%10s%10s  %s' % ('bar', 'measured', 'limit', 'goal', ''))
    failed = 0
    for bar in bars:
        failed += bar.failed()
        print('  %-52s%10s%10s%10s  %s' % (
            bar.text, '-' if bar.measured is None else '%.2f' % bar.measured,
            '%.2f' % bar.limit, '' if bar.goal is None else '%g' % bar.goal, bar.verdict()))
    print('%s' % ('%d bars failed' % failed if failed else 'all bars passed'))
    return failed


def bloat_of(folder):
    """Return the bytes that bloat.sh has written, or None."""
    try:
        with open(os.path.join(folder, 'bloat.bytes')) as f:
            return int(f.read())
    except FileNotFoundError:
        return None


def main():
    """See the top of the file."""
    if len(sys.argv) != 2:
        print(__doc__, end='')
        return 2
    folder = sys.argv[1]
    results, scaling = load(folder, 'results.json'), load(folder, 'scaling.json')
    patched = [r for r in results if r['kernel'] == 'patched' and not is_pattern(r)]
    base = {(r['workload'], name(r)): r for r in results if r['kernel'] == 'base'}
    recorded = load(os.path.dirname(os.path.abspath(__file__)), 'recorded.json')
    costs(patched)
    happenings(patched)
    series(scaling)
    tax(patched, base)
    traced(results)
    return 1 if verdicts(all_bars(results, scaling, bloat_of(folder), recorded)) else 0


if __name__ == '__main__':
    sys.exit(main())
