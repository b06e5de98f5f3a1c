# SPDX-License-Identifier: GPL-2.0
"""scripts/fuzz.py continues when guests die, and reports failures."""
import contextlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

from fixture import SCRIPTS

sys.path.insert(0, SCRIPTS)
import fuzz  # noqa: E402
from fuzzlib import coverage, found, guest, options, share  # noqa: E402
from serieslib import faults  # noqa: E402
from serieslib.util import Error  # noqa: E402

# Stands in for scripts/boot.sh.
BOOT = '''#!/usr/bin/env bash
echo "$BASHPID" >>"$STAND_IN/pids"
/usr/bin/python3 "$STAND_IN/guest.py" "$@"
'''
# Stands in for a guest. Each boot reads a line of TAG.boots: the files to write for
# each run of its plan, until a run dies.
GUEST = '''
import json, os, subprocess, sys, time
_, disk, console, limit, dashes, script, results, programs = sys.argv
assert os.path.basename(script) == 'fuzz-guest.sh'
top = os.environ['STAND_IN']
tag = os.path.basename(console)[len('console-'):]
boots = open(top + '/' + tag + '.boots').read().splitlines()
nr = sum(1 for _ in open(top + '/' + tag + '.nr')) if os.path.exists(top + '/' + tag + '.nr') else 0
boot = json.loads(boots[min(nr, len(boots) - 1)])
results = results.replace('/tmp/iou-bpf-build', top + '/build')
plan = open(results + '/plan').read()
with open(top + '/' + tag + '.nr', 'a') as f:
    f.write('x\\n')
with open(top + '/%s.plan%d' % (tag, nr + 1), 'w') as f:
    f.write(plan)
def put(path, text, mode='w'):
    with open(path, mode) as f:
        f.write(text)
put(console, '')
if boot.get('no start'):
    sys.exit()
for line in plan.splitlines():
    name, where = line.split()[:2]
    do = boot.get(name, boot)
    put(results + '/current', name + '\\n')
    put(console, '[ 1.0] selftest: running %s\\r\\n' % name, 'a')
    where = results + '/' + where + '/'
    os.makedirs(where, exist_ok=True)
    for file, text in do.get('files', {}).items():
        put(where + file, text, 'a' if file in ('failures', 'corpus') else 'w')
    put(console, do.get('console', ''), 'a')
    time.sleep(do.get('sleep', 0))
    if do.get('hang'):
        subprocess.call(['timeout', '60', 'sleep', '60'])
    if 'rc' not in do:
        break
    put(where + 'rc', '%d\\n' % do['rc'])
    if do['rc'] > 1:
        break
else:
    put(results + '/end', '')
'''
KASAN = '[  12.345678] BUG: KASAN: slab-use-after-free in io_bpf_x+0x1f/0x2a0\r\n'
SAID = 'BUG: KASAN: slab-use-after-free in io_bpf_x+X/X'
CODE = '#include "bpf.h"\nint f(int a)\n{\n\tif (a > 1)\n\t\treturn g(a);\n\treturn 2;\n}\n'
HEAD = 'static inline int g(int a)\n{\n\treturn a + 1;\n}\n'
MAIN = 'int f(int);\nint main(int c, char **v)\n{\n\treturn !f(c);\n}\n'


