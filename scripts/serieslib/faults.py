# SPDX-License-Identifier: GPL-2.0
"""Faults in the kernel that can be switched on: see scripts/mutants.py."""
import glob
import os
import re
import zlib

from .util import CACHE, Error, TREE, write_file

HEAD = '''#ifndef MUT
#include <linux/compiler.h>
extern unsigned int io_bpf_mutant;
#define MUT(n) unlikely(READ_ONCE(io_bpf_mutant) == (n))
#endif
'''
SWITCH = '''
#include <linux/moduleparam.h>
unsigned int io_bpf_mutant;
module_param(io_bpf_mutant, uint, 0600);
'''
SWITCH_FILE = 'io_uring/bpf.c'


class Mutant:
    """One fault."""

    def __init__(self, where, name, path):
        self.where, self.name, self.path = where, name, path
        self.old, self.new, self.tests, self.by = '', '', [], None

    def number(self):
        """Return the number of the fault, which depends on its name only."""
        return zlib.crc32(self.name.encode()) | 1

    def complete(self):
        """Raise Error if a part of the fault is missing."""
        for what, there in (('test', self.tests), ('old text', self.old),
                            ('MUT in the new text', 'MUT' in self.new)):
            if not there:
                raise Error('%s: %s has no %s' % (self.where, self.name, what))
        return self

    def wanted(self, words):
        """Return true if one of the words selects the fault."""
        text = ' '.join([self.where, self.path, self.name] + self.tests)
        return not words or any(w in text for w in words)


def add_line(m, line):
    """Parse a line of a paragraph, except the first one."""
    key, _, value = line.partition(': ')
    if line[0] == '-':
        m.old += line[1:] + '\n'
    elif line[0] == '+':
        m.new += line[1:] + '\n'
    elif key == 'test' and value:
        program, *names = value.split()
        m.tests += ['%s %s' % (program, name) for name in names] or [program]
    elif key == 'by' and value in ('splat', 'hang'):
        m.by = value
    else:
        raise Error('%s: invalid line "%s"' % (m.where, line))


def read_list(path):
    """Return the faults of one file."""
    found, m = [], None
    with open(path, encoding='utf-8') as f:
        for nr, line in enumerate(f.read().split('\n'), 1):
            if line.startswith('#'):
                continue
            if not line:
                m = None
            elif m:
                add_line(m, line)
            else:
                match = re.fullmatch(r'(\w+): ([\w./-]+)', line)
                if not match:
                    raise Error('%s:%d: "%s" is not "name: file"' % (path, nr, line))
                m = Mutant('%s:%d' % (path, nr), *match.groups())
                found.append(m)
    return [m.complete() for m in found]


def read_lists(folder):
    """Return the faults of all lists in a folder."""
    found = [m for path in sorted(glob.glob(os.path.join(folder, '*.txt')))
             for m in read_list(path)]
    seen = {}
    for m in found:
        for key in m.name, m.number():
            if key in seen:
                raise Error('%s: %s already exists, see %s' %
                            (m.where, m.name, seen[key].where))
            seen[key] = m
    return found


def apply(text, mutants):
    """Return the text of a file with the faults."""
    places = []
    for m in mutants:
        count = ('\n' + text).count('\n' + m.old)
        if count != 1:
            raise Error('%s: %s: %s contains the old text %d times' %
                        (m.where, m.name, m.path, count))
        start = ('\n' + text).index('\n' + m.old)
        places.append((start, start + len(m.old), m))
    places.sort(key=lambda p: p[:2])
    for one, two in zip(places, places[1:]):
        if two[0] < one[1]:
            raise Error('%s: %s overlaps %s' %
                        (two[2].where, two[2].name, one[2].name))
    for start, end, m in reversed(places):
        new = re.sub(r'\bMUT\b', 'MUT(%#x)' % m.number(), m.new)
        text = text[:start] + new + text[end:]
    return HEAD + text


def write_sources(mutants):
    """Write the files with faults. Unchanged files keep their time, to save builds."""
    paths = sorted({m.path for m in mutants} | {SWITCH_FILE})
    for path in paths:
        with open(os.path.join(TREE, path), encoding='utf-8') as f:
            text = apply(f.read(), [m for m in mutants if m.path == path])
        if path == SWITCH_FILE:
            text += SWITCH
        name, data = os.path.join(CACHE, 'mutants', path), text.encode()
        if not os.path.exists(name) or open(name, 'rb').read() != data:
            write_file(name, data)
    return paths
