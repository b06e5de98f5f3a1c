# SPDX-License-Identifier: GPL-2.0
"""Tables of figures in the cover letter and in documents.

"make bench-record" has recorded the figures. A table begins with the word
"instructions", "overhead", "system calls" or "CQEs" and the names of its columns, and
ends with an empty line:

    instructions      nop  read64
    flow              299     972
    flow-again        199     621

Rows are arms and columns are workloads, or the other way round. A figure ends below the
end of the name of its column, and is "n/a" if it is not recorded. The overhead is the
number of instructions that the series adds. The column "loses-to" has the arms that
take fewer instructions than the arm "pattern".
"""
import functools
import json
import math
import os
import re

from .util import TOP, Error, fail_if

RECORDED = 'scripts/bench/recorded.json'
NONE = 'n/a'
# figures of the kernel with the series: their names in the recorded rows, and formats
_KINDS = {'instructions': ('insn', '%.0f'), 'system calls': ('syscalls', '%.3g'),
          'CQEs': ('cqes', '%.3g')}
_HEAD = re.compile(r' *(overhead|%s) {2,}(?=\S)' % '|'.join(_KINDS))
_WORD = re.compile(r'\S+')
_LOSES = 'loses-to'


@functools.cache
def _recorded():
    """Return {(kernel, workload, arm): row}, and the same by arm and workload."""
    found = {}
    with open(os.path.join(TOP, RECORDED), encoding='utf-8') as f:
        for r in json.load(f):
            names = r['workload'], ' '.join(filter(None, (r['arm'], r.get('base'))))
            for pair in names, names[::-1]:
                found[(r['kernel'],) + pair] = r
    return found


def _loses(recorded, workload):
    """Return the arms that take fewer instructions than the pattern."""
    insn = [recorded.get(('patched', workload, arm), {}).get('insn', math.inf)
            for arm in ('pattern', 'liburing', 'syscalls')]
    words = {(): '-', (1,): 'liburing', (2,): 'syscalls', (1, 2): 'both'}
    return words[tuple(i for i in (1, 2) if insn[i] < insn[0])]


def _figure(recorded, kind, pair):
    """Return the text of a figure."""
    row, base = (recorded.get((kernel,) + pair) for kernel in ('patched', 'base'))
    if pair[1] == _LOSES:
        return _loses(recorded, pair[0])
    if kind in _KINDS:
        column, text = _KINDS[kind]
        return NONE if row is None else text % row[column]
    if None in (row, base):
        return NONE
    return '%+.1f' % (round(row['insn'] - base['insn'], 1) + 0.0)


def _row(recorded, kind, columns, line):
    """Return a line of a table with its figures."""
    words = line.split()
    name, cells = ' '.join(words[:-len(columns)]), words[-len(columns):]
    line = re.match(' *', line)[0] + name
    for (column, end), cell in zip(columns, cells):
        text = _figure(recorded, kind, (name, column))
        if not {name, column} <= {_LOSES} | {n for key in recorded for n in key[1:]} or (
                text == NONE != cell):
            raise Error('%s has no %s of %s, %s' % (RECORDED, kind, name, column))
        if len(line) + len(text) >= end:
            raise Error('no room for %s of %s, %s' % (text, name, column))
        line += text.rjust(end - len(line))
    return line


def _fill(rel, text):
    """Return the text of a file with its figures."""
    lines, errors, columns = text.split('\n'), [], None
    for nr, line in enumerate(lines):
        head = _HEAD.match(line)
        if head:
            columns = [(m[0], m.end()) for m in _WORD.finditer(line, head.end())]
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
    """Return the files of the repository with their figures."""
    return {rel: (mode, _fill(rel, data.decode()).encode())
            if rel.endswith(('.rst', '/cover.txt')) else (mode, data)
            for rel, (mode, data) in files.items()}
