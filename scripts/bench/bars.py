# SPDX-License-Identifier: GPL-2.0
"""Limits for the figures, called bars.

A figure above its bar fails the run, unless the bar is not gating: then the verdict is
"missed". A goal is a stricter limit that fails nothing.
"""
import rows as names

FLOWS = ('flow', 'flow-again')

# instructions of a hop, by the two kinds of flow
HOPS = {'nop': (320, 222), 'nop-tw': (470, 375), 'nullblk512': (4045, 3730),
        'read64': (965, 655)}

# not gating, because the figures are still above
WALKS = {'short-read': (3600, 2900), 'btree': (25400, 22950)}

# instructions of a hop that tracepoints add while they are off
TRACED = 8

# tolerated noise on a ring without a program: per cent, and instructions
NOISE_PERCENT, NOISE_MORE = 0.5, 1

# per cent above the recorded figure
RECORDED = 5


class Bar:
    """A limit, and the measured figure."""

    def __init__(self, text, measured, limit, goal=None, gating=True):
        self.text = text
        self.measured = measured
        self.limit = limit
        self.goal = goal
        self.gating = gating

    def verdict(self):
        """Return the verdict, a single word."""
        if self.measured is None:
            return 'missing'
        if self.measured > self.limit:
            return 'FAILED' if self.gating else 'missed'
        if self.goal is not None and self.measured > self.goal:
            return 'ok'
        return 'ok' if self.goal is None else 'goal'

    def failed(self):
        """Return true if the run fails."""
        return self.gating and self.verdict() in ('FAILED', 'missing')


class Rows:
    """Figures by kernel, workload and arm."""

    def __init__(self, rows):
        self.rows = {(r['kernel'], r['workload'], r['arm'], r.get('base')): r for r in rows}

    def get(self, workload, arm, column='insn', kernel='patched', base=None):
        """Return a figure, or None."""
        row = self.rows.get((kernel, workload, arm, base))
        return None if row is None else row[column]

    def steady(self, workload, arm):
        """Return true if there is such a row, and it is reproducible."""
        row = self.rows.get(('patched', workload, arm, None))
        return row is not None and names.steady(row)

    def best(self, workload):
        """Return the lower figure of the two kinds of flow."""
        found = [self.get(workload, arm) for arm in FLOWS]
        return min((v for v in found if v is not None), default=None)

    def workloads(self, arm):
        """Return the workloads that have this arm."""
        return sorted({w for k, w, a, _ in self.rows if a == arm and k == 'patched'})


def versus(text, measured, limit, **kwargs):
    """Return a bar whose limit is another row, which may be missing."""
    if limit is None:
        measured, limit = None, 0
    return Bar(text, measured, limit, **kwargs)


def ratio(a, b):
    """Return a/b of figures that may be missing."""
    return None if a is None or not b else a / b


def difference(a, b):
    """Return a-b of figures that may be missing."""
    return None if a is None or b is None else a - b


def hops(rows):
    """Yield bars for the cost of a hop."""
    for workload, limits in (HOPS | WALKS).items():
        for arm, limit in zip(FLOWS, limits):
            yield Bar('%s: %s, instructions' % (workload, arm), rows.get(workload, arm), limit,
                      gating=workload in HOPS)


def dependent(rows):
    """Yield bars for chains of requests against the alternatives: the kernel's loop in
    its cheapest form, and links, gating where both rows are reproducible."""
    yield Bar('nop: flow / loop_step-qd1-kept',
              ratio(rows.get('nop', 'flow'), rows.get('nop', 'loop_step-qd1-kept')), 0.6)
    for workload in 'nop', 'read64', 'nullblk512':
        yield versus('%s: best flow against loop_step-b32-kept' % workload,
                     rows.best(workload), rows.get(workload, 'loop_step-b32-kept'))
    for workload in rows.workloads('link'):
        yield versus('%s: flow against link' % workload, rows.get(workload, 'flow'),
                     rows.get(workload, 'link'),
                     gating=all(rows.steady(workload, arm) for arm in ('flow', 'link')))


def btree(rows):
    """Yield bars for a B-tree walk: one system call, and cheaper than one per level."""
    yield Bar('btree: system calls per walk', rows.get('btree', 'flow', 'enters'), 1)
    yield Bar('btree: CQEs per walk', rows.get('btree', 'flow', 'cqes'), 1)
    yield Bar('btree: flow / loop-qd1',
              ratio(rows.best('btree'), rows.get('btree', 'loop-qd1')), 0.86)


