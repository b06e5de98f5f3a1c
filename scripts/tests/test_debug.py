# SPDX-License-Identifier: GPL-2.0
"""The commands of the document on debugging are those that a test runs."""
import os
import re
import unittest

from fixture import SCRIPTS

TOP = os.path.dirname(SCRIPTS)
DOC = os.path.join(TOP, 'Documentation/bpf/io_uring_debug.rst')
TEST = os.path.join(TOP, 'tools/testing/selftests/io_uring_bpf/iou_flow_test.sh')


def read(path):
    with open(path, encoding='utf-8') as f:
        return f.read()


def commands(text):
    """Return the lines, each with those that continue it."""
    return re.sub(r' \\\n\s+', ' ', text).splitlines()


class Debug(unittest.TestCase):

    def test_latencies(self):
        text = re.search(r'\nLatencies\n=+\n(.*?)\n[^\n]+\n=+\n', read(DOC), re.S)[1]
        shown = [c[6:] for c in commands(text) if c.startswith('    # ')]
        self.assertEqual(11, len(shown))
        self.assertEqual([], sorted(set(shown) - set(commands(read(TEST))) -
                                    {'cat synthetic/io_uring_latency/hist'}))
