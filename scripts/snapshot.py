#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/snapshot.py INDEX

Writes an index file of all that is in the kernel's work tree, with new files
of ours that git wasn't told of, and prints the id of its tree. The work tree
and its index stay as they are. Exit status 1 and a line "error: ..." if there
is no kernel.
"""
import sys

from serieslib.util import Error, need_base, run
from serieslib.worktree import snapshot


def main():
    """See the top of the file."""
    if len(sys.argv) != 2 or sys.argv[1].startswith('-'):
        raise Error('usage: scripts/snapshot.py INDEX')
    need_base()
    print(snapshot(sys.argv[1]))
    return 0


if __name__ == '__main__':
    run(main)
