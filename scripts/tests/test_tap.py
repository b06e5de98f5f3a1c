# SPDX-License-Identifier: GPL-2.0
"""scripts/tap.sh counts results, including those of programs that end too soon."""
import os
import shutil
import subprocess
import tempfile
import unittest

from fixture import SCRIPTS


class Tap(unittest.TestCase):

    def counts(self, text, status=0):
        with tempfile.NamedTemporaryFile('w', suffix='.tap') as f:
            f.write(text)
            f.flush()
            p = subprocess.run([os.path.join(SCRIPTS, 'tap.sh'), f.name,
                                str(status)], capture_output=True, text=True)
        self.assertEqual(0, p.returncode, p.stderr)
        return p.stdout.splitlines()

    def test_all_kinds(self):
        out = self.counts('TAP version 13\n1..3\nok 1 a\nnot ok 2 b\n'
                          'ok 3 c # SKIP why\n', 1)
        self.assertEqual(['1 1 1', '  not ok 2 b'], out)

    def test_plan_at_the_end(self):
        self.assertEqual(['1 0 0'], self.counts('ok 1 a\n1..1\n'))

    def test_ended_too_soon(self):
        out = self.counts('1..3\nok 1 a\n', 139)
        self.assertEqual('1 1 0', out[0])
        self.assertIn('ended after 1 of 3', out[1])

    def test_bad_status(self):
        out = self.counts('1..1\nok 1 a\n', 134)
        self.assertEqual(['1 1 0', '  exit status 134'], out)

    def test_silent(self):
        self.assertEqual('0 1 0', self.counts('', 0)[0])

    def test_skipped_as_a_whole(self):
        self.assertEqual(['0 0 1'], self.counts('1..0 # SKIP no option\n', 4))

    def skips(self, text, status=0):
        """Return the list of skipped tests, to which those of a program are appended."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        name, skips = os.path.join(folder, 'a_test.tap'), os.path.join(folder, 'skipped')
        for path, content in (name, text), (skips, 'before\n'):
            with open(path, 'w', encoding='ascii') as f:
                f.write(content)
        out = subprocess.run([os.path.join(SCRIPTS, 'tap.sh'), name, str(status), skips],
                             capture_output=True, text=True, check=True).stdout
        self.assertEqual(1, len(out.splitlines()), out)
        with open(skips, encoding='ascii') as f:
            return f.read().splitlines()

    def test_names_of_skipped(self):
        self.assertEqual(['before', 'a_test: b # SKIP why', 'a_test: # SKIP no 2'],
                         self.skips('1..4\nok 1 a\nok 2 b # SKIP why\r\nok 3 # SKIP no 2\n'
                                    'ok 4 c\n'))
        self.assertEqual(['before'], self.skips('1..1\nok 1 a\n'))

    def test_name_of_skipped_program(self):
        self.assertEqual(['before', 'a_test: # SKIP no option'],
                         self.skips('1..0 # SKIP no option\n', 4))

    def test_diagnostics_do_not_count(self):
        self.assertEqual(['1 0 0'], self.counts('1..1\n# not ok 1\nok 1 a\n'))

    def test_diagnostics_of_what_failed(self):
        many = ''.join(f'# {i}\n' for i in range(10))
        out = self.counts(f'1..2\n# not of b\nok 1 a\n#  RUN  b\n{many}not ok 2 b\n', 1)
        self.assertEqual(['1 1 0'] + [f'  # {i}' for i in range(2, 10)] + ['  not ok 2 b'],
                         out)

    def test_last_words(self):
        self.assertEqual(['1 1 0', '  # about to crash',
                          '  ended after 1 of 2 tests, exit status 139'],
                         self.counts('1..2\nok 1 a\n# about to crash\n', 139))
