# SPDX-License-Identifier: GPL-2.0
"""The figures of the cover letter and the documents are the recorded ones."""
import glob
import json
import os
import re
import sys
import unittest

from fixture import REPO, SCRIPTS, Case, git

sys.path.insert(0, SCRIPTS)

from serieslib import figures, overlay  # noqa: E402 (needs the path)

DOC = 'Documentation/x.rst'
TXT = 'scripts/series/tests.txt'
COVER = 'scripts/series/cover.txt'
TEXT = """Text.

============  ======  ========
instructions     nop  loop-qd1
============  ======  ========
flow          %6s       n/a
flow loop-b32 %6s       n/a
============  ======  ========

overhead  loop-qd1
nop           %4s
"""
PATTERNS = """
instructions   pattern  liburing  syscalls  loses-to
pattern-copy       %3s       %3s       n/a         -
pattern-join       %3s       %3s       %3s      %4s

system calls   pattern  syscalls
pattern-join       %3s     %5s
"""
STORED, FILLED = TEXT % (7, 'n/a', '?'), TEXT % (299, 399, '+0.4')


class Figures(Case):

    def setUp(self):
        super().setUp()
        self.record(('flow', 'patched', 299.1), ('loop-qd1', 'patched', 877.4),
                    ('loop-qd1', 'base', 877.0), ('flow', 'patched', 398.6, 'loop-b32'))
        self.put(DOC, STORED)
        self.put(TXT, REPO[TXT] + DOC + '\n')

    def record(self, *rows):
        self.put(figures.RECORDED, json.dumps([
            dict(zip(('arm', 'kernel', 'insn', 'base'), row), workload='nop') for row in rows]))

    def test_series(self):
        self.put(COVER, REPO[COVER] + STORED)
        self.good('export.py')
        self.assertEqual(FILLED, self.show(DOC))
        cover = self.files(os.path.join(self.top, 'build/series'))['0000-cover-letter.patch']
        self.assertIn(FILLED.rstrip(), cover.decode())

    def test_not_recorded(self):
        self.record(('flow', 'patched', 299.1), ('loop-qd1', 'patched', 877.4))
        err = self.bad('export.py', says=DOC + ':7: scripts/bench/recorded.json has no '
                       'instructions of flow loop-b32, nop')
        self.assertIn('error: %s:11: scripts/bench/recorded.json has no overhead of '
                      'nop, loop-qd1\n' % DOC, err)

    def test_no_room(self):
        self.record(('flow', 'patched', 1e6), ('flow', 'patched', 1e6, 'loop-b32'),
                    ('loop-qd1', 'patched', 1), ('loop-qd1', 'base', 1))
        self.bad('export.py', says=DOC + ':7: no room for 1000000 of flow loop-b32, nop')

    def test_refresh(self):
        self.good('tree.py')
        self.edit(DOC, 'Text.', 'Words.')
        git(self.tree, 'commit', '-q', '-a', '--amend', '-m', 'selftests: tests\n\nWhy tests.')
        self.good('refresh.py')
        self.assertEqual(FILLED.replace('Text.', 'Words.'), self.get(DOC))

    def test_patterns(self):
        self.put(figures.RECORDED, json.dumps([
            {'kernel': 'patched', 'workload': 'pattern-' + name, 'arm': arm, 'insn': insn,
             'syscalls': 1.00026} for name, arm, insn in (
                 ('copy', 'pattern', 500), ('copy', 'liburing', 501), ('join', 'pattern', 300),
                 ('join', 'liburing', 200), ('join', 'syscalls', 100))]))
        self.put(DOC, PATTERNS % (('?',) * 8))
        self.good('figures.py')
        self.assertEqual(PATTERNS % (500, 501, 300, 200, 100, 'both', 1, 1), self.get(DOC))

    def test_files(self):
        self.assertIn('wrote ' + DOC, self.good('figures.py'))
        self.assertEqual(FILLED, self.get(DOC))
        self.assertEqual('', self.good('figures.py'))


class Repository(unittest.TestCase):

    def test_tables(self):
        stored = overlay.stored()
        self.assertEqual([], [rel for rel, file in figures.filled(stored).items()
                              if file != stored[rel]], 'run: scripts/figures.py')

    def test_text(self):
        """There are no figures outside of the tables, which would not be updated."""
        top = os.path.dirname(SCRIPTS)
        for path in [os.path.join(top, 'README'), os.path.join(top, COVER)] + glob.glob(
                os.path.join(top, 'Documentation/bpf/*.rst')):
            with open(path, encoding='utf-8') as f:
                self.assertEqual([], re.findall(r'\d\s+(?:more\s+)?instructions', f.read()), path)
