# SPDX-License-Identifier: GPL-2.0
"""The tests, functions and rules that the internals document names exist."""
import glob
import os
import re
import unittest

from fixture import TOP, read

TESTS = os.path.join(TOP, 'tools/testing/selftests/io_uring_bpf')
DOC = os.path.join(TOP, 'Documentation/bpf/io_uring_internals.rst')


def literals():
    """Return the text of all ``...``. The names of a test may be in the next
    literal."""
    return [re.sub(r'\s+', ' ', x) for x in re.findall(r'``([^`]+)``', read(DOC))]


class Internals(unittest.TestCase):

    def test_names_of_tests(self):
        have, named = {}, 0
        for path in glob.glob(os.path.join(TESTS, '*_test.c')):
            have[os.path.basename(path)[:-2]] = re.findall(
                r'^TEST(?:_F)?(?:_TIMEOUT|_SIGNAL)?\((?:\w+, )?(\w+)', read(path), re.M)
        for text in literals():
            m = re.fullmatch(r'(\w+_test): (.*)', text)
            if not m:
                continue
            self.assertIn(m[1], have)
            for name in m[2].split(', '):
                named += 1
                self.assertIn(name, have[m[1]], m[1])
        self.assertGreater(named, 50)

    def test_names_of_functions(self):
        code = ''.join(read(p) for p in
                       glob.glob(os.path.join(TOP, 'io_uring', '*.[ch]')) +
                       glob.glob(os.path.join(TOP, 'io_uring', '*.patch')))
        ours = [x[:-2] for x in literals() if re.fullmatch(r'io_bpf_\w+\(\)', x)]
        self.assertGreater(len(ours), 50)
        for name in ours:
            self.assertTrue(name + '(' in code, name)

    def test_each_trap_has_a_test(self):
        text = re.search(r'\nTraps\n=+\n(.*?)\n[^\n]+\n=+\n', read(DOC), re.S)[1]
        items = re.findall(r'^(\S.*)\n((?:    .*\n|\n(?=    ))+)', text, re.M)
        self.assertGreater(len(items), 15)
        for name, body in items:
            self.assertRegex(body, r'_test\b', name)


if __name__ == '__main__':
    unittest.main()
