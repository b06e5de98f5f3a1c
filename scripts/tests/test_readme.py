# SPDX-License-Identifier: GPL-2.0
"""The programs in README are those of tools/io_uring."""
import os
import re
import unittest

from fixture import TOP, read

TOOLS = os.path.join(TOP, 'tools/io_uring')


class Readme(unittest.TestCase):

    def same(self, name):
        shown = ''.join('    ' + line if line.strip() else line
                        for line in read(TOOLS, name).splitlines(True))
        self.assertTrue(shown in read(TOP, 'README'),
                        'README shows another version of ' + name)

    def test_program(self):
        self.same('hello.bpf.c')

    def test_loader(self):
        self.same('hello.c')

    def test_pattern(self):
        """A part of pattern.c is on the first two screens."""
        start = ''.join(read(TOP, 'README').splitlines(True)[:48])
        shown = re.search(r'one CQE:\n\n((?:    .*\n)+)', start)[1]
        self.assertIn('iou_pattern_attach(', shown)
        self.assertLessEqual(len(shown.splitlines()), 10)
        self.assertIn(re.sub('^    ', '\t', shown, flags=re.M), read(TOOLS, 'pattern.c'))
