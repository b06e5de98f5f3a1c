# SPDX-License-Identifier: GPL-2.0
"""scripts/mutants.py applies faults, and reports those that survive."""
import contextlib
import glob
import io
import os
import re
import shutil
import sys
import tempfile
import unittest

from fixture import SCRIPTS

sys.path.insert(0, SCRIPTS)
import mutants  # noqa: E402
from serieslib import faults  # noqa: E402
from serieslib.util import Error, TOP  # noqa: E402

CODE = 'int f(int a)\n{\n\tif (a)\n\t\treturn 1;\n\treturn 0;\n}\n'
FIRST = '''# why
first: io_uring/x.c
test: a_test one f.v.two
-	if (a)
+	if (!MUT && a)
'''
SECOND = '''
second: io_uring/x.c
test: a_test
test: b_test
by: hang
-	return 0;
+	return MUT ? 2 : 0;
'''
SELFTESTS = os.path.join(TOP, 'tools/testing/selftests/io_uring_bpf')
PASSED = 'TAP version 13\n1..1\nok 1 f.one\n'
FAILED = 'TAP version 13\n1..2\nnot ok 1 f.one\n'


class Mutants(unittest.TestCase):

    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        mutants.RESULTS = self.dir

    def put(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
        return path

    def read(self, text):
        return faults.read_list(self.put('list.txt', text))

    def bad(self, text, says, code=CODE):
        with self.assertRaises(Error) as e:
            faults.apply(code, self.read(text))
        self.assertIn(says, str(e.exception))

    def test_apply(self):
        found = self.read(FIRST + SECOND)
        text = faults.apply(CODE, found)
        self.assertIn('\n\tif (!MUT(%#x) && a)\n' % found[0].number(), text)
        self.assertIn('\n\treturn MUT(%#x) ? 2 : 0;\n' % found[1].number(), text)
        self.assertNotIn('\n\tif (a)\n', text)
        self.assertIn('\n\t\treturn 1;\n', text)

    def test_bad_lists(self):
        self.bad(FIRST.replace('if (a)\n+', 'if (b)\n+'),
                 'x.c contains the old text 0 times')
        self.bad(FIRST, 'x.c contains the old text 2 times', CODE + CODE)
        self.bad(FIRST.replace('MUT && ', ''), 'first has no MUT')
        self.bad(FIRST.replace('test:', 'tset:'), 'invalid line "tset: a_test')
        self.bad(FIRST.replace('first: io', 'first io'), 'is not "name: file"')
        self.bad(SECOND.replace('by: hang', 'by: luck'), 'invalid line "by: luck"')
        self.bad(FIRST + '\n' + FIRST.replace('first', 'again'), 'overlaps first')

    def test_plan(self):
        first, second = self.read(FIRST + SECOND)
        self.assertEqual([
            'unbroken.a_test 0 a_test',
            'first.0 %d a_test -t one' % first.number(),
            'first.1 %d a_test -r f.v.two' % first.number(),
            'unbroken.b_test 0 b_test',
            'second.0 %d a_test' % second.number(),
            'second.1 %d b_test' % second.number()],
            mutants.plan([second, first]))

    def test_shares(self):
        """A program is loaded in one guest only, and the order is kept."""
        lines = ['f.%d 1 %s_test' % (i, 'aabbbcb'[i % 7]) for i in range(21)]
        one, two = mutants.shares(lines, 2)
        self.assertEqual([x for x in lines if x.endswith('b_test')], one)
        self.assertEqual([x for x in lines if not x.endswith('b_test')], two)
        self.assertEqual([lines], mutants.shares(lines, 1))

    def report(self, results):
        for name, (tap, rc, splat) in results.items():
            self.put(name + '.tap', tap)
            self.put(name + '.rc', rc)
            if splat:
                self.put(name + '.splat', splat)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            bad = mutants.report(self.read(FIRST + SECOND))
        lines = out.getvalue().splitlines()
        self.assertEqual(['TAP version 13', '1..4'], lines[:2])
        return bad, lines[2:]

    def test_caught(self):
        bad, lines = self.report({
            'unbroken.a_test': (PASSED, '0', ''),
            'unbroken.b_test': (PASSED, '0', ''),
            'first.0': (FAILED, '143', ''), 'first.1': (FAILED, '143', ''),
            'second.0': (FAILED, '1', ''), 'second.1': ('', 'hang', '')})
        self.assertEqual((0, [
            'ok 1 - unbroken.a_test', 'ok 2 - unbroken.b_test',
            'ok 3 - first # f.one, f.one', 'ok 4 - second # f.one, hang']),
            (bad, lines))

    def test_survivors(self):
        """A splat or a hang does not count, unless the list says so."""
        bad, lines = self.report({
            'unbroken.a_test': (FAILED, '1', ''),
            'unbroken.b_test': (PASSED, '0', 'splat: WARNING: x\n'),
            'first.0': (PASSED, '0', 'splat: BUG: x\n'), 'first.1': (FAILED, '1', ''),
            'second.0': (PASSED, '0', ''), 'second.1': ('', 'hang', '')})
        self.assertEqual((4, [
            'not ok 1 - unbroken.a_test # f.one',
            'not ok 2 - unbroken.b_test # the kernel complains',
            'not ok 3 - first # a_test one SURVIVED, f.one',
            'not ok 4 - second # a_test SURVIVED, hang']),
            (bad, lines))

    def test_lists_fit(self):
        """All faults in files of the repository can be applied together."""
        found = faults.read_lists(os.path.join(SCRIPTS, 'mutants'))
        for path in sorted({m.path for m in found}):
            name = os.path.join(TOP, path)
            # other files are edited by a .patch, and are in the kernel tree only
            if os.path.exists(name):
                with open(name, encoding='utf-8') as f:
                    faults.apply(f.read(), [m for m in found if m.path == path])

    def test_all_tests(self):
        """For each test of the repository, some fault names it."""
        words = [re.split('[ .]', t)
                 for m in faults.read_lists(os.path.join(SCRIPTS, 'mutants'))
                 for t in m.tests]
        named = {(w[0], w[-1]) for w in words if len(w) > 1}
        tests = set()
        for path in glob.glob(os.path.join(SELFTESTS, '*_test.c')):
            # these test the header for programs and the document, not the kernel
            if path.endswith(('/header_test.c', '/doc_test.c')):
                continue
            with open(path, encoding='utf-8') as f:
                tests |= {(os.path.basename(path)[:-2], name) for name in re.findall(
                    r'^TEST(?:_F(?:_TIMEOUT)?)?\((?:\w+, )?(\w+)', f.read(), re.M)}
        # the tests of patterns and applications detect faults of these programs
        self.assertEqual(set(), {t for t in tests - named
                                 if not t[0].startswith(('pattern_', 'lookup_'))})
        self.assertEqual(set(), named - tests)
