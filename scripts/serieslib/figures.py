# SPDX-License-Identifier: GPL-2.0
"""Tables of figures in the cover letter and in documents.

The figures are those that "make bench-record" has kept. A table begins with the
word "instructions" or "overhead" and the names of its columns, and ends with an
empty line:

    instructions      nop  read64
    flow              299     972
    flow-again        199     621

Rows are arms and columns are workloads, or the other way round. A figure ends
where the name of its column does, and is "n/a" where nothing is recorded. The
overhead is what the kernel with the series takes more than the one without it.
"""
import functools
import json
import os
import re

from .util import TOP, Error, fail_if

RECORDED = 'scripts/bench/recorded.json'
NONE = 'n/a'
_HEAD = re.compile(r' *(instructions|overhead) {2,}\S')


@functools.cache
def _recorded():
    """{(kernel, workload, arm): instructions}, and the same by arm and workload."""
    found = {}
    with open(os.path.join(TOP, RECORDED), encoding='utf-8') as f:
        for r in json.load(f):
            names = r['workload'], ' '.join(filter(None, (r['arm'], r.get('base'))))
            for pair in names, names[::-1]:
                found[(r['kernel'],) + pair] = r['insn']
    return found


def _figure(recorded, kind, pair):
    """The text of a figure."""
    insn, base = (recorded.get((kernel,) + pair) for kernel in ('patched', 'base'))
    if kind == 'instructions':
        return NONE if insn is None else '%.0f' % insn
    return NONE if None in (insn, base) else '%+.1f' % (round(insn - base, 1) + 0.0)


def _row(recorded, kind, columns, line):
    """A row with its figures."""
    words = line.split()
    name, cells = ' '.join(words[:-len(columns)]), words[-len(columns):]
    line = re.match(' *', line)[0] + name
    for (column, end), cell in zip(columns, cells):
        text = _figure(recorded, kind, (name, column))
        if not {name, column} <= {n for key in recorded for n in key[1:]} or (
                text == NONE != cell):
            raise Error('%s has no %s of %s, %s' % (RECORDED, kind, name, column))
        if len(line) + len(text) >= end:
            raise Error('no room for %s of %s, %s' % (text, name, column))
        line += text.rjust(end - len(line))
    return line


def _fill(rel, text):
    """A file with its figures."""
    lines, errors, columns = text.split('\n'), [], None
    for nr, line in enumerate(lines):
        head = _HEAD.match(line)
        if head:
            columns = [(m[0], m.end()) for m in re.finditer(r'\S+', line)][1:]
            kind = head[1]
        elif not line:
            columns = None
        elif columns and line.strip('= '):
            try:
                lines[nr] = _row(_recorded(), kind, columns, line)
            except Error as e:
                errors.append('%s:%d: %s' % (rel, nr + 1, e))
    fail_if(errors)
    return '\n'.join(lines)


def filled(files):
    """The same files of the repository, with their figures."""
    return {rel: (mode, _fill(rel, data.decode()).encode())
            if rel.endswith(('.rst', '/cover.txt')) else (mode, data)
            for rel, (mode, data) in files.items()}