def idle(rows):
    """Yield bars for the cost of the series on a ring without a program. A flush covers
    one request in one row and 32 in the other. Timer interrupts are noise."""
    qd1, b32 = [difference(rows.get(w, arm), rows.get(w, arm, kernel='base'))
                for w, arm in (('idle-qd1', 'loop-qd1'), ('idle-b32', 'loop-b32'))]
    request = None if qd1 is None or b32 is None else (32 * b32 - qd1) / 31
    flush = difference(qd1, request)
    yield Bar('no program: instructions more per request', request, 0.5)
    yield Bar('no program: instructions more per flush', flush, 2.5)


def above(new, old):
    """Return by how many per cent a row is above another, ignoring noise."""
    more = new['insn'] - old['insn']
    return 100 * more / old['insn'] if more > NOISE_MORE else 0


def worst(text, pairs, limit):
    """Yield a bar for the reproducible row that is most above its counterpart, and one
    that is not gating for all other rows."""
    for gating in True, False:
        found = [(above(new, old), names.label(new)) for new, old in pairs
                 if names.steady(new) == gating]
        percent, name = max(found, default=(None, 'none'))
        if found or gating:
            yield Bar('%s: %s, per cent%s' % (text, name if percent else 'worst',
                                              '' if gating else ' (varies)'),
                      percent, limit, gating=gating)


def tax(rows):
    """Yield bars for the rows that exist on both kernels."""
    pairs = [(row, rows.rows.get(('base',) + k[1:])) for k, row in rows.rows.items()
             if k[0] == 'patched']
    yield from worst('no program', [p for p in pairs if p[1]], NOISE_PERCENT)


def regressions(rows, recorded):
    """Yield bars for rows above their recorded figures, and for missing rows."""
    if not recorded:
        return
    old = Rows(r for r in recorded if r['kernel'] == 'patched')
    pairs = [(rows.rows.get(k), row) for k, row in old.rows.items()]
    yield Bar('recorded rows that are gone', sum(new is None for new, _ in pairs), 0)
    yield from worst('above recorded', [p for p in pairs if p[0]], RECORDED)


def watching(rows):
    """Yield bars for the cost of a program that does nothing, per completion, with many
    completions per flush or a single one."""
    for arm, limit in ('loop-b32', 60), ('loop-qd1', 125):
        more = difference(rows.get('passthrough', 'flow', base=arm),
                          rows.get('passthrough', arm))
        yield Bar('passthrough: more per completion, %s' % arm, more, limit,
                  gating=arm == 'loop-b32')


def tracing(rows):
    """Yield bars for tracepoints that are off: of io_uring, and of the programs."""
    for arm in FLOWS:
        more = difference(rows.get('nop', arm, kernel='traced'), rows.get('nop', arm))
        if more is not None:
            yield Bar('nop: %s, more with tracepoints' % arm, more, TRACED)


def growth(values):
    """Return by how many per cent a value is above the least of its predecessors."""
    if len(values) < 2:
        return None
    return max(100 * (v / min(values[:i + 1]) - 1) for i, v in enumerate(values))


def per_flow(series):
    """Return the fixed cost of a flow, computed from the shortest chains."""
    if len(series) < 2:
        return 0
    a, b = series[:2]
    return (a['insn'] - b['insn']) / (1 / a['length'] - 1 / b['length'])


def by_length(rows):
    """Return the rows with a single flow, by length."""
    return sorted((r for r in rows if r['flows'] == 1), key=lambda r: r['length'])


def by_flows(rows):
    """Return the rows that differ in the number of flows only."""
    like = {(r['workload'], r['length']) for r in rows if r['flows'] > 1}
    return sorted((r for r in rows if (r['workload'], r['length']) in like),
                  key=lambda r: r['flows'])


def flat(scaling):
    """Yield bars for the cost of a hop, which must not depend on the length of the
    chain. The fixed cost of a flow is subtracted. Concurrent flows take turns, which
    makes a hop more expensive."""
    for arm in FLOWS:
        mine = [r for r in scaling if r['arm'] == arm and r['kernel'] == 'patched']
        chain = by_length(mine)
        once = per_flow(chain)
        yield Bar('%s: growth by length, per cent' % arm,
                  growth([r['insn'] - once / r['length'] for r in chain]), 2, goal=1)
        yield Bar('%s: growth by flows at once, per cent' % arm,
                  growth([r['insn'] for r in by_flows(mine)]), 25, goal=2)


def all_bars(results, scaling, bloat, recorded=()):
    """Yield all bars. bloat: bytes of text that the option adds when it is off."""
    rows = Rows(results)
    for part in hops, dependent, btree, idle, tax, watching, tracing:
        yield from part(rows)
    yield from regressions(rows, recorded)
    yield from flat(scaling)
    yield Bar('option off: bytes of text more', bloat, 0)
