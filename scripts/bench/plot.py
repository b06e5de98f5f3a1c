#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/bench/plot.py FOLDER

Plots results.json and scaling.json, as SVG and PNG in that folder: hops.*
(instructions of a dependent request by arm), length.* and flows.* (cost of a hop by
length of the chain, and by number of concurrent flows).
"""
import os
import sys

import matplotlib
matplotlib.use('Agg')
# no dates and random names: the output depends on the figures only
matplotlib.rcParams['svg.hashsalt'] = 'io-uring-bpf'
from matplotlib import pyplot  # noqa: E402 (after the choice of a backend)

from bars import FLOWS, by_flows, by_length  # noqa: E402
from table import load  # noqa: E402

HOPS = ('nop', 'nop-tw', 'read64', 'nullblk512')
ARMS = ('syscall', 'loop-qd1', 'link', 'loop_step-qd1', 'flow', 'flow-again',
        'loop-b32', 'loop_step-b32')
# grey: user space; blue: loop_step; orange: flows; pale: independent requests
COLORS = ('#444444', '#777777', '#aaaaaa', '#3b75af', '#e07a1f', '#b8480c',
          '#d5d5d5', '#b3cde8')


def save(figure, folder, name):
    """Write both formats."""
    figure.tight_layout()
    for end in 'svg', 'png':
        meta = {'Date': None} if end == 'svg' else None
        figure.savefig(os.path.join(folder, '%s.%s' % (name, end)), dpi=110, metadata=meta)
    pyplot.close(figure)


def tidy(axes):
    """Hide two sides of the frame."""
    for side in 'top', 'right':
        axes.spines[side].set_visible(False)


def panel(axes, workload, rows):
    """Plot one workload, with a bar per arm."""
    arms = [(a, c) for a, c in zip(ARMS, COLORS) if (workload, a) in rows]
    values = [rows[workload, a] for a, _ in arms]
    bars = axes.barh(range(len(arms)), values, color=[c for _, c in arms])
    axes.bar_label(bars, ['%.0f' % v for v in values], padding=3, fontsize=8)
    axes.set_yticks(range(len(arms)), [a for a, _ in arms], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max(values) * 1.15)
    axes.set_title(workload, loc='left', fontsize=10)
    tidy(axes)


def hops(folder, results):
    """Plot the instructions per hop."""
    rows = {(r['workload'], r['arm']): r['insn'] for r in results
            if r['kernel'] == 'patched' and not r.get('base')}
    found = [w for w in HOPS if any(k[0] == w for k in rows)]
    if not found:
        return
    figure, grid = pyplot.subplots(2, 2, figsize=(10, 6.5), squeeze=False)
    for axes, workload in zip(grid.flat, found):
        panel(axes, workload, rows)
    for axes in list(grid.flat)[len(found):]:
        axes.set_visible(False)
    figure.suptitle('Instructions per request, user space and kernel\n'
                    '(b32: 32 independent requests at once; all others one after the other)',
                    fontsize=11)
    save(figure, folder, 'hops')


def curve(folder, name, scaling, pick, x, title):
    """Plot the cost of a hop against one of the keys, on a logarithmic axis."""
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for arm, color in zip(FLOWS, COLORS[4:6]):
        rows = pick([r for r in scaling if r['arm'] == arm and r['kernel'] == 'patched'])
        if rows:
            axes.plot([r[x] for r in rows], [r['insn'] for r in rows], 'o-',
                      color=color, label=arm)
    axes.set_xscale('log')
    axes.set_ylim(bottom=0)
    axes.set_xlabel(title)
    axes.set_ylabel('instructions per hop')
    axes.legend(frameon=False)
    tidy(axes)
    save(figure, folder, name)


def main():
    """See the top of the file."""
    if len(sys.argv) != 2:
        print(__doc__, end='')
        return 2
    folder = sys.argv[1]
    hops(folder, load(folder, 'results.json'))
    scaling = load(folder, 'scaling.json')
    if scaling:
        curve(folder, 'length', scaling, by_length, 'length', 'length of the chain')
        curve(folder, 'flows', scaling, by_flows, 'flows', 'flows at once')
    return 0


if __name__ == '__main__':
    sys.exit(main())