def load(name):
    """Load a script whose name is not an identifier."""
    spec = importlib.util.spec_from_file_location(
        name.replace('-', '_'), os.path.join(SCRIPTS, name + '.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz_mutants = load('fuzz-mutants')


def stats(**kwargs):
    """Return a file of statistics."""
    return {'stats': ''.join('%s %d\n' % x for x in kwargs.items())}


class Folder(unittest.TestCase):
    """A folder of results, and fake guests."""

    def setUp(self):
        self.top = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.top, True)
        self.build = os.path.join(self.top, 'build')
        self.put('guest.py', GUEST)
        self.put('boot.sh', BOOT)
        boot = os.path.join(self.top, 'boot.sh')
        os.chmod(boot, 0o755)
        for patch in (mock.patch.multiple(guest, BUILD=self.build, BOOT_SCRIPT=boot,
                                          POLL=0.02, SILENCE=3, END=1),
                      mock.patch.object(coverage, 'BUILD', self.build),
                      mock.patch.dict(os.environ, STAND_IN=self.top),
                      contextlib.redirect_stderr(io.StringIO())):
            patch.__enter__()
            self.addCleanup(patch.__exit__, None, None, None)
        self.addCleanup(guest.Guest.stop_all.clear)

    def put(self, name, text):
        path = os.path.join(self.top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)

    def get(self, name):
        return guest.read(self.top, name)

    def boots(self, tag, *boots):
        """Set the behaviour of a guest for each boot."""
        self.put(tag + '.boots', '\n'.join(json.dumps(b) for b in boots) + '\n')

    def nr_boots(self, tag):
        return len(self.get(tag + '.nr').split())

    def argument(self, tag, boot, name):
        """Return the value of an argument of the fuzzer in a boot."""
        words = self.get('%s.plan%d' % (tag, boot)).split()
        return words[words.index(name) + 1]


class Options(unittest.TestCase):

    def test_time(self):
        self.assertEqual([90, 90, 1200, 14400],
                         [options.seconds(x) for x in ('90', '90s', '20m', '4h')])
        for bad in ('', '0', '4 h', '1d', '-1', '1.5h'):
            with self.assertRaises(Error):
                options.seconds(bad)

    def test_spell(self):
        self.assertEqual(['9s', '1m00s', '61m05s'],
                         [options.spell(x) for x in (9, 60, 3665)])

    def test_words(self):
        opts = options.parse(['SEED=', 'MODE=a,b', 'TIME='], ('SEED', 'MODE', 'TIME'))
        self.assertEqual(['--mode', 'a,b'],
                         options.words(opts, mode='MODE', time='TIME'))
        with self.assertRaises(Error):
            options.parse(['SEDE=1'], ('SEED',))
        with self.assertRaises(Error):
            options.words({'MODE': 'a;b'}, mode='MODE')


class Share(Folder):
    """The share of one guest."""

    def share(self, *boots, seconds=30, nr=1):
        self.boots('fuzz%d' % nr, *boots)
        s = share.Share(nr, seconds, 100, ['--mode', 'sqpoll'])
        s.run()
        return s

    def failures(self, s):
        return [f[:4] for f in s.found]

    def test_nothing(self):
        s = self.share({'files': stats(rounds=7), 'rc': 0})
        self.assertEqual((7, []), (s.all_rounds(), s.found))
        self.assertEqual('./iou_fuzz --time 30 --seed 100 --out /tmp/iou-bpf-build/fuzz/1 '
                         '--gcov --mode sqpoll', self.get('fuzz1.plan1').split(' ', 4)[4].strip())
        self.assertEqual(1, self.nr_boots('fuzz1'))

    def test_seeds_of_second_guest(self):
        self.share({'rc': 0, 'files': stats(rounds=1)}, nr=2)
        self.assertEqual('1000000100', self.argument('fuzz2', 1, '--seed'))

    def test_dies(self):
        """The current case is blamed, and the remaining time is used."""
        s = self.share({'files': dict(stats(rounds=5), last='105.3\n'), 'console': KASAN,
                        'sleep': 2.2},
                       {'files': stats(rounds=4), 'rc': 0})
        self.assertEqual([('105.3', 'died', SAID, 5)], self.failures(s))
        self.assertEqual('build/log/console-fuzz1.1', s.found[0].where)
        self.assertIn('KASAN', self.get('build/log/console-fuzz1.1'))
        self.assertEqual('105.3 died: %s\n' % SAID, self.get('build/fuzz/1/failures'))
        self.assertEqual(9, s.all_rounds())
        self.assertEqual('106', self.argument('fuzz1', 2, '--seed'))
        self.assertLess(int(self.argument('fuzz1', 2, '--time')), 29)

    def test_dies_ahead_of_counts(self):
        """The next boot must not begin with the seed that was running."""
        self.share({'files': dict(stats(rounds=5), last='109\n')}, {'rc': 0})
        self.assertEqual('110', self.argument('fuzz1', 2, '--seed'))

    def test_dies_between_cases(self):
        s = self.share({'files': dict(stats(rounds=5), last='')}, {'rc': 0})
        self.assertEqual([('-', 'died', 'the guest ended before the fuzzer', 5)],
                         self.failures(s))

    def test_hangs(self):
        s = self.share({'files': dict(stats(rounds=2), last='102\n'), 'hang': True},
                       {'rc': 0})
        self.assertEqual([('102', 'died', 'the guest was stopped: no progress for 3 seconds',
                           2)], self.failures(s))
        for pid in self.get('pids').split():
            self.assertEqual({}, guest.session(pid))

    def test_wants_a_boot(self):
        """The fuzzer has reported the failure itself."""
        s = self.share({'files': dict(stats(rounds=3), last='103\n',
                                      failures='103 oops: BUG\n'), 'rc': 3,
                        'console': KASAN}, {'rc': 1})
        self.assertEqual([('103', 'oops', 'BUG', 3)], self.failures(s))
        self.assertEqual(2, self.nr_boots('fuzz1'))

    def test_unnoticed_splat(self):
        s = self.share({'files': dict(stats(rounds=3), last='103\n',
                                      failures='101 leak: 3 files\n'), 'rc': 1,
                        'console': KASAN})
        self.assertEqual([('101', 'leak', '3 files', 3), ('-', 'splat', SAID, 3)],
                         self.failures(s))

    def test_failures_of_two_boots(self):
        s = self.share({'files': dict(stats(rounds=3), last='103\n',
                                      failures='101 leak: x\n')},
                       {'files': dict(stats(rounds=2), last='',
                                      failures='105 leak: y\n'), 'rc': 1})
        self.assertEqual(['101 leak', '103 died', '105 leak'],
                         ['%s %s' % f[:2] for f in s.found])
        self.assertEqual([3, 3, 5], [f.rounds for f in s.found])

    def test_time_is_over(self):
        s = self.share({'files': dict(stats(rounds=1), last='100\n'), 'sleep': 1},
                       seconds=10)
        self.assertEqual((1, 1), (self.nr_boots('fuzz1'), len(s.found)))

    def test_no_guest(self):
        with self.assertRaisesRegex(Error, 'the guest failed to boot twice'):
            self.share({'no start': True})
        self.assertEqual(2, self.nr_boots('fuzz1'))

    def test_no_guest_at_first(self):
        self.share({'no start': True}, {'rc': 0})
        self.assertEqual('30', self.argument('fuzz1', 2, '--time'))

    def test_dies_without_a_round(self):
        with self.assertRaisesRegex(Error, 'keeps dying before its first round'):
            self.share({'sleep': 0.1}, seconds=1000)
        self.assertEqual(3, self.nr_boots('fuzz1'))

    def test_cannot_run(self):
        with self.assertRaisesRegex(Error, 'does not run here: no feature'):
            self.share({'files': {'output': 'no feature\n'}, 'rc': 4})


class Found(unittest.TestCase):

    def test_parse(self):
        self.assertEqual(('12.3', 'double_cqe', 'of 3: x'),
                         found.parse('12.3 double_cqe: of 3: x')[:3])
        self.assertEqual(('-', 'unknown', 'what'), found.parse('what')[:3])

    def test_normal(self):
        for text, said in (
                ('[  1.5] WARNING: io_uring/bpf.c:12 at f+0x1/0x2, CPU#1: iou_fuzz/99',
                 'WARNING: io_uring/bpf.c:12 at f+X/X, CPU#N: iou_fuzz/N'),
                ('[ 91.0] INFO: task iou_fuzz:123 blocked for more than 30 seconds.',
                 'INFO: task iou_fuzz:N blocked for more than N seconds.')):
            self.assertEqual(said, guest.normal(text))

    def test_summary(self):
        made = [found.Failure('9', 'leak', '4 files', 70, ''),
                found.Failure('5', 'leak', '3 files', 40, ''),
                found.Failure('7', 'leak', 'memory', 50, ''),
                found.Failure('-', 'splat', 'BUG: x', 60, 'build/log/c.1')]
        replay = fuzz.replay_command({'MODE': 'sqpoll'})
        self.assertEqual([
            'leak: 3',
            '  2 x 3 files', '    first in 5, after 40 rounds',
            '    make fuzz-replay SEED=5 MODE=sqpoll',
            '  1 x memory', '    first in 7, after 50 rounds',
            '    make fuzz-replay SEED=7 MODE=sqpoll',
            'splat: 1',
            '  1 x BUG: x', '    first in -, after 60 rounds, see build/log/c.1',
            'fuzz: 99 rounds, 4 failures'], found.summary(made, 99, replay))
        self.assertEqual(['fuzz: 5 rounds, 0 failures'], found.summary([], 5, replay))


class Commands(Folder):
    """make fuzz, fuzz-replay, fuzz-min."""

    def main(self, *args, guests=1):
        """Return the exit status and the lines of a command."""
        out = io.StringIO()
        with mock.patch.object(sys, 'argv', ['fuzz.py'] + list(args)), \
                mock.patch.object(guest, 'number_of', lambda: guests), \
                contextlib.redirect_stdout(out):
            rc = fuzz.main()
        return rc, out.getvalue().splitlines()

    def test_run(self):
        self.boots('fuzz1', {'files': dict(stats(rounds=5), failures='3 leak: x\n'), 'rc': 1})
        self.boots('fuzz2', {'files': stats(rounds=6), 'rc': 0})
        rc, lines = self.main('run', 'TIME=30', 'SEED=1', guests=2)
        self.assertEqual(1, rc)
        self.assertIn('    make fuzz-replay SEED=3', lines)
        self.assertEqual('fuzz: 11 rounds, 1 failures', lines[-1])

    def test_run_finds_nothing(self):
        self.boots('fuzz1', {'files': stats(rounds=5), 'rc': 0})
        self.put('build/fuzz/1/failures', 'of another run\n')
        self.assertEqual((0, 'fuzz: 5 rounds, 0 failures'),
                         (lambda rc, lines: (rc, lines[-1]))(*self.main('run', 'TIME=30')))

    def test_one_cannot_go_on(self):
        """The other guest is stopped, and failures are reported."""
        self.boots('fuzz1', {'files': dict(stats(rounds=5), failures='3 leak: x\n'),
                             'hang': True})
        self.boots('fuzz2', {'no start': True})
        out, began = io.StringIO(), time.monotonic()
        with self.assertRaisesRegex(Error, 'the guest failed to boot twice'), \
                mock.patch('builtins.print', lambda *a, **_: out.write('\n'.join(a) + '\n')):
            self.main('run', 'TIME=60', guests=2)
        self.assertLess(time.monotonic() - began, 25)
        self.assertIn('fuzz: 5 rounds, 1 failures', out.getvalue())

    def test_interrupted(self):
        """The guests are stopped, and failures are reported."""
        self.boots('fuzz1', {'files': dict(stats(rounds=5), failures='3 leak: x\n'),
                             'hang': True})
        real, calls = fuzz.concurrent.futures.wait, []

        def wait(*args, **kwargs):
            calls.append(self.get('build/fuzz/1/current') and time.sleep(0.5))
            if len(calls) == 2:
                raise KeyboardInterrupt
            return real(*args, **kwargs)
        with mock.patch.object(fuzz.concurrent.futures, 'wait', wait):
            rc, lines = self.main('run', 'TIME=60')
        self.assertEqual((1, 'fuzz: 5 rounds, 1 failures'), (rc, lines[-1]))
        for pid in self.get('pids').split():
            self.assertEqual({}, guest.session(pid))

    def test_replay(self):
        self.boots('fuzz-replay', {'files': {'failures': '3.4 leak: x\n'}, 'rc': 1},
                   {'rc': 0})
        self.assertEqual((1, [
            '3.4 with flows: reproduced', '  leak: x', '3.4 with plain requests: not reproduced',
            'the fault is in the feature']), self.main('replay', 'SEED=3.4', 'TRIES=7'))
        self.assertEqual('7', self.argument('fuzz-replay', 1, '--tries'))
        self.assertNotIn('--control', self.get('fuzz-replay.plan1'))
        self.assertIn('--control', self.get('fuzz-replay.plan2'))

    def test_replay_dies(self):
        self.boots('fuzz-replay', {'files': {'last': '3\n'}, 'console': KASAN})
        self.assertEqual((1, [
            '3 with flows: reproduced', '  died: ' + SAID,
            '3 with plain requests: reproduced', '  died: ' + SAID,
            'the fault is in the base kernel']), self.main('replay', 'SEED=3'))

    def test_replay_is_fine(self):
        self.boots('fuzz-replay', {'rc': 0})
        self.assertEqual((0, ['3 with flows: not reproduced']), self.main('replay', 'SEED=3'))
        self.assertEqual((0, ['3 with plain requests: not reproduced']),
                         self.main('replay', 'SEED=3', 'CONTROL=1'))
        self.assertEqual(2, self.nr_boots('fuzz-replay'))
        with self.assertRaises(Error):
            self.main('replay', 'SEED=')

    def test_min(self):
        """Each boot continues with the state of the previous one."""
        self.boots('fuzz-min', {'files': {'min.3': '1'}}, {'files': {'min.3': '2'}, 'rc': 3},
                   {'files': {'min.3': '3', 'min.3.txt': 'ring 0\n', 'output': '9 parts\n'},
                    'rc': 1})
        self.assertEqual((0, ['9 parts', '', 'ring 0']), self.main('min', 'SEED=3'))
        self.assertEqual(3, self.nr_boots('fuzz-min'))

    def test_min_gets_nowhere(self):
        self.boots('fuzz-min', {'files': {'min.3': '1'}})
        with self.assertRaisesRegex(Error, 'is unchanged'):
            self.main('min', 'SEED=3')


class Mutants(Folder):

    def report(self, names, results):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            bad = fuzz_mutants.report(names, results)
        return bad, out.getvalue().splitlines()

    def test_list(self):
        names = fuzz_mutants.listed()
        self.assertEqual((30, 30), (len(names), len(set(names))))
        fuzz_mutants.choose(faults.read_lists(os.path.join(SCRIPTS, 'mutants')), names)
        with self.assertRaises(Error):
            fuzz_mutants.choose([], names)

    def test_run(self):
        """A fault that kills a guest counts as found. The next boot runs the others."""
        self.boots('fuzz-mutants1',
                   {'unbroken': {'rc': 0, 'files': stats(rounds=9, seconds=60)},
                    'a': {'rc': 1, 'files': dict(stats(rounds=4, seconds=8),
                                                 failures='7 leak: x\n')},
                    'b': {'files': stats(rounds=2, seconds=3), 'console': KASAN}},
                   {'c': {'rc': 0, 'files': stats(rounds=8, seconds=60)}})
        names = ['unbroken', 'a', 'b', 'c']
        with mock.patch.object(guest, 'number_of', lambda _: 1):
            results = fuzz_mutants.run_all(names, {'a': 11, 'b': 12, 'c': 13}, 60, 1)
        self.assertEqual((1, [
            'ok 0 - unbroken # not found in 9 rounds, 60 s',
            'ok 1 - a # found: leak: x after 4 rounds, 8 s',
            'ok 2 - b # found: died: %s after 2 rounds, 3 s' % SAID,
            'not ok 3 - c # not found in 8 rounds, 60 s',
            'fuzz-mutants: 2 of 3 found']), self.report(names[1:], results))
        self.assertIn('a a 11 63 env IOU_FUZZ_STOP=1 ./iou_fuzz --time 60 --seed 1 '
                      '--out /tmp/iou-bpf-build/fuzz-mutants/1/a\n',
                      self.get('fuzz-mutants1.plan1'))
        self.assertEqual('c', self.get('fuzz-mutants1.plan2').split()[0])

    def test_unbroken(self):
        bad, lines = self.report([], {'unbroken': fuzz_mutants.Result('leak: x', 3, 4)})
        self.assertEqual((1, 'not ok 0 - unbroken # found: leak: x after 3 rounds, 4 s'),
                         (bad, lines[0]))


@unittest.skipUnless(shutil.which('gcc') and shutil.which('gcov'), 'no gcc')
class Coverage(Folder):
    """Two runs of a program, which reach different lines."""

    def setUp(self):
        super().setUp()
        self.put('io_uring/bpf.c', CODE)
        self.put('io_uring/bpf.h', HEAD)
        self.put('io_uring/other.c', MAIN)
        self.notes = os.path.join(self.top, 'build/debug/io_uring')
        os.makedirs(self.notes)
        self.compile('gcc', '-fprofile-arcs', '-ftest-coverage', '-c',
                     os.path.join(self.top, 'io_uring/bpf.c'), '-o', 'bpf.o')
        self.compile('gcc', '-fprofile-arcs', 'bpf.o',
                     os.path.join(self.top, 'io_uring/other.c'), '-o', 'program')

    def compile(self, *command):
        subprocess.run(command, cwd=self.notes, check=True)

    def counters(self, name, *args):
        """Return a folder with the counters of a run with these arguments."""
        self.compile('./program', *args)
        folder = os.path.join(self.top, name)
        os.makedirs(folder)
        os.rename(os.path.join(self.notes, 'bpf.gcda'), os.path.join(folder, 'bpf.gcda'))
        return folder

    def unite(self, folders):
        return coverage.unite(folders, self.notes, {'io_uring/bpf.c', 'io_uring/bpf.h'})

    def missing(self, folders):
        return coverage.unreached(self.unite(folders), self.top)

    def test_union(self):
        small, large = self.counters('one'), self.counters('two', 'x', 'y')
        self.assertEqual(['io_uring/bpf.c:5: return g(a);',
                          'io_uring/bpf.h:1: static inline int g(int a)',
                          'io_uring/bpf.h:3: return a + 1;'], self.missing([small]))
        self.assertEqual(['io_uring/bpf.c:6: return 2;'], self.missing([large]))
        self.assertEqual([], self.missing([small, large]))

    def test_table(self):
        self.assertEqual(['                lines  reached  percent',
                          'io_uring/bpf.c      4        3     75.0',
                          'io_uring/bpf.h      2        2    100.0',
                          'sum                 6        5     83.3'],
                         [x for x in coverage.table(self.unite(
                             [self.counters('two', 'x', 'y')]))])

    def test_no_data(self):
        """Lines without counters are unreached. Truncated files are ignored."""
        self.put('three/bpf.gcda', 'adcg')
        self.assertEqual(6, len(self.missing([os.path.join(self.top, 'three')])))

    def test_files_of_old_gcov(self):
        folder = self.counters('two', 'x', 'y')
        real, shim = shutil.which('gcov'), os.path.join(self.top, 'bin/gcov')
        self.put('bin/gcov', '#!/bin/sh\nexec %s --json-format "$3" >/dev/null\n' % real)
        os.chmod(shim, 0o755)
        with mock.patch.dict(os.environ, PATH=os.path.dirname(shim) + ':' +
                             os.environ['PATH']):
            self.assertEqual(['io_uring/bpf.c:6: return 2;'], self.missing([folder]))

    def test_report(self):
        with self.assertRaisesRegex(Error, 'no gcov counters'):
            coverage.report()
        with mock.patch.multiple(coverage, NOTES=self.notes, TREE=self.top), \
                mock.patch.object(coverage, 'ours', lambda: {'io_uring/bpf.c'}):
            self.counters('build/fuzz/1/gcda.1', 'x', 'y')
            self.assertEqual(3, len(coverage.report()))
        self.assertEqual('io_uring/bpf.c:6: return 2;\n', self.get('build/fuzz/unreached.txt'))
