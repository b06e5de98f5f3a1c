# SPDX-License-Identifier: GPL-2.0
"""The documents of the patterns name what is there, and describe it as the objects do."""
import fnmatch
import glob
import json
import os
import re
import unittest

from fixture import SCRIPTS, TOP, read

PATTERNS = os.path.join(TOP, 'tools/io_uring/patterns')
TESTS = os.path.join(TOP, 'tools/testing/selftests/io_uring_bpf')
DOC = os.path.join(TOP, 'Documentation/bpf')
# rows of the benchmark that run a pattern in another way
VARIANTS = {'copy-direct': 'copy'}


def texts():
    """Return {name: {keyword: [texts]}} of the object files."""
    found = {}
    for path in glob.glob(PATTERNS + '/*.bpf.c'):
        text = re.search(r'^PATTERN\((.*?)\);$', read(path), re.M | re.S)[1]
        found[os.path.basename(path)[:-len('.bpf.c')]] = keys = {}
        for key, strings in re.findall(r'^([A-Z]+)\(((?:[^"\n]*"[^"]*"\s*)+)\)', text, re.M):
            keys.setdefault(key, []).append(''.join(re.findall(r'"([^"]*)"', strings)))
    return found


def rows(table):
    """Yield the cells of the rows of a simple table."""
    bars = [m.span() for m in re.finditer('=+', table.splitlines()[0])]
    cells = None
    for line in table.splitlines():
        if line.startswith('='):
            continue
        parts = [line[a:b if (a, b) != bars[-1] else None].strip() for a, b in bars]
        if parts[0]:
            if cells:
                yield cells
            cells = parts
        else:
            cells = [' '.join(x).strip() for x in zip(cells, parts)]
    yield cells


def tables():
    """Return the tables of the document, as lists of rows with the title first."""
    return [list(rows(t)) for t in re.findall(r'^=+  =.*\n(?:.+\n)+', read(
        DOC, 'io_uring_patterns.rst'), re.M)]


class Patterns(unittest.TestCase):

    def test_table(self):
        """The table of all patterns has their texts, and tests that run them."""
        about = {name: keys['ABOUT'][0] for name, keys in texts().items()}
        table = [t for t in tables() if t[0][0] == 'Pattern'][0][1:]
        self.assertEqual(about, {name.strip('`'): use for name, use, _ in table})
        for name, _, test in table:
            self.assertRegex(read(TESTS, test + '.c'), r'"%s"' % name.strip('`'))

    def test_figures(self):
        """Each table of figures has each pattern that was measured."""
        with open(os.path.join(SCRIPTS, 'bench/recorded.json'), encoding='utf-8') as f:
            names = {r['workload'][len('pattern-'):] for r in json.load(f)
                     if r['workload'].startswith('pattern-')}
        self.assertLessEqual({VARIANTS.get(x, x) for x in names}, set(texts()))
        figures = [t for t in tables() if t[1][0].startswith('pattern-')]
        self.assertEqual(3, len(figures))
        for table in figures:
            have = {row[0][len('pattern-'):] for row in table[1:]}
            self.assertEqual(names, have, table[0][0])

    def test_texts(self):
        """What iou-patterns prints is complete."""
        for name, keys in texts().items():
            for key in 'KIND', 'ABOUT', 'RESULT', 'WINS', 'LOSES':
                self.assertEqual(1, len(keys.get(key, [])), (name, key))
            self.assertIn(keys['KIND'][0], ('flow', 'watcher'), name)
            self.assertTrue(keys.get('ARG'), name)
            self.assertTrue([e for e in keys['ERROR'] if e.startswith('EINVAL')], name)
            # a line of "iou-patterns list"
            self.assertLess(len(keys['ABOUT'][0]), 90, name)

    def test_watchers(self):
        watchers = [n for n, keys in texts().items() if keys['KIND'] == ['watcher']]
        said = re.search(r'^(.*) watch requests', read(DOC, 'io_uring_patterns.rst'), re.M)[1]
        self.assertEqual(sorted(watchers), sorted(re.findall('``(.*?)``', said)))

    def test_number(self):
        self.assertIn('\nThere are %d: ' % len(texts()), read(TOP, 'README'))

    def test_named_tests(self):
        """The tests that show what users can do to each other exist."""
        files = [re.sub(r'\.c$', '', os.path.basename(f)) for f in glob.glob(TESTS + '/*_test.*')]
        have = set(files) | set(re.findall(
            r'^\s*check (\w+) ', read(TESTS, 'iou_patterns_test.sh'), re.M))
        for path in glob.glob(TESTS + '/pattern_*_test.c'):
            have.update(re.findall(r'^TEST_F(?:_TIMEOUT)?\(\w+, (\w+)[,)]', read(path), re.M))
        table = [t for t in tables() if t[0][0] == 'Way'][0][1:]
        named = [word for row in table for part in re.findall(r'\(([^()]*)\)', row[1])
                 for literal in re.findall('``([^`]+)``', part) for word in literal.split()]
        self.assertGreater(len(named), 12)
        for word in named:
            self.assertTrue(fnmatch.filter(have, word), word)
