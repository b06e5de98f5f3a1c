# SPDX-License-Identifier: GPL-2.0
"""What the document about debugging shows is what tests run, and expect of the verifier."""
import os
import re
import unittest

from fixture import TOP, read

DOC = os.path.join(TOP, 'Documentation/bpf/io_uring_debug.rst')
TESTS = os.path.join(TOP, 'tools/testing/selftests/io_uring_bpf')


def commands(text):
    """Return the lines, each with those that continue it."""
    return re.sub(r' \\\n\s+', ' ', text).splitlines()


def shown():
    """Return all lines that the document shows of the verifier's log."""
    text = re.search(r'\nThe verifier rejects the program\n=+\n(.*)', read(DOC), re.S)[1]
    blocks = re.findall(r'::\n\n((?:(?: {4,}.*)?\n)+)', text)
    return [line.strip() for block in blocks for line in block.split('\n') if line.strip()]


class Debug(unittest.TestCase):

    def test_latencies(self):
        """The commands for histograms are those of iou_flow_test.sh."""
        text = re.search(r'\nLatencies\n=+\n(.*?)\n[^\n]+\n=+\n', read(DOC), re.S)[1]
        lines = [c[6:] for c in commands(text) if c.startswith('    # ')]
        self.assertEqual(11, len(lines))
        test = commands(read(TESTS, 'iou_flow_test.sh'))
        self.assertEqual([], sorted(set(lines) - set(test) -
                                    {'cat synthetic/io_uring_latency/hist'}))

    def test_source(self):
        """Lines of programs are those of a file of the tests, with their numbers."""
        found = 0
        for line in shown():
            m = re.fullmatch(r'; (.*) @ (\S+):(\d+)', line)
            if not m:
                continue
            found += 1
            self.assertEqual(m[1], read(TESTS, 'progs', m[2]).split('\n')[int(m[3]) - 1].strip())
        self.assertGreater(found, 3)

    def test_messages(self):
        """All else is an instruction, or a message that rejected_test looks for."""
        wanted = re.findall(r'^\t"(.*)",$', read(TESTS, 'rejected_test.c'), re.M)
        messages = [line for line in shown()
                    if not re.match(r'; .* @ \S+:\d+$|\d+: \(', line)]
        self.assertEqual(sorted(wanted), sorted(messages))


if __name__ == '__main__':
    unittest.main()
