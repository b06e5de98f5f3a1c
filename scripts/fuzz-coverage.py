#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/fuzz-coverage.py [FOLDER...]

Prints the line coverage of io_uring/bpf*.[ch]: the union of all boots and guests of
the last "make fuzz", or of the *.gcda files in the given folders. Unreached lines go
to build/fuzz/unreached.txt.
"""
import sys

from fuzzlib import coverage
from serieslib.util import run


def main():
    """See the top of the file."""
    if any(a.startswith('-') for a in sys.argv[1:]):
        print(__doc__, end='')
        return 2
    print(*coverage.report(sys.argv[1:] or None), sep='\n')
    return 0


if __name__ == '__main__':
    run(main)
