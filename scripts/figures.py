#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/figures.py

Writes the recorded figures into the tables of the cover letter and of the
documents, see serieslib/figures.py. The series has them in any case: this is for
who reads the repository. Exit status 1, and lines "error: FILE:LINE: ...", if a
table names what is not recorded.
"""
from serieslib import figures, overlay
from serieslib.util import run, say


def main():
    """See the top of the file."""
    files = overlay.stored()
    for line in overlay.write(files, figures.filled(files)):
        say(line)
    return 0


if __name__ == '__main__':
    run(main)
