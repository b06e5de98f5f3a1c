# SPDX-License-Identifier: GPL-2.0
"""scripts/bench: joining results, the spread of repeats, bars, and regressions."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

from fixture import SCRIPTS

BENCH = os.path.join(SCRIPTS, 'bench')
sys.path.insert(0, BENCH)

import bars  # noqa: E402 (needs the path)
import symbols  # noqa: E402
from counters import COUNTERS, NAMES, events  # noqa: E402


def row(**kwargs):
    """Return a row of a result file."""
    made = {'workload': 'nop', 'arm': 'loop-qd1', 'kernel': 'patched',
            'insn': 800, 'enters': 1, 'syscalls': 1, 'cqes': 1, 'runs': 0,
            'iowq': 0, 'switches': 0}
    made.update(kwargs)
    return made


def count(user=0, jit=0, **functions):
    """Return a line of the counter."""
    return {'user': user, 'jit': jit, 'other': 0, 'functions': functions}


class Folder(unittest.TestCase):
    """Tests that run a script on files."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = folder.name

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, value):
        with open(self.path(name), 'w') as f:
            json.dump(value, f)
        return self.path(name)

    def lines(self, name, values):
        with open(self.path(name), 'w') as f:
            f.writelines(json.dumps(v) + '\n' for v in values)

    def read(self, name):
        with open(self.path(name)) as f:
            return json.load(f)

    def script(self, name, *args):
        p = subprocess.run([os.path.join(BENCH, name)] + list(args),
                           capture_output=True, text=True)
        return p.returncode, p.stdout, p.stderr


class Compare(Folder):

    def compare(self, old, new):
        return self.script('compare.py', self.write('old', old), self.write('new', new))

    def test_same(self):
        rc, out, _ = self.compare([row()], [row()])
        self.assertEqual(0, rc)
        self.assertIn('no row falls behind', out)

    def test_instructions(self):
        self.assertEqual(1, self.compare([row()], [row(insn=809)])[0])
        # below 1 per cent, and no more than 3
        self.assertEqual(0, self.compare([row()], [row(insn=807)])[0])
        self.assertEqual(0, self.compare([row(insn=100)], [row(insn=103)])[0])

    def test_event(self):
        rc, out, _ = self.compare([row(arm='flow')], [row(arm='flow', enters=1.01)])
        self.assertEqual(1, rc)
        self.assertIn('enters 1 -> 1.01', out)
        self.assertEqual(0, self.compare([row()], [row(enters=0.5)])[0])

    def test_program_is_only_marked(self):
        rc, out, _ = self.compare([row(arm='flow', runs=1)],
                                  [row(arm='flow', runs=1, insn=900)])
        self.assertEqual(0, rc)
        self.assertIn('more', out)

    def test_what_varies_is_only_marked(self):
        for kind in {'iowq': 1}, {'workload': 'append-xfs'}:
            rc, out, _ = self.compare([row(**kind)], [row(**dict(kind, insn=900, runs=1))])
            self.assertEqual(0, rc)
            self.assertIn('more', out)

    def test_gone_and_new(self):
        rc, out, _ = self.compare([row(), row(arm='link')], [row()])
        self.assertEqual(1, rc)
        self.assertIn('gone', out)
        self.assertEqual(0, self.compare([row()], [row(), row(arm='link')])[0])

    def test_unpatched_kernel_is_no_matter(self):
        self.assertEqual(0, self.compare([row()], [row(), row(kernel='base', insn=9999)])[0])

    def test_record(self):
        results = self.write('results', [row(spread=0.01), row(kernel='base')])
        self.assertEqual(0, self.script('compare.py', '--record', results,
                                        self.path('recorded'))[0])
        recorded = row()
        del recorded['switches']
        self.assertEqual([recorded, dict(recorded, kernel='base')], self.read('recorded'))
        self.assertEqual(0, self.script('compare.py', self.path('recorded'), results)[0])

    def test_no_file(self):
        rc, _, err = self.script('compare.py', '/nowhere', '/nowhere')
        self.assertEqual(1, rc)
        self.assertIn('error: cannot read /nowhere', err)


