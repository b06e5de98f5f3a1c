#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/figures.py

Updates the tables of the cover letter and of the documents with the recorded figures,
see serieslib/figures.py. This is for readers of the repository only: scripts/export.py
fills in the figures anyway. Exit status 1, and lines "error: FILE:LINE: ...", if a
table names a row that is not recorded.
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