class Merge(Folder):

    def merge(self, rows, counts):
        for kernel in 'base', 'patched':
            self.lines(kernel + '.rows', rows)
            self.lines(kernel + '.counts', counts)
        return self.script('merge.py', self.dir)

    def guest(self, **kwargs):
        return dict({'workload': 'nop', 'arm': 'flow', 'ops': 10, 'cqes': 10, 'runs': 20},
                    **kwargs)

    def test_best_of_repeats(self):
        rc, _, err = self.merge(
            [self.guest(repeat=i) for i in range(3)],
            [count(user=9999, f=[9999, 1]), count(user=100, jit=20, f=[1000, 1]),
             count(user=100, jit=20, f=[880, 1], __x64_sys_io_uring_enter=[5, 30])])
        self.assertEqual(0, rc)
        got = self.read('results.json')
        self.assertEqual(['base', 'patched'], [r['kernel'] for r in got])
        self.assertEqual((100.5, 10, 2, 88.5, 3, 1, 2),
                         tuple(got[1][k] for k in ('insn', 'insn_user', 'insn_jit',
                                                   'insn_kernel', 'enters', 'cqes', 'runs')))
        self.assertIn('note: nop/flow (patched): repeats differ by 11.44 %', err)

    def test_optional_kernel(self):
        self.lines('traced.rows', [self.guest()])
        self.lines('traced.counts', [count(f=[1000, 1])])
        self.assertEqual(0, self.merge([self.guest()], [count(f=[900, 1])])[0])
        self.assertEqual([('base', 90), ('patched', 90), ('traced', 100)],
                         [(r['kernel'], r['insn']) for r in self.read('results.json')])

    def test_missing_verb(self):
        rc, _, err = self.merge(
            [{'workload': 'nop', 'arm': 'flow-again', 'missing': 'no again'}, self.guest()],
            [count(f=[1000, 1])])
        self.assertEqual(0, rc)
        self.assertEqual(['flow'] * 2, [r['arm'] for r in self.read('results.json')])
        self.assertIn('nop/flow-again: not measured, no again', err)

    def test_markers_and_lines_differ(self):
        rc, _, err = self.merge([self.guest()], [])
        self.assertEqual(1, rc)
        self.assertIn('1 measurements', err)

    def test_series(self):
        self.merge([self.guest(), self.guest(length=10, flows=1)],
                   [count(f=[1000, 1]), count(f=[2000, 1])])
        self.assertEqual(2, len(self.read('results.json')))
        self.assertEqual([200, 200], [r['insn'] for r in self.read('scaling.json')])


class Symbols(unittest.TestCase):

    def test_one_name_an_address(self):
        top = 0xffffffff81000000
        found = symbols.functions([
            (0x1000, 'T', 'percpu'), (top, 't', '__pfx_f'), (top + 16, 't', 'f'),
            (top + 32, 'T', '__se_sys_io_uring_enter'),
            (top + 32, 'T', '__x64_sys_io_uring_enter'), (top + 48, 'D', 'data')])
        self.assertEqual({top + 16: 'f', top + 32: '__x64_sys_io_uring_enter'}, found)

    def test_missing_function(self):
        with tempfile.TemporaryDirectory() as d:
            obj = os.path.join(d, 'x.o')
            subprocess.run(['gcc', '-x', 'c', '-c', '-o', obj, '-'], check=True,
                           input='int io_queue_iowq(void) { return 0; }', text=True)
            p = subprocess.run([os.path.join(BENCH, 'symbols.py'), obj,
                                os.path.join(d, 'out')], capture_output=True, text=True)
        self.assertEqual(1, p.returncode)
        self.assertIn('__x64_sys_io_uring_enter', p.stderr)

    def test_renamed_function_counts(self):
        name = COUNTERS['taskwork'][0]
        self.assertIn(name, NAMES)
        self.assertEqual(7, events({name + '.isra.0': [50, 7],
                                    name + '.cold': [50, 7]})['taskwork'])


class Bars(unittest.TestCase):

    def verdicts(self, *rows, recorded=()):
        return {b.text: b for b in bars.all_bars(list(rows), [], 0, recorded)}

    def test_hops(self):
        for arm, limit in ('flow', 320), ('flow-again', 222):
            text = 'nop: %s, instructions' % arm
            self.assertFalse(self.verdicts(row(arm=arm, insn=limit))[text].failed())
            self.assertTrue(self.verdicts(row(arm=arm, insn=limit + 1))[text].failed())
        self.assertTrue(self.verdicts()['read64: flow, instructions'].failed())

    def test_ratio(self):
        text = 'nop: flow / loop_step-qd1-kept'
        step = row(arm='loop_step-qd1-kept', insn=600)
        self.assertFalse(self.verdicts(row(arm='flow', insn=360), step)[text].failed())
        self.assertTrue(self.verdicts(row(arm='flow', insn=361), step)[text].failed())
        self.assertTrue(self.verdicts(step)[text].failed())

    def test_goal_does_not_fail(self):
        self.assertEqual(['goal', 'ok', 'FAILED'],
                         [bars.Bar('', n, 2, goal=1).verdict() for n in (1, 2, 3)])

    def test_what_varies_does_not_fail(self):
        for workload, fails in ('append', False), ('proxy', True):
            found = self.verdicts(row(workload=workload, arm='flow', insn=900),
                                  row(workload=workload, arm='link'))
            bar = found['%s: flow against link' % workload]
            self.assertEqual(('FAILED' if fails else 'missed', fails),
                             (bar.verdict(), bar.failed()))

    def test_passthrough(self):
        for arm, limit, above in ('loop-b32', 60, 'FAILED'), ('loop-qd1', 125, 'missed'):
            text = 'passthrough: more per completion, ' + arm
            for more, verdict in (0, 'ok'), (1, above):
                found = self.verdicts(row(workload='passthrough', arm=arm), row(
                    workload='passthrough', arm='flow', base=arm, insn=800 + limit + more))
                self.assertEqual((verdict, verdict == 'FAILED'),
                                 (found[text].verdict(), found[text].failed()))

    def test_goals_of_walks(self):
        found = self.verdicts(row(workload='btree', arm='flow', insn=25401))
        bar = found['btree: flow, instructions']
        self.assertEqual(('missed', False), (bar.verdict(), bar.failed()))

    def test_no_program(self):
        both = [row(workload=w, arm=a, kernel=k, insn=n) for w, a, k, n in (
            ('idle-qd1', 'loop-qd1', 'base', 800), ('idle-qd1', 'loop-qd1', 'patched', 802),
            ('idle-b32', 'loop-b32', 'base', 300), ('idle-b32', 'loop-b32', 'patched', 302))]
        found = self.verdicts(*both)
        # two more for each of 32 requests is not due to flushes
        self.assertTrue(found['no program: instructions more per request'].failed())
        both[3]['insn'] = 300 + 2 / 32
        found = self.verdicts(*both)
        self.assertFalse(found['no program: instructions more per request'].failed())
        self.assertFalse(found['no program: instructions more per flush'].failed())

    def test_tax(self):
        found = self.verdicts(row(kernel='base', arm='link'), row(arm='link', insn=820),
                              row(kernel='base'), row(insn=900, iowq=1))
        bar = found['no program: nop/link, per cent']
        self.assertAlmostEqual(2.5, bar.measured)
        self.assertTrue(bar.failed())
        bar = found['no program: nop/loop-qd1, per cent (varies)']
        self.assertEqual(('missed', False), (bar.verdict(), bar.failed()))

    def test_tax_noise(self):
        text = 'no program: worst, per cent'
        # no more than one instruction
        found = self.verdicts(row(kernel='base', insn=100), row(insn=101))
        self.assertEqual((0, False), (found[text].measured, found[text].failed()))
        self.assertTrue(self.verdicts(row())[text].failed())

    def test_recorded(self):
        old = [row(), row(arm='link')]
        found = self.verdicts(row(insn=841), row(arm='new', insn=9999), recorded=old)
        self.assertTrue(found['recorded rows that are gone'].failed())
        self.assertTrue(found['above recorded: nop/loop-qd1, per cent'].failed())
        found = self.verdicts(row(insn=840), row(arm='link', insn=700), recorded=old)
        self.assertFalse(found['recorded rows that are gone'].failed())
        self.assertFalse(found['above recorded: nop/loop-qd1, per cent'].failed())

    def test_recorded_that_varies(self):
        kind = {'workload': 'append-direct'}
        found = self.verdicts(row(**kind, insn=1600), recorded=[row(**kind)])
        bar = found['above recorded: append-direct/loop-qd1, per cent (varies)']
        self.assertEqual(('missed', False), (bar.verdict(), bar.failed()))

    def test_flat(self):
        # 350 per hop, and 1000 per flow
        chain = [row(arm='flow', length=n, flows=1, insn=350 + 1000 / n)
                 for n in (10, 100, 100000)]
        name = 'flow: growth by length, per cent'
        found = {b.text: b for b in bars.flat(chain)}
        self.assertEqual('goal', found[name].verdict())
        chain.append(row(arm='flow', length=1000000, flows=1, insn=360))
        self.assertTrue({b.text: b for b in bars.flat(chain)}[name].failed())

    def test_less_is_no_growth(self):
        self.assertEqual(0, bars.growth([654, 577, 522]))
        self.assertAlmostEqual(10, bars.growth([654, 500, 550, 520]))


class Patterns(Folder):

    def rows(self, name, *insns):
        return [row(workload='pattern-' + name, arm=arm, insn=insn, syscalls=2, **more)
                for arm, insn, more in zip(('pattern', 'liburing', 'syscalls'), insns,
                                           ({}, {}, {'cqes': 0}))]

    def test_table(self):
        self.write('results.json', self.rows('copy', 500, 600, 700) +
                   self.rows('join', 500, 400, 300) + self.rows('append', 500, 600, 500) +
                   self.rows('count', 500, 400) + [row()])
        rc, out, _ = self.script('patterns.py', self.dir)
        self.assertEqual(0, rc)
        self.assertRegex(out, r'copy +500 +600 +700 +2 +2 +2 +1 +1\n')
        self.assertRegex(out, r'join .* 1  loses to liburing, syscalls\n')
        self.assertRegex(out, r'append .* 1  varies\n')
        self.assertRegex(out, r'count +500 +400 +- .* 1  loses to liburing\n')
        self.assertNotIn('nop', out)

    def test_not_in_the_other_tables(self):
        self.write('results.json', self.rows('copy', 500, 600, 700))
        self.assertNotIn('copy', self.script('table.py', self.dir)[1])


class Table(Folder):

    def test_traced(self):
        more = dict.fromkeys(('insn_kernel', 'insn_jit', 'taskwork', 'allocs'), 0)
        rows = [row(**more, kernel=k, workload='nop', arm='flow', insn=n)
                for k, n in (('patched', 300), ('traced', 303))]
        self.write('results.json', rows[:1])
        self.assertNotIn('TRACEPOINTS', self.script('table.py', self.dir)[1])
        self.write('results.json', rows)
        out = self.script('table.py', self.dir)[1]
        self.assertRegex(out, r'flow +300.0 +303.0 +\+3.0\n')
        self.assertRegex(out, r'nop: flow, more with tracepoints +3.00 +8.00')

    def test_tax(self):
        more = dict.fromkeys(('insn_kernel', 'insn_jit', 'taskwork', 'allocs'), 0)
        self.write('results.json', [
            row(**more, kernel=kernel, arm=arm, insn=insn) for kernel, arm, insn in (
                ('base', 'loop-qd1', 800), ('patched', 'loop-qd1', 806),
                ('base', 'link', 500), ('patched', 'link', 502), ('patched', 'flow', 300))])
        rc, out, _ = self.script('table.py', self.dir)
        self.assertEqual(1, rc)
        tax = out[out.index('TAX:'):out.index('ABOVE: by')]
        self.assertRegex(tax, r'loop-qd1 +800.0 +806.0 +\+6.0 +\+0.75 +ABOVE')
        self.assertRegex(tax, r'link +500.0 +502.0 +\+2.0 +\+0.40 *\n')
        self.assertNotIn('flow', tax)
